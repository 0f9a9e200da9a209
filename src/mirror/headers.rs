//! The headers of requests to upstreams and of their answers.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{
    CONTENT_RANGE, DATE, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION, RETRY_AFTER,
};
use url::Url;

/// A header's text, where it is one.
pub(super) fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Adds a header to those of a request. What an upstream has said may be none that can be sent back.
pub(super) fn add(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The `Content-Range` of an answer: its first byte, its last byte, and the size of the file.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let text = text(headers, &CONTENT_RANGE)?;
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?, size.trim().parse().ok()?))
}

/// Where an answer from `url` sends its reader to; `None` if nowhere, or to where no request can go.
pub(super) fn redirection(status: StatusCode, url: &Url, headers: &HeaderMap) -> Option<Url> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = url.join(&text(headers, &LOCATION)?).ok()?;
    matches!(target.scheme(), "http" | "https").then_some(target)
}

/// For how long an upstream that has too much to do wishes to be left alone (RFC 9110, section 10.2.3).
pub(super) fn wished_pause(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let wish = text(headers, &RETRY_AFTER)?;
    match wish.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(wish.trim()).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

/// When what an answer has was last modified, as a validator: a second that had not ended when the answer was made may
/// have seen another change (RFC 9110, section 8.8.2.2).
pub(super) fn settled_modification(headers: &HeaderMap) -> Option<String> {
    let date = |name| httpdate::parse_http_date(text(headers, name)?.trim()).ok();
    let answered = date(&DATE).unwrap_or_else(SystemTime::now);
    let age = answered.duration_since(date(&LAST_MODIFIED)?).ok()?;
    text(headers, &LAST_MODIFIED).filter(|_| age >= Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            add(&mut headers, name.clone(), value);
        }
        headers
    }

    #[test]
    fn a_modification_counts_when_its_second_is_over() {
        let modified = "Tue, 01 Dec 2026 10:00:05 GMT";
        for (date, counts) in [
            ("Tue, 01 Dec 2026 10:00:06 GMT", true),
            ("Tue, 01 Dec 2026 10:00:05 GMT", false),
            ("Tue, 01 Dec 2026 10:00:04 GMT", false),
        ] {
            let all = headers(&[(LAST_MODIFIED, modified), (DATE, date)]);
            assert_eq!(settled_modification(&all).is_some(), counts, "{date}");
        }
        // Without the time of the answer ours counts.
        let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_hours(1));
        assert_eq!(settled_modification(&headers(&[(LAST_MODIFIED, &later)])), None);
        let old = headers(&[(LAST_MODIFIED, "Tue, 01 Jan 2019 00:00:00 GMT")]);
        assert_eq!(settled_modification(&old).as_deref(), Some("Tue, 01 Jan 2019 00:00:00 GMT"));
        assert_eq!(settled_modification(&headers(&[(LAST_MODIFIED, "yesterday")])), None);
    }

    #[test]
    fn redirections_lead_to_urls_of_the_web() {
        let url = Url::parse("https://upstream.example/simple/demo/").unwrap();
        for (status, location, target) in [
            (302, "../x/", Some("https://upstream.example/simple/x/")),
            (308, "http://other.example/", Some("http://other.example/")),
            (302, "file:///etc/passwd", None),
            (302, "http://", None),
            (200, "/x", None),
            (304, "/x", None),
        ] {
            let found =
                redirection(StatusCode::from_u16(status).unwrap(), &url, &headers(&[(LOCATION, location)]));
            assert_eq!(found.as_ref().map(Url::as_str), target, "{status} {location}");
        }
    }
}
