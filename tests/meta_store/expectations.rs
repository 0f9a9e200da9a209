//! What a change set repeats of what its author has read, and who loses a race.

use std::sync::Arc;

use futures_util::future::join_all;
use wheelhouse::storage::meta::{CommitError, Expectation, MetaStore, Operation};
use wheelhouse::storage::model::{IndexName, Serial};

use crate::support::{
    Place, add_link, assert_outdated, changes, commit, holds, index, link, project, put_index, put_release,
    put_user, remove_link, with_file,
};

/// Asserts that exactly this last change (`None` for an absent record) is what the store expects.
async fn assert_revision(
    store: &dyn MetaStore,
    expectation: impl Fn(Option<Serial>) -> Expectation,
    changed_at: Option<Serial>,
) {
    let newest = store.serial().map_or(0, |serial| serial.0);
    for candidate in std::iter::once(None).chain((0..=newest).map(|serial| Some(Serial(serial)))) {
        let held = holds(store, expectation(candidate)).await;
        assert_eq!(held, candidate == changed_at, "changed_at {candidate:?} in place of {changed_at:?}");
    }
}

pub(crate) async fn users_are_expected_with_their_indexes(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    let alice = |changed_at| Expectation::User("alice".into(), changed_at);
    assert_revision(store, alice, None).await;
    let created = commit(store, [put_user("alice")]).await;
    assert_revision(store, alice, Some(created)).await;
    let changed = commit(store, [put_user("alice")]).await;
    assert_revision(store, alice, Some(changed)).await;
    let with_index = commit(store, [put_index("alice/dev")]).await;
    assert_revision(store, alice, Some(with_index)).await;
    let index_changed = commit(store, [put_index("alice/dev")]).await;
    assert_revision(store, alice, Some(index_changed)).await;
    assert_eq!(
        store.snapshot().await.unwrap().get_user("alice").await.unwrap().unwrap().changed_at,
        index_changed
    );
    // What lies in an index is not the user's.
    commit(store, [put_release("alice/dev", "1.0", "")]).await;
    assert_revision(store, alice, Some(index_changed)).await;
    let without_index = commit(store, [Operation::RemoveIndex(index("alice/dev"))]).await;
    assert_revision(store, alice, Some(without_index)).await;
    commit(store, [Operation::RemoveUser("alice".into())]).await;
    assert_revision(store, alice, None).await;
}

pub(crate) async fn indexes_are_expected_by_their_settings(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    let dev = |changed_at| Expectation::Index(index("alice/dev"), changed_at);
    commit(store, [put_user("alice")]).await;
    assert_revision(store, dev, None).await;
    let created = commit(store, [put_index("alice/dev")]).await;
    assert_revision(store, dev, Some(created)).await;
    // Uploads of others do not disturb each other here.
    commit(store, [put_release("alice/dev", "1.0", ""), put_user("alice")]).await;
    assert_revision(store, dev, Some(created)).await;
    let changed = commit(store, [put_index("alice/dev")]).await;
    assert_revision(store, dev, Some(changed)).await;
    // It is still the same index, but not once it has been removed, whatever comes after it.
    let same = async |since| holds(store, Expectation::SameIndex(index("alice/dev"), since)).await;
    assert!(same(created).await && same(changed).await && !same(Serial(created.0 - 1)).await);
    commit(store, [Operation::RemoveIndex(index("alice/dev"))]).await;
    assert_revision(store, dev, None).await;
    assert!(!same(changed).await);
    let again = commit(store, [put_index("alice/dev")]).await;
    assert_revision(store, dev, Some(again)).await;
    assert!(same(again).await && !same(changed).await);
    commit(store, [Operation::RemoveUser("alice".into())]).await;
    assert_revision(store, dev, None).await;
}

