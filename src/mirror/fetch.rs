//! Fetching files: once for all who want them, resumed where the upstream breaks off, and kept only if they are right.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::mapref::entry::Entry;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::Mirrors;
use super::download::Source;
use super::error::FetchError;
use super::settings::Mirror;
use super::transfer::Transfer;
use super::verify::verify;
use crate::archive;
use crate::pep::digest::Sha256;
use crate::pep::filename::is_wheel;
use crate::pep::name::ProjectName;
use crate::pep::simple::CoreMetadata;
use crate::storage::StorageError;
use crate::storage::files::{ArrivingFile, ReceivedFile, References, StoredFile};
use crate::storage::meta::{ChangeSet, CommitError, Operation};
use crate::storage::mirrored::{FetchedContent, FetchedPart, FetchedState, MirrorFile};

impl Mirrors {
    /// The file on its way: joined where it is under way, else fetched from now on.
    pub fn fetch(
        self: &Arc<Self>,
        mirror: &Mirror,
        project: &ProjectName,
        file: &MirrorFile,
    ) -> Arc<Transfer> {
        let transfer = match self.transfers.entry(file.path.clone()) {
            Entry::Occupied(transfer) => return Arc::clone(transfer.get()),
            Entry::Vacant(place) => Arc::clone(&place.insert(Arc::new(Transfer::new()))),
        };
        let ending =
            Ending { mirrors: Arc::clone(self), file: file.clone(), transfer: Arc::clone(&transfer) };
        let (mirror, project) = (mirror.clone(), project.clone());
        self.spawn(async move {
            let source = Source {
                mirrors: &ending.mirrors,
                mirror: &mirror,
                file: &ending.file,
                transfer: &ending.transfer,
            };
            let fetch = Fetch { mirrors: &ending.mirrors, project: &project, source };
            let outcome = fetch.run().await;
            match &outcome {
                Ok(content) => info!(
                    path = ending.file.path.as_str(),
                    size_bytes = content.size,
                    "fetched {}",
                    ending.file.path
                ),
                Err(error) => {
                    let (path, cause) = (ending.file.path.as_str(), error.describe());
                    warn!(path, "cannot fetch {path}: {cause}");
                }
            }
            ending.end(outcome);
        });
        transfer
    }
}

/// Ends a transfer, whatever becomes of its work.
struct Ending {
    mirrors: Arc<Mirrors>,
    file: MirrorFile,
    transfer: Arc<Transfer>,
}

impl Ending {
    fn end(&self, outcome: Result<FetchedContent, FetchError>) {
        // First nobody joins any more: what was fetched is in the store.
        self.mirrors.transfers.remove_if(&self.file.path, |_, other| Arc::ptr_eq(other, &self.transfer));
        self.transfer.end_once(outcome);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let url = Arc::clone(&self.file.read.url);
        self.end(Err(FetchError::Failed { url, cause: "it was given up".into() }));
    }
}

/// One file that is fetched.
struct Fetch<'a> {
    mirrors: &'a Mirrors,
    project: &'a ProjectName,
    source: Source<'a>,
}

