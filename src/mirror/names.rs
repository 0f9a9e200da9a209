//! The names of an upstream's projects.
//!
//! Who may make an index may make many mirrors of large upstreams: the lists in memory have a bound together, and those
//! that are not there are read from the store.

use std::sync::{Arc, Weak};

use dashmap::DashMap;
use jiff::Timestamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;
use tracing::{info, warn};

use super::Mirrors;
use super::check::later;
use super::error::UpstreamError;
use super::settings::Mirror;
use super::states::Staleness;
use super::upstream::{Page, PageAnswer, RawPage, shown};
use crate::pep::digest::Sha256;
use crate::pep::name::{MAX_NAME_BYTES, ProjectName};
use crate::pep::simple_read::read_list;
use crate::storage::StorageError;
use crate::storage::mirrored::{NameList, NameListBuilder, Note, StoredNames};
use crate::storage::model::IndexName;
use crate::storage::packed::Packed;

/// The projects of a mirror.
#[derive(Clone, Debug)]
pub struct ListedNames {
    /// Their normalised names.
    pub names: Arc<NameList>,
    /// Why they may not be those that the upstream has.
    pub stale: Option<Staleness>,
}

/// What is remembered of a mirror's list.
#[derive(Clone)]
pub(super) struct List {
    /// What the upstream said last.
    stored: Option<StoredNames>,
    /// When it is to be asked again.
    due_at: Timestamp,
    /// Why it could not be asked.
    error: Option<UpstreamError>,
}

/// About what a list takes besides its names.
const BYTES_PER_LIST: u64 = 512;

/// The largest part of the memory for lists that one may take.
const LARGEST_SHARE: u64 = 4;

#[derive(Clone)]
struct ByNames;

impl Weighter<IndexName, Arc<List>> for ByNames {
    fn weight(&self, _: &IndexName, list: &Arc<List>) -> u64 {
        BYTES_PER_LIST + list.stored.as_ref().map_or(0, |stored| stored.names.memory() as u64)
    }
}

/// The lists that are in memory.
pub(super) struct Lists {
    lists: Cache<IndexName, Arc<List>, ByNames>,
    /// By their hash all names that somebody has, be it an answer that a client takes long to read.
    names: DashMap<Sha256, Weak<NameList>>,
}

impl Lists {
    /// Lists of at most `bytes` bytes together.
    pub(super) fn new(bytes: u64) -> Self {
        // So few that they share one table: with more of them each would have its part of the bytes only.
        Self { lists: Cache::with_weighter(16, bytes, ByNames), names: DashMap::new() }
    }

    fn get(&self, index: &IndexName) -> Option<Arc<List>> {
        self.lists.get(index)
    }

    /// The list from memory, else what `load` loads, once for all who ask at the same time.
    async fn get_or_load(
        &self,
        index: &IndexName,
        load: impl Future<Output = Result<List, StorageError>>,
    ) -> Result<(), StorageError> {
        let load = async { load.await.map(|list| self.share(list)) };
        self.lists.get_or_insert_async(index, load).await.map(|_| ())
    }

    fn insert(&self, index: &IndexName, list: List) -> Arc<List> {
        let list = self.share(list);
        self.lists.insert(index.clone(), Arc::clone(&list));
        list
    }

    fn remove(&self, index: &IndexName) {
        self.lists.remove(index);
    }

    /// A list with the names that somebody has already, if they are the same.
    fn share(&self, mut list: List) -> Arc<List> {
        if let Some(stored) = &mut list.stored {
            let hash = stored.names.hash();
            let held = self.names.get(&hash).and_then(|names| names.upgrade());
            if let Some(held) = held {
                stored.names = held;
            } else {
                self.names.retain(|_, names| names.strong_count() > 0);
                self.names.insert(hash, Arc::downgrade(&stored.names));
            }
        }
        Arc::new(list)
    }
}

impl Mirrors {
    /// Whether the upstream is known not to have a project: its list is here, has not expired, and lacks it.
    pub(super) fn is_unlisted(&self, mirror: &Mirror, project: &str) -> bool {
        let Some(list) = self.lists.get(&mirror.index) else { return false };
        let names = list.stored.as_ref().filter(|stored| {
            mirror.settings.has_project_list
                && stored.source == mirror.source()
                && list.error.is_none()
                && self.clock.now() < list.due_at
        });
        names.is_some_and(|stored| !stored.names.contains(project))
    }

