//! Projects and releases: what an index and its bases have (`server-api` sections 10 and 13).

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::inherit::{find_owners, resolution_order};
use super::registry::Registry;
use crate::pep::filename::split_file_name;
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::ProjectName;
use crate::pep::version::Version;
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::model::{IndexName, Link, Relation, Release};

/// Why something about a project was not done.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no such index.
    #[error("The stage {0} could not be found.")]
    UnknownIndex(IndexName),
    /// Neither the index nor a base has the project.
    #[error("The project {0} does not exist.")]
    Unknown(String),
    /// Neither the index nor a base has the version.
    #[error("The version {version} of project {project} does not exist.")]
    UnknownVersion {
        /// The project's normalised name.
        project: String,
        /// The version.
        version: String,
    },
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Where to look for a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the index and its bases.
    WithBases,
    /// In the index only.
    IndexOnly,
}

/// The projects that one index of the walk adds to a list.
#[derive(Clone, Debug)]
pub struct ListedIndex {
    /// The index.
    pub index: IndexName,
    /// Its bases, as configured.
    pub bases: Vec<IndexName>,
    /// Normalised names that no earlier index has, ascending.
    pub projects: Vec<Arc<str>>,
}

/// What a project's simple page shows.
#[derive(Clone, Debug)]
pub struct ProjectFiles {
    /// All versions, newest first.
    pub versions: Vec<Arc<str>>,
    /// All release files, newest version first. Of several files of one name the first index's counts.
    pub files: Vec<ListedFile>,
}

/// A file of a project's simple page.
#[derive(Clone, Debug)]
pub struct ListedFile {
    /// The index that has it.
    pub index: IndexName,
    /// The stored link.
    pub link: Link,
    /// Which Pythons its release is for.
    pub requires_python: Option<Arc<str>>,
}

/// A release with its files.
#[derive(Clone, Debug)]
pub struct ReleaseView {
    /// The version.
    pub version: Arc<str>,
    /// Its metadata.
    pub metadata: ReleaseMetadata,
    /// Its files.
    pub links: Vec<Link>,
    /// Releases of the same version in later indexes of the walk.
    pub shadowing: Vec<ReleaseView>,
}

impl Registry {
    /// The projects of an index and its bases, by index.
    pub async fn list_projects(&self, index: &IndexName) -> Result<Vec<ListedIndex>, ProjectError> {
        let mut snapshot = self.meta.snapshot().await?;
        let order = resolution_order(snapshot.as_mut(), index).await?;
        if order.is_empty() {
            return Err(ProjectError::UnknownIndex(index.clone()));
        }
        let mut seen = HashSet::new();
        let mut listed = Vec::with_capacity(order.len());
        for station in order {
            let mut projects = snapshot.list_projects(&station.index).await?;
            projects.retain(|name| seen.insert(Arc::clone(name)));
            listed.push(ListedIndex { index: station.index, bases: station.config.bases(), projects });
        }
        Ok(listed)
    }

