//! Whether the database is what it should be, and what can be done if it is not. All of it blocks.

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use super::read::collect;
use crate::pep::digest::Sha256;
use crate::storage::StorageError;

/// For each project that has anything, the newest serial of its releases and links.
const NEWEST_IN_PROJECTS: &str = "SELECT project_id, max(max(added_at, coalesce(removed_at, 0))) AS serial FROM \
     (SELECT project_id, added_at, removed_at FROM releases \
      UNION ALL SELECT project_id, added_at, removed_at FROM links) GROUP BY project_id";

/// For each user that ever had an index, the newest serial of the indexes and their settings.
const NEWEST_IN_USERS: &str = "SELECT user, max(max(settings.added_at, coalesce(settings.removed_at, 0), \
     coalesce(indexes.removed_at, 0))) AS serial FROM indexes JOIN index_settings AS settings ON index_id = indexes.id \
     GROUP BY user";

/// The newest serial that any row names.
const NEWEST_NAMED: &str = "SELECT coalesce(max(serial), -1) FROM (\
     SELECT max(max(changed_at, coalesce(removed_at, 0))) AS serial FROM users \
     UNION ALL SELECT max(max(added_at, coalesce(removed_at, 0))) FROM indexes \
     UNION ALL SELECT max(max(added_at, coalesce(removed_at, 0))) FROM index_settings \
     UNION ALL SELECT max(max(changed_at, coalesce(removed_at, 0))) FROM projects \
     UNION ALL SELECT max(max(added_at, coalesce(removed_at, 0))) FROM releases \
     UNION ALL SELECT max(max(added_at, coalesce(removed_at, 0))) FROM links \
     UNION ALL SELECT max(changed_at) FROM mirror_pages \
     UNION ALL SELECT max(max(added_at, coalesce(removed_at, 0))) FROM fetched_files \
     UNION ALL SELECT max(removed_at) FROM former_files)";

/// Something that is wrong with a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseFault {
    /// A document is not there. Whatever refers to it can forget it: see
    /// [`SqliteStore::forget_documents`](super::SqliteStore::forget_documents).
    #[error("a row of {0} refers to one that is not in documents")]
    Document(String),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

/// What is wrong with the database: pages, indexes, references, and counters that are behind what they count.
pub(super) fn check(connection: &Connection) -> Result<Vec<DatabaseFault>, StorageError> {
    let mut faults: Vec<_> = check_pages(connection)?.into_iter().map(DatabaseFault::Other).collect();
    let dangling: Vec<DatabaseFault> = collect(connection, "PRAGMA foreign_key_check", [], |row| {
        let (table, referred): (String, String) = (row.get(0)?, row.get(2)?);
        Ok(match &*referred {
            "documents" => DatabaseFault::Document(table),
            _ => DatabaseFault::Other(format!("a row of {table} refers to one that is not in {referred}")),
        })
    })?;
    faults.extend(dangling);
    if !faults.is_empty() {
        // What is read of it could be anything.
        return Ok(faults);
    }
    for (count, what) in count_stale(connection)? {
        if count > 0 {
            let text = format!("{count} {what} were last changed later than is recorded");
            faults.push(DatabaseFault::Other(text));
        }
    }
    let (newest, named) = (newest_change(connection)?, newest_named(connection)?);
    if newest < named {
        let text = format!("the newest change is {newest}, but there is something of serial {named}");
        faults.push(DatabaseFault::Other(text));
    }
    Ok(faults)
}

