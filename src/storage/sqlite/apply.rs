//! How a change set becomes rows.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{self, to_integer};
use super::{mirror, read};
use crate::pep::digest::Sha256;
use crate::pep::name::ProjectName;
use crate::storage::StorageError;
use crate::storage::meta::{
    ChangeSet, CommitError, ExistingMetadata, Expectation, Operation, Record, Refetch,
};
use crate::storage::mirrored::MirrorPage;
use crate::storage::model::{
    IndexName, IndexSettings, Link, Relation, Serial, StoredPath, Touched, UserRecord,
};
use crate::storage::packed::Packed;

/// Puts a record of another server into its place.
pub(super) fn load(connection: &Connection, record: &Record) -> Result<(), StorageError> {
    match record {
        Record::Made(serial, operation) => match Application::new(connection, *serial).operate(operation) {
            Ok(()) => Ok(()),
            Err(CommitError::Outdated) => {
                Err(StorageError::Failed(format!("a record has no place: {operation:?}").into()))
            }
            Err(CommitError::Storage(error)) => Err(error),
        },
        Record::FormerFile(serial, path) => {
            let sql = "INSERT OR REPLACE INTO former_files (path, removed_at) VALUES (?1, ?2)";
            connection.prepare_cached(sql)?.execute(params![path.as_str(), to_integer(serial.0)])?;
            Ok(())
        }
        Record::Change(change) => {
            insert_change(connection, change.serial, change.when, change.who.as_deref(), &change.touched)
        }
    }
}

fn insert_change(
    connection: &Connection,
    serial: Serial,
    when: Timestamp,
    who: Option<&str>,
    touched: &[Touched],
) -> Result<(), StorageError> {
    let sql = "INSERT INTO changes (serial, time, who, touched) VALUES (?1, ?2, ?3, ?4)";
    let touched = serde_json::to_string(touched)?;
    let parameters = params![to_integer(serial.0), when.as_microsecond(), who, touched];
    connection.prepare_cached(sql)?.execute(parameters)?;
    Ok(())
}

/// One change set while it is applied.
pub(super) struct Application<'a> {
    connection: &'a Connection,
    serial: Serial,
    touched: Vec<Touched>,
    seen: HashSet<Touched>,
}

impl<'a> Application<'a> {
    pub(super) fn new(connection: &'a Connection, serial: Serial) -> Self {
        Self { connection, serial, touched: Vec::new(), seen: HashSet::new() }
    }

