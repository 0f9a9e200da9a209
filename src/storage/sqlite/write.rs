//! The writing thread, and how change sets become rows.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, warn};

use super::rows::to_integer;
use super::{Newest, SqliteLimits, read};
use crate::pep::digest::Sha256;
use crate::pep::name::ProjectName;
use crate::storage::StorageError;
use crate::storage::meta::{
    ChangeSet, Commit, CommitError, CommitListener, ExistingMetadata, Expectation, Operation,
};
use crate::storage::model::{
    IndexName, IndexSettings, Link, Serial, Stored, StoredPath, Touched, UserRecord,
};

/// A change set on its way to the writer, and the way back for the outcome.
struct Request {
    change: ChangeSet,
    reply: oneshot::Sender<Result<Commit, CommitError>>,
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
        limits: SqliteLimits,
    ) -> Result<Self, StorageError> {
        let (sender, receiver) = mpsc::channel(limits.pending_changes);
        let listener = Arc::new(OnceLock::new());
        let thread = WriterThread {
            connection,
            newest,
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
        let sender = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sender = sender.ok_or(StorageError::Closed)?;
        let (reply, outcome) = oneshot::channel();
        sender.send(Request { change, reply }).await.map_err(|_| StorageError::Closed)?;
        outcome.await.map_err(|_| StorageError::Closed)?
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
                for (request, outcome) in group.drain(..).zip(outcomes) {
                    if let Ok(commit) = &outcome {
                        self.newest.set(commit.serial);
                        if let Some(listener) = self.listener.get() {
                            listener.committed(&request.change, commit);
                        }
                    }
                    // Nobody may be waiting any more; the commit stands all the same.
                    let _gone = request.reply.send(outcome);
                }
            }
            Err(cause) => {
                error!(%cause, changes = group.len(), "a transaction failed");
                let full = matches!(cause, StorageError::Full(_));
                let text = cause.to_string();
                for request in group.drain(..) {
                    let cause = if full {
                        StorageError::Full(text.clone().into())
                    } else {
                        StorageError::Failed(text.clone().into())
                    };
                    let _gone = request.reply.send(Err(cause.into()));
                }
            }
        }
    }
}

/// Writes all change sets of a group in one transaction. One that cannot be applied does not disturb the others.
fn write_group(
    connection: &mut Connection,
    first: u64,
    group: &[Request],
) -> Result<Vec<Result<Commit, CommitError>>, StorageError> {
    let mut transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut serial = first;
    let mut outcomes = Vec::with_capacity(group.len());
    for request in group {
        let savepoint = transaction.savepoint()?;
        match Application::new(&savepoint, Serial(serial)).apply(&request.change) {
            Ok(touched) => {
                savepoint.commit()?;
                outcomes.push(Ok(Commit { serial: Serial(serial), touched }));
                serial += 1;
            }
            Err(error) => {
                drop(savepoint);
                outcomes.push(Err(error));
                // After some failures (a full disk, a broken file) SQLite has already given up the whole transaction.
                if transaction.is_autocommit()
                    && let Some(Err(CommitError::Storage(cause))) = outcomes.pop()
                {
                    return Err(cause);
                }
            }
        }
    }
    transaction.commit()?;
    Ok(outcomes)
}

/// One change set while it is applied.
struct Application<'a> {
    connection: &'a Connection,
    serial: Serial,
    touched: Vec<Touched>,
    seen: HashSet<Touched>,
}

impl<'a> Application<'a> {
    fn new(connection: &'a Connection, serial: Serial) -> Self {
        Self { connection, serial, touched: Vec::new(), seen: HashSet::new() }
    }

    fn apply(mut self, change: &ChangeSet) -> Result<Vec<Touched>, CommitError> {
        for expectation in &change.expectations {
            if !self.holds(expectation)? {
                return Err(CommitError::Outdated);
            }
        }
        for operation in &change.operations {
            self.operate(operation)?;
        }
        self.execute(
            "INSERT INTO changes (serial, time, who, touched) VALUES (?1, ?2, ?3, ?4)",
            params![
                to_integer(self.serial.0),
                change.when.as_microsecond(),
                change.who,
                serde_json::to_string(&self.touched).map_err(StorageError::from)?
            ],
        )?;
        Ok(self.touched)
    }

    fn holds(&self, expectation: &Expectation) -> Result<bool, StorageError> {
        Ok(match expectation {
            Expectation::User(user, changed_at) => {
                read::get_user(self.connection, user)?.map(|user| user.changed_at) == *changed_at
            }
            Expectation::Index(index, changed_at) => {
                read::get_index(self.connection, index)?.map(|index| index.changed_at) == *changed_at
            }
            Expectation::Project(index, project, changed_at) => {
                read::get_project(self.connection, index, project.normal())? == *changed_at
            }
            Expectation::File { index, project, version, file_name, changed_at } => {
                self.get_link_by_name(index, project, version, file_name)? == *changed_at
            }
        })
    }

