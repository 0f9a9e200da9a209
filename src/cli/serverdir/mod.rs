//! The directory with all data of a server.
//!
//! ```text
//! .nodeinfo           uuid and role, as devpi keeps them
//! takeover.json       which state of devpi-server was taken over, while that still lies beside ours
//! backup.json         of which server this is a backup, until a server works on it
//! .lock               held while a process works on the directory
//! .secret             secret of the login tokens, where `--init` made one
//! wheelhouse.sqlite   metadata
//! files/ …            contents (see storage::fs)
//! ```

mod copy;
mod node;
mod unfinished;

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;
use tokio::runtime::Handle;
use tracing::warn;

use self::unfinished::{UNFINISHED_DATABASE, make_database};
use super::console::Fatal;
use crate::clock::Clock;
use crate::config::{LimitOptions, StorageOptions};
use crate::domain::Registry;
use crate::domain::acl::AccessPolicy;
use crate::domain::stale::StaleObserver;
use crate::dump::serverdir::{DATABASE as OLD_DATABASE, DATABASE_WITH_FILES, VERSION_FILE, is_old};
use crate::mirror::{MirrorOptions, Mirrors};
use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::files::FileStore;
use crate::storage::fs::DirectoryStore;
use crate::storage::meta::{MetaStore, Snapshot};
use crate::storage::sqlite::{DatabaseFault, SqliteReader, SqliteStore};

pub(super) use copy::BackupDir;
pub(super) use node::{NODEINFO, NodeInfo, check_role, read_node};

const LOCK: &str = ".lock";
pub(super) const SECRET: &str = ".secret";
const DATABASE: &str = "wheelhouse.sqlite";

/// How the names of small files begin while they are written.
const TEMPORARY: &str = ".unfinished-";

/// Where contents are.
const CONTENTS: [&str; 3] = ["files", "incoming", "unconfirmed"];

/// A directory with data that is only read, whether or not a server works on it.
pub(super) struct Reading {
    meta: SqliteReader,
    files: DirectoryStore,
}

impl Reading {
    /// Opens a directory with data. Blocks.
    pub(super) fn open(path: &Path, limits: &LimitOptions) -> anyhow::Result<Self> {
        check_present(path)?;
        Self::open_database(path, &path.join(DATABASE), limits)
    }

    fn open_database(path: &Path, database: &Path, limits: &LimitOptions) -> anyhow::Result<Self> {
        let meta = SqliteReader::open(database, limits.sqlite())
            .with_context(|| format!("cannot open the database '{}'", database.display()))?;
        Ok(Self { meta, files: DirectoryStore::attach(path, limits.directory()) })
    }

    /// All metadata at one serial.
    pub(super) async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.meta.snapshot().await
    }

    /// Writes a copy of the database into a new file.
    pub(super) async fn copy_database(&self, path: &Path) -> Result<(), StorageError> {
        self.meta.copy_to(path).await
    }

    /// What is wrong with the database, by its own means.
    pub(super) async fn check_database(&self) -> Result<Vec<DatabaseFault>, StorageError> {
        self.meta.check().await
    }

    /// The contents.
    pub(super) fn files(&self) -> &dyn FileStore {
        &self.files
    }
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

/// Whether there are data of ours in the directory.
pub(super) fn has_database(path: &Path) -> bool {
    path.join(DATABASE).exists()
}

/// Whether there is data in the directory, ours or devpi-server's. The database decides: it comes into its place when it is
/// complete. A `.nodeinfo` alone is left by a start that was killed before that, and by whoever removes all but hidden
/// files; with contents beside it, the database was lost.
pub(super) fn is_initialised(path: &Path) -> bool {
    let names = [DATABASE, VERSION_FILE, OLD_DATABASE, DATABASE_WITH_FILES];
    names.iter().any(|name| path.join(name).exists())
        || (path.join(NODEINFO).exists() && DirectoryStore::has_contents(path))
}

impl ServerDir {
    /// Makes a new directory for `fill` to put data into. It must be absent or as good as empty.
    pub(super) async fn create(
        path: &Path,
        limits: &LimitOptions,
        fill: impl AsyncFnOnce(Stores) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        check_absent(path)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot create '{}'", path.display()))?;
        check_empty(path)?;
        let _lock = lock(path)?;
        // Again, now that nobody else can be doing the same.
        check_absent(path)?;
        remove_if_there(&path.join(NODEINFO))?;
        let new: Vec<PathBuf> =
            CONTENTS.iter().map(|name| path.join(name)).filter(|path| !path.exists()).collect();
        let made = make_database(path, limits, fill).await;
        if made.is_err() {
            // What is left of an attempt that failed would only be in the way of the next one.
            let mut directories = new.iter().filter(|directory| directory.exists());
            let removed = directories.try_for_each(fs::remove_dir_all);
            if let Err(error) = removed.and_then(|()| remove_if_there(&path.join(LOCK))) {
                warn!("cannot remove what is left in '{}': {error}", path.display());
            }
        }
        made
    }

    /// Makes the data of a directory in which there is something else that `fill` makes them of.
    pub(super) async fn convert(
        path: &Path,
        limits: &LimitOptions,
        fill: impl AsyncFnOnce(Stores) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let _lock = lock(path)?;
        check_absent(path)?;
        make_database(path, limits, fill).await
    }

    /// Opens a directory with data.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        check_present(path)?;
        let lock = lock(path)?;
        let node = node::settle(path)?;
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

