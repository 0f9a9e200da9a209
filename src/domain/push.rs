//! Pushing a release to another index (`server-api` section 12).
//!
//! Within the server a push copies no bytes: the new links name the same contents. It is one change set, so it
//! happens whole or not at all.

use std::fmt;
use std::sync::Arc;

use super::acl::Caller;
use super::docs::docs_file_name;
use super::index::find_index;
use super::index_config::{IndexConfig, IndexKind};
use super::link::{Placement, find_link, judge_placement, put_link};
use super::mirror_view::UpstreamFile;
use super::project::{ProjectError, Scope};
use super::python;
use super::registry::{Decision, Registry};
use super::release::ReleaseLink;
use super::tox_result::tox_result_path;
use super::upload_form::{MetadataError, check_reachable};
use super::upstream::mirror_of;
use crate::mirror::{FetchError, UpstreamError};
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::ProjectName;
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, ExistingMetadata, Expectation, Operation, Snapshot};
use crate::storage::model::{IndexName, Link, LogEntry, Relation, Serial, Stored, StoredPath};

/// Why a release was not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// There is no such index, neither to push from nor to push to.
    #[error("The stage {0} could not be found.")]
    UnknownIndex(IndexName),
    /// The index itself does not have the release; its bases do not count.
    #[error("there are no files for {release} on stage {index}")]
    UnknownRelease {
        /// Name and version as they were asked for.
        release: PushedRelease,
        /// The index.
        index: IndexName,
    },
    /// The release has no files, or none of those that were to be pushed.
    #[error("no release/files found for {0}")]
    NoFiles(PushedRelease),
    /// The version is none that a release of the target may have.
    #[error("invalid metadata: {0}")]
    Metadata(#[from] MetadataError),
    /// The caller may not upload to the target.
    #[error("user {user} cannot upload to {target}")]
    Forbidden {
        /// The caller, as Python prints it.
        user: String,
        /// The target, quoted.
        target: String,
    },
    /// The target is not volatile and has a file of this name.
    #[error("{0} already exists in non-volatile index")]
    Conflict(Arc<str>),
    /// There are too many indexes to look into.
    #[error("{0}")]
    LongWalk(String),
    /// The index is a mirror whose upstream does not help, and nothing is held.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// A file of a mirror cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<ProjectError> for PushError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::Upstream(error) => error.into(),
            ProjectError::Storage(error) => error.into(),
            ProjectError::UnknownIndex(index) => Self::UnknownIndex(index),
            ProjectError::LongWalk(text) => Self::LongWalk(text),
            // Who asks finds out without being told so.
            ProjectError::Unknown(_) | ProjectError::UnknownVersion { .. } => {
                Self::Storage(StorageError::Failed(error.into()))
            }
        }
    }
}

/// A release that is to be pushed, as the client names it.
#[derive(Clone, Debug)]
pub struct PushedRelease {
    /// The project.
    pub project: ProjectName,
    /// The version.
    pub version: Arc<str>,
}

impl fmt::Display for PushedRelease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.project.display(), self.version)
    }
}

/// Which files of a release are pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushedFiles {
    /// All of them.
    All,
    /// All but the documentation.
    WithoutDocs,
    /// The documentation only.
    OnlyDocs,
}

impl PushedFiles {
    fn include(self, relation: Relation) -> bool {
        match self {
            Self::All => true,
            Self::WithoutDocs => relation != Relation::DocZip,
            Self::OnlyDocs => relation == Relation::DocZip,
        }
    }
}

/// What is to be pushed, as it is at one serial.
#[derive(Clone, Debug)]
pub struct PushSource {
    /// The index that has it.
    pub index: IndexName,
    /// The release.
    pub release: PushedRelease,
    /// Its metadata.
    pub metadata: ReleaseMetadata,
    /// Its files, by name.
    links: Vec<Link>,
    /// Its files on a mirror that are still at the upstream.
    not_here: Vec<UpstreamFile>,
    project_changed_at: Option<Serial>,
}

impl PushSource {
    /// The same with only some of the files. An error if none is left.
    pub fn select(mut self, files: PushedFiles) -> Result<Self, PushError> {
        self.links.retain(|link| files.include(link.relation));
        self.not_here.retain(|_| files.include(Relation::ReleaseFile));
        if self.links.is_empty() && self.not_here.is_empty() {
            return Err(PushError::NoFiles(self.release));
        }
        Ok(self)
    }

    /// Its distributions, by name.
    pub fn release_files(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.relation == Relation::ReleaseFile)
    }

    /// Its documentation.
    pub fn docs(&self) -> Option<&Link> {
        self.links.iter().find(|link| link.relation == Relation::DocZip)
    }

    fn tox_results_for(&self, release_file: &StoredPath) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.for_path.as_ref() == Some(release_file))
    }
}

