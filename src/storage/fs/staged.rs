//! Contents on their way into the store.

use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::lease::{DirectoryLease, Leases};
use super::{Layout, sync_directory};
use crate::pep::digest::{FileDigests, FileHasher};
use crate::storage::StorageError;
use crate::storage::files::{Lease, Piece, StagedFile};

/// Writes pieces to a temporary file and hashes them, until the end comes or the sender goes. Blocks.
pub(super) fn receive(
    layout: Arc<Layout>,
    leases: Arc<Leases>,
    mut pieces: mpsc::Receiver<Piece>,
) -> Result<Box<dyn StagedFile>, StorageError> {
    let mut temporary = NamedTempFile::new_in(layout.incoming())?;
    let mut hasher = FileHasher::default();
    let mut size = 0;
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Data(data)) => {
                temporary.write_all(&data)?;
                hasher.update(&data);
                size += data.len() as u64;
            }
            Some(Piece::End) => break,
            None => return Err(StorageError::Closed),
        }
    }
    Ok(Box::new(DirectoryStagedFile { layout, leases, temporary, digests: hasher.finish(), size }))
}

/// A content in the `incoming` directory.
struct DirectoryStagedFile {
    layout: Arc<Layout>,
    leases: Arc<Leases>,
    temporary: NamedTempFile,
    digests: FileDigests,
    size: u64,
}

#[async_trait]
impl StagedFile for DirectoryStagedFile {
    fn digests(&self) -> &FileDigests {
        &self.digests
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn open(&self) -> Result<File, StorageError> {
        Ok(self.temporary.reopen()?)
    }

    async fn keep(self: Box<Self>) -> Result<Box<dyn Lease>, StorageError> {
        let sha256 = self.digests.sha256;
        let layout = Arc::clone(&self.layout);
        let lease = DirectoryLease::new(Arc::clone(&self.leases), Arc::clone(&layout), sha256).await;
        spawn_blocking(move || (*self).keep_blocking()).await??;
        Ok(Box::new(lease))
    }
}

impl DirectoryStagedFile {
    fn keep_blocking(self) -> Result<(), StorageError> {
        let sha256 = self.digests.sha256;
        let target = self.layout.file(&sha256);
        File::create(self.layout.mark(&sha256))?;
        // A content that is in its place was synced before it came there.
        if target.try_exists()? {
            return Ok(());
        }
        self.temporary.as_file().sync_all()?;
        let shard = self.layout.shard(&sha256);
        if !shard.try_exists()? {
            fs::create_dir_all(&shard)?;
            sync_directory(&self.layout.files())?;
        }
        self.temporary.persist(&target).map_err(|error| error.error)?;
        Ok(sync_directory(&shard)?)
    }
}
