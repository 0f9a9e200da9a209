//! The keys and values of devpi-server in its SQLite database (`storage` sections 2 and 3).
//!
//! A value stands in the change log, in the entry of the serial that the table of keys names. What is read is the state
//! as of the newest serial at the time of opening, also while the old server goes on writing.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use serde_json::Value;

use super::entry::{Entry, KeyChange};
use super::marshal::DecodeError;

/// How much of the change log is remembered, in bytes: keys that are wanted one after the other tend to be in the same
/// entries.
const REMEMBERED_BYTES: usize = 32 * 1024 * 1024;

/// How long somebody who writes is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a key cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database is not one of devpi-server, or damaged.
    #[error("'{}' is damaged: {text}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
    /// The database was left in the middle of a write.
    #[error(
        "'{}' was left in the middle of a write by a server that died; this is mended when devpi-server, or a takeover, \
         starts on it",
        path.display()
    )]
    HotJournal {
        /// The database.
        path: PathBuf,
    },
    /// The database cannot be opened or read.
    #[error("cannot read '{}': {cause}", path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// Why.
        cause: rusqlite::Error,
    },
    /// An entry of the change log is damaged.
    #[error("'{}' is damaged in serial {serial}: {cause}", path.display())]
    Entry {
        /// The database.
        path: PathBuf,
        /// The serial.
        serial: i64,
        /// What is wrong.
        cause: DecodeError,
    },
    /// A key names an entry that does not have it.
    #[error("'{}' is damaged: serial {serial} lacks the key {key}", path.display())]
    Lost {
        /// The database.
        path: PathBuf,
        /// The key.
        key: String,
        /// The serial.
        serial: i64,
    },
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The serial since which it is so.
    pub serial: i64,
    /// What kind of key it is.
    pub key_name: String,
    /// The value; null for a key that was deleted.
    pub value: Value,
}

/// The database of a devpi-server.
pub struct KeyStore {
    path: PathBuf,
    connection: Connection,
    /// The newest serial that counts; -1 for none.
    serial: i64,
    /// Entries that were read lately, the newest first.
    remembered: VecDeque<(i64, Arc<Entry>)>,
}

