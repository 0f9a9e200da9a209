//! A metadata store in an SQLite database.
//!
//! One thread writes. It takes all change sets that wait into one transaction, each behind a savepoint, so that many
//! small writes share one sync (group commit). Readers have their own connections and, by the write-ahead log, see
//! the newest commit without waiting for the writer.

mod apply;
mod integrity;
mod mirror;
mod project;
mod read;
mod rows;
mod snapshot;
mod write;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use rusqlite::{Connection, OpenFlags};
use tokio::task::spawn_blocking;

pub use self::integrity::DatabaseFault;
use self::snapshot::{Readers, SqliteSnapshot};
use self::write::Writer;
use super::StorageError;
use super::meta::{Change, ChangeSet, Commit, CommitError, CommitListener, MetaStore, Record, Snapshot};
use super::mirrored::Note;
use super::model::Serial;
use crate::pep::digest::Sha256;

/// Marks the file as a database of this program ("whhs").
const APPLICATION_ID: i32 = 0x7768_6873;

/// The steps that make the current schema; step n takes a database from version n to n + 1.
const SCHEMA_STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// Bounds of an [`SqliteStore`].
#[derive(Clone, Copy, Debug)]
pub struct SqliteLimits {
    /// How many snapshots may be open at once; further ones wait.
    pub readers: usize,
    /// How many change sets may wait for the writer; further ones wait before it.
    pub pending_changes: usize,
    /// How many change sets go into one transaction at the most.
    pub group_commit: usize,
}

impl Default for SqliteLimits {
    fn default() -> Self {
        Self { readers: 8, pending_changes: 1024, group_commit: 256 }
    }
}

/// A [`MetaStore`] in an SQLite database.
pub struct SqliteStore {
    writer: Writer,
    readers: Arc<Readers>,
    newest: Newest,
}

impl SqliteStore {
    /// Repairs what can be repaired of the database in the file `path`, which nobody else may be using, and says what was
    /// done. What [`SqliteReader::check`] still finds afterwards needs a backup. Blocks.
    pub fn repair(path: &Path, now: Timestamp) -> Result<Vec<String>, StorageError> {
        let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        prepare_connection(&connection)?;
        require_schema(&connection)?;
        integrity::repair(&mut connection, now)
    }

    /// Forgets documents in the database in the file `path`, and whatever refers to such as are not there. Returns in how
    /// many places. Blocks.
    pub fn forget_documents(path: &Path, documents: &[Sha256]) -> Result<usize, StorageError> {
        let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        prepare_connection(&connection)?;
        integrity::forget_documents(&mut connection, documents)
    }

    /// Opens or creates the database in the file `path`. Blocks.
    pub fn open(path: &Path, limits: SqliteLimits) -> Result<Self, StorageError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        prepare_connection(&connection)?;
        update_schema(&mut connection)?;
        let (newest, doubt) = (Newest::new(read::serial(&connection)?), Doubt::default());
        let readers = Arc::new(Readers::new(path.to_owned(), limits.readers, doubt.clone()));
        let writer = Writer::start(connection, newest.clone(), doubt, limits)?;
        Ok(Self { writer, readers, newest })
    }
}

/// The metadata in an SQLite database that another process may be working on.
pub struct SqliteReader(Arc<Readers>);

impl SqliteReader {
    /// Opens a database for reading; it must have been brought up to date by an [`SqliteStore`]. Blocks.
    pub fn open(path: &Path, limits: SqliteLimits) -> Result<Self, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        prepare_connection(&connection)?;
        require_schema(&connection)?;
        Ok(Self(Arc::new(Readers::new(path.to_owned(), limits.readers, Doubt::default()))))
    }

    /// A view of the database: see [`MetaStore::snapshot`].
    pub async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        Ok(Box::new(SqliteSnapshot::open(&self.0).await?))
    }

    /// Writes a copy of the database, as it is at one serial, into the new file `path`.
    pub async fn copy_to(&self, path: &Path) -> Result<(), StorageError> {
        let (readers, path) = (Arc::clone(&self.0), path.to_owned());
        spawn_blocking(move || {
            let name = path.to_str().ok_or_else(|| StorageError::Failed("the path is not UTF-8".into()))?;
            readers.connect()?.execute("VACUUM INTO ?1", [name])?;
            Ok(File::open(&path)?.sync_all()?)
        })
        .await?
    }

    /// What is wrong with the database: pages, indexes, references, counters.
    pub async fn check(&self) -> Result<Vec<DatabaseFault>, StorageError> {
        SqliteSnapshot::open(&self.0).await?.run(integrity::check).await
    }
}

#[async_trait]
impl MetaStore for SqliteStore {
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        Ok(Box::new(SqliteSnapshot::open(&self.readers).await?))
    }

    async fn commit(&self, change: ChangeSet) -> Result<Commit, CommitError> {
        self.writer.commit(change).await
    }

    fn serial(&self) -> Option<Serial> {
        self.newest.get()
    }

    fn listen(&self, listener: Arc<dyn CommitListener>) {
        self.writer.listen(listener);
    }

    async fn changes_since(&self, after: Option<Serial>, limit: usize) -> Result<Vec<Change>, StorageError> {
        let snapshot = SqliteSnapshot::open(&self.readers).await?;
        snapshot.run(move |connection| read::changes_since(connection, after, limit)).await
    }

    async fn note(&self, notes: Vec<Note>) -> Result<(), StorageError> {
        self.writer.note(notes).await
    }

    async fn load(&self, records: Vec<Record>) -> Result<(), StorageError> {
        self.writer.load(records).await
    }

    async fn close(&self) -> Result<(), StorageError> {
        // Readers go first: the write-ahead log is emptied by the last one who may write.
        self.readers.close();
        self.writer.close();
        let thread = self.writer.take_thread();
        let joined = spawn_blocking(move || thread.map(std::thread::JoinHandle::join)).await?;
        match joined {
            Some(Err(_)) => Err(StorageError::Damaged("the writing thread panicked".to_owned())),
            _ => Ok(()),
        }
    }
}

