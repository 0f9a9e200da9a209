//! The records of users who were recently asked for, kept until they change, without what they say of themselves.

use std::sync::Arc;

use quick_cache::sync::Cache;
use serde_json::Map;

use crate::domain::Registry;
use crate::domain::stale::{Stale, StaleObserver};
use crate::domain::user::MAX_NAME_BYTES;
use crate::storage::StorageError;
use crate::storage::model::{Serial, UserRecord};

/// User records in memory; never older than the newest change.
pub struct UserCache {
    /// Unknown users are remembered too: clients retry with wrong names.
    records: Cache<Arc<str>, Option<Arc<UserRecord>>>,
}

impl UserCache {
    /// A cache of at most `capacity` users.
    pub fn new(capacity: usize) -> Self {
        Self { records: Cache::new(capacity) }
    }

    /// The record of a user; `None` for an unknown one.
    pub async fn get(
        &self,
        registry: &Registry,
        name: &str,
    ) -> Result<Option<Arc<UserRecord>>, StorageError> {
        // No user has a longer name; anybody may ask for one, and it would be remembered.
        if name.len() > MAX_NAME_BYTES {
            return Ok(None);
        }
        let name: Arc<str> = name.into();
        match self.records.get_value_or_guard_async(&name).await {
            Ok(record) => Ok(record),
            Err(guard) => {
                let record = registry.find_user_record(&name).await?;
                // What is not for logins could take much memory.
                let record = record.map(|record| Arc::new(UserRecord { attributes: Map::new(), ..record }));
                // Not inserted if the user was changed, and so forgotten, while it was being read.
                let _changed_meanwhile = guard.insert(record.clone());
                Ok(record)
            }
        }
    }
}

impl StaleObserver for UserCache {
    fn forget(&self, stale: &Stale, _: Serial) {
        if let Stale::User(name) = stale {
            self.records.remove(name);
        }
    }
}