impl Fetch<'_> {
    async fn run(&self) -> Result<FetchedContent, FetchError> {
        if let Some(content) = self.find_kept().await.map_err(|error| self.source.storage_error(error))? {
            return Ok(content);
        }
        let _permit = self.mirrors.permits.file(&self.source.mirror.index).await?;
        let (received, head) = self.source.download().await?;
        let received = match self.verify(received).await {
            Ok(received) => received,
            Err((error, Some(received))) if head.is_packed => {
                let unpacked = self.source.unpack(received).await.map_err(|_| error)?;
                self.verify(unpacked).await.map_err(|(error, _)| error)?
            }
            Err((error, _)) => return Err(error),
        };
        self.keep(received, head.modified).await
    }

    /// The content, if somebody else has fetched it since it was asked for.
    async fn find_kept(&self) -> Result<Option<FetchedContent>, StorageError> {
        let state = self.mirrors.meta.snapshot().await?.get_fetched(&self.source.file.path).await?;
        let FetchedState::Present(fetched) = state else { return Ok(None) };
        let Some(content) = fetched.content else { return Ok(None) };
        let Some(kept) = self.mirrors.files.open(&content.sha256).await? else { return Ok(None) };
        if kept.size() != content.size {
            return Ok(None);
        }
        self.source.transfer.begin(
            Arc::new(KeptFile(Mutex::new(kept))),
            Some(content.size),
            Some(content.modified),
        );
        Ok(Some(content))
    }

    /// Whether the file is the right one, on a thread that may block.
    async fn verify(
        &self,
        received: Box<dyn ReceivedFile>,
    ) -> Result<Box<dyn ReceivedFile>, (FetchError, Option<Box<dyn ReceivedFile>>)> {
        let read = self.source.file.read.clone();
        let verified = spawn_blocking(move || match verify(&read, received.as_ref()) {
            Ok(()) => Ok(received),
            Err(error) => Err((error, Some(received))),
        });
        verified.await.unwrap_or_else(|error| Err((self.source.storage_error(error.into()), None)))
    }

    /// Makes the file durable and names it. Until that is done the last bytes are held back: whoever asks after that
    /// finds the file here.
    async fn keep(
        &self,
        received: Box<dyn ReceivedFile>,
        modified: Option<Timestamp>,
    ) -> Result<FetchedContent, FetchError> {
        let storage = |error| self.source.storage_error(error);
        let now = self.mirrors.clock.now();
        let (received, core_metadata) = self.read_core_metadata(received).await.map_err(storage)?;
        let content = FetchedContent {
            sha256: received.sha256(),
            size: received.size(),
            modified: modified.unwrap_or(now),
        };
        let lease = received.keep(self.mirrors).await.map_err(storage)?;
        let mut change = ChangeSet::new(None, now);
        let mut document = None;
        if let Some(body) = core_metadata {
            let sha256 = Sha256::of(&body);
            document = Some(sha256);
            change = change.with(Operation::PutDocument(sha256, body));
        }
        let change = change.with(Operation::PutFetched {
            index: self.source.mirror.index.clone(),
            project: self.project.clone(),
            path: self.source.file.path.clone(),
            part: FetchedPart::Content(content, document),
        });
        let outcome = self.mirrors.meta.commit(change).await;
        let settled = match &outcome {
            Ok(_) => lease.confirm().await,
            Err(_) => lease.discard(self.mirrors).await,
        };
        // What is left over is settled at the next start.
        if let Err(cause) = settled {
            warn!("cannot settle a content: {:#}", anyhow::Error::from(cause));
        }
        match outcome {
            Ok(_) => Ok(content),
            Err(CommitError::Outdated) => Err(self.source.failed("the index has gone")),
            Err(CommitError::Storage(error)) => Err(self.source.storage_error(error)),
        }
    }

    /// The core metadata in a wheel, unless the upstream's page speaks of others.
    async fn read_core_metadata(
        &self,
        received: Box<dyn ReceivedFile>,
    ) -> Result<(Box<dyn ReceivedFile>, Option<Vec<u8>>), StorageError> {
        if !is_wheel(&self.source.file.read.file_name) {
            return Ok((received, None));
        }
        let (name, limits) =
            (Arc::clone(&self.source.file.read.file_name), self.mirrors.options.limits.archive);
        let reading = spawn_blocking(move || {
            let file = received.open()?;
            Ok::<_, StorageError>((archive::wheel_metadata(file, &name, &limits), received))
        });
        let (found, received) = reading.await??;
        let body = match found {
            Ok(body) => body,
            Err(error) => {
                warn!("{} has no readable metadata: {:#}", self.source.file.path, anyhow::Error::from(error));
                None
            }
        };
        let body = body.filter(|body| match self.source.file.read.core_metadata {
            CoreMetadata::Hashed(sha256) if sha256 != Sha256::of(body) => {
                warn!(
                    "the metadata in {} are not those of which the upstream's page speaks",
                    self.source.file.path
                );
                false
            }
            _ => true,
        });
        self.compare_core_metadata(body.as_deref()).await?;
        Ok((received, body))
    }

    /// Those that were read from the upstream's wheel before it was here should have been these.
    async fn compare_core_metadata(&self, body: Option<&[u8]>) -> Result<(), StorageError> {
        let Some(body) = body else { return Ok(()) };
        let state = self.mirrors.meta.snapshot().await?.get_fetched(&self.source.file.path).await?;
        if let FetchedState::Present(fetched) = state
            && fetched.core_metadata.is_some_and(|before| before != Sha256::of(body))
        {
            warn!("the metadata of {} were others before the file was here", self.source.file.path);
        }
        Ok(())
    }
}

#[async_trait]
impl References for Mirrors {
    async fn is_referenced(&self, sha256: &Sha256) -> Result<bool, StorageError> {
        self.meta.snapshot().await?.is_referenced(sha256).await
    }
}

/// A file that is here already, for those who wanted to read along.
struct KeptFile(Mutex<Box<dyn StoredFile>>);

#[async_trait]
impl ArrivingFile for KeptFile {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.0.lock().await.read(range).await
    }
}
