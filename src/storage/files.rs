//! The file store: contents under their hash.
//!
//! A content comes in three steps. It is *received* piece by piece while it is hashed; once the domain wants it, it is
//! *kept*, which makes it durable; and when the change set that names it is committed, its lease is *confirmed*.
//! Whatever happens in between, a later start finds either a confirmed content or one that it can settle.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{Stream, try_unfold};

use super::StorageError;
use crate::pep::digest::Sha256;

/// File contents, each kept once under its SHA-256.
#[async_trait]
pub trait FileStore: Send + Sync {
    /// Starts to take in a new content. It cannot be opened by its hash before it is kept.
    async fn receive(&self) -> Result<Box<dyn IncomingFile>, StorageError>;

    /// Opens a content for reading; `None` where it is not there. One that is there and cannot be opened, or read later, is
    /// [`StorageError::Unreadable`].
    async fn open(&self, sha256: &Sha256) -> Result<Option<Box<dyn StoredFile>>, StorageError>;

    /// Takes a file of the local file system in, whose hash the caller has computed. It is not durable before
    /// [`FileStore::sync`]. What is there already under this hash stays. A file that cannot be read is
    /// [`StorageError::Unreadable`].
    async fn take_local(&self, source: &Path, sha256: &Sha256, way: Transfer) -> Result<(), StorageError>;

    /// Gives a content out as a new file of the local file system. Whether the content is there. An error if
    /// there is a file at `target` already.
    async fn give_local(&self, sha256: &Sha256, target: &Path, way: Transfer) -> Result<bool, StorageError>;

    /// The path of a content below the store's directory `files`, for a web server that sends it itself.
    fn path_below(&self, sha256: &Sha256) -> String;

    /// Where a content lies in the local file system, whether or not it is there.
    fn local_path(&self, sha256: &Sha256) -> PathBuf;

    /// The contents whose hash begins with `first`, and their sizes in bytes, in no particular order. Those whose lease is
    /// not confirmed yet are left out, and those whose size cannot be told: whoever opens them hears why.
    async fn list(&self, first: u8) -> Result<Vec<(Sha256, u64)>, StorageError>;

    /// Removes a content, which nothing may name. Whether it was there.
    async fn remove(&self, sha256: &Sha256) -> Result<bool, StorageError>;

    /// Takes a content that is damaged, or that nothing names, out of the store, and keeps it aside for whoever wants to see
    /// it. Returns where.
    async fn set_aside(&self, sha256: &Sha256) -> Result<PathBuf, StorageError>;

    /// Makes durable what was taken in by [`FileStore::take_local`].
    async fn sync(&self) -> Result<(), StorageError>;

    /// Settles the contents that were kept but, as the process died, not confirmed: those that `references` knows
    /// are confirmed, the others removed. To be called once at the start, before any content is kept.
    ///
    /// Returns how many were removed.
    async fn settle(&self, references: &dyn References) -> Result<usize, StorageError>;
}

/// How a file comes from one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Its bytes are copied.
    Copy,
    /// It gets a second name where the file system can do that, else its bytes are copied.
    Link,
}

/// Knows which contents are named by links.
#[async_trait]
pub trait References: Send + Sync {
    /// Whether any link, present or removed, names this content. An error where that cannot be told.
    async fn is_referenced(&self, sha256: &Sha256) -> Result<bool, StorageError>;
}

/// The [`References`] to contents that are named before they come: those of a dump, of a repair.
pub struct AllNamed;

#[async_trait]
impl References for AllNamed {
    async fn is_referenced(&self, _sha256: &Sha256) -> Result<bool, StorageError> {
        Ok(true)
    }
}

/// A kept content for which the commit is still to come. Dropping it leaves the content in place, to be settled
/// at the next start.
#[async_trait]
pub trait Lease: Send + Sync {
    /// The commit that names the content was made.
    async fn confirm(self: Box<Self>) -> Result<(), StorageError>;

    /// The commit was not made: the content is removed, unless `references` names it or another lease holds it. Where
    /// `references` cannot tell, it stays in place, to be settled at the next start.
    async fn discard(self: Box<Self>, references: &dyn References) -> Result<(), StorageError>;
}

/// A content on its way in. Dropping it without [`IncomingFile::finish`] leaves nothing behind.
#[async_trait]
pub trait IncomingFile: Send {
    /// Takes the next piece; waits while too much of what came before is still to be written.
    async fn write(&mut self, piece: Bytes) -> Result<(), StorageError>;

    /// Writes what was taken, so that it can be read. Returns how many bytes that are by now.
    async fn flush(&mut self) -> Result<u64, StorageError>;

    /// How many bytes can be read by now.
    fn written(&self) -> u64;

    /// Opens the content for reading while it arrives; fails where the store can take nothing in. It stays readable after
    /// it was kept.
    async fn arriving(&mut self) -> Result<Arc<dyn ArrivingFile>, StorageError>;

    /// Ends the content and returns it, still unkept. Of a short one, this is the first that the disk hears.
    async fn finish(self: Box<Self>) -> Result<Box<dyn ReceivedFile>, StorageError>;
}

/// A content that is read while it arrives, by any number of readers.
#[async_trait]
pub trait ArrivingFile: Send + Sync {
    /// Reads the bytes of `range`, all of which must have been written.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError>;
}

/// A content that has arrived whole but is not kept yet. Dropping it leaves nothing behind.
#[async_trait]
pub trait ReceivedFile: Send + Sync {
    /// Its hash.
    fn sha256(&self) -> Sha256;

    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Opens it for reading at its start. Blocks.
    fn open(&self) -> Result<std::fs::File, StorageError>;

    /// Keeps the content: when this returns, it survives a crash. After an error nothing of it is left, unless
    /// `references` names it or another lease holds it.
    ///
    /// While the lease lives, the content cannot be removed by the [`Lease::discard`] of another one.
    async fn keep(self: Box<Self>, references: &dyn References) -> Result<Box<dyn Lease>, StorageError>;
}

/// A content opened for reading.
#[async_trait]
pub trait StoredFile: Send {
    /// Size in bytes.
    fn size(&self) -> u64;

    /// Reads the bytes of `range`, which must lie within the file.
    async fn read(&mut self, range: Range<u64>) -> Result<Bytes, StorageError>;

    /// The file itself, if it is one of the local file system, for those who need not read it to send it.
    fn local_file(&self) -> Option<Arc<dyn LocalFile>>;
}

/// A file of the local file system, as long as it is open.
pub trait LocalFile: Send + Sync {
    /// The file.
    fn file(&self) -> &std::fs::File;
}

/// The bytes of a range of a file in pieces, each read when the one before it has been taken. `piece` tells the size of
/// the next one in bytes, which is at least one.
pub fn read_pieces(
    file: Box<dyn StoredFile>,
    range: Range<u64>,
    mut piece: impl FnMut() -> u64 + Send,
) -> impl Stream<Item = Result<Bytes, StorageError>> + Send {
    try_unfold((file, range), move |(mut file, range)| {
        let end = range.end.min(range.start.saturating_add(piece()));
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            let bytes = file.read(range.start..end).await?;
            Ok(Some((bytes, (file, end..range.end))))
        }
    })
}