/// A step of a push that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The release was registered.
    Release,
    /// A distribution is at this path.
    ReleaseFile(StoredPath),
    /// The result of a test run is at this path.
    ToxResult(StoredPath),
    /// The release has documentation.
    Docs,
}

impl Registry {
    /// What a release of `index` has to push. Files of a mirror may still have to be fetched.
    pub async fn get_push_source(
        &self,
        index: &IndexName,
        release: &PushedRelease,
    ) -> Result<PushSource, PushError> {
        self.check_mirrors(index, &release.project, Scope::IndexOnly).await?;
        self.read_source(self.meta.snapshot().await?.as_mut(), index, release).await
    }

    /// Fetches what is not here of a release that is to be pushed. Returns the release with all its files.
    pub async fn fetch_push_source(&self, source: PushSource) -> Result<PushSource, PushError> {
        if source.not_here.is_empty() {
            return Ok(source);
        }
        for file in &source.not_here {
            self.fetch(file).finished().await?;
        }
        self.read_source(self.meta.snapshot().await?.as_mut(), &source.index, &source.release).await
    }

    /// Pushes what was found, with the same choice of files, to the index `target`. Its release keeps the fields that
    /// the source does not have: a mirror knows few.
    pub async fn push(
        &self,
        caller: &Caller,
        found: PushSource,
        files: PushedFiles,
        target: &IndexName,
    ) -> Result<Vec<Pushed>, PushError> {
        let (source, release) = (found.index.clone(), found.release.clone());
        self.require_target(self.meta.snapshot().await?.as_mut(), caller, target).await?;
        // Mirrors, and data that came from elsewhere, have all kinds.
        check_reachable(&release.version)?;
        self.fetch_push_source(found).await?;
        self.change(async |snapshot| {
            let source = self.read_source(snapshot, &source, &release).await?.select(files)?;
            if let Some(gone) = source.not_here.first() {
                let url = Arc::clone(&gone.file.read.url);
                return Err(FetchError::Failed { url, cause: "it has gone again".into() }.into());
            }
            let config = self.require_target(snapshot, caller, target).await?;
            let (project, version) = (&release.project, &release.version);
            let metadata = match snapshot.get_release(target, project.normal(), version).await? {
                Some(existing) => existing.metadata.overlaid_with(&source.metadata),
                None => source.metadata.clone(),
            };
            let change = ChangeSet::new(caller.name().cloned(), self.clock.now())
                .expect(Expectation::Project(
                    source.index.clone(),
                    project.clone(),
                    source.project_changed_at,
                ))
                .expect(Expectation::Index(target.clone(), Some(config.changed_at)))
                .expect(Expectation::Project(
                    target.clone(),
                    project.clone(),
                    snapshot.get_project(target, project.normal()).await?,
                ))
                .with(Operation::PutRelease {
                    index: target.clone(),
                    project: project.clone(),
                    version: Arc::clone(version),
                    metadata,
                    existing: ExistingMetadata::Replace,
                });
            let old = snapshot.list_links(target, project.normal(), Some(version)).await?;
            let mut push = Push {
                source: &source.index,
                target,
                config: &config.value,
                old,
                change,
                done: vec![Pushed::Release],
            };
            for link in source.release_files() {
                let path = push.put_release_file(link)?;
                for (number, result) in source.tox_results_for(&link.path).enumerate() {
                    push.put_tox_result(result, &path, number);
                }
            }
            if let Some(link) = source.docs() {
                push.put_docs(link)?;
            }
            Ok(Decision::write(push.change, push.done))
        })
        .await
    }

    async fn read_source(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        release: &PushedRelease,
    ) -> Result<PushSource, PushError> {
        let unknown = || PushError::UnknownRelease { release: release.clone(), index: index.clone() };
        let config = find_index(snapshot, index).await?;
        let config = config.ok_or_else(|| PushError::UnknownIndex(index.clone()))?;
        let project = release.project.normal();
        if config.value.kind() == IndexKind::Mirror {
            let mirrored = self.mirrored_release(snapshot, index, &config, release).await?;
            return mirrored.ok_or_else(unknown);
        }
        let stored = snapshot.get_release(index, project, &release.version).await?;
        let metadata = stored.ok_or_else(unknown)?.metadata;
        let links = snapshot.list_links(index, project, Some(&release.version)).await?;
        let mut links: Vec<Link> = links.into_iter().map(|link| link.value).collect();
        links.sort_by(|left, right| left.file_name.cmp(&right.file_name));
        let project_changed_at = snapshot.get_project(index, project).await?;
        Ok(PushSource {
            index: index.clone(),
            release: release.clone(),
            metadata,
            links,
            not_here: Vec::new(),
            project_changed_at,
        })
    }

