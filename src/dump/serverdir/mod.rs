//! A server directory as devpi-server leaves it on disk (`storage`).
//!
//! [`marshal`] reads its serialised values, [`entry`] takes its change log apart, [`keys`] knows the database, [`files`]
//! finds contents; [`OldState`] is the whole. Everything is opened for reading only.

#[cfg(test)]
pub(crate) mod encode;
pub mod entry;
pub mod files;
pub mod keys;
pub mod marshal;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use self::files::FileSource;
use self::keys::{KeyError, KeyStore};
use crate::version::DEVPI_VERSION;

/// The file with the version of the layout.
pub const VERSION_FILE: &str = ".serverversion";

/// The database of the storage `sqlite`.
pub const DATABASE: &str = ".sqlite";

/// The database of the storage `sqlite_db_files`, with contents in it.
pub const DATABASE_WITH_FILES: &str = ".sqlite_db";

/// The directory with contents.
pub const FILES: &str = "+files";

/// All that belongs to devpi-server alone and is of no use to us.
pub const OLD_NAMES: [&str; 14] = [
    VERSION_FILE,
    ".event_serial",
    ".event_serial-tmp",
    DATABASE,
    ".sqlite-journal",
    ".sqlite-wal",
    ".sqlite-shm",
    DATABASE_WITH_FILES,
    ".sqlite_db-journal",
    ".sqlite_db-wal",
    ".sqlite_db-shm",
    ".indices",
    FILES,
    "+h",
];

/// The only layout there is since devpi-server 4.
const LAYOUT: &str = "4";

/// The ending of the names of contents that are not in their place yet.
const TEMPORARY: &str = "-tmp";

/// The length of the hexadecimal digits before that ending.
const TEMPORARY_DIGITS: std::ops::RangeInclusive<usize> = 8..=64;

/// Why a directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is of another release of devpi-server (the text is devpi's).
    #[error(
        "Incompatible state: server {DEVPI_VERSION} cannot run serverdir {path} created at database version {found}.\n\
         Use devpi-export from older version, then devpi-import with newer version."
    )]
    Layout {
        /// The directory.
        path: String,
        /// The version that was found.
        found: String,
    },
    /// It has no database.
    #[error(
        "No sqlite storage found in {0}. Or you need to run with --storage to specify the storage type, or you first \
         need to run devpi-init or devpi-import in order to create the sqlite database."
    )]
    NoDatabase(String),
    /// The database cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A file cannot be read.
    #[error("cannot read '{path}': {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
}

/// The state of a devpi-server, as of the newest serial at the time when it was opened.
pub struct OldState {
    /// The keys and their values.
    pub keys: KeyStore,
    /// The contents.
    pub files: FileSource,
}

/// Whether a directory is one of devpi-server.
pub fn is_old(path: &Path) -> bool {
    path.join(VERSION_FILE).exists()
}

/// The database of a directory. `storage` is the name that the option `--storage` gives, if it is another one than the
/// default; without it, the default's database goes before the other one's.
fn find_database(path: &Path, storage: Option<&str>) -> Result<PathBuf, StateError> {
    let (plain, with_files) = (path.join(DATABASE), path.join(DATABASE_WITH_FILES));
    let found = match (storage, plain.exists(), with_files.exists()) {
        (None, true, _) => plain,
        (Some("sqlite_db_files"), _, true) | (None, false, true) => with_files,
        _ => return Err(StateError::NoDatabase(path.display().to_string())),
    };
    Ok(found)
}

impl OldState {
    /// Opens the state in a directory. Blocks.
    pub fn open(path: &Path, storage: Option<&str>) -> Result<Self, StateError> {
        let version_file = path.join(VERSION_FILE);
        let text = fs::read_to_string(&version_file)
            .map_err(|cause| StateError::Unreadable { path: version_file, cause })?;
        let found = text.trim();
        if found.split('.').next() != Some(LAYOUT) {
            let (path, found) = (path.display().to_string(), found.to_owned());
            return Err(StateError::Layout { path, found });
        }
        let database = find_database(path, storage)?;
        let with_files = database.ends_with(DATABASE_WITH_FILES);
        let mut keys = KeyStore::open(&database)?;
        let files = if with_files {
            FileSource::Database(database)
        } else {
            FileSource::Directory { root: path.to_owned(), pending: pending_renames(&mut keys)? }
        };
        Ok(Self { keys, files })
    }
}

impl OldState {
    /// Keys that devpi-server has changed after a serial and that are not only what it remembers of upstreams.
    pub fn changes_after(&mut self, serial: i64) -> Result<Vec<String>, KeyError> {
        let mut changed = Vec::new();
        for serial in serial + 1..=self.keys.serial() {
            let Some(entry) = self.keys.read_entry(serial)? else { continue };
            for change in entry.changes() {
                if change.key_name != "MIRRORNAMESINIT" && !self.is_in_mirror(change.path)? {
                    changed.push(change.path.to_owned());
                }
            }
        }
        Ok(changed)
    }

    fn is_in_mirror(&mut self, path: &str) -> Result<bool, KeyError> {
        let mut parts = path.split('/');
        let (Some(user), Some(index), true) = (parts.next(), parts.next(), parts.next().is_some()) else {
            return Ok(false);
        };
        let found = self.keys.get(&format!("{user}/.config"))?;
        Ok(found.is_some_and(|user| user.value["indexes"][index]["type"] == "mirror"))
    }
}

/// The contents that were not renamed to their place before the server died: their paths below the server directory by
/// the place that they should have. Only the last entry can have such (as devpi's own recovery knows).
fn pending_renames(keys: &mut KeyStore) -> Result<HashMap<String, String>, KeyError> {
    let Some(entry) = keys.last_entry()? else { return Ok(HashMap::new()) };
    let names = entry.renames().map_err(|error| keys.damaged(keys.serial(), error))?;
    let final_name = |name: &String| {
        let (rest, digits) = name.strip_suffix(TEMPORARY)?.rsplit_once('-')?;
        let is_temporary =
            TEMPORARY_DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_temporary.then(|| rest.to_owned())
    };
    Ok(names.into_iter().filter_map(|name| Some((final_name(&name)?, name))).collect())
}
