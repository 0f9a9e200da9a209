//! What was removed: known to have been there, and nowhere to be seen.

use wheelhouse::storage::meta::{MetaStore, NamedContent, Operation};
use wheelhouse::storage::model::{FileState, Link, Relation, StoredPath, Touched};

use crate::support::{
    Place, add_link, changes, commit, index, link, project, put_index, put_release, put_user, remove_link,
    with_file,
};

async fn state(store: &dyn MetaStore, link: &Link) -> FileState {
    store.snapshot().await.unwrap().get_file(&link.path).await.unwrap()
}

pub(crate) async fn a_removed_file_is_known_to_have_been_there(place: &dyn Place) {
    let store = place.open().await;
    let never = StoredPath::new("alice/dev/+f/abc/0123456789abc/demo-1.0.zip");
    assert_eq!(store.snapshot().await.unwrap().get_file(&never).await.unwrap(), FileState::Unknown);
    let link = with_file(store.as_ref()).await;
    let FileState::Present(stored) = state(store.as_ref(), &link).await else {
        panic!("the file is not there")
    };
    assert_eq!((Some(stored.changed_at), stored.value), (store.serial(), link.clone()));
    commit(store.as_ref(), [remove_link("alice/dev", &link)]).await;
    assert_eq!(state(store.as_ref(), &link).await, FileState::Removed);
    assert_eq!(store.snapshot().await.unwrap().get_file(&never).await.unwrap(), FileState::Unknown);
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.list_links(&index("alice/dev"), "demo", None).await.unwrap(), []);
    assert_eq!(snapshot.list_versions(&index("alice/dev"), "demo").await.unwrap().len(), 1);
}

pub(crate) async fn files_go_with_what_they_lie_in(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    for removal in [
        Operation::RemoveRelease(index("alice/dev"), project("demo"), "1.0".into()),
        Operation::RemoveProject(index("alice/dev"), project("demo")),
        Operation::RemoveIndex(index("alice/dev")),
        Operation::RemoveUser("alice".into()),
    ] {
        let link = with_file(store).await;
        let neighbour = link.in_other_index();
        let elsewhere = [
            put_user("bob"),
            put_index("bob/dev"),
            put_release("bob/dev", "1.0", ""),
            add_link("bob/dev", &neighbour),
        ];
        commit(store, elsewhere).await;
        let shown = format!("{removal:?}");
        commit(store, [removal]).await;
        assert_eq!(state(store, &link).await, FileState::Removed, "{shown}");
        assert!(matches!(state(store, &neighbour).await, FileState::Present(_)), "{shown}");
        commit(store, [Operation::RemoveUser("bob".into())]).await;
        // The user is there again for the next round, with nothing of the old one.
        if store.snapshot().await.unwrap().get_user("alice").await.unwrap().is_some() {
            commit(store, [Operation::RemoveUser("alice".into())]).await;
        }
        assert_eq!(state(store, &link).await, FileState::Removed, "{shown}");
    }
}

pub(crate) async fn what_is_about_a_removed_file_goes_with_it(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    let file = with_file(store).await;
    let mut about = link("alice/dev", "1.0", "zip.toxresult-20260101000000-0", "{}");
    about.relation = Relation::ToxResult;
    about.for_path = Some(file.path.clone());
    let mut docs = link("alice/dev", "1.0", "zip", "documentation");
    docs.relation = Relation::DocZip;
    commit(store, [add_link("alice/dev", &about), add_link("alice/dev", &docs)]).await;
    let links = async || {
        let mut snapshot = store.snapshot().await.unwrap();
        let links = snapshot.list_links(&index("alice/dev"), "demo", Some("1.0")).await.unwrap();
        links.into_iter().map(|link| link.value).collect::<Vec<_>>()
    };
    assert_eq!(links().await, [file.clone(), about.clone(), docs.clone()]);
    let removal = store.commit(changes([remove_link("alice/dev", &file)])).await.unwrap();
    assert!(removal.touched.contains(&Touched::File(about.path.clone())), "{removal:?}");
    assert_eq!(links().await, [docs]);
    assert_eq!(state(store, &about).await, FileState::Removed);
}

trait InOtherIndex {
    fn in_other_index(&self) -> Link;
}

impl InOtherIndex for Link {
    fn in_other_index(&self) -> Link {
        let path = StoredPath::for_upload(&index("bob/dev"), &self.sha256, &self.file_name);
        Link { path, ..self.clone() }
    }
}

