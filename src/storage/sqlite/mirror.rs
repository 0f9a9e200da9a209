//! The tables of mirrors: queries, and how operations and notes become rows. All of it blocks.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::read::collect;
use super::rows::{self, to_integer};
use crate::pep::digest::Sha256;
use crate::pep::name::ProjectName;
use crate::storage::StorageError;
use crate::storage::mirrored::{
    FetchedContent, FetchedFile, FetchedPart, FetchedState, MirrorPage, NameList, Note, StoredNames,
    StoredPage,
};
use crate::storage::model::{IndexName, Serial, StoredPath};
use crate::storage::packed::Packed;

const FETCHED_COLUMNS: &str =
    "path, fetched_files.project, sha256, size, modified, core_metadata, provenance";

/// The present index of a name.
const PRESENT_INDEX: &str = "SELECT id FROM indexes WHERE user = ?1 AND name = ?2 AND removed_at IS NULL";

pub(super) fn get_page(
    connection: &Connection,
    index: &IndexName,
    project: &str,
) -> Result<Option<StoredPage>, StorageError> {
    let sql = format!(
        "SELECT changed_at, checked_at, page FROM mirror_pages WHERE index_id = ({PRESENT_INDEX}) AND project = ?3"
    );
    let read =
        |row: &Row<'_>| Ok((rows::serial(row, 0)?, rows::timestamp(row, 1)?, row.get::<_, Vec<u8>>(2)?));
    let parameters = params![index.user, index.index, project];
    let found = connection.prepare_cached(&sql)?.query_row(parameters, read).optional()?;
    let Some((changed_at, checked_at, packed)) = found else { return Ok(None) };
    Ok(Some(StoredPage { changed_at, checked_at, page: Packed::unpack(&packed)? }))
}

pub(super) fn list_pages(connection: &Connection, index: &IndexName) -> Result<Vec<Arc<str>>, StorageError> {
    let sql = format!("SELECT project FROM mirror_pages WHERE index_id = ({PRESENT_INDEX}) ORDER BY project");
    collect(connection, &sql, [&index.user, &index.index], |row| Ok(row.get::<_, String>(0)?.into()))
}

pub(super) fn find_odd_path(
    connection: &Connection,
    path: &StoredPath,
) -> Result<Option<Arc<str>>, StorageError> {
    let sql = "SELECT project FROM mirror_odd_paths WHERE path = ?1";
    let read = |row: &Row<'_>| Ok(row.get::<_, String>(0)?.into());
    Ok(connection.prepare_cached(sql)?.query_row([path.as_str()], read).optional()?)
}

pub(super) fn get_names(
    connection: &Connection,
    index: &IndexName,
) -> Result<Option<StoredNames>, StorageError> {
    let sql = format!(
        "SELECT names, validators, source, checked_at FROM mirror_names WHERE index_id = ({PRESENT_INDEX})"
    );
    let read = |row: &Row<'_>| {
        Ok((
            row.get::<_, Vec<u8>>(0)?,
            rows::json(row, 1)?,
            row.get::<_, String>(2)?.into(),
            rows::timestamp(row, 3)?,
        ))
    };
    let found = connection.prepare_cached(&sql)?.query_row([&index.user, &index.index], read).optional()?;
    let Some((packed, validators, source, checked_at)) = found else { return Ok(None) };
    let names: NameList = Packed::unpack(&packed)?;
    Ok(Some(StoredNames { names: Arc::new(names), validators, source, checked_at }))
}

pub(super) fn get_fetched(connection: &Connection, path: &StoredPath) -> Result<FetchedState, StorageError> {
    let sql = format!("SELECT {FETCHED_COLUMNS} FROM fetched_files WHERE path = ?1 AND removed_at IS NULL");
    let found = connection.prepare_cached(&sql)?.query_row([path.as_str()], fetched).optional()?;
    if let Some(file) = found {
        return Ok(FetchedState::Present(Box::new(file)));
    }
    Ok(if is_deleted(connection, path)? { FetchedState::Deleted } else { FetchedState::Unknown })
}

pub(super) fn list_fetched(
    connection: &Connection,
    index: &IndexName,
    project: &str,
) -> Result<Vec<FetchedFile>, StorageError> {
    let sql = format!(
        "SELECT {FETCHED_COLUMNS} FROM fetched_files \
         WHERE index_id = ({PRESENT_INDEX}) AND project = ?3 AND removed_at IS NULL ORDER BY id"
    );
    collect(connection, &sql, params![index.user, index.index, project], fetched)
}

