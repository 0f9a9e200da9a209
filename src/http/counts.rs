//! How many things there are of each index: writes pass over the indexes of which there is none.

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::storage::model::IndexName;

/// The counts of all indexes of which there is something.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Arc<DashMap<IndexName, usize>>);

/// Something of an index that counts as long as this is not dropped.
#[derive(Debug)]
pub(super) struct Counted {
    counts: Counts,
    index: IndexName,
}

impl Counts {
    /// One more of `index`.
    pub(super) fn add(&self, index: &IndexName) -> Counted {
        *self.0.entry(index.clone()).or_default() += 1;
        Counted { counts: self.clone(), index: index.clone() }
    }

    /// Whether there is anything of `index`.
    pub(super) fn has(&self, index: &IndexName) -> bool {
        self.0.contains_key(index)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.counts.0.entry(self.index.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_counts() {
        let (counts, index) = (Counts::default(), IndexName::new("alice", "dev"));
        assert!(!counts.has(&index));
        let (first, second) = (counts.add(&index), counts.add(&index));
        drop(first);
        assert!(counts.has(&index) && !counts.has(&IndexName::new("alice", "prod")));
        drop(second);
        assert!(!counts.has(&index) && counts.0.is_empty());
    }
}
