//! Deletion of projects, releases and files (`server-api` section 14).

use std::sync::Arc;

use super::acl::Caller;
use super::index::find_index;
use super::index_config::{IndexConfig, IndexKind};
use super::python;
use super::registry::{Decision, Registry};
use crate::pep::name::ProjectName;
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, Expectation, Operation, Snapshot};
use crate::storage::model::{FileState, IndexName, Link, Serial, Stored, StoredPath};

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
    /// The file is that of a mirror, and still at the upstream.
    #[error("entry has no file data {0}")]
    NotFetched(String),
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

impl Registry {
    /// Deletes a project of an index.
    pub async fn delete_project(
        &self,
        caller: &Caller,
        index: &IndexName,
        project: &ProjectName,
        force: Force,
    ) -> Result<(), DeleteError> {
        self.change(async |snapshot| {
            let config = self.require_deletion(snapshot, caller, index).await?;
            if !allows_deletion(&config.value, force) {
                let project = describe(project);
                return Err(DeleteError::ProjectOnNonVolatile { project, index: index.clone() });
            }
            if config.value.kind() == IndexKind::Mirror {
                return self.deletion_of_mirror_project(snapshot, caller, index, &config, project).await;
            }
            let changed_at = snapshot.get_project(index, project.normal()).await?;
            let changed_at = changed_at.ok_or(DeleteError::UnknownProject)?;
            let operation = Operation::RemoveProject(index.clone(), project.clone());
            Ok(self.deletion(caller, index, &config, project, changed_at, operation))
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
            let config = self.require_deletion(snapshot, caller, index).await?;
            if !allows_deletion(&config.value, force) {
                return Err(DeleteError::NonVolatile);
            }
            if config.value.kind() == IndexKind::Mirror {
                return self
                    .deletion_of_mirror_release(snapshot, caller, index, &config, project, version)
                    .await;
            }
            let quoted_index = python::quote(&index.to_string());
            let Some(changed_at) = snapshot.get_project(index, project.normal()).await? else {
                return Err(DeleteError::UnknownProjectOfRelease {
                    project: describe(project),
                    index: quoted_index,
                });
            };
            let versions = snapshot.list_versions(index, project.normal()).await?;
            if !versions.iter().any(|release| *release.version == *version) {
                let version = python::quote(version);
                return Err(DeleteError::UnknownRelease {
                    version,
                    project: describe(project),
                    index: quoted_index,
                });
            }
            let operation = removal_of_release(index, project, version, versions.len());
            Ok(self.deletion(caller, index, &config, project, changed_at, operation))
        })
        .await
    }

    /// Deletes a file, whichever releases have it, and the test results that are about it; with its last file a
    /// release goes, and with its last release a project.
    pub async fn delete_file(
        &self,
        caller: &Caller,
        index: &IndexName,
        path: &StoredPath,
        force: Force,
    ) -> Result<(), DeleteError> {
        self.change(async |snapshot| {
            let config = self.require_deletion(snapshot, caller, index).await?;
            if !allows_deletion(&config.value, force) {
                return Err(DeleteError::NonVolatile);
            }
            if config.value.kind() == IndexKind::Mirror {
                return self.deletion_of_mirror_file(snapshot, caller, index, &config, path).await;
            }
            let links = snapshot.list_links_at(index, path).await?;
            if links.is_empty() {
                return Err(match snapshot.get_file(path).await? {
                    FileState::Unknown => DeleteError::UnknownFile(python::quote(path.as_str())),
                    _ => DeleteError::AlreadyDeleted(python::quote(path.as_str())),
                });
            }
            let mut change = ChangeSet::new(caller.name().cloned(), self.clock.now())
                .expect(Expectation::Index(index.clone(), Some(config.changed_at)));
            for links in links.chunk_by(|one, next| one.project == next.project) {
                let project = &links[0].project;
                let changed_at = snapshot.get_project(index, project.normal()).await?;
                change = change.expect(Expectation::Project(index.clone(), project.clone(), changed_at));
                change.operations.extend(removal_of_links(snapshot, index, links).await?);
            }
            Ok(Decision::write(change, ()))
        })
        .await
    }

    /// The configuration of an index in which the caller may delete; a missing index is like a forbidden one.
    async fn require_deletion(
        &self,
        snapshot: &mut dyn Snapshot,
        caller: &Caller,
        index: &IndexName,
    ) -> Result<Stored<IndexConfig>, DeleteError> {
        let config = find_index(snapshot, index).await?.ok_or(DeleteError::Forbidden)?;
        if self.policy.may_delete_content(caller, &index.user, &config.value) {
            return Ok(config);
        }
        Err(DeleteError::Forbidden)
    }

    /// The decision to delete in a project that was last changed by `changed_at`.
    fn deletion(
        &self,
        caller: &Caller,
        index: &IndexName,
        config: &Stored<IndexConfig>,
        project: &ProjectName,
        changed_at: Serial,
        operation: Operation,
    ) -> Decision<()> {
        let change = ChangeSet::new(caller.name().cloned(), self.clock.now())
            .expect(Expectation::Index(index.clone(), Some(config.changed_at)))
            .expect(Expectation::Project(index.clone(), project.clone(), Some(changed_at)))
            .with(operation);
        Decision::write(change, ())
    }
}

fn allows_deletion(config: &IndexConfig, force: Force) -> bool {
    config.is_volatile() || force == Force::Yes
}

/// The operations that remove links of one project, all that there are at their path, sorted by version.
async fn removal_of_links(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
    links: &[Link],
) -> Result<Vec<Operation>, StorageError> {
    let (project, path) = (&links[0].project, &links[0].path);
    let mut operations = Vec::new();
    let mut kept = snapshot.list_versions(index, project.normal()).await?.len();
    for links in links.chunk_by(|one, next| one.version == next.version) {
        let version = &links[0].version;
        let siblings = snapshot.list_links(index, project.normal(), Some(version)).await?;
        if siblings
            .iter()
            .all(|Stored { value, .. }| value.path == *path || value.for_path.as_ref() == Some(path))
        {
            kept = kept.saturating_sub(1);
            operations.push(Operation::RemoveRelease(index.clone(), project.clone(), Arc::clone(version)));
            continue;
        }
        operations.extend(links.iter().map(|link| Operation::RemoveLink {
            index: index.clone(),
            project: project.clone(),
            version: Arc::clone(version),
            relation: link.relation,
            path: path.clone(),
        }));
    }
    if kept == 0 {
        return Ok(vec![Operation::RemoveProject(index.clone(), project.clone())]);
    }
    Ok(operations)
}

/// The operation that removes a release, or with the last of `count` releases the project.
fn removal_of_release(index: &IndexName, project: &ProjectName, version: &str, count: usize) -> Operation {
    if count == 1 {
        Operation::RemoveProject(index.clone(), project.clone())
    } else {
        Operation::RemoveRelease(index.clone(), project.clone(), version.into())
    }
}

/// A project as devpi's messages print it.
pub fn describe(project: &ProjectName) -> String {
    format!("<NormalizedName {} {}>", python::quote(project.display()), python::quote(project.normal()))
}
