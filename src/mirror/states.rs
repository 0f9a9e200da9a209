//! What is remembered of projects of mirrors: when they were checked, what came of it, and their pages.
//!
//! Everything here can be forgotten at any time: pages are in the store, and what is not remembered is checked anew.

use std::sync::Arc;

use dashmap::DashMap;
use jiff::Timestamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::error::UpstreamError;
use super::settings::Mirror;
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::mirrored::StoredPage;
use crate::storage::model::{IndexName, Serial};
use crate::weighted::weighted_cache;

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

/// A project of a mirror. Everything of an index is forgotten by the next epoch, which begins when its configuration is
/// changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    index: IndexName,
    epoch: Serial,
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
    /// When configurations were changed, since the server began.
    epochs: DashMap<IndexName, Serial>,
}

impl States {
    /// Remembers at most `projects` states and `bytes` bytes of pages.
    pub(super) fn new(projects: usize, bytes: u64) -> Self {
        Self { checks: Cache::new(projects), pages: weighted_cache(bytes, ByFiles), epochs: DashMap::new() }
    }

    pub(super) fn key(&self, index: &IndexName, project: &str) -> Key {
        let epoch = self.epochs.get(index).map_or(Serial(0), |epoch| *epoch);
        Key { index: index.clone(), epoch, project: project.into() }
    }

    /// The key for a check of a project. One with a configuration that has been changed since it was read must not count
    /// for those who have read the new one.
    pub(super) fn key_of_check(&self, mirror: &Mirror, project: &str) -> Key {
        let key = self.key(&mirror.index, project);
        Key { epoch: key.epoch.min(mirror.changed_at), ..key }
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
        self.forget(&self.key(index, project));
    }

    /// What is remembered under a key does not count any more.
    pub(super) fn forget(&self, key: &Key) {
        self.pages.remove(key);
        self.checks.remove(key);
    }

    /// The index was changed or removed by the commit `serial`.
    pub(super) fn forget_index(&self, index: &IndexName, serial: Serial) {
        self.epochs.insert(index.clone(), serial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::settings::MirrorSettings;

    #[test]
    fn a_check_with_an_old_configuration_counts_for_nobody_who_knows_the_new_one() {
        let index = IndexName::new("root", "pypi");
        let settings = MirrorSettings {
            url: None,
            login: None,
            cache_expiry: None,
            has_project_list: true,
            ignores_serial: false,
            uses_external_urls: false,
        };
        let mirror = |changed_at| Mirror {
            index: index.clone(),
            changed_at: Serial(changed_at),
            settings: settings.clone(),
        };
        let states = States::new(10, 1000);
        let before = states.key_of_check(&mirror(17), "demo");
        assert_eq!(before, states.key(&index, "demo"));
        states.forget_index(&index, Serial(20));
        let current = states.key(&index, "demo");
        assert_ne!(before, current);
        assert_ne!(states.key_of_check(&mirror(17), "demo"), current);
        assert_eq!(states.key_of_check(&mirror(20), "demo"), current);
        let outcome = Outcome::Missing;
        let outdated = states.key_of_check(&mirror(17), "demo");
        states.set(&outdated, State { due_at: Timestamp::MAX, outcome });
        states.forget(&outdated);
        assert!(states.get(&outdated).is_none());
        // The commit of a still newer one has not been told yet.
        assert_eq!(states.key_of_check(&mirror(25), "demo"), current);
    }
}
