//! Kept contents, and what becomes of them when their commit was made or not.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::support::{Known, Place, assert_gone, assert_there, keep};

pub(crate) async fn the_same_content_is_kept_once(place: &dyn Place) {
    let store = place.open().await;
    let first = keep(store.as_ref(), "abc").await;
    let second = keep(store.as_ref(), "abc").await;
    let other = keep(store.as_ref(), "other").await;
    assert_eq!(place.count_contents(), 2);
    for lease in [first, second, other] {
        lease.confirm().await.unwrap();
    }
    let _third = keep(store.as_ref(), "abc").await;
    assert_eq!(place.count_contents(), 2);
    assert_there(store.as_ref(), "abc").await;
}

pub(crate) async fn a_confirmed_content_stays(place: &dyn Place) {
    let store = place.open().await;
    keep(store.as_ref(), "abc").await.confirm().await.unwrap();
    assert_there(store.as_ref(), "abc").await;
    let store = place.open().await;
    assert_eq!(store.settle(&Known::default()).await.unwrap(), 0);
    assert_there(store.as_ref(), "abc").await;
}

pub(crate) async fn a_discarded_content_goes(place: &dyn Place) {
    let store = place.open().await;
    keep(store.as_ref(), "abc").await.discard(&Known::default()).await.unwrap();
    assert_gone(store.as_ref(), "abc").await;
    assert_eq!(place.count_contents(), 0);
    let store = place.open().await;
    let known = Known::default();
    assert_eq!(store.settle(&known).await.unwrap(), 0);
    assert_eq!(known.asked(), []);
}

pub(crate) async fn a_discarded_content_stays_where_it_is_referenced(place: &dyn Place) {
    let store = place.open().await;
    keep(store.as_ref(), "abc").await.discard(&Known::new(&["abc"])).await.unwrap();
    assert_there(store.as_ref(), "abc").await;
    let store = place.open().await;
    let known = Known::default();
    store.settle(&known).await.unwrap();
    assert_eq!(known.asked(), [], "a content that is referenced was settled with the discard");
    assert_there(store.as_ref(), "abc").await;
}

pub(crate) async fn a_discarded_content_stays_for_another_lease(place: &dyn Place) {
    let store = place.open().await;
    let none = Known::default();
    let first = keep(store.as_ref(), "abc").await;
    let second = keep(store.as_ref(), "abc").await;
    let third = keep(store.as_ref(), "abc").await;
    first.discard(&none).await.unwrap();
    assert_there(store.as_ref(), "abc").await;
    // One that is dropped holds nothing any more.
    drop(second);
    third.discard(&none).await.unwrap();
    assert_gone(store.as_ref(), "abc").await;
}

pub(crate) async fn a_content_can_come_again_after_a_discard(place: &dyn Place) {
    let store = place.open().await;
    for _ in 0..3 {
        keep(store.as_ref(), "abc").await.discard(&Known::default()).await.unwrap();
        assert_gone(store.as_ref(), "abc").await;
    }
    keep(store.as_ref(), "abc").await.confirm().await.unwrap();
    assert_there(store.as_ref(), "abc").await;
}

pub(crate) async fn leases_discarded_at_once_leave_nothing(place: &dyn Place) {
    let store = place.open().await;
    for _ in 0..50 {
        let leases = join_all((0..4).map(|_| keep(store.as_ref(), "abc"))).await;
        let discards = leases
            .into_iter()
            .map(|lease| tokio::spawn(async move { lease.discard(&Known::default()).await.unwrap() }));
        join_all(discards).await.into_iter().for_each(Result::unwrap);
        assert_gone(store.as_ref(), "abc").await;
    }
}

pub(crate) async fn rivals_for_one_content_never_lose_it(place: &dyn Place) {
    let store = place.open().await;
    for _ in 0..20 {
        let tasks = (0..8).map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let lease = keep(store.as_ref(), "abc").await;
                assert_there(store.as_ref(), "abc").await;
                if number == 0 {
                    // Its commit is made: from now on the content is referenced.
                    assert_there(store.as_ref(), "abc").await;
                    lease.confirm().await.unwrap();
                    return;
                }
                lease.discard(&Known::default()).await.unwrap();
            })
        });
        join_all(tasks).await.into_iter().for_each(Result::unwrap);
        // Whether the content is there now depends on who was last; but it comes and goes whole.
        let lease = keep(store.as_ref(), "abc").await;
        assert_there(store.as_ref(), "abc").await;
        lease.discard(&Known::default()).await.unwrap();
        assert_gone(store.as_ref(), "abc").await;
    }
}
