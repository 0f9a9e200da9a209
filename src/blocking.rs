//! Work that may block, and how it is kept from changing threads all the time.
//!
//! A piece of such work usually borrows a thread: one has to wake up for it, and another one when it is done. Where many
//! pieces follow each other, that takes longer than the pieces. So such work is done as a whole on a thread of
//! [`Threads`], where each piece runs in its place.

use std::cell::Cell;
use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::task::TaskTracker;

thread_local! {
    /// Whether nobody else waits for this thread.
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread that may block, which may be this one; where it is, a panic in `work` is one here.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    if MAY_BLOCK.get() {
        return Ok(work());
    }
    spawn_blocking(work).await
}

/// Drops what takes long to drop on a thread that may block, which may be this one, and does not wait for it.
pub fn dispose(value: impl Send + 'static) {
    match Handle::try_current() {
        // A runtime that has ended drops it right here.
        Ok(runtime) if !MAY_BLOCK.get() => drop(runtime.spawn_blocking(move || drop(value))),
        _ => drop(value),
    }
}

/// Threads on which work is done from its beginning to its end.
///
/// They are not those that [`run`] borrows elsewhere: of these one is always free soon, whatever the work here waits for.
pub struct Threads {
    handle: Handle,
    /// Until this is dropped.
    runtime: Option<Runtime>,
}

impl Threads {
    /// At most `count` threads, which are started as they are needed.
    pub fn new(count: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().max_blocking_threads(count).build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Does work as a whole on one of the threads, when one is free, even if nobody waits for it any more. It may use
    /// the runtime of whoever calls this.
    pub async fn complete<T, F>(
        &self,
        tasks: &TaskTracker,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, JoinError>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        let caller = Handle::current();
        let whole = move || {
            MAY_BLOCK.set(true);
            caller.block_on(work())
        };
        tasks.spawn_blocking_on(whole, &self.handle).await
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Not by waiting for them: this may be a thread that must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::current;
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn work_as_a_whole_stays_on_its_thread() {
        let threads = Threads::new(1).unwrap();
        let here = current().id();
        let work = async || {
            let before = current().id();
            // Timers are those of the caller.
            sleep(Duration::from_millis(1)).await;
            (before, run(|| current().id()).await.unwrap(), current().id())
        };
        let (before, within, after) = threads.complete(&TaskTracker::new(), work).await.unwrap();
        assert!(before == within && within == after && before != here);
        assert_ne!(run(|| current().id()).await.unwrap(), here);
    }

    #[tokio::test]
    async fn more_work_than_threads_is_done_in_turn() {
        let (threads, tasks) = (Threads::new(2).unwrap(), TaskTracker::new());
        let all = (0..20).map(|number| {
            // A thread from elsewhere is there for whoever waits for it.
            threads.complete(&tasks, async move || spawn_blocking(move || number).await.unwrap())
        });
        let done: Vec<_> = join_all(all).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(done, (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_done_all_the_same() {
        let (threads, tasks) = (Threads::new(1).unwrap(), TaskTracker::new());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        {
            let work = async move || {
                sleep(Duration::from_millis(20)).await;
                sender.send(()).unwrap();
            };
            let mut abandoned = Box::pin(threads.complete(&tasks, work));
            assert!(futures_util::poll!(&mut abandoned).is_pending());
        }
        tasks.close();
        tasks.wait().await;
        receiver.await.unwrap();
    }
}
