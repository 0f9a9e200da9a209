//! The body of a request, counted and never left half read.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Payload};
use futures_util::{Stream, StreamExt};
use serde_json::{Map, Value};
use tokio::time::{Sleep, sleep};

use super::memory::{BodyMemory, Sender};
use crate::http::error::ApiError;

/// The body of a request. Copies share it: what one of them reads, the others do not see.
#[derive(Clone)]
pub(in crate::http) struct Body(Rc<RefCell<Inner>>);

struct Inner {
    payload: Payload,
    limit: u64,
    received: u64,
    /// Whether it has ended, one way or another.
    end: Option<End>,
    idle: Duration,
    /// Goes off when nothing has come for `idle`. Made when the first read has to wait.
    alarm: Option<Pin<Box<Sleep>>>,
    /// For what is gathered of it.
    memory: BodyMemory,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// All of it is here.
    Whole,
    /// The client stopped, or sent nonsense.
    Broken,
}

impl Body {
    /// The body behind `payload`, of at most `limit` bytes. It fails if nothing comes for `idle`.
    pub(in crate::http) fn new(payload: Payload, limit: u64, idle: Duration) -> Self {
        let (received, end, alarm, memory) = (0, None, None, BodyMemory::default());
        Self(Rc::new(RefCell::new(Inner { payload, limit, received, end, idle, alarm, memory })))
    }

    /// Whether more than the limit has come.
    pub(in crate::http) fn is_too_large(&self) -> bool {
        let inner = self.0.borrow();
        inner.received > inner.limit
    }

    /// The answer to a body of more than the limit.
    pub(in crate::http) fn too_large(&self) -> ApiError {
        ApiError::too_large(self.0.borrow().limit)
    }

    /// Makes room in memory for `size` bytes of the body as a whole; an error if other bodies have all of it.
    pub(in crate::http) fn gather(&self, size: usize, sender: &Sender) -> Result<(), ApiError> {
        if self.0.borrow_mut().memory.reach(size, sender) {
            return Ok(());
        }
        let text = "too many long requests are being read, try again later";
        Err(ApiError::message(StatusCode::SERVICE_UNAVAILABLE, text))
    }

    /// The answer to a body that ended with an error.
    pub(in crate::http) fn incomplete(&self) -> ApiError {
        if self.is_too_large() {
            return self.too_large();
        }
        ApiError::abort(StatusCode::BAD_REQUEST, "Bad request: incomplete body")
    }

    /// Reads the rest and throws it away, at most `allowance` bytes: a client that is still sending does not read the
    /// answer, and would see a broken connection in its place. Whether the body is at its end then, so that another
    /// request may follow.
    pub(in crate::http) async fn drain(&mut self, allowance: u64) -> bool {
        {
            let mut inner = self.0.borrow_mut();
            inner.limit = inner.received.saturating_add(allowance);
            // What was gathered has been dealt with.
            inner.memory = BodyMemory::default();
        }
        while let Some(Ok(_)) = self.next().await {}
        self.0.borrow().end == Some(End::Whole)
    }

    /// From now on it is empty, and what comes is left where it is.
    pub(in crate::http) fn pass_over(&self) {
        self.0.borrow_mut().end = Some(End::Whole);
    }

    /// The whole body, if it is no longer than `limit` bytes.
    pub(in crate::http) async fn bytes(
        &mut self,
        limit: usize,
        sender: &Sender,
    ) -> Result<Vec<u8>, ApiError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await {
            match piece {
                Ok(piece) if bytes.len() + piece.len() > limit => {
                    return Err(ApiError::too_large(limit as u64));
                }
                Ok(piece) => {
                    self.gather(bytes.len() + piece.len(), sender)?;
                    bytes.extend_from_slice(&piece);
                }
                Err(_) => return Err(self.incomplete()),
            }
        }
        Ok(bytes)
    }

    /// The body as JSON, whatever its content type says.
    pub(in crate::http) async fn json(&mut self, limit: usize) -> Result<Value, ApiError> {
        parse_json(&self.bytes(limit, &Sender::Anybody).await?)
    }

    /// The body as a JSON object.
    pub(in crate::http) async fn json_object(
        &mut self,
        limit: usize,
    ) -> Result<Map<String, Value>, ApiError> {
        parse_json_object(&self.bytes(limit, &Sender::Anybody).await?)
    }
}

fn parse_json(bytes: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(bytes)
        .map_err(|_| ApiError::abort(StatusCode::BAD_REQUEST, "Bad request: could not decode json"))
}

/// A JSON object out of a body that was read already.
pub(in crate::http) fn parse_json_object(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match parse_json(bytes)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(ApiError::message(StatusCode::BAD_REQUEST, "the JSON body must be an object")),
    }
}

/// The body of an answer to a request whose own body is not read to its end. It holds that one, since actix would wait
/// without end for the rest of chunks that nobody wants, in place of ending the connection.
pub(in crate::http) struct Refusal {
    pub(in crate::http) answer: BoxBody,
    pub(in crate::http) _unread: Body,
}

impl MessageBody for Refusal {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.0.borrow_mut();
        match inner.end {
            Some(End::Whole) => return Poll::Ready(None),
            Some(End::Broken) => return Poll::Ready(Some(Err(PayloadError::Incomplete(None)))),
            None => {}
        }
        if inner.received > inner.limit {
            return Poll::Ready(Some(Err(PayloadError::Overflow)));
        }
        let piece = inner.payload.poll_next_unpin(context);
        match &piece {
            Poll::Ready(Some(Ok(piece))) => {
                inner.received += piece.len() as u64;
                inner.alarm = None;
                if inner.received > inner.limit {
                    return Poll::Ready(Some(Err(PayloadError::Overflow)));
                }
            }
            Poll::Ready(None) => inner.end = Some(End::Whole),
            Poll::Ready(Some(Err(_))) => inner.end = Some(End::Broken),
            Poll::Pending => {
                let idle = inner.idle;
                let alarm = inner.alarm.get_or_insert_with(|| Box::pin(sleep(idle)));
                if alarm.as_mut().poll(context).is_ready() {
                    inner.end = Some(End::Broken);
                    return Poll::Ready(Some(Err(PayloadError::Incomplete(None))));
                }
            }
        }
        piece
    }
}
