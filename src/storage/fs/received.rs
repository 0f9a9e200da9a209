//! Contents that have arrived and wait for a decision.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempPath;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::descriptors::OpenFile;
use super::lease::{DirectoryLease, Leases};
use super::{Layout, sync_directory};
use crate::pep::digest::FileDigests;
use crate::storage::StorageError;
use crate::storage::files::{Lease, LocalFile, ReceivedFile, References};

/// A content in the `incoming` directory.
pub(super) struct DirectoryReceivedFile {
    pub(super) layout: Arc<Layout>,
    pub(super) leases: Arc<Leases>,
    pub(super) file: Arc<OpenFile>,
    pub(super) path: TempPath,
    pub(super) digests: FileDigests,
    pub(super) size: u64,
}

#[async_trait]
impl ReceivedFile for DirectoryReceivedFile {
    fn digests(&self) -> &FileDigests {
        &self.digests
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn open(&self) -> Result<File, StorageError> {
        Ok(File::open(&self.path)?)
    }

    async fn keep(self: Box<Self>, references: &dyn References) -> Result<Box<dyn Lease>, StorageError> {
        let sha256 = self.digests.sha256;
        let layout = Arc::clone(&self.layout);
        let lease =
            Box::new(DirectoryLease::new(Arc::clone(&self.leases), Arc::clone(&layout), sha256).await);
        match spawn_blocking(move || (*self).keep_blocking()).await? {
            Ok(()) => Ok(lease),
            Err(error) => {
                if let Err(cause) = lease.discard(references).await {
                    warn!("a content that could not be kept stays until the next start: {cause}");
                }
                Err(error)
            }
        }
    }
}

impl DirectoryReceivedFile {
    fn keep_blocking(self) -> Result<(), StorageError> {
        let sha256 = self.digests.sha256;
        let target = self.layout.file(&sha256);
        File::create(self.layout.mark(&sha256))?;
        // Also over a content that is there already: it is the same, unless it was damaged, which this mends.
        self.file.file().sync_all()?;
        self.path.persist(&target).map_err(|error| error.error)?;
        Ok(sync_directory(&self.layout.shard(&sha256))?)
    }
}
