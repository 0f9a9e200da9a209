//! Byte ranges of files (RFC 9110, section 14): one range, from the start or from the end.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use actix_web::http::header::{HeaderMap, HeaderValue, IF_RANGE, RANGE};

/// Which part of a file a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Requested {
    /// All of it; also for ranges that are malformed or more than one, which a server may answer so.
    Whole,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Bytes beyond its end.
    Unsatisfiable,
}

/// What a request asks for of a file of `size` bytes with this entity tag (without quotes) and modification time.
pub(super) fn requested_range(headers: &HeaderMap, size: u64, etag: &str, modified: SystemTime) -> Requested {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(range) = text(RANGE) else { return Requested::Whole };
    if let Some(condition) = text(IF_RANGE)
        && !is_same(condition.trim(), etag, modified)
    {
        return Requested::Whole;
    }
    parse(range, size)
}

/// Whether the file is still the one of which the client has a part: by a strong tag or by its exact date.
fn is_same(condition: &str, etag: &str, modified: SystemTime) -> bool {
    if let Some(tag) = condition.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) {
        return tag == etag;
    }
    let Ok(date) = httpdate::parse_http_date(condition) else { return false };
    // HTTP dates have no fractions of a second.
    modified.duration_since(date).is_ok_and(|later| later < Duration::from_secs(1))
}

fn parse(range: &str, size: u64) -> Requested {
    let Some((unit, spec)) = range.split_once('=') else { return Requested::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return Requested::Whole;
    }
    let Some((first, last)) = spec.trim().split_once('-') else { return Requested::Whole };
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => match suffix.parse::<u64>() {
            Ok(length) => size.saturating_sub(length)..size,
            Err(_) => return Requested::Whole,
        },
        (first, "") => match first.parse() {
            Ok(first) => first..size,
            Err(_) => return Requested::Whole,
        },
        (first, last) => match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
            _ => return Requested::Whole,
        },
    };
    if range.is_empty() { Requested::Unsatisfiable } else { Requested::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    const MODIFIED: Duration = Duration::from_millis(1_795_352_455_250);

    fn requested(range: &str, if_range: Option<&str>) -> Requested {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(range).unwrap());
        if let Some(condition) = if_range {
            headers.insert(IF_RANGE, HeaderValue::from_str(condition).unwrap());
        }
        requested_range(&headers, 100, "abc", SystemTime::UNIX_EPOCH + MODIFIED)
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        for (range, expected) in [
            ("bytes=0-0", Requested::Part(0..1)),
            ("bytes=10-", Requested::Part(10..100)),
            ("bytes=90-200", Requested::Part(90..100)),
            ("bytes=-10", Requested::Part(90..100)),
            ("bytes=-200", Requested::Part(0..100)),
            ("bytes=0-18446744073709551615", Requested::Part(0..100)),
            ("bytes=100-", Requested::Unsatisfiable),
            ("bytes=-0", Requested::Unsatisfiable),
            ("bytes=20-10", Requested::Whole),
            ("bytes=0-1,3-4", Requested::Whole),
            ("lines=0-1", Requested::Whole),
            ("bytes=x-", Requested::Whole),
            ("bytes", Requested::Whole),
        ] {
            assert_eq!(requested(range, None), expected, "{range}");
        }
    }

    #[test]
    fn a_changed_file_is_sent_whole() {
        let part = Requested::Part(10..100);
        for (condition, expected) in [
            ("\"abc\"", part.clone()),
            ("\"abd\"", Requested::Whole),
            ("W/\"abc\"", Requested::Whole),
            ("Sun, 22 Nov 2026 13:00:55 GMT", part),
            ("Sun, 22 Nov 2026 13:00:54 GMT", Requested::Whole),
            ("Sun, 22 Nov 2026 13:00:56 GMT", Requested::Whole),
            ("nonsense", Requested::Whole),
        ] {
            assert_eq!(requested("bytes=10-", Some(condition)), expected, "{condition}");
        }
    }
}
