//! Stores of which dumps are made, and into which they are read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use wheelhouse::archive::Limits;
use wheelhouse::dump::export::{ExportOptions, export};
use wheelhouse::dump::import::{Import, ImportError, ImportOptions, ImportSummary, read_list};
use wheelhouse::dump::intake::{Damaged, Intake};
use wheelhouse::pep::digest::Sha256;
use wheelhouse::pep::metadata::ReleaseMetadata;
use wheelhouse::pep::name::ProjectName;
use wheelhouse::report::{Listener, Problem, Report};
use wheelhouse::storage::files::{FileStore, Transfer};
use wheelhouse::storage::fs::{DirectoryLimits, DirectoryStore};
use wheelhouse::storage::meta::{ChangeSet, ExistingMetadata, MetaStore, Operation};
use wheelhouse::storage::model::{
    IndexName, IndexSettings, Link, LogEntry, Relation, StoredPath, UserRecord,
};
use wheelhouse::storage::sqlite::{SqliteLimits, SqliteStore};

/// Does not listen.
pub(crate) struct Deaf;

impl Listener for Deaf {
    fn line(&self, _: &str) {}
    fn problem(&self, _: &Problem) {}
    fn progress(&self, _: u64, _: u64) {}
}

/// How a dump is imported.
pub(crate) fn import_options(directory: &Path, damaged: Damaged) -> ImportOptions {
    ImportOptions {
        directory: directory.to_owned(),
        skipped_types: Vec::new(),
        damaged,
        root: UserRecord::new(Timestamp::UNIX_EPOCH),
        root_pypi: None,
        now: Timestamp::UNIX_EPOCH,
    }
}

/// The stores of a server.
pub(crate) struct Place {
    directory: TempDir,
    pub(crate) meta: SqliteStore,
    files: Arc<DirectoryStore>,
}

impl Place {
    /// Stores with nothing in them.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let meta = SqliteStore::open(&directory.path().join("store.sqlite"), SqliteLimits::default());
        let files = DirectoryStore::open(directory.path(), DirectoryLimits::default());
        Self { meta: meta.unwrap(), files: Arc::new(files.unwrap()), directory }
    }

    /// Stores with what is in a dump, of which nothing is left out.
    pub(crate) async fn import(dump: &Path) -> Self {
        let place = Self::new();
        let report = Report::new(Box::new(Deaf));
        place.read(dump, &report).await.unwrap();
        assert_eq!(report.warnings(), 0);
        place
    }

    /// Reads a dump.
    pub(crate) async fn read(&self, dump: &Path, report: &Report) -> Result<ImportSummary, ImportError> {
        let files: Arc<dyn FileStore> = Arc::<DirectoryStore>::clone(&self.files);
        let intake = Intake::new(Some(files), Transfer::Copy, Limits::default(), 2);
        let options = import_options(dump, Damaged::Refuse);
        let text = read_list(dump)?;
        Import::prepare(&text, &options, report)?.run(&intake, &self.meta, report).await
    }

    /// Dumps everything. Returns where the dump is.
    pub(crate) async fn export(&self, way: Transfer) -> PathBuf {
        let directory = self.directory.path().join(format!("dump-{way:?}"));
        let options = ExportOptions { directory: directory.clone(), mirrored_files: true, way };
        let mut snapshot = self.meta.snapshot().await.unwrap();
        let report = Report::new(Box::new(Deaf));
        export(snapshot.as_mut(), self.files.as_ref(), &options, &report).await.unwrap();
        directory
    }

    pub(crate) async fn commit(&self, operations: impl IntoIterator<Item = Operation>) {
        let operations = operations.into_iter().collect();
        let change = ChangeSet { operations, ..ChangeSet::new(None, Timestamp::UNIX_EPOCH) };
        self.meta.commit(change).await.unwrap();
    }

    /// Makes an index and its user.
    pub(crate) async fn add_index(&self, index: &IndexName, settings: Value) {
        let settings: IndexSettings = settings.as_object().unwrap().clone();
        let user = UserRecord::new(Timestamp::UNIX_EPOCH);
        let put_user = Operation::PutUser(Arc::clone(&index.user), user);
        self.commit([put_user, Operation::PutIndex(index.clone(), settings)]).await;
    }

    /// Keeps a content.
    pub(crate) async fn keep(&self, content: &str) -> Sha256 {
        let (source, sha256) = (self.directory.path().join("source"), Sha256::of(content.as_bytes()));
        fs::write(&source, content).unwrap();
        self.files.take_local(&source, &sha256, Transfer::Copy).await.unwrap();
        sha256
    }

    /// Adds a file to a release, with the release.
    pub(crate) async fn add_file(
        &self,
        index: &IndexName,
        relation: Relation,
        (project, version, file_name): (&str, &str, &str),
        tested: Option<&Link>,
    ) -> Link {
        let content = format!("{relation:?} {project} {version} {file_name}");
        let sha256 = self.keep(&content).await;
        let directory = tested.map_or(sha256, |tested| tested.sha256);
        let metadata = json!({"name": project, "version": version}).as_object().unwrap().clone();
        let project = ProjectName::from_url(project);
        let log = vec![LogEntry::Upload { who: None, when: Timestamp::UNIX_EPOCH, dst: index.clone() }];
        let link = Link {
            relation,
            path: StoredPath::for_upload(index, &directory, file_name),
            for_path: tested.map(|tested| tested.path.clone()),
            file_name: file_name.into(),
            project: project.clone(),
            version: version.into(),
            sha256,
            size: content.len() as u64,
            uploaded_at: Timestamp::UNIX_EPOCH,
            core_metadata: None,
            log,
        };
        let release = Operation::PutRelease {
            index: index.clone(),
            project,
            version: version.into(),
            metadata: ReleaseMetadata::from_map(metadata),
            existing: ExistingMetadata::Replace,
        };
        self.commit([release, Operation::AddLink(index.clone(), Box::new(link.clone()))]).await;
        link
    }

    /// All links of an index, by their names.
    pub(crate) async fn links(&self, index: &IndexName) -> Vec<Link> {
        let mut snapshot = self.meta.snapshot().await.unwrap();
        let mut links = Vec::new();
        for project in snapshot.list_projects(index).await.unwrap() {
            links.extend(snapshot.list_links(index, &project, None).await.unwrap());
        }
        let mut links: Vec<Link> = links.into_iter().map(|link| link.value).collect();
        links.sort_by_key(|link| (link.file_name.clone(), link.version.clone(), link.sha256));
        links
    }
}

/// The files of an index as the list of a dump has them.
pub(crate) fn listed(dump: &Path, index: &str) -> Vec<Value> {
    let list: Value = serde_json::from_str(&read_list(dump).unwrap()).unwrap();
    list["indexes"][index]["files"].as_array().unwrap().clone()
}
