//! Reading the core metadata of a wheel that is still at the upstream, without fetching it: by ranges.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use reqwest::{Response, StatusCode};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::Mirrors;
use super::error::{FetchError, UpstreamError};
use super::headers::content_range;
use super::permits::BodyMemory;
use super::settings::Mirror;
use super::upstream::{FilePart, shown};
use crate::archive;
use crate::storage::StorageError;

/// How much is asked for at the end of the file, where the list of members is and, in most wheels, the metadata.
const TAIL_BYTES: u64 = 128 * 1024;

/// How much is asked for at once elsewhere.
const BLOCK_BYTES: u64 = 64 * 1024;

/// How many blocks are asked for at the most. Lists of members seldom need more than one.
const MAX_BLOCKS: usize = 64;

/// What reading a remote wheel came to.
pub(super) enum RemoteMetadata {
    /// The metadata, with the memory that they take.
    Found(Vec<u8>, BodyMemory),
    /// The wheel has none.
    Absent,
    /// The upstream does not give parts of files.
    NoRanges,
}

impl Mirrors {
    /// The core metadata of a wheel at the upstream.
    pub(super) async fn read_remote_metadata(
        self: &Arc<Self>,
        mirror: &Mirror,
        url: &Url,
        file_name: &str,
    ) -> std::result::Result<RemoteMetadata, FetchError> {
        let failed = |error: UpstreamError| {
            tracing::debug!("cannot read a part of {}: {error}", shown(url));
            FetchError::Status { status: -1, url: shown(url) }
        };
        let busy = |_| FetchError::Busy(mirror.index.clone());
        let permits = self.permits.wheel(&mirror.index).await?;
        let mut memory = self.permits.body(&mirror.index);
        memory.reach(to_size(TAIL_BYTES)).map_err(busy)?;
        let response = self.client.get_file(mirror, url, FilePart::Last(TAIL_BYTES)).await.map_err(failed)?;
        let status = response.status();
        let Some((first, last, size)) = content_range(response.headers()) else {
            return match status {
                status if status.is_success() => Ok(RemoteMetadata::NoRanges),
                StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::NOT_IMPLEMENTED | StatusCode::BAD_REQUEST => {
                    Ok(RemoteMetadata::NoRanges)
                }
                status => Err(FetchError::Status { status: i32::from(status.as_u16()), url: shown(url) }),
            };
        };
        let is_tail = first <= last && last - first < TAIL_BYTES && last.checked_add(1) == Some(size);
        if status != StatusCode::PARTIAL_CONTENT || !is_tail {
            return Ok(RemoteMetadata::NoRanges);
        }
        let Ok(tail) = read_part(response, last - first + 1).await else {
            return Ok(RemoteMetadata::NoRanges);
        };
        let mut remote = RemoteFile {
            mirrors: Arc::clone(self),
            mirror: mirror.clone(),
            url: url.clone(),
            runtime: Handle::current(),
            size,
            position: 0,
            end: Instant::now() + self.options.limits.page_time,
            tail_start: first,
            tail,
            blocks: HashMap::new(),
            memory,
            is_busy: false,
        };
        let (name, limits) = (file_name.to_owned(), self.options.limits.archive);
        let reading = spawn_blocking(move || {
            // It goes on if it is not waited for any more.
            let _permits = permits;
            let read = archive::wheel_metadata(&mut remote, &name, &limits);
            (read, remote.memory, remote.is_busy)
        });
        let reading = reading.await;
        let (read, mut memory, is_busy) =
            reading.map_err(|error| FetchError::of_storage(url.as_str(), StorageError::from(error)))?;
        match read {
            Ok(Some(body)) => {
                memory.reach(body.len()).map_err(busy)?;
                Ok(RemoteMetadata::Found(body, memory))
            }
            Ok(None) => Ok(RemoteMetadata::Absent),
            Err(_) if is_busy => Err(FetchError::Busy(mirror.index.clone())),
            // It may be that the parts do not fit together; the whole file tells.
            Err(error) => {
                tracing::debug!("cannot read {} by parts: {:#}", shown(url), anyhow::Error::from(error));
                Ok(RemoteMetadata::NoRanges)
            }
        }
    }
}

async fn read_part(mut response: Response, length: u64) -> Result<Bytes> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(Error::other)? {
        if (body.len() + piece.len()) as u64 > length {
            return Err(ErrorKind::InvalidData.into());
        }
        body.extend_from_slice(&piece);
    }
    if body.len() as u64 == length { Ok(body.into()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// A number of bytes that are to be in memory.
fn to_size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A file at an upstream, of which parts are asked for as they are needed. Reading blocks.
struct RemoteFile {
    mirrors: Arc<Mirrors>,
    mirror: Mirror,
    url: Url,
    runtime: Handle,
    size: u64,
    position: u64,
    /// Until when parts are asked for.
    end: Instant,
    tail_start: u64,
    tail: Bytes,
    /// Other parts by their number.
    blocks: HashMap<u64, Bytes>,
    /// The memory that the parts take.
    memory: BodyMemory,
    /// Whether there was not enough of it.
    is_busy: bool,
}

impl RemoteFile {
    fn block(&mut self, number: u64) -> Result<&Bytes> {
        if !self.blocks.contains_key(&number) {
            let too_long = self.blocks.len() >= MAX_BLOCKS || Instant::now() > self.end;
            if too_long {
                return Err(ErrorKind::TimedOut.into());
            }
            let size = TAIL_BYTES + (self.blocks.len() as u64 + 1) * BLOCK_BYTES;
            if let Err(busy) = self.memory.reach(to_size(size)) {
                self.is_busy = true;
                return Err(Error::other(busy));
            }
            let first = number * BLOCK_BYTES;
            let last = (first + BLOCK_BYTES).min(self.size) - 1;
            let asking = self.mirrors.client.get_file(&self.mirror, &self.url, FilePart::Bytes(first, last));
            let end = self.end;
            let part = async {
                let response = asking.await.map_err(Error::other)?;
                if response.status() != StatusCode::PARTIAL_CONTENT
                    || content_range(response.headers()) != Some((first, last, self.size))
                {
                    return Err(Error::from(ErrorKind::InvalidData));
                }
                read_part(response, last - first + 1).await
            };
            let part = self.runtime.block_on(timeout_at(end, part)).map_err(|_| ErrorKind::TimedOut)??;
            self.blocks.insert(number, part);
        }
        self.blocks.get(&number).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Read for RemoteFile {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.position >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let position = self.position;
        let (part, offset) = if position >= self.tail_start {
            (&self.tail, position - self.tail_start)
        } else {
            (self.block(position / BLOCK_BYTES)?, position % BLOCK_BYTES)
        };
        let rest = part.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for RemoteFile {
    fn seek(&mut self, target: SeekFrom) -> Result<u64> {
        let place = match target {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = place.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
