//! Results of test runs (`server-api` section 15): JSON that `devpi test` posts to the release file it is about.

use std::io::{BufReader, Read};
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::IgnoredAny;

use super::acl::Caller;
use super::index::find_index;
use super::link::{Content, put_link, uploaded_link};
use super::registry::{Decision, Registry};
use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::files::ReceivedFile;
use crate::storage::meta::{ChangeSet, Expectation, Snapshot};
use crate::storage::model::{FileState, IndexName, Link, Relation, Serial, Stored, StoredPath};

/// How much of a result is looked at at once, in bytes.
const UTF8_PIECE: usize = 64 * 1024;

/// Why the result of a test run was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ToxResultError {
    /// The caller may not upload results here, or there is no such index.
    #[error(
        "No permission to upload tox results. You can use the devpi test --no-upload option to skip the upload."
    )]
    Forbidden,
    /// There is no release file at this path.
    #[error("no release file found at {0}")]
    UnknownFile(StoredPath),
    /// It is not JSON.
    #[error("Bad request: could not decode json")]
    NotJson,
    /// The file has as many results as it may have.
    #[error("{0} has {1} test results already, more are not kept")]
    TooMany(StoredPath, usize),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A stored result.
#[derive(Clone, Debug)]
pub struct StoredToxResult {
    /// Where it is.
    pub path: StoredPath,
    /// The hash of its bytes.
    pub sha256: Sha256,
}

/// The release file that a result is about.
struct Subject {
    link: Link,
    project_changed_at: Option<Serial>,
    index_changed_at: Serial,
}

impl Registry {
    /// Whether the caller may upload a result for the release file at `path` of `index`; asked before the body is
    /// looked at.
    pub async fn check_tox_result(
        &self,
        caller: &Caller,
        index: &IndexName,
        path: &StoredPath,
    ) -> Result<(), ToxResultError> {
        let mut snapshot = self.meta.snapshot().await?;
        self.require_subject(snapshot.as_mut(), caller, index, path).await.map(|_| ())
    }

    /// Stores a result for the release file at `path`, byte for byte. Any JSON will do.
    pub async fn upload_tox_result(
        self: &Arc<Self>,
        caller: &Caller,
        index: &IndexName,
        path: &StoredPath,
        received: Box<dyn ReceivedFile>,
    ) -> Result<StoredToxResult, ToxResultError> {
        let received = check_json(received).await?;
        let content = Content::of(received.as_ref());
        let (caller, index, path) = (caller.clone(), index.clone(), path.clone());
        let store = async move |registry: &Self| {
            let commit = async || registry.commit_tox_result(&caller, &index, &path, content).await;
            registry.store_content(received, |_| true, commit).await
        };
        self.complete(store).await
    }

    async fn commit_tox_result(
        &self,
        caller: &Caller,
        index: &IndexName,
        path: &StoredPath,
        content: Content,
    ) -> Result<StoredToxResult, ToxResultError> {
        self.change(async |snapshot| {
            let subject = self.require_subject(snapshot, caller, index, path).await?;
            let Link { project, version, .. } = &subject.link;
            let links = snapshot.list_links(index, project.normal(), Some(version)).await?;
            let results = results_for(&subject.link, &links).count();
            if results >= self.limits.tox_results {
                return Err(ToxResultError::TooMany(path.clone(), results));
            }
            let mut change = ChangeSet::new(caller.name().cloned(), self.clock.now())
                .expect(Expectation::Index(index.clone(), Some(subject.index_changed_at)))
                .expect(Expectation::Project(index.clone(), project.clone(), subject.project_changed_at));
            let path = free_path(&subject.link, &links, change.when);
            let (relation, for_path) = (Relation::ToxResult, Some(subject.link.path.clone()));
            let link = uploaded_link(&change, index, relation, path.clone(), project, version, content);
            put_link(&mut change, index, None, Link { for_path, ..link });
            Ok(Decision::write(change, StoredToxResult { path, sha256: content.sha256 }))
        })
        .await
    }

