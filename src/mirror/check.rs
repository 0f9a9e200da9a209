//! One check of one project: the question to the upstream, and what becomes of its answer.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::spawn_blocking;
use tracing::{debug, warn};

use super::Mirrors;
use super::error::UpstreamError;
use super::links::{make_page, odd_paths};
use super::settings::Mirror;
use super::states::{Checked, Key, Outcome, Staleness, State};
use super::upstream::{Page, PageAnswer, RawPage, shown};
use crate::pep::name::ProjectName;
use crate::pep::simple_read::read_detail;
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, CommitError, Expectation, Operation};
use crate::storage::mirrored::{MirrorPage, Note, StoredPage, Validators};
use crate::storage::model::Serial;
use crate::storage::packed::Packed;

/// How often at the most it is noted that an unchanged page was confirmed.
const NOTE_PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// Whether a page is asked for although it has not expired, and whatever is held of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insistence {
    WhenDue,
    Now,
}

/// One check of one project.
pub(super) struct Check<'a> {
    pub(super) mirrors: &'a Arc<Mirrors>,
    pub(super) mirror: &'a Mirror,
    pub(super) project: &'a ProjectName,
    pub(super) key: &'a Key,
}

impl Check<'_> {
    pub(super) async fn run(&self, held: Option<Arc<StoredPage>>, insistence: Insistence) -> Checked {
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
        let memory = mirrors.permits.body(&mirror.index);
        match mirrors.client.get_page(mirror, &url, known, Page::Project, memory).await? {
            // Whoever insists gets what the upstream has now, be it older than what is held (as in devpi).
            PageAnswer::Page(raw) => {
                self.take(*raw, held.filter(|_| insistence == Insistence::WhenDue)).await
            }
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
    async fn take(&self, raw: RawPage, held: Option<Arc<StoredPage>>) -> Result<Checked, UpstreamError> {
        let serial = self.judge_serial(&raw, held.as_deref())?;
        let (index, project, source) =
            (self.mirror.index.clone(), self.project.clone(), self.mirror.source());
        // Pages may have tens of thousands of files.
        let reading = spawn_blocking(move || {
            let RawPage { body, content_type, url, validators, memory, .. } = raw;
            let read = read_detail(&body, &content_type, &url, &project);
            let read = read.map_err(|cause| UpstreamError::Malformed { url: shown(&url), cause })?;
            let page = make_page(&index, read, validators, serial, source);
            let odd_paths = odd_paths(&project, &page);
            Ok::<_, UpstreamError>((page, odd_paths, memory))
        });
        // As long as the page is on its way, the memory for its body stands for what is made of that.
        let (page, odd_paths, _memory) = reading.await.map_err(StorageError::from)??;
        if let Some(held) = &held
            && held.page.shows_the_same_as(&page)
        {
            self.confirm(held, page.validators).await;
            return Ok(Checked::Held(Arc::clone(held), None));
        }
        let packing = spawn_blocking(move || Ok::<_, StorageError>((Packed::new(&page)?, page)));
        let (packed, page) = packing.await.map_err(StorageError::from)??;
        let checked_at = self.mirrors.clock.now();
        let Mirror { index, changed_at, .. } = self.mirror;
        let change = ChangeSet::new(None, checked_at)
            .expect(Expectation::SameIndex(index.clone(), *changed_at))
            .with(Operation::PutMirrorPage {
                index: index.clone(),
                project: self.project.clone(),
                page: packed,
                checked_at,
                odd_paths,
            });
        match self.mirrors.meta.commit(change).await {
            Ok(commit) => {
                let stored = StoredPage { changed_at: commit.serial, checked_at, page };
                Ok(Checked::Held(Arc::new(stored), None))
            }
            Err(CommitError::Outdated) => {
                Err(UpstreamError::Failed(format!("{index} was removed meanwhile").into()))
            }
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
        let page = changes_validators.then(|| MirrorPage { validators, ..held.page.clone() });
        match self.note_check(held.changed_at, page, now).await {
            Ok(()) if changes_validators => {
                // What is in memory has the old ones.
                self.mirrors.states.forget_project(&self.mirror.index, self.project.normal());
            }
            Ok(()) => {}
            Err(error) => debug!("cannot note a check: {:#}", anyhow::Error::from(error)),
        }
        self.set_held(now, now, None);
    }

    async fn note_check(
        &self,
        changed_at: Serial,
        page: Option<MirrorPage>,
        checked_at: Timestamp,
    ) -> Result<(), StorageError> {
        let page = match page {
            Some(page) => Some(spawn_blocking(move || Packed::new(&page)).await??),
            None => None,
        };
        let (index, project) = (self.mirror.index.clone(), self.project.normal().into());
        self.mirrors.meta.note(vec![Note::PageChecked { index, project, changed_at, page, checked_at }]).await
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

/// `time` after `start`; the end of time if that is too far.
pub(super) fn later(start: Timestamp, time: Duration) -> Timestamp {
    SignedDuration::try_from(time)
        .ok()
        .and_then(|time| start.checked_add(time).ok())
        .unwrap_or(Timestamp::MAX)
}
