//! Contents that are arriving.
//!
//! An upload may last for minutes, so it must not occupy a thread: pieces are gathered, and a thread is borrowed for
//! as long as it takes to write and hash what was gathered. Meanwhile the next pieces may arrive.

use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::task::{JoinHandle, spawn_blocking};

use super::Layout;
use super::lease::Leases;
use super::staged::DirectoryStagedFile;
use crate::pep::digest::FileHasher;
use crate::storage::StorageError;
use crate::storage::files::{IncomingFile, StagedFile};

/// An [`IncomingFile`] of a directory store.
pub(super) struct DirectoryIncomingFile {
    layout: Arc<Layout>,
    leases: Arc<Leases>,
    /// How many bytes are gathered before they are written.
    buffer: usize,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    /// The write under way; it owns the file meanwhile.
    writing: JoinHandle<Result<Written, StorageError>>,
}

/// The file as far as it is written.
struct Written {
    temporary: NamedTempFile,
    hasher: FileHasher,
    size: u64,
}

impl DirectoryIncomingFile {
    pub(super) async fn create(
        layout: Arc<Layout>,
        leases: Arc<Leases>,
        buffer: usize,
    ) -> Result<Self, StorageError> {
        let directory = layout.incoming();
        let written = spawn_blocking(move || {
            let temporary = NamedTempFile::new_in(directory)?;
            Ok::<_, StorageError>(Written { temporary, hasher: FileHasher::default(), size: 0 })
        });
        // Waited for here already, so that a full disk is told before the client has sent its file.
        let written = written.await??;
        let writing = spawn_blocking(|| Ok(written));
        Ok(Self { layout, leases, buffer, gathered: Vec::new(), gathered_bytes: 0, writing })
    }

    /// Starts to write what was gathered, when the write before it is done.
    async fn flush(&mut self) -> Result<(), StorageError> {
        let mut written = (&mut self.writing).await??;
        let pieces = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        self.writing = spawn_blocking(move || {
            for piece in pieces {
                written.temporary.write_all(&piece)?;
                written.hasher.update(&piece);
                written.size += piece.len() as u64;
            }
            Ok(written)
        });
        Ok(())
    }
}

#[async_trait]
impl IncomingFile for DirectoryIncomingFile {
    async fn write(&mut self, piece: Bytes) -> Result<(), StorageError> {
        self.gathered_bytes += piece.len();
        self.gathered.push(piece);
        if self.gathered_bytes < self.buffer {
            return Ok(());
        }
        self.flush().await
    }

    async fn finish(mut self: Box<Self>) -> Result<Box<dyn StagedFile>, StorageError> {
        self.flush().await?;
        let Written { temporary, hasher, size } = self.writing.await??;
        let (layout, leases) = (self.layout, self.leases);
        Ok(Box::new(DirectoryStagedFile { layout, leases, temporary, digests: hasher.finish(), size }))
    }
}
