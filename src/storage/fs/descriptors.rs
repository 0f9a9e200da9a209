//! How many files are open at once.
//!
//! A process may have so many descriptors, which files share with connections. A file that waits for one comes later; a file
//! that cannot be opened would be an error.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::storage::StorageError;
use crate::storage::files::LocalFile;

/// How long is waited for a descriptor.
const WAIT: Duration = Duration::from_secs(30);

/// Some work needs two at once.
const LEAST: usize = 2;

/// The descriptors of a store.
pub(super) struct Descriptors(Arc<Semaphore>);

/// The right to one of them.
pub(super) type Permit = OwnedSemaphorePermit;

impl Descriptors {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.clamp(LEAST, Semaphore::MAX_PERMITS))))
    }

    /// Waits for one, but not for ever: others may read very slowly.
    pub(super) async fn acquire(&self) -> Result<Permit, StorageError> {
        let permit = timeout(WAIT, Arc::clone(&self.0).acquire_owned()).await;
        let permit = permit.map_err(|_| StorageError::Busy("too many files are open".into()))?;
        permit.map_err(|_| StorageError::Closed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let descriptors = Descriptors::new(LEAST);
        let held = [descriptors.acquire().await.unwrap(), descriptors.acquire().await.unwrap()];
        assert!(matches!(descriptors.acquire().await, Err(StorageError::Busy(_))));
        drop(held);
        assert!(descriptors.acquire().await.is_ok());
    }
}
