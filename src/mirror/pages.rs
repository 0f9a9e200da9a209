//! Checking projects: is what is held of them still what the upstream has?

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;
use tracing::{debug, warn};

use super::Mirrors;
use super::error::{MirrorError, UpstreamError};
use super::flights::Flight;
use super::links::{make_page, odd_paths};
use super::settings::Mirror;
use super::states::{Checked, Currency, Key, Outcome, Remembered, Staleness, State};
use super::upstream::{Page, PageAnswer, RawPage, shown};
use crate::pep::name::{MAX_NAME_BYTES, ProjectName};
use crate::pep::simple_read::read_detail;
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, CommitError, Operation, Snapshot};
use crate::storage::mirrored::{Note, StoredPage, Validators};
use crate::storage::model::IndexName;

/// How often at the most it is noted that an unchanged page was confirmed.
const NOTE_PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// Whether a page is asked for although it has not expired, and whatever is held of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Insistence {
    WhenDue,
    Now,
}

impl Mirrors {
    /// Whether what is shown of a project can go out without asking the upstream.
    pub fn currency(&self, index: &IndexName, project: &str) -> Currency {
        match self.states.get(&self.states.key(index, project)) {
            Some(state) => state.currency(self.clock.now()),
            None if self.options.offline => Currency::Current(None),
            None => Currency::Due,
        }
    }

    /// Whether the last check of a project did not help, and nothing is held of it.
    pub fn has_failed(&self, index: &IndexName, project: &str) -> bool {
        let state = self.states.get(&self.states.key(index, project));
        matches!(state, Some(State { outcome: Outcome::Failed(_), .. }))
    }

    /// What is held of a project, whether or not it has expired; read in a snapshot that the caller has.
    pub async fn held_page(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        project: &str,
    ) -> Result<Option<Arc<StoredPage>>, StorageError> {
        if project.len() > MAX_NAME_BYTES {
            return Ok(None);
        }
        let key = self.states.key(index, project);
        self.states.page(&key, snapshot, || self.meta.serial()).await
    }

    /// The same in a snapshot of its own. That is opened before others are waited for who may hold the last ones.
    async fn read_held_page(
        &self,
        index: &IndexName,
        project: &str,
    ) -> Result<Option<Arc<StoredPage>>, StorageError> {
        if let Some(Remembered(page)) = self.states.remembered_page(&self.states.key(index, project)) {
            return Ok(page);
        }
        self.held_page(self.meta.snapshot().await?.as_mut(), index, project).await
    }

    /// A page of an index was replaced or removed.
    pub fn forget_project(&self, index: &IndexName, project: &str) {
        self.states.forget_project(index, project);
    }

    /// An index was changed or removed.
    pub fn forget_index(&self, index: &IndexName) {
        self.states.forget_index(index);
        self.permits.forget(index);
        self.forget_list(index);
    }

    /// What the upstream has of a project, as far as it can be told in time.
    pub async fn check(
        self: &Arc<Self>,
        mirror: &Mirror,
        project: &ProjectName,
    ) -> Result<Checked, StorageError> {
        self.check_insisting(mirror, project, Insistence::WhenDue).await
    }

    /// Asks the upstream for a project now, and for all of its page.
    pub async fn refresh(
        self: &Arc<Self>,
        mirror: &Mirror,
        project: &ProjectName,
    ) -> Result<(), MirrorError> {
        match self.check_insisting(mirror, project, Insistence::Now).await? {
            Checked::Held(_, None) => Ok(()),
            Checked::Held(_, Some(stale)) => Err(UpstreamError::Stale(stale.reason).into()),
            Checked::Missing => {
                let url = mirror.page_url(project.normal());
                let url = url.as_ref().map_or_else(|| "".into(), shown);
                Err(UpstreamError::Status { status: 404, url }.into())
            }
            Checked::Failed(error) => Err(error.into()),
        }
    }

