//! How many files are open at once.
//!
//! A process may have so many descriptors, which files share with connections. A file that waits for one comes later; a file
//! that cannot be opened would be an error.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::storage::StorageError;
use crate::storage::files::LocalFile;

/// The descriptors of a store.
pub(super) struct Descriptors(Arc<Semaphore>);

/// The right to one of them.
pub(super) type Permit = OwnedSemaphorePermit;

impl Descriptors {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Waits for one.
    pub(super) async fn acquire(&self) -> Result<Permit, StorageError> {
        Arc::clone(&self.0).acquire_owned().await.map_err(|_| StorageError::Closed)
    }
}

/// A file, as long as it is open.
pub(super) struct OpenFile {
    file: File,
    _permit: Permit,
}

impl OpenFile {
    /// Opens a file for reading. Blocks.
    pub(super) fn open(path: &Path, permit: Permit) -> std::io::Result<Self> {
        Ok(Self::new(File::open(path)?, permit))
    }

    pub(super) fn new(file: File, permit: Permit) -> Self {
        Self { file, _permit: permit }
    }
}

impl LocalFile for OpenFile {
    fn file(&self) -> &File {
        &self.file
    }
}