pub(crate) async fn what_comes_again_starts_empty(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    let link = with_file(store).await;
    let dev = index("alice/dev");
    let rounds = [
        (Operation::RemoveUser("alice".into()), vec![put_user("alice"), put_index("alice/dev")]),
        (Operation::RemoveIndex(dev.clone()), vec![put_index("alice/dev")]),
        (Operation::RemoveProject(dev.clone(), project("demo")), vec![]),
    ];
    for (removal, return_) in rounds {
        commit(store, std::iter::once(removal).chain(return_)).await;
        let mut snapshot = store.snapshot().await.unwrap();
        assert!(snapshot.get_index(&dev).await.unwrap().is_some());
        assert!(snapshot.list_projects(&dev).await.unwrap().is_empty());
        assert_eq!(snapshot.get_project(&dev, "demo").await.unwrap(), None);
        assert_eq!(snapshot.list_versions(&dev, "demo").await.unwrap(), []);
        assert_eq!(snapshot.list_links(&dev, "demo", None).await.unwrap(), []);
        assert_eq!(snapshot.get_file(&link.path).await.unwrap(), FileState::Removed);
        drop(snapshot);
        // A project that comes again has only what is new.
        commit(store, [put_release("alice/dev", "2.0", "")]).await;
        let mut snapshot = store.snapshot().await.unwrap();
        let versions = snapshot.list_versions(&dev, "demo").await.unwrap();
        assert_eq!(versions.iter().map(|release| &*release.version).collect::<Vec<_>>(), ["2.0"]);
        assert_eq!(snapshot.list_links(&dev, "demo", None).await.unwrap(), []);
        assert_eq!(snapshot.get_release(&dev, "demo", "1.0").await.unwrap(), None);
        drop(snapshot);
        commit(store, [put_release("alice/dev", "1.0", ""), add_link("alice/dev", &link)]).await;
        assert!(matches!(state(store, &link).await, FileState::Present(_)));
    }
}

pub(crate) async fn a_replaced_file_is_gone_and_the_new_one_there(place: &dyn Place) {
    let store = place.open().await;
    let old = with_file(store.as_ref()).await;
    let new = link("alice/dev", "1.0", "zip", "new content");
    commit(store.as_ref(), [remove_link("alice/dev", &old), add_link("alice/dev", &new)]).await;
    assert_eq!(state(store.as_ref(), &old).await, FileState::Removed);
    assert!(matches!(state(store.as_ref(), &new).await, FileState::Present(stored) if stored.value == new));
    let mut snapshot = store.snapshot().await.unwrap();
    let links = snapshot.list_links(&index("alice/dev"), "demo", Some("1.0")).await.unwrap();
    assert_eq!(links.into_iter().map(|link| link.value).collect::<Vec<_>>(), [new]);
}

pub(crate) async fn the_same_path_can_be_filled_again(place: &dyn Place) {
    let store = place.open().await;
    let link = with_file(store.as_ref()).await;
    for _ in 0..3 {
        let again = [remove_link("alice/dev", &link), add_link("alice/dev", &link)];
        let serial = commit(store.as_ref(), again).await;
        let FileState::Present(stored) = state(store.as_ref(), &link).await else {
            panic!("the file is gone")
        };
        assert_eq!(stored.changed_at, serial);
    }
    commit(store.as_ref(), [remove_link("alice/dev", &link)]).await;
    assert_eq!(state(store.as_ref(), &link).await, FileState::Removed);
    commit(store.as_ref(), [add_link("alice/dev", &link)]).await;
    assert!(matches!(state(store.as_ref(), &link).await, FileState::Present(_)));
}

pub(crate) async fn contents_stay_referenced_after_removal(place: &dyn Place) {
    let store = place.open().await;
    let link = with_file(store.as_ref()).await;
    let other = crate::support::link("alice/dev", "1.0", "whl", "other");
    assert!(store.snapshot().await.unwrap().is_referenced(&link.sha256).await.unwrap());
    assert!(!store.snapshot().await.unwrap().is_referenced(&other.sha256).await.unwrap());
    for removal in [remove_link("alice/dev", &link), Operation::RemoveUser("alice".into())] {
        commit(store.as_ref(), [removal]).await;
        assert!(store.snapshot().await.unwrap().is_referenced(&link.sha256).await.unwrap());
    }
}

pub(crate) async fn contents_are_listed_with_whether_they_are_present(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    let kept = with_file(store).await;
    let removed = crate::support::link("alice/dev", "1.0", "whl", "removed");
    // One content under two names: that one of them goes does not matter.
    let twin =
        Link { path: StoredPath::new("alice/dev/+f/twin.zip"), file_name: "twin.zip".into(), ..kept.clone() };
    for link in [&removed, &twin] {
        commit(store, [add_link("alice/dev", link)]).await;
        commit(store, [remove_link("alice/dev", link)]).await;
    }
    let mut snapshot = store.snapshot().await.unwrap();
    let mut listed = Vec::new();
    for first in 0..=u8::MAX {
        let contents = snapshot.list_contents(first).await.unwrap();
        assert!(contents.keys().all(|sha256| sha256.as_bytes()[0] == first));
        listed.extend(contents);
    }
    let named = |link: &Link, is_present| (link.sha256, NamedContent { size: link.size, is_present });
    let mut expected = [named(&kept, true), named(&removed, false)];
    expected.sort_by_key(|(sha256, _)| *sha256);
    assert_eq!(listed, expected);
    drop(snapshot);
    commit(store, [Operation::RemoveIndex(index("alice/dev"))]).await;
    let mut snapshot = store.snapshot().await.unwrap();
    let contents = snapshot.list_contents(kept.sha256.as_bytes()[0]).await.unwrap();
    assert_eq!(contents.get(&kept.sha256).map(|content| content.is_present), Some(false));
}
