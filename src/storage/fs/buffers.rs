//! Buffers for contents on their way out, used again and again: a new one would have to be zeroed, by us and by the system.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// How many buffers wait to be used again.
const MAX_IDLE: usize = 64;

/// Smaller pieces are not worth a lock, in bytes.
const MIN_SIZE: usize = 16 * 1024;

/// Idle buffers.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// A buffer of `length` bytes, whatever is in them.
    pub(super) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let found = if length < MIN_SIZE { None } else { self.pop(length) };
        let mut bytes = found.unwrap_or_default();
        bytes.resize(length, 0);
        Buffer { bytes, home: Arc::clone(self) }
    }

    fn pop(&self, length: usize) -> Option<Vec<u8>> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // They have few different sizes.
        let place = idle.iter().rposition(|bytes| bytes.capacity() >= length)?;
        Some(idle.swap_remove(place))
    }
}

/// A buffer, which goes back when all that was read into it has been sent.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    home: Arc<Buffers>,
}

impl Buffer {
    /// What is in it, to be overwritten.
    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// What is in it, to be sent.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.capacity() < MIN_SIZE {
            return;
        }
        let mut idle = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_come_back_when_all_was_sent() {
        let buffers = Arc::new(Buffers::default());
        let idle = || buffers.0.lock().unwrap().len();
        let mut buffer = buffers.take(MIN_SIZE);
        buffer.as_mut().fill(7);
        let sent = buffer.freeze();
        let part = sent.slice(1..3);
        drop(sent);
        assert_eq!((&part[..], idle()), (&[7, 7][..], 0));
        drop(part);
        assert_eq!(idle(), 1);
        // A larger one is made anew, a smaller one out of what is there.
        let larger = buffers.take(2 * MIN_SIZE);
        assert_eq!((larger.bytes.len(), idle()), (2 * MIN_SIZE, 1));
        drop(larger);
        let again = buffers.take(MIN_SIZE + 1);
        assert_eq!((again.bytes.len(), idle()), (MIN_SIZE + 1, 1));
        drop(again);
        drop(buffers.take(10));
        assert_eq!(idle(), 2, "small ones are freed");
    }
}
