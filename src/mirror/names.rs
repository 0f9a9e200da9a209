//! The names of an upstream's projects.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;
use tracing::{info, warn};

use super::Mirrors;
use super::check::later;
use super::error::UpstreamError;
use super::settings::Mirror;
use super::states::Staleness;
use super::upstream::{Page, PageAnswer, RawPage, shown};
use crate::pep::name::ProjectName;
use crate::pep::simple_read::read_list;
use crate::storage::StorageError;
use crate::storage::mirrored::{NameList, NameListBuilder, Note, StoredNames};
use crate::storage::model::IndexName;

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
        if !self.lists.contains_key(&mirror.index) {
            self.load_list(mirror).await?;
        }
        let list = match self.current_list(mirror) {
            Some(list) => Some(list),
            None => self.wait_for_list(mirror).await,
        };
        let list = list.or_else(|| self.lists.get(&mirror.index).map(|list| list.clone()));
        let (stored, error) = list.map_or((None, None), |list| (list.stored, list.error));
        let since = stored.as_ref().map(|stored| stored.checked_at);
        let stale = error.map(|error| Staleness::new(since, &error));
        let names = match stored.filter(|stored| stored.source == mirror.source()) {
            Some(stored) => stored.names,
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

    async fn load_list(&self, mirror: &Mirror) -> Result<(), StorageError> {
        let stored = self.meta.snapshot().await?.get_mirror_names(&mirror.index).await?;
        let due_at =
            stored.as_ref().map_or(Timestamp::MIN, |stored| later(stored.checked_at, self.expiry(mirror)));
        let list = List { stored, due_at, error: None };
        self.lists.entry(mirror.index.clone()).or_insert(list);
        Ok(())
    }

    /// The list that need not be asked for again yet.
    fn current_list(&self, mirror: &Mirror) -> Option<List> {
        let list = self.lists.get(&mirror.index)?;
        let same = list.stored.as_ref().is_none_or(|stored| stored.source == mirror.source());
        (same && self.clock.now() < list.due_at).then(|| list.clone())
    }

    async fn wait_for_list(self: &Arc<Self>, mirror: &Mirror) -> Option<List> {
        let done = || self.current_list(mirror);
        let flight = self.list_flights.join_or_start(&mirror.index, done, |landing| {
            let (mirrors, mirror) = (Arc::clone(self), mirror.clone());
            self.spawn(async move {
                let before = mirrors.lists.get(&mirror.index).and_then(|list| list.stored.clone());
                let list = mirrors.ask_for_list(&mirror).await;
                mirrors.lists.insert(mirror.index.clone(), list.clone());
                landing.land(list.clone());
                // Nobody has to wait for it to be kept.
                mirrors.keep_list(&mirror.index, before.as_ref(), list.stored).await;
            });
        });
        let waited = self.options.list_timeout.max(self.options.request_timeout);
        if let Ok(list) = timeout_at(flight.started + waited, flight.wait()).await {
            return list;
        }
        let mut list = self.lists.get(&mirror.index)?.clone();
        let subject = format!("the projects of {}", mirror.index).into();
        list.error = Some(UpstreamError::Slow { seconds: waited.as_secs_f64(), subject });
        Some(list)
    }

    async fn ask_for_list(&self, mirror: &Mirror) -> List {
        let held = self.lists.get(&mirror.index).and_then(|list| list.stored.clone());
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
    async fn keep_list(&self, index: &IndexName, before: Option<&StoredNames>, new: Option<StoredNames>) {
        let Some(new) = new else { return };
        let same = |before: &StoredNames| {
            before.names.hash() == new.names.hash()
                && before.validators == new.validators
                && before.source == new.source
        };
        if before.is_some_and(same) {
            return;
        }
        if let Err(error) = self.meta.note(vec![Note::Names(index.clone(), new)]).await {
            warn!("cannot keep the projects of {index}: {:#}", anyhow::Error::from(error));
        }
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
        let names = spawn_blocking(move || read_names(raw)).await.map_err(StorageError::from)??;
        info!(index = %mirror.index, "{} lists {} projects", mirror.index, names.len());
        let (names, checked_at) = (Arc::new(names), self.clock.now());
        Ok(StoredNames { names, validators, checked_at, source: mirror.source() })
    }
}

/// Takes the names out of a list of projects, of which there may be a million.
fn read_names(raw: RawPage) -> Result<NameList, UpstreamError> {
    let mut builder = NameListBuilder::default();
    let mut add = |name: &str| builder.push(ProjectName::from_url(name).normal());
    read_list(&raw.body, &raw.content_type, &raw.url, &mut add)
        .map_err(|cause| UpstreamError::Malformed { url: shown(&raw.url), cause })?;
    // Tens of megabytes that the sorting needs more.
    drop(raw);
    Ok(builder.finish())
}
