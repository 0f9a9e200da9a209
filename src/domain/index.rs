//! Indexes: creation, modification, deletion (`server-api` section 9).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::acl::Caller;
use super::config_value::{ConfigError, length_of};
use super::index_config::{IndexConfig, IndexKind};
use super::inherit::{Station, WalkError, resolution_order_from};
use super::project::ListedProjects;
use super::python;
use super::registry::{Decision, Registry};
use super::upstream::mirror_of;
use super::user::{NameError, check_name};
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, Expectation, Operation, Snapshot};
use crate::storage::model::{IndexName, Serial, Stored, UserRecord};

/// Why something about an index was not done.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// There is no such index.
    #[error("The stage {0} could not be found.")]
    Unknown(IndexName),
    /// There is no such user to own the index.
    #[error("no user {0}")]
    UnknownUser(String),
    /// There is an index of this name already.
    #[error("index {0} exists")]
    Exists(String),
    /// The caller may not create indexes of this user.
    #[error("no permission to create index {0}")]
    MayNotCreate(IndexName),
    /// The caller may not modify or delete the index, or it does not exist.
    #[error("no permission to change the index")]
    MayNotChange,
    /// The name has characters that names do not have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The configuration asked for is not acceptable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing would change, and the caller wanted to hear of that.
    #[error("The requested modifications resulted in no changes")]
    NoChange,
    /// The index must not be deleted.
    #[error("index {0} non-volatile, cannot delete")]
    NonVolatile(IndexName),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a modification that changes nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoChange {
    /// A success.
    Accept,
    /// An error.
    Refuse,
}

impl Registry {
    /// The configuration of an index.
    pub async fn get_index(&self, index: &IndexName) -> Result<IndexConfig, IndexError> {
        let mut snapshot = self.meta.snapshot().await?;
        Ok(require_index(snapshot.as_mut(), index).await?.value)
    }

    /// Whether there is an index of this name.
    pub async fn has_index(&self, index: &IndexName) -> Result<bool, StorageError> {
        Ok(self.meta.snapshot().await?.get_index(index).await?.is_some())
    }

    /// The projects of an index without its bases.
    pub async fn list_own_projects(&self, index: &IndexName) -> Result<ListedProjects, IndexError> {
        let mut snapshot = self.meta.snapshot().await?;
        let Stored { changed_at, value: config } = require_index(snapshot.as_mut(), index).await?;
        if config.kind() == IndexKind::Stage {
            return Ok(ListedProjects::Own(snapshot.list_projects(index).await?));
        }
        drop(snapshot);
        let mirror = mirror_of(index, changed_at, &config);
        Ok(ListedProjects::Upstream(self.mirrors.names(&mirror).await?.names))
    }

    /// Whether the caller may create this index now; asked before its configuration is looked at.
    pub async fn check_new_index(&self, caller: &Caller, index: &IndexName) -> Result<(), IndexError> {
        let mut snapshot = self.meta.snapshot().await?;
        if snapshot.get_user(&index.user).await?.is_none() {
            self.check_new_owner(caller, index)?;
        }
        if snapshot.get_index(index).await?.is_some() {
            return Err(exists(index));
        }
        if !self.policy.may_change_indexes(caller, &index.user) {
            return Err(IndexError::MayNotCreate(index.clone()));
        }
        Ok(())
    }

    /// A user whom somebody else has authenticated may have no record yet; it gets one with its first index.
    fn check_new_owner(&self, caller: &Caller, index: &IndexName) -> Result<(), IndexError> {
        if caller.name() == Some(&index.user) && self.policy.may_create_user(caller) {
            return Ok(());
        }
        Err(IndexError::UnknownUser(python::quote(&index.user)))
    }

    /// Creates an index with the values asked for.
    pub async fn create_index(
        &self,
        caller: &Caller,
        index: &IndexName,
        asked: &Map<String, Value>,
    ) -> Result<IndexConfig, IndexError> {
        self.check_new_index(caller, index).await?;
        check_name("indexname", &index.index)?;
        let proposal = IndexConfig::create(&index.user, asked)?;
        self.check_size(&proposal.config)?;
        self.change(async |snapshot| {
            let owner = snapshot.get_user(&index.user).await?;
            if snapshot.get_index(index).await?.is_some() {
                return Err(exists(index));
            }
            let now = self.clock.now();
            let mut change = ChangeSet::new(caller.name().cloned(), now)
                .expect(Expectation::User(
                    Arc::clone(&index.user),
                    owner.as_ref().map(|owner| owner.changed_at),
                ))
                .expect(Expectation::Index(index.clone(), None));
            if owner.is_none() {
                self.check_new_owner(caller, index)?;
                change = change.with(Operation::PutUser(Arc::clone(&index.user), UserRecord::new(now)));
            }
            change.expectations.extend(check_bases(snapshot, index, &proposal.config).await?);
            let config = proposal.clone().accept()?;
            let change = change.with(Operation::PutIndex(index.clone(), config.settings().clone()));
            Ok(Decision::write(change, config))
        })
        .await
    }

