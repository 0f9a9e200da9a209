//! What is kept of upstreams: pages in place, fetched files with lifetimes, notes without serials.

use std::sync::Arc;

use wheelhouse::pep::digest::Sha256;
use wheelhouse::pep::simple::{CoreMetadata, ProjectStatus};
use wheelhouse::pep::simple_read::ReadFile;
use wheelhouse::storage::meta::{CommitError, MetaStore, Operation, Refetch};
use wheelhouse::storage::mirrored::{
    FetchedContent, FetchedFile, FetchedPart, FetchedState, MirrorFile, MirrorPage, NameList, Note,
    StoredNames, Validators,
};
use wheelhouse::storage::model::{Serial, StoredPath, Touched};
use wheelhouse::storage::packed::Packed;

use crate::support::{Place, at, changes, commit, index, project, put_index, put_user};

const MIRROR: &str = "root/up";

async fn with_mirror(store: &dyn MetaStore) {
    commit(store, [put_user("root"), put_index(MIRROR)]).await;
}

fn path(name: &str) -> StoredPath {
    StoredPath::new(format!("{MIRROR}/+f/abc/0123456789abc/{name}"))
}

fn page(names: &[&str]) -> MirrorPage {
    let file = |name: &&str| MirrorFile {
        path: path(name),
        read: ReadFile {
            file_name: (*name).into(),
            url: format!("http://upstream.example/{name}").into(),
            hashes: vec![("sha256".into(), "abc".into())],
            requires_python: Some(">=3".into()),
            yanked: Some("".into()),
            core_metadata: CoreMetadata::Hashed(Sha256::of(b"metadata")),
            size: Some(7),
            upload_time: Some(at(3)),
            provenance: Some("http://upstream.example/provenance".into()),
        },
    };
    MirrorPage {
        files: names.iter().map(file).collect(),
        versions: vec!["1.0".into()],
        status: None,
        validators: validators("one"),
        serial: Some(5),
        source: "http://upstream.example/simple/".into(),
    }
}

fn validators(etag: &str) -> Validators {
    Validators { etag: Some(format!("\"{etag}\"")), last_modified: None }
}

fn put_page(name: &str, page: MirrorPage, odd_paths: Vec<StoredPath>) -> Operation {
    let (index, project) = (index(MIRROR), project(name));
    Operation::PutMirrorPage {
        index,
        project,
        page: Packed::new(&page).unwrap(),
        checked_at: at(1),
        odd_paths,
    }
}

fn put_fetched(name: &str, part: FetchedPart) -> Operation {
    Operation::PutFetched { index: index(MIRROR), project: project("demo"), path: path(name), part }
}

fn remove_fetched(name: &str, refetch: Refetch) -> Operation {
    Operation::RemoveFetched { index: index(MIRROR), project: project("demo"), path: path(name), refetch }
}

fn content(bytes: &[u8]) -> FetchedContent {
    FetchedContent { sha256: Sha256::of(bytes), size: bytes.len() as u64, modified: at(2) }
}

async fn fetched(store: &dyn MetaStore, name: &str) -> FetchedState {
    store.snapshot().await.unwrap().get_fetched(&path(name)).await.unwrap()
}

async fn is_present(store: &dyn MetaStore, name: &str) -> bool {
    matches!(fetched(store, name).await, FetchedState::Present(_))
}

pub(crate) async fn an_upstreams_page_is_kept_in_full_and_replaced(place: &dyn Place) {
    let store = place.open().await;
    with_mirror(store.as_ref()).await;
    let first = page(&["demo-1.0.zip", "odd.zip"]);
    let serial = commit(store.as_ref(), [put_page("demo", first.clone(), vec![path("odd.zip")])]).await;
    commit(store.as_ref(), [put_page("other", page(&[]), Vec::new())]).await;
    let mut snapshot = store.snapshot().await.unwrap();
    let stored = snapshot.get_mirror_page(&index(MIRROR), "demo").await.unwrap().unwrap();
    assert_eq!((stored.page, stored.changed_at, stored.checked_at), (first, serial, at(1)));
    assert_eq!(snapshot.list_mirror_pages(&index(MIRROR)).await.unwrap(), ["demo".into(), "other".into()]);
    assert_eq!(snapshot.find_odd_path(&path("odd.zip")).await.unwrap().as_deref(), Some("demo"));
    assert!(snapshot.list_projects(&index(MIRROR)).await.unwrap().is_empty());
    drop(snapshot);
    let second = page(&["demo-2.0.zip"]);
    commit(store.as_ref(), [put_page("demo", second.clone(), Vec::new())]).await;
    let mut snapshot = store.snapshot().await.unwrap();
    let stored = snapshot.get_mirror_page(&index(MIRROR), "demo").await.unwrap().unwrap();
    assert_eq!(stored.page, second);
    assert_eq!(snapshot.find_odd_path(&path("odd.zip")).await.unwrap(), None);
    assert_eq!(snapshot.get_mirror_page(&index("root/none"), "demo").await.unwrap(), None);
}

