//! Checking projects: is what is held of them still what the upstream has?

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;

use super::Mirrors;
use super::check::{Check, Insistence, later};
use super::error::{MirrorError, UpstreamError};
use super::flights::Flight;
use super::settings::Mirror;
use super::states::{Checked, Currency, Key, Outcome, Refreshed, Remembered, Staleness, State};
use crate::pep::name::{MAX_NAME_BYTES, ProjectName};
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::mirrored::StoredPage;
use crate::storage::model::{IndexName, Serial};

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

    /// An index was changed or removed by the commit `serial`.
    pub fn forget_index(&self, index: &IndexName, serial: Serial) {
        self.states.forget_index(index, serial);
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
    ) -> Result<Refreshed, MirrorError> {
        match self.check_insisting(mirror, project, Insistence::Now).await? {
            Checked::Held(_, None) => Ok(Refreshed::Held),
            Checked::Held(_, Some(stale)) => Err(UpstreamError::Stale(stale.reason).into()),
            Checked::Missing => Ok(Refreshed::Missing),
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
        let mut key = self.states.key_of_check(mirror, project.normal());
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
        let mut place = self.permits.place(&mirror.index);
        if place.is_none() && !self.page_flights.contains(&key) {
            let error = UpstreamError::Busy(mirror.index.clone());
            self.note_unknown(&key, held.as_ref(), &error);
            return Ok(degraded(held, error));
        }
        let flight = loop {
            if let Some(flight) =
                self.join_or_start(mirror, project, &key, held.as_ref(), insistence, &mut place)
            {
                break flight;
            }
            // Another check has just put a page where there was none.
            if let Some(page) = self.read_held_page(&mirror.index, project.normal()).await? {
                return Ok(Checked::Held(page, None));
            }
            // It was removed again, just before the check told of it; or with the mirror.
            self.states.forget(&key);
            key = self.states.key_of_check(mirror, project.normal());
        };
        // Places are for projects: who waits for a check that another began takes none.
        drop(place);
        let waited = self.options.request_timeout;
        // A check that has been under way for longer does not keep anybody waiting any more.
        match timeout_at(flight.started + waited, flight.wait()).await {
            Ok(Some(checked)) => Ok(checked),
            Ok(None) => Ok(degraded(held, UpstreamError::Failed("the check was given up".into()))),
            Err(_) => {
                let subject =
                    format!("<NormalizedName '{}' '{}'>", project.display(), project.normal()).into();
                let error = UpstreamError::Slow { seconds: waited.as_secs_f64(), subject };
                // The check that goes on will say more.
                self.note_unknown(&key, held.as_ref(), &error);
                Ok(degraded(held, error))
            }
        }
    }

    /// Notes that nobody can say whether there is a project of which nothing is known, until the next question.
    fn note_unknown(&self, key: &Key, held: Option<&Arc<StoredPage>>, error: &UpstreamError) {
        if held.is_none() && self.states.get(key).is_none() {
            let outcome = Outcome::Failed(error.clone());
            self.states.set(key, State { due_at: self.clock.now(), outcome });
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
        place: &mut Option<OwnedSemaphorePermit>,
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
            let (key, held, place) = (key.clone(), held.cloned(), place.take());
            self.spawn(async move {
                let check = Check { mirrors: &mirrors, mirror: &mirror, project: &project, key: &key };
                landing.land(check.run(held, insistence).await);
                drop(place);
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