    async fn check_insisting(
        self: &Arc<Self>,
        mirror: &Mirror,
        project: &ProjectName,
        insistence: Insistence,
    ) -> Result<Checked, StorageError> {
        if project.normal().len() > MAX_NAME_BYTES {
            return Ok(Checked::Missing);
        }
        let key = self.states.key(&mirror.index, project.normal());
        let mut held = self.read_held_page(&mirror.index, project.normal()).await?;
        if insistence == Insistence::WhenDue
            && let Some(checked) = self.answer_from_memory(mirror, &key, held.as_ref())
        {
            return Ok(checked);
        }
        if self.options.offline {
            return Ok(match (held.take(), insistence) {
                (Some(page), Insistence::WhenDue) => Checked::Held(page, None),
                (None, Insistence::WhenDue) => Checked::Missing,
                (_, Insistence::Now) => Checked::Failed(UpstreamError::Offline),
            });
        }
        if self.page_flights.len() >= self.options.limits.pending_pages && !self.page_flights.contains(&key) {
            return Ok(degraded(held, UpstreamError::Busy(mirror.index.clone())));
        }
        let flight = loop {
            if let Some(flight) = self.join_or_start(mirror, project, &key, held.as_ref(), insistence) {
                break flight;
            }
            // Another check has just put a page where there was none.
            if let Some(page) = self.read_held_page(&mirror.index, project.normal()).await? {
                return Ok(Checked::Held(page, None));
            }
            // It was removed again, just before the check told of it.
            self.states.forget_project(&mirror.index, project.normal());
        };
        let waited = self.options.request_timeout;
        // A check that has been under way for longer does not keep anybody waiting any more.
        match timeout_at(flight.started + waited, flight.wait()).await {
            Ok(Some(checked)) => Ok(checked),
            Ok(None) => Ok(degraded(held, UpstreamError::Failed("the check was given up".into()))),
            Err(_) => {
                let subject =
                    format!("<NormalizedName '{}' '{}'>", project.display(), project.normal()).into();
                let error = UpstreamError::Slow { seconds: waited.as_secs_f64(), subject };
                if held.is_none() && self.states.get(&key).is_none() {
                    // The check that goes on will say more.
                    let outcome = Outcome::Failed(error.clone());
                    self.states.set(&key, State { due_at: self.clock.now(), outcome });
                }
                Ok(degraded(held, error))
            }
        }
    }

    /// What the last check said, if it still counts.
    fn answer_from_memory(
        &self,
        mirror: &Mirror,
        key: &Key,
        held: Option<&Arc<StoredPage>>,
    ) -> Option<Checked> {
        let now = self.clock.now();
        let Some(state) = self.states.get(key) else {
            // After a restart the store knows.
            let page = held.filter(|page| page.page.source == mirror.source())?;
            let due_at = later(page.checked_at, self.expiry(mirror));
            let (checked_at, noted_at) = (page.checked_at, page.checked_at);
            let outcome = Outcome::Held { checked_at, noted_at, stale: None };
            // A clock that was set back must not keep a page for ever.
            if due_at <= now || checked_at > now {
                return None;
            }
            self.states.set(key, State { due_at, outcome });
            return Some(Checked::Held(Arc::clone(page), None));
        };
        match (state.currency(now), state.outcome, held) {
            (Currency::Current(stale), _, Some(page)) => Some(Checked::Held(Arc::clone(page), stale)),
            (Currency::Current(_), Outcome::Missing, None) => Some(Checked::Missing),
            (Currency::Current(_), Outcome::Failed(error), None) => Some(Checked::Failed(error)),
            // It is due, or the page has been removed meanwhile.
            (Currency::Due, ..) | (_, Outcome::Held { .. }, None) => None,
        }
    }

    /// The check under way, or a new one; `None` if one that has ended has put a page where the caller saw none.
    fn join_or_start(
        self: &Arc<Self>,
        mirror: &Mirror,
        project: &ProjectName,
        key: &Key,
        held: Option<&Arc<StoredPage>>,
        insistence: Insistence,
    ) -> Option<Flight<Checked>> {
        let mut is_outdated = false;
        let done = || match insistence {
            Insistence::WhenDue if held.is_none() && self.has_page(key) => {
                is_outdated = true;
                Some(Checked::Missing)
            }
            Insistence::WhenDue => self.answer_from_memory(mirror, key, held),
            Insistence::Now => None,
        };
        let flight = self.page_flights.join_or_start(key, done, |landing| {
            let (mirrors, mirror, project) = (Arc::clone(self), mirror.clone(), project.clone());
            let (key, held) = (key.clone(), held.cloned());
            self.spawn(async move {
                let check = Check { mirrors: &mirrors, mirror: &mirror, project: &project, key: &key };
                landing.land(check.run(held, insistence).await);
            });
        });
        (!is_outdated).then_some(flight)
    }

    /// Whether the last check found a page, and still counts.
    fn has_page(&self, key: &Key) -> bool {
        let state = self.states.get(key).filter(|state| self.clock.now() < state.due_at);
        matches!(state, Some(State { outcome: Outcome::Held { .. }, .. }))
    }
}

/// One check of one project.
struct Check<'a> {
    mirrors: &'a Arc<Mirrors>,
    mirror: &'a Mirror,
    project: &'a ProjectName,
    key: &'a Key,
}