pub(crate) async fn a_new_page_tells_what_it_touches(place: &dyn Place) {
    let store = place.open().await;
    with_mirror(store.as_ref()).await;
    let touched = async |operation| store.commit(changes([operation])).await.unwrap().touched;
    let demo = Touched::Project(index(MIRROR), project("demo"));
    let list = Touched::ProjectList(index(MIRROR));
    assert_eq!(touched(put_page("demo", page(&["a.zip"]), Vec::new())).await, [list.clone(), demo.clone()]);
    assert_eq!(touched(put_page("demo", page(&["b.zip"]), Vec::new())).await, std::slice::from_ref(&demo));
    let part = FetchedPart::Content(content(b"x"), None);
    assert_eq!(touched(put_fetched("b.zip", part)).await, [Touched::File(path("b.zip"))]);
    // Files of a project that is withdrawn are no longer what they were.
    let status = ProjectStatus { status: "quarantined".into(), reason: None };
    let quarantined = MirrorPage { status: Some(status), ..page(&["b.zip"]) };
    assert_eq!(
        touched(put_page("demo", quarantined, Vec::new())).await,
        [Touched::File(path("b.zip")), demo.clone()]
    );
    let removal = Operation::RemoveMirrorProject(index(MIRROR), project("demo"));
    assert_eq!(touched(removal.clone()).await, [Touched::File(path("b.zip")), list, demo]);
    assert!(matches!(store.commit(changes([removal])).await, Err(CommitError::Outdated)));
    let elsewhere = Operation::PutFetched {
        index: index("root/none"),
        project: project("demo"),
        path: path("b.zip"),
        part: FetchedPart::Content(content(b"x"), None),
    };
    assert!(matches!(store.commit(changes([elsewhere])).await, Err(CommitError::Outdated)));
}

pub(crate) async fn parts_of_a_fetched_file_add_up(place: &dyn Place) {
    let store = place.open().await;
    with_mirror(store.as_ref()).await;
    let unlisted = put_fetched("a.whl", FetchedPart::Content(content(b"wheel"), None));
    assert!(matches!(store.commit(changes([unlisted])).await, Err(CommitError::Outdated)));
    commit(store.as_ref(), [put_page("demo", page(&["a.whl"]), Vec::new())]).await;
    assert_eq!(fetched(store.as_ref(), "a.whl").await, FetchedState::Unknown);
    let (metadata, provenance) = (Sha256::of(b"metadata"), Sha256::of(b"provenance"));
    let documents = [
        Operation::PutDocument(metadata, b"metadata".to_vec()),
        Operation::PutDocument(provenance, b"provenance".to_vec()),
    ];
    commit(store.as_ref(), documents).await;
    let parts = [
        FetchedPart::CoreMetadata(metadata),
        FetchedPart::Provenance(provenance),
        FetchedPart::Content(content(b"wheel"), None),
    ];
    for part in parts {
        commit(store.as_ref(), [put_fetched("a.whl", part)]).await;
    }
    let expected = FetchedFile {
        path: path("a.whl"),
        project: project("demo"),
        content: Some(content(b"wheel")),
        core_metadata: Some(metadata),
        provenance: Some(provenance),
    };
    assert_eq!(fetched(store.as_ref(), "a.whl").await, FetchedState::Present(Box::new(expected.clone())));
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.list_fetched(&index(MIRROR), "demo").await.unwrap(), [expected]);
    assert!(snapshot.is_referenced(&Sha256::of(b"wheel")).await.unwrap());
}

pub(crate) async fn a_deleted_file_stays_away_until_its_page_changes(place: &dyn Place) {
    let store = place.open().await;
    with_mirror(store.as_ref()).await;
    commit(store.as_ref(), [put_page("demo", page(&["a.zip"]), Vec::new())]).await;
    let put = || put_fetched("a.zip", FetchedPart::Content(content(b"x"), None));
    for (refetch, left) in
        [(Refetch::Allowed, FetchedState::Unknown), (Refetch::Refused, FetchedState::Deleted)]
    {
        commit(store.as_ref(), [put()]).await;
        let commit = store.commit(changes([remove_fetched("a.zip", refetch)])).await.unwrap();
        let touched = [Touched::Project(index(MIRROR), project("demo")), Touched::File(path("a.zip"))];
        assert_eq!(commit.touched, touched);
        assert_eq!(fetched(store.as_ref(), "a.zip").await, left);
    }
    // A transfer that was under way comes too late.
    assert!(matches!(store.commit(changes([put()])).await, Err(CommitError::Outdated)));
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.list_deleted(&index(MIRROR), "demo").await.unwrap(), [path("a.zip")]);
    assert!(snapshot.is_referenced(&Sha256::of(b"x")).await.unwrap());
    drop(snapshot);
    commit(store.as_ref(), [put_page("demo", page(&["a.zip", "b.zip"]), Vec::new())]).await;
    assert_eq!(fetched(store.as_ref(), "a.zip").await, FetchedState::Unknown);
}

