//! Copying what is stored, while it is used.
//!
//! A copy of the metadata is made first, at one serial. Contents are never changed, and none that any link ever named is
//! removed by a server, so all that the copy names can be fetched afterwards.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::pep::digest::Sha256;
use crate::report::Report;
use crate::storage::StorageError;
use crate::storage::files::{FileStore, Transfer};
use crate::storage::meta::{NamedContent, Snapshot};

/// How many first bytes hashes have.
const PARTS: u64 = 256;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupSummary {
    /// Contents that are in the backup now.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that were not there before.
    pub new_files: u64,
    /// Their bytes.
    pub new_bytes: u64,
    /// Contents that the source has lost: they are missing, cannot be read, or have another size than is recorded.
    pub lost: u64,
}

/// Brings the contents that `copy` names from one store to another, as links where that is possible, `parallel` at once.
/// Those that are there already are not touched. What the source has lost is reported as an error.
pub async fn copy_contents(
    copy: &mut dyn Snapshot,
    source: &dyn FileStore,
    target: &dyn FileStore,
    parallel: usize,
    report: &Report,
) -> Result<BackupSummary, StorageError> {
    let mut summary = BackupSummary::default();
    for first in 0..=u8::MAX {
        let named = copy.list_contents(first).await?;
        if first == 0 {
            // Hashes are even: each part has as many as any other, about.
            report.expect(named.len() as u64 * PARTS);
        }
        let here: HashSet<(Sha256, u64)> = source.list(first).await?.into_iter().collect();
        let present: HashSet<(Sha256, u64)> = target.list(first).await?.into_iter().collect();
        let mut missing = named;
        // What is in both is done. What only the backup has any more is looked for, and missed.
        missing.retain(|sha256, content| {
            let key = (*sha256, content.size);
            let is_done = here.contains(&key) && present.contains(&key);
            if is_done {
                summary.files += 1;
                summary.bytes += content.size;
            }
            !is_done
        });
        // Each takes the time of some lookups on the disk, in which others can go on.
        let copied = stream::iter(missing).map(|(sha256, content)| async move {
            let fault = copy_content(source, target, &sha256, content.size).await?;
            Ok::<_, StorageError>((sha256, content, fault))
        });
        let mut copied = copied.buffer_unordered(parallel).boxed_local();
        while let Some((sha256, NamedContent { size, is_present }, fault)) = copied.try_next().await? {
            let kept = present.contains(&(sha256, size));
            if kept {
                summary.files += 1;
                summary.bytes += size;
            }
            match fault {
                None if kept => {}
                None => {
                    summary.files += 1;
                    summary.bytes += size;
                    summary.new_files += 1;
                    summary.new_bytes += size;
                }
                // Of a removed file nobody asks for it any more.
                Some(_) if !is_present => {}
                Some(fault) => {
                    summary.lost += 1;
                    let kept = if kept { "; the backup still has it" } else { "" };
                    report.fail(format_args!("the content {sha256} {fault}{kept}"));
                }
            }
        }
        report.advance((summary.files + summary.lost).saturating_sub(report.done()));
    }
    target.sync().await?;
    Ok(summary)
}

/// Returns what is wrong with a content that cannot be copied.
async fn copy_content(
    source: &dyn FileStore,
    target: &dyn FileStore,
    sha256: &Sha256,
    size: u64,
) -> Result<Option<String>, StorageError> {
    match copy_readable(source, target, sha256, size).await {
        Err(StorageError::Unreadable(cause)) => Ok(Some(format!("cannot be read: {cause}"))),
        copied => copied,
    }
}

async fn copy_readable(
    source: &dyn FileStore,
    target: &dyn FileStore,
    sha256: &Sha256,
    size: u64,
) -> Result<Option<String>, StorageError> {
    let Some(content) = source.open(sha256).await? else { return Ok(Some("is missing".to_owned())) };
    if content.size() != size {
        return Ok(Some(format!("has {} bytes, not the {size} that are recorded", content.size())));
    }
    target.take_local(&source.local_path(sha256), sha256, Transfer::Link).await?;
    Ok(None)
}

/// Removes the contents that `copy` does not name. Returns how many.
pub async fn remove_others(copy: &mut dyn Snapshot, target: &dyn FileStore) -> Result<u64, StorageError> {
    let mut removed = 0;
    for first in 0..=u8::MAX {
        let named = copy.list_contents(first).await?;
        for (sha256, _) in target.list(first).await? {
            if !named.contains_key(&sha256) {
                removed += u64::from(target.remove(&sha256).await?);
            }
        }
    }
    Ok(removed)
}
