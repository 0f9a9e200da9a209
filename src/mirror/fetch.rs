//! Fetching files: once for all who want them, resumed where the upstream breaks off, and kept only if they are right.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::mapref::entry::Entry;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, LAST_MODIFIED};
use reqwest::{Response, StatusCode};
use std::io::Read;
use std::ops::Range;
use tokio::sync::{Mutex, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use url::Url;

use super::Mirrors;
use super::error::{FetchError, UpstreamError};
use super::settings::Mirror;
use super::transfer::Transfer;
use super::upstream::{FilePart, content_range, shown, text};
use super::verify::verify;
use crate::archive;
use crate::pep::digest::Sha256;
use crate::pep::filename::is_wheel;
use crate::pep::name::ProjectName;
use crate::pep::simple::CoreMetadata;
use crate::storage::StorageError;
use crate::storage::files::{ArrivingFile, IncomingFile, ReceivedFile, References, StoredFile};
use crate::storage::meta::{ChangeSet, CommitError, Operation};
use crate::storage::mirrored::{FetchedContent, FetchedPart, FetchedState, MirrorFile};

/// How long bytes lie in memory before they are written, so that those who read along get them.
const FLUSH_PAUSE: Duration = Duration::from_millis(50);

/// The pause before a file is taken up again for the first time; it doubles.
const RESUME_PAUSE: Duration = Duration::from_millis(100);

/// With so many bytes more, being cut off again counts as the first time.
const PROGRESS_BYTES: u64 = 1024 * 1024;

/// How much is unpacked at once.
const UNPACKED_PIECE: usize = 256 * 1024;

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
            let fetch = Fetch {
                mirrors: &ending.mirrors,
                mirror: &mirror,
                project: &project,
                file: &ending.file,
                transfer: &ending.transfer,
            };
            let outcome = fetch.run().await;
            match &outcome {
                Ok(content) => info!(
                    path = ending.file.path.as_str(),
                    size_bytes = content.size,
                    "fetched {}",
                    ending.file.path
                ),
                Err(error) => {
                    warn!(path = ending.file.path.as_str(), "cannot fetch {}: {error}", ending.file.path);
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
    mirrors: &'a Arc<Mirrors>,
    mirror: &'a Mirror,
    project: &'a ProjectName,
    file: &'a MirrorFile,
    transfer: &'a Transfer,
}

/// What the upstream says of a file when it begins to send it.
struct Head {
    size: Option<u64>,
    /// By what it tells whether the file is still the same.
    validator: Option<String>,
    modified: Option<Timestamp>,
    /// Whether the bytes may be packed once more than the file is.
    is_packed: bool,
}

impl Fetch<'_> {
    async fn run(&self) -> Result<FetchedContent, FetchError> {
        if let Some(content) = self.find_kept().await.map_err(|error| self.storage_error(error))? {
            return Ok(content);
        }
        let permit = self.mirrors.file_permits.acquire().await;
        let _permit = permit.map_err(|_| self.failed("the server is stopping"))?;
        let url = Url::parse(&self.file.read.url).map_err(|error| self.failed(&error.to_string()))?;
        let response = self.ask(&url, FilePart::Whole).await?;
        if response.status() != StatusCode::OK {
            return Err(self.status(i32::from(response.status().as_u16())));
        }
        let head = Head::read(response.headers());
        let incoming = self.mirrors.files.receive().await.map_err(|error| self.storage_error(error))?;
        let size = head.size.or(self.file.read.size).filter(|_| !head.is_packed);
        self.transfer.begin(incoming.arriving(), size, head.modified);
        let received = self.receive(&url, response, &head, incoming).await?;
        let received = self.verify(received).await;
        let received = match received {
            Err((error, Some(received))) if head.is_packed => {
                self.unpack(received).await.map_err(|_| error)?
            }
            Err((error, _)) => return Err(error),
            Ok(received) => received,
        };
        self.keep(received, head.modified).await
    }

    /// The content, if somebody else has fetched it since it was asked for.
    async fn find_kept(&self) -> Result<Option<FetchedContent>, StorageError> {
        let state = self.mirrors.meta.snapshot().await?.get_fetched(&self.file.path).await?;
        let FetchedState::Present(fetched) = state else { return Ok(None) };
        let Some(content) = fetched.content else { return Ok(None) };
        let Some(kept) = self.mirrors.files.open(&content.sha256).await? else { return Ok(None) };
        if kept.size() != content.size {
            return Ok(None);
        }
        self.transfer.begin(Arc::new(KeptFile(Mutex::new(kept))), Some(content.size), Some(content.modified));
        Ok(Some(content))
    }

    async fn ask(&self, url: &Url, part: FilePart<'_>) -> Result<Response, FetchError> {
        match self.mirrors.client.get_file(self.mirror, url, part).await {
            Ok(response) => Ok(response),
            Err(UpstreamError::Failed(cause)) => Err(self.failed(&cause)),
            Err(error) => {
                warn!("cannot reach the upstream of {}: {error}", self.mirror.index);
                Err(self.status(-1))
            }
        }
    }

    /// Takes the bytes in, until there are as many as there should be.
    async fn receive(
        &self,
        url: &Url,
        response: Response,
        head: &Head,
        mut incoming: Box<dyn IncomingFile>,
    ) -> Result<Box<dyn ReceivedFile>, FetchError> {
        let mut answer = FileAnswer { response, first: None };
        let mut taken = 0;
        let mut resumed_at = 0;
        let mut resumes = 0;
        loop {
            let cut = self.receive_body(&mut answer, head, incoming.as_mut(), &mut taken).await?;
            let Some(cut) = cut else { break };
            if taken > resumed_at + PROGRESS_BYTES {
                resumes = 0;
            }
            if resumes >= self.mirrors.options.limits.resumes || head.is_packed {
                return Err(self.cut_off(head, taken));
            }
            let pause = RESUME_PAUSE * 2_u32.saturating_pow(u32::try_from(resumes).unwrap_or(u32::MAX));
            info!("{} was cut off after {taken} bytes, and is taken up again: {cut}", shown(url));
            sleep(pause.min(self.mirrors.options.request_timeout)).await;
            (resumes, resumed_at) = (resumes + 1, taken);
            answer = match self.resume(url, head, taken).await? {
                Some(answer) => answer,
                None => return Err(self.cut_off(head, taken)),
            };
        }
        incoming.finish().await.map_err(|error| self.storage_error(error))
    }

    /// Takes the body of one answer in. Returns why it ended too early, if it did.
    async fn receive_body(
        &self,
        answer: &mut FileAnswer,
        head: &Head,
        incoming: &mut dyn IncomingFile,
        taken: &mut u64,
    ) -> Result<Option<String>, FetchError> {
        let limits = self.mirrors.options.limits;
        let storage = |error| self.storage_error(error);
        loop {
            let piece = match timeout(FLUSH_PAUSE, answer.next_piece()).await {
                Err(_) => {
                    let written = incoming.flush().await.map_err(storage)?;
                    self.release(head, written);
                    continue;
                }
                Ok(Err(error)) => return Ok(Some(super::upstream::causes(&error.without_url()))),
                Ok(Ok(None)) => {
                    let short = head.size.is_some_and(|size| *taken < size);
                    return Ok(short.then(|| "the body ended too early".to_owned()));
                }
                Ok(Ok(Some(piece))) => piece,
            };
            *taken += piece.len() as u64;
            let limit = head.size.unwrap_or(u64::MAX).min(limits.file_size);
            if *taken > limit {
                return Err(FetchError::Size {
                    url: Arc::clone(&self.file.read.url),
                    expected: limit,
                    got: *taken,
                });
            }
            incoming.write(piece).await.map_err(storage)?;
            self.release(head, incoming.written());
        }
    }

    /// Lets all bytes out but the last ones: those only when the file has turned out to be right.
    fn release(&self, head: &Head, written: u64) {
        if head.is_packed {
            return;
        }
        let held_back = self.mirrors.options.limits.held_back.max(1);
        let end = head.size.unwrap_or(written).min(written.saturating_add(held_back));
        self.transfer.release(written.min(end.saturating_sub(held_back)));
    }

    /// The rest of a file that was cut off; `None` if the upstream does not give it.
    async fn resume(&self, url: &Url, head: &Head, taken: u64) -> Result<Option<FileAnswer>, FetchError> {
        let response = match self.ask(url, FilePart::From(taken, head.validator.as_deref())).await {
            Ok(response) => response,
            Err(FetchError::Status { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = content_range(response.headers());
                let fits = range.is_some_and(|(first, _, size)| {
                    first == taken && head.size.is_none_or(|expected| expected == size)
                });
                Ok(fits.then_some(FileAnswer { response, first: None }))
            }
            // From the start again. If it is another file, the hash tells.
            StatusCode::OK => Ok(FileAnswer { response, first: None }.without(taken).await),
            _ => Ok(None),
        }
    }

    /// Whether the file is the right one, on a thread that may block.
    async fn verify(
        &self,
        received: Box<dyn ReceivedFile>,
    ) -> Result<Box<dyn ReceivedFile>, (FetchError, Option<Box<dyn ReceivedFile>>)> {
        let read = self.file.read.clone();
        let verified = spawn_blocking(move || match verify(&read, received.as_ref()) {
            Ok(()) => Ok(received),
            Err(error) => Err((error, Some(received))),
        });
        verified.await.unwrap_or_else(|error| Err((self.storage_error(error.into()), None)))
    }

    /// Some servers call a packed file one that is packed for the way.
    async fn unpack(&self, packed: Box<dyn ReceivedFile>) -> Result<Box<dyn ReceivedFile>, FetchError> {
        let storage = |error| self.storage_error(error);
        let mut incoming = self.mirrors.files.receive().await.map_err(storage)?;
        let (pieces, mut arriving) = mpsc::channel::<std::io::Result<Bytes>>(2);
        let file = packed.open().map_err(storage)?;
        let unpacking = spawn_blocking(move || {
            let mut decoder = MultiGzDecoder::new(file);
            loop {
                let mut piece = vec![0; UNPACKED_PIECE];
                let outcome = match decoder.read(&mut piece) {
                    Ok(0) => return,
                    Ok(count) => {
                        piece.truncate(count);
                        Ok(Bytes::from(piece))
                    }
                    Err(error) => Err(error),
                };
                let failed = outcome.is_err();
                if pieces.blocking_send(outcome).is_err() || failed {
                    return;
                }
            }
        });
        let mut taken = 0;
        while let Some(piece) = arriving.recv().await {
            let piece = piece.map_err(|error| self.failed(&error.to_string()))?;
            taken += piece.len() as u64;
            if taken > self.mirrors.options.limits.file_size {
                return Err(self.failed("the unpacked file is too large"));
            }
            incoming.write(piece).await.map_err(storage)?;
        }
        unpacking.await.map_err(|error| self.storage_error(error.into()))?;
        self.transfer.replace(incoming.arriving());
        let received = incoming.finish().await.map_err(storage)?;
        self.verify(received).await.map_err(|(error, _)| error)
    }

    /// Makes the file durable and names it. Until that is done the last bytes are held back: whoever asks after that
    /// finds the file here.
    async fn keep(
        &self,
        received: Box<dyn ReceivedFile>,
        modified: Option<Timestamp>,
    ) -> Result<FetchedContent, FetchError> {
        let storage = |error| self.storage_error(error);
        let now = self.mirrors.clock.now();
        let (received, core_metadata) = self.read_core_metadata(received).await.map_err(storage)?;
        let content = FetchedContent {
            sha256: received.digests().sha256,
            size: received.size(),
            modified: modified.unwrap_or(now),
        };
        let lease = received.keep().await.map_err(storage)?;
        let mut change = ChangeSet::new(None, now);
        let mut document = None;
        if let Some(body) = core_metadata {
            let sha256 = Sha256::of(&body);
            document = Some(sha256);
            change = change.with(Operation::PutDocument(sha256, body));
        }
        let change = change.with(Operation::PutFetched {
            index: self.mirror.index.clone(),
            project: self.project.clone(),
            path: self.file.path.clone(),
            part: FetchedPart::Content(content, document),
        });
        let outcome = self.mirrors.meta.commit(change).await;
        let settled = match &outcome {
            Ok(_) => lease.confirm().await,
            Err(_) => lease.discard(self.mirrors.as_ref()).await,
        };
        // What is left over is settled at the next start.
        if let Err(cause) = settled {
            warn!("cannot settle a content: {:#}", anyhow::Error::from(cause));
        }
        match outcome {
            Ok(_) => Ok(content),
            Err(CommitError::Outdated) => Err(self.failed("the index has gone")),
            Err(CommitError::Storage(error)) => Err(self.storage_error(error)),
        }
    }

    /// The core metadata in a wheel, unless the upstream's page speaks of others.
    async fn read_core_metadata(
        &self,
        received: Box<dyn ReceivedFile>,
    ) -> Result<(Box<dyn ReceivedFile>, Option<Vec<u8>>), StorageError> {
        if !is_wheel(&self.file.read.file_name) {
            return Ok((received, None));
        }
        let (name, limits) = (Arc::clone(&self.file.read.file_name), self.mirrors.options.limits.archive);
        let reading = spawn_blocking(move || {
            let file = received.open()?;
            Ok::<_, StorageError>((archive::wheel_metadata(file, &name, &limits), received))
        });
        let (found, received) = reading.await??;
        let body = match found {
            Ok(body) => body,
            Err(error) => {
                warn!("{} has no readable metadata: {:#}", self.file.path, anyhow::Error::from(error));
                None
            }
        };
        let body = body.filter(|body| match self.file.read.core_metadata {
            CoreMetadata::Hashed(sha256) if sha256 != Sha256::of(body) => {
                warn!("the metadata in {} are not those of which the upstream's page speaks", self.file.path);
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
        let state = self.mirrors.meta.snapshot().await?.get_fetched(&self.file.path).await?;
        if let FetchedState::Present(fetched) = state
            && fetched.core_metadata.is_some_and(|before| before != Sha256::of(body))
        {
            warn!("the metadata of {} were others before the file was here", self.file.path);
        }
        Ok(())
    }

    fn cut_off(&self, head: &Head, taken: u64) -> FetchError {
        match head.size {
            Some(expected) => FetchError::Size { url: Arc::clone(&self.file.read.url), expected, got: taken },
            None => self.status(-1),
        }
    }

    fn status(&self, status: i32) -> FetchError {
        FetchError::Status { status, url: Arc::clone(&self.file.read.url) }
    }

    fn failed(&self, cause: &str) -> FetchError {
        FetchError::Failed { url: Arc::clone(&self.file.read.url), cause: cause.into() }
    }

    fn storage_error(&self, error: StorageError) -> FetchError {
        FetchError::of_storage(&self.file.read.url, error)
    }
}

/// An answer of an upstream with bytes of a file.
struct FileAnswer {
    response: Response,
    /// What comes before the rest of the body.
    first: Option<Bytes>,
}

impl FileAnswer {
    async fn next_piece(&mut self) -> reqwest::Result<Option<Bytes>> {
        match self.first.take() {
            Some(piece) => Ok(Some(piece)),
            None => self.response.chunk().await,
        }
    }

    /// The same without its first bytes, which are here already; `None` if it ends before.
    async fn without(mut self, bytes: u64) -> Option<Self> {
        let mut left = bytes;
        while left > 0 {
            let mut piece = self.response.chunk().await.ok()??;
            let passed_over = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            left -= passed_over as u64;
            let rest = piece.split_off(passed_over);
            self.first = (!rest.is_empty()).then_some(rest);
        }
        Some(self)
    }
}

impl Head {
    fn read(headers: &HeaderMap) -> Self {
        let is_packed = text(headers, &CONTENT_ENCODING)
            .is_some_and(|coding| matches!(coding.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip"));
        let modified = text(headers, &LAST_MODIFIED);
        let date = modified.as_deref().and_then(|date| httpdate::parse_http_date(date).ok());
        // Only a strong validator says that bytes can be joined (RFC 9110, section 13.1.5).
        let etag = text(headers, &ETAG).filter(|etag| etag.starts_with('"'));
        Self {
            size: text(headers, &CONTENT_LENGTH).and_then(|length| length.trim().parse().ok()),
            validator: etag.or(modified),
            modified: date.and_then(|date| Timestamp::try_from(date).ok()),
            is_packed,
        }
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
