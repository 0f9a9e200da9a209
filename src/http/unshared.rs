//! The memory for long answers that are for one client alone.
//!
//! A page that is kept is there once, however many clients read it. Other answers (a page with absolute links, what the server
//! knows of a project) are made for each request, and are there until the client has read them, which may take its time.
//! All of these together have a bound, so that some thousand slow clients do not take all memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::web::Bytes;

use super::error::ApiError;

/// Shorter answers do not count, in bytes. Nearly all are.
const MIN_COUNTED: u64 = 64 * 1024;

static OF_ALL: Budget = Budget { most: 256 * 1024 * 1024, taken: AtomicUsize::new(0) };

/// A number of bytes.
struct Budget {
    most: usize,
    taken: AtomicUsize,
}

/// Bytes that count as long as they are there.
struct Counted {
    bytes: Bytes,
    budget: &'static Budget,
}

impl Budget {
    /// Counts `bytes`, if there is room for them.
    fn count(&'static self, bytes: Bytes) -> Option<Counted> {
        let length = bytes.len();
        let more = |taken: usize| taken.checked_add(length).filter(|taken| *taken <= self.most);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Counted { bytes, budget: self })
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes.len(), Ordering::AcqRel);
    }
}

/// Counts the body of `response`, if it is long and nobody else has it; an error if there is no room for it.
pub(super) fn count(response: HttpResponse) -> Result<HttpResponse, ApiError> {
    match response.body().size() {
        BodySize::Sized(length) if length >= MIN_COUNTED => {}
        _ => return Ok(response),
    }
    let (response, body) = response.into_parts();
    let body = match body.try_into_bytes() {
        Ok(bytes) if bytes.is_unique() => {
            let text = "too many long answers are on their way, try again later";
            let counted = OF_ALL.count(bytes);
            let counted = counted.ok_or_else(|| ApiError::message(StatusCode::SERVICE_UNAVAILABLE, text))?;
            BoxBody::new(Bytes::from_owner(counted))
        }
        Ok(bytes) => BoxBody::new(bytes),
        Err(body) => body,
    };
    Ok(response.set_body(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_counts() {
        let budget: &Budget = Box::leak(Box::new(Budget { most: 10, taken: AtomicUsize::new(0) }));
        let bytes = |length| Bytes::from(vec![7; length]);
        let (first, second) = (budget.count(bytes(4)).unwrap(), budget.count(bytes(6)).unwrap());
        assert!(budget.count(bytes(1)).is_none());
        let shared = Bytes::from_owner(first);
        let copy = shared.clone();
        drop(shared);
        assert!(budget.count(bytes(1)).is_none(), "a part of it is still there");
        drop((copy, second));
        assert!(budget.count(bytes(11)).is_none() && budget.count(bytes(10)).is_some());
        assert_eq!(budget.taken.load(Ordering::Acquire), 0);
    }

    #[test]
    fn only_long_answers_of_one_client_count() {
        let taken = || OF_ALL.taken.load(Ordering::Acquire);
        let answer = |bytes: Bytes| count(HttpResponse::Ok().body(bytes)).unwrap();
        let long = Bytes::from(vec![7; 100_000]);
        let kept = answer(long.clone());
        let short = answer(Bytes::from(vec![7; 10_000]));
        assert_eq!(taken(), 0);
        let own = answer(Bytes::from(vec![7; 100_000]));
        assert_eq!(taken(), 100_000);
        drop((kept, short, own));
        assert_eq!(taken(), 0);
    }
}