/// Makes indexes anew, and brings counters up to what they count. Returns what was done. `now` is the time of that.
pub(super) fn repair(connection: &mut Connection, now: Timestamp) -> Result<Vec<String>, StorageError> {
    let mut done = Vec::new();
    if !check_pages(connection)?.is_empty() {
        connection.execute_batch("REINDEX")?;
        done.push("the indexes of the database were made anew".to_owned());
        if !check_pages(connection)?.is_empty() {
            return Ok(done);
        }
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (count, what) in count_stale(&transaction)? {
        if count > 0 {
            done.push(format!("when {count} {what} were last changed"));
        }
    }
    transaction.execute_batch(&format!(
        "UPDATE projects SET changed_at = newest.serial FROM ({NEWEST_IN_PROJECTS}) AS newest \
             WHERE newest.project_id = projects.id AND projects.changed_at < newest.serial; \
         UPDATE users SET changed_at = newest.serial FROM ({NEWEST_IN_USERS}) AS newest \
             WHERE newest.user = users.name AND users.removed_at IS NULL AND users.changed_at < newest.serial;"
    ))?;
    let (newest, named) = (newest_change(&transaction)?, newest_named(&transaction)?);
    if newest < named {
        // The next change must get a serial that nothing has yet.
        let sql = "INSERT INTO changes (serial, time, who, touched) VALUES (?1, ?2, NULL, '[]')";
        transaction.execute(sql, (named, now.as_microsecond()))?;
        done.push(format!("the serial of the newest change, {named} in the place of {newest}"));
    }
    transaction.commit()?;
    Ok(done)
}

/// Removes documents, and all that refers to them. Removed links and mirrors forget missing ones as well. Returns how many
/// links and files of mirrors have lost something.
pub(super) fn forget_documents(
    connection: &mut Connection,
    documents: &[Sha256],
) -> Result<usize, StorageError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.pragma_update(None, "defer_foreign_keys", true)?;
    transaction
        .execute_batch("CREATE TEMP TABLE forgotten (sha256 BLOB PRIMARY KEY) STRICT, WITHOUT ROWID")?;
    for document in documents {
        transaction.execute("INSERT OR IGNORE INTO forgotten VALUES (?1)", [document.as_bytes()])?;
        transaction.execute("DELETE FROM documents WHERE sha256 = ?1", [document.as_bytes()])?;
    }
    let mut changed = 0;
    for (table, column, also_missing) in [
        ("links", "core_metadata", "removed_at IS NOT NULL"),
        ("fetched_files", "core_metadata", "true"),
        ("fetched_files", "provenance", "true"),
    ] {
        let sql = format!(
            "UPDATE {table} SET {column} = NULL WHERE {column} IN (SELECT sha256 FROM forgotten) \
             OR {column} IS NOT NULL AND {also_missing} \
                AND NOT EXISTS (SELECT 1 FROM documents WHERE documents.sha256 = {table}.{column})"
        );
        changed += transaction.execute(&sql, [])?;
    }
    transaction.commit()?;
    Ok(changed)
}

/// What SQLite itself finds wrong with how rows and indexes are stored.
fn check_pages(connection: &Connection) -> Result<Vec<String>, StorageError> {
    let mut faults: Vec<String> = collect(connection, "PRAGMA integrity_check", [], |row| row.get(0))?;
    faults.retain(|fault| fault != "ok");
    Ok(faults)
}

/// How many projects and users say that they were last changed before something in them was.
fn count_stale(connection: &Connection) -> Result<[(i64, &'static str); 2], StorageError> {
    let projects = format!(
        "SELECT count(*) FROM projects JOIN ({NEWEST_IN_PROJECTS}) AS newest ON newest.project_id = projects.id \
         WHERE projects.changed_at < newest.serial"
    );
    let users = format!(
        "SELECT count(*) FROM users JOIN ({NEWEST_IN_USERS}) AS newest ON newest.user = users.name \
         WHERE users.removed_at IS NULL AND users.changed_at < newest.serial"
    );
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get(0));
    Ok([(count(&projects)?, "projects"), (count(&users)?, "users")])
}

fn newest_change(connection: &Connection) -> Result<i64, StorageError> {
    Ok(connection.query_row("SELECT coalesce(max(serial), -1) FROM changes", [], |row| row.get(0))?)
}

