//! A file store in a directory.
//!
//! ```text
//! files/ab/ab12…      contents, by SHA-256
//! incoming/           contents that are still arriving; emptied at the start
//! unconfirmed/ab12…   marks, which are second names of contents: kept, but not known to be named by a commit
//! damaged/ab12…       contents that have not their hash any more, taken out by a repair
//! ```
//!
//! A content is written to `incoming`, marked, renamed to its place, and synced with its name. The mark goes when the
//! commit is made. Nothing is ever changed in place, so a content in `files` is always whole, unless it is marked.

mod blob;
mod descriptors;
mod incoming;
mod lease;
mod local;
mod received;
mod unkept;

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::spawn_blocking;

use self::blob::DirectoryFile;
use self::descriptors::Descriptors;
use self::incoming::{Buffers, DirectoryIncomingFile};
use self::lease::Leases;
use super::StorageError;
use super::files::{FileStore, IncomingFile, References, StoredFile, Transfer};
use crate::pep::digest::Sha256;

/// How many digits of a hash name the directory of a content.
const SHARD: usize = 2;

/// A [`FileStore`] in a directory of the local file system.
pub struct DirectoryStore {
    layout: Arc<Layout>,
    leases: Arc<Leases>,
    descriptors: Descriptors,
    buffers: Buffers,
}

/// Bounds of a [`DirectoryStore`].
#[derive(Clone, Copy, Debug)]
pub struct DirectoryLimits {
    /// How many bytes of an arriving file are written to disk at once; of a few long ones it may be more.
    pub write_buffer: usize,
    /// How many contents may be arriving or being read at once; further ones wait.
    pub open_files: usize,
}

impl Default for DirectoryLimits {
    fn default() -> Self {
        Self { write_buffer: 64 * 1024, open_files: 8192 }
    }
}

impl DirectoryStore {
    /// Opens the store below `directory`, which is created where it is missing. Blocks.
    ///
    /// Contents that were arriving when the last process ended are thrown away.
    pub fn open(directory: &Path, limits: DirectoryLimits) -> Result<Self, StorageError> {
        let layout = Layout { root: directory.to_owned() };
        // All shards exist from the start, so that no upload has to make one durable.
        for number in 0..=u8::MAX {
            fs::create_dir_all(layout.files().join(format!("{number:02x}")))?;
        }
        sync_directory(&layout.files())?;
        fs::create_dir_all(layout.unconfirmed())?;
        match fs::remove_dir_all(layout.incoming()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(layout.incoming())?,
        }
        sync_directory(directory)?;
        Ok(Self::new(layout, limits))
    }

    fn new(layout: Layout, limits: DirectoryLimits) -> Self {
        Self {
            layout: Arc::new(layout),
            leases: Arc::default(),
            descriptors: Descriptors::new(limits.open_files),
            buffers: Buffers::new(limits.write_buffer),
        }
    }

    /// A store that is only read, and that another process may be working on.
    pub fn attach(directory: &Path, limits: DirectoryLimits) -> Self {
        let layout = Layout { root: directory.to_owned() };
        Self::new(layout, limits)
    }

    /// Whether there are contents below `directory`, or what is there cannot be read. Blocks.
    pub fn has_contents(directory: &Path) -> bool {
        let layout = Layout { root: directory.to_owned() };
        (0..=u8::MAX).any(|first| !layout.list(first).is_ok_and(|found| found.is_empty()))
    }
}

#[async_trait]
impl FileStore for DirectoryStore {
    async fn receive(&self) -> Result<Box<dyn IncomingFile>, StorageError> {
        let (layout, leases) = (Arc::clone(&self.layout), Arc::clone(&self.leases));
        let permit = self.descriptors.acquire().await?;
        Ok(Box::new(DirectoryIncomingFile::new(layout, leases, permit, self.buffers.clone())))
    }

    async fn open(&self, sha256: &Sha256) -> Result<Option<Box<dyn StoredFile>>, StorageError> {
        let path = self.layout.file(sha256);
        let permit = self.descriptors.acquire().await?;
        let file = spawn_blocking(move || DirectoryFile::open(&path, permit)).await??;
        Ok(file.map(|file| Box::new(file) as Box<dyn StoredFile>))
    }

    async fn take_local(&self, source: &Path, sha256: &Sha256, way: Transfer) -> Result<(), StorageError> {
        let (layout, source, sha256) = (Arc::clone(&self.layout), source.to_owned(), *sha256);
        spawn_blocking(move || local::take(&layout, &source, &sha256, way)).await?
    }

