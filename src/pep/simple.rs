//! The simple repository API's pages as data, and as JSON.
//!
//! Follows the simple repository API specification at version [`API_VERSION`]: PEP 503 and 691 (pages), 700
//! (versions, size, upload time), 714 (core metadata) and 792 (project status). See [`super::simple_html`] for HTML.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::digest::Sha256;

/// The version of the simple API that pages declare, in JSON and in HTML.
pub const API_VERSION: &str = "1.4";

/// A repository's project list: one entry for each listing index, in lookup order.
#[derive(Clone, Debug, Default)]
pub struct ProjectList {
    /// Groups of projects. A name appears once, in the first group that has it.
    pub groups: Vec<ProjectGroup>,
}

/// The projects that one index adds to a project list.
#[derive(Clone, Debug)]
pub struct ProjectGroup {
    /// Heading of the group for human readers.
    pub title: String,
    /// Normalised names, ascending.
    pub projects: Vec<Arc<str>>,
}

/// A project's page.
#[derive(Clone, Debug)]
pub struct ProjectDetail {
    /// The normalised name.
    pub name: Arc<str>,
    /// All versions without duplicates, also those without files; newest first.
    pub versions: Vec<Arc<str>>,
    /// The files, newest version first.
    pub files: Vec<File>,
}

/// A file of a project's page.
#[derive(Clone, Debug)]
pub struct File {
    /// File name, the last part of the URL.
    pub filename: Arc<str>,
    /// Where the file is: absolute, or relative to the page. Percent-encoded, without fragment.
    pub url: String,
    /// Hash of the file.
    pub sha256: Sha256,
    /// Which Pythons the release is for. `None` where the uploader did not say.
    pub requires_python: Option<Arc<str>>,
    /// Hash of the core metadata that is served at the URL with `.metadata` appended.
    pub core_metadata: Option<Sha256>,
    /// Size in bytes.
    pub size: u64,
    /// When the file was uploaded.
    pub upload_time: Timestamp,
    /// Which index offers the file; shown to human readers.
    pub source: Arc<str>,
}

#[derive(Serialize)]
struct Meta {
    #[serde(rename = "api-version")]
    api_version: &'static str,
}

const META: Meta = Meta { api_version: API_VERSION };

#[derive(Serialize)]
struct ListJson<'a> {
    meta: Meta,
    projects: Vec<NameJson<'a>>,
}

#[derive(Serialize)]
struct NameJson<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct DetailJson<'a> {
    meta: Meta,
    name: &'a str,
    versions: &'a [Arc<str>],
    files: Vec<FileJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FileJson<'a> {
    filename: &'a str,
    url: &'a str,
    hashes: HashesJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    core_metadata: Option<HashesJson>,
    // The name before PEP 714, which pip 23.1 and older read.
    #[serde(skip_serializing_if = "Option::is_none")]
    dist_info_metadata: Option<HashesJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requires_python: Option<&'a str>,
    size: u64,
    upload_time: String,
}

#[derive(Serialize)]
struct HashesJson {
    sha256: Sha256,
}

impl ProjectList {
    /// The list as JSON (PEP 691). The groups are not visible in it.
    pub fn render_json(&self) -> Vec<u8> {
        let projects =
            self.groups.iter().flat_map(|group| &group.projects).map(|name| NameJson { name }).collect();
        to_json(&ListJson { meta: META, projects })
    }
}

impl ProjectDetail {
    /// The page as JSON (PEP 691).
    pub fn render_json(&self) -> Vec<u8> {
        let files = self.files.iter().map(FileJson::from).collect();
        to_json(&DetailJson { meta: META, name: &self.name, versions: &self.versions, files })
    }
}

impl<'a> From<&'a File> for FileJson<'a> {
    fn from(file: &'a File) -> Self {
        Self {
            filename: &file.filename,
            url: &file.url,
            hashes: HashesJson { sha256: file.sha256 },
            core_metadata: file.core_metadata.map(|sha256| HashesJson { sha256 }),
            dist_info_metadata: file.core_metadata.map(|sha256| HashesJson { sha256 }),
            requires_python: file.requires_python.as_deref(),
            size: file.size,
            upload_time: render_upload_time(file.upload_time),
        }
    }
}

/// Writes a time as PEP 700 wants it: UTC, with `Z`, with microseconds.
fn render_upload_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

fn to_json(page: &impl Serialize) -> Vec<u8> {
    // Serialising these structs cannot fail: no map keys but strings, no writer but memory.
    serde_json::to_vec(page).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A page with a full and a sparse file.
    pub(crate) fn example() -> ProjectDetail {
        let full = File {
            filename: "demo-1.0-py3-none-any.whl".into(),
            url: "../../+f/abc/demo-1.0-py3-none-any.whl".into(),
            sha256: Sha256::of(b"wheel"),
            requires_python: Some(">=3.8,<4".into()),
            core_metadata: Some(Sha256::of(b"metadata")),
            size: 5,
            upload_time: "2026-11-22T13:03:52.25Z".parse().unwrap(),
            source: "alice/dev".into(),
        };
        let sparse = File {
            filename: "demo & co-0.9.zip".into(),
            url: "../../+f/def/demo%20&%20co-0.9.zip".into(),
            requires_python: None,
            core_metadata: None,
            ..full.clone()
        };
        ProjectDetail {
            name: "demo".into(),
            versions: vec!["1.0".into(), "0.9".into(), "0.1".into()],
            files: vec![full, sparse],
        }
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
                     "dist-info-metadata": {"sha256": metadata_hash}, "requires-python": ">=3.8,<4",
                     "size": 5, "upload-time": "2026-11-22T13:03:52.250000Z"},
                    {"filename": "demo & co-0.9.zip", "url": "../../+f/def/demo%20&%20co-0.9.zip",
                     "hashes": {"sha256": wheel_hash}, "size": 5, "upload-time": "2026-11-22T13:03:52.250000Z"},
                ],
            })
        );
    }

    #[test]
    fn list_json_joins_the_groups() {
        let list = ProjectList {
            groups: vec![
                ProjectGroup { title: "a/b".into(), projects: vec!["x".into()] },
                ProjectGroup { title: "a/c".into(), projects: vec!["a".into(), "z".into()] },
            ],
        };
        let page: Value = serde_json::from_slice(&list.render_json()).unwrap();
        assert_eq!(
            page,
            json!({"meta": {"api-version": "1.4"}, "projects": [{"name": "x"}, {"name": "a"}, {"name": "z"}]})
        );
    }
}