impl Check<'_> {
    async fn run(&self, held: Option<Arc<StoredPage>>, insistence: Insistence) -> Checked {
        // What another upstream said is shown until this one has answered, but is not compared with.
        let comparable = held.clone().filter(|held| held.page.source == self.mirror.source());
        let asked = match (self.ask(comparable, insistence).await, &held) {
            // What was seen elsewhere, but not here, is shown like what has vanished.
            (Ok(Checked::Missing), Some(_)) => {
                let url = self.mirror.page_url(self.project.normal());
                Err(UpstreamError::Status { status: 404, url: url.as_ref().map_or_else(|| "".into(), shown) })
            }
            (asked, _) => asked,
        };
        match asked {
            Ok(checked) => {
                self.remember(&checked);
                checked
            }
            Err(error) => {
                let Mirror { index, .. } = self.mirror;
                let project = self.project.normal();
                let reason = error.describe();
                if held.is_some() {
                    warn!(%index, project, "{project} of {index} is shown as it was: {reason}");
                } else {
                    warn!(%index, project, "{project} of {index} cannot be shown: {reason}");
                }
                let since = self.last_checked(held.as_deref());
                let checked = match held {
                    Some(page) => Checked::Held(page, Some(Staleness::new(since, &error))),
                    None => Checked::Failed(error),
                };
                self.remember(&checked);
                checked
            }
        }
    }

    /// When the upstream last confirmed what is held.
    fn last_checked(&self, held: Option<&StoredPage>) -> Option<Timestamp> {
        match self.mirrors.states.get(self.key).map(|state| state.outcome) {
            Some(Outcome::Held { checked_at, .. }) => Some(checked_at),
            _ => held.map(|held| held.checked_at),
        }
    }

    async fn ask(
        &self,
        held: Option<Arc<StoredPage>>,
        insistence: Insistence,
    ) -> Result<Checked, UpstreamError> {
        let (mirrors, mirror) = (self.mirrors, self.mirror);
        let project = self.project.normal();
        let url = mirror.page_url(project).ok_or_else(|| UpstreamError::NoUrl(mirror.index.clone()))?;
        if held.is_none() && insistence == Insistence::WhenDue && mirrors.is_unlisted(mirror, project) {
            return Ok(Checked::Missing);
        }
        let _permit = mirrors.permits.page(&mirror.index).await?;
        let known = held.as_ref().map(|held| &held.page.validators);
        let known = known.filter(|known| {
            insistence == Insistence::WhenDue && (known.etag.is_some() || known.last_modified.is_some())
        });
        match mirrors.client.get_page(mirror, &url, known, Page::Project).await? {
            PageAnswer::Page(raw) => self.take(*raw, held, insistence).await,
            PageAnswer::NotModified => match held {
                Some(held) => {
                    let validators = held.page.validators.clone();
                    self.confirm(&held, validators).await;
                    Ok(Checked::Held(held, None))
                }
                None => Err(UpstreamError::Status { status: 304, url: shown(&url) }),
            },
            PageAnswer::Missing => Ok(Checked::Missing),
        }
    }

    /// Takes a page over, if it is another than the one that is held.
    async fn take(
        &self,
        raw: RawPage,
        held: Option<Arc<StoredPage>>,
        insistence: Insistence,
    ) -> Result<Checked, UpstreamError> {
        let serial = self.judge_serial(&raw, held.as_deref())?;
        let (index, project, source) =
            (self.mirror.index.clone(), self.project.clone(), self.mirror.source());
        // Pages may have tens of thousands of files.
        let reading = spawn_blocking(move || {
            let RawPage { body, content_type, url, validators, memory: _memory, .. } = raw;
            let read = read_detail(&body, &content_type, &url, &project);
            let read = read.map_err(|cause| UpstreamError::Malformed { url: shown(&url), cause })?;
            let page = make_page(&index, read, validators, serial, source);
            let odd_paths = odd_paths(&project, &page);
            Ok::<_, UpstreamError>((page, odd_paths))
        });
        let (page, odd_paths) = reading.await.map_err(StorageError::from)??;
        if let Some(held) = &held
            && insistence == Insistence::WhenDue
            && held.page.shows_the_same_as(&page)
        {
            self.confirm(held, page.validators).await;
            return Ok(Checked::Held(Arc::clone(held), None));
        }
        let checked_at = self.mirrors.clock.now();
        let change = ChangeSet::new(None, checked_at).with(Operation::PutMirrorPage {
            index: self.mirror.index.clone(),
            project: self.project.clone(),
            page: Box::new(page.clone()),
            checked_at,
            odd_paths,
        });
        match self.mirrors.meta.commit(change).await {
            Ok(commit) => {
                let stored = StoredPage { changed_at: commit.serial, checked_at, page };
                Ok(Checked::Held(Arc::new(stored), None))
            }
            // The index has gone meanwhile.
            Err(CommitError::Outdated) => Ok(Checked::Missing),
            Err(CommitError::Storage(error)) => Err(error.into()),
        }
    }

    /// The serial to keep with a page; an error if the page is older than the one that is held.
    fn judge_serial(&self, raw: &RawPage, held: Option<&StoredPage>) -> Result<Option<u64>, UpstreamError> {
        match held.and_then(|held| held.page.serial) {
            _ if self.mirror.settings.ignores_serial => Ok(u64::try_from(raw.serial).ok()),
            Some(held) if raw.serial < i64::try_from(held).unwrap_or(i64::MAX) => {
                Err(UpstreamError::OldSerial { url: shown(&raw.url), new: raw.serial, held })
            }
            _ => Ok(u64::try_from(raw.serial).ok()),
        }
    }

    /// What is held is what the upstream has. That is noted now and then, for the next start.
    async fn confirm(&self, held: &StoredPage, validators: Validators) {
        let now = self.mirrors.clock.now();
        let noted_at = match self.mirrors.states.get(self.key).map(|state| state.outcome) {
            Some(Outcome::Held { noted_at, .. }) => noted_at,
            _ => held.checked_at,
        };
        if held.page.validators == validators && now.duration_since(noted_at) < NOTE_PAUSE {
            self.set_held(now, noted_at, None);
            return;
        }
        let changes_validators = held.page.validators != validators;
        let note = Note::PageChecked {
            index: self.mirror.index.clone(),
            project: self.project.normal().into(),
            validators: changes_validators.then_some(validators),
            checked_at: now,
        };
        match self.mirrors.meta.note(vec![note]).await {
            Ok(()) if changes_validators => {
                // What is in memory has the old ones.
                self.mirrors.states.forget_project(&self.mirror.index, self.project.normal());
            }
            Ok(()) => {}
            Err(error) => debug!("cannot note a check: {:#}", anyhow::Error::from(error)),
        }
        self.set_held(now, now, None);
    }

    fn remember(&self, checked: &Checked) {
        let now = self.mirrors.clock.now();
        let expiry = self.mirrors.expiry(self.mirror);
        let retry = expiry.min(self.mirrors.options.limits.retry_pause);
        match checked {
            Checked::Held(page, None) => {
                let noted_at = match self.mirrors.states.get(self.key).map(|state| state.outcome) {
                    Some(Outcome::Held { noted_at, .. }) => noted_at,
                    _ => page.checked_at,
                };
                self.set_held(now, noted_at, None);
            }
            Checked::Held(page, Some(stale)) => {
                let checked_at = stale.since.unwrap_or(page.checked_at);
                let outcome =
                    Outcome::Held { checked_at, noted_at: page.checked_at, stale: Some(stale.clone()) };
                self.mirrors.states.set(self.key, State { due_at: later(now, retry), outcome });
            }
            Checked::Missing => {
                let state = State { due_at: later(now, expiry), outcome: Outcome::Missing };
                self.mirrors.states.set(self.key, state);
            }
            Checked::Failed(error) => {
                let state = State { due_at: later(now, retry), outcome: Outcome::Failed(error.clone()) };
                self.mirrors.states.set(self.key, state);
            }
        }
    }

    fn set_held(&self, checked_at: Timestamp, noted_at: Timestamp, stale: Option<Staleness>) {
        let due_at = later(checked_at, self.mirrors.expiry(self.mirror));
        let outcome = Outcome::Held { checked_at, noted_at, stale };
        self.mirrors.states.set(self.key, State { due_at, outcome });
    }
}

/// What is shown when the upstream does not help.
fn degraded(held: Option<Arc<StoredPage>>, error: UpstreamError) -> Checked {
    match held {
        Some(page) => {
            let stale = Staleness::new(Some(page.checked_at), &error);
            Checked::Held(page, Some(stale))
        }
        None => Checked::Failed(error),
    }
}

/// `time` after `start`; the end of time if that is too far.
pub(super) fn later(start: Timestamp, time: Duration) -> Timestamp {
    SignedDuration::try_from(time)
        .ok()
        .and_then(|time| start.checked_add(time).ok())
        .unwrap_or(Timestamp::MAX)
}
