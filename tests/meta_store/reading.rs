//! What snapshots show.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use wheelhouse::pep::digest::Sha256;
use wheelhouse::storage::meta::{ExistingMetadata, Operation};
use wheelhouse::storage::model::{FileState, Link, LogEntry, StoredPath, UserRecord};

use crate::support::{
    Place, add_link, at, commit, index, link, metadata, project, put_index, put_release, put_user,
    remove_link, settings, user, with_file,
};

pub(crate) async fn names_come_sorted_and_links_as_they_came(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    for name in ["bob", "alice", "carol"] {
        commit(store, [put_user(name)]).await;
    }
    for name in ["bob/dev", "alice/z", "alice/a", "alice-b/x"] {
        commit(store, [put_index(name)]).await;
    }
    for name in ["zoo", "a-b", "a", "b1", "b"] {
        let put = Operation::PutRelease {
            index: index("alice/a"),
            project: project(name),
            version: "1".into(),
            metadata: metadata(&[]),
            existing: ExistingMetadata::Update,
        };
        commit(store, [put]).await;
    }
    for version in ["1.10", "1.9", "2.0", "1.0"] {
        commit(store, [put_release("alice/a", version, "")]).await;
        for suffix in ["zip", "whl"] {
            commit(store, [add_link("alice/a", &link("alice/a", version, suffix, suffix))]).await;
        }
    }
    let mut snapshot = store.snapshot().await.unwrap();
    let users = snapshot.list_users().await.unwrap();
    assert_eq!(users.keys().map(|name| &**name).collect::<Vec<_>>(), ["alice", "bob", "carol"]);
    let indexes = snapshot.list_indexes(None).await.unwrap();
    let names: Vec<String> = indexes.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["alice/a", "alice/z", "alice-b/x", "bob/dev"]);
    let indexes = snapshot.list_indexes(Some("alice")).await.unwrap();
    assert_eq!(indexes.keys().map(|name| &*name.index).collect::<Vec<_>>(), ["a", "z"]);
    let projects = snapshot.list_projects(&index("alice/a")).await.unwrap();
    assert_eq!(
        projects.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["a", "a-b", "b", "b1", "demo", "zoo"]
    );
    let versions = snapshot.list_versions(&index("alice/a"), "demo").await.unwrap();
    let came = ["1.10", "1.9", "2.0", "1.0"];
    assert_eq!(
        versions.iter().map(|release| &*release.version).collect::<BTreeSet<_>>(),
        BTreeSet::from(came)
    );
    let releases = snapshot.list_releases(&index("alice/a"), "demo").await.unwrap();
    assert_eq!(releases.iter().map(|release| &*release.version).collect::<Vec<_>>(), came);
    let names = |links: Vec<wheelhouse::storage::model::Stored<Link>>| {
        links.iter().map(|link| link.value.file_name.to_string()).collect::<Vec<_>>()
    };
    let all = names(snapshot.list_links(&index("alice/a"), "demo", None).await.unwrap());
    assert_eq!(all.iter().take(3).collect::<Vec<_>>(), ["demo-1.10.zip", "demo-1.10.whl", "demo-1.9.zip"]);
    assert_eq!(all.len(), 8);
    let files = snapshot.read_project(&index("alice/a"), "demo", None).await.unwrap().files;
    assert_eq!(files.iter().map(|file| file.path.file_name().to_owned()).collect::<Vec<_>>(), all);
    assert_eq!(files.iter().map(|file| &*file.version).take(3).collect::<Vec<_>>(), ["1.10", "1.10", "1.9"]);
    let some = names(snapshot.list_links(&index("alice/a"), "demo", Some("2.0")).await.unwrap());
    assert_eq!(some, ["demo-2.0.zip", "demo-2.0.whl"]);
}

pub(crate) async fn a_missing_index_has_nothing(place: &dyn Place) {
    let store = place.open().await;
    with_file(store.as_ref()).await;
    let mut snapshot = store.snapshot().await.unwrap();
    let none = index("alice/none");
    assert_eq!(snapshot.get_index(&none).await.unwrap(), None);
    assert!(snapshot.list_projects(&none).await.unwrap().is_empty());
    assert_eq!(snapshot.get_project(&none, "demo").await.unwrap(), None);
    assert_eq!(snapshot.list_versions(&none, "demo").await.unwrap(), []);
    assert_eq!(snapshot.list_releases(&none, "demo").await.unwrap(), []);
    assert_eq!(snapshot.get_release(&none, "demo", "1.0").await.unwrap(), None);
    assert_eq!(snapshot.list_links(&none, "demo", None).await.unwrap(), []);
    assert_eq!(snapshot.get_user("none").await.unwrap(), None);
    assert!(snapshot.list_indexes(Some("none")).await.unwrap().is_empty());
}

pub(crate) async fn users_and_indexes_are_kept_as_given(place: &dyn Place) {
    let store = place.open().await;
    let record = UserRecord {
        pwsalt: Some("salt".to_owned()),
        pwhash: Some("$argon2id$…".to_owned()),
        created: at(3),
        modified: Some(at(4)),
        attributes: json!({"z": [1, null], "a": "ä\u{0}\u{1f600}", "custom_data": {"y": 1.5, "b": {}}})
            .as_object()
            .cloned()
            .unwrap(),
    };
    let wanted = json!({"zeta": 1, "alpha": [], "future": {"k": ["v"]}}).as_object().cloned().unwrap();
    let operations = [
        Operation::PutUser("cärol".into(), record.clone()),
        Operation::PutIndex(index("cärol/ünd-x.1"), wanted.clone()),
    ];
    let serial = commit(store.as_ref(), operations).await;
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.get_user("cärol").await.unwrap().unwrap().value, record);
    assert_eq!(snapshot.list_users().await.unwrap()["cärol"], record);
    let stored = snapshot.get_index(&index("cärol/ünd-x.1")).await.unwrap().unwrap();
    assert_eq!((stored.changed_at, &stored.value), (serial, &wanted));
    // The order of keys is kept: answers show them as they came.
    assert_eq!(stored.value.keys().collect::<Vec<_>>(), ["zeta", "alpha", "future"]);
}

