//! The memory for bodies that are read as a whole: forms, but for their files, and JSON.
//!
//! Each may be long, and a client may take its time to send the rest. All together have a bound, so that some thousand
//! half ones do not take all memory.

use tokio::sync::{Semaphore, SemaphorePermit};

/// In what steps memory is counted, in bytes. The first step of a body is free: nearly all need no more.
const STEP: usize = 64 * 1024;

/// Whose the bodies are: strangers must not take the memory from those who may upload.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) enum Share {
    /// Of anybody: 64 MiB beyond the first steps.
    Anybody,
    /// Of those who may upload to the index that they name: 256 MiB.
    Uploaders,
}

static OF_ANYBODY: Semaphore = Semaphore::const_new(1024);

static OF_UPLOADERS: Semaphore = Semaphore::const_new(4096);

impl Share {
    fn steps(self) -> &'static Semaphore {
        match self {
            Self::Anybody => &OF_ANYBODY,
            Self::Uploaders => &OF_UPLOADERS,
        }
    }
}

/// The memory that one body takes, given back when this is dropped.
#[derive(Default)]
pub(super) struct BodyMemory(Option<SemaphorePermit<'static>>);

impl BodyMemory {
    /// Makes room for `size` bytes as a whole, of the same share each time. Whether there was any.
    pub(super) fn reach(&mut self, size: usize, share: Share) -> bool {
        self.reach_of(size, share.steps())
    }

    fn reach_of(&mut self, size: usize, steps: &'static Semaphore) -> bool {
        let taken = self.0.as_ref().map_or(0, SemaphorePermit::num_permits);
        let missing = size.div_ceil(STEP).saturating_sub(1 + taken);
        let Ok(missing) = u32::try_from(missing) else { return false };
        if missing == 0 {
            return true;
        }
        match (steps.try_acquire_many(missing), &mut self.0) {
            (Ok(more), Some(taken)) => taken.merge(more),
            (Ok(more), none) => *none = Some(more),
            (Err(_), _) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_bodies_share_what_there_is() {
        let steps: &Semaphore = Box::leak(Box::new(Semaphore::new(2)));
        let (mut long, mut other) = (BodyMemory::default(), BodyMemory::default());
        assert!(
            long.reach_of(STEP + 1, steps)
                && long.reach_of(2 * STEP, steps)
                && long.reach_of(3 * STEP, steps)
        );
        assert!(!long.reach_of(3 * STEP + 1, steps));
        assert!(other.reach_of(STEP, steps) && !other.reach_of(STEP + 1, steps));
        drop(long);
        assert!(other.reach_of(STEP + 1, steps));
        assert_eq!(steps.available_permits(), 1);
    }
}
