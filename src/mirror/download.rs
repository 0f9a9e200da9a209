//! Taking the bytes of a file in: read along by clients, and taken up again where the upstream breaks off.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, LAST_MODIFIED};
use reqwest::{Response, StatusCode};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};
use url::Url;

use super::Mirrors;
use super::error::{FetchError, UpstreamError};
use super::headers::{content_range, text};
use super::links::main_hash;
use super::settings::Mirror;
use super::transfer::Transfer;
use super::upstream::{FilePart, causes, shown};
use crate::storage::StorageError;
use crate::storage::files::{IncomingFile, ReceivedFile};
use crate::storage::mirrored::MirrorFile;

/// How long bytes lie in memory before they are written, so that those who read along get them.
const FLUSH_PAUSE: Duration = Duration::from_millis(50);

/// The pause before a file is taken up again for the first time; it doubles.
const RESUME_PAUSE: Duration = Duration::from_millis(100);

/// With so many bytes more, being cut off again counts as the first time.
const PROGRESS_BYTES: u64 = 1024 * 1024;

/// With fewer bytes per second on the average, once the time for a page has passed, a file is given up: others wait for
/// their turn.
const SLOWEST: u64 = 1024;

/// How much is unpacked at once.
const UNPACKED_PIECE: usize = 256 * 1024;

/// What the upstream says of a file when it begins to send it.
pub(super) struct Head {
    size: Option<u64>,
    /// By what it tells whether the file is still the same.
    validator: Option<String>,
    pub(super) modified: Option<Timestamp>,
    /// Whether the bytes may be packed once more than the file is.
    pub(super) is_packed: bool,
}

/// A file of an upstream, and the transfer by which clients read along.
pub(super) struct Source<'a> {
    pub(super) mirrors: &'a Mirrors,
    pub(super) mirror: &'a Mirror,
    pub(super) file: &'a MirrorFile,
    pub(super) transfer: &'a Transfer,
}

