//! Where stores are opened, and short ways to write change sets.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use wheelhouse::pep::digest::Sha256;
use wheelhouse::pep::metadata::ReleaseMetadata;
use wheelhouse::pep::name::ProjectName;
use wheelhouse::storage::meta::{
    ChangeSet, Commit, CommitError, ExistingMetadata, Expectation, MetaStore, Operation,
};
use wheelhouse::storage::model::{
    IndexName, IndexSettings, Link, LogEntry, Relation, Serial, StoredPath, UserRecord,
};
use wheelhouse::storage::sqlite::{SqliteLimits, SqliteStore};

/// A place where one store lives, which can be opened, closed and opened again.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// Opens the store.
    async fn open(&self) -> Arc<dyn MetaStore>;
}

/// The place of an SQLite database.
pub(crate) struct SqlitePlace(TempDir);

impl SqlitePlace {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Place for SqlitePlace {
    async fn open(&self) -> Arc<dyn MetaStore> {
        let path = self.0.path().join("store.sqlite");
        Arc::new(SqliteStore::open(&path, SqliteLimits::default()).unwrap())
    }
}

/// A point in time; its number tells it from others.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// An index from `user/index`.
pub(crate) fn index(name: &str) -> IndexName {
    IndexName::parse(name).unwrap()
}

/// A project.
pub(crate) fn project(name: &str) -> ProjectName {
    ProjectName::from_url(name)
}

/// A change set without operations.
pub(crate) fn change() -> ChangeSet {
    ChangeSet::new(Some("alice".into()), at(0))
}

/// A change set of these operations.
pub(crate) fn changes(operations: impl IntoIterator<Item = Operation>) -> ChangeSet {
    ChangeSet { operations: operations.into_iter().collect(), ..change() }
}

/// Commits these operations, which must succeed.
pub(crate) async fn commit(store: &dyn MetaStore, operations: impl IntoIterator<Item = Operation>) -> Serial {
    store.commit(changes(operations)).await.unwrap().serial
}

/// A user with a title, by which its versions differ.
pub(crate) fn user(title: &str) -> UserRecord {
    let mut record = UserRecord::new(at(0));
    record.attributes.insert("title".to_owned(), title.into());
    record
}

/// Writes a user.
pub(crate) fn put_user(name: &str) -> Operation {
    Operation::PutUser(name.into(), user(""))
}

/// The settings of an index with a title, by which its versions differ.
pub(crate) fn settings(title: &str) -> IndexSettings {
    json!({"type": "stage", "bases": [], "title": title}).as_object().cloned().unwrap()
}

/// Writes an index.
pub(crate) fn put_index(name: &str) -> Operation {
    Operation::PutIndex(index(name), settings(""))
}

/// Metadata out of form fields.
pub(crate) fn metadata(fields: &[(&str, &str)]) -> ReleaseMetadata {
    ReleaseMetadata::from_form(fields.iter().copied())
}

/// Writes a release of `demo` with a summary.
pub(crate) fn put_release(index_name: &str, version: &str, summary: &str) -> Operation {
    put_metadata(index_name, version, &[("summary", summary)], ExistingMetadata::Update)
}

/// Writes the metadata of a release of `demo`.
pub(crate) fn put_metadata(
    index_name: &str,
    version: &str,
    fields: &[(&str, &str)],
    existing: ExistingMetadata,
) -> Operation {
    Operation::PutRelease {
        index: index(index_name),
        project: project("demo"),
        version: version.into(),
        metadata: metadata(fields),
        existing,
    }
}

/// A link of `demo` to a file `demo-{version}.{suffix}` with this content.
pub(crate) fn link(index_name: &str, version: &str, suffix: &str, content: &str) -> Link {
    let file_name = format!("demo-{version}.{suffix}");
    let sha256 = Sha256::of(content.as_bytes());
    Link {
        relation: Relation::ReleaseFile,
        path: StoredPath::for_upload(&index(index_name), &sha256, &file_name),
        for_path: None,
        file_name: file_name.into(),
        project: project("demo"),
        version: version.into(),
        sha256,
        size: content.len() as u64,
        uploaded_at: at(1),
        core_metadata: None,
        log: vec![LogEntry::Upload { who: Some("alice".into()), when: at(1), dst: index(index_name) }],
    }
}

/// Adds a link.
pub(crate) fn add_link(index_name: &str, link: &Link) -> Operation {
    Operation::AddLink(index(index_name), Box::new(link.clone()))
}

/// Removes a link of `demo`.
pub(crate) fn remove_link(index_name: &str, link: &Link) -> Operation {
    Operation::RemoveLink {
        index: index(index_name),
        project: project("demo"),
        version: Arc::clone(&link.version),
        relation: link.relation,
        path: link.path.clone(),
    }
}

/// A store with user `alice`, index `alice/dev`, release `demo` 1.0, and the file returned.
pub(crate) async fn with_file(store: &dyn MetaStore) -> Link {
    let link = link("alice/dev", "1.0", "zip", "content");
    let operations = [
        put_user("alice"),
        put_index("alice/dev"),
        put_release("alice/dev", "1.0", ""),
        add_link("alice/dev", &link),
    ];
    commit(store, operations).await;
    link
}

/// Whether a change set under this expectation is committed. It writes a user that no expectation is about.
pub(crate) async fn holds(store: &dyn MetaStore, expectation: Expectation) -> bool {
    let before = store.serial();
    match store.commit(changes([put_user("bystander")]).expect(expectation)).await {
        Ok(_) => true,
        Err(CommitError::Outdated) => {
            assert_eq!(store.serial(), before);
            false
        }
        Err(CommitError::Storage(error)) => panic!("the store failed: {error}"),
    }
}

/// The change set was refused because an expectation or a precondition does not hold.
#[track_caller]
pub(crate) fn assert_outdated(result: Result<Commit, CommitError>) {
    assert!(matches!(result, Err(CommitError::Outdated)), "{result:?}");
}
