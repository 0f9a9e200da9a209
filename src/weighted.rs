//! Caches that are bounded by the memory that they take.

use std::hash::Hash;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// The least that each part of a cache may take, in bytes. A part keeps nothing that is heavier than itself, so that with
/// many parts, as machines with many processors would get them, the largest things would never be kept.
const PART_BYTES: u64 = 32 * 1024 * 1024;

/// More parts do not help even many processors.
const MAX_PARTS: usize = 64;

/// About how many bytes one thing takes. The number only sizes tables.
const BYTES_PER_THING: u64 = 4096;

/// A cache of at most `bytes` bytes, as `weighter` weighs them. What is as heavy as half of that, or as 16 MiB, is kept.
pub fn weighted_cache<K, V, W>(bytes: u64, weighter: W) -> Cache<K, V, W>
where
    K: Eq + Hash,
    V: Clone,
    W: Weighter<K, V> + Clone,
{
    let things = usize::try_from(bytes / BYTES_PER_THING).unwrap_or(usize::MAX).max(64);
    let parts = usize::try_from(bytes / PART_BYTES).unwrap_or(usize::MAX).clamp(1, MAX_PARTS);
    let options = OptionsBuilder::new()
        .estimated_items_capacity(things)
        .weight_capacity(bytes)
        // A power of two: others are rounded up.
        .shards(1 << parts.ilog2())
        .build();
    match options {
        Ok(options) => {
            Cache::with_options(options, weighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
        }
        // Only where the two numbers are missing.
        Err(_) => Cache::with_weighter(things, bytes, weighter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Own;

    impl Weighter<u32, u64> for Own {
        fn weight(&self, _: &u32, weight: &u64) -> u64 {
            *weight
        }
    }

    #[test]
    fn heavy_things_are_kept_on_all_machines() {
        let mebibytes = 1024 * 1024;
        for (bytes, heavy) in
            [(mebibytes, mebibytes / 2), (64 * mebibytes, 16 * mebibytes), (1 << 40, 1 << 24)]
        {
            let cache = weighted_cache(bytes, Own);
            for key in 0..100 {
                cache.insert(key, heavy);
                assert!(cache.get(&key).is_some(), "{heavy} of {bytes}");
                assert!(cache.weight() <= bytes);
            }
        }
    }
}
