//! Contents that are arriving.
//!
//! An upload may last for minutes, so it must not occupy a thread: pieces are gathered, and a thread is borrowed for
//! as long as it takes to write and hash what was gathered. Meanwhile as much may be gathered again; what arrives then
//! waits in the buffers of the connection. A content that is gathered as a whole before it ends becomes a file only then,
//! so that one thread does all that it needs.

use std::io::Write;
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{Advice, fadvise};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};

use super::Layout;
use super::descriptors::{OpenFile, Permit};
use super::lease::Leases;
use super::received::DirectoryReceivedFile;
use super::unkept::Unkept;
use crate::blocking;
use crate::pep::digest::Sha256Hasher;
use crate::storage::StorageError;
use crate::storage::files::{ArrivingFile, IncomingFile, LocalFile, ReceivedFile};

/// How much of a large file is written until the disk is asked to begin with it, in bytes. Else the system would begin
/// when the file is synced, and the client wait for all of it.
const WRITE_BACK_BYTES: u64 = 4 * 1024 * 1024;

/// How much of a long file is gathered before it is written, in bytes, once it has become as long as that. Of small pieces
/// the changes between threads take as long as all else.
const LONG_BUFFER: usize = 1024 * 1024;

/// Of how many files at once that much may be gathered, and as much again be written meanwhile. Of further ones it is less,
/// so that many long uploads take little more memory than short ones.
const LONG_BUFFERS: usize = 16;

/// How much of each file may be gathered.
#[derive(Clone)]
pub(super) struct Buffers {
    usual: usize,
    long: Arc<Semaphore>,
}

impl Buffers {
    /// `usual` bytes of any file, more of a few long ones.
    pub(super) fn new(usual: usize) -> Self {
        Self { usual: usual.max(1), long: Arc::new(Semaphore::new(LONG_BUFFERS)) }
    }
}

/// An [`IncomingFile`] of a directory store.
pub(super) struct DirectoryIncomingFile {
    layout: Arc<Layout>,
    leases: Arc<Leases>,
    buffers: Buffers,
    /// The right to gather as much as of a long file.
    long: Option<OwnedSemaphorePermit>,
    /// Somebody reads what arrives, and is not to wait until much has been gathered.
    is_followed: bool,
    /// What is to be written next. It is copied, as small pieces may be parts of large buffers.
    gathered: Vec<u8>,
    file: FileState,
    /// How much is written.
    written: Arc<AtomicU64>,
}

enum FileState {
    Idle(Target),
    /// A write is under way and owns the file meanwhile.
    Writing(JoinHandle<Result<Box<Written>, StorageError>>),
    /// A write has failed.
    Broken,
}

/// Where to write next.
enum Target {
    /// A file that is still to be made, in a directory.
    New(PathBuf, Permit),
    File(Box<Written>),
}

/// The file as far as it is written.
struct Written {
    file: Arc<OpenFile>,
    /// Dropped after the file.
    path: Unkept,
    hasher: Sha256Hasher,
    size: u64,
    /// How much of it the disk was asked to write.
    begun: u64,
}

impl DirectoryIncomingFile {
    pub(super) fn new(layout: Arc<Layout>, leases: Arc<Leases>, permit: Permit, buffers: Buffers) -> Self {
        let file = FileState::Idle(Target::New(layout.incoming(), permit));
        let (long, is_followed, gathered, written) = (None, false, Vec::new(), Arc::default());
        Self { layout, leases, buffers, long, is_followed, gathered, file, written }
    }

    /// How many bytes are gathered before they are written.
    fn buffer(&self) -> usize {
        let long = if self.long.is_some() { LONG_BUFFER } else { 0 };
        self.buffers.usual.max(long)
    }

    /// Gathers more from now on, if the file is long and that is free.
    fn lengthen_buffer(&mut self) {
        if self.long.is_none() && !self.is_followed && self.written() >= LONG_BUFFER as u64 {
            self.long = Arc::clone(&self.buffers.long).try_acquire_owned().ok();
        }
    }

    /// Where to write next, when the write under way is done.
    async fn take_target(&mut self) -> Result<Target, StorageError> {
        match std::mem::replace(&mut self.file, FileState::Broken) {
            FileState::Idle(target) => Ok(target),
            FileState::Writing(task) => Ok(Target::File(task.await??)),
            FileState::Broken => Err(StorageError::Closed),
        }
    }

