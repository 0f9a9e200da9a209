//! Uploads: distributions and registrations (`server-api` section 11).
//!
//! What can be judged without the store is judged first, in devpi's order, so that its messages come out the same;
//! the rest in the transaction. Nothing is kept of an upload that is refused.

use std::sync::Arc;

use super::acl::Caller;
use super::index::find_index;
use super::index_config::{IndexConfig, IndexKind};
use super::link::{Content, Placement, find_link, judge_placement, put_link, uploaded_link};
use super::python;
use super::registry::{Decision, Registry};
use super::upload_form::{ClaimedDigest, NewRelease, UploadError, UploadForm, check_form};
use crate::archive::{self, Limits};
use crate::blocking;
use crate::pep::digest::Sha256;
use crate::pep::filename;
use crate::storage::StorageError;
use crate::storage::files::{IncomingFile, ReceivedFile};
use crate::storage::meta::{ChangeSet, ExistingMetadata, Expectation, Operation, Snapshot};
use crate::storage::model::{IndexName, Link, Relation, Release, Stored, StoredPath};

/// A file that came with a form.
pub struct UploadedFile {
    /// Its name as the client gave it.
    pub name: String,
    /// Its content, which is all there but not ended.
    pub incoming: Box<dyn IncomingFile>,
}

/// What became of an accepted upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadOutcome {
    /// The file is stored.
    Stored,
    /// The very same file was there already, on a non-volatile index, and stays.
    Identical,
}

/// A distribution that passed all checks that need no store.
struct Distribution {
    release: NewRelease,
    file_name: Arc<str>,
    content: Content,
    core_metadata: Option<(Sha256, Vec<u8>)>,
}

impl Registry {
    /// Whether the caller may upload to the index; asked before the body is looked at.
    pub async fn check_upload(&self, caller: &Caller, index: &IndexName) -> Result<(), UploadError> {
        let config = self.index_configs.get(self.meta.as_ref(), index).await?;
        self.judge_upload(caller, index, config).map(|_| ())
    }

    /// Registers a release (`:action` `submit`): its metadata are replaced, its files stay.
    pub async fn register(
        &self,
        caller: &Caller,
        index: &IndexName,
        form: &UploadForm,
    ) -> Result<(), UploadError> {
        let new = NewRelease::new(form.metadata().complete())?;
        self.change(async |snapshot| {
            let config = self.require_upload(snapshot, caller, index).await?;
            let stored = snapshot.get_release(index, new.project.normal(), &new.version).await?;
            if stored.is_some_and(|stored| stored.metadata == new.metadata) {
                return Ok(Decision::keep(()));
            }
            let change = ChangeSet::new(caller.name().cloned(), self.clock.now())
                .expect(Expectation::Index(index.clone(), Some(config.changed_at)))
                .with(new.put(index, ExistingMetadata::Replace));
            Ok(Decision::write(change, ()))
        })
        .await
    }

    /// Stores a distribution (`:action` `file_upload`) and registers its release where needed.
    pub async fn upload(
        self: &Arc<Self>,
        caller: &Caller,
        index: &IndexName,
        form: &UploadForm,
        file: Option<UploadedFile>,
    ) -> Result<UploadOutcome, UploadError> {
        let UploadedFile { name, incoming } = file.ok_or(UploadError::NoFile)?;
        let release = check_form(form, &name)?;
        let claim = ClaimedDigest::of(form);
        let (caller, index) = (caller.clone(), index.clone());
        let store = async move |registry: &Self| {
            let received = incoming.finish().await?;
            let file_name: Arc<str> = name.into();
            let (received, core_metadata) = registry.inspect(received, claim, Arc::clone(&file_name)).await?;
            let distribution = Distribution {
                release,
                file_name,
                content: Content::of(received.as_ref()),
                core_metadata: core_metadata.map(|body| (Sha256::of(&body), body)),
            };
            let commit = async || registry.commit_upload(&caller, &index, &distribution).await;
            registry.store_content(received, |outcome| *outcome == UploadOutcome::Stored, commit).await
        };
        self.complete(store).await
    }

