//! Contents that are dropped, and which thread removes their files: never one that others wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::task::TaskTracker;
use wheelhouse::blocking::Threads;

use crate::support::{DirectoryPlace, Place, receive};

/// How much is gathered before it is written.
const BUFFER: usize = 64 * 1024;

/// A runtime with one thread that may block, and how many of those were started.
fn runtime() -> (Runtime, Arc<AtomicUsize>) {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let mut builder = Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(1).on_thread_start(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    (builder.build().unwrap(), started)
}

/// Keeps that thread busy until the sender is dropped.
fn occupy() -> (mpsc::Sender<()>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let busy = spawn_blocking(move || assert!(receiver.recv().is_err()));
    (sender, busy)
}

/// Waits until it has done all that it has to do by now.
async fn drain() {
    spawn_blocking(|| {}).await.unwrap();
}

#[test]
fn files_are_removed_by_a_thread_that_may_block() {
    let (runtime, _) = runtime();
    runtime.block_on(async {
        let place = DirectoryPlace::new();
        let store = place.open().await;
        let piece = Bytes::from(vec![b'x'; BUFFER]);
        let mut flushed = store.receive().await.unwrap();
        flushed.write(piece.clone()).await.unwrap();
        flushed.flush().await.unwrap();
        // Nobody has asked yet what became of the write.
        let mut written = store.receive().await.unwrap();
        written.write(piece.clone()).await.unwrap();
        drain().await;
        let received = receive(store.as_ref(), "abc").await;
        let (release, busy) = occupy();
        let mut still_to_be_written = store.receive().await.unwrap();
        still_to_be_written.write(piece).await.unwrap();

        assert_eq!(place.count_arriving(), 3);
        drop((flushed, written, received, still_to_be_written));
        assert_eq!(place.count_arriving(), 3, "this thread is not to wait for the disk");
        drop(release);
        busy.await.unwrap();
        // What is written first is removed after that.
        for _ in ["written", "removed"] {
            drain().await;
        }
        assert_eq!(place.count_arriving(), 0);
    });
}

#[test]
fn what_never_became_a_file_needs_no_thread() {
    let (runtime, started) = runtime();
    runtime.block_on(async {
        let place = DirectoryPlace::new();
        let store = place.open().await;
        let mut incoming = store.receive().await.unwrap();
        incoming.write(Bytes::from_static(b"abc")).await.unwrap();
        drop(incoming);
        assert_eq!(started.load(Ordering::SeqCst), 0);
        let _received = receive(store.as_ref(), "abc").await;
        assert_eq!(started.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_thread_that_may_block_removes_files_itself() {
    let (runtime, _) = runtime();
    runtime.block_on(async {
        let place = DirectoryPlace::new();
        let received = receive(place.open().await.as_ref(), "abc").await;
        let (release, busy) = occupy();
        let threads = Threads::new(1).unwrap();
        threads.complete(&TaskTracker::new(), async move || drop(received)).await.unwrap();
        assert_eq!(place.count_arriving(), 0);
        drop(release);
        busy.await.unwrap();
    });
}

#[test]
fn files_are_removed_without_a_runtime() {
    let place = DirectoryPlace::new();
    for is_there in [true, false] {
        let (runtime, _) = runtime();
        let received = runtime.block_on(async { receive(place.open().await.as_ref(), "abc").await });
        let handle = runtime.handle().clone();
        runtime.shutdown_background();
        let _entered = is_there.then(|| handle.enter());
        assert_eq!(place.count_arriving(), 1);
        drop(received);
        assert_eq!(place.count_arriving(), 0);
    }
}
