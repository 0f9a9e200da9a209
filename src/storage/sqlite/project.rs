//! What a project has, as pages show it: all of it, or what came since it was last read. All of this blocks.

use rusqlite::{Connection, params};

use super::read::{collect, find_project};
use super::rows;
use crate::storage::StorageError;
use crate::storage::model::{
    IndexName, ProjectContents, ProjectMark, Relation, ReleaseFile, ReleaseSummary, StoredPath,
};

/// If more rows than these came to all projects since one was read, that one is read as a whole.
const MAX_NEW_ROWS: u64 = 10_000;

/// Which rows of a project are wanted, and how they are found.
#[derive(Clone, Copy)]
enum Wanted {
    /// All of them, by the index.
    All,
    /// Those with larger numbers than these, by their numbers.
    After { release: i64, file: i64 },
}

/// See `Snapshot::read_project`.
pub(super) fn read(
    connection: &Connection,
    index: &IndexName,
    project: &str,
    since: Option<ProjectMark>,
) -> Result<ProjectContents, StorageError> {
    let Some((project, changed_at)) = find_project(connection, index, project)? else {
        return Ok(ProjectContents::default());
    };
    let since = since.filter(|mark| mark.project == project && mark.changed_at <= changed_at);
    if since.is_some_and(|mark| mark.changed_at == changed_at) {
        return Ok(ProjectContents { mark: since, ..ProjectContents::default() });
    }
    let last_release = last_row(connection, "releases")?;
    let last_file = last_row(connection, "links")?;
    let are_few = |after: i64, last: i64| last.abs_diff(after) <= MAX_NEW_ROWS;
    let wanted = match since {
        Some(ProjectMark { last_release: release, last_file: file, .. })
            if are_few(release, last_release) && are_few(file, last_file) =>
        {
            Wanted::After { release, file }
        }
        _ => Wanted::All,
    };
    let releases = list_releases(connection, project, wanted)?;
    let files = list_files(connection, project, wanted)?;
    let (release_count, file_count) = match wanted {
        Wanted::All => (releases.len(), files.len()),
        Wanted::After { .. } => (
            count(connection, "releases WHERE project_id = ?1 AND removed_at IS NULL", project)?,
            count(
                connection,
                "links WHERE project_id = ?1 AND relation = 'releasefile' AND removed_at IS NULL",
                project,
            )?,
        ),
    };
    let mark = ProjectMark {
        project,
        changed_at,
        last_release,
        last_file,
        releases: release_count,
        files: file_count,
    };
    Ok(ProjectContents { mark: Some(mark), releases, files })
}

/// See `Snapshot::list_versions`.
pub(super) fn list_versions(
    connection: &Connection,
    index: &IndexName,
    project: &str,
) -> Result<Vec<ReleaseSummary>, StorageError> {
    let Some((project, _)) = find_project(connection, index, project)? else { return Ok(Vec::new()) };
    list_releases(connection, project, Wanted::All)
}

/// The number of the newest row of a table, whatever project it is of; 0 for an empty one.
fn last_row(connection: &Connection, table: &str) -> Result<i64, StorageError> {
    let sql = format!("SELECT max(id) FROM {table}");
    let newest: Option<i64> = connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
    Ok(newest.unwrap_or(0))
}

fn count(connection: &Connection, of: &str, project: i64) -> Result<usize, StorageError> {
    let sql = format!("SELECT count(*) FROM {of}");
    let count = connection.prepare_cached(&sql)?.query_row([project], |row| rows::unsigned(row, 0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn list_releases(
    connection: &Connection,
    project: i64,
    wanted: Wanted,
) -> Result<Vec<ReleaseSummary>, StorageError> {
    let (table, after) = match wanted {
        Wanted::All => ("releases INDEXED BY releases_present", 0),
        Wanted::After { release, .. } => ("releases NOT INDEXED", release),
    };
    let sql = format!(
        "SELECT id, version, requires_python FROM {table} \
         WHERE project_id = ?1 AND id > ?2 AND removed_at IS NULL"
    );
    let releases = collect(connection, &sql, params![project, after], |row| {
        let release = ReleaseSummary {
            version: row.get_ref(1)?.as_str()?.into(),
            requires_python: row.get_ref(2)?.as_str_or_null()?.map(Into::into),
        };
        Ok((row.get(0)?, release))
    })?;
    Ok(as_they_came(releases))
}

fn list_files(
    connection: &Connection,
    project: i64,
    wanted: Wanted,
) -> Result<Vec<ReleaseFile>, StorageError> {
    let (table, after) = match wanted {
        Wanted::All => ("links INDEXED BY links_present", 0),
        Wanted::After { file, .. } => ("links NOT INDEXED", file),
    };
    let sql = format!(
        "SELECT id, version, path, sha256, size, uploaded_at, core_metadata FROM {table} \
         WHERE project_id = ?1 AND relation = ?2 AND id > ?3 AND removed_at IS NULL"
    );
    let parameters = params![project, Relation::ReleaseFile.as_str(), after];
    let files = collect(connection, &sql, parameters, |row| {
        let file = ReleaseFile {
            version: row.get_ref(1)?.as_str()?.into(),
            path: StoredPath::new(row.get_ref(2)?.as_str()?),
            sha256: rows::sha256(row, 3)?,
            size: rows::unsigned(row, 4)?,
            uploaded_at: rows::timestamp(row, 5)?,
            core_metadata: rows::optional_sha256(row, 6)?,
        };
        Ok((row.get(0)?, file))
    })?;
    Ok(as_they_came(files))
}

/// Rows by their numbers. Not by SQLite, which would write all of them into a file and read them again.
fn as_they_came<T>(mut rows: Vec<(i64, T)>) -> Vec<T> {
    rows.sort_unstable_by_key(|(id, _)| *id);
    rows.into_iter().map(|(_, row)| row).collect()
}
