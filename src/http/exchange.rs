//! Whose turn it is on a connection, as far as that can be told from outside of actix.
//!
//! A connection that answers a request itself must not come between the parts of an answer of actix's, nor before one to an
//! earlier request. So it only does that while requests come one after the other, each as a whole and alone, and each
//! answer is out before the next request. At anything else (a body, a head in parts, two requests at once, an answer in parts)
//! it leaves all that follows to actix. What it answers itself it has seen actix answer, byte by byte, so it need not
//! understand it.

use std::cell::RefCell;
use std::rc::Rc;

use actix_web::body::BodySize;
use actix_web::web::Bytes;
use memchr::memmem;

use super::direct::Outgoing;
use super::repeat::{Edition, KeptAnswer, Logged, Repeated, Repeats};

/// The longest request that is looked at, in bytes.
const MAX_REQUEST: usize = 4096;

/// What comes and goes on a connection.
#[derive(Default)]
pub(super) struct Exchange {
    turn: RefCell<Turn>,
    /// None where nothing is given again.
    repeats: Option<Rc<Repeats>>,
}

#[derive(Debug, Default)]
enum Turn {
    /// Nothing has come yet. actix has a timer for the first request, and must see it.
    #[default]
    First,
    /// All that came is answered, and the answers are out. actix may still have to notice that a long one is.
    Client,
    /// A request has come.
    Server(Vec<u8>),
    /// It is answered with a body of this size.
    Answered(BodySize, Option<Keepable>),
    /// All of the answer is being written.
    Writing,
    /// Only actix knows.
    Unknown,
}

/// A request, and what is known of an answer to it that may be given again.
#[derive(Debug)]
struct Keepable {
    request: Vec<u8>,
    logged: Logged,
    edition: Edition,
}

impl Exchange {
    pub(super) fn new(repeats: Option<Rc<Repeats>>) -> Self {
        Self { turn: RefCell::default(), repeats }
    }

    /// `client` has sent `bytes`. Gives the answer, if it need not be made: then nobody else is to see the request.
    pub(super) fn note_read(&self, bytes: &[u8], client: Option<&str>) -> Option<Repeated> {
        let repeats = self.repeats.as_ref()?;
        let mut turn = self.turn.borrow_mut();
        let is_request = matches!(*turn, Turn::First | Turn::Client) && is_one_request(bytes);
        if is_request
            && matches!(*turn, Turn::Client)
            && let Some(answer) = repeats.find(bytes, client)
        {
            return Some(answer);
        }
        *turn = if is_request { Turn::Server(bytes.to_vec()) } else { Turn::Unknown };
        None
    }

    /// The request has an answer with a body of this `size`, and another one may follow. If it may be given again,
    /// `logged` says what the log does, and from which edition it was made.
    pub(super) fn note_answer(&self, size: BodySize, logged: Option<(Logged, Edition)>) {
        let mut turn = self.turn.borrow_mut();
        if let Turn::Server(request) = std::mem::replace(&mut *turn, Turn::Unknown) {
            let keep = logged.map(|(logged, edition)| Keepable { request, logged, edition });
            *turn = Turn::Answered(size, keep);
        }
    }

    /// What follows is not for an answer, or not known to be.
    pub(super) fn give_up(&self) {
        *self.turn.borrow_mut() = Turn::Unknown;
    }

    /// actix is about to write `bytes`, all that it has, and the connection `body` behind them.
    pub(super) fn note_write(&self, bytes: &[u8], body: Option<&Outgoing>) {
        let Some(repeats) = &self.repeats else { return };
        let mut turn = self.turn.borrow_mut();
        if matches!(*turn, Turn::Writing) {
            return;
        }
        let Turn::Answered(size, keep) = std::mem::replace(&mut *turn, Turn::Unknown) else { return };
        let behind_head = memmem::find(bytes, b"\r\n\r\n").map(|end| bytes.len() - end - 4);
        let announced = match size {
            BodySize::None => Some(0),
            BodySize::Sized(size) => usize::try_from(size).ok(),
            // What the connection writes itself has no size for actix.
            BodySize::Stream => body.map(|_| 0),
        };
        if behind_head.is_none() || behind_head != announced {
            return;
        }
        *turn = Turn::Writing;
        let Some(Keepable { request, logged, edition }) = keep else { return };
        let body = match body {
            None => Bytes::new(),
            Some(Outgoing::Bytes(body)) => body.clone(),
            // For which sending it is what takes time; and each would be open for a second.
            Some(Outgoing::File(_)) => return,
        };
        let answer = KeptAnswer::new(logged, Bytes::copy_from_slice(bytes), body);
        repeats.keep(request, answer, edition);
    }

    /// All that was to be written is.
    pub(super) fn note_flushed(&self) {
        let mut turn = self.turn.borrow_mut();
        if matches!(*turn, Turn::Writing) {
            *turn = Turn::Client;
        }
    }
}

/// Whether `bytes` are one GET request without a body, as actix sees it, for which a line may end without CR.
fn is_one_request(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_REQUEST
        && bytes.starts_with(b"GET ")
        && memmem::find(bytes, b"\n\r\n").is_some_and(|end| end + 3 == bytes.len())
        && memmem::find(bytes, b"\n\n").is_none()
}

#[cfg(test)]
mod tests {
    use super::is_one_request;

    #[test]
    fn one_request_is_recognised() {
        assert!(is_one_request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(is_one_request(b"GET / HTTP/1.1\nHost: x\r\n\r\n"), "as actix sees it");
        for other in [
            &b""[..],
            b"GET / HTTP/1.1\r\nHost: x\r\n",
            b"\r\nGET / HTTP/1.1\r\n\r\n",
            b"HEAD / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\n\n",
            b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\n\nGET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
            &[b"GET /".to_vec(), vec![b'x'; 5000], b" HTTP/1.1\r\n\r\n".to_vec()].concat(),
        ] {
            assert!(!is_one_request(other), "{}", String::from_utf8_lossy(other));
        }
    }
}
