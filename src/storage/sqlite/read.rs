//! The queries. All of them block.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::rows::{self, LINK_COLUMNS};
use crate::pep::digest::Sha256;
use crate::pep::metadata::ReleaseMetadata;
use crate::storage::StorageError;
use crate::storage::meta::{Change, NamedContent};
use crate::storage::model::{
    FileState, IndexName, IndexSettings, Link, Release, Serial, Stored, StoredPath, UserRecord,
};

/// Joins a project to its index; both must be present.
const PRESENT_PROJECT: &str = "projects JOIN indexes ON indexes.id = projects.index_id \
     AND indexes.removed_at IS NULL AND projects.removed_at IS NULL";

pub(super) fn serial(connection: &Connection) -> Result<Option<Serial>, StorageError> {
    let newest: Option<i64> =
        connection.prepare_cached("SELECT max(serial) FROM changes")?.query_row([], |row| row.get(0))?;
    Ok(newest.and_then(|serial| u64::try_from(serial).ok()).map(Serial))
}

pub(super) fn last_commit_time(connection: &Connection) -> Result<Option<Timestamp>, StorageError> {
    let sql = "SELECT time FROM changes ORDER BY serial DESC LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| rows::timestamp(row, 0)).optional()?)
}

pub(super) fn changes_since(
    connection: &Connection,
    after: Option<Serial>,
    limit: usize,
) -> Result<Vec<Change>, StorageError> {
    let after = after.map_or(-1, |serial| rows::to_integer(serial.0));
    let sql = "SELECT serial, time, who, touched FROM changes WHERE serial > ?1 ORDER BY serial LIMIT ?2";
    collect(connection, sql, params![after, rows::to_integer(limit as u64)], |row| {
        Ok(Change {
            serial: rows::serial(row, 0)?,
            when: rows::timestamp(row, 1)?,
            who: row.get::<_, Option<String>>(2)?.map(Into::into),
            touched: rows::json(row, 3)?,
        })
    })
}

pub(super) fn get_user(
    connection: &Connection,
    name: &str,
) -> Result<Option<Stored<UserRecord>>, StorageError> {
    let sql = "SELECT changed_at, record FROM users WHERE name = ?1 AND removed_at IS NULL";
    let read = |row: &Row<'_>| Ok(Stored { changed_at: rows::serial(row, 0)?, value: rows::json(row, 1)? });
    Ok(connection.prepare_cached(sql)?.query_row([name], read).optional()?)
}

pub(super) fn list_users(connection: &Connection) -> Result<BTreeMap<Arc<str>, UserRecord>, StorageError> {
    let sql = "SELECT name, record FROM users WHERE removed_at IS NULL";
    collect(connection, sql, [], |row| Ok((row.get::<_, String>(0)?.into(), rows::json(row, 1)?)))
}

pub(super) fn get_index(
    connection: &Connection,
    name: &IndexName,
) -> Result<Option<Stored<IndexSettings>>, StorageError> {
    let sql = "SELECT index_settings.added_at, settings FROM indexes \
               JOIN index_settings ON index_id = indexes.id AND index_settings.removed_at IS NULL \
               WHERE user = ?1 AND name = ?2 AND indexes.removed_at IS NULL";
    let read = |row: &Row<'_>| Ok(Stored { changed_at: rows::serial(row, 0)?, value: rows::json(row, 1)? });
    Ok(connection.prepare_cached(sql)?.query_row([&name.user, &name.index], read).optional()?)
}

/// Since when there is an index.
pub(super) fn index_since(connection: &Connection, name: &IndexName) -> Result<Option<Serial>, StorageError> {
    let sql = "SELECT added_at FROM indexes WHERE user = ?1 AND name = ?2 AND removed_at IS NULL";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([&name.user, &name.index], |row| rows::serial(row, 0)).optional()?)
}

pub(super) fn list_indexes(
    connection: &Connection,
    user: Option<&str>,
) -> Result<BTreeMap<IndexName, Stored<IndexSettings>>, StorageError> {
    let of_user = if user.is_some() { "AND user = ?1" } else { "" };
    let sql = format!(
        "SELECT user, name, index_settings.added_at, settings FROM indexes \
         JOIN index_settings ON index_id = indexes.id AND index_settings.removed_at IS NULL \
         WHERE indexes.removed_at IS NULL {of_user}"
    );
    collect(connection, &sql, params_from_iter(user), |row| {
        let name = IndexName::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
        Ok((name, Stored { changed_at: rows::serial(row, 2)?, value: rows::json(row, 3)? }))
    })
}

