//! Metadata of releases: what becomes of the old ones.

use wheelhouse::storage::meta::{ExistingMetadata, MetaStore};
use wheelhouse::storage::model::Release;

use crate::support::{Place, changes, commit, index, metadata, put_index, put_metadata, put_user, with_file};

async fn release(store: &dyn MetaStore) -> Release {
    let mut snapshot = store.snapshot().await.unwrap();
    snapshot.get_release(&index("alice/dev"), "demo", "1.0").await.unwrap().unwrap()
}

pub(crate) async fn an_update_keeps_fields_that_are_not_named(place: &dyn Place) {
    let store = place.open().await;
    commit(store.as_ref(), [put_user("alice"), put_index("alice/dev")]).await;
    let update = ExistingMetadata::Update;
    for (fields, expected) in [
        (
            &[("summary", "s"), ("author", "a"), ("classifiers", "c")][..],
            &[("summary", "s"), ("author", "a"), ("classifiers", "c")][..],
        ),
        (&[("author", "b")], &[("summary", "s"), ("author", "b"), ("classifiers", "c")]),
        (&[("summary", "")], &[("author", "b"), ("classifiers", "c")]),
    ] {
        commit(store.as_ref(), [put_metadata("alice/dev", "1.0", fields, update)]).await;
        // Fields that nobody named are there, and empty.
        assert_eq!(release(store.as_ref()).await.metadata, metadata(expected).complete());
    }
}

pub(crate) async fn a_replacement_keeps_nothing(place: &dyn Place) {
    let store = place.open().await;
    let link = with_file(store.as_ref()).await;
    for (fields, existing) in [
        (&[("summary", "s"), ("author", "a")][..], ExistingMetadata::Update),
        (&[("author", "b")], ExistingMetadata::Replace),
    ] {
        commit(store.as_ref(), [put_metadata("alice/dev", "1.0", fields, existing)]).await;
    }
    assert_eq!(release(store.as_ref()).await.metadata, metadata(&[("author", "b")]));
    // Files stay where they are.
    let mut snapshot = store.snapshot().await.unwrap();
    let links = snapshot.list_links(&index("alice/dev"), "demo", Some("1.0")).await.unwrap();
    assert_eq!(links.into_iter().map(|link| link.value).collect::<Vec<_>>(), [link]);
}

pub(crate) async fn unchanged_metadata_change_nothing(place: &dyn Place) {
    let store = place.open().await;
    commit(store.as_ref(), [put_user("alice"), put_index("alice/dev")]).await;
    let fields = &[("summary", "s"), ("requires_python", ">=3.9")];
    let written =
        commit(store.as_ref(), [put_metadata("alice/dev", "1.0", fields, ExistingMetadata::Update)]).await;
    for (fields, existing) in [
        (&fields[..], ExistingMetadata::Update),
        (&fields[..1], ExistingMetadata::Update),
        (&[], ExistingMetadata::Update),
    ] {
        let change = changes([put_metadata("alice/dev", "1.0", fields, existing)]);
        assert_eq!(store.commit(change).await.unwrap().touched, []);
        let mut snapshot = store.snapshot().await.unwrap();
        assert_eq!(snapshot.get_project(&index("alice/dev"), "demo").await.unwrap(), Some(written));
    }
    let replacement = || changes([put_metadata("alice/dev", "1.0", fields, ExistingMetadata::Replace)]);
    assert_ne!(store.commit(replacement()).await.unwrap().touched, []);
    assert_eq!(store.commit(replacement()).await.unwrap().touched, []);
}

pub(crate) async fn requires_python_is_taken_out_of_the_metadata(place: &dyn Place) {
    let store = place.open().await;
    commit(store.as_ref(), [put_user("alice"), put_index("alice/dev")]).await;
    for (value, expected) in
        [(">=3.9, <4", Some(">=3.9, <4")), ("", None), ("UNKNOWN", None), (">=3", Some(">=3"))]
    {
        let fields = &[("requires_python", value)];
        commit(store.as_ref(), [put_metadata("alice/dev", "1.0", fields, ExistingMetadata::Update)]).await;
        let mut snapshot = store.snapshot().await.unwrap();
        let versions = snapshot.list_versions(&index("alice/dev"), "demo").await.unwrap();
        assert_eq!(versions.len(), 1);
        assert_eq!(versions[0].requires_python.as_deref(), expected);
    }
}
