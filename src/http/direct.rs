//! Bodies that a connection writes itself.
//!
//! actix-http copies what it writes into a buffer first, for which pages and files are too long. A [`DirectBody`] gives
//! actix nothing to write: it hands its [`Outgoing`] bytes to the connection, which lets them follow behind the head. Bytes
//! in memory go out in one call with the head, those of a file without coming into this process at all.

use std::convert::Infallible;
use std::fs::File;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Result};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{CONTENT_LENGTH, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Buf;
use rustix::fs::sendfile;
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::{JoinHandle, spawn_blocking};

use super::connection::ConnectionState;
use crate::storage::files::LocalFile;

/// Shorter bodies are written by actix, together with their heads.
const MIN_DIRECT_BYTES: u64 = 16 * 1024;

/// How many bytes of a file are fetched from the disk at once, and then sent.
const FILE_PIECE: u64 = 1024 * 1024;

/// How many bytes of it are read at once for that.
const READ_BUFFER: usize = 64 * 1024;

/// A stream that can send a file.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Sends some of `count` bytes of a file from `offset` on.
    fn poll_send_file(
        &mut self,
        context: &mut Context<'_>,
        file: &File,
        offset: u64,
        count: usize,
    ) -> Poll<Result<usize>>;
}

macro_rules! socket {
    ($stream:ty) => {
        impl Socket for $stream {
            fn poll_send_file(
                &mut self,
                context: &mut Context<'_>,
                file: &File,
                mut offset: u64,
                count: usize,
            ) -> Poll<Result<usize>> {
                loop {
                    ready!(self.poll_write_ready(context))?;
                    let send = || Ok(sendfile(&*self, file, Some(&mut offset), count)?);
                    match self.try_io(Interest::WRITABLE, send) {
                        Err(error)
                            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                        sent => return Poll::Ready(sent),
                    }
                }
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);

/// A body on its way out of a connection.
pub(super) enum Outgoing {
    Bytes(Bytes),
    File(OutgoingFile),
}

/// A part of a file.
pub(super) struct OutgoingFile {
    file: Arc<dyn LocalFile>,
    rest: Range<u64>,
    /// Up to where it is in memory, as far as is known.
    in_memory: u64,
    fetching: Option<JoinHandle<Result<()>>>,
}

impl Outgoing {
    /// A whole file of which all is in memory.
    pub(super) fn file_in_memory(file: Arc<dyn LocalFile>, length: u64) -> Self {
        Self::File(OutgoingFile { file, rest: 0..length, in_memory: length, fetching: None })
    }

    pub(super) fn is_sent(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::File(file) => file.rest.is_empty(),
        }
    }

    /// Waits until sending does not wait for a disk.
    pub(super) fn poll_prepare(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        match self {
            Self::Bytes(_) => Poll::Ready(Ok(())),
            Self::File(file) => file.poll_fetch(context),
        }
    }

    /// Writes `head`, and of the body what can go with it. Gives how much of `head` was written.
    pub(super) fn poll_write_behind<S: Socket>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        head: &[u8],
    ) -> Poll<Result<usize>> {
        let Self::Bytes(bytes) = self else { return Pin::new(stream).poll_write(context, head) };
        let slices = [IoSlice::new(head), IoSlice::new(bytes)];
        let count = ready!(Pin::new(stream).poll_write_vectored(context, &slices))?;
        bytes.advance(count.saturating_sub(head.len()));
        Poll::Ready(Ok(count.min(head.len())))
    }

    /// Writes some of the body.
    pub(super) fn poll_write<S: Socket>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<Result<usize>> {
        let count = match self {
            Self::Bytes(bytes) => {
                let count = ready!(Pin::new(stream).poll_write(context, bytes))?;
                bytes.advance(count);
                count
            }
            Self::File(file) => {
                let piece = file.in_memory.min(file.rest.end) - file.rest.start;
                let piece = usize::try_from(piece).unwrap_or(usize::MAX);
                let count = ready!(stream.poll_send_file(context, file.file.file(), file.rest.start, piece))?;
                file.rest.start += count as u64;
                count
            }
        };
        // A file that has become shorter.
        Poll::Ready(if count == 0 { Err(ErrorKind::WriteZero.into()) } else { Ok(count) })
    }
}

impl OutgoingFile {
    /// Brings the next piece into the memory of the system, where it mostly is already.
    fn poll_fetch(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.rest.start < self.in_memory {
            return Poll::Ready(Ok(()));
        }
        let piece = self.rest.start..self.rest.end.min(self.rest.start + FILE_PIECE);
        let fetching = match &mut self.fetching {
            Some(fetching) => fetching,
            None if is_in_memory(self.file.file(), &piece) => {
                self.in_memory = piece.end;
                return Poll::Ready(Ok(()));
            }
            None => {
                let (file, piece) = (Arc::clone(&self.file), piece.clone());
                self.fetching.insert(spawn_blocking(move || fetch(file.file(), piece)))
            }
        };
        let fetched = ready!(Pin::new(fetching).poll(context));
        self.fetching = None;
        fetched??;
        self.in_memory = piece.end;
        Poll::Ready(Ok(()))
    }
}

/// Whether a piece of a file can be had without a disk: its first and its last byte are looked at. False where that cannot
/// be told.
fn is_in_memory(file: &File, piece: &Range<u64>) -> bool {
    [piece.start, piece.end - 1].into_iter().all(|offset| {
        let mut byte = [0];
        let read = preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT);
        matches!(read, Ok(1))
    })
}

