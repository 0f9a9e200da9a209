//! Commits: serials, atomicity, the change log, listeners.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use wheelhouse::pep::digest::Sha256;
use wheelhouse::storage::meta::{Change, ChangeSet, Commit, CommitListener, Operation};
use wheelhouse::storage::model::{FileState, Serial, Touched};

use crate::support::{
    Place, add_link, assert_outdated, at, change, changes, commit, index, link, project, put_index,
    put_release, put_user, remove_link, with_file,
};

pub(crate) async fn serials_ascend_from_zero_without_gaps(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.serial(), None);
    assert_eq!(store.snapshot().await.unwrap().serial().await.unwrap(), None);
    assert_eq!(store.snapshot().await.unwrap().last_commit_time().await.unwrap(), None);
    for number in 0..5 {
        let change = ChangeSet { when: at(number), ..changes([put_user("alice")]) };
        let serial = Serial(number.unsigned_abs());
        assert_eq!(store.commit(change).await.unwrap().serial, serial);
        assert_eq!(store.serial(), Some(serial));
        let mut snapshot = store.snapshot().await.unwrap();
        assert_eq!(snapshot.serial().await.unwrap(), Some(serial));
        assert_eq!(snapshot.last_commit_time().await.unwrap(), Some(at(number)));
        // Refused ones leave no gap.
        assert_outdated(store.commit(changes([Operation::RemoveIndex(index("alice/none"))])).await);
    }
}

pub(crate) async fn a_change_set_is_kept_whole_or_not_at_all(place: &dyn Place) {
    let store = place.open().await;
    let link = with_file(store.as_ref()).await;
    let before = store.serial();
    for last in [
        Operation::RemoveIndex(index("alice/none")),
        Operation::RemoveProject(index("alice/dev"), project("none")),
        put_release("alice/none", "1.0", ""),
    ] {
        let operations = [
            put_user("bob"),
            put_index("bob/dev"),
            put_release("alice/dev", "2.0", "new"),
            remove_link("alice/dev", &link),
            Operation::PutDocument(Sha256::of(b"document"), b"document".to_vec()),
            last,
        ];
        assert_outdated(store.commit(changes(operations)).await);
    }
    // The same file name twice in a version is a mistake of the caller, and fails otherwise.
    let operations = [put_user("bob"), add_link("alice/dev", &link)];
    assert!(store.commit(changes(operations)).await.is_err());

    assert_eq!(store.serial(), before);
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.serial().await.unwrap(), before);
    assert_eq!(snapshot.get_user("bob").await.unwrap(), None);
    assert_eq!(snapshot.get_index(&index("bob/dev")).await.unwrap(), None);
    assert_eq!(snapshot.list_versions(&index("alice/dev"), "demo").await.unwrap().len(), 1);
    assert!(matches!(snapshot.get_file(&link.path).await.unwrap(), FileState::Present(_)));
    assert_eq!(snapshot.get_document(&Sha256::of(b"document")).await.unwrap(), None);
    assert_eq!(store.changes_since(before, 10).await.unwrap(), []);
}

pub(crate) async fn a_failing_change_set_does_not_disturb_its_neighbours(place: &dyn Place) {
    let store = place.open().await;
    let link = with_file(store.as_ref()).await;
    let all = (0..60).map(|number| {
        let user = put_user(&format!("user{number}"));
        store.commit(match number % 3 {
            0 => changes([user]),
            1 => changes([user, Operation::RemoveIndex(index("alice/none"))]),
            _ => changes([user, add_link("alice/dev", &link)]),
        })
    });
    let results = join_all(all).await;
    let mut snapshot = store.snapshot().await.unwrap();
    for (number, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), number % 3 == 0, "{result:?}");
        let user = snapshot.get_user(&format!("user{number}")).await.unwrap();
        assert_eq!(user.is_some(), result.is_ok());
    }
    assert_eq!(store.serial(), Some(Serial(20)));
}

