//! Random histories, against a store that is nothing but maps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wheelhouse::storage::meta::{CommitError, ExistingMetadata, MetaStore, Operation};
use wheelhouse::storage::model::{FileState, IndexName, IndexSettings, Link, Serial, StoredPath, UserRecord};

use crate::contents::Known;
use crate::support::{Place, changes, index, link, metadata, project, settings, user};

/// How many histories are tried.
const HISTORIES: u32 = 12;

/// One change set of a history, on few names so that they meet often.
#[derive(Clone, Debug)]
enum Step {
    PutUser { user: usize, title: usize },
    RemoveUser { user: usize },
    PutIndex { index: usize, title: usize },
    RemoveIndex { index: usize },
    Register { index: usize, version: usize, summary: usize },
    Upload { index: usize, version: usize, content: usize },
    RemoveFile { index: usize, version: usize },
    RemoveRelease { index: usize, version: usize },
    RemoveProject { index: usize },
}

const USERS: [&str; 2] = ["alice", "bob"];
const INDEXES: [&str; 3] = ["alice/dev", "alice/prod", "bob/dev"];
const VERSIONS: [&str; 2] = ["1.0", "2.0"];
const CONTENTS: [&str; 2] = ["one", "two"];
const TITLES: [&str; 2] = ["first", "second"];

fn step() -> impl Strategy<Value = Step> {
    let (users, indexes) = (0..USERS.len(), 0..INDEXES.len());
    let (versions, contents, titles) = (0..VERSIONS.len(), 0..CONTENTS.len(), 0..TITLES.len());
    prop_oneof![
        2 => (users.clone(), titles.clone()).prop_map(|(user, title)| Step::PutUser { user, title }),
        1 => users.prop_map(|user| Step::RemoveUser { user }),
        4 => (indexes.clone(), titles.clone()).prop_map(|(index, title)| Step::PutIndex { index, title }),
        1 => indexes.clone().prop_map(|index| Step::RemoveIndex { index }),
        3 => (indexes.clone(), versions.clone(), titles)
            .prop_map(|(index, version, summary)| Step::Register { index, version, summary }),
        8 => (indexes.clone(), versions.clone(), contents)
            .prop_map(|(index, version, content)| Step::Upload { index, version, content }),
        2 => (indexes.clone(), versions.clone()).prop_map(|(index, version)| Step::RemoveFile { index, version }),
        2 => (indexes.clone(), versions).prop_map(|(index, version)| Step::RemoveRelease { index, version }),
        1 => indexes.prop_map(|index| Step::RemoveProject { index }),
    ]
}

/// The project `demo` of an index.
#[derive(Clone, Debug, Default, PartialEq)]
struct Project {
    changed_at: u64,
    /// Summary and file of each version.
    releases: BTreeMap<&'static str, (String, Option<Link>)>,
}

/// All that a store shows.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    /// The serial of the next commit.
    next: u64,
    users: BTreeMap<&'static str, (u64, UserRecord)>,
    indexes: BTreeMap<&'static str, (u64, IndexSettings, Option<Project>)>,
    /// Paths at which there ever was a file.
    filled: BTreeSet<StoredPath>,
}