pub(super) fn was_fetched(connection: &Connection, path: &StoredPath) -> Result<bool, StorageError> {
    let sql = "SELECT 1 FROM fetched_files WHERE path = ?1 AND sha256 IS NOT NULL";
    Ok(connection.prepare_cached(sql)?.exists([path.as_str()])?)
}

pub(super) fn list_deleted(
    connection: &Connection,
    index: &IndexName,
    project: &str,
) -> Result<Vec<StoredPath>, StorageError> {
    let sql = format!(
        "SELECT DISTINCT path FROM fetched_files WHERE index_id = ({PRESENT_INDEX}) AND project = ?3 AND deleted"
    );
    collect(connection, &sql, params![index.user, index.index, project], |row| {
        Ok(StoredPath::new(row.get::<_, String>(0)?))
    })
}

/// Puts a page into its place. Whether it is the first of its project.
pub(super) fn put_page(
    connection: &Connection,
    index_id: i64,
    project: &ProjectName,
    page: &Packed<MirrorPage>,
    checked_at: jiff::Timestamp,
    serial: Serial,
) -> Result<bool, StorageError> {
    let parameters =
        params![index_id, project.normal(), page.bytes(), to_integer(serial.0), checked_at.as_microsecond()];
    let update = "UPDATE mirror_pages SET page = ?3, changed_at = ?4, checked_at = ?5 \
                  WHERE index_id = ?1 AND project = ?2";
    if connection.prepare_cached(update)?.execute(parameters)? > 0 {
        return Ok(false);
    }
    let insert = "INSERT INTO mirror_pages (index_id, project, page, changed_at, checked_at) \
                  VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(insert)?.execute(parameters)?;
    Ok(true)
}

/// The odd paths of a project in the place of those that it had.
pub(super) fn put_odd_paths(
    connection: &Connection,
    index_id: i64,
    project: &ProjectName,
    paths: &[StoredPath],
) -> Result<(), StorageError> {
    let delete = "DELETE FROM mirror_odd_paths WHERE index_id = ?1 AND project = ?2";
    connection.prepare_cached(delete)?.execute(params![index_id, project.normal()])?;
    let insert = "INSERT OR REPLACE INTO mirror_odd_paths (path, index_id, project) VALUES (?1, ?2, ?3)";
    for path in paths {
        connection.prepare_cached(insert)?.execute(params![path.as_str(), index_id, project.normal()])?;
    }
    Ok(())
}

/// Lets deleted files of a project be fetched again.
pub(super) fn forget_deletions(
    connection: &Connection,
    index_id: i64,
    project: &ProjectName,
) -> Result<(), StorageError> {
    let sql = "UPDATE fetched_files SET deleted = 0 WHERE index_id = ?1 AND project = ?2 AND deleted";
    connection.prepare_cached(sql)?.execute(params![index_id, project.normal()])?;
    Ok(())
}

/// Whether there is a page of a project.
pub(super) fn has_page(
    connection: &Connection,
    index_id: i64,
    project: &ProjectName,
) -> Result<bool, StorageError> {
    let sql = "SELECT 1 FROM mirror_pages WHERE index_id = ?1 AND project = ?2";
    Ok(connection.prepare_cached(sql)?.exists(params![index_id, project.normal()])?)
}

/// Whether a file is not to be fetched again.
pub(super) fn is_deleted(connection: &Connection, path: &StoredPath) -> Result<bool, StorageError> {
    let sql = "SELECT 1 FROM fetched_files WHERE path = ?1 AND deleted";
    Ok(connection.prepare_cached(sql)?.exists([path.as_str()])?)
}

/// Removes a project's page. Whether there was one.
pub(super) fn remove_page(
    connection: &Connection,
    index_id: i64,
    project: &ProjectName,
) -> Result<bool, StorageError> {
    put_odd_paths(connection, index_id, project, &[])?;
    let sql = "DELETE FROM mirror_pages WHERE index_id = ?1 AND project = ?2";
    Ok(connection.prepare_cached(sql)?.execute(params![index_id, project.normal()])? > 0)
}

/// Ends the lifetime of what was fetched of a file. Whether there was something.
pub(super) fn end_fetched(
    connection: &Connection,
    path: &StoredPath,
    serial: Serial,
) -> Result<bool, StorageError> {
    let sql = "UPDATE fetched_files SET removed_at = ?2 WHERE path = ?1 AND removed_at IS NULL";
    Ok(connection.prepare_cached(sql)?.execute(params![path.as_str(), to_integer(serial.0)])? > 0)
}

/// Marks a file as one that is not to be fetched again.
pub(super) fn put_deletion(
    connection: &Connection,
    index_id: i64,
    project: &ProjectName,
    path: &StoredPath,
    serial: Serial,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO fetched_files (index_id, project, path, added_at, removed_at, deleted) \
               VALUES (?1, ?2, ?3, ?4, ?4, 1)";
    let parameters = params![index_id, project.normal(), path.as_str(), to_integer(serial.0)];
    connection.prepare_cached(sql)?.execute(parameters)?;
    Ok(())
}

