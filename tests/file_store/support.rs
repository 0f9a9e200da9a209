//! Where stores are opened, what is known of references, and short ways to keep contents.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use wheelhouse::pep::digest::Sha256;
use wheelhouse::storage::StorageError;
use wheelhouse::storage::files::{AllNamed, FileStore, Lease, ReceivedFile, References};
use wheelhouse::storage::fs::{DirectoryLimits, DirectoryStore};

/// A place where one store lives, which can be opened again and again.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// Opens the store.
    async fn open(&self) -> Arc<dyn FileStore>;

    /// How many contents there are, read or not.
    fn count_contents(&self) -> usize;

    /// How many contents are arriving, or were when somebody lost interest.
    fn count_arriving(&self) -> usize;
}

/// The place of a directory store.
pub(crate) struct DirectoryPlace(TempDir);

impl DirectoryPlace {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A path in the directory.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }
}

#[async_trait]
impl Place for DirectoryPlace {
    async fn open(&self) -> Arc<dyn FileStore> {
        Arc::new(DirectoryStore::open(self.0.path(), DirectoryLimits::default()).unwrap())
    }

    fn count_contents(&self) -> usize {
        count_files(&self.path("files"))
    }

    fn count_arriving(&self) -> usize {
        count_files(&self.path("incoming"))
    }
}

/// How many files lie in a directory and below.
pub(crate) fn count_files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}

/// References that a test sets, and the questions that it is asked.
#[derive(Default)]
pub(crate) struct Known {
    referenced: HashSet<Sha256>,
    asked: Mutex<Vec<Sha256>>,
}

impl Known {
    /// Knows these contents.
    pub(crate) fn new(contents: &[&str]) -> Self {
        let referenced = contents.iter().map(|content| Sha256::of(content.as_bytes())).collect();
        Self { referenced, ..Self::default() }
    }

    /// About which contents it was asked, in ascending order.
    pub(crate) fn asked(&self) -> Vec<Sha256> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }
}

#[async_trait]
impl References for Known {
    async fn is_referenced(&self, sha256: &Sha256) -> Result<bool, StorageError> {
        self.asked.lock().unwrap().push(*sha256);
        Ok(self.referenced.contains(sha256))
    }
}

/// References of a store that does not answer.
pub(crate) struct Failing;

#[async_trait]
impl References for Failing {
    async fn is_referenced(&self, _: &Sha256) -> Result<bool, StorageError> {
        Err(StorageError::Closed)
    }
}

/// Stages a content in one piece.
pub(crate) async fn receive(store: &dyn FileStore, content: &str) -> Box<dyn ReceivedFile> {
    let mut incoming = store.receive().await.unwrap();
    incoming.write(Bytes::copy_from_slice(content.as_bytes())).await.unwrap();
    incoming.finish().await.unwrap()
}

/// Stages and keeps a content.
pub(crate) async fn keep(store: &dyn FileStore, content: &str) -> Box<dyn Lease> {
    receive(store, content).await.keep(&AllNamed).await.unwrap()
}

/// The whole content, if it is there.
pub(crate) async fn read(store: &dyn FileStore, content: &str) -> Option<String> {
    let mut file = store.open(&Sha256::of(content.as_bytes())).await.unwrap()?;
    let size = file.size();
    Some(String::from_utf8(file.read(0..size).await.unwrap().to_vec()).unwrap())
}

/// The content is there, and whole.
pub(crate) async fn assert_there(store: &dyn FileStore, content: &str) {
    assert_eq!(read(store, content).await.as_deref(), Some(content));
}

/// The content is not there.
pub(crate) async fn assert_gone(store: &dyn FileStore, content: &str) {
    assert_eq!(read(store, content).await, None, "{content} is still there");
}