impl Model {
    /// Takes a step. Returns the operations for it, or `None` where the step makes no sense now.
    fn take(&mut self, step: &Step) -> Option<Vec<Operation>> {
        let serial = self.next;
        match *step {
            Step::PutUser { user: number, title } => {
                let record = user(TITLES[title]);
                self.users.insert(USERS[number], (serial, record.clone()));
                Some(vec![Operation::PutUser(USERS[number].into(), record)])
            }
            Step::RemoveUser { user } => {
                self.users.remove(USERS[user])?;
                self.indexes.retain(|name, _| !name.starts_with(&format!("{}/", USERS[user])));
                Some(vec![Operation::RemoveUser(USERS[user].into())])
            }
            Step::PutIndex { index: number, title } => {
                let settings = settings(TITLES[title]);
                let entry = self.indexes.entry(INDEXES[number]).or_default();
                (entry.0, entry.1) = (serial, settings.clone());
                self.touch_owner(number);
                Some(vec![Operation::PutIndex(index(INDEXES[number]), settings)])
            }
            Step::RemoveIndex { index: number } => {
                self.indexes.remove(INDEXES[number])?;
                self.touch_owner(number);
                Some(vec![Operation::RemoveIndex(index(INDEXES[number]))])
            }
            Step::Register { index, version, summary } => {
                let (_, _, project) = self.indexes.get_mut(INDEXES[index])?;
                let project =
                    project.get_or_insert_with(|| Project { changed_at: serial, ..Project::default() });
                let summary = TITLES[summary];
                let old = project.releases.get(VERSIONS[version]).cloned();
                if old.as_ref().is_none_or(|(old, _)| old != summary) {
                    project.changed_at = serial;
                }
                let file = old.and_then(|(_, file)| file);
                project.releases.insert(VERSIONS[version], (summary.to_owned(), file));
                let fields = [("summary", summary), ("requires_python", summary)];
                Some(vec![put_release(index, version, &fields)])
            }
            Step::Upload { index, version, content } => self.upload(index, version, content),
            Step::RemoveFile { index, version } => {
                let project = self.project(index)?;
                let link = project.releases.get_mut(VERSIONS[version])?.1.take()?;
                project.changed_at = serial;
                Some(vec![crate::support::remove_link(INDEXES[index], &link)])
            }
            Step::RemoveRelease { index: number, version } => {
                let demo = self.project(number)?;
                demo.releases.remove(VERSIONS[version])?;
                demo.changed_at = serial;
                let version = VERSIONS[version].into();
                Some(vec![Operation::RemoveRelease(index(INDEXES[number]), project("demo"), version)])
            }
            Step::RemoveProject { index: number } => {
                self.indexes.get_mut(INDEXES[number])?.2.take()?;
                Some(vec![Operation::RemoveProject(index(INDEXES[number]), project("demo"))])
            }
        }
    }

    fn upload(&mut self, index: usize, version: usize, content: usize) -> Option<Vec<Operation>> {
        let new = link(INDEXES[index], VERSIONS[version], "zip", CONTENTS[content]);
        let serial = self.next;
        let (_, _, project) = self.indexes.get_mut(INDEXES[index])?;
        let project = project.get_or_insert_default();
        project.changed_at = serial;
        let (_, file) = project.releases.entry(VERSIONS[version]).or_default();
        let old = file.replace(new.clone());
        let mut operations = vec![put_release(index, version, &[])];
        operations.extend(old.map(|old| crate::support::remove_link(INDEXES[index], &old)));
        operations.push(crate::support::add_link(INDEXES[index], &new));
        self.filled.insert(new.path);
        Some(operations)
    }

    fn project(&mut self, index: usize) -> Option<&mut Project> {
        self.indexes.get_mut(INDEXES[index])?.2.as_mut()
    }

    fn touch_owner(&mut self, index: usize) {
        let serial = self.next;
        let owner = INDEXES[index].split('/').next().unwrap();
        if let Some((changed_at, _)) = self.users.get_mut(owner) {
            *changed_at = serial;
        }
    }
}

fn put_release(number: usize, version: usize, fields: &[(&str, &str)]) -> Operation {
    Operation::PutRelease {
        index: index(INDEXES[number]),
        project: project("demo"),
        version: VERSIONS[version].into(),
        metadata: metadata(fields),
        existing: ExistingMetadata::Update,
    }
}

