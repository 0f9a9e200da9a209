//! Who still needs a kept content that no commit may name yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::RwLock;

use super::Layout;
use crate::blocking;
use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::files::{Lease, References};

/// All living leases of a store.
#[derive(Default)]
pub(super) struct Leases {
    /// How many leases each content has.
    holders: Mutex<HashMap<Sha256, usize>>,
    /// Held for writing while a content is judged and removed, for reading while a lease begins: a content that
    /// gets a new holder is not removed under its feet.
    removal: RwLock<()>,
}

impl Leases {
    fn holders(&self) -> MutexGuard<'_, HashMap<Sha256, usize>> {
        // The map is changed by single, complete steps, so it is sound even after a panic elsewhere.
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, sha256: &Sha256) {
        let mut holders = self.holders();
        if let Some(count) = holders.get_mut(sha256) {
            *count -= 1;
            if *count == 0 {
                holders.remove(sha256);
            }
        }
    }
}

/// The [`Lease`] of a directory store.
pub(super) struct DirectoryLease {
    leases: Arc<Leases>,
    layout: Arc<Layout>,
    sha256: Sha256,
    held: bool,
}

impl DirectoryLease {
    /// Begins a lease; the content may come into its place afterwards.
    pub(super) async fn new(leases: Arc<Leases>, layout: Arc<Layout>, sha256: Sha256) -> Self {
        let removal = leases.removal.read().await;
        *leases.holders().entry(sha256).or_default() += 1;
        drop(removal);
        Self { leases, layout, sha256, held: true }
    }

    fn release(&mut self) {
        if std::mem::take(&mut self.held) {
            self.leases.release(&self.sha256);
        }
    }

    async fn settle(&self, referenced: bool) -> Result<(), StorageError> {
        let (layout, sha256) = (Arc::clone(&self.layout), self.sha256);
        blocking::run(move || layout.settle(&sha256, referenced)).await?
    }
}

#[async_trait]
impl Lease for DirectoryLease {
    async fn confirm(self: Box<Self>) -> Result<(), StorageError> {
        self.settle(true).await
    }

    async fn discard(mut self: Box<Self>, references: &dyn References) -> Result<(), StorageError> {
        let leases = Arc::clone(&self.leases);
        let _removal = leases.removal.write().await;
        // Given back before judging: of two that are discarded at once, the later one finds no other.
        self.release();
        if leases.holders().contains_key(&self.sha256) {
            return Ok(());
        }
        let referenced = references.is_referenced(&self.sha256).await?;
        self.settle(referenced).await
    }
}

impl Drop for DirectoryLease {
    fn drop(&mut self) {
        self.release();
    }
}
