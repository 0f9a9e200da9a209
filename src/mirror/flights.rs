//! Work that is done once for all who want it at the same time.

use std::hash::Hash;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;
use tokio::time::Instant;

/// The work under way, by what it is for.
pub(super) struct Flights<K: Eq + Hash, T>(Arc<DashMap<K, Flight<T>>>);

/// Work under way.
#[derive(Clone)]
pub(super) struct Flight<T> {
    /// When it began.
    pub(super) started: Instant,
    outcome: watch::Receiver<Option<T>>,
}

/// What those who do the work hold. Dropping it gives the work up.
pub(super) struct Landing<K: Eq + Hash, T> {
    flights: Arc<DashMap<K, Flight<T>>>,
    key: K,
    outcome: watch::Sender<Option<T>>,
}

impl<K: Eq + Hash, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash, T: Clone> Flights<K, T> {
    /// Whether the work for `key` is under way.
    pub(super) fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// The work for `key` that is under way, else what `done` knows already, else new work, which `start` starts.
    pub(super) fn join_or_start(
        &self,
        key: &K,
        done: impl FnOnce() -> Option<T>,
        start: impl FnOnce(Landing<K, T>),
    ) -> Flight<T> {
        let (sender, receiver) = watch::channel(None);
        let flight = Flight { started: Instant::now(), outcome: receiver };
        match self.0.entry(key.clone()) {
            Entry::Occupied(other) => return other.get().clone(),
            Entry::Vacant(place) => {
                // Other work may have ended since the caller looked.
                if let Some(outcome) = done() {
                    sender.send_replace(Some(outcome));
                    return flight;
                }
                place.insert(flight.clone());
            }
        }
        start(Landing { flights: Arc::clone(&self.0), key: key.clone(), outcome: sender });
        flight
    }
}

impl<T: Clone> Flight<T> {
    /// The outcome; `None` if the work was given up.
    pub(super) async fn wait(&self) -> Option<T> {
        let mut outcome = self.outcome.clone();
        outcome.wait_for(Option::is_some).await.ok()?.clone()
    }
}

impl<K: Eq + Hash, T> Landing<K, T> {
    /// Ends the work: nobody joins it any more, and those who wait are told.
    pub(super) fn land(self, outcome: T) {
        self.leave();
        self.outcome.send_replace(Some(outcome));
    }

    fn leave(&self) {
        let own = self.outcome.subscribe();
        self.flights.remove_if(&self.key, |_, flight| flight.outcome.same_channel(&own));
    }
}

impl<K: Eq + Hash, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_come_meanwhile_share_the_work() {
        let flights = Flights::<&str, u32>::default();
        let mut landing = None;
        let first = flights.join_or_start(&"a", || None, |new| landing = Some(new));
        let second = flights.join_or_start(&"a", || None, |_| panic!("it is under way"));
        let mut other = None;
        flights.join_or_start(&"b", || None, |new| other = Some(new));
        landing.unwrap().land(7);
        assert_eq!((first.wait().await, second.wait().await), (Some(7), Some(7)));
        let done = flights.join_or_start(&"a", || Some(8), |_| panic!("it is done"));
        assert_eq!(done.wait().await, Some(8));
        assert_eq!(flights.0.len(), 1);
        drop(other);
        assert!(flights.0.is_empty());
    }

    #[tokio::test]
    async fn work_that_is_given_up_can_be_started_again() {
        let flights = Flights::<&str, u32>::default();
        let mut landing = None;
        let first = flights.join_or_start(&"a", || None, |new| landing = Some(new));
        drop(landing);
        assert_eq!(first.wait().await, None);
        let mut again = None;
        flights.join_or_start(&"a", || None, |new| again = Some(new));
        assert!(again.is_some());
    }
}