/// What the store shows, as a model.
async fn shown(store: &dyn MetaStore, filled: &BTreeSet<StoredPath>) -> Model {
    let mut snapshot = store.snapshot().await.unwrap();
    let mut model =
        Model { next: snapshot.serial().await.unwrap().map_or(0, |serial| serial.0 + 1), ..Model::default() };
    let listed = snapshot.list_users().await.unwrap();
    for name in USERS {
        let stored = snapshot.get_user(name).await.unwrap();
        assert_eq!(listed.get(name), stored.as_ref().map(|user| &user.value));
        model.users.extend(stored.map(|user| (name, (user.changed_at.0, user.value))));
    }
    let listed = snapshot.list_indexes(None).await.unwrap();
    let mut present = BTreeSet::new();
    for name in INDEXES {
        let full_name: IndexName = index(name);
        let stored = snapshot.get_index(&full_name).await.unwrap();
        assert_eq!(listed.get(&full_name), stored.as_ref());
        let Some(stored) = stored else { continue };
        let mut project = None;
        if let Some(changed_at) = snapshot.get_project(&full_name, "demo").await.unwrap() {
            let mut releases = BTreeMap::new();
            for version in VERSIONS {
                let release = snapshot.get_release(&full_name, "demo", version).await.unwrap();
                let mut links = snapshot.list_links(&full_name, "demo", Some(version)).await.unwrap();
                assert!(links.len() <= 1);
                let link = links.pop().map(|link| link.value);
                present.extend(link.as_ref().map(|link| link.path.clone()));
                releases.extend(
                    release.map(|release| (version, (release.metadata.text("summary").to_owned(), link))),
                );
            }
            project = Some(Project { changed_at: changed_at.0, releases });
        }
        let names = snapshot.list_projects(&full_name).await.unwrap();
        assert_eq!(names.len(), usize::from(project.is_some()));
        model.indexes.insert(name, (stored.changed_at.0, stored.value, project));
    }
    for path in all_paths() {
        let expected = match (present.contains(&path), filled.contains(&path)) {
            (true, _) => "present",
            (false, true) => "removed",
            (false, false) => "unknown",
        };
        let state = match snapshot.get_file(&path).await.unwrap() {
            FileState::Present(link) if link.value.path == path => "present",
            FileState::Present(_) => "another",
            FileState::Removed => "removed",
            FileState::Unknown => "unknown",
        };
        assert_eq!(state, expected, "{path}");
    }
    Model { filled: filled.clone(), ..model }
}

fn all_paths() -> Vec<StoredPath> {
    let mut paths = Vec::new();
    for index in INDEXES {
        for version in VERSIONS {
            paths.extend(CONTENTS.map(|content| link(index, version, "zip", content).path));
        }
    }
    paths
}

async fn follow(place: &dyn Place, steps: Vec<Step>) {
    let mut store = place.open().await;
    let mut model = Model::default();
    let mut known = INDEXES.map(|name| (index(name), Known::default()));
    for (number, step) in steps.into_iter().enumerate() {
        let mut next = model.clone();
        if let Some(operations) = next.take(&step) {
            let commit = store.commit(changes(operations)).await.unwrap();
            assert_eq!(commit.serial, Serial(model.next));
            next.next += 1;
            model = next;
        } else if let Some(operation) = refused(&step) {
            let result = store.commit(changes([operation])).await;
            assert!(matches!(result, Err(CommitError::Outdated)), "{result:?}");
        }
        if number % 10 == 9 {
            store.close().await.unwrap();
            store = place.open().await;
        }
        assert_eq!(shown(store.as_ref(), &model.filled).await, model, "after {step:?}");
        // Not after each step: several may come at once.
        if number % 3 == 2 {
            let mut snapshot = store.snapshot().await.unwrap();
            for (index, known) in &mut known {
                known.catch_up(snapshot.as_mut(), index).await;
            }
        }
    }
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(shown(store.as_ref(), &model.filled).await, model);
    store.close().await.unwrap();
}

/// The operation of a step that makes no sense, where a store must see that for itself.
fn refused(step: &Step) -> Option<Operation> {
    match *step {
        Step::RemoveIndex { index: number } => Some(Operation::RemoveIndex(index(INDEXES[number]))),
        Step::Register { index, version, .. } | Step::Upload { index, version, .. } => {
            Some(put_release(index, version, &[]))
        }
        Step::RemoveProject { index: number } => {
            Some(Operation::RemoveProject(index(INDEXES[number]), project("demo")))
        }
        Step::RemoveRelease { index: number, version } => {
            let index = index(INDEXES[number]);
            Some(Operation::RemoveRelease(index, project("demo"), VERSIONS[version].into()))
        }
        Step::RemoveUser { user } => Some(Operation::RemoveUser(USERS[user].into())),
        _ => None,
    }
}

/// Runs random histories, each in a place of its own.
pub(crate) fn behaves_as_the_model<P: Place + 'static>(new_place: impl Fn() -> P) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: HISTORIES, failure_persistence: None, ..Config::default() };
    let histories = proptest::collection::vec(step(), 1..40);
    let run = |steps| {
        let place: Arc<dyn Place> = Arc::new(new_place());
        runtime.block_on(follow(place.as_ref(), steps));
        Ok(())
    };
    TestRunner::new(config).run(&histories, run).unwrap();
}
