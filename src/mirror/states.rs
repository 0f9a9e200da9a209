//! What is remembered of projects of mirrors: when they were checked, what came of it, and their pages.
//!
//! Everything here can be forgotten at any time: pages are in the store, and what is not remembered is checked anew.

use std::sync::Arc;

use dashmap::DashMap;
use jiff::Timestamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::error::UpstreamError;
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::mirrored::StoredPage;
use crate::storage::model::{IndexName, Serial};

/// About how much memory one file of a page takes besides its texts.
const BYTES_PER_FILE: usize = 300;

/// About how much memory is taken by each project that is remembered.
const BYTES_PER_PROJECT: usize = 512;

/// Since when, and why, what is shown may not be what the upstream has.
#[derive(Clone, Debug)]
pub struct Staleness {
    /// When the upstream last confirmed it; `None` if it never said anything.
    pub since: Option<Timestamp>,
    /// Why it could not be asked again.
    pub reason: Arc<str>,
}

impl Staleness {
    /// `since` may be the beginning of time: of a page that comes from devpi-server nobody knows when it was checked.
    pub(super) fn new(since: Option<Timestamp>, error: &UpstreamError) -> Self {
        let since = since.filter(|since| *since > Timestamp::UNIX_EPOCH);
        Self { since, reason: error.to_string().into() }
    }
}

/// What is known of a project of a mirror after a check.
#[derive(Clone, Debug)]
pub enum Checked {
    /// There is a page.
    Held(Arc<StoredPage>, Option<Staleness>),
    /// The upstream does not have the project.
    Missing,
    /// The upstream did not help, and nothing is held.
    Failed(UpstreamError),
}

/// What asking an upstream anew for a project came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// What is held is what the upstream has now.
    Held,
    /// The upstream does not have the project, and nothing is held.
    Missing,
}

/// Whether what is shown of a project can go out as it is.
#[derive(Clone, Debug)]
pub enum Currency {
    /// It can.
    Current(Option<Staleness>),
    /// The upstream has to be asked first.
    Due,
}

/// What came of the last check of a project.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// When it is to be checked again.
    pub(super) due_at: Timestamp,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// A page is in the store.
    Held {
        /// When the upstream last confirmed it.
        checked_at: Timestamp,
        /// When that was last noted in the store.
        noted_at: Timestamp,
        /// Why it could not be confirmed since.
        stale: Option<Staleness>,
    },
    Missing,
    Failed(UpstreamError),
}

impl State {
    pub(super) fn currency(&self, now: Timestamp) -> Currency {
        if now >= self.due_at {
            return Currency::Due;
        }
        Currency::Current(match &self.outcome {
            Outcome::Held { stale, .. } => stale.clone(),
            Outcome::Missing => None,
            Outcome::Failed(error) => Some(Staleness::new(None, error)),
        })
    }
}

/// A project of a mirror. Everything of an index is forgotten by counting up its epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    index: IndexName,
    epoch: u64,
    project: Arc<str>,
}

/// What the store has of a project: a page or none.
#[derive(Clone)]
pub(super) struct Remembered(pub(super) Option<Arc<StoredPage>>);

#[derive(Clone)]
struct ByFiles;

impl Weighter<Key, Remembered> for ByFiles {
    fn weight(&self, key: &Key, page: &Remembered) -> u64 {
        let page = page.0.as_ref().map_or(0, |page| {
            let files = page.page.files.iter().map(|file| {
                let hashes: usize = file.read.hashes.iter().map(|(_, value)| value.len()).sum();
                BYTES_PER_FILE + file.read.url.len() + file.path.as_str().len() + hashes
            });
            let versions = page.page.versions.iter().map(|version| version.len() + 16);
            files.chain(versions).sum()
        });
        (BYTES_PER_PROJECT + key.project.len() + page) as u64
    }
}

/// See the module.
pub(super) struct States {
    checks: Cache<Key, State>,
    pages: Cache<Key, Remembered, ByFiles>,
    epochs: DashMap<IndexName, u64>,
}

impl States {
    /// Remembers at most `projects` states and `bytes` bytes of pages.
    pub(super) fn new(projects: usize, bytes: u64) -> Self {
        let expected = usize::try_from(bytes / 65_536).unwrap_or(usize::MAX).max(64);
        Self {
            checks: Cache::new(projects),
            pages: Cache::with_weighter(expected, bytes, ByFiles),
            epochs: DashMap::new(),
        }
    }

    pub(super) fn key(&self, index: &IndexName, project: &str) -> Key {
        let epoch = self.epochs.get(index).map_or(0, |epoch| *epoch);
        Key { index: index.clone(), epoch, project: project.into() }
    }

    pub(super) fn get(&self, key: &Key) -> Option<State> {
        self.checks.get(key)
    }

    pub(super) fn set(&self, key: &Key, state: State) {
        self.checks.insert(key.clone(), state);
    }

    /// The page from memory; `None` if memory does not tell.
    pub(super) fn remembered_page(&self, key: &Key) -> Option<Remembered> {
        self.pages.get(key)
    }

    /// The page from memory, else out of `snapshot`. Of several callers at once one reads. `newest` tells the serial of
    /// the newest commit: what is older than that is not kept.
    pub(super) async fn page(
        &self,
        key: &Key,
        snapshot: &mut dyn Snapshot,
        newest: impl Fn() -> Option<Serial>,
    ) -> Result<Option<Arc<StoredPage>>, StorageError> {
        match self.pages.get_value_or_guard_async(key).await {
            Ok(Remembered(page)) => Ok(page),
            Err(guard) => {
                let page = snapshot.get_mirror_page(&key.index, &key.project).await?.map(Arc::new);
                // A commit that comes later removes the guard; one that came since the snapshot began did so before.
                if snapshot.serial().await? == newest() {
                    let _changed_meanwhile = guard.insert(Remembered(page.clone()));
                }
                Ok(page)
            }
        }
    }

    /// The project's page was replaced or removed.
    pub(super) fn forget_project(&self, index: &IndexName, project: &str) {
        let key = self.key(index, project);
        self.pages.remove(&key);
        self.checks.remove(&key);
    }

    /// The index was changed or removed.
    pub(super) fn forget_index(&self, index: &IndexName) {
        *self.epochs.entry(index.clone()).or_default() += 1;
    }
}
