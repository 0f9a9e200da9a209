//! Zip archives that somebody uploads: reading one ends, within its limits.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use wheelhouse::archive::{Limits, check_zip, wheel_metadata};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { members: 1000, metadata_bytes: 100_000 };
    if let Ok(summary) = check_zip(Cursor::new(bytes), &limits) {
        assert!(summary.members <= limits.members);
    }
    if let Ok(Some(metadata)) = wheel_metadata(Cursor::new(bytes), "demo-1.0-py3-none-any.whl", &limits) {
        assert!(metadata.len() as u64 <= limits.metadata_bytes);
    }
});
