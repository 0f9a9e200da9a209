//! Projects and releases: what an index and its bases have, and deletion (`server-api` sections 10, 13 and 14).

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::acl::Caller;
use super::index::{IndexError, require_index};
use super::index_config::IndexConfig;
use super::inherit::resolution_order;
use super::python;
use super::registry::{Decision, Registry};
use crate::pep::filename::split_file_name;
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::ProjectName;
use crate::pep::version::Version;
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, Expectation, Operation, Snapshot};
use crate::storage::model::{IndexName, Link, Relation};

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

/// Why something of a project was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The caller may not delete here, or there is no such index.
    #[error("no permission to delete")]
    Forbidden,
    /// The index is not volatile, and the caller did not insist.
    #[error("project {project} is on non-volatile index {index}")]
    ProjectOnNonVolatile {
        /// The project, as devpi prints it.
        project: String,
        /// The index.
        index: IndexName,
    },
    /// The index is not volatile, and the caller did not insist.
    #[error("cannot delete version on non-volatile index")]
    NonVolatile,
    /// The index does not have the project.
    #[error("project not found")]
    UnknownProject,
    /// The index does not have the project of the release.
    #[error("project {project} not found on stage {index}")]
    UnknownProjectOfRelease {
        /// The project, as devpi prints it.
        project: String,
        /// The index, quoted.
        index: String,
    },
    /// The project does not have the release.
    #[error("version {version} of project {project} not found on stage {index}")]
    UnknownRelease {
        /// The version, quoted.
        version: String,
        /// The project, as devpi prints it.
        project: String,
        /// The index, quoted.
        index: String,
    },
    /// There never was such a file.
    #[error("package {0} doesn't exist")]
    UnknownFile(String),
    /// The file was deleted before.
    #[error("file {0} existed, deleted in later serial")]
    AlreadyDeleted(String),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Whether a deletion overrules a non-volatile index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It does not.
    No,
    /// It does.
    Yes,
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
        let owners = self.find_owners(snapshot.as_mut(), index, project, Scope::WithBases).await?;
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
        let owners = self.find_owners(snapshot.as_mut(), index, project, scope).await?;
        let mut views: Vec<ReleaseView> = Vec::new();
        for owner in owners {
            for view in view_releases(snapshot.as_mut(), &owner, project, None).await? {
                match views.iter_mut().find(|earlier| earlier.version == view.version) {
                    Some(earlier) => earlier.shadowing.push(view),
                    None => views.push(view),
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
        let order = resolution_order(snapshot.as_mut(), index).await?;
        if order.is_empty() {
            return Err(ProjectError::UnknownIndex(index.clone()));
        }
        let mut views = Vec::new();
        for station in order {
            views.extend(view_releases(snapshot.as_mut(), &station.index, project, Some(version)).await?);
        }
        let mut views = views.into_iter();
        let Some(mut first) = views.next() else {
            let project = project.normal().to_owned();
            return Err(ProjectError::UnknownVersion { project, version: version.to_owned() });
        };
        first.shadowing = views.collect();
        Ok(first)
    }

    /// Deletes a project of an index.
    pub async fn delete_project(
        &self,
        caller: &Caller,
        index: &IndexName,
        project: &ProjectName,
        force: Force,
    ) -> Result<(), DeleteError> {
        self.change(async |snapshot| {
            let config = self.check_deletion(snapshot, caller, index).await?;
            if !config.is_volatile() && force == Force::No {
                let project = describe(project);
                return Err(DeleteError::ProjectOnNonVolatile { project, index: index.clone() });
            }
            let revision = snapshot.get_project(index, project.normal()).await?;
            let revision = revision.ok_or(DeleteError::UnknownProject)?;
            let change = self
                .deletion(caller, index, project, revision)
                .with(Operation::RemoveProject(index.clone(), project.clone()));
            Ok(Decision::write(change, ()))
        })
        .await
    }

    /// Deletes a release; with the last one its project goes.
    pub async fn delete_release(
        &self,
        caller: &Caller,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
        force: Force,
    ) -> Result<(), DeleteError> {
        self.change(async |snapshot| {
            let config = self.check_deletion(snapshot, caller, index).await?;
            if !config.is_volatile() && force == Force::No {
                return Err(DeleteError::NonVolatile);
            }
            let quoted_index = python::quote(&index.to_string());
            let Some(revision) = snapshot.get_project(index, project.normal()).await? else {
                let project = describe(&ProjectName::from_url(project.normal()));
                return Err(DeleteError::UnknownProjectOfRelease { project, index: quoted_index });
            };
            let versions = snapshot.list_versions(index, project.normal()).await?;
            if !versions.iter().any(|release| *release.version == *version) {
                let project = describe(&ProjectName::from_url(project.normal()));
                let version = python::quote(version);
                return Err(DeleteError::UnknownRelease { version, project, index: quoted_index });
            }
            let change = self.deletion(caller, index, project, revision);
            Ok(Decision::write(change.with(removal_of_release(index, project, version, versions.len())), ()))
        })
        .await
    }

    /// The configuration of an index in which the caller may delete; a missing index is like a forbidden one.
    pub(super) async fn check_deletion(
        &self,
        snapshot: &mut dyn Snapshot,
        caller: &Caller,
        index: &IndexName,
    ) -> Result<IndexConfig, DeleteError> {
        let config = match require_index(snapshot, index).await {
            Ok(stored) => stored.value,
            Err(IndexError::Storage(error)) => return Err(error.into()),
            Err(_) => return Err(DeleteError::Forbidden),
        };
        if self.policy.may_delete_content(caller, &index.user, &config) {
            return Ok(config);
        }
        Err(DeleteError::Forbidden)
    }

    /// The beginning of a change set that deletes in a project as it is at `revision`.
    pub(super) fn deletion(
        &self,
        caller: &Caller,
        index: &IndexName,
        project: &ProjectName,
        revision: crate::storage::model::Serial,
    ) -> ChangeSet {
        ChangeSet::new(caller.name().cloned(), self.clock.now()).expect(Expectation::Project(
            index.clone(),
            project.clone(),
            Some(revision),
        ))
    }

    /// The indexes of the walk that have the project.
    async fn find_owners(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        project: &ProjectName,
        scope: Scope,
    ) -> Result<Vec<IndexName>, ProjectError> {
        let order = resolution_order(snapshot, index).await?;
        if order.is_empty() {
            return Err(ProjectError::UnknownIndex(index.clone()));
        }
        let mut owners = Vec::new();
        for station in order {
            if snapshot.get_project(&station.index, project.normal()).await?.is_some() {
                owners.push(station.index);
            }
        }
        if owners.is_empty() {
            return Err(ProjectError::Unknown(project.display().to_owned()));
        }
        if scope == Scope::IndexOnly {
            owners.retain(|owner| owner == index);
        }
        Ok(owners)
    }
}

/// The operation that removes a release, or with the last of `count` releases the project.
pub(super) fn removal_of_release(
    index: &IndexName,
    project: &ProjectName,
    version: &str,
    count: usize,
) -> Operation {
    if count == 1 {
        Operation::RemoveProject(index.clone(), project.clone())
    } else {
        Operation::RemoveRelease(index.clone(), project.clone(), version.into())
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
    let view = |release: crate::storage::model::Release| {
        let links = links.remove(&release.version).unwrap_or_default();
        ReleaseView { version: release.version, metadata: release.metadata, links, shadowing: Vec::new() }
    };
    Ok(releases.into_iter().map(view).collect())
}

/// A project as devpi's messages print it.
pub fn describe(project: &ProjectName) -> String {
    format!("<NormalizedName {} {}>", python::quote(project.display()), python::quote(project.normal()))
}
