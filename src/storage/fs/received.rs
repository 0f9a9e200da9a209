//! Contents that have arrived and wait for a decision.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::descriptors::OpenFile;
use super::lease::{DirectoryLease, Leases};
use super::unkept::Unkept;
use super::{Layout, local, sync_directory};
use crate::blocking;
use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::files::{Lease, LocalFile, ReceivedFile, References};

/// A content in the `incoming` directory.
pub(super) struct DirectoryReceivedFile {
    pub(super) layout: Arc<Layout>,
    pub(super) leases: Arc<Leases>,
    pub(super) file: Arc<OpenFile>,
    /// Dropped after the file.
    pub(super) path: Unkept,
    pub(super) sha256: Sha256,
    pub(super) size: u64,
}

#[async_trait]
impl ReceivedFile for DirectoryReceivedFile {
    fn sha256(&self) -> Sha256 {
        self.sha256
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn open(&self) -> Result<File, StorageError> {
        Ok(File::open(self.path.path())?)
    }

    async fn keep(self: Box<Self>, references: &dyn References) -> Result<Box<dyn Lease>, StorageError> {
        let sha256 = self.sha256;
        let layout = Arc::clone(&self.layout);
        let lease =
            Box::new(DirectoryLease::new(Arc::clone(&self.leases), Arc::clone(&layout), sha256).await);
        // What is named already must be safe before it is seen, even if it was lost; so must what may be named.
        let named = references.is_referenced(&sha256).await.unwrap_or(true);
        match self.place_and_sync(named).await {
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
    async fn place_and_sync(self: Box<Self>, named: bool) -> Result<(), StorageError> {
        let (shard, file) = (self.layout.shard(&self.sha256), Arc::clone(&self.file));
        let again = Arc::clone(&file);
        // At the same time, as each waits for the disk.
        let content = spawn_blocking(move || file.file().sync_all());
        let name = blocking::run(move || {
            self.place(named)?;
            Ok::<_, StorageError>(sync_directory(&shard)?)
        });
        let name = name.await?;
        match content.await {
            // The threads are gone, as the server stops; this one is not.
            Err(gone) if gone.is_cancelled() => blocking::run(move || again.file().sync_all()).await??,
            content => content??,
        }
        name
    }

    /// Marks the content and gives it its name, which need not be safe yet unless it is `named`: the mark stands for it.
    fn place(self, named: bool) -> Result<(), StorageError> {
        let Self { layout, file, path, sha256, .. } = self;
        let (target, path) = (layout.file(&sha256), path.into_temp_path()?);
        mark(&layout.mark(&sha256), &path)?;
        let path = if named {
            path
        } else {
            match path.persist_noclobber(&target) {
                Ok(()) => return Ok(()),
                Err(error) => error.path,
            }
        };
        // Over what is there: it is the same, unless it was damaged, which this mends.
        file.file().sync_all()?;
        Ok(path.persist(&target).map_err(|error| error.error)?)
    }
}

/// Makes the mark of a content. A second name costs less than an empty file, which would be made and removed with each
/// upload.
fn mark(mark: &Path, content: &Path) -> std::io::Result<()> {
    if local::link(content, mark)? {
        return Ok(());
    }
    match File::create_new(mark) {
        // It may be a name of what is there, which must not be emptied.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
