//! What a process that died has left.

use wheelhouse::pep::digest::Sha256;

use crate::support::{Failing, Known, Place, assert_gone, assert_there, keep};

pub(crate) async fn what_was_not_confirmed_is_settled_at_the_start(place: &dyn Place) {
    let store = place.open().await;
    for content in ["committed", "lost", "lost too"] {
        drop(keep(store.as_ref(), content).await);
    }
    drop(store);
    let store = place.open().await;
    let known = Known::new(&["committed"]);
    assert_eq!(store.settle(&known).await.unwrap(), 2);
    let mut expected: Vec<Sha256> =
        ["committed", "lost", "lost too"].map(|content| Sha256::of(content.as_bytes())).into();
    expected.sort();
    assert_eq!(known.asked(), expected);
    assert_there(store.as_ref(), "committed").await;
    assert_gone(store.as_ref(), "lost").await;
    assert_gone(store.as_ref(), "lost too").await;
    // That was that: what is settled is not asked about again.
    let known = Known::default();
    assert_eq!(place.open().await.settle(&known).await.unwrap(), 0);
    assert_eq!(known.asked(), []);
    assert_eq!(place.count_contents(), 1);
}

pub(crate) async fn what_was_confirmed_is_not_asked_about(place: &dyn Place) {
    let store = place.open().await;
    for number in 0..20 {
        keep(store.as_ref(), &format!("content {number}")).await.confirm().await.unwrap();
    }
    let known = Known::default();
    assert_eq!(place.open().await.settle(&known).await.unwrap(), 0);
    assert_eq!(known.asked(), [], "the cost of a start does not grow with the store");
    assert_eq!(place.count_contents(), 20);
}

pub(crate) async fn a_lease_that_is_dropped_is_settled_later(place: &dyn Place) {
    let store = place.open().await;
    drop(keep(store.as_ref(), "abc").await);
    assert_there(store.as_ref(), "abc").await;
    assert_eq!(place.open().await.settle(&Known::default()).await.unwrap(), 1);
    assert_gone(store.as_ref(), "abc").await;
}

pub(crate) async fn a_failing_question_loses_nothing(place: &dyn Place) {
    let store = place.open().await;
    drop(keep(store.as_ref(), "abc").await);
    let discarded = keep(store.as_ref(), "other").await.discard(&Failing).await;
    assert!(discarded.is_err());
    let store = place.open().await;
    assert!(store.settle(&Failing).await.is_err());
    assert_there(store.as_ref(), "abc").await;
    assert_there(store.as_ref(), "other").await;
    // The next start can ask again.
    assert_eq!(place.open().await.settle(&Known::new(&["other"])).await.unwrap(), 1);
    assert_gone(store.as_ref(), "abc").await;
    assert_there(store.as_ref(), "other").await;
}