/// The newest serial, shared between the writer and everybody who shows it. -1 stands for none.
#[derive(Clone)]
struct Newest(Arc<AtomicI64>);

impl Newest {
    fn new(serial: Option<Serial>) -> Self {
        let newest = Self(Arc::new(AtomicI64::new(-1)));
        if let Some(serial) = serial {
            newest.set(serial);
        }
        newest
    }

    fn get(&self) -> Option<Serial> {
        u64::try_from(self.0.load(Ordering::Acquire)).ok().map(Serial)
    }

    fn set(&self, serial: Serial) {
        self.0.store(rows::to_integer(serial.0), Ordering::Release);
    }
}

/// Whether it is unknown if the last transaction was made: its commit failed, but what is on the disk may count at the next
/// start all the same. Shared between the writer and those who would throw away what was not committed.
#[derive(Clone, Default)]
struct Doubt(Arc<AtomicBool>);

impl Doubt {
    fn set(&self, doubt: bool) {
        self.0.store(doubt, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// An error while there is doubt.
    fn check(&self) -> Result<(), StorageError> {
        if self.is_set() {
            return Err(StorageError::Failed(
                "whether the last change was made is known at the next start".into(),
            ));
        }
        Ok(())
    }
}

/// The version of the schema that [`SCHEMA_STEPS`] lead to.
fn schema_version() -> i64 {
    rows::to_integer(SCHEMA_STEPS.len() as u64)
}

/// Settings that every connection needs.
fn prepare_connection(connection: &Connection) -> Result<(), StorageError> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Pages as they were before a change of a group, and what is sorted. Files for these would go where nothing may be
    // written in some containers.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Else SQLite would plan a statement anew whenever a parameter might fit a partial index, which is each time.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// That a database, which is not to be changed, has the current schema.
fn require_schema(connection: &Connection) -> Result<(), StorageError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > schema_version() {
        return Err(made_by_newer_release(version));
    }
    if version < schema_version() {
        let text = format!(
            "the database has schema version {version}, this program has {}; start devpi-server of this release on it once",
            schema_version()
        );
        return Err(StorageError::Damaged(text));
    }
    Ok(())
}

fn made_by_newer_release(version: i64) -> StorageError {
    let text = format!("the database has schema version {version}, made by a newer release of this program");
    StorageError::Damaged(text)
}

/// Brings the database to the current schema, in one transaction.
fn update_schema(connection: &mut Connection) -> Result<(), StorageError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if version > 0 && application != APPLICATION_ID {
        return Err(StorageError::Damaged("the database belongs to another program".to_owned()));
    }
    let Some(steps) = usize::try_from(version).ok().and_then(|version| SCHEMA_STEPS.get(version..)) else {
        return Err(made_by_newer_release(version));
    };
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", schema_version())?;
    transaction.commit()?;
    Ok(())
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DiskFull, NotADatabase};
        // The index of the write-ahead log did not get its size, for which it needs nothing but room.
        if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) {
            return Self::Full(error.into());
        }
        match error.sqlite_error_code() {
            Some(DiskFull) => Self::Full(error.into()),
            Some(DatabaseBusy) => Self::Busy(error.into()),
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Failed(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::model::{FileState, StoredPath};

    /// A database as the first release left it is brought up to date with all that is in it.
    #[tokio::test]
    async fn databases_of_the_first_release_are_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(SCHEMA_STEPS[0]).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let rows = "INSERT INTO changes VALUES (0, 1, NULL, '[]');
            INSERT INTO users VALUES (1, 'alice', '{\"pwhash\":null,\"created\":\"2026-01-01T00:00:00Z\",
                \"modified\":null,\"attributes\":{}}', 0, 0, NULL);
            INSERT INTO indexes VALUES (1, 'alice', 'dev', 0, NULL);
            INSERT INTO projects VALUES (1, 1, 'demo', 0, 0, NULL);
            INSERT INTO links VALUES (1, 1, '1.0', 'releasefile', 'alice/dev/+f/a/b/demo-1.0.zip', 'demo-1.0.zip',
                zeroblob(32), 5, 1, NULL, '[]', 0, NULL);";
        connection.execute_batch(rows).unwrap();
        drop(connection);
        for _ in ["first", "second"] {
            let store = SqliteStore::open(&path, SqliteLimits::default()).unwrap();
            let mut snapshot = store.snapshot().await.unwrap();
            assert_eq!(snapshot.get_user("alice").await.unwrap().unwrap().changed_at, Serial(0));
            let state = snapshot.get_file(&StoredPath::new("alice/dev/+f/a/b/demo-1.0.zip")).await.unwrap();
            let FileState::Present(link) = state else { panic!("{state:?}") };
            assert_eq!((link.value.project.normal(), link.value.for_path), ("demo", None));
            drop(snapshot);
            store.close().await.unwrap();
        }
    }
}