    /// Repairs the database by its own means, before it is opened, and says what was done. Blocks.
    pub(super) fn repair_database(&self) -> Result<Vec<String>, StorageError> {
        SqliteStore::repair(&self.path.join(DATABASE), Clock::system().now())
    }

    /// Forgets documents that are damaged, and that others are missing, while the database is not open. Blocks.
    pub(super) fn forget_documents(&self, documents: &[Sha256]) -> Result<usize, StorageError> {
        SqliteStore::forget_documents(&self.path.join(DATABASE), documents)
    }

    /// Opens the stores. Blocks.
    pub(super) fn open_stores(&self, limits: &LimitOptions) -> anyhow::Result<Stores> {
        open_stores(&self.path, &self.path.join(DATABASE), limits)
    }
}

impl Stores {
    /// The rules over these stores, with mirrors whose requests run on `runtime`.
    pub(super) async fn registry(
        self,
        policy: AccessPolicy,
        limits: &LimitOptions,
        mirrors: MirrorOptions,
        runtime: Handle,
        observers: Vec<Arc<dyn StaleObserver>>,
    ) -> Result<Registry, StorageError> {
        let (clock, limits) = (Clock::system(), limits.registry());
        let mirrors = Mirrors::new(Arc::clone(&self.meta), Arc::clone(&self.files), clock, mirrors, runtime);
        Registry::open(self.meta, self.files, Arc::new(mirrors), policy, clock, limits, observers).await
    }

    /// The rules over these stores, for programs that change something and end.
    pub(super) async fn registry_for_tool(self, limits: &LimitOptions) -> Result<Registry, StorageError> {
        let (mirrors, runtime) =
            (MirrorOptions { offline: true, ..MirrorOptions::default() }, Handle::current());
        self.registry(AccessPolicy::default(), limits, mirrors, runtime, Vec::new()).await
    }
}

fn open_stores(path: &Path, database: &Path, limits: &LimitOptions) -> anyhow::Result<Stores> {
    let meta = SqliteStore::open(database, limits.sqlite())
        .with_context(|| format!("cannot open the database '{}'", database.display()))?;
    let files = DirectoryStore::open(path, limits.directory())
        .with_context(|| format!("cannot open the files in '{}'", path.display()))?;
    Ok(Stores { meta: Arc::new(meta), files: Arc::new(files) })
}

/// A new small file in a directory, under a name that goes with the process or is swept later.
pub(super) fn small_file(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(path)
}

/// Removes what processes that died have left of small files.
fn sweep_small_files(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) && entry.file_type()?.is_file() {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

/// Writes a small file in a directory, whole or not at all.
pub(super) fn write_json(path: &Path, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
    let mut file = small_file(path)?;
    serde_json::to_writer(&mut file, value)?;
    file.as_file().sync_all()?;
    file.persist(path.join(name))?;
    Ok(File::open(path)?.sync_all()?)
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

/// Refuses a directory without data, and says what it may lack.
fn check_present(path: &Path) -> Result<(), Fatal> {
    let shown = path.display();
    if path.join(DATABASE).exists() {
        return Ok(());
    }
    check_initialised(path)?;
    if is_old(path) {
        let text = format!(
            "The path '{shown}' contains data of the Python devpi-server, which devpi-server takes over when it starts."
        );
        return Err(Fatal::new(text));
    }
    if [OLD_DATABASE, DATABASE_WITH_FILES].iter().any(|name| path.join(name).exists()) {
        return Err(not_ours(path));
    }
    Err(Fatal::new(format!("No sqlite storage found in {shown}.")))
}

/// Refuses a directory without any data, ours or devpi-server's.
pub(super) fn check_initialised(path: &Path) -> Result<(), Fatal> {
    if is_initialised(path) {
        return Ok(());
    }
    let shown = path.display();
    Err(Fatal::new(format!(
        "The path '{shown}' contains no devpi-server data, use devpi-init to initialize."
    )))
}

/// Refuses a directory with data.
pub(super) fn check_absent(path: &Path) -> Result<(), Fatal> {
    if path.join(DATABASE).exists() {
        // As devpi, which shows the path as Python does.
        let text = format!("The path PosixPath('{}') already contains devpi-server data.", path.display());
        return Err(Fatal::new(text));
    }
    Ok(())
}

/// Refuses a directory that somebody else uses. One foreign file is tolerated (as in devpi).
fn check_empty(path: &Path) -> anyhow::Result<()> {
    if count_foreign(path)? > 1 || is_old(path) {
        return Err(not_ours(path).into());
    }
    Ok(())
}

/// Whether there is nothing in a directory but what mounted disks bring along, and what is left of small files.
pub(super) fn is_empty(path: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name != "lost+found" && !name.to_string_lossy().starts_with(TEMPORARY) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many files there are beside what mounted disks, secrets and interrupted initialisations bring along.
fn count_foreign(path: &Path) -> std::io::Result<usize> {
    let tolerated = [LOCK, SECRET, NODEINFO, "lost+found"];
    let mut foreign = 0;
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let is_leftover = CONTENTS.contains(&name.as_ref()) || name.starts_with(UNFINISHED_DATABASE);
        if !tolerated.contains(&name.as_ref()) && !is_leftover {
            foreign += 1;
        }
    }
    Ok(foreign)
}

/// The directory is somebody else's, as far as can be told.
fn not_ours(path: &Path) -> Fatal {
    Fatal::new(format!(
        "serverdir {} is non-empty and misses devpi-server meta information. You need to specify an empty directory \
         or a directory that was previously managed by devpi-server>=1.2",
        path.display()
    ))
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