    /// Starts to write what was gathered, when the write under way is done.
    async fn start_writing(&mut self) -> Result<(), StorageError> {
        let target = self.take_target().await?;
        self.lengthen_buffer();
        let (gathered, count) = (std::mem::take(&mut self.gathered), Arc::clone(&self.written));
        self.file = FileState::Writing(spawn_blocking(move || {
            let mut written = target.open()?;
            written.append(&gathered)?;
            count.store(written.size, Ordering::Release);
            Ok(written)
        }));
        Ok(())
    }
}

impl Target {
    /// The file, which is made if there is none yet. Blocks.
    fn open(self) -> Result<Box<Written>, StorageError> {
        match self {
            Self::File(written) => Ok(written),
            Self::New(directory, permit) => {
                let (file, path) = Unkept::create(&directory)?;
                let file = Arc::new(OpenFile::new(file, permit));
                Ok(Box::new(Written { file, path, hasher: Sha256Hasher::default(), size: 0, begun: 0 }))
            }
        }
    }
}

impl Written {
    /// Writes and hashes, much of it at the same time, as a long upload is no faster than both together. Blocks.
    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let Self { file, hasher, .. } = self;
        let is_long = bytes.len() >= LONG_BUFFER;
        let (is_hashed, written) = thread::scope(|scope| {
            let is_hashed =
                is_long && thread::Builder::new().spawn_scoped(scope, || hasher.update(bytes)).is_ok();
            (is_hashed, file.file().write_all(bytes))
        });
        written?;
        if !is_hashed {
            // It is short, or no thread is to be had: an upload must not end for that.
            hasher.update(bytes);
        }
        self.size += bytes.len() as u64;
        if self.size - self.begun >= WRITE_BACK_BYTES {
            self.begin_write_back();
        }
        Ok(())
    }

    /// Asks the disk to begin with what was written.
    fn begin_write_back(&mut self) {
        if let Some(length) = NonZero::new(self.size - self.begun) {
            // Only an advice, which some file systems do not take: the file is synced in any case. Linux starts to write
            // what it is told not to keep. It also forgets what is written already, so that some may have to be read
            // again; the call that would not do that is not to be had without unsafe code.
            let _advice = fadvise(self.file.file(), self.begun, Some(length), Advice::DontNeed);
            self.begun = self.size;
        }
    }
}

#[async_trait]
impl IncomingFile for DirectoryIncomingFile {
    async fn write(&mut self, mut piece: Bytes) -> Result<(), StorageError> {
        while !piece.is_empty() {
            let free = self.buffer() - self.gathered.len();
            self.gathered.reserve_exact(free);
            self.gathered.extend_from_slice(&piece.split_to(piece.len().min(free)));
            if self.gathered.len() == self.buffer() {
                self.start_writing().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<u64, StorageError> {
        if !self.gathered.is_empty() {
            self.start_writing().await?;
        }
        self.file = FileState::Idle(self.take_target().await?);
        Ok(self.written())
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    async fn arriving(&mut self) -> Result<Arc<dyn ArrivingFile>, StorageError> {
        self.is_followed = true;
        let target = self.take_target().await?;
        let written = blocking::run(move || target.open()).await??;
        let reader = DirectoryArrivingFile(Arc::clone(&written.file));
        self.file = FileState::Idle(Target::File(written));
        Ok(Arc::new(reader))
    }

    async fn finish(mut self: Box<Self>) -> Result<Box<dyn ReceivedFile>, StorageError> {
        let target = self.take_target().await?;
        let Self { layout, leases, gathered, .. } = *self;
        let written = blocking::run(move || {
            let mut written = target.open()?;
            written.append(&gathered)?;
            if written.begun > 0 {
                // The rest too, while the content is looked at.
                written.begin_write_back();
            }
            Ok::<_, StorageError>(written)
        });
        let Written { file, path, hasher, size, .. } = *written.await??;
        Ok(Box::new(DirectoryReceivedFile { layout, leases, file, path, sha256: hasher.finish(), size }))
    }
}

/// An [`ArrivingFile`] of a directory store. All readers share one descriptor.
struct DirectoryArrivingFile(Arc<OpenFile>);

#[async_trait]
impl ArrivingFile for DirectoryArrivingFile {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        let file = Arc::clone(&self.0);
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        // Where it will be freed: allocators keep what other threads give back.
        let mut bytes = vec![0; length];
        spawn_blocking(move || {
            file.file().read_exact_at(&mut bytes, range.start)?;
            Ok(Bytes::from(bytes))
        })
        .await?
    }
}
