//! Stored files: finding and reading them (`server-api` section 17).

use std::sync::Arc;

use super::mirror_view::{FileOrigin, UpstreamFile};
use super::registry::Registry;
use crate::mirror::{FetchError, UpstreamError};
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
    /// The upstream of a mirror has withdrawn the project.
    #[error("project {0} is quarantined")]
    Quarantined(String),
    /// The file is that of a mirror, and cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The upstream of a mirror does not say whether there is such a file.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A file that was found.
#[derive(Debug)]
pub enum FoundFile {
    /// Its content is here.
    Here(Box<FileView>),
    /// It is that of a mirror, and still at the upstream.
    Upstream(Box<UpstreamFile>),
}

/// A file whose content is here.
#[derive(Clone, Debug)]
pub struct FileView {
    /// The link; for a file of a mirror, one that says what is known of it.
    pub link: Link,
    /// What is to be said besides of a file of a mirror.
    pub origin: Option<FileOrigin>,
}

impl Registry {
    /// What is at a path below `index`.
    pub async fn find_file(
        self: &Arc<Self>,
        index: &IndexName,
        path: &StoredPath,
    ) -> Result<FoundFile, FileError> {
        let mut snapshot = self.meta.snapshot().await?;
        let was_removed = match snapshot.get_file(path).await? {
            FileState::Present(link) => {
                let view = FileView { link: link.value, origin: None };
                return Ok(FoundFile::Here(Box::new(view)));
            }
            FileState::Removed => true,
            FileState::Unknown => false,
        };
        match snapshot.get_index(index).await? {
            // A mirror may have what the stage had that was of its name before.
            Some(settings) => {
                drop(snapshot);
                match self.find_upstream_file(index, settings, path).await {
                    Err(FileError::Unknown) if was_removed => Err(FileError::Deleted),
                    found => found,
                }
            }
            None if was_removed || snapshot.was_fetched(path).await? => Err(FileError::Deleted),
            // devpi looks for the index only if the name could be a distribution's: `fixtures/sequences`.
            None if could_be_distribution(path.file_name()) => Err(FileError::UnknownIndex(index.clone())),
            None => Err(FileError::Unknown),
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

    /// Where the content of a link lies below the directory `files` of the store.
    pub fn content_path(&self, link: &Link) -> String {
        self.files.path_below(&link.sha256)
    }

    /// The bytes of a core metadata document.
    pub async fn get_core_metadata(&self, sha256: &Sha256) -> Result<Option<Vec<u8>>, StorageError> {
        self.meta.snapshot().await?.get_document(sha256).await
    }
}
