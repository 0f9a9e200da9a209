//! Files of mirrors: which file of an upstream a path means, and whether it is here (`mirror` section 5).

use std::sync::Arc;

use super::file::{FileError, FileView, FoundFile};
use super::index_config::{IndexConfig, IndexKind};
use super::mirror_view::{UpstreamFile, version_of};
use super::registry::Registry;
use super::upstream::mirror_of;
use crate::mirror::{Checked, Document, Mirror, Transfer, UpstreamError, candidates};
use crate::pep::filename::{could_be_distribution, split_file_name};
use crate::pep::name::ProjectName;
use crate::pep::simple::CoreMetadata;
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::mirrored::{FetchedFile, FetchedState, StoredPage};
use crate::storage::model::{IndexName, IndexSettings, Link, Relation, Stored, StoredPath};

/// What is known of a path of a mirror.
struct Known {
    listed: Option<UpstreamFile>,
    fetched: Option<FetchedFile>,
    is_quarantined: bool,
}

impl Registry {
    /// What is at a path of an index that has no link there.
    pub(super) async fn find_upstream_file(
        self: &Arc<Self>,
        index: &IndexName,
        settings: Stored<IndexSettings>,
        path: &StoredPath,
    ) -> Result<FoundFile, FileError> {
        let config = IndexConfig::from_settings(settings.value);
        if config.kind() != IndexKind::Mirror {
            return Err(FileError::Unknown);
        }
        let mirror = mirror_of(index, settings.changed_at, &config);
        let mut known = self.look_up(&mirror, path).await?;
        let mut stale = None;
        if known.listed.is_none() && known.fetched.as_ref().is_none_or(|fetched| fetched.content.is_none()) {
            // Whoever has the path from a lock file may be the first to ask for the project.
            let project = split_file_name(path.file_name()).project;
            if project.is_empty() || !is_hashed(path, index) || !could_be_distribution(path.file_name()) {
                return Err(FileError::Unknown);
            }
            stale = match self.mirrors.check(&mirror, &ProjectName::from_url(project)).await? {
                Checked::Held(_, stale) => stale,
                Checked::Missing => return Err(FileError::Unknown),
                Checked::Failed(error) => return Err(error.into()),
            };
            known = self.look_up(&mirror, path).await?;
        }
        if known.is_quarantined {
            let project = known.listed.map(|listed| listed.project);
            let project = project.or_else(|| known.fetched.map(|fetched| fetched.project));
            return Err(FileError::Quarantined(
                project.map_or_else(String::new, |name| name.normal().to_owned()),
            ));
        }
        match (known.fetched.and_then(|fetched| view(fetched, known.listed.as_ref())), known.listed) {
            (Some(view), _) if self.is_kept(&view.link).await? => Ok(FoundFile::Here(Box::new(view))),
            (_, Some(listed)) => Ok(FoundFile::Upstream(Box::new(listed))),
            // It may be on the page that could not be had.
            (_, None) => {
                Err(stale.map_or(FileError::Unknown, |stale| UpstreamError::Stale(stale.reason).into()))
            }
        }
    }

    /// Whether the content is here and as large as it should be: one that was lost is fetched again.
    pub(super) async fn is_kept(&self, link: &Link) -> Result<bool, StorageError> {
        Ok(self.files.open(&link.sha256).await?.is_some_and(|file| file.size() == link.size))
    }

    async fn look_up(&self, mirror: &Mirror, path: &StoredPath) -> Result<Known, FileError> {
        let mut snapshot = self.meta.snapshot().await?;
        let fetched = match snapshot.get_fetched(path).await? {
            FetchedState::Present(fetched) => Some(*fetched),
            // devpi says of files without hash only that they are not there.
            FetchedState::Deleted if !is_hashed(path, &mirror.index) => return Err(FileError::Unknown),
            FetchedState::Deleted => return Err(FileError::Deleted),
            FetchedState::Unknown => None,
        };
        let mut projects: Vec<Arc<str>> = match &fetched {
            Some(fetched) => vec![fetched.project.normal().into()],
            None => candidates(path.file_name()).into_iter().rev().map(Into::into).collect(),
        };
        if fetched.is_none() {
            projects.extend(snapshot.find_odd_path(path).await?);
        }
        for project in projects {
            let project = ProjectName::from_url(&project);
            let page = self.held_in(snapshot.as_mut(), mirror, &project).await?;
            let Some(page) = page else { continue };
            let listed = page.page.files.iter().find(|file| file.path == *path);
            if listed.is_some() || fetched.is_some() {
                let is_quarantined = page.page.is_quarantined();
                let listed = listed.map(|file| UpstreamFile {
                    mirror: mirror.clone(),
                    project: project.clone(),
                    file: file.clone(),
                });
                return Ok(Known { listed, fetched, is_quarantined });
            }
        }
        Ok(Known { listed: None, fetched, is_quarantined: false })
    }

