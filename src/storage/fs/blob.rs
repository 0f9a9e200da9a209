//! Contents on their way out of the store.

use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::descriptors::{OpenFile, Permit};
use crate::storage::StorageError;
use crate::storage::files::{LocalFile, StoredFile};

/// A content of a directory store, opened for reading.
pub(super) struct DirectoryFile {
    file: Arc<OpenFile>,
    size: u64,
}

impl DirectoryFile {
    /// Opens the file; `None` where there is none. Blocks.
    pub(super) fn open(path: &Path, permit: Permit) -> Result<Option<Self>, StorageError> {
        match OpenFile::open(path, permit) {
            Ok(file) => {
                let size = file.file().metadata().map_err(StorageError::of_reading)?.len();
                Ok(Some(Self { file: Arc::new(file), size }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StorageError::of_reading(error)),
        }
    }
}

#[async_trait]
impl StoredFile for DirectoryFile {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&mut self, range: Range<u64>) -> Result<Bytes, StorageError> {
        let file = Arc::clone(&self.file);
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        // Where it will be freed: allocators keep what other threads give back.
        let mut bytes = vec![0; length];
        spawn_blocking(move || {
            file.file().read_exact_at(&mut bytes, range.start).map_err(StorageError::of_reading)?;
            Ok(Bytes::from(bytes))
        })
        .await?
    }

    fn local_file(&self) -> Option<Arc<dyn LocalFile>> {
        Some(Arc::clone(&self.file) as Arc<dyn LocalFile>)
    }
}
