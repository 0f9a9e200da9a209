//! The directory with all data of a server.
//!
//! ```text
//! .nodeinfo           uuid and role, as devpi keeps them
//! .lock               held while a process works on the directory
//! .secret             secret of the login tokens, where `--init` made one
//! wheelhouse.sqlite   metadata
//! files/ …            contents (see storage::fs)
//! ```

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::program::Fatal;
use crate::config::{LimitOptions, StorageOptions};
use crate::storage::files::FileStore;
use crate::storage::fs::DirectoryStore;
use crate::storage::meta::MetaStore;
use crate::storage::sqlite::SqliteStore;

const NODEINFO: &str = ".nodeinfo";
const LOCK: &str = ".lock";
const SECRET: &str = ".secret";
const DATABASE: &str = "wheelhouse.sqlite";

/// A file of devpi-server that ours does not have.
const DEVPI_MARK: &str = ".serverversion";

/// The length of a node's uuid in bytes.
const UUID_BYTES: usize = 16;

/// What is kept about a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NodeInfo {
    /// 32 hexadecimal digits.
    pub(super) uuid: String,
    /// `standalone` so far.
    pub(super) role: String,
}

/// A directory with data, locked for this process.
pub(super) struct ServerDir {
    path: PathBuf,
    pub(super) node: NodeInfo,
    /// Held for as long as this lives.
    _lock: File,
}

/// The stores in a directory.
pub(super) struct Stores {
    pub(super) meta: Arc<dyn MetaStore>,
    pub(super) files: Arc<dyn FileStore>,
}

/// The directory that the options name. Fails for a storage that this server does not have.
pub(super) fn path(options: &StorageOptions) -> Result<PathBuf, Fatal> {
    if !matches!(options.backend(), "sqlite" | "sqlite_db_files") {
        let text =
            format!("The backend '{}' can't be found, is the plugin not installed?", options.backend());
        return Err(Fatal::new(text));
    }
    Ok(options.serverdir(std::env::home_dir()))
}

/// Whether there is data in the directory.
pub(super) fn is_initialised(path: &Path) -> bool {
    path.join(NODEINFO).exists()
}

impl ServerDir {
    /// Makes a new directory with an empty database. It must be absent or as good as empty.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        if is_initialised(path) {
            let text = format!("The path '{}' already contains devpi-server data.", path.display());
            return Err(Fatal::new(text).into());
        }
        fs::create_dir_all(path).with_context(|| format!("cannot create '{}'", path.display()))?;
        check_empty(path)?;
        let lock = lock(path)?;
        remove_leftovers(path)?;
        let mut bytes = [0; UUID_BYTES];
        getrandom::fill(&mut bytes)?;
        let node = NodeInfo { uuid: hex::encode(bytes), role: "standalone".to_owned() };
        Ok(Self { path: path.to_owned(), node, _lock: lock })
    }

    /// Writes down that the directory is initialised; the last step of an initialisation.
    pub(super) fn finish_creation(&self) -> anyhow::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        serde_json::to_writer(&mut file, &self.node)?;
        file.as_file().sync_all()?;
        file.persist(self.path.join(NODEINFO))?;
        File::open(&self.path)?.sync_all()?;
        Ok(())
    }

    /// Opens a directory with data.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        if !is_initialised(path) {
            let text =
                format!("The path '{shown}' contains no devpi-server data, use devpi-init to initialize.");
            return Err(Fatal::new(text).into());
        }
        if path.join(DEVPI_MARK).exists() {
            let text = format!(
                "The path '{shown}' contains data of the Python devpi-server, which this server can't take over yet."
            );
            return Err(Fatal::new(text).into());
        }
        if !path.join(DATABASE).exists() {
            return Err(Fatal::new(format!("No sqlite storage found in {shown}.")).into());
        }
        let lock = lock(path)?;
        let text = fs::read_to_string(path.join(NODEINFO))?;
        let node: NodeInfo =
            serde_json::from_str(&text).with_context(|| format!("'{shown}/{NODEINFO}' is damaged"))?;
        if node.uuid.len() != 2 * UUID_BYTES || hex::decode(&node.uuid).is_err() {
            return Err(Fatal::new(format!("'{shown}/{NODEINFO}' is damaged: the uuid is none")).into());
        }
        if node.role == "replica" {
            return Err(
                Fatal::new(format!("'{shown}' is that of a replica, which is not supported yet")).into()
            );
        }
        Ok(Self { path: path.to_owned(), node, _lock: lock })
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the secret is that `--init` makes.
    pub(super) fn secret(&self) -> PathBuf {
        self.path.join(SECRET)
    }

    /// Opens the stores. Blocks.
    pub(super) fn open_stores(&self, limits: &LimitOptions) -> anyhow::Result<Stores> {
        let database = self.path.join(DATABASE);
        let meta = SqliteStore::open(&database, limits.sqlite())
            .with_context(|| format!("cannot open the database '{}'", database.display()))?;
        let files = DirectoryStore::open(&self.path, limits.directory())
            .with_context(|| format!("cannot open the files in '{}'", self.path.display()))?;
        Ok(Stores { meta: Arc::new(meta), files: Arc::new(files) })
    }
}

/// Takes the directory for this process; two would not know of each other's changes.
fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path.join(LOCK));
    let file = file.with_context(|| format!("cannot write to '{}'", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Fatal::new(format!("The path '{}' is in use by another process.", path.display())).into())
        }
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the directory"),
    }
}

/// Refuses a directory that somebody else uses. One foreign file is tolerated (as in devpi), and what mounted disks
/// and secrets bring along.
fn check_empty(path: &Path) -> anyhow::Result<()> {
    let mut foreign = 0;
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name.to_str().is_none_or(|name| ![LOCK, SECRET, "lost+found"].contains(&name)) {
            foreign += 1;
        }
    }
    let leftovers = [DATABASE, "files"].iter().any(|name| path.join(name).exists());
    if foreign > 1 && !leftovers {
        let text = format!(
            "serverdir {} is non-empty and misses devpi-server meta information. You need to specify an empty \
             directory or a directory that was previously managed by devpi-server>=1.2",
            path.display()
        );
        return Err(Fatal::new(text).into());
    }
    Ok(())
}

/// Removes what an interrupted initialisation has left: a database without nodeinfo.
fn remove_leftovers(path: &Path) -> anyhow::Result<()> {
    for name in [DATABASE, "wheelhouse.sqlite-wal", "wheelhouse.sqlite-shm"] {
        match fs::remove_file(path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
