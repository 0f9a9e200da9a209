//! Stored files: finding and reading them (`server-api` section 17).

use super::registry::Registry;
use crate::pep::digest::Sha256;
use crate::pep::filename::could_be_distribution;
use crate::storage::StorageError;
use crate::storage::files::StoredFile;
use crate::storage::model::{FileState, IndexName, Link, StoredPath};

/// Why a file was not found.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such index, and never was a file of this path.
    #[error("The stage {0} could not be found.")]
    UnknownIndex(IndexName),
    /// There never was such a file.
    #[error("no such file")]
    Unknown,
    /// The file was deleted or replaced.
    #[error("file existed, deleted in later serial")]
    Deleted,
    /// The file has no core metadata to offer.
    #[error("no metadata found in {0}")]
    NoCoreMetadata(StoredPath),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Registry {
    /// The link at a path below `index`.
    pub async fn find_file(&self, index: &IndexName, path: &StoredPath) -> Result<Link, FileError> {
        let mut snapshot = self.meta.snapshot().await?;
        match snapshot.get_file(path).await? {
            FileState::Present(link) => Ok(link.value),
            FileState::Removed => Err(FileError::Deleted),
            // devpi looks for the index only if the name could be a distribution's: `fixtures/sequences`.
            FileState::Unknown
                if could_be_distribution(path.file_name()) && snapshot.get_index(index).await?.is_none() =>
            {
                Err(FileError::UnknownIndex(index.clone()))
            }
            FileState::Unknown => Err(FileError::Unknown),
        }
    }

    /// Opens the content of a link.
    pub async fn open_content(&self, link: &Link) -> Result<Box<dyn StoredFile>, FileError> {
        let damaged = |what| StorageError::Damaged(format!("the content of {} {what}", link.path));
        let file = self.files.open(&link.sha256).await?.ok_or_else(|| damaged("is missing"))?;
        if file.size() != link.size {
            return Err(damaged("has not the size that was stored").into());
        }
        Ok(file)
    }

    /// The bytes of a core metadata document.
    pub async fn get_core_metadata(&self, sha256: &Sha256) -> Result<Option<Vec<u8>>, StorageError> {
        self.meta.snapshot().await?.get_document(sha256).await
    }
}