    /// The files of a project in an index and its bases.
    pub async fn list_project_files(
        &self,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<ProjectFiles, ProjectError> {
        let mut snapshot = self.meta.snapshot().await?;
        let owners = self.require_owners(snapshot.as_mut(), index, project, Scope::WithBases).await?;
        let mut versions = HashSet::new();
        let mut names = HashSet::new();
        let mut files = Vec::new();
        for owner in owners {
            let mut requires_python = HashMap::new();
            for release in snapshot.list_versions(&owner, project.normal()).await? {
                versions.insert(Arc::clone(&release.version));
                requires_python.insert(release.version, release.requires_python);
            }
            for link in snapshot.list_links(&owner, project.normal(), None).await? {
                let link = link.value;
                if link.relation == Relation::ReleaseFile && names.insert(Arc::clone(&link.file_name)) {
                    let requires_python = requires_python.get(&link.version).cloned().flatten();
                    files.push(ListedFile { index: owner.clone(), link, requires_python });
                }
            }
        }
        // devpi's order for people; the names decide, as they may say something else than the release.
        files.sort_by_cached_key(|file| {
            let name = split_file_name(&file.link.file_name);
            let project = ProjectName::from_url(name.project);
            Reverse((Version::new(name.version), project.normal().to_owned(), name.suffix.to_owned()))
        });
        let mut versions: Vec<_> = versions.into_iter().collect();
        versions.sort_by_cached_key(|version| Reverse(Version::new(version)));
        Ok(ProjectFiles { versions, files })
    }

    /// All releases of a project, newest first.
    pub async fn list_releases(
        &self,
        index: &IndexName,
        project: &ProjectName,
        scope: Scope,
    ) -> Result<Vec<ReleaseView>, ProjectError> {
        let mut snapshot = self.meta.snapshot().await?;
        let owners = self.require_owners(snapshot.as_mut(), index, project, scope).await?;
        let mut views: Vec<ReleaseView> = Vec::new();
        let mut places: HashMap<Arc<str>, usize> = HashMap::new();
        for owner in owners {
            for view in view_releases(snapshot.as_mut(), &owner, project, None).await? {
                if let Some(&place) = places.get(&view.version) {
                    views[place].shadowing.push(view);
                } else {
                    places.insert(Arc::clone(&view.version), views.len());
                    views.push(view);
                }
            }
        }
        views.sort_by_cached_key(|view| Reverse(Version::new(&view.version)));
        Ok(views)
    }

    /// One release of a project, from the first index that has it.
    pub async fn get_release(
        &self,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
    ) -> Result<ReleaseView, ProjectError> {
        let mut snapshot = self.meta.snapshot().await?;
        let mut views = Vec::new();
        for owner in self.find_owners(snapshot.as_mut(), index, project).await? {
            views.extend(view_releases(snapshot.as_mut(), &owner, project, Some(version)).await?);
        }
        let mut views = views.into_iter();
        let Some(mut first) = views.next() else {
            let project = project.normal().to_owned();
            return Err(ProjectError::UnknownVersion { project, version: version.to_owned() });
        };
        first.shadowing = views.collect();
        Ok(first)
    }

    /// The indexes that show a project in `index`.
    async fn find_owners(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<Vec<IndexName>, ProjectError> {
        let order = resolution_order(snapshot, index).await?;
        if order.is_empty() {
            return Err(ProjectError::UnknownIndex(index.clone()));
        }
        Ok(find_owners(snapshot, order, project.normal()).await?)
    }

    /// Like [`Registry::find_owners`], for a project that must be there, and only `index` itself if asked so.
    async fn require_owners(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        project: &ProjectName,
        scope: Scope,
    ) -> Result<Vec<IndexName>, ProjectError> {
        let mut owners = self.find_owners(snapshot, index, project).await?;
        if owners.is_empty() {
            return Err(ProjectError::Unknown(project.display().to_owned()));
        }
        if scope == Scope::IndexOnly {
            owners.retain(|owner| owner == index);
        }
        Ok(owners)
    }
}

/// Releases of one index with their links, without shadowed ones.
async fn view_releases(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
    project: &ProjectName,
    version: Option<&str>,
) -> Result<Vec<ReleaseView>, StorageError> {
    let releases = match version {
        Some(version) => snapshot.get_release(index, project.normal(), version).await?.into_iter().collect(),
        None => snapshot.list_releases(index, project.normal()).await?,
    };
    let mut links: HashMap<Arc<str>, Vec<Link>> = HashMap::new();
    for link in snapshot.list_links(index, project.normal(), version).await? {
        links.entry(Arc::clone(&link.value.version)).or_default().push(link.value);
    }
    let view = |release: Release| {
        let links = links.remove(&release.version).unwrap_or_default();
        ReleaseView { version: release.version, metadata: release.metadata, links, shadowing: Vec::new() }
    };
    Ok(releases.into_iter().map(view).collect())
}