    async fn give_local(&self, sha256: &Sha256, target: &Path, way: Transfer) -> Result<bool, StorageError> {
        let (source, target) = (self.layout.file(sha256), target.to_owned());
        spawn_blocking(move || Ok(local::give(&source, &target, way)?)).await?
    }

    fn path_below(&self, sha256: &Sha256) -> String {
        let name = sha256.to_string();
        format!("{}/{name}", &name[..SHARD])
    }

    fn local_path(&self, sha256: &Sha256) -> PathBuf {
        self.layout.file(sha256)
    }

    async fn list(&self, first: u8) -> Result<Vec<(Sha256, u64)>, StorageError> {
        let layout = Arc::clone(&self.layout);
        spawn_blocking(move || layout.list(first)).await?
    }

    async fn remove(&self, sha256: &Sha256) -> Result<bool, StorageError> {
        let path = self.layout.file(sha256);
        spawn_blocking(move || Ok(remove_if_there(&path)?)).await?
    }

    async fn set_aside(&self, sha256: &Sha256) -> Result<PathBuf, StorageError> {
        let (layout, sha256) = (Arc::clone(&self.layout), *sha256);
        spawn_blocking(move || layout.set_aside(&sha256)).await?
    }

    async fn sync(&self) -> Result<(), StorageError> {
        let layout = Arc::clone(&self.layout);
        spawn_blocking(move || Ok(local::sync(&layout)?)).await?
    }

    async fn settle(&self, references: &dyn References) -> Result<usize, StorageError> {
        let layout = Arc::clone(&self.layout);
        let marked = spawn_blocking(move || layout.list_marked()).await??;
        let mut removed = 0;
        for sha256 in marked {
            let referenced = references.is_referenced(&sha256).await?;
            let layout = Arc::clone(&self.layout);
            spawn_blocking(move || layout.settle(&sha256, referenced)).await??;
            removed += usize::from(!referenced);
        }
        Ok(removed)
    }
}

/// Where things are in the directory. All methods that touch the disk block.
struct Layout {
    root: PathBuf,
}

impl Layout {
    fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    fn unconfirmed(&self) -> PathBuf {
        self.root.join("unconfirmed")
    }

    fn shard(&self, sha256: &Sha256) -> PathBuf {
        self.files().join(&sha256.to_string()[..SHARD])
    }

    fn file(&self, sha256: &Sha256) -> PathBuf {
        self.shard(sha256).join(sha256.to_string())
    }

    fn mark(&self, sha256: &Sha256) -> PathBuf {
        self.unconfirmed().join(sha256.to_string())
    }

    fn list(&self, first: u8) -> Result<Vec<(Sha256, u64)>, StorageError> {
        let mut listed = Vec::new();
        // Before the marks: what is listed, and has no mark when they are read, is confirmed.
        let entries = match fs::read_dir(self.files().join(format!("{first:02x}"))) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(listed),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let Some(sha256) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Ok(found) = entry.metadata() {
                listed.push((sha256, found.len()));
            }
        }
        let marked = self.list_marked()?;
        listed.retain(|(sha256, _)| !marked.contains(sha256));
        Ok(listed)
    }

    fn set_aside(&self, sha256: &Sha256) -> Result<PathBuf, StorageError> {
        let directory = self.root.join("damaged");
        fs::create_dir_all(&directory)?;
        let target = directory.join(sha256.to_string());
        fs::rename(self.file(sha256), &target)?;
        sync_directory(&directory)?;
        Ok(target)
    }

    fn list_marked(&self) -> Result<HashSet<Sha256>, StorageError> {
        let mut marked = HashSet::new();
        let entries = match fs::read_dir(self.unconfirmed()) {
            // Not every way to copy a directory takes empty ones along.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(marked),
            entries => entries?,
        };
        for entry in entries {
            // Whatever else lies there is not ours to judge.
            if let Some(sha256) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
                marked.insert(sha256);
            }
        }
        Ok(marked)
    }

    /// Takes the mark away, and before it the content unless something names it.
    fn settle(&self, sha256: &Sha256, referenced: bool) -> Result<(), StorageError> {
        if !referenced {
            remove_if_there(&self.file(sha256))?;
        }
        remove_if_there(&self.mark(sha256))?;
        Ok(())
    }
}

/// Removes a file. Whether it was there; a directory in its place is none of ours.
fn remove_if_there(path: &Path) -> std::io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the names in a directory durable.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    fs::File::open(path)?.sync_all()
}
