//! The files of a project as its simple page shows them: of an index and its bases, in devpi's order.

use std::cmp::{Ordering, Reverse};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use super::mirror_view::ShownPage;
use crate::pep::filename::{SplitFileName, is_wheel, split_file_name};
use crate::pep::name::ProjectName;
use crate::pep::simple::{CoreMetadata, ProjectStatus};
use crate::pep::version::Version;
use crate::storage::mirrored::MirrorFile;
use crate::storage::model::{IndexName, ReleaseFile, ReleaseSummary, StoredPath};

/// What a project's simple page is made of.
pub struct ProjectFiles {
    pub(super) found: Vec<FoundFiles>,
    /// The mirrors on whose upstreams the page depends, whether or not they have the project.
    pub mirrors: Vec<IndexName>,
    /// The upstream's serial, on the page of a mirror itself.
    pub last_serial: Option<u64>,
    /// Whether this only stands for what nobody could say: no index is known to have the project, and an upstream that
    /// may have it did not help.
    pub is_unknown: bool,
}

/// What one index has of a project.
pub(super) enum FoundFiles {
    Stage(IndexName, Vec<ReleaseSummary>, Vec<ReleaseFile>),
    Mirror(IndexName, ShownPage),
}

/// What a project's simple page shows.
#[derive(Clone, Debug)]
pub struct ListedFiles {
    /// All versions, newest first.
    pub versions: Vec<Arc<str>>,
    /// All release files, those of the newest version first. Of several files of one name the first index's counts.
    pub files: Vec<ListedFile>,
    /// The status that an upstream says, for a project that no stage has.
    pub status: Option<ProjectStatus>,
}

impl ProjectFiles {
    /// Puts together and in order what the indexes have. Of thousands of files that takes long enough to be done on a
    /// thread that may block.
    pub fn list(self) -> ListedFiles {
        let (mut versions, mut names, mut files) = (Versions::default(), HashSet::new(), Vec::new());
        let (mut status, mut has_stage) = (None, false);
        for found in self.found {
            match found {
                FoundFiles::Stage(index, releases, found) => {
                    has_stage = true;
                    versions.reserve(releases.len());
                    names.reserve(found.len());
                    files.reserve(found.len());
                    let numbers: Vec<_> =
                        releases.iter().map(|release| versions.show(&release.version)).collect();
                    let mut requires_python = vec![None; versions.literals.len()];
                    for (number, release) in numbers.into_iter().zip(releases) {
                        requires_python[number] = release.requires_python;
                    }
                    let new = found.into_iter().filter(|file| names.insert(Arc::clone(&file.file_name)));
                    files.extend(new.map(|file| {
                        let requires_python = requires_python.get(versions.number(&file.version));
                        ListedFile::of_release(&index, file, requires_python.cloned().flatten())
                    }));
                }
                FoundFiles::Mirror(index, shown) => {
                    for version in shown.versions() {
                        versions.show(&version);
                    }
                    let new = shown.files().filter(|file| names.insert(Arc::clone(&file.read.file_name)));
                    files.extend(new.map(|file| ListedFile::of_mirror(&index, file)));
                    status = status.or_else(|| shown.page().status.clone());
                }
            }
        }
        let names: Vec<_> = files.iter().map(|file| Arc::clone(&file.file_name)).collect();
        let said: Vec<_> = names.iter().map(|name| split_file_name(name)).collect();
        let numbers: Vec<_> = said.iter().map(|said| versions.number(said.version)).collect();
        let order = versions.newest_first();
        ListedFiles {
            files: in_order(files, &said, &numbers, &order),
            versions: versions.into_shown(&order),
            status: status.filter(|_| !has_stage),
        }
    }
}

/// Versions by numbers, each literal once: thousands are neither hashed nor read again and again.
#[derive(Default)]
struct Versions {
    numbers: HashMap<Arc<str>, usize>,
    literals: Vec<Arc<str>>,
    is_shown: Vec<bool>,
}

impl Versions {
    fn reserve(&mut self, additional: usize) {
        self.numbers.reserve(additional);
        self.literals.reserve(additional);
        self.is_shown.reserve(additional);
    }

    fn number(&mut self, literal: &str) -> usize {
        if let Some(number) = self.numbers.get(literal) {
            return *number;
        }
        let (literal, number): (Arc<str>, _) = (literal.into(), self.literals.len());
        self.numbers.insert(Arc::clone(&literal), number);
        self.literals.push(literal);
        self.is_shown.push(false);
        number
    }

    /// As [`Self::number`], of a version that the page lists, and not only the name of a file tells.
    fn show(&mut self, literal: &str) -> usize {
        let number = self.number(literal);
        self.is_shown[number] = true;
        number
    }

    /// All numbers.
    fn newest_first(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.literals.len()).collect();
        numbers.sort_by_cached_key(|number| Reverse(Version::new(&self.literals[*number])));
        numbers
    }

    fn into_shown(self, order: &[usize]) -> Vec<Arc<str>> {
        let shown = order.iter().filter(|number| self.is_shown[**number]);
        shown.map(|number| Arc::clone(&self.literals[*number])).collect()
    }
}

