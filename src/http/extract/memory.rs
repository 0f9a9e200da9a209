//! The memory for bodies that are read as a whole: forms, but for their files, and JSON.
//!
//! Each may be long, and a client may take its time to send the rest. All together have a bound, so that some thousand
//! half ones do not take all memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// In what steps memory is counted, in bytes. The first step of a body is free: nearly all need no more.
const STEP: usize = 64 * 1024;

/// What part of the memory for uploaders one of them may have.
const SHARE_OF_A_USER: usize = 2;

/// 64 MiB for JSON, which anybody may send.
static OF_ANYBODY: Budget = Budget::new(1024);

/// 256 MiB for forms of those who may upload to the index that they name.
static OF_UPLOADERS: Budget = Budget::new(4096);

/// Whose a body is: strangers must not take the memory from those who may upload, nor one of these from others.
#[derive(Clone, Debug)]
pub(in crate::http) enum Sender {
    /// Anybody's.
    Anybody,
    /// That of a user who may upload.
    Uploader(Arc<str>),
}

/// A number of steps, and who has some of them.
struct Budget {
    steps: usize,
    taken: Mutex<Taken>,
}

struct Taken {
    steps: usize,
    by_user: BTreeMap<Arc<str>, usize>,
}

impl Budget {
    const fn new(steps: usize) -> Self {
        Self { steps, taken: Mutex::new(Taken { steps: 0, by_user: BTreeMap::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory that one body takes, given back when this is dropped.
#[derive(Default)]
pub(super) struct BodyMemory(Option<Held>);

struct Held {
    budget: &'static Budget,
    user: Option<Arc<str>>,
    steps: usize,
}

impl BodyMemory {
    /// Makes room for `size` bytes as a whole, for the same sender each time. Whether there was any.
    pub(super) fn reach(&mut self, size: usize, sender: &Sender) -> bool {
        let held = self.0.get_or_insert_with(|| match sender {
            Sender::Anybody => Held { budget: &OF_ANYBODY, user: None, steps: 0 },
            Sender::Uploader(user) => Held { budget: &OF_UPLOADERS, user: Some(Arc::clone(user)), steps: 0 },
        });
        held.reach(size.div_ceil(STEP).saturating_sub(1))
    }
}

impl Held {
    fn reach(&mut self, steps: usize) -> bool {
        let most = if self.user.is_some() { self.budget.steps / SHARE_OF_A_USER } else { self.budget.steps };
        // A body that has all that it may have can be longer: an option allows it.
        let missing = steps.min(most).saturating_sub(self.steps);
        if missing == 0 {
            return true;
        }
        let mut taken = self.budget.lock();
        if taken.steps + missing > self.budget.steps {
            return false;
        }
        if let Some(user) = &self.user {
            let taken = taken.by_user.entry(Arc::clone(user)).or_default();
            if *taken + missing > most {
                return false;
            }
            *taken += missing;
        }
        taken.steps += missing;
        self.steps += missing;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.steps == 0 {
            return;
        }
        let mut taken = self.budget.lock();
        taken.steps -= self.steps;
        if let Some(user) = &self.user
            && let Some(of_user) = taken.by_user.get_mut(user)
        {
            *of_user -= self.steps;
            if *of_user == 0 {
                taken.by_user.remove(user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(budget: &'static Budget, user: &str) -> Held {
        Held { budget, user: (!user.is_empty()).then(|| user.into()), steps: 0 }
    }

    #[test]
    fn long_bodies_share_what_there_is() {
        let budget: &Budget = Box::leak(Box::new(Budget::new(4)));
        let (mut one, mut two) = (held(budget, "alice"), held(budget, "alice"));
        assert!(one.reach(0) && one.reach(1) && two.reach(1), "half of four are hers");
        assert!(!two.reach(2));
        let mut other = held(budget, "bob");
        assert!(other.reach(2) && !held(budget, "carol").reach(1));
        assert!(other.reach(9), "he has all that one may have");
        drop((one, two, other));
        assert!(budget.lock().by_user.is_empty() && budget.lock().steps == 0);
        let mut anybody = held(budget, "");
        assert!(anybody.reach(4) && anybody.reach(9) && !held(budget, "").reach(1));
    }
}