impl KeyStore {
    /// Opens a database for reading. Blocks.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let fail = |cause| explain(path, cause);
        let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
        connection.busy_timeout(PATIENCE).map_err(fail)?;
        connection.set_prepared_statement_cache_capacity(16);
        let mut store = Self { path: path.to_owned(), connection, serial: -1, remembered: VecDeque::new() };
        store.serial = store.newest_serial()?;
        Ok(store)
    }

    /// Rolls back what a server that died has left half written, as the next start of devpi-server would. Blocks.
    pub fn recover(path: &Path) -> Result<(), KeyError> {
        let fail = |cause| explain(path, cause);
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fail)?;
        connection.busy_timeout(PATIENCE).map_err(fail)?;
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(())).map_err(fail)
    }

    /// The newest serial at the time of opening; -1 for an empty database.
    pub fn serial(&self) -> i64 {
        self.serial
    }

    /// The newest serial by now.
    pub fn newest_serial(&self) -> Result<i64, KeyError> {
        let sql = "SELECT max(serial) FROM changelog";
        let newest: Option<i64> =
            self.connection.query_row(sql, [], |row| row.get(0)).map_err(|cause| self.explain(cause))?;
        Ok(newest.unwrap_or(-1))
    }

    /// How many keys of a kind there are, deleted ones included.
    pub fn count(&self, key_name: &str) -> Result<u64, KeyError> {
        let sql = "SELECT count(*) FROM kv WHERE keyname = ?1";
        let count: i64 = self
            .connection
            .query_row(sql, [key_name], |row| row.get(0))
            .map_err(|cause| self.explain(cause))?;
        Ok(count.unsigned_abs())
    }

    /// The kinds of keys that there are.
    pub fn key_names(&self) -> Result<Vec<String>, KeyError> {
        let mut statement = self
            .connection
            .prepare("SELECT DISTINCT keyname FROM kv ORDER BY keyname")
            .map_err(|cause| self.explain(cause))?;
        let names = statement.query_map([], |row| row.get::<_, Option<String>>(0));
        let names = names.and_then(Iterator::collect::<rusqlite::Result<Vec<Option<String>>>>);
        Ok(names.map_err(|cause| self.explain(cause))?.into_iter().flatten().collect())
    }

    /// The value of a key; `None` for one that never was, or was deleted.
    pub fn get(&mut self, key: &str) -> Result<Option<Found>, KeyError> {
        Ok(self.find(key)?.filter(|found| !found.value.is_null()))
    }

    /// The same, with a null for a key that was deleted.
    fn find(&mut self, key: &str) -> Result<Option<Found>, KeyError> {
        let Some(serial) = self.serial_of(key)? else { return Ok(None) };
        self.value_since(key, serial)
    }

    /// The value that a key had after a serial, or before it if that is too new to count.
    pub fn value_since(&mut self, key: &str, mut serial: i64) -> Result<Option<Found>, KeyError> {
        loop {
            if serial < 0 {
                return Ok(None);
            }
            let lost = |path: &Path| KeyError::Lost { path: path.to_owned(), key: key.to_owned(), serial };
            let entry = self.entry(serial)?.ok_or_else(|| lost(&self.path))?;
            let change = entry.change(key).ok_or_else(|| lost(&self.path))?;
            if serial > self.serial {
                // A chain that does not descend would be followed for ever.
                serial = change.back_serial.min(serial - 1);
                continue;
            }
            let value = change.value().map_err(|cause| self.damaged(serial, cause))?;
            return Ok(Some(Found { serial, key_name: change.key_name.to_owned(), value }));
        }
    }

    /// The serial that last changed a key.
    pub fn serial_of(&self, key: &str) -> Result<Option<i64>, KeyError> {
        let read = || {
            let mut statement = self.connection.prepare_cached("SELECT serial FROM kv WHERE key = ?1")?;
            statement.query_row([key], |row| row.get(0)).optional()
        };
        read().map_err(|cause| self.explain(cause))
    }

    /// Whether a change of a serial is the newest of its key that counts.
    pub fn is_current(&mut self, change: &KeyChange<'_>, serial: i64) -> Result<bool, KeyError> {
        match self.serial_of(change.path)? {
            Some(newest) if newest > self.serial => {
                Ok(self.value_since(change.path, newest)?.is_some_and(|found| found.serial == serial))
            }
            newest => Ok(newest == Some(serial)),
        }
    }

    /// An entry of the change log; `None` for a serial without one.
    pub fn entry(&mut self, serial: i64) -> Result<Option<Arc<Entry>>, KeyError> {
        if let Some(place) = self.remembered.iter().position(|(number, _)| *number == serial) {
            self.remembered.swap(0, place);
            return Ok(self.remembered.front().map(|(_, entry)| Arc::clone(entry)));
        }
        let Some(entry) = self.read_entry(serial)? else { return Ok(None) };
        let entry = Arc::new(entry);
        self.remembered.push_front((serial, Arc::clone(&entry)));
        let mut bytes = 0;
        let mut fits = |(_, entry): &(i64, Arc<Entry>)| {
            bytes += entry.size();
            bytes <= REMEMBERED_BYTES
        };
        let kept = self.remembered.iter().take_while(|item| fits(item)).count().max(1);
        self.remembered.truncate(kept);
        Ok(Some(entry))
    }

    /// An entry that is not worth remembering.
    pub fn read_entry(&self, serial: i64) -> Result<Option<Entry>, KeyError> {
        let read = || {
            let mut statement =
                self.connection.prepare_cached("SELECT data FROM changelog WHERE serial = ?1")?;
            statement.query_row(params![serial], |row| row.get::<_, Vec<u8>>(0)).optional()
        };
        let Some(bytes) = read().map_err(|cause| self.explain(cause))? else { return Ok(None) };
        Entry::parse(bytes).map(Some).map_err(|cause| self.damaged(serial, cause))
    }

    /// The newest entry.
    pub fn last_entry(&mut self) -> Result<Option<Arc<Entry>>, KeyError> {
        if self.serial < 0 { Ok(None) } else { self.entry(self.serial) }
    }

    /// The error that a damaged entry is.
    pub fn damaged(&self, serial: i64, cause: DecodeError) -> KeyError {
        KeyError::Entry { path: self.path.clone(), serial, cause }
    }

    fn explain(&self, cause: rusqlite::Error) -> KeyError {
        explain(&self.path, cause)
    }
}

