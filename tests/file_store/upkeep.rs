//! What checks, repairs and backups need to know and do.

use std::fs;

use wheelhouse::pep::digest::Sha256;

use crate::support::{Place, assert_gone, assert_there, keep};

pub(crate) async fn confirmed_contents_are_listed_by_the_first_byte(place: &dyn Place) {
    let store = place.open().await;
    let contents: Vec<String> = (0..50).map(|number| format!("content {number}")).collect();
    for content in &contents {
        keep(store.as_ref(), content).await.confirm().await.unwrap();
    }
    let unconfirmed = keep(store.as_ref(), "unconfirmed").await;
    let mut listed = Vec::new();
    for first in 0..=u8::MAX {
        let found = store.list(first).await.unwrap();
        assert!(found.iter().all(|(sha256, _)| sha256.as_bytes()[0] == first));
        listed.extend(found);
    }
    listed.sort_unstable();
    let mut expected: Vec<(Sha256, u64)> =
        contents.iter().map(|content| (Sha256::of(content.as_bytes()), content.len() as u64)).collect();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    unconfirmed.confirm().await.unwrap();
    let sha256 = Sha256::of(b"unconfirmed");
    assert!(store.list(sha256.as_bytes()[0]).await.unwrap().contains(&(sha256, 11)));
}

pub(crate) async fn a_content_can_be_removed(place: &dyn Place) {
    let store = place.open().await;
    keep(store.as_ref(), "abc").await.confirm().await.unwrap();
    let sha256 = Sha256::of(b"abc");
    assert!(store.remove(&sha256).await.unwrap());
    assert!(!store.remove(&sha256).await.unwrap());
    assert_gone(store.as_ref(), "abc").await;
}

pub(crate) async fn a_content_that_is_set_aside_is_kept_elsewhere(place: &dyn Place) {
    let store = place.open().await;
    keep(store.as_ref(), "abc").await.confirm().await.unwrap();
    let aside = store.set_aside(&Sha256::of(b"abc")).await.unwrap();
    assert_gone(store.as_ref(), "abc").await;
    assert_eq!(fs::read(&aside).unwrap(), b"abc");
    drop(store);
    // Neither does a new start touch it, nor does the right content that comes again.
    let store = place.open().await;
    keep(store.as_ref(), "abc").await.confirm().await.unwrap();
    assert_there(store.as_ref(), "abc").await;
    assert!(aside.exists());
}
