//! The metadata store: everything but file contents, with serials.
//!
//! Writes are change sets. A change set commits whole or not at all and gets the next serial. What a rule has read
//! before deciding is repeated in the change set as an expectation and checked again in the transaction that
//! writes, so no decision rests on state that has gone meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StorageError;
use super::mirrored::{FetchedFile, FetchedPart, FetchedState, MirrorPage, Note, StoredNames, StoredPage};
use super::model::{
    FileState, IndexName, IndexSettings, Link, ProjectContents, ProjectMark, Relation, Release,
    ReleaseSummary, Serial, Stored, StoredPath, Touched, UserRecord,
};
use super::packed::Packed;
use crate::pep::digest::Sha256;
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::ProjectName;

/// Metadata with serials.
#[async_trait]
pub trait MetaStore: Send + Sync {
    /// A view of the store at one serial: the newest committed one when it is first read. Later commits do not show in it.
    ///
    /// Views are few and shared by all requests: drop one before waiting for anything slow, and before a commit.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError>;

    /// Commits a change set: checks its expectations, applies its operations in order, and syncs to disk.
    ///
    /// Change sets that arrive together share one sync. After an error nothing of this one is kept.
    async fn commit(&self, change: ChangeSet) -> Result<Commit, CommitError>;

    /// The serial of the newest commit; `None` before the first one.
    fn serial(&self) -> Option<Serial>;

    /// Tells `listener` of each later commit, in the order of serials and before its [`MetaStore::commit`] returns,
    /// even if nobody waits for that any more.
    fn listen(&self, listener: Arc<dyn CommitListener>);

    /// Committed changes with serials above `after` (from the start for `None`), ascending, at most `limit`.
    async fn changes_since(&self, after: Option<Serial>, limit: usize) -> Result<Vec<Change>, StorageError>;

    /// Keeps notes, which change nothing of what is shown: without serial and change log. A note about an index that
    /// is not there, or a page that is not there, is passed over.
    async fn note(&self, notes: Vec<Note>) -> Result<(), StorageError>;

    /// Puts what comes from another server into its place, in one transaction and in this order, under the serials
    /// that it had there. For a store that nobody else uses yet: listeners are not told. After an error nothing of
    /// these records is kept.
    async fn load(&self, records: Vec<Record>) -> Result<(), StorageError>;

    /// Takes no more commits, finishes those under way, and releases all resources.
    async fn close(&self) -> Result<(), StorageError>;
}

/// Is told of commits. See [`MetaStore::listen`].
pub trait CommitListener: Send + Sync {
    /// `change` was committed as `commit`. Must return quickly: the next commit waits.
    fn committed(&self, change: &ChangeSet, commit: &Commit);
}

/// A consistent view of a [`MetaStore`]. Project names are normalised ones.
#[async_trait]
pub trait Snapshot: Send {
    /// The serial it shows; `None` for an empty store.
    async fn serial(&mut self) -> Result<Option<Serial>, StorageError>;

    /// A user.
    async fn get_user(&mut self, name: &str) -> Result<Option<Stored<UserRecord>>, StorageError>;

    /// All users by name.
    async fn list_users(&mut self) -> Result<BTreeMap<Arc<str>, UserRecord>, StorageError>;

    /// The settings of an index.
    async fn get_index(&mut self, name: &IndexName) -> Result<Option<Stored<IndexSettings>>, StorageError>;

    /// The settings of all indexes, or of all indexes of one user.
    async fn list_indexes(
        &mut self,
        user: Option<&str>,
    ) -> Result<BTreeMap<IndexName, Stored<IndexSettings>>, StorageError>;

    /// The names of an index's projects, ascending. Empty for a missing index.
    async fn list_projects(&mut self, index: &IndexName) -> Result<Vec<Arc<str>>, StorageError>;

    /// When the project, or anything in it, last changed; `None` where the index does not have it.
    async fn get_project(&mut self, index: &IndexName, project: &str)
    -> Result<Option<Serial>, StorageError>;

    /// A project's versions, in no particular order.
    async fn list_versions(
        &mut self,
        index: &IndexName,
        project: &str,
    ) -> Result<Vec<ReleaseSummary>, StorageError>;

    /// One release of a project.
    async fn get_release(
        &mut self,
        index: &IndexName,
        project: &str,
        version: &str,
    ) -> Result<Option<Release>, StorageError>;

    /// All releases of a project with their metadata, in no particular order.
    async fn list_releases(&mut self, index: &IndexName, project: &str)
    -> Result<Vec<Release>, StorageError>;

