//! Projects and releases: what an index and its bases have (`server-api` sections 10 and 13).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::index_config::IndexKind;
use super::inherit::{WalkError, find_sources, resolution_order};
use super::mirror_view::ShownPage;
use super::project_files::{FoundFiles, ProjectFiles};
use super::registry::Registry;
use super::release::{ReleaseLink, ReleaseView};
use crate::mirror::{Staleness, UpstreamError};
use crate::pep::name::ProjectName;
use crate::pep::version::Version;
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::mirrored::NameList;
use crate::storage::model::{IndexName, Release};

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
    /// There are too many indexes to look into.
    #[error("{0}")]
    LongWalk(String),
    /// The index is a mirror whose upstream does not help, and nothing is held.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<WalkError> for ProjectError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::TooLong(_) => Self::LongWalk(error.to_string()),
            WalkError::Storage(error) => error.into(),
        }
    }
}

/// Where to look for a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the index and its bases.
    WithBases,
    /// In the index only.
    IndexOnly,
}

/// The projects of one index of the walk.
#[derive(Clone, Debug)]
pub struct ListedIndex {
    /// The index.
    pub index: IndexName,
    /// Its bases, as configured.
    pub bases: Vec<IndexName>,
    /// Its projects, also those that an earlier index has.
    pub projects: ListedProjects,
}

/// Normalised names of projects, ascending.
#[derive(Clone, Debug)]
pub enum ListedProjects {
    /// Those of a stage.
    Own(Vec<Arc<str>>),
    /// Those of a mirror.
    Upstream(Arc<NameList>),
}

impl ListedProjects {
    /// The name at a place; `None` behind the last one.
    pub fn get(&self, place: usize) -> Option<&str> {
        match self {
            Self::Own(names) => names.get(place).map(|name| &**name),
            Self::Upstream(names) => names.get(place),
        }
    }

    /// All names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..).map_while(|place| self.get(place))
    }

    /// Whether a name is among them.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Own(names) => names.binary_search_by(|own| (**own).cmp(name)).is_ok(),
            Self::Upstream(names) => names.contains(name),
        }
    }
}

/// The projects of an index and its bases.
#[derive(Clone, Debug)]
pub struct ListedIndexes {
    /// By index, in the order of the walk.
    pub indexes: Vec<ListedIndex>,
    /// Why the projects of a mirror may not be those that its upstream has.
    pub stale: Option<Staleness>,
}

/// Where the releases of a project are read.
enum Source {
    Stage(IndexName),
    Mirror(IndexName, ShownPage),
}

impl Source {
    fn index(&self) -> &IndexName {
        match self {
            Self::Stage(index) | Self::Mirror(index, _) => index,
        }
    }
}

impl Registry {
    /// Whether the projects of a mirror are among those of an index.
    pub async fn shows_mirrors(&self, index: &IndexName) -> Result<bool, ProjectError> {
        let order = resolution_order(self.meta.snapshot().await?.as_mut(), index).await?;
        Ok(order.iter().any(|station| station.config.kind() == IndexKind::Mirror))
    }

    /// The projects of an index and its bases, by index.
    pub async fn list_projects(&self, index: &IndexName) -> Result<ListedIndexes, ProjectError> {
        let mut snapshot = self.meta.snapshot().await?;
        let order = resolution_order(snapshot.as_mut(), index).await?;
        if order.is_empty() {
            return Err(ProjectError::UnknownIndex(index.clone()));
        }
        let mut indexes = Vec::with_capacity(order.len());
        let mut mirrors = Vec::new();
        for station in order {
            let bases = station.config.bases();
            if station.config.kind() == IndexKind::Mirror {
                mirrors.push(station);
                continue;
            }
            let projects = ListedProjects::Own(snapshot.list_projects(&station.index).await?);
            indexes.push(ListedIndex { index: station.index, bases, projects });
        }
        // Nothing is read while an upstream is waited for.
        drop(snapshot);
        let mut stale = None;
        // All at once: those that do not answer are waited for once.
        let asked = mirrors.iter().map(async |station| self.mirrors.names(&station.mirror()).await);
        let listed = try_join_all(asked).await?;
        for (station, listed) in mirrors.into_iter().zip(listed) {
            stale = stale.or(listed.stale);
            let projects = ListedProjects::Upstream(listed.names);
            indexes.push(ListedIndex { index: station.index, bases: Vec::new(), projects });
        }
        Ok(ListedIndexes { indexes, stale })
    }

