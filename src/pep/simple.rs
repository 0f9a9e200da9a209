//! The simple repository API's pages as data, and as JSON.
//!
//! Follows the simple repository API specification at version [`API_VERSION`]: PEP 503 and 691 (pages), 700
//! (versions, size, upload time), 714 (core metadata) and 792 (project status). See [`super::simple_html`] for HTML.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::digest::Sha256;

/// About how long a file is in JSON, in bytes.
const USUAL_FILE_BYTES: usize = 512;

/// The version of the simple API that pages declare, in JSON and in HTML.
pub const API_VERSION: &str = "1.4";

/// Whether the core metadata of a file can be had beside it (PEP 658 and 714).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CoreMetadata {
    /// Nothing is said of it.
    #[default]
    Absent,
    /// It can be had; its hash is not known.
    Offered,
    /// It can be had and has this hash.
    Hashed(Sha256),
}

impl CoreMetadata {
    /// Whether nothing is said of it.
    pub fn is_absent(&self) -> bool {
        *self == Self::Absent
    }
}

/// The status of a project (PEP 792).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectStatus {
    /// `active`, `archived`, `quarantined`, `deprecated`, or a word that nobody here knows.
    pub status: Arc<str>,
    /// Why it is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}

impl ProjectStatus {
    /// Whether no files of the project may be offered.
    pub fn is_quarantined(&self) -> bool {
        &*self.status == "quarantined"
    }
}

/// A project's page. `F` yields the files, newest version first: each is made when it is written, as of thousands much
/// would have to be held.
#[derive(Clone, Debug)]
pub struct ProjectDetail<'a, F> {
    /// The normalised name.
    pub name: &'a str,
    /// All versions without duplicates, also those without files; newest first.
    pub versions: &'a [&'a str],
    /// The files.
    pub files: F,
    /// Its status; `None` for an active project.
    pub status: Option<&'a ProjectStatus>,
}

/// A file of a project's page.
#[derive(Clone, Debug)]
pub struct File<'a> {
    /// File name, the last part of the URL.
    pub filename: &'a str,
    /// Where the file is: absolute, or relative to the page. Percent-encoded, without fragment.
    pub url: String,
    /// Hashes of the file.
    pub hashes: Hashes<'a>,
    /// Which Pythons the release is for. `None` where the uploader did not say.
    pub requires_python: Option<&'a str>,
    /// The reason for which it is yanked, which may be empty; `None` for a file that is not yanked.
    pub yanked: Option<&'a str>,
    /// Whether core metadata are served at the URL with `.metadata` appended.
    pub core_metadata: CoreMetadata,
    /// Size in bytes, where it is known.
    pub size: Option<u64>,
    /// When the file was uploaded, where that is known.
    pub upload_time: Option<Timestamp>,
    /// Where its provenance object is.
    pub provenance: Option<String>,
    /// Which index offers the file; shown to human readers.
    pub source: &'a str,
}

/// Hashes of a file.
#[derive(Clone, Copy, Debug)]
pub enum Hashes<'a> {
    /// The one that is computed here.
    Sha256(Sha256),
    /// Hexadecimal digits by the name of the algorithm.
    Named(&'a [(Arc<str>, Arc<str>)]),
}

/// Named hashes, SHA-256 before the others: some readers have room for one.
pub(super) fn best_first(hashes: &[(Arc<str>, Arc<str>)]) -> impl Iterator<Item = (&str, &str)> {
    let is_best = |hash: &&(Arc<str>, Arc<str>)| &*hash.0 == "sha256";
    let others = hashes.iter().filter(move |hash| !is_best(hash));
    hashes.iter().filter(is_best).chain(others).map(|(algorithm, value)| (&**algorithm, &**value))
}

#[derive(Serialize)]
struct Meta {
    #[serde(rename = "api-version")]
    api_version: &'static str,
}

const META: Meta = Meta { api_version: API_VERSION };