    /// The links of a project, or of one of its versions, in the order in which they came.
    async fn list_links(
        &mut self,
        index: &IndexName,
        project: &str,
        version: Option<&str>,
    ) -> Result<Vec<Stored<Link>>, StorageError>;

    /// The versions and release files of a project. With the mark of an earlier read, only those that came since then
    /// are given, as long as that can be told and they are few; the new mark says how many there are in all. Something
    /// that came may have taken the place of what was there: the file of that name, the release of that version.
    async fn read_project(
        &mut self,
        index: &IndexName,
        project: &str,
        since: Option<ProjectMark>,
    ) -> Result<ProjectContents, StorageError>;

    /// The links of an index at a path, sorted by project and version: several releases may have one file.
    async fn list_links_at(
        &mut self,
        index: &IndexName,
        path: &StoredPath,
    ) -> Result<Vec<Link>, StorageError>;

    /// What the path leads to. Where several files were there one after the other, the newest counts.
    async fn get_file(&mut self, path: &StoredPath) -> Result<FileState, StorageError>;

    /// The bytes of a document that a link names (a wheel's core metadata).
    async fn get_document(&mut self, sha256: &Sha256) -> Result<Option<Vec<u8>>, StorageError>;

    /// The file contents whose hash begins with `first` that any link, present or removed, names.
    async fn list_contents(&mut self, first: u8) -> Result<BTreeMap<Sha256, NamedContent>, StorageError>;

    /// Whether any link, present or removed, names this file content. An error while it is not known whether the last
    /// change set was made.
    async fn is_referenced(&mut self, sha256: &Sha256) -> Result<bool, StorageError>;

    /// What the upstream of a mirror said of a project.
    async fn get_mirror_page(
        &mut self,
        index: &IndexName,
        project: &str,
    ) -> Result<Option<StoredPage>, StorageError>;

    /// The names of the projects of a mirror of which there is a page, ascending.
    async fn list_mirror_pages(&mut self, index: &IndexName) -> Result<Vec<Arc<str>>, StorageError>;

    /// The project whose page lists a path, where the file's name does not tell: see [`Operation::PutMirrorPage`].
    async fn find_odd_path(&mut self, path: &StoredPath) -> Result<Option<Arc<str>>, StorageError>;

    /// The names of the projects of a mirror's upstream, as they were noted.
    async fn get_mirror_names(&mut self, index: &IndexName) -> Result<Option<StoredNames>, StorageError>;

    /// What was fetched of the file of a mirror at a path.
    async fn get_fetched(&mut self, path: &StoredPath) -> Result<FetchedState, StorageError>;

    /// What was fetched of a mirror's project.
    async fn list_fetched(
        &mut self,
        index: &IndexName,
        project: &str,
    ) -> Result<Vec<FetchedFile>, StorageError>;

    /// Whether something was ever fetched for a path, also of a mirror that is gone.
    async fn was_fetched(&mut self, path: &StoredPath) -> Result<bool, StorageError>;

    /// The files of a mirror's project that are not to be fetched again.
    async fn list_deleted(
        &mut self,
        index: &IndexName,
        project: &str,
    ) -> Result<Vec<StoredPath>, StorageError>;

    /// When the newest commit was made.
    async fn last_commit_time(&mut self) -> Result<Option<Timestamp>, StorageError>;
}

/// A content that links name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedContent {
    /// Its size in bytes.
    pub size: u64,
    /// Whether one of them is present.
    pub is_present: bool,
}

/// What is to be written, by whom, and on which conditions.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    /// The user who asked for it; `None` for anonymous ones.
    pub who: Option<Arc<str>>,
    /// When.
    pub when: Timestamp,
    /// What must still be so; checked before anything is written.
    pub expectations: Vec<Expectation>,
    /// What to write, in this order.
    pub operations: Vec<Operation>,
}

impl ChangeSet {
    /// An empty change set.
    pub fn new(who: Option<Arc<str>>, when: Timestamp) -> Self {
        Self { who, when, expectations: Vec::new(), operations: Vec::new() }
    }

    /// Adds an expectation.
    #[must_use]
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expectations.push(expectation);
        self
    }

    /// Adds an operation.
    #[must_use]
    pub fn with(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }
}

