//! Mirrors as part of the walk: checking them, and what they show (`mirror` sections 4, 7 and 9).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Map, Value};
use tracing::debug;

use super::index_config::IndexKind;
use super::inherit::{Station, find_sources, resolution_order};
use super::project::{ProjectError, ReleaseLink, ReleaseView, Scope};
use super::registry::Registry;
use crate::mirror::{Checked, Currency, Mirror, MirrorError, Staleness};
use crate::pep::filename::split_file_name;
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::ProjectName;
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::mirrored::{MirrorFile, MirrorPage, StoredPage};
use crate::storage::model::{IndexName, StoredPath};

impl Station {
    /// What is to be known of a mirror to ask its upstream.
    pub(super) fn mirror(&self) -> Mirror {
        Mirror { index: self.index.clone(), settings: self.config.mirror_settings() }
    }
}

impl Registry {
    /// Whether what is shown of a project, of which these mirrors may have something, can go out without asking
    /// their upstreams.
    pub fn currency(&self, mirrors: &[IndexName], project: &ProjectName) -> Currency {
        let mut first = None;
        for index in mirrors {
            match self.mirrors.currency(index, project.normal()) {
                Currency::Due => return Currency::Due,
                Currency::Current(stale) => first = first.or(stale),
            }
        }
        Currency::Current(first)
    }

    /// Asks the upstreams of all mirrors that may show a project of `index` (or of `index` alone), where that is due. Returns why what is
    /// held may not be what they have. A failing upstream is an error only if nothing is held and `index` itself is
    /// the mirror.
    pub async fn check_mirrors(
        &self,
        index: &IndexName,
        project: &ProjectName,
        scope: Scope,
    ) -> Result<Option<Staleness>, ProjectError> {
        let mut snapshot = self.meta.snapshot().await?;
        let order = resolution_order(snapshot.as_mut(), index).await?;
        if order.iter().all(|station| station.config.kind() == IndexKind::Stage) {
            return Ok(None);
        }
        let mut mirrors = find_sources(snapshot.as_mut(), order, project.normal()).await?.mirrors;
        mirrors.retain(|station| scope == Scope::WithBases || station.index == *index);
        // Nothing is read while an upstream is waited for.
        drop(snapshot);
        let checks = mirrors.iter().map(async |station| {
            let checked = self.mirrors.check(&station.mirror(), project).await;
            (&station.index, checked)
        });
        let mut stale = None;
        for (mirror, checked) in join_all(checks).await {
            match checked? {
                Checked::Held(_, reason) => stale = stale.or(reason),
                Checked::Missing => {}
                Checked::Failed(error) if mirror == index => return Err(error.into()),
                Checked::Failed(error) => {
                    debug!("{mirror} adds nothing to {} of {index}: {error}", project.normal());
                    stale =
                        stale.or_else(|| Some(Staleness { since: None, reason: error.to_string().into() }));
                }
            }
        }
        Ok(stale)
    }

    /// Asks the upstreams of all mirrors on the walk from `index` for a project now, whatever is held of it.
    pub async fn refresh(&self, index: &IndexName, project: &ProjectName) -> Result<(), ProjectError> {
        let order = resolution_order(self.meta.snapshot().await?.as_mut(), index).await?;
        if order.is_empty() {
            return Err(ProjectError::UnknownIndex(index.clone()));
        }
        let mirrors = order.iter().filter(|station| station.config.kind() == IndexKind::Mirror);
        let refreshed = mirrors.map(async |station| self.mirrors.refresh(&station.mirror(), project).await);
        for outcome in join_all(refreshed).await {
            match outcome {
                Ok(()) => {}
                Err(MirrorError::Upstream(error)) => return Err(error.into()),
                Err(MirrorError::Storage(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What a mirror shows of a project, as it is held.
    pub(super) async fn shown_page(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<Option<ShownPage>, StorageError> {
        let page = self.mirrors.held_page(snapshot, index, project.normal()).await?;
        let Some(stored) = page else { return Ok(None) };
        let hidden = snapshot.list_deleted(index, project.normal()).await?.into_iter().collect();
        let only = if self.mirrors.is_offline() {
            let fetched = snapshot.list_fetched(index, project.normal()).await?;
            let here = fetched.into_iter().filter(|file| file.content.is_some());
            Some(here.map(|file| file.path).collect())
        } else {
            None
        };
        Ok(Some(ShownPage { stored, hidden, only }))
    }
}

/// What a mirror shows of a project: not what was deleted here, nothing of a quarantined one, and in offline mode only
/// what is here.
pub(super) struct ShownPage {
    stored: Arc<StoredPage>,
    hidden: HashSet<StoredPath>,
    only: Option<HashSet<StoredPath>>,
}

impl ShownPage {
    pub(super) fn page(&self) -> &MirrorPage {
        &self.stored.page
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &MirrorFile> {
        let files = if self.page().is_quarantined() { &[] } else { self.page().files.as_slice() };
        files.iter().filter(|file| {
            !self.hidden.contains(&file.path)
                && self.only.as_ref().is_none_or(|only| only.contains(&file.path))
        })
    }

    /// The versions that the upstream lists, else those that the names of files tell.
    pub(super) fn versions(&self) -> Vec<Arc<str>> {
        if !self.page().versions.is_empty() {
            return self.page().versions.clone();
        }
        let versions = self.files().map(|file| version_of(&file.read.file_name));
        versions.filter(|version| !version.is_empty()).map(Into::into).collect()
    }

    /// The releases that the names of files tell, with what the page says of them.
    pub(super) fn releases(&self, project: &ProjectName, version: Option<&str>) -> Vec<ReleaseView> {
        let mut views: Vec<ReleaseView> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for file in self.files() {
            let found = version_of(&file.read.file_name);
            if version.is_some_and(|version| version != found) {
                continue;
            }
            let place = *places.entry(found).or_insert_with(|| {
                let fields = [("name", project.normal()), ("version", found)];
                let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value.into()));
                views.push(ReleaseView {
                    version: found.into(),
                    metadata: ReleaseMetadata::from_map(fields.collect()),
                    links: Vec::new(),
                    shadowing: Vec::new(),
                });
                views.len() - 1
            });
            let view = &mut views[place];
            view.links.push(ReleaseLink::Mirrored(file.clone()));
            // Of several files that say something the last one counts (as in devpi).
            let mut fields = Map::new();
            if let Some(requires_python) = &file.read.requires_python {
                fields.insert("requires_python".to_owned(), (&**requires_python).into());
            }
            if let Some(yanked) = &file.read.yanked {
                let yanked = if yanked.is_empty() { Value::from(true) } else { (&**yanked).into() };
                fields.insert("yanked".to_owned(), yanked);
            }
            view.metadata.extend(fields);
        }
        views
    }
}

/// The version that the name of a file tells.
pub(super) fn version_of(file_name: &str) -> &str {
    split_file_name(file_name).version
}