/// Files in devpi's order for people, the newest first. What their names say decides, which may be something else than
/// their releases do: `numbers` has the version of each, `order` the numbers of versions.
fn in_order(
    files: Vec<ListedFile>,
    said: &[SplitFileName<'_>],
    numbers: &[usize],
    order: &[usize],
) -> Vec<ListedFile> {
    let mut ranks = vec![0; order.len()];
    for (rank, number) in order.iter().enumerate() {
        ranks[*number] = rank;
    }
    let mut places: Vec<usize> = (0..files.len()).collect();
    places.sort_by(|left, right| {
        let [left_rank, right_rank] = [left, right].map(|place| ranks[numbers[*place]]);
        left_rank.cmp(&right_rank).then_with(|| {
            let [left, right] = [left, right].map(|place| said[*place]);
            compare_projects(right.project, left.project).then_with(|| right.suffix.cmp(left.suffix))
        })
    });
    let mut files: Vec<_> = files.into_iter().map(Some).collect();
    places.into_iter().filter_map(|place| files[place].take()).collect()
}

/// Compares spellings of projects by their normalised names. Nearly always both are spelt the same: a page may have
/// dozens of wheels of one version.
fn compare_projects(left: &str, right: &str) -> Ordering {
    if left == right {
        return Ordering::Equal;
    }
    let [left, right] = [left, right].map(ProjectName::from_url);
    left.normal().cmp(right.normal())
}

/// A file of a project's simple page.
#[derive(Clone, Debug)]
pub struct ListedFile {
    /// The index that has it.
    pub index: IndexName,
    /// Its name.
    pub file_name: Arc<str>,
    /// Where clients find it.
    pub path: StoredPath,
    /// Hashes by the name of the algorithm.
    pub hashes: Vec<(Arc<str>, Arc<str>)>,
    /// Size in bytes, where it is known.
    pub size: Option<u64>,
    /// When it was uploaded, where that is known.
    pub upload_time: Option<jiff::Timestamp>,
    /// Which Pythons its release is for.
    pub requires_python: Option<Arc<str>>,
    /// The reason for which it is yanked, which may be empty.
    pub yanked: Option<Arc<str>>,
    /// Whether its core metadata can be had.
    pub core_metadata: CoreMetadata,
    /// Whether its provenance can be had.
    pub has_provenance: bool,
}

impl ListedFile {
    fn of_release(index: &IndexName, file: ReleaseFile, requires_python: Option<Arc<str>>) -> Self {
        static SHA256: LazyLock<Arc<str>> = LazyLock::new(|| "sha256".into());
        Self {
            index: index.clone(),
            file_name: file.file_name,
            path: file.path,
            hashes: vec![(Arc::clone(&SHA256), file.sha256.to_string().into())],
            size: Some(file.size),
            upload_time: Some(file.uploaded_at),
            requires_python,
            yanked: None,
            core_metadata: file.core_metadata.map_or(CoreMetadata::Absent, CoreMetadata::Hashed),
            has_provenance: false,
        }
    }

    fn of_mirror(index: &IndexName, file: &MirrorFile) -> Self {
        let read = file.read.clone();
        Self {
            index: index.clone(),
            path: file.path.clone(),
            hashes: read.hashes,
            size: read.size,
            upload_time: read.upload_time,
            requires_python: read.requires_python,
            yanked: read.yanked,
            // What the upstream does not offer is read out of its wheel.
            core_metadata: match read.core_metadata {
                CoreMetadata::Absent if is_wheel(&read.file_name) => CoreMetadata::Offered,
                said => said,
            },
            has_provenance: read.provenance.is_some(),
            file_name: read.file_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pep::digest::Sha256;

    fn file(version: &str, file_name: &str) -> ReleaseFile {
        ReleaseFile {
            version: version.into(),
            path: StoredPath::new(file_name),
            file_name: file_name.into(),
            sha256: Sha256::of(b""),
            size: 0,
            uploaded_at: jiff::Timestamp::UNIX_EPOCH,
            core_metadata: None,
        }
    }

    #[test]
    fn files_come_by_what_their_names_say_however_they_spell_the_project() {
        let expected = [
            "x_y-1.10.zip",
            "x.y-1.9.zip",
            "X-Y-1.9.tar.gz",
            "x_y-1.9-py3-none-any.whl",
            "W-1.9.zip",
            "x_y-1.9rc1.zip",
            "x_y-old.zip",
        ];
        let releases = [("1.10", None), ("1.9", None)];
        let releases = releases
            .map(|(version, python)| ReleaseSummary { version: version.into(), requires_python: python });
        // Each in the other release.
        let files =
            expected.iter().rev().map(|name| file(if name.contains("1.10") { "1.9" } else { "1.10" }, name));
        let found = FoundFiles::Stage(IndexName::new("alice", "dev"), releases.into(), files.collect());
        let files =
            ProjectFiles { found: vec![found], mirrors: Vec::new(), last_serial: None, is_unknown: false };
        let listed = files.list();
        assert_eq!(listed.files.iter().map(|file| &*file.file_name).collect::<Vec<_>>(), expected);
        assert_eq!(listed.versions.iter().map(|version| &**version).collect::<Vec<_>>(), ["1.10", "1.9"]);
    }
}
