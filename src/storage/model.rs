//! The records that stores keep: plain data, in the words of the domain.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::pep::digest::Sha256;
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::ProjectName;

/// The number of a committed change set; the first one is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Serial(pub u64);

impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An index: its owner and its name. Neither part is checked here; the rules for new names are in the domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexName {
    /// The owner's user name.
    pub user: Arc<str>,
    /// The name among the owner's indexes.
    pub index: Arc<str>,
}

impl IndexName {
    /// The index `index` of `user`.
    pub fn new(user: impl Into<Arc<str>>, index: impl Into<Arc<str>>) -> Self {
        Self { user: user.into(), index: index.into() }
    }

    /// Reads `user/index`. `None` where there is not exactly one slash with something on both sides.
    pub fn parse(text: &str) -> Option<Self> {
        let (user, index) = text.split_once('/')?;
        (!user.is_empty() && !index.is_empty() && !index.contains('/')).then(|| Self::new(user, index))
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.user, self.index)
    }
}

impl Serialize for IndexName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IndexName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not of the form user/index"))
    }
}

/// Where clients find a stored file: `user/index/+f/abc/0123456789abc/name`, without leading slash.
///
/// It is stored with the link and never recomputed, since imported files may follow other rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoredPath(Arc<str>);

impl StoredPath {
    /// The path of a new upload: the first 3 and the next 13 digits of its hash, then its name (as in devpi).
    pub fn for_upload(index: &IndexName, sha256: &Sha256, file_name: &str) -> Self {
        let digits = sha256.to_string();
        Self(format!("{index}/+f/{}/{}/{file_name}", &digits[..3], &digits[3..16]).into())
    }

    /// A path as it was stored, or as a client asks for it.
    pub fn new(path: impl Into<Arc<str>>) -> Self {
        Self(path.into())
    }

    /// The last part of the path.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The path itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoredPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A user as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Password hash as a PHC string; `None` for a user who cannot log in with a password.
    pub pwhash: Option<String>,
    /// With it, `pwhash` is one of old releases of devpi: SHA-256 of this salt and the password, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pwsalt: Option<String>,
    /// When the user was created.
    pub created: Timestamp,
    /// When the user was last modified.
    pub modified: Option<Timestamp>,
    /// `email`, `title`, `description` and `custom_data`, where set.
    pub attributes: Map<String, Value>,
}

impl UserRecord {
    /// A user without password and attributes.
    pub fn new(created: Timestamp) -> Self {
        Self { pwhash: None, pwsalt: None, created, modified: None, attributes: Map::new() }
    }
}

/// A record together with what an expectation about it must name.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// The serial that last changed the record, or for a user or project anything in it.
    pub changed_at: Serial,
    /// The record.
    pub value: T,
}

/// An index's configuration: devpi's keys and values.
pub type IndexSettings = Map<String, Value>;

/// What a link to a stored file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// A distribution.
    ReleaseFile,
    /// The documentation of a release, as a zip archive.
    DocZip,
    /// What a test run said of a distribution.
    ToxResult,
}

impl Relation {
    /// The word for it on the wire and in stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReleaseFile => "releasefile",
            Self::DocZip => "doczip",
            Self::ToxResult => "toxresult",
        }
    }

    /// The relation of a word, as [`Relation::as_str`] gives it.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::ReleaseFile, Self::DocZip, Self::ToxResult]
            .into_iter()
            .find(|relation| relation.as_str() == word)
    }
}

/// One line of a link's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum LogEntry {
    /// The file was uploaded.
    Upload {
        /// By whom; `None` for an anonymous upload.
        who: Option<Arc<str>>,
        /// When.
        when: Timestamp,
        /// To which index.
        dst: IndexName,
    },
    /// The file replaced others of its name.
    Overwrite {
        /// When.
        when: Timestamp,
        /// How many it replaced so far.
        count: u64,
    },
    /// The file came from another index, together with its history there.
    Push {
        /// Who pushed it.
        who: Option<Arc<str>>,
        /// When.
        when: Timestamp,
        /// From which index.
        src: IndexName,
        /// To which index.
        dst: IndexName,
    },
    /// Something that another release of devpi-server noted; as it did.
    #[serde(untagged)]
    Other(Map<String, Value>),
}

/// The record that ties a release to a stored file.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// What the file is for.
    pub relation: Relation,
    /// Where clients find it.
    pub path: StoredPath,
    /// The release file that a test result is about; `None` for other relations.
    pub for_path: Option<StoredPath>,
    /// The file's name.
    pub file_name: Arc<str>,
    /// The project it belongs to.
    pub project: ProjectName,
    /// The version it belongs to.
    pub version: Arc<str>,
    /// Hash of the content, which is also its key in the file store.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
    /// Hash of the wheel's core metadata, kept as a document.
    pub core_metadata: Option<Sha256>,
    /// Its history, oldest first.
    pub log: Vec<LogEntry>,
}

/// A release as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// The version, literally as uploaded.
    pub version: Arc<str>,
    /// All metadata fields.
    pub metadata: ReleaseMetadata,
}

/// A version of a project, without its metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseSummary {
    /// The version, literally as uploaded.
    pub version: Arc<str>,
    /// Its `requires_python` where that is not empty.
    pub requires_python: Option<Arc<str>>,
}

/// What simple pages show of a release file.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseFile {
    /// The version that it belongs to.
    pub version: Arc<str>,
    /// Where clients find it; ends with its name.
    pub path: StoredPath,
    /// The hash of its content.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
    /// The document with its core metadata, where they could be read.
    pub core_metadata: Option<Sha256>,
}

/// What was read of a project. See [`Snapshot::read_project`](super::meta::Snapshot::read_project).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProjectContents {
    /// Until where; `None` where the index does not have the project.
    pub mark: Option<ProjectMark>,
    /// Its releases, in no particular order.
    pub releases: Vec<ReleaseSummary>,
    /// Its release files, in the order in which they came.
    pub files: Vec<ReleaseFile>,
}

impl ProjectContents {
    /// Whether this is all that there is, and not only what came.
    pub fn is_whole(&self) -> bool {
        self.mark.is_none_or(|mark| (mark.releases, mark.files) == (self.releases.len(), self.files.len()))
    }
}

/// Until where a project was read. Projects that come later under the same name have other marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectMark {
    /// The store's number of the project.
    pub(crate) project: i64,
    /// The serial that last changed it.
    pub(crate) changed_at: Serial,
    /// The store's number of the last release that any project had; later ones have larger numbers.
    pub(crate) last_release: i64,
    /// The store's number of the last file that any project had; later ones have larger numbers.
    pub(crate) last_file: i64,
    /// How many releases it has.
    pub releases: usize,
    /// How many release files it has.
    pub files: usize,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum FileState {
    /// A file that is there.
    Present(Box<Stored<Link>>),
    /// A file that was removed or replaced, or whose project, index or user was.
    Removed,
    /// Nothing was ever there.
    Unknown,
}

/// Something that a change set touched: the key of an entry in the change log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touched {
    /// A user came, changed or went; with it go its indexes.
    User(Arc<str>),
    /// An index came, changed its settings or went.
    Index(IndexName),
    /// A project came or went: the index's list of projects is another one.
    ProjectList(IndexName),
    /// A project's releases or files changed.
    Project(IndexName, ProjectName),
    /// A file came to or went from a path.
    File(StoredPath),
}