pub(crate) async fn documents_are_kept_under_their_hash(place: &dyn Place) {
    let store = place.open().await;
    let body = vec![0_u8, 255, 10, 0];
    let sha256 = Sha256::of(&body);
    assert_eq!(store.snapshot().await.unwrap().get_document(&sha256).await.unwrap(), None);
    for _ in 0..2 {
        commit(store.as_ref(), [Operation::PutDocument(sha256, body.clone())]).await;
    }
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.get_document(&sha256).await.unwrap(), Some(body));
    assert_eq!(snapshot.get_document(&Sha256::of(b"")).await.unwrap(), None);
    // Contents of files are another matter.
    assert!(!snapshot.is_referenced(&sha256).await.unwrap());
}

pub(crate) async fn links_are_kept_in_full(place: &dyn Place) {
    let store = place.open().await;
    with_file(store.as_ref()).await;
    let document = Sha256::of(b"metadata");
    let full = Link {
        path: StoredPath::new("alice/dev/+f/of an/import/demo ä.zip"),
        file_name: "demo ä.zip".into(),
        size: 1 << 40,
        uploaded_at: "2026-11-22T13:03:52.123456Z".parse().unwrap(),
        core_metadata: Some(document),
        log: vec![
            LogEntry::Overwrite { when: at(5), count: 3 },
            LogEntry::Upload { who: None, when: at(6), dst: index("alice/dev") },
        ],
        ..link("alice/dev", "1.0", "zip", "full")
    };
    let operations = [Operation::PutDocument(document, b"metadata".to_vec()), add_link("alice/dev", &full)];
    let serial = commit(store.as_ref(), operations).await;
    let mut snapshot = store.snapshot().await.unwrap();
    let links = snapshot.list_links(&index("alice/dev"), "demo", Some("1.0")).await.unwrap();
    assert_eq!((links[1].changed_at, &links[1].value), (serial, &full));
    assert!(
        matches!(snapshot.get_file(&full.path).await.unwrap(), FileState::Present(stored) if stored.value == full)
    );
}

pub(crate) async fn a_snapshot_does_not_see_later_commits(place: &dyn Place) {
    let store = place.open().await;
    let old = with_file(store.as_ref()).await;
    let serial = store.serial();
    let mut snapshot = store.snapshot().await.unwrap();
    // The first read.
    assert_eq!(snapshot.serial().await.unwrap(), serial);
    let dev = index("alice/dev");
    let new = link("alice/dev", "1.0", "zip", "new");
    let operations = [
        Operation::PutUser("alice".into(), user("changed")),
        put_user("bob"),
        Operation::PutIndex(dev.clone(), settings("changed")),
        put_release("alice/dev", "1.0", "changed"),
        put_release("alice/dev", "2.0", ""),
        remove_link("alice/dev", &old),
        add_link("alice/dev", &new),
        Operation::PutDocument(Sha256::of(b"x"), b"x".to_vec()),
    ];
    commit(store.as_ref(), operations).await;
    assert_eq!(snapshot.serial().await.unwrap(), serial);
    assert_eq!(snapshot.get_user("alice").await.unwrap().unwrap().value, user(""));
    assert_eq!(snapshot.list_users().await.unwrap().len(), 1);
    assert_eq!(snapshot.get_index(&dev).await.unwrap().unwrap().value, settings(""));
    assert_eq!(snapshot.get_project(&dev, "demo").await.unwrap(), serial);
    let release = snapshot.get_release(&dev, "demo", "1.0").await.unwrap().unwrap();
    assert_eq!(release.metadata.text("summary"), "");
    assert_eq!(snapshot.list_versions(&dev, "demo").await.unwrap().len(), 1);
    assert!(matches!(snapshot.get_file(&old.path).await.unwrap(), FileState::Present(_)));
    assert_eq!(snapshot.get_file(&new.path).await.unwrap(), FileState::Unknown);
    assert!(!snapshot.is_referenced(&new.sha256).await.unwrap());
    assert_eq!(snapshot.get_document(&Sha256::of(b"x")).await.unwrap(), None);
    commit(store.as_ref(), [Operation::RemoveUser("alice".into())]).await;
    assert!(snapshot.get_user("alice").await.unwrap().is_some());
    assert_eq!(snapshot.list_projects(&dev).await.unwrap().len(), 1);
    assert!(store.snapshot().await.unwrap().list_projects(&dev).await.unwrap().is_empty());
}

pub(crate) async fn many_snapshots_are_lent_one_after_the_other(place: &dyn Place) {
    let store = place.open().await;
    with_file(store.as_ref()).await;
    let tasks = (0..100).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut snapshot = store.snapshot().await.unwrap();
            let users = snapshot.list_users().await.unwrap();
            drop(snapshot);
            commit(store.as_ref(), [put_user(&format!("user{number}"))]).await;
            users.len()
        })
    });
    let seen: BTreeSet<usize> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert!(seen.iter().all(|count| (1..=101).contains(count)), "{seen:?}");
    assert_eq!(store.snapshot().await.unwrap().list_users().await.unwrap().len(), 101);
}
