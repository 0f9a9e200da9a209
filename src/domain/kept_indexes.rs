//! The configurations of indexes to which uploads come, kept until they change.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::index::find_index;
use super::index_config::IndexConfig;
use super::stale::{Stale, StaleObserver};
use crate::storage::StorageError;
use crate::storage::meta::MetaStore;
use crate::storage::model::{IndexName, Serial, Stored};

/// How many indexes are kept.
const CAPACITY: usize = 1000;

/// Index configurations in memory; never older than the newest change.
pub(super) struct KeptIndexConfigs(Cache<IndexName, Arc<Stored<IndexConfig>>>);

impl KeptIndexConfigs {
    pub(super) fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }

    /// The configuration of an index, if it is kept.
    pub(super) fn peek(&self, index: &IndexName) -> Option<Arc<Stored<IndexConfig>>> {
        self.0.get(index)
    }

    /// The configuration of an index; `None` for an unknown one, which is not remembered: anybody may ask for any name.
    /// Not for whoever holds a snapshot: there may be no further one until that is given back.
    pub(super) async fn get(
        &self,
        meta: &dyn MetaStore,
        index: &IndexName,
    ) -> Result<Option<Arc<Stored<IndexConfig>>>, StorageError> {
        match self.0.get_value_or_guard_async(index).await {
            Ok(config) => Ok(Some(config)),
            Err(guard) => {
                let mut snapshot = meta.snapshot().await?;
                let Some(config) = find_index(snapshot.as_mut(), index).await? else { return Ok(None) };
                let config = Arc::new(config);
                // Not inserted if the index was changed, and so forgotten, while it was being read.
                let _changed_meanwhile = guard.insert(Arc::clone(&config));
                Ok(Some(config))
            }
        }
    }
}

impl StaleObserver for KeptIndexConfigs {
    fn forget(&self, stale: &Stale, _: Serial) {
        if let Stale::Index(index) = stale {
            self.0.remove(index);
        }
    }
}
