//! The walk over an index and its bases, and which mirrors may show a project on it (`server-api` section 10).

use std::collections::{HashSet, VecDeque};

use super::index_config::{IndexConfig, IndexKind, WhitelistInheritance};
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::model::IndexName;

/// An index on the walk, with its configuration.
#[derive(Clone, Debug)]
pub struct Station {
    /// Its name.
    pub index: IndexName,
    /// Its configuration.
    pub config: IndexConfig,
}

/// The order in which indexes are asked: breadth first from `index` itself, bases in the order in which they are
/// named, each once, and mirrors after everything else. Bases that do not exist are passed over. Empty if `index`
/// does not exist.
pub async fn resolution_order(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
) -> Result<Vec<Station>, StorageError> {
    let mut order = Vec::new();
    let mut mirrors = Vec::new();
    let mut seen = HashSet::from([index.clone()]);
    let mut pending = VecDeque::from([index.clone()]);
    while let Some(index) = pending.pop_front() {
        let Some(settings) = snapshot.get_index(&index).await? else { continue };
        let config = IndexConfig::from_settings(settings.value);
        pending.extend(config.bases().into_iter().filter(|base| seen.insert(base.clone())));
        let stations = if config.kind() == IndexKind::Mirror { &mut mirrors } else { &mut order };
        stations.push(Station { index, config });
    }
    order.append(&mut mirrors);
    Ok(order)
}

/// The indexes of the walk from which a project (its normalised name) is shown: those that have it, without mirrors
/// that the whitelists keep out.
pub async fn find_owners(
    snapshot: &mut dyn Snapshot,
    order: Vec<Station>,
    project: &str,
) -> Result<Vec<IndexName>, StorageError> {
    let Some(first) = order.first() else { return Ok(Vec::new()) };
    let mut whitelist = Whitelist::new(first.config.whitelist_inheritance());
    let mut owners = Vec::new();
    for station in order {
        let has_project = snapshot.get_project(&station.index, project).await?.is_some();
        if whitelist.pass(&station.config, project, has_project) {
            owners.push(station.index);
        }
    }
    Ok(owners)
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

    /// Takes the next index of the walk into account. Whether its releases of the project are shown.
    fn pass(&mut self, config: &IndexConfig, project: &str, has_project: bool) -> bool {
        if config.kind() == IndexKind::Mirror {
            return has_project && (self.listed || !self.private);
        }
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
        has_project
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Which of the stations show the project `priv`, which all of them have.
    fn shown(inheritance: WhitelistInheritance, stations: &[Value]) -> Vec<bool> {
        let mut whitelist = Whitelist::new(inheritance);
        let configs = stations.iter().map(|station| {
            IndexConfig::from_settings(
                match station {
                    Value::Array(names) => json!({"type": "stage", "mirror_whitelist": names}),
                    _ => json!({"type": "mirror"}),
                }
                .as_object()
                .cloned()
                .unwrap(),
            )
        });
        configs.map(|config| whitelist.pass(&config, "priv", true)).collect()
    }

    /// The table of observations in `server-api` section 10.3.
    #[test]
    fn mirrors_show_private_projects_only_where_they_are_listed() {
        use WhitelistInheritance::{Intersection, Union};
        let mirror = Value::Null;
        for (inheritance, stations, expected) in [
            (Intersection, vec![json!([]), mirror.clone()], vec![true, false]),
            (Intersection, vec![json!(["priv"]), mirror.clone()], vec![true, true]),
            (Intersection, vec![json!(["other"]), mirror.clone()], vec![true, false]),
            (Intersection, vec![json!([]), json!(["priv"]), mirror.clone()], vec![true, true, false]),
            (Union, vec![json!([]), json!(["priv"]), mirror.clone()], vec![true, true, true]),
            (Intersection, vec![json!(["*"]), json!([]), mirror.clone()], vec![true, true, true]),
            (Union, vec![json!(["*"]), json!([]), mirror.clone()], vec![true, true, true]),
            (Union, vec![mirror.clone()], vec![true]),
        ] {
            assert_eq!(shown(inheritance, &stations), expected, "{inheritance:?} {stations:?}");
        }
    }

    #[test]
    fn only_owners_are_shown() {
        let mut whitelist = Whitelist::new(WhitelistInheritance::Intersection);
        let stage = IndexConfig::from_settings(json!({"type": "stage"}).as_object().cloned().unwrap());
        let mirror = IndexConfig::from_settings(json!({"type": "mirror"}).as_object().cloned().unwrap());
        assert!(!whitelist.pass(&stage, "pub", false));
        assert!(!whitelist.pass(&mirror, "pub", false));
        assert!(whitelist.pass(&mirror, "pub", true));
    }
}
