//! Multipart bodies with bare line feeds.
//!
//! Old distutils writes the lines between the parts of a `register` or `upload_docs` form with LF where the standard
//! (RFC 2046) wants CRLF. A body that begins so is turned into a standard one on its way to the parser; contents of
//! parts, which may be binary, pass unchanged.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

/// How far the first line end of a body may be; a standard body has it at once.
const MAX_FIRST_LINE: usize = 1024;

/// The longest header line of a part; longer ones are passed on and left to the parser.
const MAX_HEADER_LINE: usize = 65_536;

/// A multipart body with standard line ends, whatever it came with.
pub(in crate::http) struct StandardLines<S> {
    source: S,
    converter: Converter,
    ended: bool,
}

impl<S> StandardLines<S> {
    /// The body that comes from `source`, whose parts are divided by `boundary`.
    pub(in crate::http) fn new(source: S, boundary: &str) -> Self {
        Self { source, converter: Converter::new(boundary), ended: false }
    }
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Stream for StandardLines<S> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            match self.source.poll_next_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(piece))) => {
                    let converted = self.converter.push(piece);
                    if !converted.is_empty() {
                        return Poll::Ready(Some(Ok(converted)));
                    }
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    let rest = self.converter.finish();
                    if !rest.is_empty() {
                        return Poll::Ready(Some(Ok(rest)));
                    }
                }
            }
        }
    }
}

enum State {
    /// Waiting for the first line end, which tells what the body is like.
    Undecided,
    /// The line ends are the standard's.
    Standard,
    /// Within a part's content, or before the first part.
    Content,
    /// Right after a delimiter.
    AfterDelimiter,
    /// Among a part's header lines.
    Headers,
    /// After the last delimiter: what comes does not count.
    Epilogue,
}

struct Converter {
    state: State,
    /// Line feed, two dashes, boundary.
    delimiter: Vec<u8>,
    pending: BytesMut,
}

impl Converter {
    fn new(boundary: &str) -> Self {
        Self {
            state: State::Undecided,
            delimiter: format!("\n--{boundary}").into_bytes(),
            pending: BytesMut::new(),
        }
    }

    /// Takes a piece of the body and returns what can be passed on.
    fn push(&mut self, piece: Bytes) -> Bytes {
        if matches!(self.state, State::Standard) {
            return piece;
        }
        self.pending.extend_from_slice(&piece);
        if matches!(self.state, State::Undecided) && !self.decide() {
            return Bytes::new();
        }
        if matches!(self.state, State::Standard) {
            return self.pending.split().freeze();
        }
        let mut converted = BytesMut::new();
        while self.step(&mut converted) {}
        converted.freeze()
    }

    /// The rest, after the last piece.
    fn finish(&mut self) -> Bytes {
        self.pending.split().freeze()
    }

    /// Finds out what the body is like; false if that cannot be told yet.
    fn decide(&mut self) -> bool {
        match self.pending.iter().position(|byte| *byte == b'\n') {
            Some(end) if end > 0 && self.pending[end - 1] == b'\r' => self.state = State::Standard,
            Some(_) => {
                self.state = State::Content;
                // So that a delimiter at the very beginning is found like any other.
                let body = self.pending.split();
                self.pending.extend_from_slice(b"\n");
                self.pending.unsplit(body);
            }
            None if self.pending.len() > MAX_FIRST_LINE => self.state = State::Standard,
            None => return false,
        }
        true
    }

    /// Converts the next stretch; false if more of the body is needed for that.
    fn step(&mut self, converted: &mut BytesMut) -> bool {
        match self.state {
            State::Undecided | State::Standard => false,
            State::Content => {
                let Some(at) = find(&self.pending, &self.delimiter) else {
                    // The end may be the beginning of a delimiter.
                    let safe = self.pending.len().saturating_sub(self.delimiter.len() - 1);
                    converted.extend_from_slice(&self.pending.split_to(safe));
                    return false;
                };
                converted.extend_from_slice(&self.pending.split_to(at));
                converted.extend_from_slice(b"\r");
                converted.extend_from_slice(&self.pending.split_to(self.delimiter.len()));
                self.state = State::AfterDelimiter;
                true
            }
            State::AfterDelimiter => match self.pending.as_ref() {
                [] | [b'-'] => false,
                [b'\n', ..] => {
                    let _line_feed = self.pending.split_to(1);
                    converted.extend_from_slice(b"\r\n");
                    self.state = State::Headers;
                    true
                }
                [b'-', b'-', ..] => {
                    converted.extend_from_slice(b"--\r\n");
                    self.state = State::Epilogue;
                    true
                }
                // The boundary was only the beginning of a longer line.
                _ => {
                    self.state = State::Content;
                    true
                }
            },
            State::Epilogue => {
                self.pending.clear();
                false
            }
            State::Headers => match self.pending.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    converted.extend_from_slice(self.pending.split_to(end).trim_ascii_end());
                    let _line_feed = self.pending.split_to(1);
                    converted.extend_from_slice(b"\r\n");
                    if end == 0 {
                        self.state = State::Content;
                    }
                    true
                }
                None if self.pending.len() > MAX_HEADER_LINE => {
                    self.state = State::Content;
                    true
                }
                None => false,
            },
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn convert(body: &[u8], piece: usize) -> Vec<u8> {
        let mut converter = Converter::new("XX");
        let mut converted = Vec::new();
        for piece in body.chunks(piece.max(1)) {
            converted.extend_from_slice(&converter.push(Bytes::copy_from_slice(piece)));
        }
        converted.extend_from_slice(&converter.finish());
        converted
    }

    const BARE: &[u8] = b"\n--XX\nContent-Disposition: form-data; name=\":action\"\n\nsubmit\n--XX\n\
        Content-Disposition: form-data; name=\"content\"\n\na\nb\r\n\x00\n-XX\n\n--XX\nA: b\n\n\n--XX--\nrest";
    const STANDARD: &[u8] = b"\n\r\n--XX\r\nContent-Disposition: form-data; name=\":action\"\r\n\r\nsubmit\r\n--XX\r\n\
        Content-Disposition: form-data; name=\"content\"\r\n\r\na\nb\r\n\x00\n-XX\n\r\n--XX\r\nA: b\r\n\r\n\r\n--XX--\r\n";

    #[test]
    fn lines_become_standard_and_contents_stay() {
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(convert(BARE, piece), STANDARD, "{piece}");
        }
    }

    #[test]
    fn a_standard_body_passes_unchanged() {
        let body = b"\r\n--XX\r\nA: b\r\n\r\nx\n--XX\ny\r\n--XX--\r\n";
        assert_eq!(convert(body, 3), body);
        assert_eq!(convert(b"no line at all", 3), b"no line at all");
    }

    proptest! {
        #[test]
        fn contents_survive(content in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'-'), Just(b'X'), any::<u8>()], 0..60), piece in 1usize..9) {
            prop_assume!(find(&content, b"--XX").is_none());
            let body = [b"--XX\nA: b\n\n".as_slice(), &content, b"\n--XX--\n"].concat();
            let expected = [b"\r\n--XX\r\nA: b\r\n\r\n".as_slice(), &content, b"\r\n--XX--\r\n"].concat();
            prop_assert_eq!(convert(&body, piece), expected);
        }
    }
}
