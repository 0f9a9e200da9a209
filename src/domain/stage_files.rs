//! What a stage has of a project, in the order of its simple page, and how it is brought up to date.
//!
//! Reading thousands of files and putting them in order takes longer than all else that a page of them needs. So they
//! are kept, and of a project that has changed only what came is read.

use std::collections::HashMap;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::page_order::{PageOrder, compare_file_names, compare_versions};
use super::registry::Registry;
use crate::pep::name::ProjectName;
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::model::{IndexName, ProjectContents, ProjectMark, ReleaseFile, ReleaseSummary};

/// Projects with fewer files are not kept: they are read and put in order within a millisecond.
const MIN_KEPT_FILES: usize = 500;

/// How many large projects there usually are.
const EXPECTED_PROJECTS: usize = 16;

/// If more came than this, all is read: each that came is looked for among those that are kept.
const MAX_ADDED: usize = 20;

/// What a stage has of a project.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StageFiles {
    mark: Option<ProjectMark>,
    /// The newest first.
    pub(super) releases: Vec<ReleaseSummary>,
    /// As pages list them. Of several with one name, in different releases, the first one counts.
    pub(super) files: Vec<Arc<StageFile>>,
}

/// A release file, and which Pythons its release is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StageFile {
    pub(super) file: ReleaseFile,
    pub(super) requires_python: Option<Arc<str>>,
}

impl StageFile {
    fn is_replaced_by(&self, file: &ReleaseFile) -> bool {
        self.file.version == file.version && self.file.path.file_name() == file.path.file_name()
    }
}

impl StageFiles {
    /// Puts all that there is in order.
    fn new(contents: ProjectContents) -> Self {
        let ProjectContents { mark, releases, files } = contents;
        let versions: Vec<_> = releases.iter().map(|release| &*release.version).collect();
        let names: Vec<_> = files.iter().map(|file| file.path.file_name()).collect();
        let order = PageOrder::of(&versions, &names);
        let pythons: HashMap<_, _> =
            releases.iter().map(|release| (&*release.version, release.requires_python.as_ref())).collect();
        let mut files: Vec<_> = files
            .into_iter()
            .map(|file| {
                let requires_python = pythons.get(&*file.version).copied().flatten().cloned();
                Some(Arc::new(StageFile { file, requires_python }))
            })
            .collect();
        let files = order.files.into_iter().filter_map(|place| files[place].take()).collect();
        let releases = order.versions.into_iter().map(|place| releases[place].clone()).collect();
        Self { mark, releases, files }
    }

    /// Whether this, with what came since it was read, is all that there is. What took the place of something is among
    /// what came; what is gone is only missed in the number.
    fn lacks_only(&self, added: &ProjectContents) -> bool {
        if added.releases.len().max(added.files.len()) > MAX_ADDED {
            return false;
        }
        let is_new = |release: &&ReleaseSummary| self.find_release(&release.version).is_none();
        let releases = self.releases.len() + added.releases.iter().filter(is_new).count();
        let is_new = |file: &&ReleaseFile| !self.files.iter().any(|known| known.is_replaced_by(file));
        let files = self.files.len() + added.files.iter().filter(is_new).count();
        added.mark.is_some_and(|mark| (mark.releases, mark.files) == (releases, files))
    }

    /// The same with what came since it was read.
    fn with(&self, added: ProjectContents) -> Self {
        let mut all = Self { mark: added.mark, releases: self.releases.clone(), files: self.files.clone() };
        for release in added.releases {
            all.put_release(release);
        }
        for file in added.files {
            all.put_file(file);
        }
        all
    }

    fn find_release(&self, version: &str) -> Option<usize> {
        self.releases.iter().position(|release| *release.version == *version)
    }

