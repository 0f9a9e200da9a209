//! The writing thread: many change sets in one transaction.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, warn};

use super::apply::Application;
use super::{Doubt, Newest, SqliteLimits, apply, mirror, schema_version};
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, Commit, CommitError, CommitListener, Record};
use crate::storage::mirrored::Note;
use crate::storage::model::Serial;

/// What is on its way to the writer, and the way back for the outcome.
enum Request {
    Change { change: Box<ChangeSet>, reply: oneshot::Sender<Result<Commit, CommitError>> },
    Notes { notes: Vec<Note>, reply: oneshot::Sender<Result<(), StorageError>> },
    Load { records: Vec<Record>, reply: oneshot::Sender<Result<(), StorageError>> },
}

impl Request {
    /// Tells whoever waits how it went. Nobody may be waiting any more; what was written stands all the same.
    fn reply(self, outcome: Outcome, listener: Option<&Arc<dyn CommitListener>>) {
        match (self, outcome) {
            (Self::Change { change, reply }, Outcome::Change(outcome)) => {
                if let (Ok(commit), Some(listener)) = (&outcome, listener) {
                    listener.committed(&change, commit);
                }
                let _gone = reply.send(outcome);
            }
            (Self::Notes { reply, .. } | Self::Load { reply, .. }, Outcome::Other(outcome)) => {
                let _gone = reply.send(outcome);
            }
            // An outcome is made for each request, in its kind.
            (Self::Change { .. }, Outcome::Other(_)) | (_, Outcome::Change(_)) => {}
        }
    }

    fn fail(self, cause: StorageError) {
        match self {
            Self::Change { reply, .. } => {
                let _gone = reply.send(Err(cause.into()));
            }
            Self::Notes { reply, .. } | Self::Load { reply, .. } => {
                let _gone = reply.send(Err(cause));
            }
        }
    }
}

/// What became of a request in a transaction that was committed.
enum Outcome {
    Change(Result<Commit, CommitError>),
    /// Of something that gets no serial.
    Other(Result<(), StorageError>),
}

/// The handle of the writing thread.
pub(super) struct Writer {
    requests: Mutex<Option<mpsc::Sender<Request>>>,
    listener: Arc<OnceLock<Arc<dyn CommitListener>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread on a connection that is its own from now on.
    pub(super) fn start(
        connection: Connection,
        newest: Newest,
        doubt: Doubt,
        limits: SqliteLimits,
    ) -> Result<Self, StorageError> {
        let (sender, receiver) = mpsc::channel(limits.pending_changes);
        let listener = Arc::new(OnceLock::new());
        let thread = WriterThread {
            connection,
            newest,
            doubt,
            listener: Arc::clone(&listener),
            requests: receiver,
            group_commit: limits.group_commit,
        };
        let thread = std::thread::Builder::new().name("sqlite-writer".to_owned()).spawn(|| thread.run())?;
        Ok(Self { requests: Mutex::new(Some(sender)), listener, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn listen(&self, listener: Arc<dyn CommitListener>) {
        if self.listener.set(listener).is_err() {
            debug!("a second commit listener is passed over");
        }
    }

    pub(super) async fn commit(&self, change: ChangeSet) -> Result<Commit, CommitError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Request::Change { change: Box::new(change), reply }).await?;
        outcome.await.map_err(|_| StorageError::Closed)?
    }

    pub(super) async fn note(&self, notes: Vec<Note>) -> Result<(), StorageError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Request::Notes { notes, reply }).await?;
        outcome.await.map_err(|_| StorageError::Closed)?
    }

    pub(super) async fn load(&self, records: Vec<Record>) -> Result<(), StorageError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Request::Load { records, reply }).await?;
        outcome.await.map_err(|_| StorageError::Closed)?
    }

    async fn send(&self, request: Request) -> Result<(), StorageError> {
        let sender = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sender = sender.ok_or(StorageError::Closed)?;
        sender.send(request).await.map_err(|_| StorageError::Closed)
    }

    /// Takes no more change sets. Those that wait are still committed.
    pub(super) fn close(&self) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn take_thread(&self) -> Option<JoinHandle<()>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct WriterThread {
    connection: Connection,
    newest: Newest,
    doubt: Doubt,
    listener: Arc<OnceLock<Arc<dyn CommitListener>>>,
    requests: mpsc::Receiver<Request>,
    group_commit: usize,
}

impl WriterThread {
    fn run(mut self) {
        let mut group = Vec::with_capacity(self.group_commit);
        while self.requests.blocking_recv_many(&mut group, self.group_commit) > 0 {
            self.commit_group(&mut group);
        }
        // Leaves one file behind, unless a reader is still at work; the next start does without it as well.
        let checkpoint = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        match checkpoint {
            Ok(0) => {}
            Ok(_busy) => debug!("the write-ahead log stays: somebody reads"),
            Err(cause) => warn!(%cause, "the write-ahead log stays"),
        }
    }