pub(super) fn list_projects(
    connection: &Connection,
    index: &IndexName,
) -> Result<Vec<Arc<str>>, StorageError> {
    let sql = format!(
        "SELECT projects.name FROM {PRESENT_PROJECT} WHERE user = ?1 AND indexes.name = ?2 ORDER BY projects.name"
    );
    collect(connection, &sql, [&index.user, &index.index], |row| Ok(row.get::<_, String>(0)?.into()))
}

pub(super) fn get_project(
    connection: &Connection,
    index: &IndexName,
    project: &str,
) -> Result<Option<Serial>, StorageError> {
    Ok(find_project(connection, index, project)?.map(|(_, changed_at)| changed_at))
}

/// The row of a project, and when it or anything in it last changed.
pub(super) fn find_project(
    connection: &Connection,
    index: &IndexName,
    project: &str,
) -> Result<Option<(i64, Serial)>, StorageError> {
    let sql = format!(
        "SELECT projects.id, projects.changed_at FROM {PRESENT_PROJECT} \
         WHERE user = ?1 AND indexes.name = ?2 AND projects.name = ?3"
    );
    let read = |row: &Row<'_>| Ok((row.get(0)?, rows::serial(row, 1)?));
    Ok(connection.prepare_cached(&sql)?.query_row([&index.user, &index.index, project], read).optional()?)
}

pub(super) fn list_releases(
    connection: &Connection,
    index: &IndexName,
    project: &str,
    version: Option<&str>,
) -> Result<Vec<Release>, StorageError> {
    let parameters = [&index.user, &index.index, project].into_iter().chain(version);
    collect(connection, &releases_sql(version.is_some()), params_from_iter(parameters), |row| {
        let metadata = ReleaseMetadata::from_map(rows::json(row, 1)?);
        Ok(Release { version: row.get::<_, String>(0)?.into(), metadata })
    })
}

pub(super) fn list_links(
    connection: &Connection,
    index: &IndexName,
    project: &str,
    version: Option<&str>,
) -> Result<Vec<Stored<Link>>, StorageError> {
    let parameters = [&index.user, &index.index, project].into_iter().chain(version);
    collect(connection, &links_sql(version.is_some()), params_from_iter(parameters), rows::link)
}

// A condition that stands for "or any version" would keep SQLite from using that column of the index.

fn releases_sql(of_version: bool) -> String {
    let of_version = if of_version { "AND version = ?4" } else { "" };
    format!(
        "SELECT version, metadata FROM {PRESENT_PROJECT} \
         JOIN releases ON releases.project_id = projects.id AND releases.removed_at IS NULL \
         WHERE user = ?1 AND indexes.name = ?2 AND projects.name = ?3 {of_version} ORDER BY releases.id"
    )
}

fn links_sql(of_version: bool) -> String {
    let of_version = if of_version { "AND links.version = ?4" } else { "" };
    format!(
        "SELECT {LINK_COLUMNS} FROM {PRESENT_PROJECT} \
         JOIN links ON links.project_id = projects.id AND links.removed_at IS NULL \
         WHERE user = ?1 AND indexes.name = ?2 AND projects.name = ?3 {of_version} ORDER BY links.id"
    )
}

pub(super) fn list_links_at(
    connection: &Connection,
    index: &IndexName,
    path: &StoredPath,
) -> Result<Vec<Link>, StorageError> {
    let sql = format!(
        "SELECT {LINK_COLUMNS} FROM {PRESENT_PROJECT} \
         JOIN links ON links.project_id = projects.id AND links.removed_at IS NULL \
         WHERE links.path = ?1 AND user = ?2 AND indexes.name = ?3 ORDER BY projects.id, version"
    );
    let parameters = [path.as_str(), &index.user, &index.index];
    collect(connection, &sql, parameters, |row| Ok(rows::link(row)?.value))
}

