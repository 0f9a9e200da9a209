//! Reading connections, and the views that borrow them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Doubt, mirror, prepare_connection, project, read};
use crate::blocking;
use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::meta::{NamedContent, Snapshot};
use crate::storage::mirrored::{FetchedFile, FetchedState, StoredNames, StoredPage};
use crate::storage::model::{
    FileState, IndexName, IndexSettings, Link, ProjectContents, ProjectMark, Release, ReleaseSummary, Serial,
    Stored, StoredPath, UserRecord,
};

/// A bounded pool of reading connections.
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    doubt: Doubt,
}

impl Readers {
    pub(super) fn new(path: PathBuf, count: usize, doubt: Doubt) -> Self {
        Self { path, permits: Arc::new(Semaphore::new(count)), idle: Mutex::default(), doubt }
    }

    /// Lends no more connections; those that are lent are closed when they come back.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn borrow(self: &Arc<Self>) -> Result<Borrowed, StorageError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| StorageError::Closed)?;
        let idle = self.idle().pop();
        Ok(Borrowed { pool: Arc::clone(self), connection: idle, view: None, _permit: permit })
    }

    pub(super) fn connect(&self) -> Result<Connection, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        prepare_connection(&connection)?;
        Ok(connection)
    }
}

/// A connection that goes back to its pool, wherever it is dropped.
struct Borrowed {
    pool: Arc<Readers>,
    connection: Option<Connection>,
    /// What its transaction shows; `None` until that has begun.
    view: Option<View>,
    _permit: OwnedSemaphorePermit,
}

/// What a transaction shows.
#[derive(Clone, Copy)]
struct View {
    serial: Option<Serial>,
}

impl Borrowed {
    /// The connection, with a transaction at the newest commit if none has begun. Blocks.
    fn begin(&mut self) -> Result<&Connection, StorageError> {
        if self.view.is_none() {
            let connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.pool.connect()?,
            };
            connection.execute_batch("BEGIN")?;
            // The view begins with the first read, so this one fixes it.
            self.view = Some(View { serial: read::serial(&connection)? });
            self.connection = Some(connection);
        }
        self.connection.as_ref().ok_or(StorageError::Closed)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // A connection that cannot end its transaction is not worth keeping.
        let is_idle = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        if !self.pool.permits.is_closed() && is_idle {
            self.pool.idle().push(connection);
        }
    }
}

/// A [`Snapshot`] of an SQLite store: a reading transaction.
pub(super) struct SqliteSnapshot {
    borrowed: Option<Borrowed>,
}

impl SqliteSnapshot {
    /// Borrows a connection for a reading transaction, which begins with the first query: the two share a thread.
    pub(super) async fn open(readers: &Arc<Readers>) -> Result<Self, StorageError> {
        Ok(Self { borrowed: Some(readers.borrow().await?) })
    }

