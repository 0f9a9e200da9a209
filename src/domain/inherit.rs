//! The walk over an index and its bases (`server-api` section 10.1).

use std::collections::{HashSet, VecDeque};

use super::index_config::IndexConfig;
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
/// named, each once. Bases that do not exist are passed over. Empty if `index` does not exist.
pub async fn resolution_order(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
) -> Result<Vec<Station>, StorageError> {
    let mut order = Vec::new();
    let mut seen = HashSet::from([index.clone()]);
    let mut pending = VecDeque::from([index.clone()]);
    while let Some(index) = pending.pop_front() {
        let Some(settings) = snapshot.get_index(&index).await? else { continue };
        let config = IndexConfig::from_settings(settings.value);
        pending.extend(config.bases().into_iter().filter(|base| seen.insert(base.clone())));
        order.push(Station { index, config });
    }
    Ok(order)
}
