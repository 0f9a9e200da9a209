//! Credentials of a request (`server-api` section 6.3).

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, engine};
use secrecy::SecretString;

use crate::auth::authenticator::Credentials;

const X_DEVPI_AUTH: HeaderName = HeaderName::from_static("x-devpi-auth");

/// Base64 with or without padding: clients differ.
const LENIENT: GeneralPurpose = engine::GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The credentials in `X-Devpi-Auth`, else those of Basic authentication. What cannot be decoded is not there; what
/// can be decoded counts, even if it is wrong and the other header is right.
pub(in crate::http) fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let text = |name| headers.get(name).and_then(|value: &actix_web::http::header::HeaderValue| value.to_str().ok());
    let own = text(X_DEVPI_AUTH).and_then(decode);
    own.or_else(|| {
        let (scheme, value) = text(AUTHORIZATION)?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then(|| decode(value)).flatten()
    })
}

fn decode(value: &str) -> Option<Credentials> {
    let compact: String = value.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    let bytes = LENIENT.decode(compact).ok()?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(), // Latin-1
    };
    let (user, secret) = text.split_once(':')?;
    Some(Credentials { user: user.to_owned(), secret: SecretString::from(secret) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use base64::engine::general_purpose;
    use secrecy::ExposeSecret;

    fn found(pairs: &[(HeaderName, &str)]) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        credentials(&headers).map(|found| (found.user, found.secret.expose_secret().to_owned()))
    }

    fn encoded(text: &[u8]) -> String {
        general_purpose::STANDARD.encode(text)
    }

    fn pair(user: &str, secret: &str) -> Option<(String, String)> {
        Some((user.to_owned(), secret.to_owned()))
    }

    #[test]
    fn the_own_header_goes_first_unless_it_is_undecodable() {
        let basic = format!("basic {}", encoded(b"root:"));
        let own = encoded(b"alice:a:b");
        assert_eq!(found(&[(X_DEVPI_AUTH, &own), (AUTHORIZATION, &basic)]), pair("alice", "a:b"));
        assert_eq!(found(&[(AUTHORIZATION, &basic)]), pair("root", ""));
        for bad in ["@@@", "", &encoded(b"nocolon"), "YWxpY2U6cH%"] {
            assert_eq!(found(&[(X_DEVPI_AUTH, bad), (AUTHORIZATION, &basic)]), pair("root", ""), "{bad}");
        }
    }

    #[test]
    fn odd_encodings_are_understood() {
        assert_eq!(found(&[(X_DEVPI_AUTH, "YWxpY2U6cA")]), pair("alice", "p"));
        assert_eq!(found(&[(X_DEVPI_AUTH, &encoded("alice:\u{e4}".as_bytes()))]), pair("alice", "\u{e4}"));
        assert_eq!(found(&[(X_DEVPI_AUTH, &encoded(b"alice:\xe4"))]), pair("alice", "\u{e4}"));
        for other in ["Bearer abc", "Basic @@", "Basic"] {
            assert_eq!(found(&[(AUTHORIZATION, other)]), None);
        }
    }
}