    /// Applies it. Returns what it touched.
    pub(super) fn apply(mut self, change: &ChangeSet) -> Result<Vec<Touched>, CommitError> {
        for expectation in &change.expectations {
            if !self.holds(expectation)? {
                return Err(CommitError::Outdated);
            }
        }
        for operation in &change.operations {
            self.operate(operation)?;
        }
        insert_change(self.connection, self.serial, change.when, change.who.as_deref(), &self.touched)?;
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
            Expectation::SameIndex(index, serial) => {
                read::index_since(self.connection, index)?.is_some_and(|since| since <= *serial)
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
            Operation::PutProject(index, project) => {
                let id = self.ensure_project(index, project)?;
                self.touch_project(index, project, id)
            }
            Operation::PutRelease { index, project, version, metadata, existing } => {
                let project_id = self.ensure_project(index, project)?;
                let stored = read::list_releases(self.connection, index, project.normal(), Some(version))?;
                let metadata = match (stored.first(), existing) {
                    (Some(release), ExistingMetadata::Update) => {
                        release.metadata.clone().updated_with(metadata)
                    }
                    (None, ExistingMetadata::Update) => metadata.clone().complete(),
                    (_, ExistingMetadata::Replace) => metadata.clone(),
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
            Operation::RemoveLink { index, project, version, relation, path } => {
                let project_id = self.require_project(index, project)?;
                let parameters = params![project_id, version, path.as_str(), relation.as_str()];
                let condition = "project_id = ?2 AND version = ?3 AND path = ?4 AND relation = ?5";
                self.end_existing("links", condition, parameters)?;
                self.touch(Touched::File(path.clone()));
                if *relation == Relation::ReleaseFile {
                    for path in read::list_dependent_paths(self.connection, project_id, version, path)? {
                        self.touch(Touched::File(path));
                    }
                    let condition = "project_id = ?2 AND version = ?3 AND for_path = ?4";
                    self.end("links", condition, params![project_id, version, path.as_str()])?;
                }
                self.touch_project(index, project, project_id)
            }
            Operation::PutDocument(sha256, body) => {
                self.execute(
                    // The body only differs if it was damaged.
                    "INSERT INTO documents (sha256, body) VALUES (?1, ?2) \
                     ON CONFLICT DO UPDATE SET body = excluded.body WHERE body <> excluded.body",
                    params![sha256.as_bytes(), body],
                )?;
                Ok(())
            }
            Operation::PutMirrorPage { index, project, page, checked_at, odd_paths } => {
                self.put_mirror_page(index, project, page, *checked_at, odd_paths)
            }
            Operation::RemoveMirrorProject(index, project) => self.remove_mirror_project(index, project),
            Operation::PutFetched { index, project, path, part } => {
                let index_id = self.require_index(index)?;
                // It may have been deleted while it was fetched.
                let is_wanted = mirror::has_page(self.connection, index_id, project)?
                    && !mirror::is_deleted(self.connection, path)?;
                if !is_wanted {
                    return Err(CommitError::Outdated);
                }
                mirror::put_fetched(self.connection, index_id, project, path, part, self.serial)?;
                self.touch(Touched::File(path.clone()));
                Ok(())
            }
            Operation::RemoveFetched { index, project, path, refetch } => {
                let index_id = self.require_index(index)?;
                mirror::end_fetched(self.connection, path, self.serial)?;
                if *refetch == Refetch::Refused {
                    mirror::put_deletion(self.connection, index_id, project, path, self.serial)?;
                }
                // In offline mode the page lists only what is here.
                self.touch(Touched::Project(index.clone(), project.clone()));
                self.touch(Touched::File(path.clone()));
                Ok(())
            }
        }
    }

    fn put_mirror_page(
        &mut self,
        index: &IndexName,
        project: &ProjectName,
        page: &Packed<MirrorPage>,
        checked_at: Timestamp,
        odd_paths: &[StoredPath],
    ) -> Result<(), CommitError> {
        let index_id = self.require_index(index)?;
        if mirror::put_page(self.connection, index_id, project, page, checked_at, self.serial)? {
            self.touch(Touched::ProjectList(index.clone()));
        }
        mirror::put_odd_paths(self.connection, index_id, project, odd_paths)?;
        mirror::forget_deletions(self.connection, index_id, project)?;
        // What is said of a file may be something else now, or that it is withdrawn.
        self.touch_fetched(index, project)?;
        self.touch(Touched::Project(index.clone(), project.clone()));
        Ok(())
    }

    fn remove_mirror_project(&mut self, index: &IndexName, project: &ProjectName) -> Result<(), CommitError> {
        let index_id = self.require_index(index)?;
        self.touch_fetched(index, project)?;
        for file in mirror::list_fetched(self.connection, index, project.normal())? {
            mirror::end_fetched(self.connection, &file.path, self.serial)?;
        }
        mirror::forget_deletions(self.connection, index_id, project)?;
        if !mirror::remove_page(self.connection, index_id, project)? {
            return Err(CommitError::Outdated);
        }
        self.touch(Touched::ProjectList(index.clone()));
        self.touch(Touched::Project(index.clone(), project.clone()));
        Ok(())
    }

    fn touch_fetched(&mut self, index: &IndexName, project: &ProjectName) -> Result<(), StorageError> {
        for file in mirror::list_fetched(self.connection, index, project.normal())? {
            self.touch(Touched::File(file.path));
        }
        Ok(())
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
        let id = self.require_index(index)?;
        mirror::remove_mirror(self.connection, id, self.serial)?;
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
        if link.relation == Relation::ReleaseFile {
            return self.touch_project(index, &link.project, project_id);
        }
        // No page of the project shows it.
        self.mark_project(project_id)
    }

    fn require_index(&self, index: &IndexName) -> Result<i64, CommitError> {
        self.find_index(index)?.ok_or(CommitError::Outdated)
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
        let found = statement.query_row(params![project_id, version, file_name], |row| rows::serial(row, 0));
        Ok(found.optional()?)
    }

    fn ensure_project(&mut self, index: &IndexName, project: &ProjectName) -> Result<i64, CommitError> {
        if let Some((id, _)) = read::find_project(self.connection, index, project.normal())? {
            return Ok(id);
        }
        let index_id = self.require_index(index)?;
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
            "UPDATE users SET changed_at = max(changed_at, ?2) WHERE name = ?1 AND removed_at IS NULL",
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
        self.mark_project(id)?;
        self.touch(Touched::Project(index.clone(), project.clone()));
        Ok(())
    }

    /// Something in the project has changed, by which decisions may have to be made anew.
    fn mark_project(&self, id: i64) -> Result<(), CommitError> {
        let serial = to_integer(self.serial.0);
        let sql = "UPDATE projects SET changed_at = max(changed_at, ?2) WHERE id = ?1";
        self.execute(sql, params![id, serial])?;
        Ok(())
    }

    fn touch_files(
        &mut self,
        index: &IndexName,
        project: &ProjectName,
        version: Option<&str>,
    ) -> Result<(), StorageError> {
        let links = read::list_links(self.connection, index, project.normal(), version)?;
        for path in links.into_iter().map(|link| link.value.path) {
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
