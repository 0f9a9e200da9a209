//! What only the directory store promises: its layout, and what it does with things that lie around.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use bytes::Bytes;
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::runtime::Builder;
use tokio_util::task::TaskTracker;
use wheelhouse::blocking::Threads;
use wheelhouse::pep::digest::Sha256;
use wheelhouse::storage::StorageError;
use wheelhouse::storage::files::{IncomingFile, Transfer};

use crate::support::{
    DirectoryPlace, Known, Place, assert_gone, assert_there, count_files, keep, read, receive,
};

#[tokio::test]
async fn leftovers_are_swept_at_the_start() {
    let place = DirectoryPlace::new();
    drop(place.open().await);
    fs::write(place.path("incoming/.tmpabc"), "half a file").unwrap();
    fs::create_dir(place.path("incoming/folder")).unwrap();
    fs::write(place.path("incoming/folder/x"), "").unwrap();
    let store = place.open().await;
    assert_eq!(place.count_arriving(), 0);
    keep(store.as_ref(), "abc").await.confirm().await.unwrap();
    assert_there(store.as_ref(), "abc").await;
}

#[tokio::test]
async fn a_short_content_is_no_file_until_it_ends_or_is_read_along() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let mut incoming = [store.receive().await.unwrap(), store.receive().await.unwrap()];
    for content in &mut incoming {
        content.write(Bytes::from_static(b"abc")).await.unwrap();
    }
    assert_eq!(place.count_arriving(), 0);
    let [ended, mut read_along] = incoming;
    let _received = ended.finish().await.unwrap();
    assert_eq!(place.count_arriving(), 1);
    let _reader = read_along.arriving().await.unwrap();
    assert_eq!(place.count_arriving(), 2);
}

#[tokio::test]
async fn nobody_reads_along_where_there_can_be_no_file() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let mut incoming = store.receive().await.unwrap();
    fs::remove_dir(place.path("incoming")).unwrap();
    assert!(incoming.arriving().await.is_err());
    assert!(incoming.finish().await.is_err());
}

/// How many of the last 15 × 64 KiB of a long content wait to be written, in bytes.
async fn gather(incoming: &mut dyn IncomingFile) -> u64 {
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    for _ in 0..32 {
        incoming.write(piece.clone()).await.unwrap();
    }
    let flushed = incoming.flush().await.unwrap();
    assert_eq!(flushed, 2 * 1024 * 1024);
    for _ in 0..15 {
        incoming.write(piece.clone()).await.unwrap();
    }
    flushed + 15 * 64 * 1024 - incoming.written()
}

/// What waits at the most of a content of which no more than usual is gathered: as much is being written.
const USUALLY_GATHERED: u64 = 2 * 64 * 1024;

#[tokio::test]
async fn much_is_gathered_of_a_few_long_contents() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let mut long = Vec::new();
    for _ in 0..16 {
        let mut incoming = store.receive().await.unwrap();
        assert_eq!(gather(incoming.as_mut()).await, 15 * 64 * 1024);
        long.push(incoming);
    }
    assert!(gather(store.receive().await.unwrap().as_mut()).await <= USUALLY_GATHERED);
    long.pop();
    assert_eq!(gather(store.receive().await.unwrap().as_mut()).await, 15 * 64 * 1024);
}

#[tokio::test]
async fn whoever_reads_along_does_not_wait_for_much() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let mut incoming = store.receive().await.unwrap();
    let _reader = incoming.arriving().await.unwrap();
    assert!(gather(incoming.as_mut()).await <= USUALLY_GATHERED);
}

#[tokio::test]
async fn a_long_content_keeps_its_order() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let content = (0..1_000_000).map(|number| number.to_string()).collect::<Vec<_>>().join("\n");
    keep(store.as_ref(), &content).await.confirm().await.unwrap();
    // Not compared by a macro, which would print all of it.
    assert!(read(store.as_ref(), &content).await == Some(content));
}

#[tokio::test]
async fn contents_lie_under_their_hash() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let lease = keep(store.as_ref(), "abc").await;
    let sha256 = Sha256::of(b"abc").to_string();
    assert_eq!(fs::read(place.path(&format!("files/ba/{sha256}"))).unwrap(), b"abc");
    assert!(place.path(&format!("unconfirmed/{sha256}")).exists());
    lease.confirm().await.unwrap();
    assert_eq!(count_files(&place.path("unconfirmed")), 0);
}

#[tokio::test]
async fn a_damaged_content_is_mended_by_the_same_one() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    keep(store.as_ref(), "abc").await.confirm().await.unwrap();
    fs::write(place.path(&format!("files/ba/{}", Sha256::of(b"abc"))), "a").unwrap();
    keep(store.as_ref(), "abc").await.confirm().await.unwrap();
    assert_there(store.as_ref(), "abc").await;
}

