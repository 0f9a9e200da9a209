//! Small documents beside files: core metadata (PEP 658) and provenance objects (PEP 740).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;
use tracing::warn;
use url::Url;

use super::Mirrors;
use super::check::later;
use super::error::{FetchError, UpstreamError};
use super::permits::BodyMemory;
use super::remote_zip::RemoteMetadata;
use super::settings::Mirror;
use super::upstream::shown;
use crate::pep::digest::Sha256;
use crate::pep::filename::is_wheel;
use crate::pep::metadata::is_core_metadata;
use crate::pep::name::ProjectName;
use crate::pep::simple::CoreMetadata;
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, CommitError, Operation};
use crate::storage::mirrored::{FetchedFile, FetchedPart, FetchedState, MirrorFile};
use crate::storage::model::StoredPath;

/// The largest provenance object.
const MAX_PROVENANCE_BYTES: usize = 1024 * 1024;

/// For how long at the least core metadata are not looked for again where there were none.
const MIN_PAUSE: Duration = Duration::from_mins(1);

/// A document.
#[derive(Debug)]
pub struct Document {
    /// Its bytes.
    pub body: Vec<u8>,
    /// Their hash.
    pub sha256: Sha256,
}

impl Document {
    fn new(body: Vec<u8>) -> Self {
        Self { sha256: Sha256::of(&body), body }
    }
}

/// What looking for a document came to; `None` if there is none.
pub(super) type Outcome = Result<Option<Arc<Document>>, FetchError>;

/// Which document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    CoreMetadata,
    Provenance,
}

impl Mirrors {
    /// The core metadata of a file: those that are here, else from the upstream, else out of the upstream's wheel.
    /// `None` if it has none.
    pub async fn core_metadata(
        self: &Arc<Self>,
        mirror: &Mirror,
        project: &ProjectName,
        file: &MirrorFile,
    ) -> Outcome {
        let storage = |error| FetchError::of_storage(&file.read.url, error);
        if let Some(document) = self.find_document(file, Kind::CoreMetadata).await.map_err(storage)? {
            return Ok(Some(document));
        }
        // What is not in a wheel that is here is nowhere, unless the page speaks of it.
        let is_silent = file.read.core_metadata == CoreMetadata::Absent;
        if is_silent && self.is_here(file).await.map_err(storage)? {
            return Ok(None);
        }
        let may_have = !is_silent || is_wheel(&file.read.file_name);
        if !may_have
            || self.is_recent(self.expiry(mirror).max(MIN_PAUSE), self.without_core_metadata.get(&file.path))
        {
            return Ok(None);
        }
        if self.options.offline {
            return Err(FetchError::Offline { url: Arc::clone(&file.read.url) });
        }
        self.share(mirror, project, file, Kind::CoreMetadata).await
    }

    /// The provenance object of a file: the upstream's, or the last one if that does not help.
    pub async fn provenance(
        self: &Arc<Self>,
        mirror: &Mirror,
        project: &ProjectName,
        file: &MirrorFile,
    ) -> Outcome {
        let storage = |error| FetchError::of_storage(&file.read.url, error);
        let held = self.find_document(file, Kind::Provenance).await.map_err(storage)?;
        let is_current = self.is_recent(self.expiry(mirror), self.provenances.get(&file.path));
        match held {
            Some(document) if is_current || self.options.offline => Ok(Some(document)),
            None if self.options.offline => Err(FetchError::Offline { url: Arc::clone(&file.read.url) }),
            held => match (self.share(mirror, project, file, Kind::Provenance).await, held) {
                (Err(error), Some(document)) => {
                    warn!("the provenance of {} is shown as it was: {}", file.path, error.describe());
                    Ok(Some(document))
                }
                (outcome, _) => outcome,
            },
        }
    }

    async fn is_here(&self, file: &MirrorFile) -> Result<bool, StorageError> {
        let state = self.meta.snapshot().await?.get_fetched(&file.path).await?;
        Ok(matches!(state, FetchedState::Present(fetched) if fetched.content.is_some()))
    }

