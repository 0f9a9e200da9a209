//! Values as devpi-server stores them: decoding ends, with a value or with an error that names a place in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wheelhouse::dump::serverdir::marshal::decode;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = decode(bytes) {
        assert!(error.offset <= bytes.len());
    }
});