    /// The projects of a mirror: what the upstream lists, else those of which there is a page.
    pub async fn names(self: &Arc<Self>, mirror: &Mirror) -> Result<ListedNames, StorageError> {
        if !mirror.settings.has_project_list || self.options.offline {
            return Ok(ListedNames { names: self.held_names(&mirror.index).await?, stale: None });
        }
        self.lists.get_or_load(&mirror.index, self.load_list(mirror)).await?;
        let list = match self.current_list(mirror) {
            Some(list) => Some(list),
            None => self.wait_for_list(mirror).await,
        };
        let list = list.or_else(|| self.lists.get(&mirror.index));
        let stored = list.as_ref().and_then(|list| list.stored.as_ref());
        let since = stored.map(|stored| stored.checked_at);
        let error = list.as_ref().and_then(|list| list.error.as_ref());
        let stale = error.map(|error| Staleness::new(since, error));
        let names = match stored.filter(|stored| stored.source == mirror.source()) {
            Some(stored) => Arc::clone(&stored.names),
            None => self.held_names(&mirror.index).await?,
        };
        Ok(ListedNames { names, stale })
    }

    /// The index was changed or removed: its list may be another one.
    pub(super) fn forget_list(&self, index: &IndexName) {
        self.lists.remove(index);
    }

    async fn held_names(&self, index: &IndexName) -> Result<Arc<NameList>, StorageError> {
        let names = self.meta.snapshot().await?.list_mirror_pages(index).await?;
        Ok(Arc::new(names.iter().map(|name| &**name).collect()))
    }

    async fn load_list(&self, mirror: &Mirror) -> Result<List, StorageError> {
        let stored = self.meta.snapshot().await?.get_mirror_names(&mirror.index).await?;
        let due_at =
            stored.as_ref().map_or(Timestamp::MIN, |stored| later(stored.checked_at, self.expiry(mirror)));
        Ok(List { stored, due_at, error: None })
    }

    /// The list that need not be asked for again yet.
    fn current_list(&self, mirror: &Mirror) -> Option<Arc<List>> {
        let list = self.lists.get(&mirror.index)?;
        let same = list.stored.as_ref().is_none_or(|stored| stored.source == mirror.source());
        (same && self.clock.now() < list.due_at).then_some(list)
    }

    async fn wait_for_list(self: &Arc<Self>, mirror: &Mirror) -> Option<Arc<List>> {
        let done = || self.current_list(mirror);
        let flight = self.list_flights.join_or_start(&mirror.index, done, |landing| {
            let (mirrors, mirror) = (Arc::clone(self), mirror.clone());
            self.spawn(async move {
                let before = mirrors.lists.get(&mirror.index);
                let list = mirrors.ask_for_list(&mirror, before.as_deref()).await;
                let list = mirrors.lists.insert(&mirror.index, list);
                landing.land(Arc::clone(&list));
                // Nobody has to wait for it to be kept.
                mirrors.keep_list(&mirror.index, before.as_deref(), &list).await;
            });
        });
        let waited = self.options.list_timeout.max(self.options.request_timeout);
        if let Ok(list) = timeout_at(flight.started + waited, flight.wait()).await {
            return list;
        }
        let list = self.lists.get(&mirror.index)?;
        let subject = format!("the projects of {}", mirror.index).into();
        let error = Some(UpstreamError::Slow { seconds: waited.as_secs_f64(), subject });
        Some(Arc::new(List { stored: list.stored.clone(), due_at: list.due_at, error }))
    }

    async fn ask_for_list(&self, mirror: &Mirror, before: Option<&List>) -> List {
        let held = before.and_then(|list| list.stored.clone());
        let held = held.filter(|held| held.source == mirror.source());
        let (now, expiry) = (self.clock.now(), self.expiry(mirror));
        match self.fetch_list(mirror, held.as_ref()).await {
            Ok(stored) => {
                List { due_at: later(stored.checked_at, expiry), stored: Some(stored), error: None }
            }
            Err(error) => {
                let reason = error.describe();
                warn!(index = %mirror.index, "the projects of {} are listed as they were: {reason}", mirror.index);
                let pause = expiry.min(self.options.limits.retry_pause);
                List { due_at: later(now, pause), stored: held, error: Some(error) }
            }
        }
    }

    /// Keeps a list for the next start, if it is another one.
    async fn keep_list(&self, index: &IndexName, before: Option<&List>, new: &List) {
        let before = before.and_then(|list| list.stored.as_ref());
        let Some(new) = &new.stored else { return };
        let same = |before: &StoredNames| {
            before.names.hash() == new.names.hash()
                && before.validators == new.validators
                && before.source == new.source
        };
        if before.is_some_and(same) {
            return;
        }
        if let Err(error) = self.note_names(index, new.clone()).await {
            warn!("cannot keep the projects of {index}: {:#}", anyhow::Error::from(error));
        }
    }

