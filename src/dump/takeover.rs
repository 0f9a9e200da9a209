//! Taking over the data of a devpi-server: everything that it has, under the same serials.
//!
//! One thread walks over the old state from users down to files, then over the whole change log; behind it contents are
//! taken in, many at once; what comes out goes into the new store in the order of the walk. At no time is more than a
//! window of this in memory. Problems are told as they are found and do not stop the walk, so that one run tells all of
//! them; whoever calls decides by the number of errors whether the result may be used.

mod history;
mod walk;

use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::stream::{StreamExt, poll_fn as stream_of};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use self::walk::{Fetched, FileOfRelease, Unit, Walk};
use super::intake::{Intake, IntakeError, Taken};
use super::records::history_of_import;
use super::report::Report;
use super::serverdir::OldState;
use super::serverdir::files::OldFile;
use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::meta::{MetaStore, Operation, Record};
use crate::storage::mirrored::{FetchedContent, FetchedPart};
use crate::storage::model::{IndexName, Link, Serial, StoredPath};

/// How many units may be read ahead, and worked on at once.
const WINDOW: usize = 64;

/// How many records go into the store in one transaction, about.
const BATCH: usize = 512;

/// What becomes of files that are missing or not what is said of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// They are errors.
    Refuse,
    /// They are left out.
    Skip,
}

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
    let worker = Worker { intake, damaged, report };
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
    mut processed: futures_util::stream::LocalBoxStream<'_, Processed>,
    store: Option<&dyn MetaStore>,
    summary: &mut Summary,
) -> Result<(), StorageError> {
    let mut batch = Vec::new();
    while let Some(mut unit) = processed.next().await {
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
struct Worker {
    intake: Intake,
    damaged: Damaged,
    report: Arc<Report>,
}

impl Worker {
    async fn process(&self, unit: Unit) -> Processed {
        match unit {
            Unit::Records(records) => Processed { records, ..Processed::default() },
            Unit::Release { index, release, files } => {
                let mut processed = Processed { records: vec![release], ..Processed::default() };
                let all = files.into_iter().map(|file| self.take_release_file(&index, file));
                for (link, serial, taken) in join_all(all).await.into_iter().flatten() {
                    processed.add_link(&index, link, serial, taken);
                }
                processed
            }
            Unit::MirrorProject { records, files } => {
                let mut processed = Processed { records, ..Processed::default() };
                let all = files.into_iter().map(|file| self.take_fetched(file));
                for (file, taken) in join_all(all).await.into_iter().flatten() {
                    processed.add_fetched(file, taken);
                }
                processed
            }
        }
    }

    async fn take_release_file(
        &self,
        index: &IndexName,
        file: FileOfRelease,
    ) -> Option<(Link, Serial, Taken)> {
        let FileOfRelease { mut link, serial, source, entry } = file;
        let path = link.path.clone();
        let taken = match source {
            Some(source) => self.take(&path, source, &entry.hashes).await,
            None => Err(format!("The file for {path} is missing.")),
        };
        self.report.advance(1);
        match taken {
            Ok(taken) => {
                link.sha256 = taken.sha256;
                link.size = taken.size;
                if link.log.is_empty() {
                    link.log = history_of_import(index, link.uploaded_at);
                }
                Some((link, serial, taken))
            }
            Err(text) if self.damaged == Damaged::Skip => {
                self.report.warn(format!("{text} It is left out."));
                None
            }
            Err(text) => {
                self.report.fail(text);
                None
            }
        }
    }

    /// A file of a mirror that is not whole is as good as one that was never fetched.
    async fn take_fetched(&self, file: Fetched) -> Option<(Fetched, Taken)> {
        let taken = match file.source.clone() {
            Some(source) => self.take(&file.path, source, &file.entry.hashes).await,
            None => Err(format!("The file for {} is missing.", file.path)),
        };
        self.report.advance(1);
        match taken {
            Ok(taken) => Some((file, taken)),
            Err(text) => {
                self.report
                    .warn(format!("{text} It will be fetched from the upstream when it is asked for."));
                None
            }
        }
    }

    async fn take(
        &self,
        path: &StoredPath,
        source: OldFile,
        hashes: &[(Arc<str>, Arc<str>)],
    ) -> Result<Taken, String> {
        let taken = self.intake.take(source, path.file_name(), hashes).await;
        taken.map_err(|error| match error {
            IntakeError::Hash { .. } => format!("{path}: {error}."),
            error => format!("{path}: {:#}.", anyhow::Error::from(error)),
        })
    }
}

impl Processed {
    fn add_link(&mut self, index: &IndexName, link: Link, serial: Serial, taken: Taken) {
        let core_metadata = self.add_document(serial, &taken);
        let link = Link { core_metadata, ..link };
        self.add(serial, Operation::AddLink(index.clone(), Box::new(link)));
        self.count(&taken);
    }

    fn add_fetched(&mut self, file: Fetched, taken: Taken) {
        let core_metadata = self.add_document(file.serial, &taken);
        let content = FetchedContent { sha256: taken.sha256, size: taken.size, modified: file.modified };
        let part = FetchedPart::Content(content, core_metadata);
        let Fetched { index, project, path, serial, .. } = file;
        self.add(serial, Operation::PutFetched { index, project, path, part });
        self.count(&taken);
    }

    fn add_document(&mut self, serial: Serial, taken: &Taken) -> Option<Sha256> {
        let body = taken.core_metadata.as_ref()?;
        let sha256 = Sha256::of(body);
        self.add(serial, Operation::PutDocument(sha256, body.clone()));
        Some(sha256)
    }

    fn add(&mut self, serial: Serial, operation: Operation) {
        self.records.push(Record::Made(serial, Box::new(operation)));
    }

    fn count(&mut self, taken: &Taken) {
        self.files += 1;
        self.bytes += taken.size;
    }
}
