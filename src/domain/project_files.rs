//! The files of a project as its simple page shows them: of an index and its bases, in devpi's order.

use std::collections::HashSet;
use std::sync::Arc;

use super::mirror_view::ShownPage;
use super::page_order::PageOrder;
use super::stage_files::{StageFiles, StageRead};
use crate::pep::filename::is_wheel;
use crate::pep::simple::{CoreMetadata, ProjectStatus};
use crate::storage::mirrored::MirrorFile;
use crate::storage::model::{IndexName, ReleaseFile};

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

/// What one index has of a project, and the index's name as pages show it.
pub(super) enum FoundFiles {
    Stage(String, StageRead),
    Mirror(String, ShownPage),
}

/// The same, in order.
enum OrderedFiles {
    Stage(String, Arc<StageFiles>),
    Mirror(String, ShownPage),
}

/// What a project's simple page shows.
#[derive(Clone, Debug)]
pub struct ListedFiles<'a> {
    /// All versions, newest first.
    pub versions: Vec<&'a str>,
    /// All release files, those of the newest version first. Of several files of one name the first index's counts.
    pub files: Vec<ListedFile<'a>>,
    /// The status that an upstream says, for a project that no stage has.
    pub status: Option<&'a ProjectStatus>,
}

impl ProjectFiles {
    /// Puts together and in order what the indexes have, and gives `show` a look at it. Of thousands of files that takes
    /// long enough to be done on a thread that may block.
    pub fn list<T>(self, show: impl FnOnce(ListedFiles<'_>) -> T) -> T {
        let ordered = self.found.into_iter().map(|found| match found {
            FoundFiles::Stage(index, read) => OrderedFiles::Stage(index, read.in_order()),
            FoundFiles::Mirror(index, shown) => OrderedFiles::Mirror(index, shown),
        });
        show(ListedFiles::of(&ordered.collect::<Vec<_>>()))
    }
}

impl<'a> ListedFiles<'a> {
    fn of(ordered: &'a [OrderedFiles]) -> Self {
        let (mut versions, mut files): (Vec<&str>, Vec<ListedFile<'a>>) = (Vec::new(), Vec::new());
        let (mut status, mut has_stage) = (None, false);
        for found in ordered {
            match found {
                OrderedFiles::Stage(index, stage) => {
                    has_stage = true;
                    versions.extend(stage.releases.iter().map(|release| &*release.version));
                    files.extend(stage.files.iter().map(|stored| ListedFile::Release {
                        index,
                        file: &stored.file,
                        requires_python: stored.requires_python.as_deref(),
                    }));
                }
                OrderedFiles::Mirror(index, shown) => {
                    versions.extend(shown.versions());
                    files.extend(shown.files().map(|file| ListedFile::Mirrored { index, file }));
                    status = status.or(shown.page().status.as_ref());
                }
            }
        }
        let mut names = HashSet::with_capacity(files.len());
        files.retain(|file| names.insert(file.file_name()));
        // What a stage has is in order already.
        if !matches!(ordered, [OrderedFiles::Stage(..)]) {
            let names: Vec<_> = files.iter().map(ListedFile::file_name).collect();
            let order = PageOrder::of(&versions, &names);
            files = order.files.into_iter().map(|place| files[place]).collect();
            versions = order.versions.into_iter().map(|place| versions[place]).collect();
        }
        ListedFiles { versions, files, status: status.filter(|_| !has_stage) }
    }
}

/// A file of a project's simple page.
#[derive(Clone, Copy, Debug)]
pub enum ListedFile<'a> {
    /// One that a stage has.
    Release {
        /// The stage, as `user/index`.
        index: &'a str,
        /// The file.
        file: &'a ReleaseFile,
        /// Which Pythons its release is for.
        requires_python: Option<&'a str>,
    },
    /// One that a mirror's upstream has.
    Mirrored {
        /// The mirror, as `user/index`.
        index: &'a str,
        /// The file.
        file: &'a MirrorFile,
    },
}

impl<'a> ListedFile<'a> {
    /// Its name.
    pub fn file_name(&self) -> &'a str {
        match self {
            Self::Release { file, .. } => file.path.file_name(),
            Self::Mirrored { file, .. } => &file.read.file_name,
        }
    }

    /// Whether its core metadata can be had.
    pub fn core_metadata(&self) -> CoreMetadata {
        match self {
            Self::Release { file, .. } => {
                file.core_metadata.map_or(CoreMetadata::Absent, CoreMetadata::Hashed)
            }
            // What the upstream does not offer is read out of its wheel.
            Self::Mirrored { file, .. } => match file.read.core_metadata {
                CoreMetadata::Absent if is_wheel(&file.read.file_name) => CoreMetadata::Offered,
                said => said,
            },
        }
    }
}