    /// The files of a project in an index and its bases, as they are held: upstreams are not asked. See
    /// [`Registry::check_mirrors`].
    pub async fn find_project_files(
        &self,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<ProjectFiles, ProjectError> {
        let mut snapshot = self.meta.snapshot().await?;
        let (sources, mirrors) = self.require_sources(snapshot.as_mut(), index, project).await?;
        let is_unknown = sources.is_empty();
        let (mut found, mut last_serial) = (Vec::new(), None);
        for source in sources {
            found.push(match source {
                Source::Stage(owner) => {
                    let files = self.read_stage_files(snapshot.as_mut(), &owner, project).await?;
                    FoundFiles::Stage(owner.to_string(), files)
                }
                Source::Mirror(owner, shown) => {
                    last_serial = last_serial.or(shown.page().serial.filter(|_| owner == *index));
                    FoundFiles::Mirror(owner.to_string(), shown)
                }
            });
        }
        Ok(ProjectFiles { found, mirrors, last_serial, is_unknown })
    }

    /// All releases of a project, newest first.
    pub async fn list_releases(
        &self,
        index: &IndexName,
        project: &ProjectName,
        scope: Scope,
    ) -> Result<Vec<ReleaseView>, ProjectError> {
        self.check_mirrors(index, project, scope).await?;
        let mut snapshot = self.meta.snapshot().await?;
        let (mut sources, _) = self.require_sources(snapshot.as_mut(), index, project).await?;
        if scope == Scope::IndexOnly {
            sources.retain(|source| source.index() == index);
        }
        let mut views: Vec<ReleaseView> = Vec::new();
        let mut places: HashMap<Arc<str>, usize> = HashMap::new();
        for source in sources {
            for view in view_releases(snapshot.as_mut(), &source, project, None).await? {
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
        self.check_mirrors(index, project, Scope::WithBases).await?;
        let mut snapshot = self.meta.snapshot().await?;
        let mut views = Vec::new();
        let (sources, _) = self.find_project_sources(snapshot.as_mut(), index, project).await?;
        for source in sources {
            views.extend(view_releases(snapshot.as_mut(), &source, project, Some(version)).await?);
        }
        let mut views = views.into_iter();
        let Some(mut first) = views.next() else {
            let project = project.normal().to_owned();
            return Err(ProjectError::UnknownVersion { project, version: version.to_owned() });
        };
        first.shadowing = views.collect();
        Ok(first)
    }

    /// Where a project of `index` is read, as it is held, and the mirrors that were considered.
    async fn find_project_sources(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<(Vec<Source>, Vec<IndexName>), ProjectError> {
        let order = resolution_order(snapshot, index).await?;
        if order.is_empty() {
            return Err(ProjectError::UnknownIndex(index.clone()));
        }
        let found = find_sources(snapshot, order, project.normal()).await?;
        let mut sources: Vec<Source> = found.stages.into_iter().map(Source::Stage).collect();
        let mut mirrors = Vec::new();
        for station in found.mirrors {
            if let Some(shown) = self.shown_page(snapshot, &station.index, project).await? {
                sources.push(Source::Mirror(station.index.clone(), shown));
            }
            mirrors.push(station.index);
        }
        Ok((sources, mirrors))
    }

    /// Like [`Registry::find_project_sources`], for a project that must be there.
    async fn require_sources(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<(Vec<Source>, Vec<IndexName>), ProjectError> {
        let (sources, mirrors) = self.find_project_sources(snapshot, index, project).await?;
        // If an upstream could not be asked, nobody can say that it does not have the project.
        let unknown = mirrors.iter().any(|mirror| self.mirrors.has_failed(mirror, project.normal()));
        if sources.is_empty() && !unknown {
            return Err(ProjectError::Unknown(project.display().to_owned()));
        }
        Ok((sources, mirrors))
    }
}

/// Releases of one index with their links, without shadowed ones.
async fn view_releases(
    snapshot: &mut dyn Snapshot,
    source: &Source,
    project: &ProjectName,
    version: Option<&str>,
) -> Result<Vec<ReleaseView>, StorageError> {
    let index = match source {
        Source::Stage(index) => index,
        Source::Mirror(_, shown) => return Ok(shown.releases(project, version)),
    };
    let releases = match version {
        Some(version) => snapshot.get_release(index, project.normal(), version).await?.into_iter().collect(),
        None => snapshot.list_releases(index, project.normal()).await?,
    };
    let mut links: HashMap<Arc<str>, Vec<ReleaseLink>> = HashMap::new();
    for link in snapshot.list_links(index, project.normal(), version).await? {
        let version = Arc::clone(&link.value.version);
        links.entry(version).or_default().push(ReleaseLink::Stored(link.value));
    }
    let view = |release: Release| {
        let links = links.remove(&release.version).unwrap_or_default();
        ReleaseView { version: release.version, metadata: release.metadata, links, shadowing: Vec::new() }
    };
    Ok(releases.into_iter().map(view).collect())
}