    fn operate(&mut self, operation: &Operation) -> Result<(), CommitError> {
        match operation {
            Operation::PutUser(user, record) => self.put_user(user, record),
            Operation::RemoveUser(user) => self.remove_user(user),
            Operation::PutIndex(index, settings) => self.put_index(index, settings),
            Operation::RemoveIndex(index) => self.remove_index(index),
            Operation::PutRelease { index, project, version, metadata, existing } => {
                let project_id = self.ensure_project(index, project)?;
                let stored = read::list_releases(self.connection, index, project.normal(), Some(version))?;
                let metadata = match (stored.first(), existing) {
                    (Some(release), ExistingMetadata::Update) => {
                        release.metadata.clone().updated_with(metadata)
                    }
                    _ => metadata.clone().complete(),
                };
                if stored.first().is_some_and(|release| release.metadata == metadata) {
                    return Ok(());
                }
                self.end("releases", "project_id = ?2 AND version = ?3", params![project_id, version])?;
                let requires_python = metadata.text("requires_python");
                self.execute(
                    "INSERT INTO releases (project_id, version, requires_python, metadata, added_at) \
                     VALUES (?1, ?2, nullif(?3, ''), ?4, ?5)",
                    params![
                        project_id,
                        version,
                        requires_python,
                        serde_json::to_string(metadata.fields()).map_err(StorageError::from)?,
                        to_integer(self.serial.0)
                    ],
                )?;
                self.touch_project(index, project, project_id)
            }
            Operation::RemoveProject(index, project) => self.remove_project(index, project),
            Operation::RemoveRelease(index, project, version) => {
                let project_id = self.require_project(index, project)?;
                self.touch_files(index, project, Some(version))?;
                let parameters = params![project_id, version];
                self.end_existing("releases", "project_id = ?2 AND version = ?3", parameters)?;
                self.end("links", "project_id = ?2 AND version = ?3", parameters)?;
                self.touch_project(index, project, project_id)
            }
            Operation::AddLink(index, link) => self.add_link(index, link),
            Operation::RemoveLink { index, project, version, path } => {
                let project_id = self.require_project(index, project)?;
                let parameters = params![project_id, version, path.as_str()];
                let dependent = read::list_dependent_paths(self.connection, project_id, version, path)?;
                self.end_existing("links", "project_id = ?2 AND version = ?3 AND path = ?4", parameters)?;
                self.end("links", "project_id = ?2 AND version = ?3 AND for_path = ?4", parameters)?;
                for path in dependent.into_iter().chain([path.clone()]) {
                    self.touch(Touched::File(path));
                }
                self.touch_project(index, project, project_id)
            }
            Operation::PutDocument(sha256, body) => {
                self.execute(
                    "INSERT OR IGNORE INTO documents (sha256, body) VALUES (?1, ?2)",
                    params![sha256.as_bytes(), body],
                )?;
                Ok(())
            }
        }
    }

    fn put_user(&mut self, user: &Arc<str>, record: &UserRecord) -> Result<(), CommitError> {
        self.end("users", "name = ?2", params![user])?;
        let serial = to_integer(self.serial.0);
        self.execute(
            "INSERT INTO users (name, record, changed_at, added_at) VALUES (?1, ?2, ?3, ?3)",
            params![user, serde_json::to_string(record).map_err(StorageError::from)?, serial],
        )?;
        self.touch(Touched::User(Arc::clone(user)));
        Ok(())
    }

    fn remove_user(&mut self, user: &Arc<str>) -> Result<(), CommitError> {
        for index in read::list_indexes(self.connection, Some(user))?.into_keys() {
            self.remove_index(&index)?;
        }
        self.end_existing("users", "name = ?2", params![user])?;
        self.touch(Touched::User(Arc::clone(user)));
        Ok(())
    }

    fn put_index(&mut self, index: &IndexName, settings: &IndexSettings) -> Result<(), CommitError> {
        let serial = to_integer(self.serial.0);
        let id = if let Some(id) = self.find_index(index)? {
            id
        } else {
            self.execute(
                "INSERT INTO indexes (user, name, added_at) VALUES (?1, ?2, ?3)",
                params![index.user, index.index, serial],
            )?;
            self.connection.last_insert_rowid()
        };
        self.end("index_settings", "index_id = ?2", params![id])?;
        self.execute(
            "INSERT INTO index_settings (index_id, settings, added_at) VALUES (?1, ?2, ?3)",
            params![id, serde_json::to_string(settings).map_err(StorageError::from)?, serial],
        )?;
        self.touch_index(index)
    }

    fn remove_index(&mut self, index: &IndexName) -> Result<(), CommitError> {
        let id = self.find_index(index)?.ok_or(CommitError::Outdated)?;
        self.end("index_settings", "index_id = ?2", params![id])?;
        self.end("indexes", "id = ?2", params![id])?;
        self.touch_index(index)
    }

    fn remove_project(&mut self, index: &IndexName, project: &ProjectName) -> Result<(), CommitError> {
        let id = self.require_project(index, project)?;
        self.touch_files(index, project, None)?;
        self.end("projects", "id = ?2", params![id])?;
        self.touch(Touched::ProjectList(index.clone()));
        self.touch(Touched::Project(index.clone(), project.clone()));
        Ok(())
    }

