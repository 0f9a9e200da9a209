//! Checking that all that is recorded is there, and is what it is said to be.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::pep::digest::{NamedHasher, Sha256};
use crate::storage::StorageError;
use crate::storage::files::{FileStore, read_pieces};
use crate::storage::meta::Snapshot;
use crate::storage::model::{IndexName, StoredPath};

/// How many files are gathered before they are looked at.
const BATCH: usize = 1024;

/// How much of a file is read at once, in bytes.
const PIECE: u64 = 1024 * 1024;

/// How it is checked.
#[derive(Clone, Copy, Debug)]
pub struct FsckOptions {
    /// Whether contents are read and their hashes computed.
    pub checksum: bool,
    /// How many are read at once.
    pub parallel: usize,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A content is not there. Mirrors fetch it again.
    #[error("Missing file {path}")]
    Missing {
        /// The path of the file.
        path: StoredPath,
        /// Whether it is a mirror's.
        in_mirror: bool,
    },
    /// A content has another size than is recorded.
    #[error("{path} - size mismatch, got {got}, expected {expected}")]
    Size {
        /// The path of the file.
        path: StoredPath,
        /// The size that it has, in bytes.
        got: u64,
        /// The size that is recorded.
        expected: u64,
    },
    /// A content has another hash than is recorded (the text is devpi's).
    #[error("{path} - sha256 mismatch, got {got}, expected {expected}")]
    Hash {
        /// The path of the file.
        path: StoredPath,
        /// The hash that it has.
        got: String,
        /// The hash that is recorded.
        expected: Sha256,
    },
    /// The core metadata of a wheel are not there, or not what is recorded.
    #[error("{path} - its core metadata are missing or damaged")]
    CoreMetadata {
        /// The path of the wheel.
        path: StoredPath,
    },
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsckSummary {
    /// Files that are recorded.
    pub files: u64,
    /// Of stages, and missing.
    pub missing: u64,
    /// Of mirrors, and missing.
    pub missing_in_mirrors: u64,
    /// Damaged in another way.
    pub damaged: u64,
}

impl FsckSummary {
    /// Whether something was lost that does not come again by itself.
    pub fn has_errors(&self) -> bool {
        self.missing > 0 || self.damaged > 0
    }
}

/// A file that is recorded.
struct Recorded {
    path: StoredPath,
    sha256: Sha256,
    size: u64,
    core_metadata: Option<Sha256>,
    in_mirror: bool,
}

/// What a content is like.
#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Missing,
    Size(u64),
    Hash(String),
    Good,
}

/// Checks all files of a snapshot and tells `each` of what it finds.
pub async fn check(
    snapshot: &mut dyn Snapshot,
    files: &dyn FileStore,
    options: FsckOptions,
    each: &mut dyn FnMut(&Finding),
) -> Result<FsckSummary, StorageError> {
    let mut check = Check { files, options, known: HashMap::new(), summary: FsckSummary::default() };
    let mut batch = Vec::new();
    for index in snapshot.list_indexes(None).await?.into_keys() {
        let index = Arc::new(index);
        for project in snapshot.list_projects(&index).await? {
            batch.extend(list_links(snapshot, &index, &project).await?);
            check.run_if(batch.len() >= BATCH, snapshot, &mut batch, each).await?;
        }
        for project in snapshot.list_mirror_pages(&index).await? {
            batch.extend(list_fetched(snapshot, &index, &project).await?);
            check.run_if(batch.len() >= BATCH, snapshot, &mut batch, each).await?;
        }
    }
    check.run_if(true, snapshot, &mut batch, each).await?;
    Ok(check.summary)
}

async fn list_links(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
    project: &str,
) -> Result<Vec<Recorded>, StorageError> {
    let links = snapshot.list_links(index, project, None).await?.into_iter();
    Ok(links
        .map(|link| link.value)
        .map(|link| Recorded {
            path: link.path,
            sha256: link.sha256,
            size: link.size,
            core_metadata: link.core_metadata,
            in_mirror: false,
        })
        .collect())
}

async fn list_fetched(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
    project: &str,
) -> Result<Vec<Recorded>, StorageError> {
    let fetched = snapshot.list_fetched(index, project).await?.into_iter();
    Ok(fetched
        .filter_map(|file| {
            let content = file.content?;
            Some(Recorded {
                path: file.path,
                sha256: content.sha256,
                size: content.size,
                core_metadata: file.core_metadata,
                in_mirror: true,
            })
        })
        .collect())
}

struct Check<'a> {
    files: &'a dyn FileStore,
    options: FsckOptions,
    /// The contents that were looked at, each once however many links it has.
    known: HashMap<Sha256, Condition>,
    summary: FsckSummary,
}

impl Check<'_> {
    async fn run_if(
        &mut self,
        is_due: bool,
        snapshot: &mut dyn Snapshot,
        batch: &mut Vec<Recorded>,
        each: &mut dyn FnMut(&Finding),
    ) -> Result<(), StorageError> {
        if !is_due {
            return Ok(());
        }
        let mut new: Vec<(Sha256, u64)> = batch.iter().map(|file| (file.sha256, file.size)).collect();
        new.sort_unstable();
        new.dedup_by_key(|(sha256, _)| *sha256);
        new.retain(|(sha256, _)| !self.known.contains_key(sha256));
        let examined = stream::iter(new).map(|(sha256, size)| self.examine(sha256, size));
        let examined: Vec<(Sha256, Condition)> =
            examined.buffer_unordered(self.options.parallel).boxed_local().try_collect().await?;
        self.known.extend(examined);
        for file in batch.drain(..) {
            self.judge(snapshot, file, each).await?;
        }
        Ok(())
    }

    async fn examine(&self, sha256: Sha256, size: u64) -> Result<(Sha256, Condition), StorageError> {
        let Some(file) = self.files.open(&sha256).await? else { return Ok((sha256, Condition::Missing)) };
        if file.size() != size {
            return Ok((sha256, Condition::Size(file.size())));
        }
        if !self.options.checksum {
            return Ok((sha256, Condition::Good));
        }
        let mut hasher = NamedHasher::sha256();
        let mut pieces = Box::pin(read_pieces(file, 0..size, || PIECE));
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
        }
        let got = hasher.finish();
        let is_right = got == sha256.to_string();
        Ok((sha256, if is_right { Condition::Good } else { Condition::Hash(got) }))
    }

    async fn judge(
        &mut self,
        snapshot: &mut dyn Snapshot,
        file: Recorded,
        each: &mut dyn FnMut(&Finding),
    ) -> Result<(), StorageError> {
        let Recorded { path, sha256, size, core_metadata, in_mirror } = file;
        self.summary.files += 1;
        if let Some(recorded) = core_metadata {
            let body = snapshot.get_document(&recorded).await?;
            if body.is_none_or(|body| Sha256::of(&body) != recorded) {
                self.summary.damaged += 1;
                each(&Finding::CoreMetadata { path: path.clone() });
            }
        }
        let finding = match self.known.get(&sha256) {
            None | Some(Condition::Good) => return Ok(()),
            Some(Condition::Missing) => Finding::Missing { path, in_mirror },
            Some(Condition::Size(got)) => Finding::Size { path, got: *got, expected: size },
            Some(Condition::Hash(got)) => Finding::Hash { path, got: got.clone(), expected: sha256 },
        };
        let count = match finding {
            Finding::Missing { in_mirror: true, .. } => &mut self.summary.missing_in_mirrors,
            Finding::Missing { .. } => &mut self.summary.missing,
            _ => &mut self.summary.damaged,
        };
        *count += 1;
        each(&finding);
        Ok(())
    }
}