/// Where the links are that are for the one at `path`.
pub(super) fn list_dependent_paths(
    connection: &Connection,
    project: i64,
    version: &str,
    path: &StoredPath,
) -> Result<Vec<StoredPath>, StorageError> {
    let sql = "SELECT path FROM links \
               WHERE project_id = ?1 AND version = ?2 AND for_path = ?3 AND removed_at IS NULL";
    collect(connection, sql, params![project, version, path.as_str()], |row| {
        Ok(StoredPath::new(row.get::<_, String>(0)?))
    })
}

pub(super) fn get_file(connection: &Connection, path: &StoredPath) -> Result<FileState, StorageError> {
    let sql = format!(
        "SELECT {LINK_COLUMNS}, links.removed_at IS NULL AND projects.removed_at IS NULL \
         AND indexes.removed_at IS NULL AS present \
         FROM links JOIN projects ON projects.id = links.project_id JOIN indexes ON indexes.id = projects.index_id \
         WHERE links.path = ?1 ORDER BY present DESC, links.id DESC LIMIT 1"
    );
    let read = |row: &Row<'_>| {
        Ok(if row.get("present")? {
            FileState::Present(Box::new(rows::link(row)?))
        } else {
            FileState::Removed
        })
    };
    let found = connection.prepare_cached(&sql)?.query_row([path.as_str()], read).optional()?;
    if let Some(state) = found {
        return Ok(state);
    }
    let former = "SELECT 1 FROM former_files WHERE path = ?1";
    let was_there = connection.prepare_cached(former)?.exists([path.as_str()])?;
    Ok(if was_there { FileState::Removed } else { FileState::Unknown })
}

pub(super) fn get_document(
    connection: &Connection,
    sha256: &Sha256,
) -> Result<Option<Vec<u8>>, StorageError> {
    let sql = "SELECT body FROM documents WHERE sha256 = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([sha256.as_bytes()], |row| row.get(0)).optional()?)
}

pub(super) fn list_contents(
    connection: &Connection,
    first: u8,
) -> Result<BTreeMap<Sha256, NamedContent>, StorageError> {
    let mut last = [u8::MAX; 32];
    last[0] = first;
    // A removed link must not hide a present one: the larger of two rows comes last, and counts. What lies in something that
    // a damaged database has lost counts as present.
    let sql = "SELECT sha256, size, links.removed_at IS NULL AND projects.removed_at IS NULL \
               AND indexes.removed_at IS NULL AS present FROM links \
               LEFT JOIN projects ON projects.id = links.project_id \
               LEFT JOIN indexes ON indexes.id = projects.index_id WHERE sha256 BETWEEN ?1 AND ?2 \
               UNION SELECT sha256, size, removed_at IS NULL AS present FROM fetched_files \
               WHERE sha256 BETWEEN ?1 AND ?2 ORDER BY sha256, present";
    collect(connection, sql, params![[first], last], |row| {
        Ok((rows::sha256(row, 0)?, NamedContent { size: rows::unsigned(row, 1)?, is_present: row.get(2)? }))
    })
}

pub(super) fn is_referenced(connection: &Connection, sha256: &Sha256) -> Result<bool, StorageError> {
    let sql = "SELECT 1 FROM links WHERE sha256 = ?1 UNION ALL SELECT 1 FROM fetched_files WHERE sha256 = ?1";
    Ok(connection.prepare_cached(sql)?.exists([sha256.as_bytes()])?)
}

pub(super) fn collect<T, C: FromIterator<T>>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<C, StorageError> {
    Ok(connection.prepare_cached(sql)?.query_map(parameters, read)?.collect::<rusqlite::Result<C>>()?)
}

#[cfg(test)]
mod tests {
    use super::super::SCHEMA_STEPS;
    use super::*;

    /// Projects have tens of thousands of releases.
    #[test]
    fn what_is_read_of_one_release_is_found_by_its_version() {
        let connection = Connection::open_in_memory().unwrap();
        for step in SCHEMA_STEPS {
            connection.execute_batch(step).unwrap();
        }
        for sql in [releases_sql(true), links_sql(true)] {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let parameters = ["alice", "dev", "demo", "1.0"];
            let steps = plan.query_map(parameters, |row| row.get::<_, String>("detail")).unwrap();
            let steps: Vec<String> = steps.map(Result::unwrap).collect();
            assert!(steps.iter().any(|step| step.contains("AND version=?")), "{steps:?}");
            assert!(steps.iter().all(|step| !step.starts_with("SCAN")), "{steps:?}");
        }
    }
}
