//! The change log: which serial touched what, which files were removed, and which nothing leads to.

use std::collections::HashSet;

use jiff::Timestamp;

use super::walk::{FILE_KINDS, Unit, Unwanted, Walk, serial_of};
use crate::dump::records::FileEntry;
use crate::dump::serverdir::entry::{Entry, KeyChange};
use crate::dump::serverdir::keys::{Found, KeyError};
use crate::pep::name::ProjectName;
use crate::storage::meta::{Change, Operation, Record, Refetch};
use crate::storage::model::{IndexName, StoredPath, Touched};

/// How many records go through the channel at once.
const GROUP: usize = 64;

/// What is to be done about a file beside its place in the change log.
enum FileChange {
    Removed(StoredPath),
    Unlinked(StoredPath),
}

impl Walk {
    /// Walks over the change log. Entries of which nothing counts any more may be damaged: nothing needs them.
    pub(super) fn walk_history(&mut self) -> Result<(), Unwanted> {
        let mut when = Timestamp::UNIX_EPOCH;
        let mut group = Vec::with_capacity(GROUP);
        for serial in 0..=self.summary.serial {
            let mut touched = Vec::new();
            match self.state.keys.read_entry(serial) {
                Ok(Some(entry)) => {
                    when = when.max(time_of(&entry).unwrap_or(when));
                    touched = touched_by(&entry);
                    for change in self.file_changes(&entry, serial) {
                        group.extend(self.judge(change, serial)?);
                    }
                }
                // Other storages leave gaps.
                Ok(None) => {}
                Err(error @ KeyError::Entry { .. }) => {
                    self.report.warn(format!("{error}; what it changed is not in the change log"));
                }
                Err(error) => {
                    self.report.fail(error);
                    return Ok(());
                }
            }
            let change = Change { serial: serial_of(serial), when, who: None, touched };
            group.push(Record::Change(change));
            if group.len() >= GROUP {
                self.send(Unit::Records(std::mem::take(&mut group)))?;
            }
        }
        self.send(Unit::Records(group))
    }

    /// The files of an entry that are removed, or to which nothing leads.
    fn file_changes(&mut self, entry: &Entry, serial: i64) -> Vec<FileChange> {
        let mut changes = Vec::new();
        for change in entry.changes().filter(|change| FILE_KINDS.contains(&change.key_name)) {
            if !change.is_deletion() && self.has_met(change.path) {
                continue;
            }
            let is_current = self.state.keys.is_current(&change, serial);
            if self.or_fail(is_current) == Some(true) {
                let path = StoredPath::new(change.path);
                let kind = if change.is_deletion() { FileChange::Removed } else { FileChange::Unlinked };
                changes.push(kind(path));
            }
        }
        changes
    }

    fn judge(&mut self, change: FileChange, serial: i64) -> Result<Option<Record>, Unwanted> {
        match change {
            FileChange::Removed(path) => {
                self.summary.removed_files += 1;
                Ok(Some(self.removed(path, serial)))
            }
            FileChange::Unlinked(path) => {
                let found = self.state.keys.value_since(path.as_str(), serial);
                if let Some(found) = self.or_fail(found).flatten() {
                    self.unlinked(path, &found)?;
                }
                Ok(None)
            }
        }
    }

    /// A file that was removed. A mirror fetches it again only when its upstream's page changes.
    fn removed(&mut self, path: StoredPath, serial: i64) -> Record {
        let index = index_of(path.as_str()).filter(|index| self.mirrors.contains(index));
        let Some(index) = index else { return Record::FormerFile(serial_of(serial), path) };
        let entry = self.state.keys.entry(serial);
        let before = self.or_fail(entry).flatten();
        let before = before.and_then(|entry| Some(entry.change(path.as_str())?.back_serial)).unwrap_or(-1);
        let before = self.state.keys.value_since(path.as_str(), before);
        let before = self.or_fail(before).flatten();
        let entry = before.and_then(|found| found.value.as_object().map(FileEntry::read)).unwrap_or_default();
        let project = ProjectName::from_url(&entry.project.unwrap_or_default());
        let operation = Operation::RemoveFetched { index, project, path, refetch: Refetch::Refused };
        Record::Made(serial_of(serial), Box::new(operation))
    }

    /// A file that no page lists. A mirror still has it for whoever knows its path.
    fn unlinked(&mut self, path: StoredPath, found: &Found) -> Result<(), Unwanted> {
        let entry = found.value.as_object().map(FileEntry::read).unwrap_or_default();
        if entry.last_modified.is_none() {
            return Ok(());
        }
        let index = index_of(path.as_str());
        let Some(index) = index.filter(|index| self.mirrors.contains(index)) else {
            self.report.warn(format!("No release leads to the file {path}, which is not taken over."));
            return Ok(());
        };
        let Some(project) = entry.project.as_deref().map(ProjectName::from_url) else {
            self.report
                .warn(format!("Nobody knows the project of the file {path}, which is not taken over."));
            return Ok(());
        };
        let page = self.state.keys.get(&format!("{index}/{}/.simple", project.normal()));
        if self.or_fail(page).flatten().is_none() {
            self.report.warn(format!("The project of the file {path} is gone, so it is not taken over."));
            return Ok(());
        }
        let files = self.fetched(&index, &project, path, found, entry).into_iter().collect();
        self.send(Unit::MirrorProject { records: Vec::new(), files })
    }
}

/// What an entry touched.
fn touched_by(entry: &Entry) -> Vec<Touched> {
    let mut seen = HashSet::new();
    let all = entry.changes().filter_map(|change| touched(&change));
    all.filter(|touched| seen.insert(touched.clone())).collect()
}

fn touched(change: &KeyChange<'_>) -> Option<Touched> {
    let index = || index_of(change.path);
    Some(match change.key_name {
        "USER" => Touched::User(change.path.split('/').next()?.into()),
        "PROJNAMES" => Touched::ProjectList(index()?),
        "PROJVERSIONS" | "PROJVERSION" | "PROJSIMPLELINKS" => {
            Touched::Project(index()?, ProjectName::from_url(change.path.split('/').nth(2)?))
        }
        kind if FILE_KINDS.contains(&kind) => Touched::File(StoredPath::new(change.path)),
        _ => return None,
    })
}

/// The index in which a path lies.
fn index_of(path: &str) -> Option<IndexName> {
    let mut parts = path.split('/');
    Some(IndexName::new(parts.next()?, parts.next()?))
}

/// When an entry was written, as far as it tells: devpi's change log has no times of its own.
fn time_of(entry: &Entry) -> Option<Timestamp> {
    let change = entry.changes().find(|change| {
        !change.is_deletion() && (FILE_KINDS.contains(&change.key_name) || change.key_name == "USER")
    })?;
    // A damaged value is told where it counts.
    let value = change.value().ok()?;
    let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str);
    match text("last_modified") {
        Some(date) => crate::dump::records::http_date(date),
        None => text("modified").or_else(|| text("created")).and_then(|time| time.parse().ok()),
    }
}
