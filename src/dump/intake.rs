//! Taking in contents of another server: each is read once and compared with what is said of it, many at a time.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tracing::debug;

use super::documents::Documents;
use super::serverdir::files::{OldFile, read_row};
use crate::archive::{self, Limits};
use crate::pep::digest::{NamedHasher, Sha256};
use crate::pep::filename;
use crate::storage::StorageError;
use crate::storage::files::{AllNamed, FileStore, Transfer};

/// How much of a file is read at once, in bytes.
const PIECE: usize = 256 * 1024;

/// How many pieces of a row may be on their way to the store.
const PIECES_UNDER_WAY: usize = 4;

/// What becomes of files that are missing or not what is said of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// They are errors.
    Refuse,
    /// They are left out.
    Skip,
}

impl Damaged {
    /// What whoever is told of errors may do, as the end of a sentence about them.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Refuse => " With --skip-damaged, files that are missing or damaged are left out.",
            Self::Skip => "",
        }
    }
}

/// A content that was taken in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taken {
    /// Its hash, which is its key in the store.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// The hash of a wheel's core metadata.
    pub core_metadata: Option<Sha256>,
}

/// A content that was taken in, with the core metadata of a wheel as they are.
struct Content {
    sha256: Sha256,
    size: u64,
    core_metadata: Option<CoreMetadata>,
}

/// The core metadata of a wheel, byte for byte, and their hash.
type CoreMetadata = (Sha256, Vec<u8>);

/// Why a content was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// It is not what is said of it (the text is devpi's).
    #[error("{algorithm} mismatch, got {got}, expected {expected}")]
    Hash {
        /// The algorithm.
        algorithm: Arc<str>,
        /// What was computed.
        got: String,
        /// What is said.
        expected: Arc<str>,
    },
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// The store failed, which says nothing about the content.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl IntakeError {
    /// What is wrong with the content; an error if that is not it.
    pub fn damage(self) -> Result<String, StorageError> {
        match self {
            Self::Storage(error) => Err(error),
            damage => Ok(damage.to_string()),
        }
    }
}

/// How contents are taken in.
#[derive(Clone)]
pub struct Intake {
    /// Where they go; `None` to look at them only.
    files: Option<Arc<dyn FileStore>>,
    way: Transfer,
    archive: Limits,
    permits: Arc<Semaphore>,
}

impl Intake {
    /// Takes in contents, at most so many at once. Without a store they are only looked at.
    pub fn new(files: Option<Arc<dyn FileStore>>, way: Transfer, archive: Limits, parallel: usize) -> Self {
        Self { files, way, archive, permits: Arc::new(Semaphore::new(parallel.max(1))) }
    }

    /// Takes in a content called `name` of which these hashes are said, and what is in it with the documents.
    ///
    /// One that is in the store already under the SHA-256 that is said is not read again: the store has only what was
    /// verified, so an interrupted run goes on where it was, and what is in several indexes is read once.
    pub async fn take(
        &self,
        source: OldFile,
        name: &str,
        hashes: &[(Arc<str>, Arc<str>)],
        documents: &Documents<'_>,
    ) -> Result<Taken, IntakeError> {
        let _permit = self.permits.acquire().await.map_err(|_| StorageError::Closed)?;
        let Content { sha256, size, core_metadata } = self.take_content(source, name, hashes).await?;
        let taken = Taken { sha256, size, core_metadata: core_metadata.as_ref().map(|(sha256, _)| *sha256) };
        if let Some((sha256, body)) = core_metadata {
            documents.put(sha256, body).await?;
        }
        Ok(taken)
    }

    async fn take_content(
        &self,
        source: OldFile,
        name: &str,
        hashes: &[(Arc<str>, Arc<str>)],
    ) -> Result<Content, IntakeError> {
        if let Some(content) = self.find_taken(&source, name, hashes).await? {
            return Ok(content);
        }
        match source {
            OldFile::Path(path) => self.take_path(path, name, hashes).await,
            OldFile::Row { database, id } => self.take_row(database, id, name, hashes).await,
        }
    }

    async fn find_taken(
        &self,
        source: &OldFile,
        name: &str,
        hashes: &[(Arc<str>, Arc<str>)],
    ) -> Result<Option<Content>, IntakeError> {
        let Some(files) = &self.files else { return Ok(None) };
        let said = hashes.iter().find(|(algorithm, _)| &**algorithm == "sha256");
        let Some(sha256) = said.and_then(|(_, value)| value.parse().ok()) else { return Ok(None) };
        let Some(stored) = files.open(&sha256).await? else { return Ok(None) };
        let size = stored.size();
        match source {
            OldFile::Path(path) => {
                let (path, name, limits) = (path.clone(), name.to_owned(), self.archive);
                let reading = spawn_blocking(move || {
                    // What the machine lost when it went down, before it was synced, is shorter.
                    if path.metadata()?.len() != size {
                        return Ok(None);
                    }
                    let core_metadata = core_metadata(&path, &name, &limits)?;
                    Ok(Some(Content { sha256, size, core_metadata }))
                });
                reading.await.map_err(StorageError::from)?.map_err(IntakeError::Unreadable)
            }
            // Taken out of the row anew: such data are rare.
            OldFile::Row { .. } if filename::is_wheel(name) => Ok(None),
            OldFile::Row { .. } => Ok(Some(Content { sha256, size, core_metadata: None })),
        }
    }

