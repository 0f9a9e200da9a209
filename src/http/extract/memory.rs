//! The memory for bodies that are read as a whole: forms, but for their files, and JSON.
//!
//! Each may be long, and a client may take its time to send the rest. All together have a bound, so that some thousand
//! half ones do not take all memory.

use tokio::sync::{Semaphore, SemaphorePermit};

/// In what steps memory is counted, in bytes. The first step of a body is free: nearly all need no more.
const STEP: usize = 64 * 1024;

const STEPS_OF_ANYBODY: usize = 1024;

const STEPS_OF_UPLOADERS: usize = 4096;

/// Whose the bodies are: strangers must not take the memory from those who may upload.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) enum Share {
    /// Of anybody: 64 MiB beyond the first steps.
    Anybody,
    /// Of those who may upload to the index that they name: 256 MiB.
    Uploaders,
}

static OF_ANYBODY: Semaphore = Semaphore::const_new(STEPS_OF_ANYBODY);

static OF_UPLOADERS: Semaphore = Semaphore::const_new(STEPS_OF_UPLOADERS);

impl Share {
    /// What there is, and how much that is.
    fn steps(self) -> (&'static Semaphore, usize) {
        match self {
            Self::Anybody => (&OF_ANYBODY, STEPS_OF_ANYBODY),
            Self::Uploaders => (&OF_UPLOADERS, STEPS_OF_UPLOADERS),
        }
    }
}

/// The memory that one body takes, given back when this is dropped.
#[derive(Default)]
pub(super) struct BodyMemory(Option<SemaphorePermit<'static>>);

impl BodyMemory {
    /// Makes room for `size` bytes as a whole, of the same share each time. Whether there was any.
    pub(super) fn reach(&mut self, size: usize, share: Share) -> bool {
        let (steps, all) = share.steps();
        self.reach_of(size, steps, all)
    }

    fn reach_of(&mut self, size: usize, steps: &'static Semaphore, all: usize) -> bool {
        let taken = self.0.as_ref().map_or(0, SemaphorePermit::num_permits);
        // A body that has all of it may be longer: an option allows it.
        let wanted = size.div_ceil(STEP).saturating_sub(1).min(all);
        let missing = wanted.saturating_sub(taken);
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
        for size in [STEP, STEP + 1, 2 * STEP, 3 * STEP] {
            assert!(long.reach_of(size, steps, 2), "{size}");
        }
        assert!(other.reach_of(STEP, steps, 2) && !other.reach_of(STEP + 1, steps, 2));
        assert!(long.reach_of(9 * STEP, steps, 2), "it has all that there is");
        drop(long);
        assert!(other.reach_of(STEP + 1, steps, 2));
        assert_eq!(steps.available_permits(), 1);
    }
}