pub(crate) async fn projects_are_expected_with_all_that_is_in_them(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    let demo = |changed_at| Expectation::Project(index("alice/dev"), project("Demo"), changed_at);
    assert_revision(store, demo, None).await;
    let file = with_file(store).await;
    assert_revision(store, demo, store.serial_of_demo().await).await;
    for operation in [
        put_release("alice/dev", "1.0", "other"),
        put_release("alice/dev", "2.0", ""),
        add_link("alice/dev", &link("alice/dev", "2.0", "zip", "second")),
        remove_link("alice/dev", &file),
        Operation::RemoveRelease(index("alice/dev"), project("demo"), "1.0".into()),
    ] {
        let changed = commit(store, [operation]).await;
        assert_revision(store, demo, Some(changed)).await;
        assert_eq!(store.serial_of_demo().await, Some(changed));
    }
    let last = store.serial_of_demo().await;
    commit(store, [put_index("alice/dev"), put_user("alice")]).await;
    assert_revision(store, demo, last).await;
    commit(store, [Operation::RemoveProject(index("alice/dev"), project("demo"))]).await;
    assert_revision(store, demo, None).await;
}

/// When `demo` in `alice/dev` last changed.
trait SerialOfDemo {
    async fn serial_of_demo(&self) -> Option<Serial>;
}

impl SerialOfDemo for dyn MetaStore + '_ {
    async fn serial_of_demo(&self) -> Option<Serial> {
        self.snapshot().await.unwrap().get_project(&index("alice/dev"), "demo").await.unwrap()
    }
}

pub(crate) async fn files_are_expected_by_name(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    let zip = |changed_at| Expectation::File {
        index: index("alice/dev"),
        project: project("demo"),
        version: "1.0".into(),
        file_name: "demo-1.0.zip".into(),
        changed_at,
    };
    assert_revision(store, zip, None).await;
    let old = with_file(store).await;
    let added = store.serial_of_demo().await;
    assert_revision(store, zip, added).await;
    // Others do not matter, also not one of the same name in another version.
    let mut elsewhere = link("alice/dev", "1.0", "zip", "elsewhere");
    elsewhere.version = "1.0.0".into();
    commit(
        store,
        [
            put_release("alice/dev", "1.0", "changed"),
            put_release("alice/dev", "1.0.0", ""),
            add_link("alice/dev", &elsewhere),
            add_link("alice/dev", &link("alice/dev", "1.0", "whl", "wheel")),
        ],
    )
    .await;
    assert_revision(store, zip, added).await;
    let new = link("alice/dev", "1.0", "zip", "new content");
    let replaced = commit(store, [remove_link("alice/dev", &old), add_link("alice/dev", &new)]).await;
    assert_revision(store, zip, Some(replaced)).await;
    commit(store, [remove_link("alice/dev", &new)]).await;
    assert_revision(store, zip, None).await;
}

pub(crate) async fn all_expectations_must_hold(place: &dyn Place) {
    let store = place.open().await;
    let created = commit(store.as_ref(), [put_user("alice"), put_index("alice/dev")]).await;
    let dev = Expectation::Index(index("alice/dev"), Some(created));
    let nobody = |changed_at| Expectation::User("nobody".into(), changed_at);
    let both = changes([put_user("bob")]).expect(dev.clone()).expect(nobody(Some(created)));
    assert_outdated(store.commit(both).await);
    // They are about the state before the change set, not in the middle of it.
    let own = changes([put_user("nobody")]).expect(dev).expect(nobody(None));
    assert!(store.commit(own).await.is_ok());
}

pub(crate) async fn of_rivals_exactly_one_wins(place: &dyn Place) {
    let store = place.open().await;
    with_file(store.as_ref()).await;
    for round in 0..5 {
        let dev: IndexName = index("alice/dev");
        let changed_at = store.as_ref().serial_of_demo().await;
        let rivals = (0..20).map(|rival| {
            let store = Arc::clone(&store);
            let change = changes([put_release("alice/dev", "1.0", &format!("round {round} rival {rival}"))])
                .expect(Expectation::Project(dev.clone(), project("demo"), changed_at));
            tokio::spawn(async move { store.commit(change).await })
        });
        let results: Vec<_> = join_all(rivals).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<usize> = (0..20).filter(|rival| results[*rival].is_ok()).collect();
        assert_eq!(winners.len(), 1);
        assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(CommitError::Outdated))));
        let mut snapshot = store.snapshot().await.unwrap();
        let release = snapshot.get_release(&dev, "demo", "1.0").await.unwrap().unwrap();
        assert_eq!(release.metadata.text("summary"), format!("round {round} rival {}", winners[0]));
    }
    assert_eq!(store.serial(), Some(Serial(5)));
}