    async fn note_names(&self, index: &IndexName, new: StoredNames) -> Result<(), StorageError> {
        let StoredNames { names, validators, checked_at, source } = new;
        let names = spawn_blocking(move || Packed::new(&*names)).await??;
        let index = index.clone();
        self.meta.note(vec![Note::NamesListed { index, names, validators, source, checked_at }]).await
    }

    async fn fetch_list(
        &self,
        mirror: &Mirror,
        held: Option<&StoredNames>,
    ) -> Result<StoredNames, UpstreamError> {
        let url = mirror.settings.url.as_ref().ok_or_else(|| UpstreamError::NoUrl(mirror.index.clone()))?;
        let _permit = self.permits.page(&mirror.index).await?;
        let known = held.map(|held| &held.validators);
        let known = known.filter(|known| known.etag.is_some() || known.last_modified.is_some());
        let memory = self.permits.body(&mirror.index);
        let raw = match (self.client.get_page(mirror, url, known, Page::List, memory).await?, held) {
            (PageAnswer::Page(raw), _) => *raw,
            (PageAnswer::NotModified, Some(held)) => {
                return Ok(StoredNames { checked_at: self.clock.now(), ..held.clone() });
            }
            (PageAnswer::NotModified, None) => {
                return Err(UpstreamError::Status { status: 304, url: shown(url) });
            }
            (PageAnswer::Missing, _) => return Err(UpstreamError::Status { status: 404, url: shown(url) }),
        };
        let validators = raw.validators.clone();
        let most = usize::try_from(self.options.limits.list_memory / LARGEST_SHARE).unwrap_or(usize::MAX);
        let names = spawn_blocking(move || read_names(raw, most)).await.map_err(StorageError::from)??;
        info!(index = %mirror.index, "{} lists {} projects", mirror.index, names.len());
        let (names, checked_at) = (Arc::new(names), self.clock.now());
        Ok(StoredNames { names, validators, checked_at, source: mirror.source() })
    }
}

/// Takes the names out of a list of projects, of which there may be a million. An error if they take more than `most`
/// bytes of memory. Names that no project here can have are left out.
fn read_names(raw: RawPage, most: usize) -> Result<NameList, UpstreamError> {
    let mut builder = NameListBuilder::default();
    let mut add = |name: &str| {
        let name = ProjectName::from_url(name);
        if name.normal().len() <= MAX_NAME_BYTES && builder.memory() <= most {
            builder.push(name.normal());
        }
    };
    read_list(&raw.body, &raw.content_type, &raw.url, &mut add)
        .map_err(|cause| UpstreamError::Malformed { url: shown(&raw.url), cause })?;
    if builder.memory() > most {
        return Err(UpstreamError::TooLarge { url: shown(&raw.url), limit: most });
    }
    // Tens of megabytes that the sorting needs more.
    drop(raw);
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::mirrored::Validators;

    fn list(count: usize) -> List {
        let names: Vec<String> = (0..count).map(|number| format!("project-{number}")).collect();
        let names = Arc::new(names.iter().map(String::as_str).collect());
        let (validators, checked_at) = (Validators::default(), Timestamp::UNIX_EPOCH);
        let stored = StoredNames { names, validators, checked_at, source: "".into() };
        List { stored: Some(stored), due_at: Timestamp::MAX, error: None }
    }

    #[test]
    fn lists_take_no_more_memory_than_they_may() {
        let lists = Lists::new(100_000);
        for number in 0..100 {
            let index = IndexName::new("alice", format!("mirror{number}"));
            lists.insert(&index, list(1000 + number));
            assert!(lists.get(&index).is_some(), "the newest one is there");
            assert!(lists.lists.weight() <= 100_000, "{}", lists.lists.weight());
        }
        assert!(lists.lists.len() >= 4, "{}", lists.lists.len());
        assert!(lists.names.len() <= lists.lists.len() + 1, "{}", lists.names.len());
    }

    #[tokio::test]
    async fn the_same_names_are_there_once() {
        let lists = Lists::new(100_000);
        let names = |list: &List| Arc::clone(&list.stored.as_ref().unwrap().names);
        let (one, other) = (IndexName::new("alice", "one"), IndexName::new("alice", "other"));
        let first = lists.insert(&one, list(1000));
        // As if it had been pushed out while a client reads it.
        lists.remove(&one);
        for index in [&one, &other] {
            lists.get_or_load(index, async { Ok(list(1000)) }).await.unwrap();
            assert!(Arc::ptr_eq(&names(&first), &names(&lists.get(index).unwrap())));
        }
        lists.get_or_load(&one, async { panic!("it is in memory") }).await.unwrap();
    }
}