    async fn take_path(
        &self,
        path: PathBuf,
        name: &str,
        hashes: &[(Arc<str>, Arc<str>)],
    ) -> Result<Content, IntakeError> {
        let (hashes, limits, name, source) = (hashes.to_vec(), self.archive, name.to_owned(), path.clone());
        let reading = spawn_blocking(move || {
            let mut hasher = Hasher::new(&hashes);
            let mut file = File::open(&source).map_err(IntakeError::Unreadable)?;
            let mut buffer = vec![0; PIECE];
            loop {
                match file.read(&mut buffer).map_err(IntakeError::Unreadable)? {
                    0 => break,
                    count => hasher.update(&buffer[..count]),
                }
            }
            let (sha256, size) = hasher.finish(&hashes)?;
            let core_metadata = core_metadata(&source, &name, &limits).map_err(IntakeError::Unreadable)?;
            Ok::<_, IntakeError>(Content { sha256, size, core_metadata })
        });
        let content = reading.await.map_err(StorageError::from)??;
        if let Some(files) = &self.files {
            files.take_local(&path, &content.sha256, self.way).await?;
        }
        Ok(content)
    }

    async fn take_row(
        &self,
        database: PathBuf,
        id: i64,
        name: &str,
        hashes: &[(Arc<str>, Arc<str>)],
    ) -> Result<Content, IntakeError> {
        let hashes = hashes.to_vec();
        let Some(files) = &self.files else {
            let judging = spawn_blocking(move || {
                let mut hasher = Hasher::new(&hashes);
                let each = |piece: &[u8]| {
                    hasher.update(piece);
                    Ok(())
                };
                read_row(&database, id, &mut vec![0; PIECE], each).map_err(IntakeError::Unreadable)?;
                hasher.finish(&hashes)
            });
            let (sha256, size) = judging.await.map_err(StorageError::from)??;
            return Ok(Content { sha256, size, core_metadata: None });
        };
        let (sender, mut pieces) = mpsc::channel(PIECES_UNDER_WAY);
        let judged = hashes.clone();
        let reading = spawn_blocking(move || {
            let mut hasher = Hasher::new(&judged);
            let each = |piece: &[u8]| {
                hasher.update(piece);
                sender.blocking_send(Bytes::copy_from_slice(piece)).map_err(io::Error::other)
            };
            read_row(&database, id, &mut vec![0; PIECE], each).map_err(IntakeError::Unreadable)?;
            hasher.finish(&judged)
        });
        let mut incoming = files.receive().await?;
        while let Some(piece) = pieces.recv().await {
            incoming.write(piece).await?;
        }
        let (sha256, size) = reading.await.map_err(StorageError::from)??;
        let received = incoming.finish().await?;
        let (name, limits) = (name.to_owned(), self.archive);
        let inspecting = spawn_blocking(move || {
            let metadata = read_core_metadata(received.open()?, &name, &limits);
            Ok::<_, StorageError>((received, metadata))
        });
        let (received, core_metadata) = inspecting.await.map_err(StorageError::from)??;
        received.keep(&AllNamed).await?.confirm().await?;
        Ok(Content { sha256, size, core_metadata })
    }
}

/// Computes the SHA-256 of a content, and whatever else is said of it.
struct Hasher {
    sha256: NamedHasher,
    others: Vec<(Arc<str>, NamedHasher)>,
    size: u64,
}

/// The name of the hash that every content has.
const SHA256: &str = "sha256";

impl Hasher {
    fn new(hashes: &[(Arc<str>, Arc<str>)]) -> Self {
        let names = hashes.iter().map(|(algorithm, _)| algorithm).filter(|algorithm| &***algorithm != SHA256);
        let others = names.filter_map(|name| Some((Arc::clone(name), NamedHasher::new(name)?))).collect();
        Self { sha256: NamedHasher::sha256(), others, size: 0 }
    }

    fn update(&mut self, piece: &[u8]) {
        self.sha256.update(piece);
        self.others.iter_mut().for_each(|(_, hasher)| hasher.update(piece));
        self.size += piece.len() as u64;
    }

    fn finish(self, hashes: &[(Arc<str>, Arc<str>)]) -> Result<(Sha256, u64), IntakeError> {
        let sha256 = self.sha256.finish();
        let mut computed: Vec<(Arc<str>, String)> = vec![(SHA256.into(), sha256.clone())];
        computed.extend(self.others.into_iter().map(|(name, hasher)| (name, hasher.finish())));
        for (algorithm, expected) in hashes {
            let Some((_, got)) = computed.iter().find(|(name, _)| name == algorithm) else { continue };
            if **expected != **got {
                let (algorithm, expected) = (Arc::clone(algorithm), Arc::clone(expected));
                return Err(IntakeError::Hash { algorithm, got: got.clone(), expected });
            }
        }
        let sha256 = sha256.parse().map_err(|error| IntakeError::Unreadable(io::Error::other(error)))?;
        Ok((sha256, self.size))
    }
}

fn core_metadata(path: &Path, name: &str, limits: &Limits) -> io::Result<Option<CoreMetadata>> {
    Ok(read_core_metadata(File::open(path)?, name, limits))
}

/// The core metadata of a file that is a wheel. devpi takes wheels that nobody can open, and so there are such.
fn read_core_metadata(file: File, name: &str, limits: &Limits) -> Option<CoreMetadata> {
    if !filename::is_wheel(name) {
        return None;
    }
    let body = archive::wheel_metadata(file, name, limits).unwrap_or_else(|error| {
        debug!("{name} has no core metadata: {error}");
        None
    });
    body.map(|body| (Sha256::of(&body), body))
}
