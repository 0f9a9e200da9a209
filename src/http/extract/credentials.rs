//! Credentials of a request (`server-api` section 6.3).

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use crate::auth::authenticator::Credentials;

const X_DEVPI_AUTH: HeaderName = HeaderName::from_static("x-devpi-auth");

/// Whether there are credentials, or what should have been some.
pub(in crate::http) fn has_credentials(headers: &HeaderMap) -> bool {
    [X_DEVPI_AUTH, AUTHORIZATION].iter().any(|name| headers.contains_key(name))
}

/// The credentials in `X-Devpi-Auth`, else those of Basic authentication. What cannot be decoded is not there; what
/// can be decoded counts, even if it is wrong and the other header is right.
pub(in crate::http) fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let own = text(X_DEVPI_AUTH).and_then(decode);
    own.or_else(|| {
        let (scheme, value) = text(AUTHORIZATION)?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then(|| decode(value)).flatten()
    })
}

/// Decodes as Python does: characters that are none of base64 are passed over, the padding must be right, and what
/// comes after it does not count.
fn decode(value: &str) -> Option<Credentials> {
    let alphabet = |character: &char| character.is_ascii_alphanumeric() || "+/=".contains(*character);
    let compact: String = value.chars().filter(alphabet).collect();
    let end = compact.find('=').map_or(compact.len(), |padding| padding.next_multiple_of(4));
    let bytes = STANDARD.decode(compact.get(..end)?).ok()?;
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
    use secrecy::ExposeSecret;

    fn found(pairs: &[(HeaderName, &str)]) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        credentials(&headers).map(|found| (found.user, found.secret.expose_secret().to_owned()))
    }

    fn encoded(text: &[u8]) -> String {
        STANDARD.encode(text)
    }

    fn pair(user: &str, secret: &str) -> (String, String) {
        (user.to_owned(), secret.to_owned())
    }

    #[test]
    fn the_own_header_goes_first_unless_it_is_undecodable() {
        let basic = format!("basic {}", encoded(b"root:"));
        let own = encoded(b"alice:a:b");
        assert_eq!(found(&[(X_DEVPI_AUTH, &own), (AUTHORIZATION, &basic)]), Some(pair("alice", "a:b")));
        assert_eq!(found(&[(AUTHORIZATION, &basic)]), Some(pair("root", "")));
        for bad in ["@@@", "", &encoded(b"nocolon"), "YWxpY2U6cH", "YWxpY2U6cA="] {
            assert_eq!(
                found(&[(X_DEVPI_AUTH, bad), (AUTHORIZATION, &basic)]),
                Some(pair("root", "")),
                "{bad}"
            );
        }
    }

    #[test]
    fn odd_encodings_are_understood() {
        assert_eq!(found(&[(X_DEVPI_AUTH, "YWxp Y2U6c#A==#rest")]), Some(pair("alice", "p")));
        assert_eq!(
            found(&[(X_DEVPI_AUTH, &encoded("alice:\u{e4}".as_bytes()))]),
            Some(pair("alice", "\u{e4}"))
        );
        assert_eq!(found(&[(X_DEVPI_AUTH, &encoded(b"alice:\xe4"))]), Some(pair("alice", "\u{e4}")));
        for other in ["Bearer abc", "Basic @@", "Basic"] {
            assert_eq!(found(&[(AUTHORIZATION, other)]), None);
        }
    }
}
