//! The walk over an index and its bases, and which mirrors may show a project on it (`server-api` section 10).

use std::collections::HashSet;

use super::index::find_index;
use super::index_config::{IndexConfig, IndexKind, WhitelistInheritance};
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::model::{IndexName, Serial, Stored};

/// An index on the walk, with its configuration.
#[derive(Clone, Debug)]
pub struct Station {
    /// Its name.
    pub index: IndexName,
    /// When its configuration was last changed.
    pub changed_at: Serial,
    /// Its configuration, without what is only shown.
    pub config: IndexConfig,
}

/// To how many indexes a walk may lead. Each of them is read for each page that is made.
pub const MAX_STATIONS: usize = 1000;

/// Why there is no order.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The walk leads to more than [`MAX_STATIONS`] indexes.
    #[error("the index {0} reaches more than {MAX_STATIONS} indexes through its bases")]
    TooLong(IndexName),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The order in which indexes are asked: breadth first from `index` itself, bases in the order in which they are
/// named, each once, and mirrors after everything else. Bases that do not exist are passed over. Empty if `index`
/// does not exist.
pub async fn resolution_order(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
) -> Result<Vec<Station>, WalkError> {
    match find_station(snapshot, index.clone()).await? {
        Some(first) => resolution_order_from(snapshot, first).await,
        None => Ok(Vec::new()),
    }
}

/// The same from an index as it is to be.
pub async fn resolution_order_from(
    snapshot: &mut dyn Snapshot,
    first: Station,
) -> Result<Vec<Station>, WalkError> {
    let mut seen = HashSet::from([first.index.clone()]);
    let mut found = vec![first];
    let mut place = 0;
    while let Some(station) = found.get(place) {
        for base in station.config.bases() {
            if !seen.insert(base.clone()) {
                continue;
            }
            if seen.len() > MAX_STATIONS {
                return Err(WalkError::TooLong(found.swap_remove(0).index));
            }
            found.extend(find_station(snapshot, base).await?);
        }
        place += 1;
    }
    let (mirrors, mut order): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|station| station.config.kind() == IndexKind::Mirror);
    order.extend(mirrors);
    Ok(order)
}

async fn find_station(
    snapshot: &mut dyn Snapshot,
    index: IndexName,
) -> Result<Option<Station>, StorageError> {
    let found = find_index(snapshot, &index).await?;
    Ok(found.map(|Stored { changed_at, value }| Station { index, changed_at, config: value.without_texts() }))
}

/// Where a project comes from on a walk.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The stages that have it.
    pub stages: Vec<IndexName>,
    /// The mirrors that may show it, if their upstreams have it.
    pub mirrors: Vec<Station>,
}

/// Where a project (its normalised name) comes from on the walk: the stages that have it, and the mirrors that the
/// whitelists do not keep out.
pub async fn find_sources(
    snapshot: &mut dyn Snapshot,
    order: Vec<Station>,
    project: &str,
) -> Result<Sources, StorageError> {
    let mut sources = Sources::default();
    let Some(first) = order.first() else { return Ok(sources) };
    let mut whitelist = Whitelist::new(first.config.whitelist_inheritance());
    for station in order {
        if station.config.kind() == IndexKind::Mirror {
            if whitelist.admits_mirrors() {
                sources.mirrors.push(station);
            }
            continue;
        }
        let has_project = snapshot.get_project(&station.index, project).await?.is_some();
        whitelist.pass(&station.config, project, has_project);
        if has_project {
            sources.stages.push(station.index);
        }
    }
    Ok(sources)
}

/// Keeps mirrors from showing releases of a project that one of the team's own indexes has, unless it is listed.
struct Whitelist {
    inheritance: WhitelistInheritance,
    /// The names listed so far; `None` before the first stage.
    names: Option<HashSet<String>>,
    /// Whether the project was listed at some point; that is not taken back.
    listed: bool,
    /// Whether a stage has the project, at a point where it was not listed.
    private: bool,
}

impl Whitelist {
    fn new(inheritance: WhitelistInheritance) -> Self {
        Self { inheritance, names: None, listed: false, private: false }
    }

    /// Takes the next stage of the walk into account.
    fn pass(&mut self, config: &IndexConfig, project: &str, has_project: bool) {
        let own: HashSet<String> = config.mirror_whitelist().map(str::to_owned).collect();
        let names = match (self.names.take(), self.inheritance) {
            (None, _) => own,
            (Some(names), WhitelistInheritance::Union) => &names | &own,
            (Some(names), WhitelistInheritance::Intersection) => &names & &own,
        };
        if names.contains("*") || names.contains(project) {
            self.listed = true;
        } else {
            self.private |= has_project;
        }
        self.names = Some(names);
    }

    /// Whether mirrors behind the stages so far show their releases of the project.
    fn admits_mirrors(&self) -> bool {
        self.listed || !self.private
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Whether mirrors show the project `priv` behind stages with these whitelists, all of which have it.
    fn admits(inheritance: WhitelistInheritance, whitelists: &[Value]) -> bool {
        let mut whitelist = Whitelist::new(inheritance);
        for names in whitelists {
            let settings = json!({"type": "stage", "mirror_whitelist": names});
            whitelist.pass(&IndexConfig::from_settings(settings.as_object().cloned().unwrap()), "priv", true);
        }
        whitelist.admits_mirrors()
    }

    /// The table of observations in `server-api` section 10.3.
    #[test]
    fn mirrors_show_private_projects_only_where_they_are_listed() {
        use WhitelistInheritance::{Intersection, Union};
        for (inheritance, whitelists, expected) in [
            (Intersection, vec![json!([])], false),
            (Intersection, vec![json!(["priv"])], true),
            (Intersection, vec![json!(["other"])], false),
            (Intersection, vec![json!([]), json!(["priv"])], false),
            (Union, vec![json!([]), json!(["priv"])], true),
            (Intersection, vec![json!(["*"]), json!([])], true),
            (Union, vec![json!(["*"]), json!([])], true),
            (Union, vec![], true),
        ] {
            assert_eq!(admits(inheritance, &whitelists), expected, "{inheritance:?} {whitelists:?}");
        }
    }

    #[test]
    fn a_project_that_is_nowhere_private_comes_from_mirrors() {
        let mut whitelist = Whitelist::new(WhitelistInheritance::Intersection);
        let stage = IndexConfig::from_settings(json!({"type": "stage"}).as_object().cloned().unwrap());
        whitelist.pass(&stage, "pub", false);
        assert!(whitelist.admits_mirrors());
    }
}
