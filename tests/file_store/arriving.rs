//! Contents on their way in.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use wheelhouse::pep::digest::Sha256;
use wheelhouse::storage::files::AllNamed;

use crate::support::{Place, assert_gone, assert_there, keep, receive};

pub(crate) async fn a_content_can_be_looked_at_before_it_is_kept(place: &dyn Place) {
    let store = place.open().await;
    let received = receive(store.as_ref(), "abc").await;
    assert_eq!(received.size(), 3);
    assert_eq!(received.sha256(), Sha256::of(b"abc"));
    // Each opening starts at the start.
    for _ in 0..2 {
        let mut text = String::new();
        received.open().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
    }
}

pub(crate) async fn nothing_can_be_read_before_it_is_kept(place: &dyn Place) {
    let store = place.open().await;
    let mut incoming = store.receive().await.unwrap();
    incoming.write(Bytes::from_static(b"abc")).await.unwrap();
    assert_gone(store.as_ref(), "abc").await;
    let received = incoming.finish().await.unwrap();
    assert_gone(store.as_ref(), "abc").await;
    let _lease = received.keep(&AllNamed).await.unwrap();
    assert_there(store.as_ref(), "abc").await;
}

pub(crate) async fn an_arriving_content_is_read_along(place: &dyn Place) {
    let store = place.open().await;
    let mut incoming = store.receive().await.unwrap();
    let arriving = incoming.arriving().await.unwrap();
    assert_eq!((incoming.written(), incoming.flush().await.unwrap()), (0, 0));
    incoming.write(Bytes::from_static(b"abc")).await.unwrap();
    assert_eq!(incoming.flush().await.unwrap(), 3);
    let second = incoming.arriving().await.unwrap();
    assert_eq!(arriving.read(0..2).await.unwrap(), "ab");
    // More than is written at once comes to be readable by itself.
    let piece = Bytes::from(vec![b'x'; 100_000]);
    while incoming.written() <= 100_003 {
        incoming.write(piece.clone()).await.unwrap();
    }
    assert_eq!(second.read(2..4).await.unwrap(), "cx");
    assert_eq!(arriving.read(100_000..100_002).await.unwrap(), "xx");
    incoming.write(Bytes::from_static(b"end")).await.unwrap();
    let received = incoming.finish().await.unwrap();
    let size = received.size();
    let lease = received.keep(&AllNamed).await.unwrap();
    // Also when it has come into its place, and when it has gone from there.
    assert_eq!(arriving.read(size - 3..size).await.unwrap(), "end");
    lease.confirm().await.unwrap();
    assert_eq!(second.read(0..3).await.unwrap(), "abc");
    assert!(arriving.read(size..size + 1).await.is_err());
}

pub(crate) async fn what_is_dropped_leaves_nothing(place: &dyn Place) {
    let store = place.open().await;
    drop(store.receive().await.unwrap());
    let mut incoming = store.receive().await.unwrap();
    incoming.write(Bytes::from_static(b"abc")).await.unwrap();
    drop(incoming);
    let mut incoming = store.receive().await.unwrap();
    for _ in 0..20 {
        incoming.write(Bytes::from(vec![7; 100_000])).await.unwrap();
    }
    drop(incoming);
    drop(receive(store.as_ref(), "abc").await);
    assert_eq!(place.count_contents(), 0);
    wait_until_nothing_arrives(place).await;
    // Neither does a content that is kept, or was there already.
    let _first = keep(store.as_ref(), "abc").await;
    let _second = keep(store.as_ref(), "abc").await;
    wait_until_nothing_arrives(place).await;
}

/// What was dropped is removed a little later.
async fn wait_until_nothing_arrives(place: &dyn Place) {
    let start = Instant::now();
    while place.count_arriving() > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "what was dropped is still there");
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn many_contents_arrive_at_once(place: &dyn Place) {
    let store = place.open().await;
    // More than there are threads that may block, each waiting for the others.
    let mut arriving = join_all((0..600).map(|_| store.receive())).await;
    let barrier = Arc::new(tokio::sync::Barrier::new(arriving.len()));
    let all = arriving.drain(..).enumerate().map(|(number, incoming)| {
        let (mut incoming, barrier) = (incoming.unwrap(), Arc::clone(&barrier));
        async move {
            let content = format!("content {number} ").repeat(20);
            incoming.write(Bytes::from(content.clone())).await.unwrap();
            barrier.wait().await;
            incoming.write(Bytes::from_static(b"end")).await.unwrap();
            let received = incoming.finish().await.unwrap();
            assert_eq!(received.sha256(), Sha256::of(format!("{content}end").as_bytes()));
        }
    });
    join_all(all).await;
}