    fn add_link(&mut self, index: &IndexName, link: &Link) -> Result<(), CommitError> {
        let project_id = self.require_project(index, &link.project)?;
        self.execute(
            "INSERT INTO links (project_id, version, relation, path, file_name, sha256, size, uploaded_at, \
             core_metadata, log, added_at, for_path) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                project_id,
                link.version,
                link.relation.as_str(),
                link.path.as_str(),
                link.file_name,
                link.sha256.as_bytes(),
                to_integer(link.size),
                link.uploaded_at.as_microsecond(),
                link.core_metadata.as_ref().map(Sha256::as_bytes),
                serde_json::to_string(&link.log).map_err(StorageError::from)?,
                to_integer(self.serial.0),
                link.for_path.as_ref().map(StoredPath::as_str)
            ],
        )?;
        self.touch(Touched::File(link.path.clone()));
        self.touch_project(index, &link.project, project_id)
    }

    fn find_index(&self, index: &IndexName) -> Result<Option<i64>, StorageError> {
        let sql = "SELECT id FROM indexes WHERE user = ?1 AND name = ?2 AND removed_at IS NULL";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([&index.user, &index.index], |row| row.get(0)).optional()?)
    }

    fn get_link_by_name(
        &self,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
        file_name: &str,
    ) -> Result<Option<Serial>, StorageError> {
        let Some((project_id, _)) = read::find_project(self.connection, index, project.normal())? else {
            return Ok(None);
        };
        let sql = "SELECT added_at FROM links \
                   WHERE project_id = ?1 AND version = ?2 AND relation = 'releasefile' AND file_name = ?3 \
                   AND removed_at IS NULL";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found =
            statement.query_row(params![project_id, version, file_name], |row| super::rows::serial(row, 0));
        Ok(found.optional()?)
    }

    fn ensure_project(&mut self, index: &IndexName, project: &ProjectName) -> Result<i64, CommitError> {
        if let Some((id, _)) = read::find_project(self.connection, index, project.normal())? {
            return Ok(id);
        }
        let index_id = self.find_index(index)?.ok_or(CommitError::Outdated)?;
        self.execute(
            "INSERT INTO projects (index_id, name, changed_at, added_at) VALUES (?1, ?2, ?3, ?3)",
            params![index_id, project.normal(), to_integer(self.serial.0)],
        )?;
        let id = self.connection.last_insert_rowid();
        self.touch(Touched::ProjectList(index.clone()));
        Ok(id)
    }

    fn require_project(&self, index: &IndexName, project: &ProjectName) -> Result<i64, CommitError> {
        let found = read::find_project(self.connection, index, project.normal())?;
        found.map(|(id, _)| id).ok_or(CommitError::Outdated)
    }

    fn touch_index(&mut self, index: &IndexName) -> Result<(), CommitError> {
        self.execute(
            "UPDATE users SET changed_at = ?2 WHERE name = ?1 AND removed_at IS NULL",
            params![index.user, to_integer(self.serial.0)],
        )?;
        self.touch(Touched::Index(index.clone()));
        Ok(())
    }

    fn touch_project(
        &mut self,
        index: &IndexName,
        project: &ProjectName,
        id: i64,
    ) -> Result<(), CommitError> {
        let serial = to_integer(self.serial.0);
        self.execute("UPDATE projects SET changed_at = ?2 WHERE id = ?1", params![id, serial])?;
        self.touch(Touched::Project(index.clone(), project.clone()));
        Ok(())
    }

    fn touch_files(
        &mut self,
        index: &IndexName,
        project: &ProjectName,
        version: Option<&str>,
    ) -> Result<(), StorageError> {
        let links: Vec<Stored<Link>> = read::list_links(self.connection, index, project.normal(), version)?;
        for path in links.into_iter().map(|link: Stored<Link>| -> StoredPath { link.value.path }) {
            self.touch(Touched::File(path));
        }
        Ok(())
    }

    fn touch(&mut self, touched: Touched) {
        if self.seen.insert(touched.clone()) {
            self.touched.push(touched);
        }
    }

    /// Ends the lifetime of the present rows of `table` for which `condition` (with parameters from `?2`) holds, and
    /// returns how many there were.
    fn end(
        &self,
        table: &str,
        condition: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<usize, StorageError> {
        let sql = format!("UPDATE {table} SET removed_at = ?1 WHERE removed_at IS NULL AND {condition}");
        let serial = to_integer(self.serial.0);
        let mut all: Vec<&dyn rusqlite::ToSql> = vec![&serial];
        all.extend_from_slice(parameters);
        Ok(self.connection.prepare_cached(&sql)?.execute(all.as_slice())?)
    }

    /// Like [`Application::end`], for rows that must be there: if they are not, somebody else was faster.
    fn end_existing(
        &self,
        table: &str,
        condition: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<(), CommitError> {
        match self.end(table, condition, parameters)? {
            0 => Err(CommitError::Outdated),
            _ => Ok(()),
        }
    }

    fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<(), StorageError> {
        self.connection.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }
}