    fn put_release(&mut self, release: ReleaseSummary) {
        let is_of_it = |file: &Arc<StageFile>| {
            file.file.version == release.version && file.requires_python != release.requires_python
        };
        for file in self.files.iter_mut().filter(|file| is_of_it(file)) {
            Arc::make_mut(file).requires_python.clone_from(&release.requires_python);
        }
        if let Some(place) = self.find_release(&release.version) {
            self.releases[place] = release;
            return;
        }
        let place =
            self.releases.partition_point(|known| compare_versions(&known.version, &release.version).is_lt());
        self.releases.insert(place, release);
    }

    fn put_file(&mut self, file: ReleaseFile) {
        self.files.retain(|known| !known.is_replaced_by(&file));
        let name = file.path.file_name();
        let place =
            self.files.partition_point(|known| compare_file_names(known.file.path.file_name(), name).is_le());
        let release = self.find_release(&file.version).map(|place| &self.releases[place]);
        let requires_python = release.and_then(|release| release.requires_python.clone());
        self.files.insert(place, Arc::new(StageFile { file, requires_python }));
    }
}

/// What stages have of large projects. The marks tell whether it is current, so nothing needs to be forgotten.
pub(super) struct KeptStageFiles(Cache<(IndexName, Arc<str>), Arc<StageFiles>, ByFiles>);

#[derive(Clone)]
struct ByFiles;

impl Weighter<(IndexName, Arc<str>), Arc<StageFiles>> for ByFiles {
    fn weight(&self, _: &(IndexName, Arc<str>), stage: &Arc<StageFiles>) -> u64 {
        stage.files.len() as u64
    }
}

impl KeptStageFiles {
    /// Keeps about `files` files in all.
    pub(super) fn new(files: u64) -> Self {
        // So few that they are not divided among parts of the memory, which would be too small for the largest ones.
        Self(Cache::with_weighter(EXPECTED_PROJECTS, files, ByFiles))
    }
}

/// What was read of a stage's project, still to be put in order.
pub(super) struct StageRead {
    kept: Arc<KeptStageFiles>,
    key: (IndexName, Arc<str>),
    known: Option<Arc<StageFiles>>,
    /// What came to what is known, or all.
    contents: ProjectContents,
}

impl StageRead {
    /// Puts it in order, and keeps it if it is much. Takes some milliseconds for thousands of files.
    pub(super) fn in_order(self) -> Arc<StageFiles> {
        let stage = match self.known {
            Some(known) if known.mark == self.contents.mark => return known,
            Some(known) => known.with(self.contents),
            None => StageFiles::new(self.contents),
        };
        let stage = Arc::new(stage);
        if stage.files.len() >= MIN_KEPT_FILES {
            self.kept.0.insert(self.key, Arc::clone(&stage));
        } else {
            self.kept.0.remove(&self.key);
        }
        stage
    }
}

