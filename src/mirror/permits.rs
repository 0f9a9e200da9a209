//! How much is asked of one upstream at once: one that is slow must not keep the others waiting, nor may its answers take
//! all the memory that there is for them.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::{FetchError, UpstreamError};
use crate::storage::model::IndexName;

/// How many bytes of memory pages and small documents may take together, from their first byte until they have been read.
pub(super) const BODY_BUDGET: usize = 768 * 1024 * 1024;

/// In what steps that is counted.
const BODY_STEP: usize = 64 * 1024;

/// How many wheels of all upstreams are read by parts at once. Each keeps a thread that may block.
const PARALLEL_WHEELS: usize = 16;

/// How many of those may be of one upstream.
const PARALLEL_WHEELS_OF_ONE: usize = PARALLEL_WHEELS / 2;

/// The permits of all mirrors.
pub(super) struct Permits {
    by_mirror: DashMap<IndexName, MirrorPermits>,
    /// Steps of memory that are not taken.
    body_steps: Arc<Semaphore>,
    wheels: Arc<Semaphore>,
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
    /// How many bytes of memory pages and small documents may take, rounded up to whole steps.
    pub(super) bodies: usize,
    /// How long a permit is waited for.
    pub(super) patience: Duration,
}

impl PermitLimits {
    fn body_steps(&self) -> usize {
        self.bodies.div_ceil(BODY_STEP)
    }
}

#[derive(Clone)]
struct MirrorPermits {
    pages: Arc<Semaphore>,
    files: Arc<Semaphore>,
    pending: Arc<Semaphore>,
    body_steps: Arc<Semaphore>,
    wheels: Arc<Semaphore>,
}

/// Memory for the body of a page or a small document, given back when this is dropped.
pub(super) struct BodyMemory {
    mirror: IndexName,
    /// What there is for this mirror, and for all.
    budgets: [Arc<Semaphore>; 2],
    size: usize,
    taken: Vec<OwnedSemaphorePermit>,
}

impl BodyMemory {
    /// Makes room for `size` bytes as a whole; an error if others have all of it.
    pub(super) fn reach(&mut self, size: usize) -> Result<(), UpstreamError> {
        while self.size < size {
            for budget in &self.budgets {
                let step = Arc::clone(budget).try_acquire_owned();
                self.taken.push(step.map_err(|_| UpstreamError::Busy(self.mirror.clone()))?);
            }
            self.size += BODY_STEP;
        }
        Ok(())
    }
}

impl Permits {
    pub(super) fn new(limits: PermitLimits) -> Self {
        let body_steps = Arc::new(Semaphore::new(BODY_BUDGET / BODY_STEP));
        let wheels = Arc::new(Semaphore::new(PARALLEL_WHEELS));
        Self { by_mirror: DashMap::new(), body_steps, wheels, limits }
    }

    /// Waits until a page or a small document may be asked for.
    pub(super) async fn page(&self, mirror: &IndexName) -> Result<OwnedSemaphorePermit, UpstreamError> {
        self.acquire(self.of(mirror).pages).await.ok_or_else(|| UpstreamError::Busy(mirror.clone()))
    }

    /// Waits until a file may be fetched.
    pub(super) async fn file(&self, mirror: &IndexName) -> Result<OwnedSemaphorePermit, FetchError> {
        self.acquire(self.of(mirror).files).await.ok_or_else(|| FetchError::Busy(mirror.clone()))
    }

    /// Waits until a wheel may be read by parts.
    pub(super) async fn wheel(&self, mirror: &IndexName) -> Result<[OwnedSemaphorePermit; 2], FetchError> {
        let busy = || FetchError::Busy(mirror.clone());
        // Those of one upstream wait for each other first, not in the way of others.
        let own = self.acquire(self.of(mirror).wheels).await.ok_or_else(busy)?;
        Ok([own, self.acquire(Arc::clone(&self.wheels)).await.ok_or_else(busy)?])
    }

    /// A place among the projects that wait or are asked for; `None` if all are taken.
    pub(super) fn place(&self, mirror: &IndexName) -> Option<OwnedSemaphorePermit> {
        self.of(mirror).pending.try_acquire_owned().ok()
    }

    /// Memory for a body, of which nothing is taken yet.
    pub(super) fn body(&self, mirror: &IndexName) -> BodyMemory {
        let budgets = [self.of(mirror).body_steps, Arc::clone(&self.body_steps)];
        BodyMemory { mirror: mirror.clone(), budgets, size: 0, taken: Vec::new() }
    }

    /// The mirror has been removed or changed. Those who have permits keep them.
    pub(super) fn forget(&self, mirror: &IndexName) {
        self.by_mirror.remove_if(mirror, |_, permits| {
            permits.pages.available_permits() == self.limits.pages
                && permits.files.available_permits() == self.limits.files
                && permits.pending.available_permits() == self.limits.pending
                && permits.body_steps.available_permits() == self.limits.body_steps()
                && permits.wheels.available_permits() == PARALLEL_WHEELS_OF_ONE
        });
    }

    fn of(&self, mirror: &IndexName) -> MirrorPermits {
        let new = || MirrorPermits {
            pages: Arc::new(Semaphore::new(self.limits.pages)),
            files: Arc::new(Semaphore::new(self.limits.files)),
            pending: Arc::new(Semaphore::new(self.limits.pending)),
            body_steps: Arc::new(Semaphore::new(self.limits.body_steps())),
            wheels: Arc::new(Semaphore::new(PARALLEL_WHEELS_OF_ONE)),
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

    fn permits() -> Permits {
        let patience = Duration::from_mins(1);
        Permits::new(PermitLimits { pages: 1, files: 1, pending: 1, bodies: 2 * BODY_STEP, patience })
    }

    #[test]
    fn the_answers_of_one_upstream_leave_memory_to_those_of_others() {
        let permits = permits();
        let (greedy, other) = (IndexName::new("root", "greedy"), IndexName::new("root", "other"));
        let (mut first, mut second) = (permits.body(&greedy), permits.body(&greedy));
        first.reach(BODY_STEP + 1).unwrap();
        first.reach(2 * BODY_STEP).unwrap();
        assert!(matches!(second.reach(1), Err(UpstreamError::Busy(index)) if index == greedy));
        permits.body(&other).reach(1).unwrap();
        drop((first, second));
        permits.body(&greedy).reach(2 * BODY_STEP).unwrap();
        assert_eq!(permits.body_steps.available_permits(), BODY_BUDGET / BODY_STEP);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_mirror_keeps_only_its_own_clients_waiting() {
        let permits = permits();
        let (slow, other) = (IndexName::new("root", "slow"), IndexName::new("root", "other"));
        let page = permits.page(&slow).await.unwrap();
        let _file = permits.file(&slow).await.unwrap();
        assert!(matches!(permits.page(&slow).await, Err(UpstreamError::Busy(index)) if index == slow));
        assert!(matches!(permits.file(&slow).await, Err(FetchError::Busy(_))));
        let _place = permits.place(&slow).unwrap();
        assert!(permits.place(&slow).is_none());
        assert!(permits.page(&other).await.is_ok() && permits.file(&other).await.is_ok());
        assert!(permits.place(&other).is_some());
        let mut wheels = Vec::new();
        for _ in 0..PARALLEL_WHEELS_OF_ONE {
            wheels.push(permits.wheel(&slow).await.unwrap());
        }
        assert!(matches!(permits.wheel(&slow).await, Err(FetchError::Busy(_))));
        assert!(permits.wheel(&other).await.is_ok());
        drop(page);
        assert!(permits.page(&slow).await.is_ok());
    }
}