impl Source<'_> {
    /// Takes the whole file in. It is still to be verified.
    pub(super) async fn download(&self) -> Result<(Box<dyn ReceivedFile>, Head), FetchError> {
        let url = Url::parse(&self.file.read.url).map_err(|error| self.failed(&error.to_string()))?;
        let response = self.ask(&url, FilePart::Whole).await?;
        if response.status() != StatusCode::OK {
            return Err(self.status(i32::from(response.status().as_u16())));
        }
        let head = Head::read(response.headers());
        let storage = |error| self.storage_error(error);
        let mut incoming = self.mirrors.files.receive().await.map_err(storage)?;
        // A full disk is told here, before anything is promised to clients.
        let arriving = incoming.arriving().await.map_err(storage)?;
        // What the page says of the size may be wrong, and clients are not to be promised what does not come.
        let size = head.size.filter(|_| !head.is_packed);
        self.transfer.begin(arriving, size, head.modified);
        let received = self.receive(&url, response, &head, incoming).await?;
        Ok((received, head))
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
        let started = Instant::now();
        let mut taken = 0;
        let mut resumed_at = 0;
        let mut resumes = 0;
        let mut cut = self.receive_body(&mut answer, head, incoming.as_mut(), started, &mut taken).await?;
        while let Some(cause) = cut {
            if taken > resumed_at + PROGRESS_BYTES {
                resumes = 0;
            }
            if resumes >= self.mirrors.options.limits.resumes || head.is_packed {
                return Err(self.cut_off(head, taken));
            }
            let pause = RESUME_PAUSE * 2_u32.saturating_pow(u32::try_from(resumes).unwrap_or(u32::MAX));
            info!("{} was cut off after {taken} bytes, and is taken up again: {cause}", shown(url));
            sleep(pause.min(self.mirrors.options.request_timeout)).await;
            (resumes, resumed_at) = (resumes + 1, taken);
            cut = match self.resume(url, head, taken).await? {
                Resumed::Answer(mut answer) => {
                    self.receive_body(&mut answer, head, incoming.as_mut(), started, &mut taken).await?
                }
                Resumed::NotNow(cause) => Some(cause),
                Resumed::Never => return Err(self.cut_off(head, taken)),
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
        started: Instant,
        taken: &mut u64,
    ) -> Result<Option<String>, FetchError> {
        let limits = self.mirrors.options.limits;
        let storage = |error| self.storage_error(error);
        loop {
            if Instant::now() > self.latest(started, *taken) {
                return Err(self.failed("it comes too slowly"));
            }
            let piece = match timeout(FLUSH_PAUSE, answer.next_piece()).await {
                Err(_) => {
                    let written = incoming.flush().await.map_err(storage)?;
                    self.release(head, written);
                    continue;
                }
                Ok(Err(error)) => return Ok(Some(causes(&error.without_url()))),
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

    /// Until when so many bytes must have come.
    fn latest(&self, started: Instant, taken: u64) -> Instant {
        started + self.mirrors.options.limits.page_time + Duration::from_secs(taken / SLOWEST)
    }

    /// The rest of a file that was cut off.
    async fn resume(&self, url: &Url, head: &Head, taken: u64) -> Result<Resumed, FetchError> {
        let has_hash = main_hash(&self.file.read).is_some();
        if !has_hash && head.validator.is_none() {
            // Nobody could tell whether the parts belong together.
            return Ok(Resumed::Never);
        }
        let response = match self.ask(url, FilePart::From(taken, head.validator.as_deref())).await {
            Ok(response) => response,
            Err(FetchError::Status { .. }) => return Ok(Resumed::NotNow("it cannot be reached".to_owned())),
            Err(error) => return Err(error),
        };
        let answer = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = content_range(response.headers());
                let is_same = has_hash || head.is_not_contradicted(response.headers());
                let fits = range.is_some_and(|(first, _, size)| {
                    is_same && first == taken && head.size.is_none_or(|expected| expected == size)
                });
                fits.then_some(FileAnswer { response, first: None })
            }
            // From the start again. If it is another file, the hash or the validator tells.
            StatusCode::OK if has_hash || head.is_still(response.headers()) => {
                let passing_over = FileAnswer { response, first: None }.without(taken);
                timeout_at(self.latest(Instant::now(), taken), passing_over).await.ok().flatten()
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Ok(Resumed::NotNow(format!("the status {status}")));
            }
            _ => None,
        };
        Ok(answer.map_or(Resumed::Never, Resumed::Answer))
    }

    /// Some servers call a packed file one that is packed for the way.
    pub(super) async fn unpack(
        &self,
        packed: Box<dyn ReceivedFile>,
    ) -> Result<Box<dyn ReceivedFile>, FetchError> {
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
        self.transfer.replace(incoming.arriving().await.map_err(storage)?);
        incoming.finish().await.map_err(storage)
    }

    fn cut_off(&self, head: &Head, taken: u64) -> FetchError {
        match head.size {
            Some(expected) => FetchError::Size { url: Arc::clone(&self.file.read.url), expected, got: taken },
            None => self.status(-1),
        }
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

    fn status(&self, status: i32) -> FetchError {
        FetchError::Status { status, url: Arc::clone(&self.file.read.url) }
    }

    pub(super) fn failed(&self, cause: &str) -> FetchError {
        FetchError::Failed { url: Arc::clone(&self.file.read.url), cause: cause.into() }
    }

    pub(super) fn storage_error(&self, error: StorageError) -> FetchError {
        FetchError::of_storage(&self.file.read.url, error)
    }
}

/// What came of taking a file up again.
enum Resumed {
    Answer(FileAnswer),
    /// It may work later.
    NotNow(String),
    /// The upstream does not give the rest.
    Never,
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
    /// Whether an answer with these headers has the same bytes for sure.
    fn is_still(&self, headers: &HeaderMap) -> bool {
        let etag = text(headers, &ETAG).filter(|etag| etag.starts_with('"'));
        etag.is_some() && etag == self.validator
    }

    /// Whether a part with these headers does not say that it is of another file. Not every server minds the condition of a
    /// request.
    fn is_not_contradicted(&self, headers: &HeaderMap) -> bool {
        let other = Self::read(headers).validator;
        other.is_none() || other == self.validator
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn a_part_of_another_file_contradicts() {
        let head = |name: HeaderName, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let whole = Head::read(&head(ETAG, "\"one\""));
        assert!(whole.is_not_contradicted(&head(ETAG, "\"one\"")));
        assert!(whole.is_not_contradicted(&HeaderMap::new()), "it answers to the condition");
        assert!(!whole.is_not_contradicted(&head(ETAG, "\"two\"")));
        let whole = Head::read(&head(LAST_MODIFIED, "Tue, 01 Jan 2019 00:00:00 GMT"));
        assert!(!whole.is_not_contradicted(&head(LAST_MODIFIED, "Tue, 01 Jan 2019 00:00:01 GMT")));
    }
}
