//! What a client accepts: media types, codings, and what it has already.

use actix_web::http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, IF_NONE_MATCH, USER_AGENT};

/// The media type of JSON answers.
pub(super) const JSON: &str = "application/json";
/// The media type of HTML pages.
pub(super) const HTML: &str = "text/html";
/// The media type of simple pages as JSON (PEP 691).
pub(super) const SIMPLE_JSON: &str = "application/vnd.pypi.simple.v1+json";
/// The media type of simple pages as HTML (PEP 691).
pub(super) const SIMPLE_HTML: &str = "application/vnd.pypi.simple.v1+html";
/// The newest JSON that the server has.
const SIMPLE_LATEST_JSON: &str = "application/vnd.pypi.simple.latest+json";
/// The newest HTML that the server has.
const SIMPLE_LATEST_HTML: &str = "application/vnd.pypi.simple.latest+html";

/// The most media ranges of an `Accept` header that are looked at.
const MAX_RANGES: usize = 50;

/// The product names of programs that install packages (devpi's list).
const INSTALLERS: [&str; 5] = ["distribute/", "setuptools/", "pip/", "pex/", "uv/"];

/// An `Accept` header.
#[derive(Clone, Debug)]
pub(super) struct Accept {
    header: Option<String>,
    ranges: Vec<Range>,
}

/// A media range of an `Accept` header.
#[derive(Clone, Debug)]
struct Range {
    /// In lower case; `type/*` for any of a type, `*/*` for any at all.
    media_type: String,
    /// In thousandths.
    quality: u16,
    /// Whether it has no parameters but the quality. Nothing here is offered with parameters, so a range with some
    /// fits nothing.
    is_plain: bool,
}

impl Accept {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok());
        Self::parse(values.map(str::to_owned).reduce(|joined, value| joined + "," + &value))
    }

    fn parse(header: Option<String>) -> Self {
        let mut ranges: Vec<_> =
            header.as_deref().unwrap_or("").split(',').take(MAX_RANGES).filter_map(parse_range).collect();
        if ranges.is_empty() && header.as_deref().is_some_and(|header| !header.trim().is_empty()) {
            // A header that says nothing readable excludes nothing; an empty one excludes all (as in devpi).
            ranges.push(Range { media_type: "*/*".to_owned(), quality: 1000, is_plain: true });
        }
        Self { header, ranges }
    }

    /// Whether there is such a header.
    pub(super) fn is_present(&self) -> bool {
        self.header.is_some()
    }

    /// How much the client likes a media type, in thousandths; 0 for not at all. Without a header it likes all.
    pub(super) fn quality(&self, media_type: &str) -> u16 {
        if self.header.is_none() {
            return 1000;
        }
        // The most specific range that fits decides (RFC 9110, section 12.5.1).
        let fitting =
            self.ranges.iter().filter_map(|range| Some((range.specificity(media_type)?, range.quality)));
        fitting.max().map_or(0, |(_, quality)| quality)
    }

    /// Whether the client takes a media type at all.
    pub(super) fn admits(&self, media_type: &str) -> bool {
        self.quality(media_type) > 0
    }

    /// Whether the header has the literal text `application/json` in it, which is all that devpi asks in places.
    pub(super) fn mentions_json(&self) -> bool {
        self.header.as_deref().is_some_and(|header| header.contains(JSON))
    }

    /// The header itself.
    pub(super) fn as_str(&self) -> &str {
        self.header.as_deref().unwrap_or("")
    }
}

impl Range {
    /// How closely the range names a media type; `None` if that is not in it.
    fn specificity(&self, media_type: &str) -> Option<u8> {
        match self.media_type.strip_suffix('*') {
            _ if !self.is_plain => None,
            None => (self.media_type == media_type).then_some(2),
            Some("*/") => Some(0),
            Some(kind) => (kind.ends_with('/') && media_type.starts_with(kind)).then_some(1),
        }
    }
}

fn parse_range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().filter(|media_type| media_type.contains('/'))?.to_ascii_lowercase();
    let mut range = Range { media_type, quality: 1000, is_plain: true };
    for parameter in parts {
        match parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")) {
            Some(value) => range.quality = parse_quality(value)?,
            None => range.is_plain = false,
        }
    }
    Some(range)
}

fn parse_quality(value: &str) -> Option<u16> {
    let quality: f32 = value.trim().parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value lies in 0..=1000")]
    (0.0..=1.0).contains(&quality).then(|| (quality * 1000.0).round() as u16)
}

/// The form of a simple page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SimpleFormat {
    Html,
    Json,
}

/// The form of a simple page and the media type under which it goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SimpleType {
    pub(super) format: SimpleFormat,
    pub(super) media_type: &'static str,
}

const AS_HTML: SimpleType = SimpleType { format: SimpleFormat::Html, media_type: "text/html; charset=UTF-8" };
const AS_TYPED_HTML: SimpleType = SimpleType { format: SimpleFormat::Html, media_type: SIMPLE_HTML };
const AS_JSON: SimpleType = SimpleType { format: SimpleFormat::Json, media_type: SIMPLE_JSON };

/// Chooses the form of a simple page (PEP 691): what the client likes best, of equals the earlier one here.
///
/// Clients that accept neither get HTML all the same, since old ones name types at random.
pub(super) fn choose_simple(accept: &Accept) -> SimpleType {
    let offers = [
        (HTML, AS_HTML),
        (SIMPLE_JSON, AS_JSON),
        (SIMPLE_LATEST_JSON, AS_JSON),
        (SIMPLE_HTML, AS_TYPED_HTML),
        (SIMPLE_LATEST_HTML, AS_TYPED_HTML),
    ];
    let mut best = (0, AS_HTML);
    for (media_type, offer) in offers {
        let quality = accept.quality(media_type);
        if quality > best.0 {
            best = (quality, offer);
        }
    }
    best.1
}