/// A record that must be as it was read: last changed by this serial, or absent for `None`.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// The user, including its list of indexes.
    User(Arc<str>, Option<Serial>),
    /// The settings of an index.
    Index(IndexName, Option<Serial>),
    /// An index that was there at the serial has not been removed since, whatever became of its settings.
    SameIndex(IndexName, Serial),
    /// The project with all its releases and links.
    Project(IndexName, ProjectName, Option<Serial>),
    /// The release file of a name in a version.
    File {
        /// The index of the project.
        index: IndexName,
        /// The project.
        project: ProjectName,
        /// The version.
        version: Arc<str>,
        /// The file's name.
        file_name: Arc<str>,
        /// The serial that added the link.
        changed_at: Option<Serial>,
    },
}

/// Something that comes from another server. See [`MetaStore::load`].
#[derive(Clone, Debug)]
pub enum Record {
    /// What an operation makes, and the serial since which it is so.
    Made(Serial, Box<Operation>),
    /// A path whose file was removed by a serial. It stays known as a removed one.
    FormerFile(Serial, StoredPath),
    /// An entry of the change log. The next commit gets a serial above those of all entries.
    Change(Change),
}

/// One step of a change set. What it names must exist where it changes or removes something.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Creates or replaces a user.
    PutUser(Arc<str>, UserRecord),
    /// Removes a user and all its indexes.
    RemoveUser(Arc<str>),
    /// Creates an index or replaces its settings.
    PutIndex(IndexName, IndexSettings),
    /// Removes an index with all its projects.
    RemoveIndex(IndexName),
    /// Creates a project without releases, if it is not there.
    PutProject(IndexName, ProjectName),
    /// Creates a release or changes its metadata, and creates its project where needed.
    PutRelease {
        /// The index of the project.
        index: IndexName,
        /// The project.
        project: ProjectName,
        /// The version.
        version: Arc<str>,
        /// The new metadata.
        metadata: ReleaseMetadata,
        /// What becomes of metadata that is already there.
        existing: ExistingMetadata,
    },
    /// Removes a project with its releases and links.
    RemoveProject(IndexName, ProjectName),
    /// Removes a release with its links.
    RemoveRelease(IndexName, ProjectName, Arc<str>),
    /// Adds a link to an existing release.
    AddLink(IndexName, Box<Link>),
    /// Removes a link of a version, and with a release file the links that are for it.
    RemoveLink {
        /// The index of the project.
        index: IndexName,
        /// The project.
        project: ProjectName,
        /// The version.
        version: Arc<str>,
        /// What the link is to the version.
        relation: Relation,
        /// The path of the link.
        path: StoredPath,
    },
    /// Keeps the bytes of a document under their hash.
    PutDocument(Sha256, Vec<u8>),
    /// Puts what an upstream said of a project in the place of what it said before. Files that were deleted may be
    /// fetched again.
    PutMirrorPage {
        /// The mirror.
        index: IndexName,
        /// The project.
        project: ProjectName,
        /// The page.
        page: Packed<MirrorPage>,
        /// When the upstream said it.
        checked_at: Timestamp,
        /// Those of its paths from whose file names the project cannot be told.
        odd_paths: Vec<StoredPath>,
    },
    /// Removes a project of a mirror: its page and all that was fetched.
    RemoveMirrorProject(IndexName, ProjectName),
    /// Adds to what is here of a file of a mirror, which must have a page of the project and not have been deleted.
    PutFetched {
        /// The mirror.
        index: IndexName,
        /// The project whose page lists the file.
        project: ProjectName,
        /// The path of the file.
        path: StoredPath,
        /// What comes.
        part: FetchedPart,
    },
    /// Removes what is here of a file of a mirror.
    RemoveFetched {
        /// The mirror.
        index: IndexName,
        /// The project whose page lists the file.
        project: ProjectName,
        /// The path of the file.
        path: StoredPath,
        /// Whether it may be fetched again before the upstream's page has changed.
        refetch: Refetch,
    },
}

/// Whether a file of a mirror that is removed may be fetched again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refetch {
    /// It may.
    Allowed,
    /// Not until the upstream's page has changed.
    Refused,
}

/// What becomes of a release's metadata when new metadata comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingMetadata {
    /// Fields that the new metadata does not name are kept.
    Update,
    /// All of it is replaced.
    Replace,
}

/// A committed change set.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The serial it got.
    pub serial: Serial,
    /// What it touched, without repetitions.
    pub touched: Vec<Touched>,
}

/// An entry of the change log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its serial.
    pub serial: Serial,
    /// When it was committed.
    pub when: Timestamp,
    /// Who asked for it.
    pub who: Option<Arc<str>>,
    /// What it touched.
    pub touched: Vec<Touched>,
}

/// Why a change set was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// An expectation does not hold: somebody else was faster. Read again and decide again.
    #[error("a record changed meanwhile")]
    Outdated,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
