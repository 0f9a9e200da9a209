//! URLs: the base as clients see it, paths as URLs, and links relative to a page (`server-api` section 4).

use std::borrow::Cow;
use std::iter::repeat_n;

use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap, HeaderName};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::forwarded::Forwarded;

/// What is encoded in paths: everything that is not a path character of RFC 3986. `+` stays.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

const X_OUTSIDE_URL: HeaderName = HeaderName::from_static("x-outside-url");

/// A path with slashes, percent-encoded.
pub(super) fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// The base of all URLs in answers to one request, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    url: String,
    /// Where its path begins in it.
    path: usize,
}

impl BaseUrl {
    /// The base for a request: its `X-Outside-Url`, else `--outside-url`, else what trusted proxies say, else its
    /// `Host`.
    pub(super) fn new(headers: &HeaderMap, outside_url: Option<&str>, forwarded: &Forwarded) -> Self {
        let text = |name: HeaderName| {
            headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
        };
        if let Some(url) = text(X_OUTSIDE_URL).or(outside_url) {
            let url = url.split(['?', '#']).next().unwrap_or_default();
            return match url.split_once("://") {
                Some((scheme, rest)) => Self::of(&scheme.to_ascii_lowercase(), rest),
                None => Self { url: url.to_owned(), path: url.len() },
            };
        }
        let host = forwarded.host.as_deref().or_else(|| text(HOST));
        // A host has no path, which would be taken off the paths of requests.
        let host = host.and_then(|host| host.split(['/', '?', '#', '\\']).next());
        let host = host.filter(|host| !host.is_empty()).unwrap_or("localhost");
        Self::of(forwarded.scheme.unwrap_or("http"), host)
    }

    /// Without a port that the scheme has anyway.
    fn of(scheme: &str, rest: &str) -> Self {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let standard = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        let authority = authority.strip_suffix(standard).unwrap_or(authority);
        let url = [scheme, "://", authority, path].concat();
        Self { path: url.len() - path.len(), url }
    }

    /// The base itself.
    pub(super) fn as_str(&self) -> &str {
        &self.url
    }

    /// The URL of a path without leading slash; an empty path is the root.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}/{}", self.url, encode_path(path))
    }

    /// The request path without the base's own path, if it starts with that (a proxy may or may not strip it).
    pub(super) fn strip_prefix<'a>(&self, path: &'a str) -> &'a str {
        let own_path = self.url[self.path..].trim_end_matches('/');
        if own_path.is_empty() {
            return path;
        }
        match path.strip_prefix(own_path) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }
}

/// A request path in which every `%XX` is decoded. `None` if the bytes are no UTF-8.
///
/// pip and hatch send `%2Bf` and `%2Bsimple`, which the router must take for `+f` and `+simple`; a decoded slash is a
/// separator, as in devpi.
pub(super) fn decode_path(path: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(path).decode_utf8().ok()
}

/// The decoded path of a URI, which may be absolute, only a path, or empty. `None` if it is none of these; nor is a
/// path with two slashes in front, which might be the name of a host.
pub(super) fn path_of_uri(uri: &str) -> Option<String> {
    let uri: Uri = if uri.is_empty() { Uri::from_static("/") } else { uri.parse().ok()? };
    decode_path(uri.path()).filter(|path| !path.starts_with("//")).map(Cow::into_owned)
}

