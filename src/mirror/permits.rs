//! How much is asked of one upstream at once: one that is slow must not keep the others waiting.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::{FetchError, UpstreamError};
use crate::storage::model::IndexName;

/// The permits of all mirrors.
pub(super) struct Permits {
    by_mirror: DashMap<IndexName, MirrorPermits>,
    limits: PermitLimits,
}

/// Bounds of [`Permits`], for each mirror.
#[derive(Clone, Copy, Debug)]
pub(super) struct PermitLimits {
    /// How many pages and small documents are asked for at once.
    pub(super) pages: usize,
    /// How many files are fetched at once.
    pub(super) files: usize,
    /// How many projects are asked for, or wait for that, at once.
    pub(super) pending: usize,
    /// How long a permit is waited for.
    pub(super) patience: Duration,
}

#[derive(Clone)]
struct MirrorPermits {
    pages: Arc<Semaphore>,
    files: Arc<Semaphore>,
    pending: Arc<Semaphore>,
}

impl Permits {
    pub(super) fn new(limits: PermitLimits) -> Self {
        Self { by_mirror: DashMap::new(), limits }
    }

    /// Waits until a page or a small document may be asked for.
    pub(super) async fn page(&self, mirror: &IndexName) -> Result<OwnedSemaphorePermit, UpstreamError> {
        self.acquire(self.of(mirror).pages).await.ok_or_else(|| UpstreamError::Busy(mirror.clone()))
    }

    /// Waits until a file may be fetched.
    pub(super) async fn file(&self, mirror: &IndexName) -> Result<OwnedSemaphorePermit, FetchError> {
        self.acquire(self.of(mirror).files).await.ok_or_else(|| FetchError::Busy(mirror.clone()))
    }

    /// A place among the projects that wait or are asked for; `None` if all are taken.
    pub(super) fn place(&self, mirror: &IndexName) -> Option<OwnedSemaphorePermit> {
        self.of(mirror).pending.try_acquire_owned().ok()
    }

    /// The mirror has been removed or changed. Those who have permits keep them.
    pub(super) fn forget(&self, mirror: &IndexName) {
        self.by_mirror.remove_if(mirror, |_, permits| {
            permits.pages.available_permits() == self.limits.pages
                && permits.files.available_permits() == self.limits.files
                && permits.pending.available_permits() == self.limits.pending
        });
    }

    fn of(&self, mirror: &IndexName) -> MirrorPermits {
        let new = || MirrorPermits {
            pages: Arc::new(Semaphore::new(self.limits.pages)),
            files: Arc::new(Semaphore::new(self.limits.files)),
            pending: Arc::new(Semaphore::new(self.limits.pending)),
        };
        self.by_mirror.entry(mirror.clone()).or_insert_with(new).clone()
    }

    async fn acquire(&self, permits: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        timeout(self.limits.patience, permits.acquire_owned()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_mirror_keeps_only_its_own_clients_waiting() {
        let limits = PermitLimits { pages: 1, files: 1, pending: 1, patience: Duration::from_mins(1) };
        let permits = Permits::new(limits);
        let (slow, other) = (IndexName::new("root", "slow"), IndexName::new("root", "other"));
        let page = permits.page(&slow).await.unwrap();
        let _file = permits.file(&slow).await.unwrap();
        assert!(matches!(permits.page(&slow).await, Err(UpstreamError::Busy(index)) if index == slow));
        assert!(matches!(permits.file(&slow).await, Err(FetchError::Busy(_))));
        let _place = permits.place(&slow).unwrap();
        assert!(permits.place(&slow).is_none());
        assert!(permits.page(&other).await.is_ok() && permits.file(&other).await.is_ok());
        assert!(permits.place(&other).is_some());
        drop(page);
        assert!(permits.page(&slow).await.is_ok());
    }
}
