//! What comes from another server: under the serials that it had there.

use wheelhouse::storage::meta::{Change, Operation, Record};
use wheelhouse::storage::model::{FileState, Serial, StoredPath, Touched};

use crate::support::{
    Place, add_link, at, commit, index, link, project, put_index, put_release, put_user, user,
};

fn made(serial: u64, operation: Operation) -> Record {
    Record::Made(Serial(serial), Box::new(operation))
}

fn entry(serial: u64) -> Change {
    let touched = vec![Touched::User("alice".into())];
    Change { serial: Serial(serial), when: at(5), who: None, touched }
}

pub(crate) async fn what_is_loaded_keeps_its_serials(place: &dyn Place) {
    let store = place.open().await;
    let file = link("alice/dev", "1.0", "zip", "abc");
    let records = vec![
        made(9, put_user("alice")),
        made(9, put_index("alice/dev")),
        made(7, put_release("alice/dev", "1.0", "first")),
        made(4, add_link("alice/dev", &file)),
        made(3, Operation::PutProject(index("alice/dev"), project("empty"))),
        Record::Change(entry(0)),
        Record::Change(entry(9)),
    ];
    store.load(records).await.unwrap();
    assert_eq!(store.serial(), Some(Serial(9)));
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.serial().await.unwrap(), Some(Serial(9)));
    assert_eq!(snapshot.get_user("alice").await.unwrap().unwrap().changed_at, Serial(9));
    let alice = index("alice/dev");
    assert_eq!(snapshot.list_projects(&alice).await.unwrap(), ["demo".into(), "empty".into()]);
    assert_eq!(snapshot.list_versions(&alice, "empty").await.unwrap(), []);
    // The newest change counts, in whatever order they come.
    assert_eq!(snapshot.get_project(&alice, "demo").await.unwrap(), Some(Serial(7)));
    let FileState::Present(stored) = snapshot.get_file(&file.path).await.unwrap() else { panic!() };
    assert_eq!((stored.changed_at, stored.value), (Serial(4), file));
    assert_eq!(store.changes_since(None, 9).await.unwrap(), [entry(0), entry(9)]);
    drop(snapshot);
    assert_eq!(commit(store.as_ref(), [put_user("bob")]).await, Serial(10));
    store.close().await.unwrap();
    assert_eq!(place.open().await.serial(), Some(Serial(10)));
}

pub(crate) async fn former_files_are_known_as_removed(place: &dyn Place) {
    let store = place.open().await;
    let path = StoredPath::new("carol/gone/+f/abc/0123456789abc/x-1.0.zip");
    store.load(vec![Record::FormerFile(Serial(3), path.clone())]).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().get_file(&path).await.unwrap(), FileState::Removed);
    // Should there be an index of that name again, a new file at the path is one.
    let file = link("alice/dev", "1.0", "zip", "abc");
    store.load(vec![Record::FormerFile(Serial(3), file.path.clone())]).await.unwrap();
    let again = [
        put_user("alice"),
        put_index("alice/dev"),
        put_release("alice/dev", "1.0", ""),
        add_link("alice/dev", &file),
    ];
    commit(store.as_ref(), again).await;
    let state = store.snapshot().await.unwrap().get_file(&file.path).await.unwrap();
    assert!(matches!(state, FileState::Present(_)));
}

pub(crate) async fn records_are_loaded_all_or_none(place: &dyn Place) {
    let store = place.open().await;
    let file = link("alice/dev", "1.0", "zip", "abc");
    let records = vec![
        made(1, Operation::PutUser("alice".into(), user(""))),
        made(1, add_link("alice/dev", &file)),
        Record::Change(entry(1)),
    ];
    let error = store.load(records).await.unwrap_err();
    assert!(format!("{:#}", anyhow::Error::from(error)).contains("has no place"));
    assert_eq!(store.serial(), None);
    assert!(store.snapshot().await.unwrap().get_user("alice").await.unwrap().is_none());
}
