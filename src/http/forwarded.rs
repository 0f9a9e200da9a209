//! What reverse proxies say of the requests that they pass on: `Forwarded` (RFC 7239) and the older `X-Forwarded-…`.
//!
//! Only proxies that were named by the administrator are believed. The rules, and what counts as malformed, are those
//! of waitress, devpi's HTTP server, whose options these are.

use actix_web::http::header::{HeaderMap, HeaderValue};

/// The value of `--trusted-proxy` that means every peer.
const ANYBODY: &str = "*";

/// How waitress calls the peer at the other end of a Unix socket.
const UNIX_PEER: &str = "localhost";

const FOR: &str = "x-forwarded-for";
const HOST: &str = "x-forwarded-host";
const PROTO: &str = "x-forwarded-proto";
const PORT: &str = "x-forwarded-port";
const BY: &str = "x-forwarded-by";
const FORWARDED: &str = "forwarded";

/// Which proxies are believed, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    /// The address of the nearest one, or `*`.
    peer: String,
    /// How many there are one behind the other.
    count: usize,
    /// The headers that they set, in lower case.
    headers: Vec<String>,
}

/// Why proxies cannot be trusted like that.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustedProxyError {
    /// There is nobody to trust.
    #[error("{0} has no meaning without setting --trusted-proxy")]
    NoProxy(&'static str),
    /// There is no such header.
    #[error("unknown value '{0}' in --trusted-proxy-headers")]
    UnknownHeader(String),
    /// The standard header stands for all the others.
    #[error("--trusted-proxy-headers can't combine 'forwarded' with other headers")]
    Mixed,
}

impl TrustedProxies {
    /// The proxies that the options name: the address of the nearest, how many there are, and which headers they
    /// set, separated by spaces. `None` if none are trusted.
    pub fn new(
        peer: Option<&str>,
        count: Option<usize>,
        headers: Option<&str>,
    ) -> Result<Option<Self>, TrustedProxyError> {
        let Some(peer) = peer else {
            return match (count, headers) {
                (Some(_), _) => Err(TrustedProxyError::NoProxy("--trusted-proxy-count")),
                (_, Some(_)) => Err(TrustedProxyError::NoProxy("--trusted-proxy-headers")),
                _ => Ok(None),
            };
        };
        let mut headers: Vec<String> =
            headers.unwrap_or("").split_whitespace().map(str::to_ascii_lowercase).collect();
        let known = |header: &str| [FOR, HOST, PROTO, PORT, BY, FORWARDED].contains(&header);
        if let Some(unknown) = headers.iter().find(|header| !known(header)) {
            return Err(TrustedProxyError::UnknownHeader(unknown.clone()));
        }
        if headers.iter().any(|header| header == FORWARDED)
            && headers.iter().any(|header| header != FORWARDED)
        {
            return Err(TrustedProxyError::Mixed);
        }
        if headers.is_empty() {
            headers.push(PROTO.to_owned());
        }
        Ok(Some(Self { peer: peer.to_owned(), count: count.unwrap_or(1).max(1), headers }))
    }

