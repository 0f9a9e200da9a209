//! The door to all rules, and how they read and write.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::acl::AccessPolicy;
use super::kept_indexes::KeptIndexConfigs;
use super::stage_files::KeptStageFiles;
use super::stale::{StaleObserver, StaleTracker};
use crate::archive::Limits as ArchiveLimits;
use crate::blocking::Threads;
use crate::clock::Clock;
use crate::mirror::Mirrors;
use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::files::{FileStore, IncomingFile, ReceivedFile, References};
use crate::storage::meta::{ChangeSet, CommitError, MetaStore, Snapshot};
use crate::storage::model::Serial;

/// Bounds of a [`Registry`].
#[derive(Clone, Copy, Debug)]
pub struct RegistryLimits {
    /// How often a decision is made anew because others were faster.
    pub commit_attempts: usize,
    /// How many bases an index may have.
    pub index_bases: usize,
    /// How long the settings of an index or of a user may be, in bytes of JSON.
    pub settings: usize,
    /// The most results of test runs that a release file may have.
    pub tox_results: usize,
    /// What uploaded archives may have inside.
    pub archive: ArchiveLimits,
    /// How many uploads are stored at once, once they have arrived; further ones wait. At least one.
    pub parallel_uploads: usize,
    /// How many files of large projects are kept in order, each of which takes about 400 bytes of memory.
    pub kept_files: u64,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self {
            commit_attempts: 200,
            index_bases: 200,
            settings: 65_536,
            tox_results: 10_000,
            archive: ArchiveLimits::default(),
            parallel_uploads: 64,
            kept_files: 50_000,
        }
    }
}

/// Users, indexes, projects and files, with the rules about them.
pub struct Registry {
    pub(super) meta: Arc<dyn MetaStore>,
    pub(super) files: Arc<dyn FileStore>,
    pub(super) mirrors: Arc<Mirrors>,
    pub(super) policy: AccessPolicy,
    pub(super) clock: Clock,
    pub(super) limits: RegistryLimits,
    pub(super) stage_files: Arc<KeptStageFiles>,
    pub(super) index_configs: Arc<KeptIndexConfigs>,
    /// For uploads, once they have arrived.
    threads: Threads,
    /// Work that goes on without the client who asked for it.
    pub(super) tasks: TaskTracker,
}

/// What a rule decided on one snapshot.
pub(super) struct Decision<T> {
    /// What is to be written; `None` if nothing is.
    pub(super) change: Option<ChangeSet>,
    /// What the rule answers once that is written.
    pub(super) answer: T,
}

impl<T> Decision<T> {
    pub(super) fn write(change: ChangeSet, answer: T) -> Self {
        Self { change: Some(change), answer }
    }

    pub(super) fn keep(answer: T) -> Self {
        Self { change: None, answer }
    }
}

impl Registry {
    /// Opens the registry over stores that nothing else writes to but `mirrors`, which must have the same;
    /// `observers` hear what every write makes stale.
    pub async fn open(
        meta: Arc<dyn MetaStore>,
        files: Arc<dyn FileStore>,
        mirrors: Arc<Mirrors>,
        policy: AccessPolicy,
        clock: Clock,
        limits: RegistryLimits,
        mut observers: Vec<Arc<dyn StaleObserver>>,
    ) -> Result<Self, StorageError> {
        let indexes = meta.snapshot().await?.list_indexes(None).await?;
        // First, so that whoever makes a page anew finds what it is made of forgotten.
        observers.insert(0, Arc::clone(&mirrors) as _);
        let index_configs = Arc::new(KeptIndexConfigs::new());
        observers.push(Arc::clone(&index_configs) as _);
        meta.listen(Arc::new(StaleTracker::new(&indexes, observers)));
        let stage_files = Arc::new(KeptStageFiles::new(limits.kept_files));
        let threads = Threads::new(limits.parallel_uploads)?;
        let tasks = TaskTracker::new();
        Ok(Self { meta, files, mirrors, policy, clock, limits, stage_files, index_configs, threads, tasks })
    }

    /// Settles what a process that died has left in the file store. Returns how many contents were removed.
    pub async fn sweep(&self) -> Result<usize, StorageError> {
        self.files.settle(self).await
    }

    /// Finishes what is under way and closes the stores.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.tasks.close();
        self.tasks.wait().await;
        self.mirrors.close().await;
        self.meta.close().await
    }

    /// The serial of the newest change; `None` before the first.
    pub fn serial(&self) -> Option<Serial> {
        self.meta.serial()
    }

    /// Who may do what.
    pub fn policy(&self) -> &AccessPolicy {
        &self.policy
    }

    /// A view of everything at the newest serial.
    pub async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.meta.snapshot().await
    }

    /// Starts to take in the content of an upload.
    pub async fn receive_file(&self) -> Result<Box<dyn IncomingFile>, StorageError> {
        self.files.receive().await
    }

    /// Does work on one thread that may block, even if the client goes meanwhile.
    pub(super) async fn complete<T: Send + 'static, E: From<StorageError> + Send + 'static>(
        self: &Arc<Self>,
        work: impl AsyncFnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let registry = Arc::clone(self);
        let done = self.threads.complete(&self.tasks, async move || work(&registry).await);
        done.await.map_err(StorageError::from)?
    }

    /// Makes a content durable and lets `commit` name it. Throws it away after an error, and where `is_named` says of
    /// the outcome that the content was not needed. To be run by [`Self::complete`]: a content that a commit names must
    /// keep its lease until that is known.
    pub(super) async fn store_content<T, E: From<StorageError>>(
        &self,
        received: Box<dyn ReceivedFile>,
        is_named: fn(&T) -> bool,
        commit: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let lease = received.keep(self).await?;
        let outcome = commit().await;
        let settled = if outcome.as_ref().is_ok_and(is_named) {
            lease.confirm().await
        } else {
            lease.discard(self).await
        };
        // What is left over is settled at the next start; the outcome is not changed by it.
        if let Err(cause) = settled {
            warn!("cannot settle a content: {:#}", anyhow::Error::from(cause));
        }
        outcome
    }

    /// Lets `decide` look at a snapshot and commits what it decides; again on a newer one if others were faster.
    pub(super) async fn change<T, E: From<StorageError>>(
        &self,
        mut decide: impl AsyncFnMut(&mut dyn Snapshot) -> Result<Decision<T>, E>,
    ) -> Result<T, E> {
        for _ in 0..self.limits.commit_attempts {
            let mut snapshot = self.meta.snapshot().await?;
            let decision = decide(snapshot.as_mut()).await?;
            drop(snapshot);
            let Some(change) = decision.change else { return Ok(decision.answer) };
            match self.meta.commit(change).await {
                Ok(_) => return Ok(decision.answer),
                Err(CommitError::Outdated) => {}
                Err(CommitError::Storage(error)) => return Err(error.into()),
            }
        }
        Err(StorageError::Busy("too many others change the same record".into()).into())
    }
}

#[async_trait]
impl References for Registry {
    async fn is_referenced(&self, sha256: &Sha256) -> Result<bool, StorageError> {
        self.meta.snapshot().await?.is_referenced(sha256).await
    }
}