#[tokio::test]
async fn a_content_that_comes_again_while_it_is_marked_stays_whole() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let mark = place.path(&format!("unconfirmed/{}", Sha256::of(b"abc")));
    let leases = [keep(store.as_ref(), "abc").await, keep(store.as_ref(), "abc").await];
    assert_there(store.as_ref(), "abc").await;
    // A second name of the content, so that emptying it would empty that.
    assert_eq!(fs::read(&mark).unwrap(), b"abc");
    for lease in leases {
        lease.confirm().await.unwrap();
    }
    assert!(!mark.exists());
    assert_there(store.as_ref(), "abc").await;
}

#[test]
fn what_had_arrived_is_kept_when_the_runtime_it_came_by_is_gone() {
    let place = DirectoryPlace::new();
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (store, received) = first.block_on(async {
        let store = place.open().await;
        let received = receive(store.as_ref(), "abc").await;
        (store, received)
    });
    let gone = first.handle().clone();
    first.shutdown_background();
    let threads = Threads::new(1).unwrap();
    let keep = async move || received.keep(&Known::default()).await?.confirm().await;
    gone.block_on(threads.complete(&TaskTracker::new(), keep)).unwrap().unwrap();
    runtime().block_on(assert_there(store.as_ref(), "abc"));
}

#[tokio::test]
async fn a_mark_without_content_is_taken_away() {
    // The process died between the mark and the content.
    let place = DirectoryPlace::new();
    let store = place.open().await;
    fs::write(place.path(&format!("unconfirmed/{}", Sha256::of(b"abc"))), "").unwrap();
    store.settle(&Known::default()).await.unwrap();
    assert_eq!(count_files(&place.path("unconfirmed")), 0);
    assert_gone(store.as_ref(), "abc").await;
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let place = DirectoryPlace::new();
    drop(place.open().await);
    for path in ["unconfirmed/README", "files/lost+found", "else"] {
        fs::write(place.path(path), "").unwrap();
    }
    let store = place.open().await;
    assert_eq!(store.settle(&Known::default()).await.unwrap(), 0);
    for path in ["unconfirmed/README", "files/lost+found", "else"] {
        assert!(place.path(path).exists(), "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_kept_leaves_nothing() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let target = place.path(&format!("files/ba/{}", Sha256::of(b"abc")));
    fs::create_dir(&target).unwrap();
    let received = receive(store.as_ref(), "abc").await;
    assert!(received.keep(&Known::default()).await.is_err());
    assert_eq!((place.count_arriving(), count_files(&place.path("unconfirmed"))), (0, 0));
    fs::remove_dir(&target).unwrap();
    keep(store.as_ref(), "abc").await.confirm().await.unwrap();
    assert_there(store.as_ref(), "abc").await;
}

#[tokio::test]
async fn what_cannot_be_read_is_told_from_what_fails() {
    let place = DirectoryPlace::new();
    let store = place.open().await;
    let sha256 = Sha256::of(b"abc");
    let content = place.path(&format!("files/ba/{sha256}"));
    symlink(&content, &content).unwrap();
    assert!(matches!(store.open(&sha256).await, Err(StorageError::Unreadable(_))));
    fs::remove_file(&content).unwrap();
    let (source, directory) = (place.path("source"), place.path("directory"));
    fs::write(&source, "abc").unwrap();
    fs::create_dir(&directory).unwrap();
    for way in [Transfer::Copy, Transfer::Link] {
        let taken = store.take_local(&directory, &sha256, way).await;
        assert!(matches!(taken, Err(StorageError::Unreadable(_))), "{taken:?}");
    }
    fs::remove_dir_all(place.path("incoming")).unwrap();
    let taken = store.take_local(&source, &sha256, Transfer::Copy).await;
    assert!(matches!(taken, Err(StorageError::Failed(_))), "{taken:?}");
}

#[tokio::test]
async fn contents_may_be_read_by_whom_the_umask_lets() {
    let before = umask(Mode::empty());
    for (mask, expected) in [(0o022, 0o644), (0o077, 0o600)] {
        umask(Mode::from_raw_mode(mask));
        let place = DirectoryPlace::new();
        let store = place.open().await;
        let source = place.path("source");
        fs::write(&source, "taken").unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o600)).unwrap();
        store.take_local(&source, &Sha256::of(b"taken"), Transfer::Copy).await.unwrap();
        keep(store.as_ref(), "short").await.confirm().await.unwrap();
        let mut incoming = store.receive().await.unwrap();
        let _reader = incoming.arriving().await.unwrap();
        incoming.finish().await.unwrap().keep(&Known::default()).await.unwrap().confirm().await.unwrap();
        for content in ["taken", "short", ""] {
            let path = store.local_path(&Sha256::of(content.as_bytes()));
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, expected, "{content}");
        }
    }
    umask(before);
}
