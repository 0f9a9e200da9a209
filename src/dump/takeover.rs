//! Taking over the data of a devpi-server: everything that it has, under the same serials.
//!
//! One thread walks over the old state from users down to files, then over the whole change log; behind it contents are
//! taken in, many at once; what comes out goes into the new store in the order of the walk. At no time is more than a
//! window of this in memory. Problems are told as they are found and do not stop the walk, so that one run tells all of
//! them; whoever calls decides by the number of errors whether the result may be used.

mod history;
mod walk;

use std::sync::Arc;

use futures_util::future::try_join_all;
use futures_util::stream::{LocalBoxStream, StreamExt, poll_fn as stream_of};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use self::walk::{Fetched, FileOfRelease, Unit, Walk};
use super::documents::Documents;
use super::intake::{Damaged, Intake, Taken};
use super::records::FileEntry;
use super::serverdir::OldState;
use super::serverdir::files::OldFile;
use crate::report::Report;
use crate::storage::StorageError;
use crate::storage::meta::{MetaStore, Operation, Record};
use crate::storage::mirrored::{FetchedContent, FetchedPart};
use crate::storage::model::{IndexName, Link, Serial, StoredPath};

/// How many units may be read ahead, and worked on at once.
const WINDOW: usize = 64;

/// How many records go into the store in one transaction, about.
const BATCH: usize = 512;

/// What was found, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The newest serial; -1 for none.
    pub serial: i64,
    /// Users.
    pub users: u64,
    /// Indexes.
    pub indexes: u64,
    /// Projects of stages and mirrors.
    pub projects: u64,
    /// Releases.
    pub releases: u64,
    /// Files that are here: distributions, documentation, results of test runs, files of mirrors.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Paths whose files were removed.
    pub removed_files: u64,
    /// Whether devpi-server has written something meanwhile, which is not among all this.
    pub is_behind: bool,
}

/// Takes the old state over. Without a store everything is looked at in the same way, and nothing written.
///
/// An error is only one of the new store: those of the old state are told to the report.
pub async fn take_over(
    state: OldState,
    intake: Intake,
    store: Option<Arc<dyn MetaStore>>,
    damaged: Damaged,
    report: Arc<Report>,
) -> Result<Summary, StorageError> {
    let (sender, mut units) = mpsc::channel(WINDOW);
    let walk = Walk::new(state, sender, Arc::clone(&report));
    let walking = spawn_blocking(move || walk.run());
    let worker = Worker { intake, store: store.as_deref(), damaged, report };
    let mut summary = Summary::default();
    let stored = {
        let processed = stream_of(|context| units.poll_recv(context)).map(|unit| worker.process(unit));
        store_all(processed.buffered(WINDOW).boxed_local(), store.as_deref(), &mut summary).await
    };
    // If the store has failed, the walk ends at the next unit that nobody takes.
    drop(units);
    let walked = walking.await?;
    stored?;
    Ok(Summary { files: summary.files, bytes: summary.bytes, ..walked })
}

/// What became of a unit.
#[derive(Default)]
struct Processed {
    records: Vec<Record>,
    files: u64,
    bytes: u64,
}

async fn store_all(
    mut processed: LocalBoxStream<'_, Result<Processed, StorageError>>,
    store: Option<&dyn MetaStore>,
    summary: &mut Summary,
) -> Result<(), StorageError> {
    let mut batch = Vec::new();
    while let Some(unit) = processed.next().await {
        let mut unit = unit?;
        summary.files += unit.files;
        summary.bytes += unit.bytes;
        batch.append(&mut unit.records);
        if batch.len() >= BATCH {
            put(store, std::mem::take(&mut batch)).await?;
        }
    }
    put(store, batch).await
}

async fn put(store: Option<&dyn MetaStore>, records: Vec<Record>) -> Result<(), StorageError> {
    match store {
        Some(store) if !records.is_empty() => store.load(records).await,
        _ => Ok(()),
    }
}

/// Makes records of units.
struct Worker<'a> {
    intake: Intake,
    store: Option<&'a dyn MetaStore>,
    damaged: Damaged,
    report: Arc<Report>,
}

