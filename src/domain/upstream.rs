//! Mirrors as part of the walk: checking them (`mirror` sections 4, 7 and 9).

use futures_util::future::join_all;
use tracing::debug;

use super::index_config::{IndexConfig, IndexKind};
use super::inherit::{Station, find_sources, resolution_order};
use super::project::{ProjectError, Scope};
use super::registry::Registry;
use crate::mirror::{Checked, Currency, Mirror, MirrorError, Refreshed, Staleness};
use crate::pep::name::ProjectName;
use crate::storage::model::{IndexName, Serial};

impl Station {
    /// What is to be known of a mirror to ask its upstream.
    pub(super) fn mirror(&self) -> Mirror {
        mirror_of(&self.index, self.changed_at, &self.config)
    }
}

/// What is to be known of an index to ask its upstream; `changed_at` is when its configuration was last changed.
pub(super) fn mirror_of(index: &IndexName, changed_at: Serial, config: &IndexConfig) -> Mirror {
    Mirror { index: index.clone(), changed_at, settings: config.mirror_settings() }
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

    /// Asks the upstreams of all mirrors that may show a project of `index` (or of `index` alone), where that is due.
    /// Returns why what is held may not be what they have. A failing upstream is an error only if nothing is held and `index` itself is
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

    /// Asks the upstreams of all mirrors on the walk from `index` for a project now, whatever is held of it. That some of them
    /// do not have it is no error.
    pub async fn refresh(&self, index: &IndexName, project: &ProjectName) -> Result<(), ProjectError> {
        let order = resolution_order(self.meta.snapshot().await?.as_mut(), index).await?;
        if order.is_empty() {
            return Err(ProjectError::UnknownIndex(index.clone()));
        }
        let mirrors = order.iter().filter(|station| station.config.kind() == IndexKind::Mirror);
        let refreshed = mirrors.map(async |station| self.mirrors.refresh(&station.mirror(), project).await);
        let (mut is_found, mut is_missing) = (false, false);
        for outcome in join_all(refreshed).await {
            match outcome {
                Ok(Refreshed::Held) => is_found = true,
                Ok(Refreshed::Missing) => is_missing = true,
                Err(MirrorError::Upstream(error)) => return Err(error.into()),
                Err(MirrorError::Storage(error)) => return Err(error.into()),
            }
        }
        if is_missing && !is_found {
            return Err(ProjectError::Unknown(project.display().to_owned()));
        }
        Ok(())
    }
}
