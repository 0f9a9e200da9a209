//! Results of test runs (`server-api` section 15): JSON that `devpi test` posts to the release file it is about.

use std::io::BufReader;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::IgnoredAny;

use super::acl::Caller;
use super::index::find_index;
use super::registry::{Decision, Registry};
use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::files::ReceivedFile;
use crate::storage::meta::{ChangeSet, Expectation, Operation, Snapshot};
use crate::storage::model::{FileState, IndexName, Link, LogEntry, Relation, Serial, Stored, StoredPath};

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
    ///
    /// # Panics
    ///
    /// Outside of a `LocalSet`: HTTP workers have one.
    pub async fn upload_tox_result(
        self: &Arc<Self>,
        caller: &Caller,
        index: &IndexName,
        path: &StoredPath,
        received: Box<dyn ReceivedFile>,
    ) -> Result<StoredToxResult, ToxResultError> {
        let received = check_json(received).await?;
        let (sha256, size) = (received.digests().sha256, received.size());
        let (caller, index, path) = (caller.clone(), index.clone(), path.clone());
        let commit = async move |registry: &Self| {
            registry.commit_tox_result(&caller, &index, &path, sha256, size).await
        };
        self.store_content(received, |_| true, commit).await
    }

    async fn commit_tox_result(
        &self,
        caller: &Caller,
        index: &IndexName,
        path: &StoredPath,
        sha256: Sha256,
        size: u64,
    ) -> Result<StoredToxResult, ToxResultError> {
        self.change(async |snapshot| {
            let subject = self.require_subject(snapshot, caller, index, path).await?;
            let Link { project, version, .. } = &subject.link;
            let links = snapshot.list_links(index, project.normal(), Some(version)).await?;
            let now = self.clock.now();
            let who = caller.name().cloned();
            let path = free_path(&subject.link, &links, now);
            let link = Link {
                relation: Relation::ToxResult,
                for_path: Some(subject.link.path.clone()),
                file_name: path.file_name().into(),
                path: path.clone(),
                project: project.clone(),
                version: Arc::clone(version),
                sha256,
                size,
                uploaded_at: now,
                core_metadata: None,
                log: vec![LogEntry::Upload { who: who.clone(), when: now, dst: index.clone() }],
            };
            let change = ChangeSet::new(who, now)
                .expect(Expectation::Index(index.clone(), Some(subject.index_changed_at)))
                .expect(Expectation::Project(index.clone(), project.clone(), subject.project_changed_at))
                .with(Operation::AddLink(index.clone(), Box::new(link)));
            Ok(Decision::write(change, StoredToxResult { path, sha256 }))
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

/// Where the next result for `subject` goes: the number of results before it is part of the name, or a higher one
/// where some were deleted.
fn free_path(subject: &Link, links: &[Stored<Link>], now: Timestamp) -> StoredPath {
    let results = links.iter().filter(|link| link.value.for_path.as_ref() == Some(&subject.path));
    let mut number = results.count();
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
        let file = BufReader::new(received.open()?);
        match serde_json::from_reader::<_, IgnoredAny>(file) {
            Ok(_) => Ok(received),
            Err(error) if error.is_io() => Err(StorageError::from(std::io::Error::from(error)).into()),
            Err(_) => Err(ToxResultError::NotJson),
        }
    });
    checked.await.map_err(StorageError::from)?
}