    async fn require_subject(
        &self,
        snapshot: &mut dyn Snapshot,
        caller: &Caller,
        index: &IndexName,
        path: &StoredPath,
    ) -> Result<Subject, ToxResultError> {
        let config = find_index(snapshot, index).await?.ok_or(ToxResultError::Forbidden)?;
        if !self.policy.may_upload_test_results(caller, &config.value) {
            return Err(ToxResultError::Forbidden);
        }
        let link = match snapshot.get_file(path).await? {
            FileState::Present(link) if link.value.relation == Relation::ReleaseFile => link.value,
            _ => return Err(ToxResultError::UnknownFile(path.clone())),
        };
        let project_changed_at = snapshot.get_project(index, link.project.normal()).await?;
        Ok(Subject { link, project_changed_at, index_changed_at: config.changed_at })
    }
}

fn results_for<'a>(subject: &Link, links: &'a [Stored<Link>]) -> impl Iterator<Item = &'a Stored<Link>> {
    links.iter().filter(|link| link.value.for_path.as_ref() == Some(&subject.path))
}

/// Where the next result for `subject` goes: the number of results before it is part of the name, or a higher one
/// where some were deleted.
fn free_path(subject: &Link, links: &[Stored<Link>], now: Timestamp) -> StoredPath {
    let mut number = results_for(subject, links).count();
    loop {
        let path = tox_result_path(&subject.path, now, number);
        if !links.iter().any(|link| link.value.path == path) {
            return path;
        }
        number += 1;
    }
}

/// The path of a result for the release file at `path`, in the same directory (as in devpi).
pub(super) fn tox_result_path(path: &StoredPath, now: Timestamp, number: usize) -> StoredPath {
    StoredPath::new(format!("{path}.toxresult-{}-{number}", now.strftime("%Y%m%d%H%M%S")))
}

/// Reads all of it, on a thread that may block.
async fn check_json(received: Box<dyn ReceivedFile>) -> Result<Box<dyn ReceivedFile>, ToxResultError> {
    let checked = tokio::task::spawn_blocking(move || {
        if !is_utf8(received.open()?)? {
            return Err(ToxResultError::NotJson);
        }
        match serde_json::from_reader::<_, IgnoredAny>(BufReader::new(received.open()?)) {
            Ok(_) => Ok(received),
            Err(error) if error.is_io() => Err(StorageError::from(std::io::Error::from(error)).into()),
            Err(_) => Err(ToxResultError::NotJson),
        }
    });
    checked.await.map_err(StorageError::from)?
}

/// Whether a file is UTF-8, which the JSON parser does not look at in texts that nobody reads.
fn is_utf8(mut file: impl Read) -> Result<bool, StorageError> {
    let mut buffer = vec![0; UTF8_PIECE];
    let mut pending = 0;
    loop {
        let count = file.read(&mut buffer[pending..])?;
        let filled = pending + count;
        match std::str::from_utf8(&buffer[..filled]) {
            Ok(_) => pending = 0,
            // The end of the piece may be the beginning of a character.
            Err(error) if error.error_len().is_none() && count > 0 => {
                buffer.copy_within(error.valid_up_to()..filled, 0);
                pending = filled - error.valid_up_to();
            }
            Err(_) => return Ok(false),
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Gives its pieces one by one.
    struct Pieces(VecDeque<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.pop_front().map_or(Ok(0), |mut piece| piece.read(buffer))
        }
    }

    #[test]
    fn characters_may_be_cut_in_two() {
        for (pieces, expected) in [
            (vec![b"".as_slice()], true),
            (vec![b"a\xc3", b"\xa4b"], true),
            (vec![b"\xf0\x9f", b"\x98", b"\x80"], true),
            (vec![b"a\xc3", b"b"], false),
            (vec![b"a\xc3"], false),
            (vec![b"\xff"], false),
        ] {
            assert_eq!(is_utf8(Pieces(pieces.clone().into())).unwrap(), expected, "{pieces:?}");
        }
    }
}
