//! The contents of a server directory of devpi-server.

use std::collections::HashMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use rusqlite::{Connection, MAIN_DB, OpenFlags, OptionalExtension};

use super::FILES;

/// Where contents are.
#[derive(Clone, Debug)]
pub enum FileSource {
    /// In a directory.
    Directory {
        /// The server directory.
        root: PathBuf,
        /// Those that are not in their place, below the server directory, by their place.
        pending: HashMap<String, String>,
    },
    /// In the database.
    Database(PathBuf),
}

/// A content of devpi-server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OldFile {
    /// A file.
    Path(PathBuf),
    /// A row of a database.
    Row {
        /// The database.
        database: PathBuf,
        /// The row.
        id: i64,
    },
}

impl FileSource {
    /// The content of a key; `None` if it is not there. Blocks.
    pub fn find(&self, key: &str) -> io::Result<Option<OldFile>> {
        match self {
            Self::Directory { root, pending } => {
                let place = format!("{FILES}/{key}");
                if !is_below(&place) {
                    return Ok(None);
                }
                for name in [Some(&place), pending.get(&place)].into_iter().flatten() {
                    let path = root.join(name);
                    if is_below(name) && path.is_file() {
                        return Ok(Some(OldFile::Path(path)));
                    }
                }
                Ok(None)
            }
            Self::Database(database) => {
                let connection = open(database).map_err(io::Error::other)?;
                let id = connection
                    .query_row("SELECT rowid FROM files WHERE path = ?1", [key], |row| row.get(0))
                    .optional()
                    .map_err(io::Error::other)?;
                Ok(id.map(|id| OldFile::Row { database: database.clone(), id }))
            }
        }
    }
}

/// Reads a content that is a row of a database, piece by piece. Blocks.
pub fn read_row(
    database: &Path,
    id: i64,
    buffer: &mut [u8],
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let connection = open(database).map_err(io::Error::other)?;
    let blob = connection.blob_open(MAIN_DB, "files", "data", id, true).map_err(io::Error::other)?;
    let mut offset = 0;
    loop {
        match blob.read_at(buffer, offset).map_err(io::Error::other)? {
            0 => return Ok(()),
            count => each(&buffer[..count])?,
        }
        offset += buffer.len();
        if offset >= blob.len() {
            return Ok(());
        }
    }
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Whether a relative path stays below where it starts. Keys are devpi's, but whoever made the database may have been
/// somebody else.
fn is_below(path: &str) -> bool {
    Path::new(path).components().all(|component| matches!(component, Component::Normal(_)))
}