    fn commit_group(&mut self, group: &mut Vec<Request>) {
        let first = self.newest.get().map_or(0, |serial| serial.0 + 1);
        let outcome = write_group(&mut self.connection, first, group);
        match outcome {
            Ok(outcomes) => {
                // Only what was written ends a doubt, and this group may have had nothing to write.
                if self.doubt.is_set() {
                    self.settle_doubt();
                }
                for (request, outcome) in group.drain(..).zip(outcomes) {
                    if let (Request::Load { records, .. }, Outcome::Other(Ok(()))) = (&request, &outcome)
                        && let Some(serial) = last_serial(records)
                    {
                        self.newest.set(self.newest.get().map_or(serial, |newest| newest.max(serial)));
                    }
                    if let Outcome::Change(Ok(commit)) = &outcome {
                        self.newest.set(commit.serial);
                    }
                    request.reply(outcome, self.listener.get());
                }
            }
            Err(Failure { cause, may_count }) => {
                let again = match cause {
                    StorageError::Full(_) => StorageError::Full,
                    StorageError::Busy(_) => StorageError::Busy,
                    _ => StorageError::Failed,
                };
                let text = format!("{:#}", anyhow::Error::from(cause));
                error!(changes = group.len(), "a transaction failed: {text}");
                if may_count {
                    self.settle_doubt();
                }
                for request in group.drain(..) {
                    request.fail(again(text.clone().into()));
                }
            }
        }
    }

    /// Makes sure that a transaction whose commit failed is not made. It may be in the write-ahead log as a whole, where
    /// recovery after a crash would find it, unless another one is written in its place.
    fn settle_doubt(&mut self) {
        let outcome = self.connection.pragma_update(None, "user_version", schema_version());
        self.doubt.set(outcome.is_err());
        if let Err(cause) = outcome {
            warn!(%cause, "unless a later transaction succeeds, it may show at the next start as if it had been made");
        }
    }
}

/// Writes all of a group in one transaction. A change set that cannot be applied does not disturb the others.
fn write_group(connection: &mut Connection, first: u64, group: &[Request]) -> Result<Vec<Outcome>, Failure> {
    let mut transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut serial = first;
    let mut outcomes = Vec::with_capacity(group.len());
    for request in group {
        let change = match request {
            Request::Change { change, .. } => change,
            Request::Notes { notes, .. } => {
                let put =
                    |connection: &_| notes.iter().try_for_each(|note| mirror::put_note(connection, note));
                outcomes.push(write_other(&mut transaction, put)?);
                continue;
            }
            Request::Load { records, .. } => {
                let put =
                    |connection: &_| records.iter().try_for_each(|record| apply::load(connection, record));
                outcomes.push(write_other(&mut transaction, put)?);
                serial = last_serial(records).map_or(serial, |last| serial.max(last.0 + 1));
                continue;
            }
        };
        let savepoint = transaction.savepoint()?;
        match Application::new(&savepoint, Serial(serial)).apply(change) {
            Ok(touched) => {
                savepoint.commit()?;
                outcomes.push(Outcome::Change(Ok(Commit { serial: Serial(serial), touched })));
                serial += 1;
            }
            Err(error) => {
                drop(savepoint);
                // After some failures (a full disk, a broken file) SQLite has already given up the whole transaction.
                match error {
                    CommitError::Storage(cause) if transaction.is_autocommit() => return Err(cause.into()),
                    error => outcomes.push(Outcome::Change(Err(error))),
                }
            }
        }
    }
    transaction.commit().map_err(|error| {
        // A page that finds no room is never the last one that is needed; whatever else fails may come after that.
        let may_count = error.sqlite_error_code() != Some(rusqlite::ErrorCode::DiskFull);
        Failure { cause: error.into(), may_count }
    })?;
    Ok(outcomes)
}

/// Why a group was not written.
struct Failure {
    cause: StorageError,
    /// Whether the group may be on the disk all the same.
    may_count: bool,
}

impl<E: Into<StorageError>> From<E> for Failure {
    fn from(cause: E) -> Self {
        Self { cause: cause.into(), may_count: false }
    }
}

/// Writes what gets no serial; an error only if the whole transaction has been given up.
fn write_other(
    transaction: &mut rusqlite::Transaction<'_>,
    put: impl FnOnce(&Connection) -> Result<(), StorageError>,
) -> Result<Outcome, StorageError> {
    let savepoint = transaction.savepoint()?;
    match put(&savepoint) {
        Ok(()) => {
            savepoint.commit()?;
            Ok(Outcome::Other(Ok(())))
        }
        Err(cause) => {
            drop(savepoint);
            if transaction.is_autocommit() { Err(cause) } else { Ok(Outcome::Other(Err(cause))) }
        }
    }
}

/// The highest serial of the entries of the change log among records.
fn last_serial(records: &[Record]) -> Option<Serial> {
    let serials = records.iter().filter_map(|record| match record {
        Record::Change(change) => Some(change.serial),
        Record::Made(..) | Record::FormerFile(..) => None,
    });
    serials.max()
}
