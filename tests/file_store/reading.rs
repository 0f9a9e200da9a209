//! Contents on their way out.

use wheelhouse::pep::digest::Sha256;
use wheelhouse::storage::files::AllNamed;

use crate::support::{Known, Place, assert_gone, assert_there, keep, read};

pub(crate) async fn a_kept_content_is_read_in_ranges(place: &dyn Place) {
    let store = place.open().await;
    let content: String = (b'a'..=b'w').cycle().take(100_000).map(char::from).collect();
    let _lease = keep(store.as_ref(), &content).await;
    let mut file = store.open(&Sha256::of(content.as_bytes())).await.unwrap().unwrap();
    assert_eq!(file.size(), 100_000);
    for range in [0..1, 0..100_000, 99_999..100_000, 5..5, 50_000..50_100, 100_000..100_000, 3..77_777, 0..3]
    {
        let expected =
            content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_owned();
        assert_eq!(file.read(range.clone()).await.unwrap(), expected.as_bytes(), "{range:?}");
    }
    // Beyond the end there is nothing, and no reader is left with less than it wanted.
    assert!(file.read(99_999..100_001).await.is_err());
}

pub(crate) async fn an_empty_content_is_one(place: &dyn Place) {
    let store = place.open().await;
    let received = store.receive().await.unwrap().finish().await.unwrap();
    assert_eq!((received.size(), received.sha256()), (0, Sha256::of(b"")));
    received.keep(&AllNamed).await.unwrap().confirm().await.unwrap();
    assert_there(store.as_ref(), "").await;
}

pub(crate) async fn an_open_content_outlives_its_removal(place: &dyn Place) {
    let store = place.open().await;
    let lease = keep(store.as_ref(), "abc").await;
    let mut file = store.open(&Sha256::of(b"abc")).await.unwrap().unwrap();
    lease.discard(&Known::default()).await.unwrap();
    assert_gone(store.as_ref(), "abc").await;
    assert_eq!(file.read(1..3).await.unwrap(), "bc");
}

pub(crate) async fn an_unknown_content_is_not_there(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(read(store.as_ref(), "abc").await, None);
    let _lease = keep(store.as_ref(), "abc").await;
    assert_eq!(read(store.as_ref(), "abd").await, None);
}