impl Registry {
    /// Reads what a stage has of a project.
    pub(super) async fn read_stage_files(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<StageRead, StorageError> {
        let kept = Arc::clone(&self.stage_files);
        let key = (index.clone(), Arc::from(project.normal()));
        let mut known = kept.0.get(&key);
        let since = known.as_ref().and_then(|known| known.mark);
        let mut contents = snapshot.read_project(index, project.normal(), since).await?;
        if let Some(stage) = &known
            && stage.mark != contents.mark
            && !stage.lacks_only(&contents)
        {
            known = None;
            if !contents.is_whole() {
                contents = snapshot.read_project(index, project.normal(), None).await?;
            }
        }
        Ok(StageRead { kept, key, known, contents })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pep::digest::Sha256;
    use crate::storage::model::{Serial, StoredPath};
    use proptest::prelude::*;

    const VERSIONS: [&str; 5] = ["1.0", "1.0.0", "1.10", "1.9", "old"];
    const PYTHONS: [Option<&str>; 3] = [None, Some(">=3.8"), Some(">=3.9")];
    /// What names say need not be what their releases are, and several are of the same rank.
    const NAMES: [&str; 7] = [
        "demo-1.0.zip",
        "demo-1.0.tar.gz",
        "demo-1.0-1-py3-none-any.whl",
        "demo-1.0-2-py3-none-any.whl",
        "demo-1.10.zip",
        "demo-1.9.zip",
        "Demo-old.zip",
    ];

    /// What a project has, by numbers of versions, of Pythons and of names, in the order in which it came.
    #[derive(Clone, Debug, Default)]
    struct Rows {
        releases: Vec<(usize, usize)>,
        files: Vec<(usize, usize)>,
    }

    impl Rows {
        fn add(&mut self, added: &Self) {
            self.releases.retain(|known| added.releases.iter().all(|new| new.0 != known.0));
            self.releases.extend(&added.releases);
            self.files.retain(|known| !added.files.contains(known));
            self.files.extend(&added.files);
        }

        /// As they are read, where there are so many in all.
        fn read(&self, releases: usize, files: usize) -> ProjectContents {
            let mark = ProjectMark {
                project: 1,
                changed_at: Serial(0),
                last_release: 0,
                last_file: 0,
                releases,
                files,
            };
            let release = |(version, python): &(usize, usize)| ReleaseSummary {
                version: VERSIONS[*version].into(),
                requires_python: PYTHONS[*python].map(Into::into),
            };
            let file = |(version, name): &(usize, usize)| ReleaseFile {
                version: VERSIONS[*version].into(),
                path: StoredPath::new(format!("alice/dev/+f/{}", NAMES[*name])),
                sha256: Sha256::of(b""),
                size: 0,
                uploaded_at: jiff::Timestamp::UNIX_EPOCH,
                core_metadata: None,
            };
            ProjectContents {
                mark: Some(mark),
                releases: self.releases.iter().map(release).collect(),
                files: self.files.iter().map(file).collect(),
            }
        }

        fn read_all(&self) -> ProjectContents {
            self.read(self.releases.len(), self.files.len())
        }
    }

    /// Some rows, none of them twice.
    fn rows() -> impl Strategy<Value = Rows> {
        let releases = prop::collection::hash_map(0..VERSIONS.len(), 0..PYTHONS.len(), 0..5);
        let files = prop::collection::hash_set((0..VERSIONS.len(), 0..NAMES.len()), 0..10);
        (releases, files).prop_map(|(releases, files)| Rows {
            releases: releases.into_iter().collect(),
            files: files.into_iter().collect(),
        })
    }

    proptest! {
        #[test]
        fn what_came_is_put_where_it_would_be_if_all_was_read(first in rows(), later in rows()) {
            let before = StageFiles::new(first.read_all());
            let mut all = first;
            all.add(&later);
            let added = later.read(all.releases.len(), all.files.len());
            prop_assert!(before.lacks_only(&added));
            prop_assert_eq!(before.with(added), StageFiles::new(all.read_all()));
        }

        #[test]
        fn what_went_is_missed(first in rows(), later in rows()) {
            let before = StageFiles::new(first.read_all());
            let mut all = first;
            all.add(&later);
            for (releases, files) in [(1, 0), (0, 1)] {
                if let (Some(releases), Some(files)) =
                    (all.releases.len().checked_sub(releases), all.files.len().checked_sub(files))
                {
                    prop_assert!(!before.lacks_only(&later.read(releases, files)));
                }
            }
        }
    }

    #[test]
    fn versions_and_files_come_newest_first_with_their_pythons() {
        let rows = Rows { releases: vec![(3, 1), (2, 0), (4, 2)], files: vec![(4, 6), (3, 4), (2, 5)] };
        let stage = StageFiles::new(rows.read_all());
        let versions: Vec<_> = stage.releases.iter().map(|release| &*release.version).collect();
        assert_eq!(versions, ["1.10", "1.9", "old"]);
        let files: Vec<_> = stage
            .files
            .iter()
            .map(|file| (file.file.path.file_name(), file.requires_python.as_deref()))
            .collect();
        let expected =
            [("demo-1.10.zip", Some(">=3.8")), ("demo-1.9.zip", None), ("Demo-old.zip", Some(">=3.9"))];
        assert_eq!(files, expected);
    }
}
