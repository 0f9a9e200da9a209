//! Checking that all that is recorded is there, and is what it is said to be; and repairing what is not.

mod check;
mod repair;

use std::sync::Arc;

use crate::pep::digest::Sha256;
use crate::pep::name::ProjectName;
use crate::storage::model::{IndexName, Relation, StoredPath};

pub use check::{check, find_unnamed};
pub use repair::{Lost, Outcome, Repair};

/// How it is checked.
#[derive(Clone, Copy, Debug)]
pub struct FsckOptions {
    /// Whether contents are read and their hashes computed.
    pub checksum: bool,
    /// How many are read at once.
    pub parallel: usize,
}

/// A file that is recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    index: Arc<IndexName>,
    project: ProjectName,
    /// Which file of which version it is; `None` for files of mirrors.
    of_release: Option<(Relation, Arc<str>)>,
    path: StoredPath,
    file_name: Arc<str>,
    /// The content; a mirror may have only documents of a file.
    content: Option<RecordedContent>,
    core_metadata: Option<Sha256>,
    provenance: Option<Sha256>,
}

/// What is recorded of a content.
#[derive(Clone, Copy, Debug)]
struct RecordedContent {
    sha256: Sha256,
    size: u64,
}

impl Recorded {
    fn is_in_mirror(&self) -> bool {
        self.of_release.is_none()
    }
}

/// A file that is not as it should be.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What is wrong.
    pub finding: Finding,
    file: Recorded,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A content is not there. Mirrors fetch it again.
    #[error("Missing file {path}")]
    Missing {
        /// The path of the file.
        path: StoredPath,
        /// Whether it is a mirror's.
        in_mirror: bool,
    },
    /// A content has another size than is recorded.
    #[error("{path} - size mismatch, got {got}, expected {expected}")]
    Size {
        /// The path of the file.
        path: StoredPath,
        /// The size that it has, in bytes.
        got: u64,
        /// The size that is recorded.
        expected: u64,
    },
    /// A content has another hash than is recorded (the text is devpi's).
    #[error("{path} - sha256 mismatch, got {got}, expected {expected}")]
    Hash {
        /// The path of the file.
        path: StoredPath,
        /// The hash that it has.
        got: String,
        /// The hash that is recorded.
        expected: Sha256,
    },
    /// A content is there and cannot be read.
    #[error("{path} - cannot be read: {cause}")]
    Unreadable {
        /// The path of the file.
        path: StoredPath,
        /// What the system says.
        cause: String,
    },
    /// The core metadata of a wheel are not there, or not what is recorded.
    #[error("{path} - its core metadata are missing or damaged")]
    CoreMetadata {
        /// The path of the wheel.
        path: StoredPath,
    },
    /// The provenance object of a mirror's file is not there, or not what is recorded.
    #[error("{path} - its provenance is missing or damaged")]
    Provenance {
        /// The path of the file.
        path: StoredPath,
    },
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsckSummary {
    /// Files that are recorded.
    pub files: u64,
    /// Of stages, and missing.
    pub missing: u64,
    /// Of mirrors, and missing.
    pub missing_in_mirrors: u64,
    /// Damaged in another way.
    pub damaged: u64,
}

impl FsckSummary {
    /// Whether something was lost that does not come again by itself.
    pub fn has_errors(&self) -> bool {
        self.missing > 0 || self.damaged > 0
    }
}
