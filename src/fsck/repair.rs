//! Repairing what a check has found. Nobody else may be working on the stores.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use tokio::fs::File;
use tokio::task::spawn_blocking;
use tokio_util::io::ReaderStream;
use tracing::{debug, warn};

use super::{Fault, Finding, Recorded};
use crate::archive::{self, Limits};
use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::files::{AllNamed, FileStore};
use crate::storage::meta::{ChangeSet, CommitError, MetaStore, Operation, Refetch};
use crate::storage::model::StoredPath;

/// How much of a file is read at once, in bytes.
const PIECE: usize = 256 * 1024;

/// What becomes of files whose contents are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// They stay, and cannot be downloaded.
    Keep,
    /// They are removed, so that they can be uploaded anew.
    Remove,
}

/// What was done about a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outcome {
    /// A content that is not what it should be is out of the way.
    #[error("the damaged content of {path} is kept in '{}'", to.display())]
    SetAside {
        /// A file that had it.
        path: StoredPath,
        /// Where it is now.
        to: PathBuf,
    },
    /// The right content was found elsewhere.
    #[error("the content {sha256} was taken from '{}'", from.display())]
    Restored {
        /// Its hash.
        sha256: Sha256,
        /// Where it was.
        from: PathBuf,
    },
    /// A mirror has forgotten what is lost.
    #[error("{0} is fetched again when it is asked for")]
    Refetch(StoredPath),
    /// What is lost was removed.
    #[error("{0} was removed, as its content is lost")]
    Removed(StoredPath),
    /// Core metadata were read from the wheel anew.
    #[error("the core metadata of {0} were read anew")]
    CoreMetadata(StoredPath),
    /// Core metadata or a provenance object are to be forgotten: installers do without, mirrors fetch them again.
    #[error("damaged metadata of {0} are not offered any more")]
    Forgotten(StoredPath),
    /// Nothing could be done.
    #[error("{0} is lost")]
    Lost(StoredPath),
}

impl Outcome {
    /// Whether something is lost.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

/// How it is repaired.
pub struct Repair<'a> {
    /// The metadata.
    pub meta: &'a dyn MetaStore,
    /// The contents.
    pub files: &'a dyn FileStore,
    /// Directories in which contents that are lost may be: backups, or any with such files.
    pub sources: &'a [PathBuf],
    /// What becomes of files whose contents are lost.
    pub lost: Lost,
    /// Bounds for reading wheels.
    pub archive: Limits,
    /// The time of the changes.
    pub now: Timestamp,
}