    /// Everything that is shown for an index reads its settings and walks over its bases, so neither may grow at will.
    fn check_size(&self, config: &IndexConfig) -> Result<(), ConfigError> {
        let (bases, length) = (self.limits.index_bases, self.limits.settings);
        if config.base_specs().nth(bases).is_some() {
            return Err(ConfigError::TooManyBases(bases));
        }
        if length_of(config.settings()) > length {
            return Err(ConfigError::TooLong(length));
        }
        Ok(())
    }

    /// Whether the caller may modify or delete the index; a missing index may not be told from a forbidden one.
    pub async fn check_index_change(&self, caller: &Caller, index: &IndexName) -> Result<(), IndexError> {
        let exists = self.meta.snapshot().await?.get_index(index).await?.is_some();
        if exists && self.policy.may_change_indexes(caller, &index.user) {
            return Ok(());
        }
        Err(IndexError::MayNotChange)
    }

    /// Modifies an index. See [`IndexConfig::patched`] for the forms of `patch`.
    pub async fn modify_index(
        &self,
        caller: &Caller,
        index: &IndexName,
        patch: &Value,
        no_change: NoChange,
    ) -> Result<IndexConfig, IndexError> {
        self.check_index_change(caller, index).await?;
        self.change(async |snapshot| {
            let stored = require_index(snapshot, index).await?;
            if stored.value.is_of_unknown_type() {
                return Err(IndexError::MayNotChange);
            }
            let proposal = stored.value.patched(patch)?;
            self.check_size(&proposal.config)?;
            let mut change = ChangeSet::new(caller.name().cloned(), self.clock.now())
                .expect(Expectation::Index(index.clone(), Some(stored.changed_at)));
            if proposal.judges_bases {
                change.expectations.extend(check_bases(snapshot, index, &proposal.config).await?);
            }
            let config = proposal.accept()?;
            match (config == stored.value, no_change) {
                (true, NoChange::Refuse) => Err(IndexError::NoChange),
                (true, NoChange::Accept) => Ok(Decision::keep(config)),
                (false, _) => {
                    let put = Operation::PutIndex(index.clone(), config.settings().clone());
                    Ok(Decision::write(change.with(put), config))
                }
            }
        })
        .await
    }

    /// Deletes an index with all its projects, if it is volatile.
    pub async fn delete_index(&self, caller: &Caller, index: &IndexName) -> Result<(), IndexError> {
        self.check_index_change(caller, index).await?;
        self.change(async |snapshot| {
            let stored = require_index(snapshot, index).await?;
            if !stored.value.is_volatile() {
                return Err(IndexError::NonVolatile(index.clone()));
            }
            let change = ChangeSet::new(caller.name().cloned(), self.clock.now())
                .expect(Expectation::Index(index.clone(), Some(stored.changed_at)))
                .with(Operation::RemoveIndex(index.clone()));
            Ok(Decision::write(change, ()))
        })
        .await
    }
}

/// The configuration of an index, if it exists.
pub(super) async fn find_index(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
) -> Result<Option<Stored<IndexConfig>>, StorageError> {
    let stored = snapshot.get_index(index).await?;
    let configured =
        |Stored { changed_at, value }| Stored { changed_at, value: IndexConfig::from_settings(value) };
    Ok(stored.map(configured))
}

/// The configuration of an index that must exist.
async fn require_index(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
) -> Result<Stored<IndexConfig>, IndexError> {
    find_index(snapshot, index).await?.ok_or_else(|| IndexError::Unknown(index.clone()))
}

/// Checks that all bases are well formed and exist, and says so as expectations; and that a walk over them and theirs is not
/// too long. An index may be its own base.
async fn check_bases(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
    config: &IndexConfig,
) -> Result<Vec<Expectation>, IndexError> {
    let mut expectations = Vec::new();
    let mut errors = Vec::new();
    for spec in config.base_specs() {
        let Some(base) = IndexName::parse(spec) else {
            errors.push(format!("invalid base index spec: {}", python::quote(spec)));
            continue;
        };
        match snapshot.get_index(&base).await? {
            Some(_) if base == *index => {}
            Some(stored) => expectations.push(Expectation::Index(base, Some(stored.changed_at))),
            None => errors.push(format!("base index {} does not exist", python::quote(spec))),
        }
    }
    if !errors.is_empty() {
        return Err(ConfigError::Bases(errors).into());
    }
    let (index, changed_at, config) = (index.clone(), Serial(0), config.clone());
    match resolution_order_from(snapshot, Station { index, changed_at, config }).await {
        Ok(_) => Ok(expectations),
        Err(error @ WalkError::TooLong(_)) => Err(ConfigError::LongWalk(error.to_string()).into()),
        Err(WalkError::Storage(error)) => Err(error.into()),
    }
}

fn exists(index: &IndexName) -> IndexError {
    IndexError::Exists(python::quote(&index.to_string()))
}
