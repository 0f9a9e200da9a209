//! Whose turn it is to do what only few may do at once: one user who wants much of it must not keep everybody waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What part of everything one user may have.
const SHARE_OF_A_USER: usize = 2;

/// Those who have their turn, and those who wait for it.
pub struct Turns {
    parallel: usize,
    pending: usize,
    free: Arc<Semaphore>,
    users: Mutex<HashMap<Arc<str>, User>>,
}

/// A user with at least one place.
struct User {
    places: usize,
    free: Arc<Semaphore>,
}

/// A place among them, given back when this is dropped.
pub struct Place {
    turns: Arc<Turns>,
    user: Arc<str>,
    /// The turns of the user.
    free: Arc<Semaphore>,
}

impl Turns {
    /// At most `pending` places, of which `parallel` may have their turn. One user gets half of both.
    pub fn new(parallel: usize, pending: usize) -> Self {
        Self { parallel, pending, free: Arc::new(Semaphore::new(parallel)), users: Mutex::default() }
    }

    /// A place for `user`; `None` if there is none left.
    pub fn enter(self: &Arc<Self>, user: &Arc<str>) -> Option<Place> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: usize = users.values().map(|user| user.places).sum();
        let taken_by_user = users.get(user).map_or(0, |user| user.places);
        if taken >= self.pending || taken_by_user >= self.pending.div_ceil(SHARE_OF_A_USER) {
            return None;
        }
        let free = || Arc::new(Semaphore::new(self.parallel.div_ceil(SHARE_OF_A_USER)));
        let entry = users.entry(Arc::clone(user)).or_insert_with(|| User { places: 0, free: free() });
        entry.places += 1;
        Some(Place { turns: Arc::clone(self), user: Arc::clone(user), free: Arc::clone(&entry.free) })
    }
}

impl Place {
    /// Waits for the turn of this place, which lasts as long as what is returned.
    pub async fn turn(&self) -> Vec<OwnedSemaphorePermit> {
        let mut turn = Vec::new();
        // First among those of the user: they must not stand in the way of others.
        for free in [&self.free, &self.turns.free] {
            // Nobody closes them.
            turn.extend(Arc::clone(free).acquire_owned().await);
        }
        turn
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = self.turns.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(user) = users.get_mut(&self.user) {
            user.places -= 1;
            if user.places == 0 {
                users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn has_turn(place: &Place) -> Option<Vec<OwnedSemaphorePermit>> {
        timeout(Duration::from_millis(20), place.turn()).await.ok()
    }

    #[tokio::test]
    async fn a_user_leaves_turns_and_places_to_others() {
        let turns = Arc::new(Turns::new(4, 6));
        let (alice, bob) = (Arc::<str>::from("alice"), Arc::<str>::from("bob"));
        let [first, second, third] = [0; 3].map(|_| turns.enter(&alice).unwrap());
        assert!(turns.enter(&alice).is_none(), "three of six places");
        let (one, two) = (has_turn(&first).await.unwrap(), has_turn(&second).await.unwrap());
        assert!(has_turn(&third).await.is_none(), "two of four turns");
        let others = [0; 3].map(|_| turns.enter(&bob).unwrap());
        assert!(has_turn(&others[0]).await.is_some());
        assert!(turns.enter(&Arc::from("carol")).is_none(), "all places are taken");
        drop(one);
        assert!(has_turn(&third).await.is_some());
        drop((two, first, second, third));
        assert_eq!(turns.users.lock().unwrap().len(), 1);
        assert!(turns.enter(&alice).is_some());
    }

    #[tokio::test]
    async fn one_place_is_enough() {
        let turns = Arc::new(Turns::new(1, 1));
        let place = turns.enter(&Arc::from("alice")).unwrap();
        assert!(has_turn(&place).await.is_some());
    }
}
