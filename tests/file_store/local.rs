//! Contents that come from, and go to, files of the local file system.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use wheelhouse::pep::digest::Sha256;
use wheelhouse::storage::files::Transfer;

use crate::support::{DirectoryPlace, Place, assert_there, keep};

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

pub(crate) async fn local_files_are_taken_and_given(place: &dyn Place) {
    let outside = tempfile::tempdir().unwrap();
    let store = place.open().await;
    for (way, content) in [(Transfer::Link, "linked"), (Transfer::Copy, "copied")] {
        let (source, target) =
            (outside.path().join(content), outside.path().join(format!("{content}-given")));
        fs::write(&source, content).unwrap();
        let sha256 = Sha256::of(content.as_bytes());
        // The second time there is nothing left to be done.
        for _ in ["first", "second"] {
            store.take_local(&source, &sha256, way).await.unwrap();
        }
        store.sync().await.unwrap();
        assert_eq!(fs::read_to_string(&source).unwrap(), content);
        assert_there(store.as_ref(), content).await;
        assert!(store.give_local(&sha256, &target, way).await.unwrap());
        assert_eq!(fs::read_to_string(&target).unwrap(), content);
        assert!(store.give_local(&sha256, &target, way).await.is_err(), "what is there is not touched");
        // Whoever changes a copy changes only that.
        fs::remove_file(&source).unwrap();
        assert_there(store.as_ref(), content).await;
    }
    let target = outside.path().join("none");
    assert!(!store.give_local(&Sha256::of(b"unknown"), &target, Transfer::Link).await.unwrap());
    assert!(!target.exists());
    assert!(store.take_local(&target, &Sha256::of(b"unknown"), Transfer::Copy).await.is_err());
    assert_eq!(place.count_arriving(), 0);
}

#[tokio::test]
async fn what_a_power_cut_has_shortened_is_replaced() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let source = place.path("source");
    fs::write(&source, "abc").unwrap();
    let sha256 = Sha256::of(b"abc");
    for way in [Transfer::Link, Transfer::Copy] {
        let _absent = fs::remove_file(place.path(&format!("files/ba/{sha256}")));
        fs::write(place.path(&format!("files/ba/{sha256}")), "").unwrap();
        store.take_local(&source, &sha256, way).await.unwrap();
        assert_there(store.as_ref(), "abc").await;
        assert_eq!(fs::read_to_string(&source).unwrap(), "abc");
    }
}

#[tokio::test]
async fn links_share_the_disk_space() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let (source, target) = (place.path("source"), place.path("target"));
    fs::write(&source, "abc").unwrap();
    let sha256 = Sha256::of(b"abc");
    store.take_local(&source, &sha256, Transfer::Link).await.unwrap();
    let kept = place.path(&format!("files/ba/{sha256}"));
    assert_eq!(inode(&kept), inode(&source));
    store.give_local(&sha256, &target, Transfer::Link).await.unwrap();
    assert_eq!(inode(&target), inode(&source));
    // The same content from elsewhere does not write into the shared one.
    keep(store.as_ref(), "abc").await.confirm().await.unwrap();
    assert_ne!(inode(&kept), inode(&source));
}