impl Repair<'_> {
    /// Repairs what can be repaired, and tells `each` what was done. Returns the documents that are to be forgotten.
    pub async fn run(
        &self,
        faults: Vec<Fault>,
        each: &mut dyn FnMut(&Outcome),
    ) -> Result<Vec<Sha256>, StorageError> {
        let is_about_document = |fault: &Fault| {
            matches!(fault.finding, Finding::CoreMetadata { .. } | Finding::Provenance { .. })
        };
        let (documents, contents): (Vec<Fault>, Vec<Fault>) = faults.into_iter().partition(is_about_document);
        self.set_aside(&contents, each).await?;
        let recorded = contents.iter().filter_map(|fault| fault.file.content);
        let mut lost: BTreeMap<Sha256, u64> =
            recorded.map(|content| (content.sha256, content.size)).collect();
        self.restore(&mut lost, each).await?;
        for Fault { file, .. } in contents {
            if file.content.is_some_and(|content| lost.contains_key(&content.sha256)) {
                each(&self.give_up(&file).await?);
            }
        }
        let mut forgotten = Vec::new();
        for Fault { finding, file } in documents {
            let is_metadata = matches!(finding, Finding::CoreMetadata { .. });
            match file.content {
                // They go, or can be read again, with the content.
                Some(content) if lost.contains_key(&content.sha256) => continue,
                Some(content) if is_metadata && self.read_core_metadata(&file, &content.sha256).await? => {
                    each(&Outcome::CoreMetadata(file.path));
                    continue;
                }
                _ => {}
            }
            forgotten.extend(if is_metadata { file.core_metadata } else { file.provenance });
            each(&Outcome::Forgotten(file.path));
        }
        Ok(forgotten)
    }

    async fn set_aside(&self, faults: &[Fault], each: &mut dyn FnMut(&Outcome)) -> Result<(), StorageError> {
        let mut done = HashSet::new();
        for Fault { finding, file } in faults {
            if let Some(content) = file.content
                && !matches!(finding, Finding::Missing { .. })
                && done.insert(content.sha256)
            {
                let to = self.files.set_aside(&content.sha256).await?;
                each(&Outcome::SetAside { path: file.path.clone(), to });
            }
        }
        Ok(())
    }

    /// Takes from the sources what they have of what is lost, which is forgotten then.
    async fn restore(
        &self,
        lost: &mut BTreeMap<Sha256, u64>,
        each: &mut dyn FnMut(&Outcome),
    ) -> Result<(), StorageError> {
        for source in self.sources {
            if lost.is_empty() {
                return Ok(());
            }
            let sizes: HashSet<u64> = lost.values().copied().collect();
            let source = source.clone();
            let candidates = spawn_blocking(move || list_files_of(&source, &sizes)).await??;
            for path in candidates {
                match self.take(&path, lost).await {
                    Ok(Some(sha256)) => {
                        lost.remove(&sha256);
                        each(&Outcome::Restored { sha256, from: path });
                    }
                    Ok(None) => {}
                    Err(StorageError::Unreadable(cause)) => {
                        warn!("'{}' cannot be read: {cause}", path.display());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Takes a file in if its content is one that is lost.
    async fn take(&self, path: &Path, lost: &BTreeMap<Sha256, u64>) -> Result<Option<Sha256>, StorageError> {
        let file = File::open(path).await.map_err(StorageError::of_reading)?;
        let mut pieces = ReaderStream::with_capacity(file, PIECE).map_err(StorageError::of_reading);
        let mut incoming = self.files.receive().await?;
        while let Some(piece) = pieces.try_next().await? {
            incoming.write(piece).await?;
        }
        let received = incoming.finish().await?;
        let sha256 = received.sha256();
        if !lost.contains_key(&sha256) {
            return Ok(None);
        }
        received.keep(&AllNamed).await?.confirm().await?;
        Ok(Some(sha256))
    }

    /// The content of a file is not to be had.
    async fn give_up(&self, file: &Recorded) -> Result<Outcome, StorageError> {
        let path = file.path.clone();
        match &file.of_release {
            None => {
                let forget = Operation::RemoveFetched {
                    index: (*file.index).clone(),
                    project: file.project.clone(),
                    path: path.clone(),
                    refetch: Refetch::Allowed,
                };
                self.commit(vec![forget]).await?;
                Ok(Outcome::Refetch(path))
            }
            Some(_) if self.lost == Lost::Keep => Ok(Outcome::Lost(path)),
            Some((relation, version)) => {
                let remove = Operation::RemoveLink {
                    index: (*file.index).clone(),
                    project: file.project.clone(),
                    version: Arc::clone(version),
                    relation: *relation,
                    path: path.clone(),
                };
                self.commit(vec![remove]).await?;
                Ok(Outcome::Removed(path))
            }
        }
    }

    /// Reads the core metadata of a wheel anew. Whether they are those that are recorded.
    async fn read_core_metadata(&self, file: &Recorded, sha256: &Sha256) -> Result<bool, StorageError> {
        let (content, name, limits) =
            (self.files.local_path(sha256), Arc::clone(&file.file_name), self.archive);
        let read = spawn_blocking(move || {
            let wheel = std::io::BufReader::new(fs::File::open(content)?);
            Ok::<_, StorageError>(archive::wheel_metadata(wheel, &name, &limits))
        });
        let body = read.await??.unwrap_or_else(|error| {
            debug!("{} has no core metadata: {error}", file.path);
            None
        });
        let Some(body) = body.filter(|body| Some(Sha256::of(body)) == file.core_metadata) else {
            return Ok(false);
        };
        self.commit(vec![Operation::PutDocument(Sha256::of(&body), body)]).await?;
        Ok(true)
    }

    async fn commit(&self, operations: Vec<Operation>) -> Result<(), StorageError> {
        match self.meta.commit(ChangeSet { operations, ..ChangeSet::new(None, self.now) }).await {
            Ok(_) => Ok(()),
            Err(CommitError::Outdated) => {
                // It went together with another one, as test results do with their file.
                debug!("nothing is left to be done");
                Ok(())
            }
            Err(CommitError::Storage(error)) => Err(error),
        }
    }
}

/// The files below a directory that have one of these sizes. Blocks.
fn list_files_of(top: &Path, sizes: &HashSet<u64>) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![top.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            // Such as `lost+found`, where the backup has a file system of its own.
            Err(cause) if directory != top => {
                warn!("'{}' cannot be read: {cause}", directory.display());
                continue;
            }
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(cause) => {
                    warn!("'{}' cannot be read: {cause}", entry.path().display());
                    continue;
                }
            };
            if metadata.is_dir() {
                directories.push(entry.path());
            } else if metadata.is_file() && sizes.contains(&metadata.len()) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
