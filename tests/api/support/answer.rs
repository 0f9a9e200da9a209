//! Answers, read to their end.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// A header; empty where it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The entity tag, which must be there.
    #[track_caller]
    pub(crate) fn etag(&self) -> String {
        assert!(self.header("etag").starts_with('"'), "no strong entity tag: {self:?}");
        self.header("etag").to_owned()
    }

    /// The serial of the newest commit when this was answered.
    pub(crate) fn serial(&self) -> i64 {
        self.header("x-devpi-serial").parse().unwrap()
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The `result` of a JSON answer.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        self.expect(200).json()["result"].clone()
    }

    /// The `message` of a JSON answer.
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The answer itself, which must have this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// An answer as it came through the wire.
#[derive(Clone, Debug)]
pub(crate) struct RawAnswer {
    /// Status and reason phrase.
    pub(crate) status_line: String,
    /// All lines of the head.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl RawAnswer {
    /// Takes an answer apart.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = str::from_utf8(&bytes[..end]).unwrap();
        let (version, line) = head.lines().next().unwrap().split_once(' ').unwrap();
        assert!(version.starts_with("HTTP/1."), "{head}");
        Self { status_line: line.to_owned(), head: head.to_owned(), body: bytes[end + 4..].to_vec() }
    }
}
