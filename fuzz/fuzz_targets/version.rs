//! Versions, of which anybody may upload any: their order is total, whatever they are.
#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use wheelhouse::pep::version::Version;

fuzz_target!(|text: &str| {
    let versions: Vec<Version> = text.lines().take(3).map(Version::new).collect();
    let [a, b, c] = versions.as_slice() else { return };
    assert_eq!(a.cmp(b), b.cmp(a).reverse());
    assert_eq!(a.cmp(b) == Ordering::Equal, a == b);
    if a.cmp(b) == b.cmp(c) {
        assert_eq!(a.cmp(c), a.cmp(b));
    }
    let _ = a.is_prerelease();
});