    async fn commit_upload(
        &self,
        caller: &Caller,
        index: &IndexName,
        new: &Distribution,
    ) -> Result<UploadOutcome, UploadError> {
        let (project, version) = (&new.release.project, &new.release.version);
        self.change(async |snapshot| {
            let config = self.require_upload(snapshot, caller, index).await?;
            let links = snapshot.list_links(index, project.normal(), Some(version)).await?;
            let old = find_link(&links, Relation::ReleaseFile, &new.file_name);
            let placement = judge_placement(&config.value, old.map(|old| &old.value), &new.content.sha256);
            if placement == Placement::Conflict {
                return Err(UploadError::Conflict(new.file_name.to_string()));
            }
            let change = ChangeSet::new(caller.name().cloned(), self.clock.now())
                .expect(Expectation::Index(index.clone(), Some(config.changed_at)))
                .expect(Expectation::File {
                    index: index.clone(),
                    project: project.clone(),
                    version: Arc::clone(version),
                    file_name: Arc::clone(&new.file_name),
                    changed_at: old.map(|old| old.changed_at),
                });
            if placement == Placement::Store {
                let old = old.map(|old| old.value.clone());
                return Ok(Decision::write(storing(change, index, new, old), UploadOutcome::Stored));
            }
            // The file stays, but its release may have new metadata, as with a registration.
            let stored = snapshot.get_release(index, project.normal(), version).await?;
            let same = |stored: Release| {
                stored.metadata.clone().updated_with(&new.release.metadata) == stored.metadata
            };
            if stored.is_some_and(same) {
                return Ok(Decision::keep(UploadOutcome::Identical));
            }
            let change = change.with(new.release.put(index, ExistingMetadata::Update));
            Ok(Decision::write(change, UploadOutcome::Identical))
        })
        .await
    }

    /// The configuration of an index to which the caller may upload. If it is one that is kept, it need not be that of the
    /// snapshot: a change must expect it.
    pub(super) async fn require_upload(
        &self,
        snapshot: &mut dyn Snapshot,
        caller: &Caller,
        index: &IndexName,
    ) -> Result<Arc<Stored<IndexConfig>>, UploadError> {
        let config = match self.index_configs.peek(index) {
            None => find_index(snapshot, index).await?.map(Arc::new),
            kept => kept,
        };
        self.judge_upload(caller, index, config)
    }

    /// Gives the configuration back if the caller may upload to an index that has it.
    fn judge_upload(
        &self,
        caller: &Caller,
        index: &IndexName,
        config: Option<Arc<Stored<IndexConfig>>>,
    ) -> Result<Arc<Stored<IndexConfig>>, UploadError> {
        let config = config.ok_or_else(|| UploadError::UnknownIndex(index.clone()))?;
        if config.value.kind() == IndexKind::Mirror {
            return Err(UploadError::Mirror);
        }
        if self.policy.may_upload(caller, &config.value) {
            return Ok(config);
        }
        Err(if caller.name().is_some() { UploadError::Forbidden } else { UploadError::Unauthenticated })
    }

    /// Compares a file with what its form claims of it, and looks into an archive, on a thread that may block: a zip must
    /// be readable, and a wheel's core metadata are taken out.
    async fn inspect(
        &self,
        received: Box<dyn ReceivedFile>,
        claim: Option<ClaimedDigest>,
        file_name: Arc<str>,
    ) -> Result<(Box<dyn ReceivedFile>, Option<Vec<u8>>), UploadError> {
        let limits = self.limits.archive;
        let inspected = blocking::run(move || {
            if let Some(claim) = claim {
                claim.check(received.as_ref())?;
            }
            if !filename::is_zip(&file_name) {
                return Ok((received, None));
            }
            let core_metadata = inspect_zip(&file_name, received.as_ref(), &limits)?;
            Ok((received, core_metadata))
        });
        inspected.await.map_err(StorageError::from)?
    }
}

/// Adds to a change the operations that store a distribution, in the place of an `old` one of its name.
fn storing(change: ChangeSet, index: &IndexName, new: &Distribution, old: Option<Link>) -> ChangeSet {
    let NewRelease { project, version, .. } = &new.release;
    let mut change = change.with(new.release.put(index, ExistingMetadata::Update));
    if let Some((sha256, body)) = &new.core_metadata {
        change = change.with(Operation::PutDocument(*sha256, body.clone()));
    }
    let path = StoredPath::for_upload(index, &new.content.sha256, &new.file_name);
    let link = uploaded_link(&change, index, Relation::ReleaseFile, path, project, version, new.content);
    let core_metadata = new.core_metadata.as_ref().map(|(sha256, _)| *sha256);
    put_link(&mut change, index, old, Link { core_metadata, ..link });
    change
}

fn inspect_zip(
    name: &str,
    received: &dyn ReceivedFile,
    limits: &Limits,
) -> Result<Option<Vec<u8>>, UploadError> {
    let file = received.open()?;
    let inspected = if filename::is_wheel(name) {
        archive::wheel_metadata(file, name, limits)
    } else {
        archive::check_zip(file, limits).map(|_| None)
    };
    inspected.map_err(|cause| UploadError::BrokenArchive { file: python::quote(name), cause })
}