/// Whether the client installs packages: it gets simple pages where others get something else.
pub(super) fn is_installer(headers: &HeaderMap) -> bool {
    let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
    user_agent.split(' ').any(|word| INSTALLERS.iter().any(|name| word.starts_with(name)))
}

/// A content coding of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

/// The best coding that the client takes; zstd before gzip, as it is faster to unpack.
pub(super) fn choose_coding(headers: &HeaderMap) -> Coding {
    let mut quality = [None; 3];
    for value in headers.get_all(ACCEPT_ENCODING).filter_map(|value| value.to_str().ok()) {
        for item in value.split(',').take(MAX_RANGES) {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let parsed = parameters.trim().strip_prefix("q=").map_or(Some(1000), parse_quality).unwrap_or(0);
            let is = |known| name.trim().eq_ignore_ascii_case(known);
            if is("zstd") {
                quality[0] = Some(parsed);
            } else if is("gzip") || is("x-gzip") {
                quality[1] = Some(parsed);
            } else if is("*") {
                quality[2] = Some(parsed);
            }
        }
    }
    let [zstd, gzip, any] = quality;
    let (zstd, gzip) = (zstd.or(any).unwrap_or(0), gzip.or(any).unwrap_or(0));
    match (zstd, gzip) {
        (0, 0) => Coding::Identity,
        _ if zstd >= gzip => Coding::Zstd,
        _ => Coding::Gzip,
    }
}

/// Whether `If-None-Match` names the tag (given without quotes), so that the client has the content already.
pub(super) fn has_etag(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|item| {
            let item = item.trim();
            let opaque = item.strip_prefix("W/").unwrap_or(item);
            let opaque = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(opaque);
            opaque == etag || item == "*"
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn accept(header: &str) -> Accept {
        Accept::parse(Some(header.to_owned()))
    }

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn the_most_specific_range_decides() {
        let accept = accept("text/*;q=0.5, text/html;q=0.2, */*; q=0.1, application/json;q=0");
        assert_eq!(accept.quality("text/html"), 200);
        assert_eq!(accept.quality("text/plain"), 500);
        assert_eq!(accept.quality("image/png"), 100);
        assert!(!accept.admits("application/json"));
        assert!(Accept::parse(None).admits("application/json"));
    }

    #[test]
    fn unreadable_headers_exclude_nothing_and_parameters_fit_nothing() {
        assert!(accept(";;").admits("text/html"));
        assert!(!accept("").admits("text/html"));
        assert!(!accept("application/json; charset=utf-8").admits("application/json"));
        assert!(accept("application/json; charset=utf-8").mentions_json());
    }

    #[test]
    fn simple_pages_go_out_as_clients_like_them() {
        let html = "text/html; charset=UTF-8";
        for (header, media_type) in [
            ("*/*", html),
            ("text/html", html),
            ("text/html,application/vnd.pypi.simple.v1+json", html),
            ("text/html;q=0.5, application/vnd.pypi.simple.v1+json;q=0.6", SIMPLE_JSON),
            (
                "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
                SIMPLE_JSON,
            ),
            ("application/vnd.pypi.simple.v1+html", SIMPLE_HTML),
            ("application/vnd.pypi.simple.latest+json", SIMPLE_JSON),
            ("application/json", html),
            ("image/png", html),
        ] {
            assert_eq!(choose_simple(&accept(header)).media_type, media_type, "{header}");
        }
        assert_eq!(choose_simple(&Accept::parse(None)).media_type, html);
    }

    #[test]
    fn installers_are_known_by_their_product() {
        for (user_agent, expected) in [
            ("pip/23.0 {\"x\":1}", true),
            ("Mozilla pip/23", true),
            ("twine/4 setuptools/1", true),
            ("uv/0.5", true),
            ("devpi-client/7.3.0 (py3.11.7; linux)", false),
            ("twine/7.0.0 CPython/3.11.7", false),
            ("notpip/1", false),
        ] {
            assert_eq!(is_installer(&headers(USER_AGENT, user_agent)), expected, "{user_agent}");
        }
        assert!(!is_installer(&HeaderMap::new()));
    }

    #[test]
    fn codings_follow_the_client() {
        for (value, expected) in [
            ("gzip, deflate", Coding::Gzip),
            ("gzip, deflate, zstd", Coding::Zstd),
            ("gzip;q=1.0, zstd;q=0.5", Coding::Gzip),
            ("identity", Coding::Identity),
            ("gzip;q=0", Coding::Identity),
            ("*", Coding::Zstd),
            ("*;q=0.5, zstd;q=0", Coding::Gzip),
        ] {
            assert_eq!(choose_coding(&headers(ACCEPT_ENCODING, value)), expected, "{value}");
        }
        assert_eq!(choose_coding(&HeaderMap::new()), Coding::Identity);
    }

    #[test]
    fn known_contents_are_recognised() {
        for (value, expected) in [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"x\", \"abc\"", true),
            ("*", true),
            ("\"abd\"", false),
        ] {
            assert_eq!(has_etag(&headers(IF_NONE_MATCH, value), "abc"), expected, "{value}");
        }
    }
}
