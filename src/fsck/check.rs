//! Looking at everything that is recorded.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::pep::digest::{NamedHasher, Sha256};
use crate::storage::StorageError;
use crate::storage::files::{FileStore, read_pieces};
use crate::storage::meta::Snapshot;
use crate::storage::model::IndexName;

use super::{Fault, Finding, FsckOptions, FsckSummary, Recorded, RecordedContent};

/// How many files are gathered before they are looked at.
const BATCH: usize = 1024;

/// How much of a file is read at once, in bytes.
const PIECE: u64 = 1024 * 1024;

/// What a content is like.
#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Missing,
    Size(u64),
    Hash(String),
    /// With the reason.
    Unreadable(String),
    Good,
}

/// Checks all files of a snapshot and tells `each` of what it finds.
pub async fn check(
    snapshot: &mut dyn Snapshot,
    files: &dyn FileStore,
    options: FsckOptions,
    each: &mut dyn FnMut(Fault),
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
    index: &Arc<IndexName>,
    project: &str,
) -> Result<Vec<Recorded>, StorageError> {
    let links = snapshot.list_links(index, project, None).await?.into_iter();
    Ok(links
        .map(|link| link.value)
        .map(|link| Recorded {
            index: Arc::clone(index),
            project: link.project,
            of_release: Some((link.relation, link.version)),
            path: link.path,
            file_name: link.file_name,
            content: Some(RecordedContent { sha256: link.sha256, size: link.size }),
            core_metadata: link.core_metadata,
            provenance: None,
        })
        .collect())
}

async fn list_fetched(
    snapshot: &mut dyn Snapshot,
    index: &Arc<IndexName>,
    project: &str,
) -> Result<Vec<Recorded>, StorageError> {
    let fetched = snapshot.list_fetched(index, project).await?.into_iter();
    Ok(fetched
        .map(|file| Recorded {
            index: Arc::clone(index),
            project: file.project,
            of_release: None,
            file_name: file.path.file_name().into(),
            path: file.path,
            content: file
                .content
                .map(|content| RecordedContent { sha256: content.sha256, size: content.size }),
            core_metadata: file.core_metadata,
            provenance: file.provenance,
        })
        .collect())
}

/// Looks for contents that nothing names, present or removed, and tells `each` of them and their sizes in bytes. A server
/// may be working on the stores; `open` gives a view of what is recorded then.
pub async fn find_unnamed(
    open: impl AsyncFn() -> Result<Box<dyn Snapshot>, StorageError>,
    files: &dyn FileStore,
    each: &mut dyn FnMut(Sha256, u64),
) -> Result<(), StorageError> {
    for first in 0..=u8::MAX {
        let present = files.list(first).await?;
        // Later than the list: what was stored before it and is confirmed is recorded by now.
        let named = open().await?.list_contents(first).await?;
        for (sha256, size) in present {
            if !named.contains_key(&sha256) {
                each(sha256, size);
            }
        }
    }
    Ok(())
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
        each: &mut dyn FnMut(Fault),
    ) -> Result<(), StorageError> {
        if !is_due {
            return Ok(());
        }
        let contents = batch.iter().filter_map(|file| file.content);
        let mut new: Vec<(Sha256, u64)> = contents.map(|content| (content.sha256, content.size)).collect();
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
        let condition = match self.read(&sha256, size).await {
            Err(StorageError::Unreadable(cause)) => Condition::Unreadable(cause.to_string()),
            condition => condition?,
        };
        Ok((sha256, condition))
    }

    async fn read(&self, sha256: &Sha256, size: u64) -> Result<Condition, StorageError> {
        let Some(file) = self.files.open(sha256).await? else { return Ok(Condition::Missing) };
        if file.size() != size {
            return Ok(Condition::Size(file.size()));
        }
        if !self.options.checksum {
            return Ok(Condition::Good);
        }
        let mut hasher = NamedHasher::sha256();
        let mut pieces = Box::pin(read_pieces(file, 0..size, || PIECE));
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
        }
        let got = hasher.finish();
        let is_right = got == sha256.to_string();
        Ok(if is_right { Condition::Good } else { Condition::Hash(got) })
    }

    async fn judge(
        &mut self,
        snapshot: &mut dyn Snapshot,
        file: Recorded,
        each: &mut dyn FnMut(Fault),
    ) -> Result<(), StorageError> {
        let path = &file.path;
        if !is_whole(snapshot, file.core_metadata).await? {
            self.summary.damaged += 1;
            each(Fault { finding: Finding::CoreMetadata { path: path.clone() }, file: file.clone() });
        }
        if !is_whole(snapshot, file.provenance).await? {
            self.summary.damaged += 1;
            each(Fault { finding: Finding::Provenance { path: path.clone() }, file: file.clone() });
        }
        let Some(RecordedContent { sha256, size }) = file.content else { return Ok(()) };
        self.summary.files += 1;
        let (path, in_mirror) = (path.clone(), file.is_in_mirror());
        let finding = match self.known.get(&sha256) {
            None | Some(Condition::Good) => return Ok(()),
            Some(Condition::Missing) => Finding::Missing { path, in_mirror },
            Some(Condition::Size(got)) => Finding::Size { path, got: *got, expected: size },
            Some(Condition::Hash(got)) => Finding::Hash { path, got: got.clone(), expected: sha256 },
            Some(Condition::Unreadable(cause)) => Finding::Unreadable { path, cause: cause.clone() },
        };
        let count = match finding {
            Finding::Missing { in_mirror: true, .. } => &mut self.summary.missing_in_mirrors,
            Finding::Missing { .. } => &mut self.summary.missing,
            _ => &mut self.summary.damaged,
        };
        *count += 1;
        each(Fault { finding, file });
        Ok(())
    }
}

/// Whether a document that is recorded is there, and is what its hash says.
async fn is_whole(snapshot: &mut dyn Snapshot, recorded: Option<Sha256>) -> Result<bool, StorageError> {
    let Some(recorded) = recorded else { return Ok(true) };
    let body = snapshot.get_document(&recorded).await?;
    Ok(body.is_some_and(|body| Sha256::of(&body) == recorded))
}
