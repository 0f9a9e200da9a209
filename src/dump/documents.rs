//! The core metadata of wheels on their way into the store.
//!
//! A project may have any number of wheels, and is put into the store as a whole when all of them have been read. So that
//! memory does not grow with them, their core metadata go ahead. If the project does not follow, they are in nobody's way.

use tokio::sync::Mutex;

use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::meta::{MetaStore, Operation, Record};
use crate::storage::model::Serial;

/// How much of one project's documents is kept, in bytes.
const KEPT_BYTES: usize = 1024 * 1024;

/// The documents of a project.
pub struct Documents<'a> {
    /// Where they go; `None` if nobody wants them.
    store: Option<&'a dyn MetaStore>,
    kept: Mutex<Kept>,
}

/// Documents that are not in the store yet.
#[derive(Default)]
struct Kept {
    operations: Vec<Operation>,
    bytes: usize,
}

impl<'a> Documents<'a> {
    /// No documents yet. The store is one that nobody else uses.
    pub fn new(store: Option<&'a dyn MetaStore>) -> Self {
        Self { store, kept: Mutex::default() }
    }

    /// Takes a document with this hash.
    pub async fn put(&self, sha256: Sha256, body: Vec<u8>) -> Result<(), StorageError> {
        let Some(store) = self.store else { return Ok(()) };
        // Others wait while documents go into the store, or there would be ever more of them.
        let mut kept = self.kept.lock().await;
        kept.bytes += body.len();
        kept.operations.push(Operation::PutDocument(sha256, body));
        if kept.bytes > KEPT_BYTES {
            let full = std::mem::take(&mut *kept);
            // Documents have no serial.
            let record = |operation| Record::Made(Serial(0), Box::new(operation));
            store.load(full.operations.into_iter().map(record).collect()).await?;
        }
        Ok(())
    }

    /// What brings the rest of them into the store, to be done before anything names them.
    pub fn into_operations(self) -> Vec<Operation> {
        self.kept.into_inner().operations
    }
}