/// The path from the page at `page` to `target`; both start at the root, without leading slash.
pub(super) fn relative(page: &str, target: &str) -> String {
    // A page's links start from its directory: its path up to the last slash.
    let same = page.bytes().zip(target.bytes()).take_while(|(left, right)| left == right).count();
    let common = page.as_bytes()[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let up = page[common..].matches('/').count();
    let mut link = String::with_capacity(up * "../".len() + target.len() - common);
    link.extend(repeat_n("../", up));
    link.extend(utf8_percent_encode(&target[common..], PATH));
    link
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn base(url: &str) -> BaseUrl {
        BaseUrl::new(&HeaderMap::new(), Some(url), &Forwarded::default())
    }

    #[test]
    fn the_base_comes_from_header_option_or_host() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("foo.example:99"));
        let direct = Forwarded::default();
        assert_eq!(
            BaseUrl::new(&headers, None, &direct).join("alice/vol"),
            "http://foo.example:99/alice/vol"
        );
        let forwarded =
            Forwarded { scheme: Some("https"), host: Some("p.example:443".to_owned()), client: None };
        assert_eq!(BaseUrl::new(&headers, None, &forwarded).join("x"), "https://p.example/x");
        let outside_url = Some("https://out.example");
        assert_eq!(BaseUrl::new(&headers, outside_url, &forwarded).join(""), "https://out.example/");
        headers.insert(X_OUTSIDE_URL, HeaderValue::from_static("https://hdr.example/sub"));
        let base = BaseUrl::new(&headers, outside_url, &forwarded);
        assert_eq!(base.join("+login"), "https://hdr.example/sub/+login");
    }

    #[test]
    fn hosts_have_no_path() {
        let direct = Forwarded::default();
        for (host, expected) in [
            ("x/public", "http://x"),
            ("x:80/public", "http://x"),
            ("x?public", "http://x"),
            ("x#/public", "http://x"),
            ("x\\public/y", "http://x"),
            ("/public", "http://localhost"),
            ("[::1]:99/public", "http://[::1]:99"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            let forwarded = Forwarded { host: Some(host.to_owned()), ..Forwarded::default() };
            for base in
                [BaseUrl::new(&headers, None, &direct), BaseUrl::new(&HeaderMap::new(), None, &forwarded)]
            {
                assert_eq!(base.as_str(), expected, "{host}");
                assert_eq!(base.strip_prefix("/public/alice/dev"), "/public/alice/dev", "{host}");
            }
        }
    }

    #[test]
    fn standard_ports_are_left_out() {
        for (url, expected) in [
            ("http://h:80", "http://h/x"),
            ("https://h:443/sub", "https://h/sub/x"),
            ("https://h:80", "https://h:80/x"),
            ("http://[::1]:80", "http://[::1]/x"),
            ("http://h:8080/:80", "http://h:8080/:80/x"),
            ("HTTPS://H.example/Sub?a=b#c", "https://H.example/Sub/x"),
        ] {
            assert_eq!(base(url).join("x"), expected);
        }
    }

    #[test]
    fn the_bases_own_path_is_stripped_once() {
        for (url, path, expected) in [
            ("https://out.example/sub", "/sub/alice/+api", "/alice/+api"),
            ("https://out.example/sub", "/alice/+api", "/alice/+api"),
            ("https://out.example/sub", "/submarine", "/submarine"),
            ("https://out.example/sub/", "/sub", "/"),
            ("http://out.example:8080/devpi/root", "/devpi/root/+api", "/+api"),
            ("https://out.example", "/sub", "/sub"),
        ] {
            assert_eq!(base(url).strip_prefix(path), expected, "{url} {path}");
        }
    }

    #[test]
    fn links_are_relative_to_the_page() {
        let target = "alice/vol/+f/594/e519/x-1.0 b+local.zip";
        for (page, expected) in [
            ("alice/vol/+simple/x/", "../../+f/594/e519/x-1.0%20b+local.zip"),
            ("alice/vol/+simple/x", "../+f/594/e519/x-1.0%20b+local.zip"),
            ("alice/vol/x/", "../+f/594/e519/x-1.0%20b+local.zip"),
            ("alice/vol/x", "+f/594/e519/x-1.0%20b+local.zip"),
            ("alice/dev/+simple/x/", "../../../vol/+f/594/e519/x-1.0%20b+local.zip"),
            ("bob/vol/+simple/x/", "../../../../alice/vol/+f/594/e519/x-1.0%20b+local.zip"),
        ] {
            assert_eq!(relative(page, target), expected);
        }
    }

    #[test]
    fn paths_are_decoded_whole() {
        assert_eq!(decode_path("/%61lice/%2Bf/a%2Fb").as_deref(), Some("/alice/+f/a/b"));
        assert_eq!(decode_path("/%ff"), None);
        assert_eq!(encode_path("c\u{e4}rol/x+1 <"), "c%C3%A4rol/x+1%20%3C");
    }
}