/// Adds a part to what was fetched of a file.
pub(super) fn put_fetched(
    connection: &Connection,
    index_id: i64,
    project: &ProjectName,
    path: &StoredPath,
    part: &FetchedPart,
    serial: Serial,
) -> Result<(), StorageError> {
    let mut file = match get_fetched(connection, path)? {
        FetchedState::Present(file) => *file,
        _ => FetchedFile {
            path: path.clone(),
            project: project.clone(),
            content: None,
            core_metadata: None,
            provenance: None,
        },
    };
    match part {
        FetchedPart::Content(content, core_metadata) => {
            file.content = Some(*content);
            file.core_metadata = core_metadata.or(file.core_metadata);
        }
        FetchedPart::CoreMetadata(sha256) => file.core_metadata = Some(*sha256),
        FetchedPart::Provenance(sha256) => file.provenance = Some(*sha256),
    }
    end_fetched(connection, path, serial)?;
    let sql = "INSERT INTO fetched_files (index_id, project, path, sha256, size, modified, core_metadata, \
               provenance, added_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(sql)?.execute(params![
        index_id,
        project.normal(),
        path.as_str(),
        file.content.as_ref().map(|content| content.sha256.as_bytes()),
        file.content.map(|content| to_integer(content.size)),
        file.content.map(|content| content.modified.as_microsecond()),
        file.core_metadata.as_ref().map(Sha256::as_bytes),
        file.provenance.as_ref().map(Sha256::as_bytes),
        to_integer(serial.0)
    ])?;
    Ok(())
}

/// Removes all that was kept of a mirror that is removed.
pub(super) fn remove_mirror(
    connection: &Connection,
    index_id: i64,
    serial: Serial,
) -> Result<(), StorageError> {
    for table in ["mirror_pages", "mirror_names", "mirror_odd_paths"] {
        let sql = format!("DELETE FROM {table} WHERE index_id = ?1");
        connection.prepare_cached(&sql)?.execute([index_id])?;
    }
    let sql =
        "UPDATE fetched_files SET removed_at = coalesce(removed_at, ?2), deleted = 0 WHERE index_id = ?1";
    connection.prepare_cached(sql)?.execute(params![index_id, to_integer(serial.0)])?;
    Ok(())
}

/// Keeps a note.
pub(super) fn put_note(connection: &Connection, note: &Note) -> Result<(), StorageError> {
    match note {
        Note::PageChecked { index, project, changed_at, page, checked_at } => {
            let Some(id) = find_index(connection, index)? else { return Ok(()) };
            let sql = "UPDATE mirror_pages SET checked_at = ?4, page = coalesce(?5, page) \
                       WHERE index_id = ?1 AND project = ?2 AND changed_at = ?3";
            connection.prepare_cached(sql)?.execute(params![
                id,
                project,
                to_integer(changed_at.0),
                checked_at.as_microsecond(),
                page.as_ref().map(Packed::bytes)
            ])?;
        }
        Note::NamesListed { index, names, validators, source, checked_at } => {
            let Some(id) = find_index(connection, index)? else { return Ok(()) };
            let sql = "INSERT OR REPLACE INTO mirror_names (index_id, names, validators, source, checked_at) \
                       VALUES (?1, ?2, ?3, ?4, ?5)";
            connection.prepare_cached(sql)?.execute(params![
                id,
                names.bytes(),
                serde_json::to_string(validators)?,
                source,
                checked_at.as_microsecond()
            ])?;
        }
    }
    Ok(())
}

fn find_index(connection: &Connection, index: &IndexName) -> Result<Option<i64>, StorageError> {
    let parameters = [&index.user, &index.index];
    Ok(connection.prepare_cached(PRESENT_INDEX)?.query_row(parameters, |row| row.get(0)).optional()?)
}

fn fetched(row: &Row<'_>) -> rusqlite::Result<FetchedFile> {
    let content = match rows::optional_sha256(row, 2)? {
        Some(sha256) => {
            Some(FetchedContent { sha256, size: rows::unsigned(row, 3)?, modified: rows::timestamp(row, 4)? })
        }
        None => None,
    };
    Ok(FetchedFile {
        path: StoredPath::new(row.get::<_, String>(0)?),
        project: ProjectName::from_url(row.get_ref(1)?.as_str()?),
        content,
        core_metadata: rows::optional_sha256(row, 5)?,
        provenance: rows::optional_sha256(row, 6)?,
    })
}