    /// Whether a document was looked for so lately that the outcome still counts.
    fn is_recent(&self, pause: Duration, looked_at: Option<Timestamp>) -> bool {
        looked_at.is_some_and(|looked_at| self.clock.now() < later(looked_at, pause))
    }

    async fn find_document(
        &self,
        file: &MirrorFile,
        kind: Kind,
    ) -> Result<Option<Arc<Document>>, StorageError> {
        let mut snapshot = self.meta.snapshot().await?;
        let FetchedState::Present(fetched) = snapshot.get_fetched(&file.path).await? else { return Ok(None) };
        let FetchedFile { core_metadata, provenance, .. } = *fetched;
        let sha256 = match kind {
            // Another document than the page speaks of is of no use.
            Kind::CoreMetadata => core_metadata.filter(|sha256| match file.read.core_metadata {
                CoreMetadata::Hashed(expected) => *sha256 == expected,
                _ => true,
            }),
            Kind::Provenance => provenance,
        };
        let Some(sha256) = sha256 else { return Ok(None) };
        let body = snapshot.get_document(&sha256).await?;
        Ok(body.map(|body| Arc::new(Document { body, sha256 })))
    }

    /// Looks for a document at the upstream, once for all who want it.
    async fn share(
        self: &Arc<Self>,
        mirror: &Mirror,
        project: &ProjectName,
        file: &MirrorFile,
        kind: Kind,
    ) -> Outcome {
        let key = StoredPath::new(format!("{}{}", file.path, kind.suffix()));
        let flight = self.document_flights.join_or_start(
            &key,
            || None,
            |landing| {
                let (mirrors, mirror, project, file) =
                    (Arc::clone(self), mirror.clone(), project.clone(), file.clone());
                self.spawn(async move {
                    landing.land(mirrors.look_for(&mirror, &project, &file, kind).await);
                });
            },
        );
        let given_up =
            || Err(FetchError::Failed { url: Arc::clone(&file.read.url), cause: "it was given up".into() });
        flight.wait().await.unwrap_or_else(given_up)
    }

    async fn look_for(
        self: &Arc<Self>,
        mirror: &Mirror,
        project: &ProjectName,
        file: &MirrorFile,
        kind: Kind,
    ) -> Outcome {
        let asking = async {
            let permit = self.permits.page(&mirror.index).await;
            let _permit = permit.map_err(|_| FetchError::Busy(mirror.index.clone()))?;
            match kind {
                Kind::CoreMetadata => self.ask_for_core_metadata(mirror, project, file).await,
                Kind::Provenance => self.ask_for_provenance(mirror, file).await,
            }
        };
        let found = timeout(self.options.limits.page_time, asking).await;
        // The memory is that of the document until it is kept: then clients read it from there.
        let (document, _memory) = match found.map_err(|_| failed(file, "a document took too long"))?? {
            Found::Document(document, memory) => (document, memory),
            Found::Nothing => {
                if kind == Kind::CoreMetadata {
                    self.without_core_metadata.insert(file.path.clone(), self.clock.now());
                }
                return Ok(None);
            }
            Found::OnlyInFile => {
                self.fetch(mirror, project, file).finished().await?;
                let kept = self.find_document(file, kind).await;
                return kept.map_err(|error| FetchError::of_storage(&file.read.url, error));
            }
        };
        self.keep_document(mirror, project, file, kind, &document).await?;
        Ok(Some(Arc::new(document)))
    }