    /// What the proxies say of a request that came from `peer`; nothing if that is none of them.
    pub(super) fn read(&self, headers: &HeaderMap, peer: Option<&str>) -> Result<Forwarded, MalformedHeader> {
        if self.peer != ANYBODY && self.peer != peer.unwrap_or(UNIX_PEER) {
            return Ok(Forwarded::default());
        }
        let text = |name: &'static str| {
            let trusted = self.headers.iter().any(|header| header == name);
            // A proxy may add a line of its own to those that came with the request, whatever is in these.
            let lines: Vec<&[u8]> =
                headers.get_all(name).filter(|_| trusted).map(HeaderValue::as_bytes).collect();
            let value: String = lines.join(b", ".as_slice()).into_iter().map(char::from).collect();
            Some(value).filter(|value| !value.is_empty())
        };
        if let Some(value) = text(FORWARDED) {
            return self.parse_forwarded(&value);
        }
        let single = |name: &'static str, shown: &'static str| match text(name) {
            Some(value) if value.contains(',') => Err(MalformedHeader(shown)),
            Some(value) => unquote(&value).map(Some).ok_or(MalformedHeader(shown)),
            None => Ok(None),
        };
        let listed = |name: &'static str, shown: &'static str| {
            text(name).map(|value| self.first_trusted(&value).ok_or(MalformedHeader(shown))).transpose()
        };
        let client = listed(FOR, "X-Forwarded-For")?;
        let host = listed(HOST, "X-Forwarded-Host")?;
        let scheme = single(PROTO, "X-Forwarded-Proto")?;
        let scheme = scheme
            .map(|proto| parse_scheme(&proto).ok_or(MalformedHeader("X-Forwarded-Proto")))
            .transpose()?;
        let port = single(PORT, "X-Forwarded-Port")?;
        Ok(Forwarded::new(client, host, scheme, port))
    }

    /// Of the values that each proxy has appended, the one that the outermost trusted proxy saw.
    fn first_trusted(&self, value: &str) -> Option<String> {
        let mut values = value.split(',').map(|value| unquote(value.trim())).collect::<Option<Vec<_>>>()?;
        Some(values.swap_remove(values.len().saturating_sub(self.count)))
    }

    fn parse_forwarded(&self, value: &str) -> Result<Forwarded, MalformedHeader> {
        let malformed = || MalformedHeader("Forwarded");
        let hops = value.split(',').map(|hop| parse_hop(hop.trim())).collect::<Option<Vec<_>>>();
        let hops = hops.ok_or_else(malformed)?;
        let trusted = &hops[hops.len().saturating_sub(self.count)..];
        // The outermost proxy that says something knows what the client asked for.
        let first = |get: fn(&Hop) -> &Option<String>| trusted.iter().find_map(|hop| get(hop).clone());
        let scheme = first(|hop| &hop.proto);
        let scheme = scheme
            .map(|proto| parse_scheme(&proto).ok_or(MalformedHeader("Forwarded Proto=")))
            .transpose()?;
        Ok(Forwarded::new(first(|hop| &hop.client), first(|hop| &hop.host), scheme, None))
    }
}

/// A header of a trusted proxy that makes no sense. Has the name under which waitress complains of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MalformedHeader(pub(super) &'static str);

/// What trusted proxies say of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Forwarded {
    /// The address of the client.
    pub(super) client: Option<String>,
    /// The scheme that the client used.
    pub(super) scheme: Option<&'static str>,
    /// The host that the client asked, with its port where that is not the scheme's own.
    pub(super) host: Option<String>,
}

impl Forwarded {
    fn new(
        client: Option<String>,
        host: Option<String>,
        scheme: Option<&'static str>,
        port: Option<String>,
    ) -> Self {
        let has_port = |host: &str| host.contains(':') && !host.ends_with(']');
        let host = host.filter(|host| !host.is_empty()).map(|host| match port {
            Some(port) if !port.is_empty() && !has_port(&host) => format!("{host}:{port}"),
            _ => host,
        });
        Self { client: client.filter(|client| !client.is_empty()), scheme, host }
    }
}

/// One proxy of a `Forwarded` header.
#[derive(Default)]
struct Hop {
    client: Option<String>,
    host: Option<String>,
    proto: Option<String>,
}

fn parse_hop(text: &str) -> Option<Hop> {
    let mut hop = Hop::default();
    for pair in text.split(';').filter(|pair| !pair.is_empty()) {
        let pair = pair.to_lowercase();
        let (token, value) = pair.split_once('=')?;
        if token.trim() != token || value.trim() != value {
            return None;
        }
        let field = match token {
            "for" => &mut hop.client,
            "host" => &mut hop.host,
            "proto" => &mut hop.proto,
            _ => continue,
        };
        *field = Some(unquote(value)?).filter(|value| !value.is_empty());
    }
    Some(hop)
}

fn parse_scheme(text: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme))
}

