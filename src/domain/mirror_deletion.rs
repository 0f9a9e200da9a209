//! Deletion on mirrors: of what is held of an upstream, which may come again (`mirror` section 8).

use super::acl::Caller;
use super::deletion::{DeleteError, describe};
use super::index_config::IndexConfig;
use super::mirror_view::version_of;
use super::python;
use super::registry::{Decision, Registry};
use crate::mirror::candidates;
use crate::pep::name::ProjectName;
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, Expectation, Operation, Refetch, Snapshot};
use crate::storage::mirrored::FetchedState;
use crate::storage::model::{IndexName, Stored, StoredPath};

impl Registry {
    /// All that is held of a project goes. It comes again when somebody asks for it.
    pub(super) async fn deletion_of_mirror_project(
        &self,
        snapshot: &mut dyn Snapshot,
        caller: &Caller,
        index: &IndexName,
        config: &Stored<IndexConfig>,
        project: &ProjectName,
    ) -> Result<Decision<()>, DeleteError> {
        let held = self.mirrors.held_page(snapshot, index, project.normal()).await?;
        held.ok_or(DeleteError::UnknownProject)?;
        let operation = Operation::RemoveMirrorProject(index.clone(), project.clone());
        Ok(self.mirror_deletion(caller, index, config, vec![operation]))
    }

    /// What was fetched of a release goes; its files are still listed, and fetched again when somebody asks for them.
    /// If there is nothing of a known project, that is a success too (as in devpi).
    pub(super) async fn deletion_of_mirror_release(
        &self,
        snapshot: &mut dyn Snapshot,
        caller: &Caller,
        index: &IndexName,
        config: &Stored<IndexConfig>,
        project: &ProjectName,
        version: &str,
    ) -> Result<Decision<()>, DeleteError> {
        let fetched = snapshot.list_fetched(index, project.normal()).await?;
        if fetched.is_empty() && self.mirrors.held_page(snapshot, index, project.normal()).await?.is_none() {
            let index = python::quote(&index.to_string());
            return Err(DeleteError::UnknownProjectOfRelease { project: describe(project), index });
        }
        let fetched = fetched.into_iter().filter(|file| version_of(file.path.file_name()) == version);
        let operations: Vec<Operation> =
            fetched.map(|file| removal(index, project, file.path, Refetch::Allowed)).collect();
        if operations.is_empty() {
            return Ok(Decision::keep(()));
        }
        Ok(self.mirror_deletion(caller, index, config, operations))
    }

    /// A file goes, and is neither listed nor fetched again before the upstream's page has changed.
    pub(super) async fn deletion_of_mirror_file(
        &self,
        snapshot: &mut dyn Snapshot,
        caller: &Caller,
        index: &IndexName,
        config: &Stored<IndexConfig>,
        path: &StoredPath,
    ) -> Result<Decision<()>, DeleteError> {
        let project = match snapshot.get_fetched(path).await? {
            FetchedState::Present(fetched) if fetched.content.is_some() => fetched.project,
            FetchedState::Deleted => return Err(DeleteError::AlreadyDeleted(python::quote(path.as_str()))),
            FetchedState::Present(_) => return Err(DeleteError::NotFetched(python::quote(path.as_str()))),
            FetchedState::Unknown if self.is_listed(snapshot, index, path).await? => {
                return Err(DeleteError::NotFetched(python::quote(path.as_str())));
            }
            FetchedState::Unknown => return Err(DeleteError::UnknownFile(python::quote(path.as_str()))),
        };
        let operation = removal(index, &project, path.clone(), Refetch::Refused);
        Ok(self.mirror_deletion(caller, index, config, vec![operation]))
    }

    async fn is_listed(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        path: &StoredPath,
    ) -> Result<bool, StorageError> {
        let mut names = candidates(path.file_name());
        names.extend(snapshot.find_odd_path(path).await?.map(|name| name.to_string()));
        for name in names {
            let held = self.mirrors.held_page(snapshot, index, &name).await?;
            if held.is_some_and(|held| held.page.files.iter().any(|file| file.path == *path)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn mirror_deletion(
        &self,
        caller: &Caller,
        index: &IndexName,
        config: &Stored<IndexConfig>,
        operations: Vec<Operation>,
    ) -> Decision<()> {
        let mut change = ChangeSet::new(caller.name().cloned(), self.clock.now())
            .expect(Expectation::Index(index.clone(), Some(config.changed_at)));
        change.operations = operations;
        Decision::write(change, ())
    }
}

fn removal(index: &IndexName, project: &ProjectName, path: StoredPath, refetch: Refetch) -> Operation {
    Operation::RemoveFetched { index: index.clone(), project: project.clone(), path, refetch }
}
