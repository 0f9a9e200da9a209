//! Login tokens: foreign texts are none, and those of this server say what was signed.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use wheelhouse::auth::token::{Claims, TokenSigner, Verdict};

fuzz_target!(|bytes: &[u8]| {
    let (signer, now) = (TokenSigner::new(&[7; 16]), Timestamp::UNIX_EPOCH);
    let text = String::from_utf8_lossy(bytes);
    assert!(!matches!(signer.verify(&text, now), Verdict::Valid(_)));
    let mut words = text.split(' ').map(Into::into);
    let user = words.next().unwrap_or_else(|| "".into());
    let claims = Claims { user, groups: words.collect(), from_user_record: bytes.len() % 2 == 0 };
    let token = signer.sign(&claims, now);
    assert_eq!(signer.verify(&token, now), Verdict::Valid(claims));
    // Any other last letter of the payload, and any other end.
    for end in 0..token.len() {
        if token.is_char_boundary(end) {
            assert!(!matches!(signer.verify(&token[..end], now), Verdict::Valid(_)));
        }
    }
});
