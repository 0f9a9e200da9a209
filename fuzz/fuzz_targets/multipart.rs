//! Multipart forms: reading one ends, and what it says does not depend on the pieces in which it comes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pollster::block_on;
use wheelhouse::http::fuzzing::read_form;

const CONTENT_TYPE: &str = "multipart/form-data; boundary=XX";

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, body)) = bytes.split_first() else { return };
    let whole = block_on(read_form(CONTENT_TYPE, body, body.len()));
    if let Some(parts) = &whole {
        assert!(parts.iter().map(|(name, length)| name.len() + length).sum::<usize>() <= body.len());
        assert_eq!(block_on(read_form(CONTENT_TYPE, body, usize::from(piece))), whole);
    }
    // The boundary too comes from the client.
    let boundary = String::from_utf8_lossy(&body[..body.len().min(80)]).replace(char::is_control, "");
    block_on(read_form(&format!("multipart/form-data; boundary={boundary}"), body, body.len()));
});