    /// Runs `query` on a thread that may block.
    pub(super) async fn run<T: Send + 'static>(
        mut self,
        query: impl FnOnce(&Connection) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.query(query).await
    }

    async fn query<T: Send + 'static>(
        &mut self,
        query: impl FnOnce(&Connection) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let mut borrowed = self.borrowed.take().ok_or(StorageError::Closed)?;
        // The connection travels with the query, so that it comes back to the pool even if nobody waits any more.
        let (borrowed, result) = blocking::run(move || {
            let result = borrowed.begin().and_then(query);
            (borrowed, result)
        })
        .await?;
        self.borrowed = Some(borrowed);
        result
    }
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    async fn serial(&mut self) -> Result<Option<Serial>, StorageError> {
        match self.borrowed.as_ref().and_then(|borrowed| borrowed.view) {
            Some(view) => Ok(view.serial),
            None => self.query(read::serial).await,
        }
    }

    async fn get_user(&mut self, name: &str) -> Result<Option<Stored<UserRecord>>, StorageError> {
        let name = name.to_owned();
        self.query(move |connection| read::get_user(connection, &name)).await
    }

    async fn list_users(&mut self) -> Result<BTreeMap<Arc<str>, UserRecord>, StorageError> {
        self.query(read::list_users).await
    }

    async fn get_index(&mut self, name: &IndexName) -> Result<Option<Stored<IndexSettings>>, StorageError> {
        let name = name.clone();
        self.query(move |connection| read::get_index(connection, &name)).await
    }

    async fn list_indexes(
        &mut self,
        user: Option<&str>,
    ) -> Result<BTreeMap<IndexName, Stored<IndexSettings>>, StorageError> {
        let user = user.map(str::to_owned);
        self.query(move |connection| read::list_indexes(connection, user.as_deref())).await
    }

    async fn list_projects(&mut self, index: &IndexName) -> Result<Vec<Arc<str>>, StorageError> {
        let index = index.clone();
        self.query(move |connection| read::list_projects(connection, &index)).await
    }

    async fn get_project(
        &mut self,
        index: &IndexName,
        project: &str,
    ) -> Result<Option<Serial>, StorageError> {
        let (index, project) = (index.clone(), project.to_owned());
        self.query(move |connection| read::get_project(connection, &index, &project)).await
    }

    async fn list_versions(
        &mut self,
        index: &IndexName,
        project: &str,
    ) -> Result<Vec<ReleaseSummary>, StorageError> {
        let (index, project) = (index.clone(), project.to_owned());
        self.query(move |connection| project::list_versions(connection, &index, &project)).await
    }

    async fn get_release(
        &mut self,
        index: &IndexName,
        project: &str,
        version: &str,
    ) -> Result<Option<Release>, StorageError> {
        let (index, project, version) = (index.clone(), project.to_owned(), version.to_owned());
        self.query(move |connection| {
            Ok(read::list_releases(connection, &index, &project, Some(&version))?.into_iter().next())
        })
        .await
    }

    async fn list_releases(
        &mut self,
        index: &IndexName,
        project: &str,
    ) -> Result<Vec<Release>, StorageError> {
        let (index, project) = (index.clone(), project.to_owned());
        self.query(move |connection| read::list_releases(connection, &index, &project, None)).await
    }

    async fn read_project(
        &mut self,
        index: &IndexName,
        project: &str,
        since: Option<ProjectMark>,
    ) -> Result<ProjectContents, StorageError> {
        let (index, project) = (index.clone(), project.to_owned());
        self.query(move |connection| project::read(connection, &index, &project, since)).await
    }

    async fn list_links(
        &mut self,
        index: &IndexName,
        project: &str,
        version: Option<&str>,
    ) -> Result<Vec<Stored<Link>>, StorageError> {
        let (index, project) = (index.clone(), project.to_owned());
        let version = version.map(str::to_owned);
        self.query(move |connection| read::list_links(connection, &index, &project, version.as_deref())).await
    }

    async fn list_links_at(
        &mut self,
        index: &IndexName,
        path: &StoredPath,
    ) -> Result<Vec<Link>, StorageError> {
        let (index, path) = (index.clone(), path.clone());
        self.query(move |connection| read::list_links_at(connection, &index, &path)).await
    }

    async fn get_file(&mut self, path: &StoredPath) -> Result<FileState, StorageError> {
        let path = path.clone();
        self.query(move |connection| read::get_file(connection, &path)).await
    }

    async fn get_document(&mut self, sha256: &Sha256) -> Result<Option<Vec<u8>>, StorageError> {
        let sha256 = *sha256;
        self.query(move |connection| read::get_document(connection, &sha256)).await
    }

    async fn list_contents(&mut self, first: u8) -> Result<BTreeMap<Sha256, NamedContent>, StorageError> {
        self.query(move |connection| read::list_contents(connection, first)).await
    }

    async fn is_referenced(&mut self, sha256: &Sha256) -> Result<bool, StorageError> {
        if let Some(borrowed) = &self.borrowed {
            borrowed.pool.doubt.check()?;
        }
        let sha256 = *sha256;
        self.query(move |connection| read::is_referenced(connection, &sha256)).await
    }

    async fn get_mirror_page(
        &mut self,
        index: &IndexName,
        project: &str,
    ) -> Result<Option<StoredPage>, StorageError> {
        let (index, project) = (index.clone(), project.to_owned());
        self.query(move |connection| mirror::get_page(connection, &index, &project)).await
    }

    async fn list_mirror_pages(&mut self, index: &IndexName) -> Result<Vec<Arc<str>>, StorageError> {
        let index = index.clone();
        self.query(move |connection| mirror::list_pages(connection, &index)).await
    }

    async fn find_odd_path(&mut self, path: &StoredPath) -> Result<Option<Arc<str>>, StorageError> {
        let path = path.clone();
        self.query(move |connection| mirror::find_odd_path(connection, &path)).await
    }

    async fn get_mirror_names(&mut self, index: &IndexName) -> Result<Option<StoredNames>, StorageError> {
        let index = index.clone();
        self.query(move |connection| mirror::get_names(connection, &index)).await
    }

    async fn get_fetched(&mut self, path: &StoredPath) -> Result<FetchedState, StorageError> {
        let path = path.clone();
        self.query(move |connection| mirror::get_fetched(connection, &path)).await
    }

    async fn list_fetched(
        &mut self,
        index: &IndexName,
        project: &str,
    ) -> Result<Vec<FetchedFile>, StorageError> {
        let (index, project) = (index.clone(), project.to_owned());
        self.query(move |connection| mirror::list_fetched(connection, &index, &project)).await
    }

    async fn was_fetched(&mut self, path: &StoredPath) -> Result<bool, StorageError> {
        let path = path.clone();
        self.query(move |connection| mirror::was_fetched(connection, &path)).await
    }

    async fn list_deleted(
        &mut self,
        index: &IndexName,
        project: &str,
    ) -> Result<Vec<StoredPath>, StorageError> {
        let (index, project) = (index.clone(), project.to_owned());
        self.query(move |connection| mirror::list_deleted(connection, &index, &project)).await
    }

    async fn last_commit_time(&mut self) -> Result<Option<Timestamp>, StorageError> {
        self.query(read::last_commit_time).await
    }
}