/// The value without quotes around it. `None` if they are only on one side, or not escaped inside.
fn unquote(value: &str) -> Option<String> {
    if !value.starts_with('"') && !value.ends_with('"') {
        return Some(value.to_owned());
    }
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    let mut unquoted = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        unquoted.push(match character {
            '"' => return None,
            '\\' => characters.next()?,
            _ => character,
        });
    }
    Some(unquoted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    const ALL: &str = "x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-forwarded-by";

    fn proxies(peer: &str, count: usize, headers: &str) -> TrustedProxies {
        TrustedProxies::new(Some(peer), Some(count), Some(headers)).unwrap().unwrap()
    }

    fn read(
        proxies: &TrustedProxies,
        pairs: &[(&'static str, &'static str)],
    ) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let read = proxies.read(&headers, Some("10.0.0.1")).map_err(|malformed| malformed.0)?;
        Ok(format!("{}://{}", read.scheme.unwrap_or_default(), read.host.unwrap_or_default()))
    }

    #[test]
    fn trusted_headers_tell_scheme_and_host() {
        let proxies = proxies("10.0.0.1", 1, ALL);
        for (pairs, expected) in [
            (vec![(PROTO, "https"), (HOST, "out.example")], "https://out.example"),
            (vec![(HOST, "inner.example, out.example")], "://out.example"),
            (vec![(HOST, "forged.example"), (HOST, "out.example")], "://out.example"),
            (vec![(HOST, "out.example"), (PORT, "8443")], "://out.example:8443"),
            (vec![(HOST, "out.example:99"), (PORT, "8443")], "://out.example:99"),
            (vec![(HOST, "[::1]"), (PORT, "8443")], "://[::1]:8443"),
            (vec![(HOST, "\"out.example\"")], "://out.example"),
            (vec![(PORT, "8443")], "://"),
            (vec![(FORWARDED, "host=evil.example")], "://"),
        ] {
            assert_eq!(read(&proxies, &pairs), Ok(expected.to_owned()), "{pairs:?}");
        }
    }

    #[test]
    fn the_standard_header_counts_from_the_outermost_trusted_proxy() {
        let value =
            "for=1.2.3.4;host=evil.example, for=1.1.1.1;host=out.example;proto=HTTPS, for=10.0.0.2;host=in";
        let pairs = [(FORWARDED, value)];
        assert_eq!(read(&proxies("*", 2, FORWARDED), &pairs), Ok("https://out.example".to_owned()));
        assert_eq!(read(&proxies("*", 1, FORWARDED), &pairs), Ok("://in".to_owned()));
        assert_eq!(read(&proxies("*", 9, FORWARDED), &pairs), Ok("https://evil.example".to_owned()));
    }

    #[test]
    fn others_are_not_believed() {
        let pairs = [(HOST, "evil.example"), (PROTO, "https")];
        assert_eq!(read(&proxies("10.0.0.2", 1, ALL), &pairs), Ok("://".to_owned()));
        assert_eq!(read(&proxies("localhost", 1, ALL), &pairs), Ok("://".to_owned()));
        let unix = proxies("localhost", 1, ALL).read(&HeaderMap::new(), None);
        assert_eq!(unix, Ok(Forwarded::default()));
    }

    #[test]
    fn malformed_headers_are_named_as_waitress_names_them() {
        let older = proxies("*", 1, ALL);
        for (name, value, shown) in [
            (PROTO, "gopher", "X-Forwarded-Proto"),
            (PROTO, "http, https", "X-Forwarded-Proto"),
            (PORT, "1,2", "X-Forwarded-Port"),
            (HOST, "\"half", "X-Forwarded-Host"),
            (FOR, "1.1.1.1, \"half", "X-Forwarded-For"),
        ] {
            assert_eq!(read(&older, &[(name, value)]), Err(shown), "{value}");
        }
        let standard = proxies("*", 1, FORWARDED);
        for (value, shown) in [
            ("for", "Forwarded"),
            ("for= 1.1.1.1", "Forwarded"),
            ("host=\"x", "Forwarded"),
            ("proto=ftp", "Forwarded Proto="),
        ] {
            assert_eq!(read(&standard, &[(FORWARDED, value)]), Err(shown), "{value}");
        }
    }

    #[test]
    fn options_must_fit_together() {
        let new = TrustedProxies::new;
        assert_eq!(new(None, None, None), Ok(None));
        assert_eq!(new(None, Some(1), None), Err(TrustedProxyError::NoProxy("--trusted-proxy-count")));
        assert_eq!(new(None, None, Some(HOST)), Err(TrustedProxyError::NoProxy("--trusted-proxy-headers")));
        let unknown = Err(TrustedProxyError::UnknownHeader("x".to_owned()));
        assert_eq!(new(Some("*"), None, Some("X")), unknown);
        assert_eq!(new(Some("*"), None, Some("forwarded x-forwarded-for")), Err(TrustedProxyError::Mixed));
        assert_eq!(new(Some("*"), None, None), Ok(Some(proxies("*", 1, "X-Forwarded-Proto"))));
    }
}
