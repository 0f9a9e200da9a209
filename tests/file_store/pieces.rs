//! Contents in pieces of random sizes.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wheelhouse::pep::digest::Sha256;
use wheelhouse::storage::files::AllNamed;

use crate::support::Place;

/// Sizes around those at which buffers fill.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![
        Just(0),
        1..100_usize,
        4_000..5_000_usize,
        60_000..70_000_usize,
        250_000..270_000_usize,
        1_000_000..1_100_000_usize,
    ];
    proptest::collection::vec(size, 0..12)
}

pub(crate) fn digests_are_right_for_pieces_of_any_size<P: Place>(new_place: impl Fn() -> P) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let place = new_place();
    let store = runtime.block_on(place.open());
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let run = |(sizes, seed): (Vec<usize>, u8)| {
        runtime.block_on(async {
            let total: usize = sizes.iter().sum();
            let content: Vec<u8> =
                (0..total).map(|place| (place * 31 + place / 251).to_le_bytes()[0] ^ seed).collect();
            let mut incoming = store.receive().await.unwrap();
            let mut rest = content.as_slice();
            for size in sizes {
                let (piece, after) = rest.split_at(size);
                incoming.write(Bytes::copy_from_slice(piece)).await.unwrap();
                rest = after;
            }
            let received = incoming.finish().await.unwrap();
            assert_eq!(received.sha256(), Sha256::of(&content));
            assert_eq!(received.size(), total as u64);
            received.keep(&AllNamed).await.unwrap().confirm().await.unwrap();
            let mut file = store.open(&Sha256::of(&content)).await.unwrap().unwrap();
            let size = file.size();
            assert_eq!(file.read(0..size).await.unwrap(), content);
        });
        Ok(())
    };
    TestRunner::new(config).run(&(sizes(), any::<u8>()), run).unwrap();
}