impl Worker<'_> {
    async fn process(&self, unit: Unit) -> Result<Processed, StorageError> {
        let mut processed = Processed::default();
        let documents = Documents::new(self.store);
        match unit {
            Unit::Records(records) => processed.records = records,
            Unit::Release { index, release, files } => {
                processed.records.push(release);
                let all = files.into_iter().map(|file| self.take_release_file(file, &documents));
                let all = try_join_all(all).await?;
                processed.add_documents(documents);
                for (link, serial, taken) in all.into_iter().flatten() {
                    processed.add_link(&index, link, serial, taken);
                }
            }
            Unit::MirrorProject { records, files } => {
                processed.records = records;
                let all = files.into_iter().map(|file| self.take_fetched(file, &documents));
                let all = try_join_all(all).await?;
                processed.add_documents(documents);
                for (file, taken) in all.into_iter().flatten() {
                    processed.add_fetched(file, taken);
                }
            }
        }
        Ok(processed)
    }

    async fn take_release_file(
        &self,
        file: FileOfRelease,
        documents: &Documents<'_>,
    ) -> Result<Option<(Link, Serial, Taken)>, StorageError> {
        let FileOfRelease { link, serial, source, entry } = file;
        Ok(match self.take(&link.path, source, &entry, documents).await? {
            Ok(taken) => Some((Link { sha256: taken.sha256, size: taken.size, ..link }, serial, taken)),
            Err(damage) if self.damaged == Damaged::Skip => {
                self.report.warn(format!("{damage} It is left out."));
                None
            }
            Err(damage) => {
                self.report.fail(damage);
                None
            }
        })
    }

    /// A file of a mirror that is not whole is as good as one that was never fetched.
    async fn take_fetched(
        &self,
        file: Fetched,
        documents: &Documents<'_>,
    ) -> Result<Option<(Fetched, Taken)>, StorageError> {
        Ok(match self.take(&file.path, file.source.clone(), &file.entry, documents).await? {
            Ok(taken) => Some((file, taken)),
            Err(damage) => {
                let what_follows = "It will be fetched from the upstream when it is asked for.";
                self.report.warn(format!("{damage} {what_follows}"));
                None
            }
        })
    }

    /// Takes a content in, or says what is wrong with it.
    async fn take(
        &self,
        path: &StoredPath,
        source: Option<OldFile>,
        entry: &FileEntry,
        documents: &Documents<'_>,
    ) -> Result<Result<Taken, String>, StorageError> {
        self.report.advance(1);
        let Some(source) = source else { return Ok(Err(format!("The file for {path} is missing."))) };
        match self.intake.take(source, path.file_name(), &entry.hashes, documents).await {
            Ok(taken) => Ok(Ok(taken)),
            Err(error) => Ok(Err(format!("{path}: {}.", error.damage()?))),
        }
    }
}

impl Processed {
    fn add_link(&mut self, index: &IndexName, link: Link, serial: Serial, taken: Taken) {
        self.count(&taken);
        let link = Link { core_metadata: taken.core_metadata, ..link };
        self.add(serial, Operation::AddLink(index.clone(), Box::new(link)));
    }

    fn add_fetched(&mut self, file: Fetched, taken: Taken) {
        self.count(&taken);
        let content = FetchedContent { sha256: taken.sha256, size: taken.size, modified: file.modified };
        let Fetched { index, project, path, serial, .. } = file;
        let part = FetchedPart::Content(content, taken.core_metadata);
        self.add(serial, Operation::PutFetched { index, project, path, part });
    }

    fn add_documents(&mut self, documents: Documents<'_>) {
        // They have no serial.
        documents.into_operations().into_iter().for_each(|operation| self.add(Serial(0), operation));
    }

    fn add(&mut self, serial: Serial, operation: Operation) {
        self.records.push(Record::Made(serial, Box::new(operation)));
    }

    fn count(&mut self, taken: &Taken) {
        self.files += 1;
        self.bytes += taken.size;
    }
}