/// Reads a piece of a file, so that it is in the memory of the system. Blocks.
fn fetch(file: &File, piece: Range<u64>) -> Result<()> {
    let mut buffer = vec![0; READ_BUFFER];
    let mut offset = piece.start;
    while offset < piece.end {
        let length = usize::try_from(piece.end - offset).unwrap_or(usize::MAX).min(READ_BUFFER);
        file.read_exact_at(&mut buffer[..length], offset)?;
        offset += length as u64;
    }
    Ok(())
}

/// A body that is written by the connection itself.
pub(super) struct DirectBody {
    connection: Rc<ConnectionState>,
    /// Until it is handed over.
    outgoing: Option<Outgoing>,
}

impl DirectBody {
    /// Completes an answer with a part of a file.
    pub(super) fn send_file(
        connection: Rc<ConnectionState>,
        response: &mut HttpResponseBuilder,
        file: Arc<dyn LocalFile>,
        part: Range<u64>,
    ) -> HttpResponse {
        response.no_chunking(part.end - part.start);
        let file = OutgoingFile { file, in_memory: part.start, rest: part, fetching: None };
        response.body(Self { connection, outgoing: Some(Outgoing::File(file)) })
    }

    /// Makes the body of an answer a direct one, if it is long, and there as a whole. Not for an answer to HEAD, of which
    /// actix writes the head alone.
    pub(super) fn send_bytes(connection: Rc<ConnectionState>, response: HttpResponse) -> HttpResponse {
        let length = match response.body().size() {
            BodySize::Sized(length) if length >= MIN_DIRECT_BYTES => length,
            _ => return response,
        };
        response.map_body(|head, body| match body.try_into_bytes() {
            Ok(bytes) => {
                head.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
                head.no_chunking(true);
                BoxBody::new(Self { connection, outgoing: Some(Outgoing::Bytes(bytes)) })
            }
            Err(body) => body,
        })
    }
}

impl MessageBody for DirectBody {
    type Error = Infallible;

    /// For actix it has no length, so that it does not count bytes that it does not see. The header is there.
    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Bytes, Infallible>>> {
        if let Some(outgoing) = self.outgoing.take() {
            // All that is before it is in actix's buffer now, which is written next. The connection wakes this task up.
            *self.connection.body.borrow_mut() = Some(outgoing);
            return Poll::Pending;
        }
        if self.connection.body.borrow().is_some() { Poll::Pending } else { Poll::Ready(None) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use tokio::io::DuplexStream;

    use super::*;

    impl Socket for DuplexStream {
        fn poll_send_file(
            &mut self,
            context: &mut Context<'_>,
            file: &File,
            offset: u64,
            count: usize,
        ) -> Poll<Result<usize>> {
            let mut bytes = vec![0; count];
            let count = file.read_at(&mut bytes, offset)?;
            Pin::new(self).poll_write(context, &bytes[..count])
        }
    }

    struct Opened(File);

    impl LocalFile for Opened {
        fn file(&self) -> &File {
            &self.0
        }
    }

    /// Sends a body through a narrow stream; gives what arrived, or why it did not.
    async fn send(mut body: Outgoing) -> Result<Vec<u8>> {
        let (mut stream, mut client) = tokio::io::duplex(1000);
        let sending = async move {
            let sent = std::future::poll_fn(|context| {
                while !body.is_sent() {
                    ready!(body.poll_prepare(context))?;
                    ready!(body.poll_write(&mut stream, context))?;
                }
                Poll::Ready(Ok(()))
            });
            sent.await
        };
        let receiving = async {
            let mut received = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut client, &mut received).await.map(|_| received)
        };
        let (sent, received) = tokio::join!(sending, receiving);
        sent.and(received)
    }

    fn file(content: &[u8], rest: Range<u64>) -> Outgoing {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Outgoing::File(OutgoingFile {
            file: Arc::new(Opened(file)),
            in_memory: rest.start,
            rest,
            fetching: None,
        })
    }

    #[tokio::test]
    async fn a_part_of_a_file_arrives() {
        let content: Vec<u8> = (0..3 * FILE_PIECE + 17).map(|number| (number % 251) as u8).collect();
        let length = content.len() as u64;
        for part in [0..length, 5..5, 1..2, FILE_PIECE - 1..FILE_PIECE + 1, length - 1..length] {
            let expected = &content[usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap()];
            assert!(send(file(&content, part.clone())).await.unwrap() == expected, "{part:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error() {
        assert!(send(file(b"short", 0..6)).await.is_err());
        assert!(send(file(b"short", 0..FILE_PIECE)).await.is_err());
    }

    #[tokio::test]
    async fn a_file_is_fetched_where_it_is_not_known_to_be_in_memory() {
        let content = vec![7; 100_000];
        let Outgoing::File(mut body) = file(&content, 0..100_000) else { panic!("no file") };
        let (file, rest) = (Arc::clone(&body.file), body.rest.clone());
        body.fetching = Some(spawn_blocking(move || fetch(file.file(), rest)));
        assert_eq!(send(Outgoing::File(body)).await.unwrap(), content);
    }
}