fn explain(path: &Path, cause: rusqlite::Error) -> KeyError {
    let path = path.to_owned();
    let is_hot = cause.sqlite_error().is_some_and(|error| {
        error.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK
            || error.extended_code == rusqlite::ffi::SQLITE_READONLY_RECOVERY
    });
    match cause.sqlite_error_code() {
        _ if is_hot => KeyError::HotJournal { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => {
            KeyError::Database { path, text: cause.to_string() }
        }
        _ => KeyError::Unreadable { path, cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::serverdir::encode::{self, Item};
    use serde_json::json;

    /// A change of a key: its path, the serial before, and the new value.
    type Written<'a> = (&'a str, i64, Item);

    fn text(text: &str) -> Item {
        Item::Text(text.to_owned())
    }

    fn entry(changes: &[Written<'_>]) -> Vec<u8> {
        let changes = changes.iter().map(|(path, back, value)| {
            (path.to_string(), Item::Tuple(vec![text("USER"), Item::Integer(*back), value.clone()]))
        });
        let mut bytes = Vec::new();
        encode::value(&Item::Tuple(vec![Item::Dict(changes.collect()), Item::List(Vec::new())]), &mut bytes);
        bytes.push(b'Q');
        bytes
    }

    /// A database with these entries.
    fn database(path: &Path, entries: &[&[Written<'_>]]) -> Connection {
        let connection = Connection::open(path).unwrap();
        let schema = "CREATE TABLE changelog (serial INTEGER PRIMARY KEY, data BLOB NOT NULL);
                      CREATE TABLE kv (key TEXT NOT NULL PRIMARY KEY, keyname TEXT, serial INTEGER);";
        connection.execute_batch(schema).unwrap();
        for (serial, changes) in (0..).zip(entries) {
            append(&connection, serial, changes);
        }
        connection
    }

    fn append(connection: &Connection, serial: i64, changes: &[Written<'_>]) {
        let insert = "INSERT INTO changelog VALUES (?1, ?2)";
        connection.execute(insert, params![serial, entry(changes)]).unwrap();
        for (path, ..) in changes {
            let replace = "INSERT OR REPLACE INTO kv VALUES (?1, 'USER', ?2)";
            connection.execute(replace, params![path, serial]).unwrap();
        }
    }

    #[test]
    fn the_state_is_that_of_the_time_of_opening() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let writer = database(
            &path,
            &[&[("a", -1, text("1")), ("b", -1, text("1"))], &[("a", 0, text("2"))], &[("b", 0, Item::Null)]],
        );
        let mut keys = KeyStore::open(&path).unwrap();
        append(&writer, 3, &[("a", 1, text("3")), ("c", -1, text("new"))]);
        assert_eq!((keys.serial(), keys.newest_serial().unwrap()), (2, 3));
        let found = keys.get("a").unwrap().unwrap();
        assert_eq!((found.serial, found.value), (1, json!("2")));
        // Deleted, too new, and never there.
        for key in ["b", "c", "d"] {
            assert_eq!(keys.get(key).unwrap(), None, "{key}");
        }
        for (serial, key, expected) in [(0, "a", false), (1, "a", true), (0, "b", false), (2, "b", true)] {
            let entry = keys.entry(serial).unwrap().unwrap();
            let change = entry.change(key).unwrap();
            assert_eq!(keys.is_current(&change, serial).unwrap(), expected, "{key} in {serial}");
        }
        assert_eq!((keys.count("USER").unwrap(), keys.key_names().unwrap()), (3, vec!["USER".to_owned()]));
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let writer =
            database(&path, &[&[("a", -1, text("1"))], &[("b", -1, text("1"))], &[("c", -1, text("1"))]]);
        writer.execute_batch("UPDATE changelog SET data = substr(data, 1, 9) WHERE serial = 0").unwrap();
        writer.execute_batch("UPDATE kv SET serial = 2 WHERE key = 'b'").unwrap();
        writer.execute_batch("DELETE FROM changelog WHERE serial = 1").unwrap();
        let mut keys = KeyStore::open(&path).unwrap();
        let told = |error: KeyError| error.to_string();
        let shown = path.display();
        assert_eq!(
            told(keys.get("a").unwrap_err()),
            format!("'{shown}' is damaged in serial 0: truncated value at offset 8")
        );
        let lost = format!("'{shown}' is damaged: serial 2 lacks the key b");
        assert_eq!(told(keys.get("b").unwrap_err()), lost);
        assert_eq!(keys.get("c").unwrap().unwrap().value, json!("1"));
        // Other storages leave gaps.
        assert!(keys.entry(1).unwrap().is_none());
        std::fs::write(&path, "no database at all, but long enough to have a header of one").unwrap();
        let error = KeyStore::open(&path).err().unwrap().to_string();
        assert!(error.contains("is damaged: file is not a database"), "{error}");
    }
}