pub(crate) async fn a_mirror_goes_with_all_that_was_kept_of_it(place: &dyn Place) {
    let store = place.open().await;
    with_mirror(store.as_ref()).await;
    let fill = async || {
        let part = FetchedPart::Content(content(b"x"), None);
        let operations =
            [put_page("demo", page(&["a.zip"]), vec![path("a.zip")]), put_fetched("a.zip", part)];
        commit(store.as_ref(), operations).await;
    };
    fill().await;
    assert!(is_present(store.as_ref(), "a.zip").await);
    commit(store.as_ref(), [Operation::RemoveIndex(index(MIRROR))]).await;
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.find_odd_path(&path("a.zip")).await.unwrap(), None);
    assert!(snapshot.was_fetched(&path("a.zip")).await.unwrap());
    assert!(!snapshot.was_fetched(&path("b.zip")).await.unwrap());
    drop(snapshot);
    commit(store.as_ref(), [put_index(MIRROR)]).await;
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.get_mirror_page(&index(MIRROR), "demo").await.unwrap(), None);
    assert_eq!(snapshot.get_fetched(&path("a.zip")).await.unwrap(), FetchedState::Unknown);
    drop(snapshot);
    fill().await;
    commit(store.as_ref(), [Operation::RemoveUser("root".into())]).await;
    assert!(!is_present(store.as_ref(), "a.zip").await);
}

pub(crate) async fn notes_are_kept_without_serials(place: &dyn Place) {
    let store = place.open().await;
    with_mirror(store.as_ref()).await;
    let serial = commit(store.as_ref(), [put_page("demo", page(&["a.zip"]), Vec::new())]).await;
    let names: Arc<NameList> = Arc::new(["b", "a"].into_iter().collect());
    let source: Arc<str> = "http://upstream.example/simple/".into();
    let list = StoredNames { names, validators: validators("list"), checked_at: at(8), source };
    let listed = |name: &str| Note::NamesListed {
        index: index(name),
        names: Packed::new(&*list.names).unwrap(),
        validators: list.validators.clone(),
        source: Arc::clone(&list.source),
        checked_at: list.checked_at,
    };
    let checked = |name: &str, page: Option<MirrorPage>, second| Note::PageChecked {
        index: index(MIRROR),
        project: name.into(),
        changed_at: serial,
        page: page.map(|page| Packed::new(&page).unwrap()),
        checked_at: at(second),
    };
    let validated = |etag: &str| Some(MirrorPage { validators: validators(etag), ..page(&["a.zip"]) });
    let notes = vec![
        checked("demo", None, 7),
        checked("none", validated("two"), 7),
        listed(MIRROR),
        listed("root/none"),
    ];
    store.note(notes).await.unwrap();
    assert_eq!(store.serial(), Some(serial));
    assert!(store.changes_since(Some(serial), 10).await.unwrap().is_empty());
    store.close().await.unwrap();

    let store = place.open().await;
    assert_eq!(store.serial(), Some(serial));
    let mut snapshot = store.snapshot().await.unwrap();
    let stored = snapshot.get_mirror_page(&index(MIRROR), "demo").await.unwrap().unwrap();
    assert_eq!((stored.checked_at, stored.changed_at), (at(7), serial));
    assert_eq!(stored.page, page(&["a.zip"]));
    assert_eq!(snapshot.get_mirror_names(&index(MIRROR)).await.unwrap().as_ref(), Some(&list));
    assert_eq!(snapshot.get_mirror_names(&index("root/none")).await.unwrap(), None);
    drop(snapshot);
    store.note(vec![checked("demo", validated("two"), 9)]).await.unwrap();
    let mut snapshot = store.snapshot().await.unwrap();
    let stored = snapshot.get_mirror_page(&index(MIRROR), "demo").await.unwrap().unwrap();
    assert_eq!((stored.page.validators, stored.changed_at), (validators("two"), serial));
    assert_eq!(snapshot.serial().await.unwrap(), Some(Serial(1)));
    drop(snapshot);
    // Of a page that has come since nothing was confirmed.
    commit(store.as_ref(), [put_page("demo", page(&["b.zip"]), Vec::new())]).await;
    store.note(vec![checked("demo", validated("three"), 11)]).await.unwrap();
    let mut snapshot = store.snapshot().await.unwrap();
    let stored = snapshot.get_mirror_page(&index(MIRROR), "demo").await.unwrap().unwrap();
    assert_eq!((stored.page, stored.checked_at), (page(&["b.zip"]), at(1)));
}