#[derive(Serialize)]
struct DetailJson<'a, F> {
    meta: Meta,
    name: &'a str,
    versions: &'a [&'a str],
    files: F,
    #[serde(rename = "project-status", skip_serializing_if = "Option::is_none")]
    status: Option<&'a ProjectStatus>,
}

struct FilesJson<F>(F);

impl<'a, F: Iterator<Item = File<'a>> + Clone> Serialize for FilesJson<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}

impl Serialize for File<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        FileJson::from(self).serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FileJson<'a> {
    filename: &'a str,
    url: &'a str,
    hashes: Hashes<'a>,
    // Without the name that it had before PEP 714, which HTML has, too: at its sight pip 22.3 to 23.1 end with a traceback.
    #[serde(skip_serializing_if = "Option::is_none")]
    core_metadata: Option<CoreMetadataJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requires_python: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    yanked: Option<YankedJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<&'a str>,
}

impl Serialize for Hashes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sha256(hash) => serializer.collect_map([("sha256", hash)]),
            Self::Named(hashes) => serializer.collect_map(best_first(hashes)),
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum CoreMetadataJson {
    Offered(bool),
    Hashed { sha256: Sha256 },
}

#[derive(Serialize)]
#[serde(untagged)]
enum YankedJson<'a> {
    Yanked(bool),
    Because(&'a str),
}

impl<'a, F: Iterator<Item = File<'a>> + Clone> ProjectDetail<'a, F> {
    /// The page as JSON (PEP 691).
    pub fn render_json(self) -> Vec<u8> {
        let Self { name, versions, files, status } = self;
        let mut page = Vec::with_capacity(1024 + files.size_hint().0 * USUAL_FILE_BYTES);
        let detail = DetailJson { meta: META, name, versions, files: FilesJson(files), status };
        // Serialising these structs cannot fail: no map keys but strings, no writer but memory.
        let _written = serde_json::to_writer(&mut page, &detail);
        page
    }
}

impl<'a> From<&'a File<'a>> for FileJson<'a> {
    fn from(file: &'a File<'a>) -> Self {
        let core_metadata = match file.core_metadata {
            CoreMetadata::Absent => None,
            CoreMetadata::Offered => Some(CoreMetadataJson::Offered(true)),
            CoreMetadata::Hashed(sha256) => Some(CoreMetadataJson::Hashed { sha256 }),
        };
        Self {
            filename: file.filename,
            url: &file.url,
            hashes: file.hashes,
            core_metadata,
            requires_python: file.requires_python,
            yanked: file.yanked.map(|reason| {
                if reason.is_empty() { YankedJson::Yanked(true) } else { YankedJson::Because(reason) }
            }),
            size: file.size,
            upload_time: file.upload_time.map(render_upload_time),
            provenance: file.provenance.as_deref(),
        }
    }
}

