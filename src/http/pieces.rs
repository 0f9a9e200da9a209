//! How large the pieces are in which files go out: large for few clients, small for many, so that all of them together
//! take a bounded share of the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// With smaller pieces than this, in bytes, most of the time goes into asking for the next one.
const SMALLEST: u64 = 16 * 1024;

/// The memory for pieces, shared by all downloads.
#[derive(Clone, Debug)]
pub struct PieceMemory {
    under_way: Arc<AtomicU64>,
    largest: u64,
    total: u64,
}

impl PieceMemory {
    /// Pieces of at most `largest` bytes, and smaller ones if those of all downloads came to more than `total` bytes.
    pub fn new(largest: u64, total: u64) -> Self {
        Self { under_way: Arc::default(), largest: largest.max(1), total }
    }

    /// The share of a download that begins.
    pub(super) fn begin(&self) -> PieceSize {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        PieceSize { memory: self.clone(), next: SMALLEST }
    }
}

/// The share of one download, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct PieceSize {
    memory: PieceMemory,
    next: u64,
}

impl PieceSize {
    /// The size of the next piece, in bytes. They grow, as many clients may begin at once.
    pub(super) fn next(&mut self) -> u64 {
        let PieceMemory { under_way, largest, total } = &self.memory;
        let share = total / under_way.load(Ordering::Relaxed).max(1);
        // Few different sizes are easy on the allocator.
        let share = 1 << share.max(SMALLEST).ilog2();
        let size = self.next.min(share).min(*largest);
        self.next = size.saturating_mul(2);
        size
    }
}

impl Drop for PieceSize {
    fn drop(&mut self) {
        self.memory.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_downloads_get_small_pieces() {
        let memory = PieceMemory::new(256 * 1024, 1024 * 1024);
        let mut first = memory.begin();
        let sizes: Vec<u64> = (0..6).map(|_| first.next() / 1024).collect();
        assert_eq!(sizes, [16, 32, 64, 128, 256, 256]);
        let others: Vec<_> = (0..15).map(|_| memory.begin()).collect();
        assert_eq!(first.next(), 64 * 1024);
        let more: Vec<_> = (0..1000).map(|_| memory.begin()).collect();
        assert_eq!(first.next(), SMALLEST);
        drop((others, more));
        assert_eq!((first.next(), first.next()), (32 * 1024, 64 * 1024));
        assert_eq!(PieceMemory::new(1000, 1024).begin().next(), 1000);
    }
}
