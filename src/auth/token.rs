//! Login tokens in devpi's format: itsdangerous' timed serialiser over JSON (`server-api` section 6.2).
//!
//! `payload.timestamp.signature`, where the payload is a JSON list of user name, groups, and whether the login rests
//! on the user's own record.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha1::{Digest, Sha1};

use super::secret::TOKEN_KEY_BYTES;
use crate::ascii_json;

/// How long a token is valid, in seconds (as in devpi).
pub const LIFETIME_SECONDS: i64 = 36_000;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who logged in.
    pub user: Arc<str>,
    /// The groups that the login came with.
    pub groups: Vec<Arc<str>>,
    /// Whether the user must still have a record.
    pub from_user_record: bool,
}

/// What a text is, as a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has no valid signature: no token of this server.
    NotAToken,
    /// It is a token that is not valid now, or never was.
    Invalid,
    /// It is a valid token.
    Valid(Claims),
}

/// Signs and verifies tokens.
pub struct TokenSigner {
    mac: Hmac<Sha1>,
}

impl TokenSigner {
    /// A signer with a key that was derived for tokens.
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes keys of any length")]
    pub fn new(key: &[u8; TOKEN_KEY_BYTES]) -> Self {
        let mut derived = Sha1::new();
        derived.update(b"itsdangerous");
        derived.update(b"signer");
        derived.update(key);
        Self { mac: Hmac::new_from_slice(&derived.finalize()).expect("a key of 20 bytes") }
    }

    /// A token for a login at `now`.
    pub fn sign(&self, claims: &Claims, now: Timestamp) -> String {
        // Pure ASCII: clients put tokens into headers.
        let payload = ascii_json::to_line(&(&claims.user, &claims.groups, claims.from_user_record));
        let seconds = now.as_second().max(0).to_be_bytes();
        let leading_zeros = seconds.iter().take_while(|byte| **byte == 0).count();
        let signed = format!("{payload}.{}", URL_SAFE_NO_PAD.encode(&seconds[leading_zeros..]));
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// What the text is at `now`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Verdict {
        let Some((signed, signature)) = token.rsplit_once('.') else { return Verdict::NotAToken };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return Verdict::NotAToken };
        // This comparison takes the same time whatever the signature.
        if self.mac(signed).verify_slice(&signature).is_err() {
            return Verdict::NotAToken;
        }
        parse_signed(signed, now).map_or(Verdict::Invalid, Verdict::Valid)
    }

    fn mac(&self, signed: &str) -> Hmac<Sha1> {
        let mut mac = self.mac.clone();
        mac.update(signed.as_bytes());
        mac
    }
}

fn parse_signed(signed: &str, now: Timestamp) -> Option<Claims> {
    let (payload, timestamp) = signed.rsplit_once('.')?;
    let bytes = URL_SAFE_NO_PAD.decode(timestamp).ok()?;
    let seconds =
        bytes.iter().try_fold(0_i64, |value, byte| value.checked_mul(256)?.checked_add((*byte).into()))?;
    if !(0..=LIFETIME_SECONDS).contains(&(now.as_second() - seconds)) {
        return None;
    }
    let (user, groups, from_user_record): (String, Vec<String>, bool) = serde_json::from_str(payload).ok()?;
    Some(Claims { user: user.into(), groups: groups.into_iter().map(Into::into).collect(), from_user_record })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by itsdangerous with the key below at [`SIGNED_AT`].
    const ALICE: &str = r#"["alice", [], true].awLnhw.FqdqQIVFUXQZyW-LOB_EKMJYKc0"#;
    const CAROL: &str = r#"["c\u00e4rol", ["g2", "g1"], false].awLnhw.iy7A-0LIP0jHFU9P2_xrL-wDIOM"#;
    const SIGNED_AT: i64 = 1_795_352_455;

    fn signer() -> TokenSigner {
        let mut key = [0; TOKEN_KEY_BYTES];
        hex::decode_to_slice("f084bacf87129db1d5436318e31be72b", &mut key).unwrap();
        TokenSigner::new(&key)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn alice() -> Claims {
        Claims { user: "alice".into(), groups: vec![], from_user_record: true }
    }

    fn carol() -> Claims {
        Claims { user: "cärol".into(), groups: vec!["g2".into(), "g1".into()], from_user_record: false }
    }

    #[test]
    fn tokens_are_those_of_itsdangerous() {
        assert_eq!(signer().sign(&alice(), at(SIGNED_AT)), ALICE);
        assert_eq!(signer().sign(&carol(), at(SIGNED_AT)), CAROL);
        assert_eq!(signer().verify(CAROL, at(SIGNED_AT)), Verdict::Valid(carol()));
    }

    #[test]
    fn a_token_lives_for_ten_hours() {
        for (age, expected) in [
            (0, Verdict::Valid(alice())),
            (LIFETIME_SECONDS, Verdict::Valid(alice())),
            (LIFETIME_SECONDS + 1, Verdict::Invalid),
            (-1, Verdict::Invalid),
        ] {
            assert_eq!(signer().verify(ALICE, at(SIGNED_AT + age)), expected, "{age}");
        }
    }

    #[test]
    fn what_is_not_signed_is_no_token() {
        let forged = ALICE.replace("alice", "root");
        let other_key = TokenSigner::new(&[7; TOKEN_KEY_BYTES]).sign(&alice(), at(SIGNED_AT));
        for text in ["", "secret", "a.b.c", "..", &forged, &other_key, &ALICE[..ALICE.len() - 1]] {
            assert_eq!(signer().verify(text, at(SIGNED_AT)), Verdict::NotAToken, "{text}");
        }
    }

    #[test]
    fn names_survive_in_ascii() {
        for name in ["a\"b\\c", "tab\t", "𝔘", "ä\u{7f}"] {
            let claims = Claims { user: name.into(), ..alice() };
            let token = signer().sign(&claims, at(SIGNED_AT));
            assert!(token.is_ascii());
            assert_eq!(signer().verify(&token, at(SIGNED_AT)), Verdict::Valid(claims));
        }
    }
}