    /// A release of a mirror, whose files are those that bear the version in their names.
    async fn mirrored_release(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        config: &Stored<IndexConfig>,
        release: &PushedRelease,
    ) -> Result<Option<PushSource>, StorageError> {
        let Some(shown) = self.shown_page(snapshot, index, &release.project).await? else { return Ok(None) };
        let views = shown.releases(&release.project, Some(&release.version));
        let Some(view) = views.into_iter().next() else { return Ok(None) };
        let mut source = PushSource {
            index: index.clone(),
            release: release.clone(),
            metadata: view.metadata,
            links: Vec::new(),
            not_here: Vec::new(),
            // What is held of an upstream is not history: there is nothing to expect.
            project_changed_at: None,
        };
        for link in view.links {
            let ReleaseLink::Mirrored(file) = link else { continue };
            let mirror = mirror_of(index, config.changed_at, &config.value);
            let listed = UpstreamFile { mirror, project: release.project.clone(), file };
            match self.find_fetched(snapshot, &listed).await? {
                Some(link) if self.is_kept(&link).await? => source.links.push(link),
                _ => source.not_here.push(listed),
            }
        }
        source.links.sort_by(|left, right| left.file_name.cmp(&right.file_name));
        Ok(Some(source))
    }

    async fn require_target(
        &self,
        snapshot: &mut dyn Snapshot,
        caller: &Caller,
        target: &IndexName,
    ) -> Result<Stored<IndexConfig>, PushError> {
        let config = find_index(snapshot, target).await?;
        let config = config.ok_or_else(|| PushError::UnknownIndex(target.clone()))?;
        if self.policy.may_upload(caller, &config.value) {
            return Ok(config);
        }
        let user = caller.name().map_or_else(|| "None".to_owned(), |name| python::quote(name));
        Err(PushError::Forbidden { user, target: python::quote(&target.to_string()) })
    }
}

/// A push to `target` while its change set grows.
struct Push<'a> {
    source: &'a IndexName,
    target: &'a IndexName,
    config: &'a IndexConfig,
    /// What the target's release has already.
    old: Vec<Stored<Link>>,
    change: ChangeSet,
    done: Vec<Pushed>,
}

impl Push<'_> {
    fn put_release_file(&mut self, link: &Link) -> Result<StoredPath, PushError> {
        let path = StoredPath::for_upload(self.target, &link.sha256, &link.file_name);
        let log = without_overwrites(&link.log);
        self.put(Link { path: path.clone(), log, ..link.clone() })?;
        self.done.push(Pushed::ReleaseFile(path.clone()));
        Ok(path)
    }

    /// Results are added behind their release file, which has just come and has no others.
    fn put_tox_result(&mut self, link: &Link, release_file: &StoredPath, number: usize) {
        let path = tox_result_path(release_file, self.change.when, number);
        let new = Link {
            file_name: path.file_name().into(),
            path: path.clone(),
            for_path: Some(release_file.clone()),
            uploaded_at: self.change.when,
            log: without_overwrites(&link.log),
            ..link.clone()
        };
        self.add(None, new);
        self.done.push(Pushed::ToxResult(path));
    }

    /// Documentation keeps its whole history (as in devpi).
    fn put_docs(&mut self, link: &Link) -> Result<(), PushError> {
        let file_name = docs_file_name(&link.project, &link.version);
        let path = StoredPath::for_upload(self.target, &link.sha256, &file_name);
        let uploaded_at = self.change.when;
        self.put(Link { path, file_name: file_name.into(), uploaded_at, ..link.clone() })?;
        self.done.push(Pushed::Docs);
        Ok(())
    }

    /// Puts a link in the place of the target's of that name, which a non-volatile index does not allow: not even
    /// for the same content, as devpi has it.
    fn put(&mut self, new: Link) -> Result<(), PushError> {
        let old = find_link(&self.old, new.relation, &new.file_name).map(|old| old.value.clone());
        if judge_placement(self.config, old.as_ref(), &new.sha256) != Placement::Store {
            return Err(PushError::Conflict(new.file_name));
        }
        self.add(old, new);
        Ok(())
    }

    fn add(&mut self, old: Option<Link>, mut new: Link) {
        new.log.push(LogEntry::Push {
            who: self.change.who.clone(),
            when: self.change.when,
            src: self.source.clone(),
            dst: self.target.clone(),
        });
        put_link(&mut self.change, self.target, old, new);
    }
}

/// A history without what the file replaced elsewhere.
fn without_overwrites(log: &[LogEntry]) -> Vec<LogEntry> {
    log.iter().filter(|entry| !matches!(entry, LogEntry::Overwrite { .. })).cloned().collect()
}