/// Writes a time as PEP 700 wants it: UTC, with `Z`, with microseconds where there are some.
fn render_upload_time(time: Timestamp) -> String {
    // Python before 3.11 reads no fractions but those of three or six digits.
    if time.subsec_nanosecond() == 0 { format!("{time:.0}") } else { format!("{time:.6}") }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A page of files that are already made.
    pub(crate) type Example = ProjectDetail<'static, std::vec::IntoIter<File<'static>>>;

    fn example_of(versions: &'static [&'static str], files: [File<'static>; 2]) -> Example {
        ProjectDetail { name: "demo", versions, files: Vec::from(files).into_iter(), status: None }
    }

    /// A page with a full and a sparse file.
    pub(crate) fn example() -> Example {
        let full = File {
            filename: "demo-1.0-py3-none-any.whl",
            url: "../../+f/abc/demo-1.0-py3-none-any.whl".into(),
            hashes: Hashes::Sha256(Sha256::of(b"wheel")),
            requires_python: Some(">=3.8,<4"),
            yanked: None,
            core_metadata: CoreMetadata::Hashed(Sha256::of(b"metadata")),
            size: Some(5),
            upload_time: Some("2026-11-22T13:03:52.25Z".parse().unwrap()),
            provenance: None,
            source: "alice/dev",
        };
        let sparse = File {
            filename: "demo & co-0.9.zip",
            url: "../../+f/def/demo%20&%20co-0.9.zip".into(),
            requires_python: None,
            core_metadata: CoreMetadata::Absent,
            upload_time: Some("2026-11-22T13:03:52Z".parse().unwrap()),
            ..full.clone()
        };
        example_of(&["1.0", "0.9", "0.1"], [full, sparse])
    }

    /// A page with all that only an upstream says.
    pub(crate) fn mirrored() -> Example {
        let hashes = [("md5", "abc"), ("sha1", "def")].map(|(name, value)| (name.into(), value.into()));
        let file = File {
            filename: "demo-1.0-py3-none-any.whl",
            url: "../../+e/demo-1.0-py3-none-any.whl".into(),
            hashes: Hashes::Named(Vec::leak(hashes.into())),
            requires_python: None,
            yanked: Some("bad <one>"),
            core_metadata: CoreMetadata::Offered,
            size: None,
            upload_time: None,
            provenance: Some("https://h/p".into()),
            source: "root/pypi",
        };
        let bare = File {
            filename: "demo-0.9.zip",
            url: "../../+e/demo-0.9.zip".into(),
            hashes: Hashes::Named(&[]),
            yanked: Some(""),
            core_metadata: CoreMetadata::Absent,
            provenance: None,
            ..file.clone()
        };
        let status = ProjectStatus { status: "archived".into(), reason: Some("done & over".into()) };
        ProjectDetail { status: Some(Box::leak(Box::new(status))), ..example_of(&["1.0"], [file, bare]) }
    }

    #[test]
    fn detail_json_has_what_api_1_4_asks_for() {
        let page: Value = serde_json::from_slice(&example().render_json()).unwrap();
        let wheel_hash = Sha256::of(b"wheel").to_string();
        let metadata_hash = Sha256::of(b"metadata").to_string();
        assert_eq!(
            page,
            json!({
                "meta": {"api-version": "1.4"},
                "name": "demo",
                "versions": ["1.0", "0.9", "0.1"],
                "files": [
                    {"filename": "demo-1.0-py3-none-any.whl", "url": "../../+f/abc/demo-1.0-py3-none-any.whl",
                     "hashes": {"sha256": wheel_hash}, "core-metadata": {"sha256": metadata_hash},
                     "requires-python": ">=3.8,<4", "size": 5, "upload-time": "2026-11-22T13:03:52.250000Z"},
                    {"filename": "demo & co-0.9.zip", "url": "../../+f/def/demo%20&%20co-0.9.zip",
                     "hashes": {"sha256": wheel_hash}, "size": 5, "upload-time": "2026-11-22T13:03:52Z"},
                ],
            })
        );
    }

    #[test]
    fn the_best_hash_comes_first() {
        let hashes = ["md5", "sha256", "sha1"].map(|name| (Arc::from(name), Arc::from("abc")));
        let named = serde_json::to_string(&Hashes::Named(&hashes)).unwrap();
        assert_eq!(named, r#"{"sha256":"abc","md5":"abc","sha1":"abc"}"#);
    }

    #[test]
    fn detail_json_leaves_out_what_is_not_known() {
        let page: Value = serde_json::from_slice(&mirrored().render_json()).unwrap();
        assert_eq!(
            page["files"],
            json!([
                {"filename": "demo-1.0-py3-none-any.whl", "url": "../../+e/demo-1.0-py3-none-any.whl",
                 "hashes": {"md5": "abc", "sha1": "def"}, "core-metadata": true,
                 "yanked": "bad <one>", "provenance": "https://h/p"},
                {"filename": "demo-0.9.zip", "url": "../../+e/demo-0.9.zip", "hashes": {}, "yanked": true},
            ])
        );
        assert_eq!(page["project-status"], json!({"status": "archived", "reason": "done & over"}));
    }
}
