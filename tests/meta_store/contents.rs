//! What is read of a project: all, or what came since a mark.

use std::collections::BTreeMap;
use std::sync::Arc;

use wheelhouse::storage::meta::{ExistingMetadata, Operation, Snapshot};
use wheelhouse::storage::model::{IndexName, Link, ProjectContents, ProjectMark, ReleaseFile};

use crate::support::{
    Place, add_link, commit, index, link, project, put_index, put_metadata, put_release, put_user,
    remove_link, with_file,
};

/// What is known of the project `demo` of an index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    mark: Option<ProjectMark>,
    releases: BTreeMap<Arc<str>, Option<Arc<str>>>,
    files: BTreeMap<(Arc<str>, String), ReleaseFile>,
}

impl Known {
    fn add(&mut self, contents: ProjectContents) {
        self.mark = contents.mark;
        let releases = contents.releases.into_iter();
        self.releases.extend(releases.map(|release| (release.version, release.requires_python)));
        let files = contents.files.into_iter();
        self.files
            .extend(files.map(|file| ((Arc::clone(&file.version), file.path.file_name().to_owned()), file)));
    }

    fn counts(&self) -> (usize, usize) {
        (self.releases.len(), self.files.len())
    }

    /// Brings it up to date as readers do. Whether what had come sufficed.
    pub(crate) async fn catch_up(&mut self, snapshot: &mut dyn Snapshot, index: &IndexName) -> bool {
        let mut whole = Self::default();
        whole.add(snapshot.read_project(index, "demo", None).await.unwrap());
        assert_eq!(whole.mark.map_or((0, 0), |mark| (mark.releases, mark.files)), whole.counts());
        self.add(snapshot.read_project(index, "demo", self.mark).await.unwrap());
        let counts = self.mark.map_or((0, 0), |mark| (mark.releases, mark.files));
        assert_eq!(counts, whole.counts());
        let suffices = self.counts() == counts;
        if suffices {
            assert_eq!((&self.releases, &self.files), (&whole.releases, &whole.files));
        } else {
            self.clone_from(&whole);
        }
        suffices
    }
}

fn new_file(version: &str, suffix: &str, content: &str) -> (Link, Operation) {
    let link = link("alice/dev", version, suffix, content);
    let add = add_link("alice/dev", &link);
    (link, add)
}

pub(crate) async fn what_came_since_a_mark_is_read(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    let old = with_file(store).await;
    let dev = index("alice/dev");
    let mut known = Known::default();
    assert!(known.catch_up(store.snapshot().await.unwrap().as_mut(), &dev).await);
    let read = async |mark| store.snapshot().await.unwrap().read_project(&dev, "demo", mark).await.unwrap();
    let nothing = ProjectContents { mark: known.mark, ..ProjectContents::default() };
    assert_eq!(read(known.mark).await, nothing);
    // Other projects do not count.
    commit(store, [put_user("bob"), put_index("bob/dev"), put_release("bob/dev", "3.0", "")]).await;
    assert_eq!(read(known.mark).await, nothing);
    let (_, new) = new_file("2.0", "whl", "new");
    commit(store, [put_release("alice/dev", "2.0", ""), new]).await;
    let came = read(known.mark).await;
    assert_eq!((came.releases.len(), came.files.len()), (1, 1));
    assert_eq!(&*came.files[0].version, "2.0");
    let mut snapshot = store.snapshot().await.unwrap();
    assert!(known.catch_up(snapshot.as_mut(), &dev).await);
    assert_eq!(known.counts(), (2, 2));
    // What takes the place of something.
    let (_, new) = new_file("1.0", "zip", "replaced");
    let metadata =
        put_metadata("alice/dev", "1.0", &[("requires_python", ">=3.9")], ExistingMetadata::Update);
    commit(store, [remove_link("alice/dev", &old), new, metadata]).await;
    assert!(known.catch_up(store.snapshot().await.unwrap().as_mut(), &dev).await);
    assert_eq!(known.releases["1.0"].as_deref(), Some(">=3.9"));
    // A view from before the mark is read as a whole.
    known.catch_up(snapshot.as_mut(), &dev).await;
    assert_eq!(known.releases["1.0"], None);
}

pub(crate) async fn what_went_since_a_mark_is_missed_in_the_number(place: &dyn Place) {
    let store = place.open().await;
    let store = store.as_ref();
    with_file(store).await;
    let dev = index("alice/dev");
    let mut known = Known::default();
    for (number, removal) in [
        Operation::RemoveRelease(dev.clone(), project("demo"), "1.0".into()),
        Operation::RemoveProject(dev.clone(), project("demo")),
        Operation::RemoveIndex(dev.clone()),
        Operation::RemoveUser("alice".into()),
    ]
    .into_iter()
    .enumerate()
    {
        known.catch_up(store.snapshot().await.unwrap().as_mut(), &dev).await;
        assert_eq!(known.files.len(), 1);
        commit(store, [removal]).await;
        // Something of another name comes, so that the numbers are as before where only they would be compared.
        let (_, new) = new_file("2.0", "zip", &number.to_string());
        let operations =
            [put_user("alice"), put_index("alice/dev"), put_release("alice/dev", "2.0", ""), new];
        commit(store, operations).await;
        let mut after = known.clone();
        assert!(!after.catch_up(store.snapshot().await.unwrap().as_mut(), &dev).await);
        assert_eq!(after.files.keys().map(|(version, _)| &**version).collect::<Vec<_>>(), ["2.0"]);
        let back = [
            Operation::RemoveProject(dev.clone(), project("demo")),
            put_release("alice/dev", "1.0", ""),
            new_file("1.0", "zip", "content").1,
        ];
        commit(store, back).await;
    }
}
