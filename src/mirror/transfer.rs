//! A file on its way from an upstream, read along by any number of clients.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{Stream, try_unfold};
use jiff::Timestamp;
use tokio::sync::watch;

use super::error::FetchError;
use crate::storage::StorageError;
use crate::storage::files::ArrivingFile;
use crate::storage::mirrored::FetchedContent;

/// A file on its way from an upstream.
pub struct Transfer {
    progress: watch::Sender<Progress>,
    file: Mutex<Option<Arc<dyn ArrivingFile>>>,
}

/// How far a transfer is.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// The size, once it is known.
    size: Option<u64>,
    /// When the file was last modified, as the upstream says.
    modified: Option<Timestamp>,
    /// How many bytes may go out.
    readable: u64,
    /// How it ended.
    outcome: Option<Result<FetchedContent, FetchError>>,
}

/// Why a client that reads along gets no more.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Transfer {
    pub(super) fn new() -> Self {
        Self { progress: watch::Sender::default(), file: Mutex::default() }
    }

    /// The upstream answers, with so many bytes.
    pub(super) fn begin(&self, file: Arc<dyn ArrivingFile>, size: Option<u64>, modified: Option<Timestamp>) {
        *self.file() = Some(file);
        self.progress.send_modify(|progress| (progress.size, progress.modified) = (size, modified));
    }

    /// So many bytes may go out.
    pub(super) fn release(&self, readable: u64) {
        self.progress.send_if_modified(|progress| {
            let more = readable > progress.readable;
            progress.readable = progress.readable.max(readable);
            more
        });
    }

    /// It is over, unless it was before.
    pub(super) fn end_once(&self, outcome: Result<FetchedContent, FetchError>) {
        self.progress.send_if_modified(|progress| {
            if progress.outcome.is_some() {
                return false;
            }
            if let Ok(content) = &outcome {
                progress.modified = progress.modified.or(Some(content.modified));
                progress.size = Some(content.size);
                progress.readable = content.size;
            }
            progress.outcome = Some(outcome);
            true
        });
    }

    /// Other bytes than those so far come in their place; nothing of those has gone out.
    pub(super) fn replace(&self, file: Arc<dyn ArrivingFile>) {
        *self.file() = Some(file);
    }

    fn file(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn ArrivingFile>>> {
        // It is only ever put and cloned.
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until bytes can be read, or the transfer has ended. Then the size, where it is known: of a file that is
    /// small enough to be held back as a whole, only if it is right.
    pub async fn started(&self) -> Result<Option<u64>, FetchError> {
        let mut progress = self.progress.subscribe();
        let begun = progress.wait_for(|progress| progress.readable > 0 || progress.outcome.is_some()).await;
        match begun.map(|progress| (progress.size, progress.outcome.clone())) {
            Ok((_, Some(Err(error)))) => Err(error),
            Ok((size, _)) => Ok(size),
            Err(_) => Err(given_up()),
        }
    }

    /// When the file was last modified, where that is known by now.
    pub fn modified(&self) -> Option<Timestamp> {
        self.progress.borrow().modified
    }

    /// Waits until the transfer has ended.
    pub async fn finished(&self) -> Result<FetchedContent, FetchError> {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|progress| progress.outcome.is_some()).await;
        ended.ok().and_then(|progress| progress.outcome.clone()).unwrap_or_else(|| Err(given_up()))
    }

    /// The bytes of a range, in pieces of at most `piece()` bytes, as they come; up to the end of the file for `None`.
    ///
    /// The last bytes come only if the file has turned out to be right; else the stream ends with an error.
    pub fn read(
        self: Arc<Self>,
        start: u64,
        end: Option<u64>,
        mut piece: impl FnMut() -> u64 + Send,
    ) -> impl Stream<Item = Result<Bytes, TransferError>> + Send {
        try_unfold(start, move |position| {
            let transfer = Arc::clone(&self);
            let piece = piece();
            async move {
                let Some(range) = transfer.next_range(position, end, piece).await? else { return Ok(None) };
                let file = transfer.file().clone();
                let file = file.ok_or_else(given_up)?;
                let next = range.end;
                Ok(Some((file.read(range).await?, next)))
            }
        })
    }

    /// The bytes from `position` on that can be read now; `None` at the end.
    async fn next_range(
        &self,
        position: u64,
        end: Option<u64>,
        piece: u64,
    ) -> Result<Option<Range<u64>>, FetchError> {
        if end.is_some_and(|end| position >= end) {
            return Ok(None);
        }
        let mut progress = self.progress.subscribe();
        let ready = |progress: &Progress| progress.readable > position || progress.outcome.is_some();
        let progress = progress.wait_for(ready).await.map_err(|_| given_up())?;
        if progress.readable > position {
            let available = end.map_or(progress.readable, |end| end.min(progress.readable));
            return Ok(Some(position..available.min(position + piece)));
        }
        match (&progress.outcome, end) {
            (Some(Err(error)), _) => Err(error.clone()),
            (_, None) => Ok(None),
            // The client was promised more.
            (_, Some(_)) => Err(given_up()),
        }
    }
}

fn given_up() -> FetchError {
    FetchError::Failed { url: "".into(), cause: "the transfer was given up".into() }
}