    async fn held_in(
        &self,
        snapshot: &mut dyn Snapshot,
        mirror: &Mirror,
        project: &ProjectName,
    ) -> Result<Option<Arc<StoredPage>>, StorageError> {
        self.mirrors.held_page(snapshot, &mirror.index, project.normal()).await
    }

    /// Whether files are fetched at all.
    pub fn is_offline(&self) -> bool {
        self.mirrors.is_offline()
    }

    /// The file on its way from the upstream.
    pub fn fetch(&self, file: &UpstreamFile) -> Arc<Transfer> {
        self.mirrors.fetch(&file.mirror, &file.project, &file.file)
    }

    /// The link of a file of a mirror whose content is here.
    pub(super) async fn find_fetched(
        &self,
        snapshot: &mut dyn Snapshot,
        listed: &UpstreamFile,
    ) -> Result<Option<Link>, StorageError> {
        match snapshot.get_fetched(&listed.file.path).await? {
            FetchedState::Present(fetched) => Ok(view(*fetched, Some(listed)).map(|view| view.link)),
            FetchedState::Deleted | FetchedState::Unknown => Ok(None),
        }
    }

    /// The core metadata of the file of a mirror at a path, here or not.
    pub async fn fetch_core_metadata(
        self: &Arc<Self>,
        index: &IndexName,
        path: &StoredPath,
    ) -> Result<Arc<Document>, FileError> {
        let file = self.require_listed(index, path).await?;
        let document = self.mirrors.core_metadata(&file.mirror, &file.project, &file.file).await?;
        document.ok_or_else(|| FileError::NoCoreMetadata(path.clone()))
    }

    /// The provenance object of the file of a mirror at a path, here or not.
    pub async fn fetch_provenance(
        self: &Arc<Self>,
        index: &IndexName,
        path: &StoredPath,
    ) -> Result<Arc<Document>, FileError> {
        let file = self.require_listed(index, path).await?;
        let document = self.mirrors.provenance(&file.mirror, &file.project, &file.file).await?;
        document.ok_or(FileError::Unknown)
    }

    async fn require_listed(
        self: &Arc<Self>,
        index: &IndexName,
        path: &StoredPath,
    ) -> Result<UpstreamFile, FileError> {
        // Loads the page where that is needed, and judges quarantine.
        if let FoundFile::Upstream(file) = self.find_file(index, path).await? {
            return Ok(*file);
        }
        let settings = self.meta.snapshot().await?.get_index(index).await?;
        let settings = settings.ok_or(FileError::Unknown)?;
        let mirror = mirror_of(index, settings.changed_at, &IndexConfig::from_settings(settings.value));
        self.look_up(&mirror, path).await?.listed.ok_or(FileError::Unknown)
    }
}

/// Whether a path has the beginning of a hash in it.
fn is_hashed(path: &StoredPath, index: &IndexName) -> bool {
    path.as_str().strip_prefix(&index.to_string()).is_some_and(|rest| rest.starts_with("/+f/"))
}

/// A fetched file as others are seen; `None` if its content is not here, or is another one than the page lists now.
fn view(fetched: FetchedFile, listed: Option<&UpstreamFile>) -> Option<FileView> {
    let content = fetched.content?;
    if listed.and_then(UpstreamFile::sha256).is_some_and(|sha256| sha256 != content.sha256) {
        return None;
    }
    let file_name: Arc<str> = fetched.path.file_name().into();
    // Other metadata than the page speaks of are not offered.
    let core_metadata =
        fetched.core_metadata.filter(|sha256| match listed.map(|listed| listed.file.read.core_metadata) {
            Some(CoreMetadata::Hashed(expected)) => *sha256 == expected,
            _ => true,
        });
    Some(FileView {
        origin: listed.map(UpstreamFile::origin),
        link: Link {
            relation: Relation::ReleaseFile,
            version: version_of(&file_name).into(),
            path: fetched.path,
            for_path: None,
            file_name,
            project: fetched.project,
            sha256: content.sha256,
            size: content.size,
            uploaded_at: content.modified,
            core_metadata,
            log: Vec::new(),
        },
    })
}