    async fn ask_for_core_metadata(
        self: &Arc<Self>,
        mirror: &Mirror,
        project: &ProjectName,
        file: &MirrorFile,
    ) -> Result<Found, FetchError> {
        let url = Url::parse(&file.read.url).map_err(|error| failed(file, &error.to_string()))?;
        let hash = match file.read.core_metadata {
            CoreMetadata::Hashed(hash) => Some(hash),
            _ => None,
        };
        let is_right = |document: &Document| hash.is_none_or(|hash| document.sha256 == hash);
        if file.read.core_metadata != CoreMetadata::Absent {
            let mut beside = url.clone();
            beside.set_path(&format!("{}.metadata", url.path()));
            let (limit, memory) = (self.options.limits.document_size, self.permits.body(&mirror.index));
            match self.client.get_document(mirror, &beside, limit, memory).await {
                Ok(Some((body, memory))) => {
                    let document = Document::new(body);
                    // What is kept is kept for good, so it must not be a page that some proxy sends for everything.
                    if is_right(&document) && (hash.is_some() || is_core_metadata(&document.body, project)) {
                        return Ok(Found::Document(document, memory));
                    }
                    warn!("{} is not the metadata of which the upstream's page speaks", shown(&beside));
                }
                Ok(None) => {}
                Err(error @ (UpstreamError::Unreachable { .. } | UpstreamError::Resting { .. })) => {
                    warn!("cannot get {}: {error}", shown(&beside));
                    return Err(FetchError::Status { status: -1, url: shown(&beside) });
                }
                Err(error) => warn!("cannot get {}: {error}", shown(&beside)),
            }
        }
        match self.read_remote_metadata(mirror, &url, &file.read.file_name).await? {
            RemoteMetadata::Found(body, memory) => {
                let document = Document::new(body);
                if is_right(&document) {
                    return Ok(Found::Document(document, memory));
                }
                Err(failed(file, "the metadata in it are not those of which the upstream's page speaks"))
            }
            RemoteMetadata::Absent => Ok(Found::Nothing),
            RemoteMetadata::NoRanges => Ok(Found::OnlyInFile),
        }
    }

    async fn ask_for_provenance(&self, mirror: &Mirror, file: &MirrorFile) -> Result<Found, FetchError> {
        let Some(provenance) = &file.read.provenance else { return Ok(Found::Nothing) };
        let url = Url::parse(provenance).map_err(|error| failed(file, &error.to_string()))?;
        let memory = self.permits.body(&mirror.index);
        match self.client.get_document(mirror, &url, MAX_PROVENANCE_BYTES, memory).await {
            Ok(found) => {
                self.provenances.insert(file.path.clone(), self.clock.now());
                Ok(found
                    .map_or(Found::Nothing, |(body, memory)| Found::Document(Document::new(body), memory)))
            }
            Err(UpstreamError::Status { status, .. }) => {
                Err(FetchError::Status { status: status.into(), url: shown(&url) })
            }
            Err(error) => {
                warn!("cannot get {}: {error}", shown(&url));
                Err(FetchError::Status { status: -1, url: shown(&url) })
            }
        }
    }

    async fn keep_document(
        &self,
        mirror: &Mirror,
        project: &ProjectName,
        file: &MirrorFile,
        kind: Kind,
        document: &Document,
    ) -> Result<(), FetchError> {
        let storage = |error| FetchError::of_storage(&file.read.url, error);
        let held = self.find_document(file, kind).await.map_err(storage)?;
        if held.is_some_and(|held| held.sha256 == document.sha256) {
            return Ok(());
        }
        let part = match kind {
            Kind::CoreMetadata => FetchedPart::CoreMetadata(document.sha256),
            Kind::Provenance => FetchedPart::Provenance(document.sha256),
        };
        let change = ChangeSet::new(None, self.clock.now())
            .with(Operation::PutDocument(document.sha256, document.body.clone()))
            .with(Operation::PutFetched {
                index: mirror.index.clone(),
                project: project.clone(),
                path: file.path.clone(),
                part,
            });
        match self.meta.commit(change).await {
            Ok(_) => Ok(()),
            Err(CommitError::Outdated) => Err(failed(file, "the index has gone")),
            Err(CommitError::Storage(error)) => Err(storage(error)),
        }
    }
}

/// Where core metadata were found.
enum Found {
    /// Here they are, with the memory that they take.
    Document(Document, BodyMemory),
    Nothing,
    /// The file has to be fetched as a whole.
    OnlyInFile,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::CoreMetadata => ".metadata",
            Self::Provenance => ".provenance",
        }
    }
}

fn failed(file: &MirrorFile, cause: &str) -> FetchError {
    FetchError::Failed { url: Arc::clone(&file.read.url), cause: cause.into() }
}
