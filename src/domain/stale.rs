//! What a write makes stale, through inheritance.
//!
//! What is shown for an index comes from the index and its bases. So a change in an index concerns all its heirs:
//! the indexes that reach it by following bases. The tracker keeps the graph of bases current and tells observers
//! exactly what each commit concerns, before the commit is acknowledged.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::index_config::IndexConfig;
use crate::mirror::Mirrors;
use crate::storage::meta::{ChangeSet, Commit, CommitListener, Operation};
use crate::storage::model::{IndexName, IndexSettings, Serial, Stored, StoredPath, Touched};

/// Something that is no longer as it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stale {
    /// A user: credentials and attributes.
    User(Arc<str>),
    /// Everything that is shown for an index, and every file below it.
    Index(IndexName),
    /// The list of projects of an index.
    ProjectList(IndexName),
    /// The page of a project (its normalised name) of an index.
    Project(IndexName, Arc<str>),
    /// What is at a path.
    File(StoredPath),
}

/// Is told what becomes stale.
pub trait StaleObserver: Send + Sync {
    /// `stale` is to be forgotten, as of the commit `serial`. Must return quickly: writes wait for it.
    fn forget(&self, stale: &Stale, serial: Serial);

    /// Everybody has forgotten what a commit made stale, which may be nothing.
    fn finish_commit(&self) {}
}

impl StaleObserver for Mirrors {
    fn forget(&self, stale: &Stale, serial: Serial) {
        match stale {
            Stale::Index(index) => self.forget_index(index, serial),
            Stale::Project(index, project) => self.forget_project(index, project),
            Stale::User(_) | Stale::ProjectList(_) | Stale::File(_) => {}
        }
    }
}

/// Turns commits into [`Stale`] things.
pub(super) struct StaleTracker {
    graph: Mutex<BaseGraph>,
    observers: Vec<Arc<dyn StaleObserver>>,
}

impl StaleTracker {
    pub(super) fn new(
        indexes: &BTreeMap<IndexName, Stored<IndexSettings>>,
        observers: Vec<Arc<dyn StaleObserver>>,
    ) -> Self {
        let mut graph = BaseGraph::default();
        for (index, settings) in indexes {
            graph.set_bases(index, IndexConfig::from_settings(settings.value.clone()).bases());
        }
        Self { graph: Mutex::new(graph), observers }
    }

    /// All that the commit concerns; a project may come twice. Also brings the graph up to it.
    fn consequences(&self, change: &ChangeSet, touched: &[Touched]) -> Vec<Stale> {
        // A panic while the graph is changed cannot leave it half changed in a way that matters: edges are only
        // ever too many, which forgets too much.
        let mut graph = self.graph.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stale = Vec::new();
        // Those of a user who goes may have the same heirs by the thousand.
        let mut indexes = HashSet::new();
        for touched in touched {
            match touched {
                Touched::User(user) => {
                    stale.push(Stale::User(Arc::clone(user)));
                }
                Touched::File(path) => {
                    stale.push(Stale::File(path.clone()));
                }
                Touched::Index(index) => {
                    indexes.extend(graph.heirs(index).into_iter().cloned());
                    graph.set_bases(index, final_bases(change, index));
                    indexes.extend(graph.heirs(index).into_iter().cloned());
                }
                Touched::ProjectList(index) => {
                    stale.extend(graph.heirs(index).into_iter().cloned().map(Stale::ProjectList));
                }
                Touched::Project(index, project) => {
                    let name: Arc<str> = project.normal().into();
                    let heirs = graph.heirs(index).into_iter().cloned();
                    stale.extend(heirs.map(|heir| Stale::Project(heir, Arc::clone(&name))));
                }
            }
        }
        stale.extend(indexes.into_iter().map(Stale::Index));
        stale
    }
}

impl CommitListener for StaleTracker {
    fn committed(&self, change: &ChangeSet, commit: &Commit) {
        for stale in self.consequences(change, &commit.touched) {
            for observer in &self.observers {
                observer.forget(&stale, commit.serial);
            }
        }
        for observer in &self.observers {
            observer.finish_commit();
        }
    }
}

/// The bases of an index after a change that touched it; none if it was removed.
fn final_bases(change: &ChangeSet, index: &IndexName) -> Vec<IndexName> {
    let settings = change.operations.iter().rev().find_map(|operation| match operation {
        Operation::PutIndex(name, settings) if name == index => Some(settings.clone()),
        _ => None,
    });
    settings.map(|settings| IndexConfig::from_settings(settings).bases()).unwrap_or_default()
}

/// Which index names which as a base. Names of missing indexes are in it too: they may come.
#[derive(Default)]
struct BaseGraph {
    bases: HashMap<IndexName, Vec<IndexName>>,
    direct_heirs: HashMap<IndexName, BTreeSet<IndexName>>,
}