fn newest_named(connection: &Connection) -> Result<i64, StorageError> {
    Ok(connection.query_row(NEWEST_NAMED, [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::meta::MetaStore;
    use crate::storage::sqlite::{SqliteLimits, SqliteReader, SqliteStore};

    /// A database with a user, an index and a project with two files, whose counters are what they should be.
    const SOUND: &str = "INSERT INTO changes VALUES (0, 1, NULL, '[]'), (7, 1, NULL, '[]');
        INSERT INTO users VALUES (1, 'alice', '{}', 5, 0, NULL);
        INSERT INTO indexes VALUES (1, 'alice', 'dev', 1, NULL);
        INSERT INTO index_settings VALUES (1, 1, '{}', 1, 5), (2, 1, '{}', 5, NULL);
        INSERT INTO projects VALUES (1, 1, 'demo', 7, 2, NULL);
        INSERT INTO releases VALUES (1, 1, '1.0', NULL, '{}', 2, NULL);
        INSERT INTO links (project_id, version, relation, path, file_name, sha256, size, uploaded_at, log, added_at, removed_at)
            VALUES (1, '1.0', 'releasefile', 'a', 'a', zeroblob(32), 5, 1, '[]', 3, 7),
                   (1, '1.0', 'releasefile', 'b', 'b', zeroblob(32), 5, 1, '[]', 4, NULL);";

    async fn damaged_by(damage: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        SqliteStore::open(&path, SqliteLimits::default()).unwrap().close().await.unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(SOUND).unwrap();
        connection.execute_batch(damage).unwrap();
        drop(connection);
        let reader = SqliteReader::open(&path, SqliteLimits::default()).unwrap();
        let check = async || {
            let faults = reader.check().await.unwrap();
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let before = check().await;
        let done = SqliteStore::repair(&path, Timestamp::UNIX_EPOCH).unwrap();
        (before, done, check().await)
    }

    #[tokio::test]
    async fn a_sound_database_is_left_alone() {
        assert_eq!(damaged_by("").await, Default::default());
    }

    #[tokio::test]
    async fn counters_are_brought_up_to_what_they_count() {
        for (damage, fault) in [
            ("UPDATE projects SET changed_at = 6", "1 projects were last changed later than is recorded"),
            ("UPDATE users SET changed_at = 4", "1 users were last changed later than is recorded"),
            (
                "DELETE FROM changes WHERE serial = 7",
                "the newest change is 0, but there is something of serial 7",
            ),
        ] {
            let (before, done, after) = damaged_by(damage).await;
            assert_eq!((before, done.len(), after), (vec![fault.to_owned()], 1, Vec::new()), "{damage}");
        }
    }

    #[tokio::test]
    async fn indexes_are_made_anew() {
        // The index does not know of the row any more.
        let damage = "PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET sql = 'CREATE INDEX links_by_path ON links (path) WHERE path = ''z'''
                WHERE name = 'links_by_path';
            PRAGMA writable_schema = RESET;
            REINDEX links_by_path;
            PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET sql = 'CREATE INDEX links_by_path ON links (path)' WHERE name = 'links_by_path';
            PRAGMA writable_schema = RESET;";
        let (before, done, after) = damaged_by(damage).await;
        assert!(before.iter().any(|fault| fault.contains("missing from index")), "{before:?}");
        assert_eq!((done.len(), after), (1, Vec::new()), "{done:?}");
    }

    /// It needs a backup.
    #[tokio::test]
    async fn what_refers_to_nothing_is_not_hidden() {
        let damage = "PRAGMA foreign_keys = OFF; DELETE FROM projects";
        let (before, _, after) = damaged_by(damage).await;
        assert!(before[0].contains("a row of links refers to one that is not in projects"), "{before:?}");
        assert_eq!(before.len(), after.len());
    }

    /// Else somebody would think that nothing needs them.
    #[tokio::test]
    async fn contents_of_links_that_refer_to_nothing_are_named() {
        for table in ["projects", "indexes"] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("db");
            let store = SqliteStore::open(&path, SqliteLimits::default()).unwrap();
            let connection = Connection::open(&path).unwrap();
            connection.execute_batch(SOUND).unwrap();
            connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; DELETE FROM {table}")).unwrap();
            let named = store.snapshot().await.unwrap().list_contents(0).await.unwrap();
            assert_eq!(named.values().map(|content| content.size).collect::<Vec<_>>(), [5], "{table}");
        }
    }
}
