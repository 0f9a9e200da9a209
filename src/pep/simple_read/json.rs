//! Simple pages in JSON (PEP 691).
//!
//! The entries of a page are read one at a time and not kept: a project list has 800,000 of them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use url::Url;

use super::files::{Files, MAX_PAGE_BYTES};
use super::link::{file_at, hashes_in, resolve};
use super::loose::{Elements, Entry, Field, Loose, Scalar, Text};
use super::{ReadDetail, ReadError, ReadFile, check_version, status_of};
use crate::pep::simple::CoreMetadata;

/// The names of the field for core metadata, the one that counts first: that of PEP 714, that of PEP 658, and
/// one that PyPI sends by mistake.
const CORE_METADATA_KEYS: [&str; 3] = ["core-metadata", "dist-info-metadata", "data-dist-info-metadata"];

/// About how many bytes of memory a version takes besides its text.
const BYTES_PER_VERSION: usize = 64;

pub(super) fn read_detail(body: &[u8], page: &Url) -> Result<ReadDetail, ReadError> {
    let mut files = Files::default();
    let rest = read_page(body, "files", &mut |entry| {
        if let Some(file) = read_file(&entry, page, &mut files) {
            files.add(file);
        }
    })?;
    let status_in = |object: &Field<'_>| {
        let text = |key| object.get(key).and_then(Loose::text);
        status_of(text("status"), text("reason"))
    };
    // The example in the packaging guide has it under `meta`, by mistake.
    let status = status_in(&rest.status).or_else(|| rest.meta.get("project-status").and_then(status_in));
    files.charge(rest.version_bytes);
    Ok(ReadDetail { files: files.finish()?, versions: rest.versions, status })
}

pub(super) fn read_list(body: &[u8], each: &mut dyn FnMut(&str)) -> Result<(), ReadError> {
    let (mut entries, mut names) = (0, 0);
    read_page(body, "projects", &mut |entry| {
        entries += 1;
        if let Some(name) = entry.get("name").and_then(Loose::text).filter(|name| !name.is_empty()) {
            names += 1;
            each(name);
        }
    })?;
    if entries > 0 && names == 0 {
        return Err(ReadError::Malformed("projects without names".to_owned()));
    }
    Ok(())
}

fn read_file(entry: &Entry<'_>, page: &Url, files: &mut Files) -> Option<ReadFile> {
    let text = |key| entry.get(key).and_then(Loose::text).filter(|text| !text.is_empty());
    let url = resolve(page, text("url")?)?;
    let fragment = url.fragment().map(str::to_owned);
    let mut file = file_at(url)?;
    if let Some(hashes) = entry.get("hashes") {
        let pairs = hashes.entries().filter_map(|(algorithm, value)| Some((algorithm, value.text()?)));
        file.hashes = files.hashes(pairs, is_algorithm);
    }
    if file.hashes.is_empty() {
        file.hashes = hashes_in(fragment.as_deref(), files);
    }
    file.requires_python = text("requires-python").map(|specifier| files.share(specifier));
    file.yanked = match entry.get("yanked") {
        Some(Loose::Bool(true)) => Some(files.share("")),
        _ => text("yanked").map(|reason| files.share(reason)),
    };
    file.core_metadata = CORE_METADATA_KEYS
        .into_iter()
        .filter_map(|key| entry.get(key))
        .find_map(read_core_metadata)
        .unwrap_or_default();
    if let Some(Loose::Number(size)) = entry.get("size") {
        file.size = Some(*size);
    }
    file.upload_time = text("upload-time").and_then(|time| time.parse().ok());
    file.provenance = text("provenance").and_then(|url| resolve(page, url)).map(|url| url.as_str().into());
    Some(file)
}

/// Whether this may name an algorithm. It becomes part of URLs and of pages.
fn is_algorithm(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// What a field says of core metadata; `None` if it says nothing.
fn read_core_metadata(field: &Field<'_>) -> Option<CoreMetadata> {
    match field {
        Loose::Bool(true) => Some(CoreMetadata::Offered),
        Loose::Bool(false) => Some(CoreMetadata::Absent),
        Loose::Object(_) => {
            let sha256 = field.get("sha256").and_then(Scalar::text).and_then(|value| value.parse().ok());
            Some(sha256.map_or(CoreMetadata::Offered, CoreMetadata::Hashed))
        }
        _ => None,
    }
}

/// What a page has beside its entries.
#[derive(Default)]
struct Page<'a> {
    meta: Entry<'a>,
    status: Field<'a>,
    versions: Vec<Arc<str>>,
    /// How many bytes of memory the versions take, with those that there was no room for.
    version_bytes: usize,
    has_list: bool,
}