pub(crate) async fn what_was_touched_is_told_without_repetitions(place: &dyn Place) {
    let store = place.open().await;
    let (dev, demo) = (index("alice/dev"), project("demo"));
    let user = || Touched::User("alice".into());
    let in_project = || Touched::Project(dev.clone(), demo.clone());
    let list = || Touched::ProjectList(dev.clone());
    let zip = link("alice/dev", "1.0", "zip", "a");
    let wheel = link("alice/dev", "1.0", "whl", "b");
    let file = |link: &wheelhouse::storage::model::Link| Touched::File(link.path.clone());
    for (operations, expected) in [
        (vec![put_user("alice"), put_user("alice")], vec![user()]),
        (vec![put_index("alice/dev")], vec![Touched::Index(dev.clone())]),
        (vec![put_release("alice/dev", "1.0", "")], vec![list(), in_project()]),
        (
            vec![put_release("alice/dev", "1.0", "x"), add_link("alice/dev", &zip)],
            vec![in_project(), file(&zip)],
        ),
        (vec![add_link("alice/dev", &wheel)], vec![in_project(), file(&wheel)]),
        (vec![remove_link("alice/dev", &wheel)], vec![in_project(), file(&wheel)]),
        (vec![remove_link("alice/dev", &zip), add_link("alice/dev", &zip)], vec![in_project(), file(&zip)]),
        (
            vec![
                put_release("alice/dev", "2.0", ""),
                Operation::RemoveRelease(dev.clone(), demo.clone(), "1.0".into()),
            ],
            vec![in_project(), file(&zip)],
        ),
        (
            vec![add_link("alice/dev", &link("alice/dev", "2.0", "zip", "c"))],
            vec![in_project(), file(&link("alice/dev", "2.0", "zip", "c"))],
        ),
        (
            vec![Operation::RemoveProject(dev.clone(), demo.clone())],
            vec![list(), in_project(), file(&link("alice/dev", "2.0", "zip", "c"))],
        ),
        (vec![Operation::PutDocument(Sha256::of(b"x"), b"x".to_vec())], vec![]),
        (vec![Operation::RemoveIndex(dev.clone())], vec![Touched::Index(dev.clone())]),
        (
            vec![put_index("alice/dev"), Operation::RemoveUser("alice".into())],
            vec![Touched::Index(dev.clone()), user()],
        ),
    ] {
        let shown = format!("{operations:?}");
        let Commit { serial, touched } = store.commit(changes(operations)).await.unwrap();
        let told: BTreeSet<String> = touched.iter().map(|touched| format!("{touched:?}")).collect();
        assert_eq!(told.len(), touched.len(), "{touched:?}");
        let expected: BTreeSet<String> = expected.iter().map(|touched| format!("{touched:?}")).collect();
        assert_eq!(told, expected, "{shown}");
        let logged = store.changes_since(serial.0.checked_sub(1).map(Serial), 1).await.unwrap();
        assert_eq!(logged[0].touched, touched);
    }
}

pub(crate) async fn the_change_log_is_read_in_steps(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.changes_since(None, 10).await.unwrap(), []);
    let mut expected = Vec::new();
    for number in 0..7 {
        let who = (number % 2 == 0).then(|| "alice".into());
        let change = ChangeSet::new(who.clone(), at(number)).with(put_user("bob"));
        let commit = store.commit(change).await.unwrap();
        expected.push(Change { serial: commit.serial, when: at(number), who, touched: commit.touched });
    }
    assert_eq!(store.changes_since(None, 100).await.unwrap(), expected);
    assert_eq!(store.changes_since(None, 3).await.unwrap(), expected[..3]);
    assert_eq!(store.changes_since(Some(Serial(2)), 3).await.unwrap(), expected[3..6]);
    assert_eq!(store.changes_since(Some(Serial(5)), 3).await.unwrap(), expected[6..]);
    assert_eq!(store.changes_since(Some(Serial(6)), 3).await.unwrap(), []);
    assert_eq!(store.changes_since(Some(Serial(99)), 3).await.unwrap(), []);
    assert_eq!(store.changes_since(None, 0).await.unwrap(), []);
}

pub(crate) async fn many_commits_at_once_get_serials_of_their_own(place: &dyn Place) {
    let store = place.open().await;
    let tasks = (0..200).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { commit(store.as_ref(), [put_user(&format!("user{number}"))]).await })
    });
    let serials: BTreeSet<Serial> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(serials, (0..200).map(Serial).collect());
    assert_eq!(store.snapshot().await.unwrap().list_users().await.unwrap().len(), 200);
}

/// Writes down of what it is told.
#[derive(Default)]
struct Recorder(Mutex<Vec<(Serial, usize)>>);

impl Recorder {
    fn told(&self) -> Vec<(Serial, usize)> {
        self.0.lock().unwrap().clone()
    }
}

impl CommitListener for Recorder {
    fn committed(&self, change: &ChangeSet, commit: &Commit) {
        self.0.lock().unwrap().push((commit.serial, change.operations.len()));
    }
}

pub(crate) async fn listeners_hear_in_order_and_before_the_committer(place: &dyn Place) {
    let store = place.open().await;
    commit(store.as_ref(), [put_user("earlier")]).await;
    let recorder = Arc::new(Recorder::default());
    store.listen(Arc::clone(&recorder) as _);
    let tasks = (0..100_usize).map(|number| {
        let (store, recorder) = (Arc::clone(&store), Arc::clone(&recorder));
        tokio::spawn(async move {
            if number % 5 == 4 {
                assert_outdated(store.commit(changes([Operation::RemoveIndex(index("a/none"))])).await);
                return;
            }
            let size = 1 + number % 3;
            let serial = commit(store.as_ref(), vec![put_user("alice"); size]).await;
            assert!(recorder.told().contains(&(serial, size)), "the listener was told too late");
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    let serials: Vec<Serial> = recorder.told().into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(serials, (1..=80).map(Serial).collect::<Vec<_>>());
}

pub(crate) async fn listeners_hear_of_commits_nobody_waits_for(place: &dyn Place) {
    let store = place.open().await;
    let recorder = Arc::new(Recorder::default());
    store.listen(Arc::clone(&recorder) as _);
    for _ in 0..20 {
        // Asks once and goes away.
        let _gone = tokio::time::timeout(Duration::ZERO, store.commit(changes([put_user("alice")]))).await;
    }
    let last = store.commit(change()).await.unwrap().serial;
    let told: Vec<Serial> = recorder.told().into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(told, (0..=last.0).map(Serial).collect::<Vec<_>>());
    let logged = store.changes_since(None, 100).await.unwrap();
    assert_eq!(logged.into_iter().map(|change| change.serial).collect::<Vec<_>>(), told);
}
