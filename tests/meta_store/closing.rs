//! Closing and opening again.

use futures_util::future::{join, join_all};
use wheelhouse::pep::digest::Sha256;
use wheelhouse::storage::StorageError;
use wheelhouse::storage::meta::{CommitError, Operation};
use wheelhouse::storage::model::{FileState, Serial};

use crate::support::{
    Place, add_link, changes, commit, index, link, put_index, put_release, put_user, remove_link, settings,
    user, with_file,
};

pub(crate) async fn a_closed_store_refuses_work(place: &dyn Place) {
    let store = place.open().await;
    with_file(store.as_ref()).await;
    store.close().await.unwrap();
    let refused = store.commit(changes([put_user("bob")])).await;
    assert!(matches!(refused, Err(CommitError::Storage(StorageError::Closed))), "{refused:?}");
    assert!(matches!(store.snapshot().await.err(), Some(StorageError::Closed)));
    assert!(matches!(store.changes_since(None, 1).await, Err(StorageError::Closed)));
    // Once more is once too often, but does no harm.
    store.close().await.unwrap();
}

pub(crate) async fn commits_under_way_are_finished(place: &dyn Place) {
    let store = place.open().await;
    let commits =
        join_all((0..100).map(|number| store.commit(changes([put_user(&format!("user{number}"))]))));
    // The first of the two is asked first, so all commits have begun when the store is told to close.
    let (results, closed) = join(commits, store.close()).await;
    closed.unwrap();
    let serials: Vec<Serial> = results.into_iter().map(|result| result.unwrap().serial).collect();
    assert_eq!(serials.len(), 100);
    let again = place.open().await;
    assert_eq!(again.serial(), Some(Serial(99)));
    assert_eq!(again.snapshot().await.unwrap().list_users().await.unwrap().len(), 100);
}

pub(crate) async fn reopening_keeps_everything(place: &dyn Place) {
    let store = place.open().await;
    let old = with_file(store.as_ref()).await;
    let new = link("alice/dev", "1.0", "zip", "new");
    let body = b"document".to_vec();
    let operations = [
        Operation::PutUser("bob".into(), user("B")),
        Operation::PutIndex(index("bob/dev"), settings("B's")),
        put_release("bob/dev", "3.0", "summary"),
        remove_link("alice/dev", &old),
        add_link("alice/dev", &new),
        Operation::PutDocument(Sha256::of(&body), body.clone()),
    ];
    let serial = commit(store.as_ref(), operations).await;
    let log = store.changes_since(None, 10).await.unwrap();
    store.close().await.unwrap();
    drop(store);

    let store = place.open().await;
    assert_eq!(store.serial(), Some(serial));
    assert_eq!(store.changes_since(None, 10).await.unwrap(), log);
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.get_user("bob").await.unwrap().unwrap().value, user("B"));
    assert_eq!(snapshot.get_index(&index("bob/dev")).await.unwrap().unwrap().value, settings("B's"));
    let release = snapshot.get_release(&index("bob/dev"), "demo", "3.0").await.unwrap().unwrap();
    assert_eq!(release.metadata.text("summary"), "summary");
    assert_eq!(snapshot.get_file(&old.path).await.unwrap(), FileState::Removed);
    assert!(
        matches!(snapshot.get_file(&new.path).await.unwrap(), FileState::Present(stored) if stored.value == new)
    );
    assert_eq!(snapshot.get_document(&Sha256::of(&body)).await.unwrap(), Some(body));
    drop(snapshot);
    assert_eq!(commit(store.as_ref(), [put_index("bob/more")]).await, Serial(serial.0 + 1));
}