/// Reads a page and calls `each` with the entries of the list under key `list`.
fn read_page<'a>(
    body: &'a [u8],
    list: &'static str,
    each: &mut dyn FnMut(Entry<'_>),
) -> Result<Page<'a>, ReadError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let page = PageReader { list, each }
        .deserialize(&mut deserializer)
        .and_then(|page| deserializer.end().map(|()| page))
        .map_err(ReadError::malformed)?;
    match page.meta.get("api-version") {
        Some(Loose::Text(version)) => check_version(version)?,
        Some(Loose::Number(version)) => check_version(&version.to_string())?,
        _ => {}
    }
    if !page.has_list {
        return Err(ReadError::Malformed(format!("no list of {list}")));
    }
    Ok(page)
}

struct PageReader<'f> {
    list: &'static str,
    each: &'f mut dyn FnMut(Entry<'_>),
}

impl<'de> DeserializeSeed<'de> for PageReader<'_> {
    type Value = Page<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Page<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageReader<'_> {
    type Value = Page<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a simple page")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Page<'de>, A::Error> {
        let mut page = Page::default();
        while let Some(Text(key)) = object.next_key()? {
            match &*key {
                "meta" => page.meta = object.next_value()?,
                "project-status" => page.status = object.next_value()?,
                "versions" => {
                    let mut seen = HashSet::new();
                    object.next_value_seed(Elements::new(|version: Scalar<'de>| {
                        let Some(version) = version.text().map(Arc::<str>::from) else {
                            return;
                        };
                        if seen.contains(&version) {
                            return;
                        }
                        page.version_bytes += BYTES_PER_VERSION + version.len();
                        if page.version_bytes <= MAX_PAGE_BYTES {
                            seen.insert(Arc::clone(&version));
                            page.versions.push(version);
                        }
                    }))?;
                }
                key if key == self.list => {
                    page.has_list |=
                        object.next_value_seed(Elements::new(|entry: Entry<'de>| (self.each)(entry)))?;
                }
                _ => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pep::digest::Sha256;

    fn page() -> Url {
        Url::parse("https://user:secret@pypi.example/simple/demo/").unwrap()
    }

    fn detail(body: &Value) -> Result<ReadDetail, ReadError> {
        read_detail(body.to_string().as_bytes(), &page())
    }

    /// The file that an entry with this field besides its URL is read as.
    fn file_with(key: &str, value: Value) -> ReadFile {
        let entry = json!({"url": "demo-1.zip", "hashes": {}, key: value});
        let mut read = detail(&json!({"files": [entry]})).unwrap();
        assert_eq!(read.files.len(), 1, "{key}");
        read.files.remove(0)
    }

    fn names(body: &Value) -> Result<Vec<String>, ReadError> {
        let mut names = Vec::new();
        read_list(body.to_string().as_bytes(), &mut |name| names.push(name.to_owned()))?;
        Ok(names)
    }

    #[test]
    fn urls_decide_which_files_there_are() {
        for (url, expected) in [
            (json!("demo-1.zip"), Some("https://pypi.example/simple/demo/demo-1.zip")),
            (json!("../../f/demo-1.zip#sha256=ab"), Some("https://pypi.example/f/demo-1.zip")),
            (json!("http://a:b@h/demo-1.zip?t=1#x"), Some("http://h/demo-1.zip?t=1")),
            (json!("http://h/other-1.tar.xz"), Some("http://h/other-1.tar.xz")),
            (json!("http://h/README"), Some("http://h/README")),
            (json!("ftp://h/demo-1.zip"), None),
            (json!("http://h/"), None),
            (json!("http://h/..%2fdemo-1.zip"), None),
            (json!(""), None),
            (json!(7), None),
            (json!(null), None),
            (json!(["demo-1.zip"]), None),
        ] {
            let read = detail(&json!({"files": [{"url": url, "filename": "x-9.zip"}]})).unwrap();
            let urls: Vec<_> = read.files.iter().map(|file| &*file.url).collect();
            assert_eq!(urls, expected.into_iter().collect::<Vec<_>>(), "{url}");
        }
    }

    #[test]
    fn odd_entries_are_left_out() {
        let files = json!([null, 7, "demo-1.zip", [], {}, {"filename": "demo-1.zip"}, {"url": "demo-2.zip"}]);
        let read = detail(&json!({"files": files})).unwrap();
        assert_eq!(read.files.len(), 1);
        assert_eq!(&*read.files[0].file_name, "demo-2.zip");
    }

    #[test]
    fn hashes_are_read_in_small_letters() {
        for (value, expected) in [
            (json!({"sha256": "AB01", "md5": "cd"}), &[("sha256", "ab01"), ("md5", "cd")][..]),
            (json!({"SHA256": "ab", "sha256": "cd"}), &[("sha256", "ab")]),
            (json!({"blake2b_256": "ab", "x-9": "cd"}), &[("blake2b_256", "ab"), ("x-9", "cd")]),
            (json!({"sha256": "", "md5": "xyz", "sha1": 7, "sha512": null, "sha224": ["ab"]}), &[]),
            (json!({"": "ab", "a b": "ab", "a<b": "ab"}), &[]),
            (json!({}), &[]),
            (json!(null), &[]),
            (json!("sha256=ab"), &[]),
            (json!([["sha256", "ab"]]), &[]),
        ] {
            let file = file_with("hashes", value.clone());
            let hashes: Vec<_> = file.hashes.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(hashes, expected, "{value}");
        }
    }

    #[test]
    fn values_of_odd_types_are_absent() {
        for (value, expected) in
            [(json!(">=3.8"), Some(">=3.8")), (json!(""), None), (json!(null), None), (json!(3), None)]
        {
            assert_eq!(file_with("requires-python", value).requires_python.as_deref(), expected);
        }
        for (value, expected) in [
            (json!(true), Some("")),
            (json!("bad"), Some("bad")),
            (json!(false), None),
            (json!(""), None),
            (json!(null), None),
            (json!(1), None),
            (json!({"reason": "bad"}), None),
        ] {
            assert_eq!(file_with("yanked", value).yanked.as_deref(), expected);
        }
        for (value, expected) in [
            (json!(0), Some(0)),
            (json!(5_000_000_000_u64), Some(5_000_000_000)),
            (json!(-1), None),
            (json!(1.5), None),
            (json!("7"), None),
            (json!(null), None),
        ] {
            assert_eq!(file_with("size", value).size, expected);
        }
        for (value, expected) in [
            (json!("2026-11-22T13:03:52Z"), Some("2026-11-22T13:03:52Z")),
            (json!("2026-11-22T15:03:52.000001+02:00"), Some("2026-11-22T13:03:52.000001Z")),
            (json!("2026-11-22T13:03:52"), None),
            (json!("yesterday"), None),
            (json!(1_732_280_632), None),
        ] {
            assert_eq!(
                file_with("upload-time", value).upload_time.map(|time| time.to_string()).as_deref(),
                expected
            );
        }
        for (value, expected) in [
            (json!("https://h/provenance"), Some("https://h/provenance")),
            (json!("/integrity/x"), Some("https://pypi.example/integrity/x")),
            (json!("javascript:alert(1)"), None),
            (json!(""), None),
            (json!(null), None),
            (json!(true), None),
        ] {
            assert_eq!(file_with("provenance", value).provenance.as_deref(), expected);
        }
    }

    #[test]
    fn core_metadata_goes_by_its_newest_name() {
        let sha256 = Sha256::of(b"metadata");
        let hashed = json!({"sha256": sha256});
        for (fields, expected) in [
            (json!({}), CoreMetadata::Absent),
            (json!({"core-metadata": true}), CoreMetadata::Offered),
            (json!({"core-metadata": hashed}), CoreMetadata::Hashed(sha256)),
            (json!({"core-metadata": {}}), CoreMetadata::Offered),
            (json!({"core-metadata": {"sha256": "ab"}}), CoreMetadata::Offered),
            (json!({"core-metadata": {"sha256": 7, "md5": "ab"}}), CoreMetadata::Offered),
            (json!({"dist-info-metadata": hashed}), CoreMetadata::Hashed(sha256)),
            (json!({"data-dist-info-metadata": hashed}), CoreMetadata::Hashed(sha256)),
            (json!({"data-dist-info-metadata": hashed, "dist-info-metadata": true}), CoreMetadata::Offered),
            (json!({"dist-info-metadata": true, "core-metadata": hashed}), CoreMetadata::Hashed(sha256)),
            (json!({"dist-info-metadata": hashed, "core-metadata": false}), CoreMetadata::Absent),
            (json!({"dist-info-metadata": hashed, "core-metadata": null}), CoreMetadata::Hashed(sha256)),
            (json!({"dist-info-metadata": hashed, "core-metadata": "yes"}), CoreMetadata::Hashed(sha256)),
            (json!({"core-metadata": 1}), CoreMetadata::Absent),
        ] {
            let mut entry = fields.clone();
            entry["url"] = json!("demo-1.whl");
            let read = detail(&json!({"files": [entry]})).unwrap();
            assert_eq!(read.files[0].core_metadata, expected, "{fields}");
        }
    }

    #[test]
    fn versions_and_status_are_those_of_the_project() {
        for (value, expected) in [
            (json!(["2.0", "1.0", "2.0", "odd version"]), &["2.0", "1.0", "odd version"][..]),
            (json!(["1.0", 2, null]), &["1.0"]),
            (json!(null), &[]),
            (json!("1.0"), &[]),
            (json!({"1.0": []}), &[]),
        ] {
            let read = detail(&json!({"files": [], "versions": value})).unwrap();
            let versions: Vec<_> = read.versions.iter().map(|version| &**version).collect();
            assert_eq!(versions, expected);
        }
        let quarantined = json!({"status": "quarantined", "reason": "malware"});
        for (body, expected) in [
            (json!({"project-status": quarantined}), Some(("quarantined", Some("malware")))),
            (json!({"meta": {"project-status": quarantined}}), Some(("quarantined", Some("malware")))),
            (
                json!({
                    "meta": {"project-status": quarantined},
                    "project-status": {"status": "active", "reason": ""},
                }),
                Some(("active", None)),
            ),
            (json!({"project-status": {"status": "odd", "reason": 7}}), Some(("odd", None))),
            (json!({"project-status": {"status": ""}}), None),
            (json!({"project-status": {"reason": "x"}}), None),
            (json!({"project-status": null}), None),
            (json!({"project-status": "archived"}), None),
            (json!({}), None),
        ] {
            let mut page = body.clone();
            page["files"] = json!([]);
            let status = detail(&page).unwrap().status;
            let status = status.as_ref().map(|status| (&*status.status, status.reason.as_deref()));
            assert_eq!(status, expected, "{body}");
        }
    }

    #[test]
    fn very_many_versions_are_too_many() {
        let page = |count: usize| {
            let versions: Vec<String> = (0..count).map(|number| number.to_string()).collect();
            detail(&json!({"files": [], "versions": versions}))
        };
        assert_eq!(page(100_000).unwrap().versions.len(), 100_000);
        assert!(matches!(page(MAX_PAGE_BYTES / BYTES_PER_VERSION), Err(ReadError::Malformed(_))));
    }

    #[test]
    fn pages_are_refused_as_a_whole_for_their_form_only() {
        for (body, refused) in [
            (r#"{"files": []}"#, None),
            (r#"{"files": [], "meta": null, "_x": {"y": [1]}}"#, None),
            (r#"{"files": [], "meta": {"api-version": "1.9"}}"#, None),
            (r#"{"files": [], "meta": {"api-version": 1.0}}"#, None),
            (r#"{"files": [], "meta": {"api-version": "2.0"}}"#, Some("page of simple API version 2.0")),
            (r#"{"files": [], "meta": {"api-version": 2}}"#, Some("page of simple API version 2")),
            (r#"{"releases": {}, "meta": {"api-version": "3.1"}}"#, Some("page of simple API version 3.1")),
            ("{}", Some("malformed page: no list of files")),
            (r#"{"projects": []}"#, Some("malformed page: no list of files")),
            (r#"{"files": null}"#, Some("malformed page: no list of files")),
            (r#"{"files": {"url": "demo-1.zip"}}"#, Some("malformed page: no list of files")),
            ("", Some("malformed page: EOF while parsing a value at line 1 column 0")),
            ("<html>", Some("malformed page: expected value at line 1 column 1")),
            ("[]", Some("malformed page: invalid type: sequence, expected a simple page at line 1 column 0")),
            (r#"{"files": []} x"#, Some("malformed page: trailing characters at line 1 column 15")),
            (
                r#"{"files": [{"url": "demo-1.zip"}"#,
                Some("malformed page: EOF while parsing a list at line 1 column 32"),
            ),
        ] {
            let error = read_detail(body.as_bytes(), &page()).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), refused, "{body}");
        }
        assert!(matches!(read_detail(b"{\"files\": [\"\xff\"]}", &page()), Err(ReadError::Malformed(_))));
        let deep = format!(r#"{{"files": [{}{}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read_detail(deep.as_bytes(), &page()), Ok(ReadDetail::default()));
    }

    #[test]
    fn project_lists_are_read_as_they_spell_the_names() {
        let list = json!({
            "meta": {"api-version": "1.4", "_last-serial": 1},
            "projects": [
                {"name": "Zope.Interface", "_last-serial": 7},
                {"name": "a\u{e9}\n"},
                {"name": "x"},
                {"name": "x"},
            ],
        });
        assert_eq!(names(&list).unwrap(), ["Zope.Interface", "a\u{e9}\n", "x", "x"]);
        let list = json!({"projects": [null, 1, "x", {}, {"name": ""}, {"name": 7}, {"name": "y"}]});
        assert_eq!(names(&list).unwrap(), ["y"]);
        for body in [json!({}), json!({"files": []}), json!({"projects": null}), json!({"projects": {}})] {
            assert_eq!(names(&body), Err(ReadError::Malformed("no list of projects".into())), "{body}");
        }
        let later = json!({"meta": {"api-version": "2.0"}, "projects": []});
        assert_eq!(names(&later), Err(ReadError::Version("2.0".into())));
    }
}