impl BaseGraph {
    fn set_bases(&mut self, index: &IndexName, bases: Vec<IndexName>) {
        for base in self.bases.remove(index).unwrap_or_default() {
            if let Some(heirs) = self.direct_heirs.get_mut(&base) {
                heirs.remove(index);
                if heirs.is_empty() {
                    self.direct_heirs.remove(&base);
                }
            }
        }
        for base in &bases {
            self.direct_heirs.entry(base.clone()).or_default().insert(index.clone());
        }
        if !bases.is_empty() {
            self.bases.insert(index.clone(), bases);
        }
    }

    /// The index itself and all that reach it through bases; loops do no harm.
    fn heirs<'a>(&'a self, index: &'a IndexName) -> Vec<&'a IndexName> {
        let mut found = vec![index];
        let mut seen = HashSet::from([index]);
        let mut place = 0;
        while let Some(next) = found.get(place) {
            let heirs = self.direct_heirs.get(*next).into_iter().flatten();
            found.extend(heirs.filter(|heir| seen.insert(heir)));
            place += 1;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pep::name::ProjectName;
    use serde_json::json;

    fn index(name: &str) -> IndexName {
        IndexName::parse(name).unwrap()
    }

    fn settings(bases: &[&str]) -> IndexSettings {
        json!({"type": "stage", "bases": bases}).as_object().cloned().unwrap()
    }

    fn tracker(graph: &[(&str, &[&str])]) -> StaleTracker {
        let stored = |bases| Stored { changed_at: Serial(0), value: settings(bases) };
        let indexes = graph.iter().map(|(name, bases)| (index(name), stored(bases))).collect();
        StaleTracker::new(&indexes, Vec::new())
    }

    fn consequences(tracker: &StaleTracker, operations: Vec<Operation>, touched: Touched) -> Vec<String> {
        let mut change = ChangeSet::new(None, jiff::Timestamp::UNIX_EPOCH);
        change.operations = operations;
        let mut names: Vec<String> = tracker
            .consequences(&change, &[touched])
            .into_iter()
            .map(|stale| match stale {
                Stale::Index(index) => format!("index {index}"),
                Stale::ProjectList(index) => format!("list {index}"),
                Stale::Project(index, project) => format!("{index} {project}"),
                Stale::User(user) => format!("user {user}"),
                Stale::File(path) => format!("file {path}"),
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_project_change_concerns_exactly_the_heirs() {
        let tracker =
            tracker(&[("a/dev", &["a/prod"]), ("a/prod", &[]), ("b/x", &["a/dev", "a/other"]), ("b/y", &[])]);
        let touched = Touched::Project(index("a/prod"), ProjectName::from_url("Demo"));
        assert_eq!(consequences(&tracker, vec![], touched), ["a/dev demo", "a/prod demo", "b/x demo"]);
        let touched = Touched::ProjectList(index("a/dev"));
        assert_eq!(consequences(&tracker, vec![], touched), ["list a/dev", "list b/x"]);
    }

    #[test]
    fn loops_end() {
        let tracker = tracker(&[("a/x", &["a/y"]), ("a/y", &["a/x", "a/y"])]);
        let touched = Touched::ProjectList(index("a/x"));
        assert_eq!(consequences(&tracker, vec![], touched), ["list a/x", "list a/y"]);
    }

    #[test]
    fn new_bases_count_from_the_commit_on() {
        let tracker = tracker(&[("a/dev", &[]), ("a/prod", &[])]);
        let put = Operation::PutIndex(index("a/dev"), settings(&["a/prod", "a/later"]));
        assert_eq!(consequences(&tracker, vec![put], Touched::Index(index("a/dev"))), ["index a/dev"]);
        let created = Operation::PutIndex(index("a/later"), settings(&[]));
        let stale = consequences(&tracker, vec![created], Touched::Index(index("a/later")));
        assert_eq!(stale, ["index a/dev", "index a/later"]);
        let stale = consequences(&tracker, vec![], Touched::ProjectList(index("a/prod")));
        assert_eq!(stale, ["list a/dev", "list a/prod"]);
    }

    #[test]
    fn a_removed_index_keeps_its_heirs_but_not_its_bases() {
        let tracker = tracker(&[("a/dev", &["a/mid"]), ("a/mid", &["a/prod"]), ("a/prod", &[])]);
        let stale = consequences(&tracker, vec![], Touched::Index(index("a/mid")));
        assert_eq!(stale, ["index a/dev", "index a/mid"]);
        assert_eq!(consequences(&tracker, vec![], Touched::ProjectList(index("a/prod"))), ["list a/prod"]);
        let again = Operation::PutIndex(index("a/mid"), settings(&[]));
        let stale = consequences(&tracker, vec![again], Touched::Index(index("a/mid")));
        assert_eq!(stale, ["index a/dev", "index a/mid"]);
    }
}
