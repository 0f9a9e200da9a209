//! Simple pages as other servers write them (PEP 503, 691, 700, 708 excepted, 714, 740, 792), read leniently.
//!
//! What a page says of a file is taken over whole; what it says of the page's own form (order, unknown keys,
//! newer minor versions) is passed over. A page of another major version is refused, as is JSON that is none.
//!
//! JSON is read in `simple_read/json.rs`, HTML in `simple_read/html.rs`; here is what holds for both: the
//! result, how the form is told, and which of several files with one name stays.

mod entities;
mod files;
mod html;
mod json;
mod link;
mod loose;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::pep::name::ProjectName;
use crate::pep::simple::{CoreMetadata, ProjectStatus};

/// A file as a project's page lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadFile {
    /// File name: the last part of the URL's path, percent-decoded.
    pub file_name: Arc<str>,
    /// Where it is: absolute, without fragment and without credentials, otherwise verbatim (a query stays).
    pub url: Arc<str>,
    /// Hashes by the name of the algorithm, both in small letters, in the order of the page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<(Arc<str>, Arc<str>)>,
    /// Which Pythons it is for; `None` where the page does not say, or says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_python: Option<Arc<str>>,
    /// The reason for which it is yanked, which may be empty; `None` for a file that is not yanked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yanked: Option<Arc<str>>,
    /// Whether the page offers its core metadata.
    #[serde(default, skip_serializing_if = "CoreMetadata::is_absent")]
    pub core_metadata: CoreMetadata,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was uploaded there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_time: Option<Timestamp>,
    /// Where its attestations are (PEP 740), absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Arc<str>>,
}

/// A project's page as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadDetail {
    /// The files in the order of the page; of several with one name the best one: see [`read_detail`].
    pub files: Vec<ReadFile>,
    /// The versions that the page lists (PEP 700); empty where it does not.
    pub versions: Vec<Arc<str>>,
    /// The status of the project (PEP 792), where the page says one.
    pub status: Option<ProjectStatus>,
}

/// Why a page was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The page is of a version of the simple API that nobody here knows.
    #[error("page of simple API version {0}")]
    Version(String),
    /// The page is no JSON, or not of the shape of a simple page.
    #[error("malformed page: {0}")]
    Malformed(String),
}

/// How much of what a reader says is kept, in characters: it may repeat the page.
const MAX_CAUSE: usize = 200;

impl ReadError {
    fn malformed(cause: impl std::fmt::Display) -> Self {
        Self::Malformed(cause.to_string().chars().take(MAX_CAUSE).collect())
    }
}

/// Reads a project's page.
///
/// `page` is where it was found in the end, after redirects. A file whose URL is of no use is left out, a
/// value of an odd type counts as absent. On an HTML page only links to distributions of `project` count, as
/// such pages hold other links too.
///
/// Of several files with one name the first stays, at its place, unless it has no hash: one with a hash takes
/// that place, and, while there is none, one with a `requires-python` takes it from one without.
pub fn read_detail(
    body: &[u8],
    content_type: &str,
    page: &Url,
    project: &ProjectName,
) -> Result<ReadDetail, ReadError> {
    let body = without_mark(body);
    match form_of(body, content_type)? {
        Form::Json => json::read_detail(body, page),
        Form::Html => html::read_detail(body, page, project),
    }
}

/// Reads a project list and calls `each` with every name as the page spells it, once for each time it is
/// there.
///
/// `page` is where the list was found in the end, after redirects. Names are passed on while the page is
/// read, so `each` may have been called before an error is returned.
pub fn read_list(
    body: &[u8],
    content_type: &str,
    page: &Url,
    each: &mut dyn FnMut(&str),
) -> Result<(), ReadError> {
    let body = without_mark(body);
    match form_of(body, content_type)? {
        Form::Json => json::read_list(body, each),
        Form::Html => html::read_list(body, page, each),
    }
}

/// The two forms of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Html,
}

/// Tells the form by the media type, whatever its parameters, or else by the body.
fn form_of(body: &[u8], content_type: &str) -> Result<Form, ReadError> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let simple = media_type.strip_prefix("application/vnd.pypi.simple.");
    if let Some(version) = simple.and_then(|simple| simple.strip_prefix('v')) {
        check_version(version)?;
    }
    let is_json = media_type == "application/json"
        || simple.is_some_and(|simple| simple.ends_with("+json"))
        || body.trim_ascii_start().starts_with(b"{");
    Ok(if is_json { Form::Json } else { Form::Html })
}

