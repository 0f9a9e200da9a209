//! Spares upstreams that cannot be reached.
//!
//! After some failures in a row an upstream is left alone for a while, so that nobody waits for it; then one request
//! finds out whether it is back. Each time it is not, the pause doubles. Requests that were sent before the pause and fail
//! in it say nothing new: one short fault ends all that are under way. One that answers, but asks for a pause, gets it.

use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;
use tokio::time::Instant;

/// Bounds of [`Breakers`].
#[derive(Clone, Copy, Debug)]
pub(super) struct BreakerLimits {
    /// After how many failures in a row an upstream is left alone; 0 for never.
    pub(super) failures: u32,
    /// The first pause.
    pub(super) first_pause: Duration,
    /// The longest pause.
    pub(super) longest_pause: Duration,
}

/// How many upstreams are remembered: whoever may make mirrors could name any number.
const MAX_BREAKERS: usize = 10_000;

/// All upstreams by their origin.
pub(super) struct Breakers {
    limits: BreakerLimits,
    breakers: DashMap<String, Breaker>,
}

struct Breaker {
    /// In a row, before the first pause.
    failures: u32,
    pause: Duration,
    /// Until then nobody is let through.
    closed_until: Option<Instant>,
    /// Whether somebody was let through behind the pause who has not failed yet.
    is_probed: bool,
    /// Until then the upstream wishes that nobody is let through.
    rests_until: Option<Instant>,
}

impl Breaker {
    fn new(first_pause: Duration) -> Self {
        Self { failures: 0, pause: first_pause, closed_until: None, is_probed: false, rests_until: None }
    }

    fn is_resting(&self) -> bool {
        self.rests_until.is_some_and(|end| Instant::now() < end)
    }
}

impl Breakers {
    pub(super) fn new(limits: BreakerLimits) -> Self {
        Self { limits, breakers: DashMap::new() }
    }

    /// Whether a request may be sent. One that may, behind a pause, stands for all others until its outcome is told, or
    /// until as much time has passed again: not every request ends with an outcome.
    pub(super) fn admit(&self, origin: &str) -> bool {
        let Some(mut breaker) = self.breakers.get_mut(origin) else { return true };
        if breaker.is_resting() {
            return false;
        }
        match breaker.closed_until {
            None => true,
            Some(end) if Instant::now() < end => false,
            Some(_) => {
                breaker.closed_until = Some(Instant::now() + breaker.pause);
                breaker.is_probed = true;
                true
            }
        }
    }

    /// The upstream answered something.
    pub(super) fn succeeded(&self, origin: &str) {
        self.breakers.remove_if(origin, |_, breaker| !breaker.is_resting());
    }

    /// The upstream answered that it wants a pause. It gets one, but no longer than others.
    pub(super) fn rest(&self, origin: &str, pause: Duration) {
        let mut breaker = self.of(origin);
        breaker.rests_until = Some(Instant::now() + pause.min(self.limits.longest_pause));
    }

    /// The upstream could not be reached.
    pub(super) fn failed(&self, origin: &str) {
        let BreakerLimits { failures, longest_pause, .. } = self.limits;
        if failures == 0 {
            return;
        }
        let mut breaker = self.of(origin);
        if breaker.closed_until.is_none() {
            breaker.failures += 1;
            if breaker.failures < failures {
                return;
            }
        } else if breaker.is_probed {
            breaker.is_probed = false;
            breaker.pause = (breaker.pause * 2).min(longest_pause);
        } else {
            return;
        }
        breaker.closed_until = Some(Instant::now() + breaker.pause);
    }

    fn of(&self, origin: &str) -> RefMut<'_, String, Breaker> {
        if self.breakers.len() >= MAX_BREAKERS {
            let is_closed = |breaker: &Breaker| breaker.closed_until.is_some_and(|end| end > Instant::now());
            self.breakers.retain(|_, breaker| is_closed(breaker) || breaker.is_resting());
        }
        self.breakers.entry(origin.to_owned()).or_insert_with(|| Breaker::new(self.limits.first_pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn breakers() -> Breakers {
        Breakers::new(BreakerLimits {
            failures: 3,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(3),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_upstream_is_probed_by_one_at_a_time() {
        let breakers = breakers();
        for _ in 0..3 {
            assert!(breakers.admit("a"));
            breakers.failed("a");
        }
        assert!(!breakers.admit("a"));
        assert!(breakers.admit("b"));
        advance(Duration::from_secs(1)).await;
        assert!(breakers.admit("a"));
        assert!(!breakers.admit("a"));
        breakers.succeeded("a");
        assert!(breakers.admit("a") && breakers.admit("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_the_longest() {
        let breakers = breakers();
        (0..3).for_each(|_| breakers.failed("a"));
        for pause in [1, 2, 3, 3] {
            assert!(!breakers.admit("a"));
            advance(Duration::from_millis(pause * 1000 - 1)).await;
            assert!(!breakers.admit("a"));
            advance(Duration::from_millis(1)).await;
            assert!(breakers.admit("a"));
            breakers.failed("a");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_at_once_makes_one_pause() {
        let breakers = breakers();
        (0..9).for_each(|_| breakers.failed("a"));
        advance(Duration::from_secs(1)).await;
        // Still of those that were under way.
        breakers.failed("a");
        assert!(breakers.admit("a"));
        breakers.failed("a");
        breakers.failed("a");
        advance(Duration::from_millis(1999)).await;
        assert!(!breakers.admit("a"));
        advance(Duration::from_millis(1)).await;
        assert!(breakers.admit("a"));
        breakers.succeeded("a");
        assert!(breakers.admit("a") && breakers.admit("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_tells_nothing_is_followed_by_another() {
        let breakers = breakers();
        (0..3).for_each(|_| breakers.failed("a"));
        for _ in 0..5 {
            advance(Duration::from_secs(1)).await;
            assert!(breakers.admit("a"));
            assert!(!breakers.admit("a"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_for_a_pause_gets_one_that_ends() {
        let breakers = breakers();
        for (wished, given) in [(2, 2), (3600, 3)] {
            breakers.rest("a", Duration::from_secs(wished));
            // Others that were under way.
            breakers.succeeded("a");
            assert!(!breakers.admit("a") && breakers.admit("b"));
            advance(Duration::from_secs(given)).await;
            assert!(breakers.admit("a") && breakers.admit("a"));
            breakers.succeeded("a");
        }
    }

    #[tokio::test]
    async fn an_answer_forgets_earlier_failures() {
        let breakers = breakers();
        for _ in 0..5 {
            breakers.failed("a");
            breakers.failed("a");
            breakers.succeeded("a");
        }
        assert!(breakers.admit("a"));
    }
}