/// The body without the byte order mark that some editors leave before UTF-8.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Refuses pages of a later major version; of any other text than a version nothing is concluded.
fn check_version(version: &str) -> Result<(), ReadError> {
    /// As much of a version as an error repeats.
    const SHOWN_CHARACTERS: usize = 20;

    let version = version.trim();
    let end = version.find(|character: char| !character.is_ascii_digit()).unwrap_or(version.len());
    if matches!(version[..end].trim_start_matches('0'), "" | "1") {
        return Ok(());
    }
    let is_shown = |character: &char| character.is_ascii_digit() || *character == '.';
    Err(ReadError::Version(version.chars().take_while(is_shown).take(SHOWN_CHARACTERS).collect()))
}

/// A status as the page gives it; `None` if it gives none.
fn status_of(status: Option<&str>, reason: Option<&str>) -> Option<ProjectStatus> {
    let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(Arc::from);
    Some(ProjectStatus { status: given(status)?, reason: given(reason) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::pep::digest::Sha256;

    fn page() -> Url {
        Url::parse("https://pypi.example/simple/demo/").unwrap()
    }

    fn detail(body: &str, content_type: &str) -> Result<ReadDetail, ReadError> {
        read_detail(body.as_bytes(), content_type, &page(), &ProjectName::from_url("demo"))
    }

    #[test]
    fn the_form_is_told_by_media_type_or_body() {
        let later = |version: &str| Err(ReadError::Version(version.to_owned()));
        for (content_type, body, form) in [
            ("application/vnd.pypi.simple.v1+json", "", Ok(Form::Json)),
            ("application/vnd.pypi.simple.v1+json; charset=utf-8", "", Ok(Form::Json)),
            ("application/vnd.pypi.simple.v1+json;charset=utf-8", "<html>", Ok(Form::Json)),
            ("Application/Vnd.PyPI.Simple.V1+JSON", "", Ok(Form::Json)),
            ("application/vnd.pypi.simple.latest+json", "", Ok(Form::Json)),
            ("application/vnd.pypi.simple.v0+json", "", Ok(Form::Json)),
            ("application/json", "", Ok(Form::Json)),
            (" application/json ; x=y", "", Ok(Form::Json)),
            ("application/vnd.pypi.simple.v1+html", "", Ok(Form::Html)),
            ("text/html; charset=utf-8", "<html>", Ok(Form::Html)),
            ("text/html", " \r\n\t{\"files\": []}", Ok(Form::Json)),
            ("application/octet-stream", "{", Ok(Form::Json)),
            ("", "{", Ok(Form::Json)),
            ("", "", Ok(Form::Html)),
            ("text/plain", "[]", Ok(Form::Html)),
            ("application/vnd.pypi.simple.v2+json", "", later("2")),
            ("application/vnd.pypi.simple.v2+html; q=1", "", later("2")),
            ("application/vnd.pypi.simple.v10+json", "{}", later("10")),
        ] {
            assert_eq!(form_of(body.as_bytes(), content_type), form, "{content_type} {body}");
        }
    }

    #[test]
    fn later_major_versions_are_refused() {
        for version in ["1.0", "1.4", "1.9", "1.999", "1", "01.0", "0.9", "", " 1.0 ", "x", "-2"] {
            assert_eq!(check_version(version), Ok(()), "{version}");
        }
        for (version, shown) in [
            ("2.0", "2.0"),
            ("2", "2"),
            (" 10.1", "10.1"),
            ("2.0<script>", "2.0"),
            ("99999999999999999999999999", "99999999999999999999"),
        ] {
            assert_eq!(check_version(version), Err(ReadError::Version(shown.into())), "{version}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let body = "\u{feff}{\"files\": [{\"url\": \"demo-1.zip\"}]}";
        assert_eq!(detail(body, "application/json").unwrap().files.len(), 1);
        assert_eq!(detail(body, "").unwrap().files.len(), 1);
        assert_eq!(detail("\u{feff}<a href=demo-1.zip>", "").unwrap().files.len(), 1);
    }

    #[test]
    fn both_forms_of_a_page_say_the_same() {
        let sha256 = Sha256::of(b"metadata");
        let json = json!({
            "meta": {"api-version": "1.4"},
            "project-status": {"status": "archived", "reason": "done & over"},
            "files": [
                {"url": "../../f/demo-1.zip", "hashes": {}, "requires-python": ">=3.8,<4"},
                {"url": "../../f/demo-1.zip", "hashes": {"sha256": "ab"}, "yanked": "bad"},
                {
                    "url": "https://files.example/demo-1.whl?a=1&b=2",
                    "hashes": {"md5": "01", "sha256": "cd"},
                    "core-metadata": {"sha256": sha256},
                    "size": 7,
                    "upload-time": "2026-11-22T13:03:52.25Z",
                    "provenance": "/integrity/demo-1.whl",
                },
            ],
        });
        let html = format!(
            r#"<!DOCTYPE html><html><head>
            <meta name="pypi:repository-version" content="1.4">
            <meta name="pypi:project-status" content="archived">
            <meta name="pypi:project-status-reason" content="done &amp; over">
            </head><body>
            <a href="../../f/demo-1.zip" data-requires-python="&gt;=3.8,&lt;4">demo-1.zip</a><br>
            <a href="../../f/demo-1.zip#sha256=ab" data-yanked="bad">demo-1.zip</a><br>
            <a href="https://files.example/demo-1.whl?a=1&amp;b=2#md5=01&amp;sha256=cd"
               data-core-metadata="sha256={sha256}" data-size="7" data-upload-time="2026-11-22T13:03:52.25Z"
               data-provenance="/integrity/demo-1.whl">demo-1.whl</a>
            </body></html>"#
        );
        let read = detail(&json.to_string(), "application/vnd.pypi.simple.v1+json; charset=utf-8").unwrap();
        assert_eq!(detail(&html, "text/html"), Ok(read.clone()));
        let status = ProjectStatus { status: "archived".into(), reason: Some("done & over".into()) };
        assert_eq!(read.status, Some(status));
        let zip = ReadFile {
            file_name: "demo-1.zip".into(),
            url: "https://pypi.example/f/demo-1.zip".into(),
            hashes: vec![("sha256".into(), "ab".into())],
            requires_python: None,
            yanked: Some("bad".into()),
            core_metadata: CoreMetadata::Absent,
            size: None,
            upload_time: None,
            provenance: None,
        };
        let wheel = ReadFile {
            file_name: "demo-1.whl".into(),
            url: "https://files.example/demo-1.whl?a=1&b=2".into(),
            hashes: vec![("md5".into(), "01".into()), ("sha256".into(), "cd".into())],
            yanked: None,
            core_metadata: CoreMetadata::Hashed(sha256),
            size: Some(7),
            upload_time: Some("2026-11-22T13:03:52.25Z".parse().unwrap()),
            provenance: Some("https://pypi.example/integrity/demo-1.whl".into()),
            ..zip.clone()
        };
        assert_eq!(read.files, [zip, wheel]);
    }

    #[test]
    fn a_page_of_ten_thousand_links_is_read_whole() {
        const COUNT: usize = 10_000;
        let names = || (0..COUNT).map(|number| format!("demo-{number}.zip"));
        let entries = names().map(|name| json!({"url": name, "hashes": {"sha256": "ab"}}));
        let json = json!({"files": entries.collect::<Vec<_>>()}).to_string();
        let links: Vec<_> =
            names().map(|name| format!("<a href=\"{name}#sha256=ab\">{name}</a><br>\n")).collect();
        for (body, content_type) in [(json, "application/json"), (links.concat(), "text/html")] {
            let read = detail(&body, content_type).unwrap();
            assert_eq!(read.files.len(), COUNT);
            assert!(read.files.iter().zip(names()).all(|(file, name)| *file.file_name == *name));
        }
    }

    /// Bytes that get further into a reader than any bytes do.
    fn parts_of_pages() -> impl Strategy<Value = Vec<u8>> {
        let parts = prop::sample::select(vec![
            "<a",
            " href=",
            "\"",
            "'",
            "demo-1.zip",
            "#sha256=",
            "ab",
            ">",
            "</a>",
            "<base href=",
            "http://h/",
            "<svg>",
            "</svg>",
            "<math>",
            "<annotation-xml encoding=text/html>",
            "<title>",
            "</title>",
            "<p>",
            "<script>",
            "</script>",
            "<!--",
            "-->",
            "<textarea>",
            "<select>",
            "<template>",
            "<meta name=",
            "pypi:repository-version",
            " content=",
            "2",
            "&amp;",
            "&#",
            ";",
            "<![CDATA[",
            "]]>",
            "{",
            "}",
            "[",
            "]",
            "\"files\":",
            "\"url\":",
            "\"meta\":",
            "\"projects\":",
            "\"name\":",
            ",",
            "null",
            "\\u00e9",
            "\u{e9}",
            "\0",
            " ",
        ]);
        prop_oneof![
            any::<Vec<u8>>(),
            prop::collection::vec(parts, 0..40).prop_map(|parts| parts.concat().into_bytes()),
        ]
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(
            body in parts_of_pages(),
            content_type in prop::sample::select(vec!["text/html", "application/json", ""]),
        ) {
            let demo = ProjectName::from_url("demo");
            if let Ok(read) = read_detail(&body, content_type, &page(), &demo) {
                prop_assert!(read.files.iter().all(|file| file.url.starts_with("http")));
            }
            let mut names = 0;
            let result = read_list(&body, content_type, &page(), &mut |_| names += 1);
            prop_assert!(result.is_err() || names <= body.len());
        }

        #[test]
        fn no_content_type_is_too_odd(content_type in any::<String>()) {
            let _ = form_of(b"", &content_type);
            let _ = form_of(b"", &format!("application/vnd.pypi.simple.v{content_type}"));
        }
    }
}
