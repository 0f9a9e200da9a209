//! The walk over the old state: users, indexes, projects, releases, files, and then the change log.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::Summary;
use crate::domain::index_config::{IndexConfig, IndexKind};
use crate::dump::records::{self, FileEntry, OldLink};
use crate::dump::serverdir::OldState;
use crate::dump::serverdir::files::OldFile;
use crate::dump::serverdir::keys::{Found, KeyError};
use crate::pep::digest::Sha256;
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::ProjectName;
use crate::report::Report;
use crate::storage::meta::{ExistingMetadata, Operation, Record};
use crate::storage::mirrored::{MirrorPage, Validators};
use crate::storage::model::{IndexName, Link, Relation, Serial, StoredPath};

/// The kinds of keys that are files.
pub(super) const FILE_KINDS: [&str; 2] = ["STAGEFILE", "PYPIFILE_NOMD5"];

/// Kinds of keys of devpi-server that say nothing that is of use here.
const UNUSED_KINDS: [&str; 1] = ["MIRRORNAMESINIT"];

/// The kinds of keys that are read.
const READ_KINDS: [&str; 8] = [
    "USERLIST",
    "USER",
    "PROJNAMES",
    "PROJVERSIONS",
    "PROJVERSION",
    "PROJSIMPLELINKS",
    FILE_KINDS[0],
    FILE_KINDS[1],
];

/// The beginning of the keys in a release's metadata that are devpi's own.
const OWN_KEY: char = '+';

/// A piece of the work.
pub(super) enum Unit {
    /// Records that are ready.
    Records(Vec<Record>),
    /// A release and its files.
    Release { index: IndexName, release: Record, files: Vec<FileOfRelease> },
    /// What there is of a project of a mirror.
    MirrorProject { records: Vec<Record>, files: Vec<Fetched> },
}

/// A file of a release that is to be taken in.
pub(super) struct FileOfRelease {
    /// The link, without what only the content tells.
    pub(super) link: Link,
    pub(super) serial: Serial,
    pub(super) source: Option<OldFile>,
    pub(super) entry: FileEntry,
}

/// A file of a mirror that is to be taken in.
pub(super) struct Fetched {
    pub(super) index: IndexName,
    pub(super) project: ProjectName,
    pub(super) path: StoredPath,
    pub(super) serial: Serial,
    pub(super) modified: Timestamp,
    pub(super) source: Option<OldFile>,
    pub(super) entry: FileEntry,
}

/// Whoever takes the units does not want any more.
pub(super) struct Unwanted;

/// A walk under way.
pub(super) struct Walk {
    pub(super) state: OldState,
    units: mpsc::Sender<Unit>,
    pub(super) report: Arc<Report>,
    pub(super) summary: Summary,
    /// Hashes of the paths of all files that were met: the paths themselves would take ten times the memory.
    met: HashSet<u64>,
    hashes: RandomState,
    /// The mirrors among the indexes.
    pub(super) mirrors: HashSet<IndexName>,
}

impl Walk {
    pub(super) fn new(state: OldState, units: mpsc::Sender<Unit>, report: Arc<Report>) -> Self {
        let summary = Summary { serial: state.keys.serial(), ..Summary::default() };
        let (met, mirrors) = (HashSet::new(), HashSet::new());
        Self { state, units, report, summary, met, hashes: RandomState::new(), mirrors }
    }

    /// Walks over everything. Blocks.
    pub(super) fn run(mut self) -> Summary {
        self.announce();
        // If the units are unwanted, whoever took them has an error to tell.
        if self.walk_users().is_ok() && self.walk_history().is_ok() {
            match self.state.keys.newest_serial() {
                Ok(newest) => self.summary.is_behind = newest != self.summary.serial,
                Err(error) => self.report.fail(error),
            }
        }
        self.summary
    }

    fn announce(&mut self) {
        let counts = FILE_KINDS.map(|kind| self.state.keys.count(kind));
        let total: Result<Vec<u64>, KeyError> = counts.into_iter().collect();
        self.report.expect(self.or_fail(total).map_or(0, |counts| counts.iter().sum()));
        for kind in self.or_fail(self.state.keys.key_names()).unwrap_or_default() {
            if !READ_KINDS.contains(&kind.as_str()) && !UNUSED_KINDS.contains(&kind.as_str()) {
                self.report.warn(format!("Keys of the kind {kind}, of a plugin, are not taken over."));
            }
        }
    }

    fn walk_users(&mut self) -> Result<(), Unwanted> {
        // Every server has at least the user root.
        let Some(list) = self.require(".config") else { return Ok(()) };
        for user in texts(&list.value) {
            let Some(found) = self.require(&format!("{user}/.config")) else { continue };
            let Value::Object(mut fields) = found.value else {
                self.report.fail(format!("The user {user} is damaged in serial {}.", found.serial));
                continue;
            };
            let indexes = fields.remove("indexes");
            let user: Arc<str> = user.into();
            self.summary.users += 1;
            let serial = serial_of(found.serial);
            let record = Operation::PutUser(Arc::clone(&user), records::user(fields));
            self.send(Unit::Records(vec![made(serial, record)]))?;
            let indexes = indexes.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
            for (name, settings) in indexes {
                let index = IndexName::new(Arc::clone(&user), name);
                let Value::Object(settings) = settings else {
                    self.report.fail(format!("The index {index} is damaged in serial {}.", found.serial));
                    continue;
                };
                self.walk_index(&index, serial, records::index_settings(settings))?;
            }
        }
        Ok(())
    }

    fn walk_index(
        &mut self,
        index: &IndexName,
        serial: Serial,
        settings: Map<String, Value>,
    ) -> Result<(), Unwanted> {
        self.summary.indexes += 1;
        let config = IndexConfig::from_settings(settings.clone());
        self.send(Unit::Records(vec![made(serial, Operation::PutIndex(index.clone(), settings))]))?;
        let projects = self.get(&format!("{index}/.projects"));
        let projects = projects.map(|found| texts(&found.value)).unwrap_or_default();
        if config.kind() == IndexKind::Mirror {
            self.mirrors.insert(index.clone());
            let source = config.mirror_settings().source();
            for project in projects {
                self.walk_mirror_project(index, &project, &source)?;
            }
            return Ok(());
        }
        for project in projects {
            self.walk_project(index, &project)?;
        }
        Ok(())
    }

    fn walk_project(&mut self, index: &IndexName, project: &str) -> Result<(), Unwanted> {
        self.summary.projects += 1;
        let name = ProjectName::from_url(project);
        let found = self.get(&format!("{index}/{project}/.versions"));
        let versions = found.as_ref().map(|found| texts(&found.value)).unwrap_or_default();
        if versions.is_empty() {
            let serial = serial_of(found.map_or(0, |found| found.serial));
            return self.send(Unit::Records(vec![made(serial, Operation::PutProject(index.clone(), name))]));
        }
        for version in versions {
            let key = format!("{index}/{project}/{version}/.config");
            let Some(found) = self.require(&key) else { continue };
            let Value::Object(fields) = found.value else {
                self.report.fail(format!("{key} is damaged in serial {}.", found.serial));
                continue;
            };
            self.walk_release(index, &name, &version, serial_of(found.serial), fields)?;
        }
        Ok(())
    }

    fn walk_release(
        &mut self,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
        serial: Serial,
        mut fields: Map<String, Value>,
    ) -> Result<(), Unwanted> {
        self.summary.releases += 1;
        let version: Arc<str> = version.into();
        let links = fields.remove("+elinks");
        let metadata = fields.into_iter().filter(|(key, _)| !key.starts_with(OWN_KEY)).collect();
        let release = Operation::PutRelease {
            index: index.clone(),
            project: project.clone(),
            version: Arc::clone(&version),
            metadata: ReleaseMetadata::from_map(metadata),
            existing: ExistingMetadata::Replace,
        };
        let mut files = Vec::new();
        for fields in links.as_ref().and_then(Value::as_array).into_iter().flatten() {
            let Some(old) = fields.as_object().and_then(OldLink::read) else {
                self.report.warn(format!(
                    "A link of {index} {}-{version} is of an unknown kind and not taken over: {fields}",
                    project.normal()
                ));
                continue;
            };
            if let Some(file) = self.file_of_release(project, &version, serial, old) {
                files.push(file);
            }
        }
        self.send(Unit::Release { index: index.clone(), release: made(serial, release), files })
    }

    fn file_of_release(
        &mut self,
        project: &ProjectName,
        version: &Arc<str>,
        release_serial: Serial,
        old: OldLink,
    ) -> Option<FileOfRelease> {
        self.meet(&old.path);
        let found = self.state.keys.get(&old.path);
        let found = self.or_fail(found)?;
        let serial = found.as_ref().map_or(release_serial, |found| serial_of(found.serial));
        let entry = found.as_ref().and_then(|found| found.value.as_object()).map(FileEntry::read);
        // Without one the file was deleted, but not the link: it will be found missing.
        let is_gone = entry.is_none();
        let entry = entry.unwrap_or_default();
        let path = StoredPath::new(old.path);
        let log = old.log.unwrap_or_default();
        let link = Link {
            relation: old.relation,
            for_path: old.for_path.filter(|_| old.relation == Relation::ToxResult).map(StoredPath::new),
            file_name: path.file_name().into(),
            project: project.clone(),
            version: Arc::clone(version),
            // These three are known when the content was read.
            sha256: Sha256::from([0; 32]),
            size: 0,
            core_metadata: None,
            uploaded_at: entry.last_modified.unwrap_or(Timestamp::UNIX_EPOCH),
            log,
            path,
        };
        let source = if is_gone { None } else { self.find_file(&link.path)? };
        Some(FileOfRelease { link, serial, source, entry })
    }

    fn walk_mirror_project(
        &mut self,
        index: &IndexName,
        project: &str,
        source: &Arc<str>,
    ) -> Result<(), Unwanted> {
        let Some(found) = self.get(&format!("{index}/{project}/.simple")) else { return Ok(()) };
        self.summary.projects += 1;
        let name = ProjectName::from_url(project);
        let page = found.value.as_object().cloned().unwrap_or_default();
        let item =
            |key: &str, place: usize| page.get(key).and_then(Value::as_array).and_then(|all| all.get(place));
        let links = page.get("links").and_then(Value::as_array).cloned().unwrap_or_default();
        let (mut listed, mut files) = (Vec::new(), Vec::new());
        for (place, link) in links.iter().enumerate() {
            let Some(href) = link[1].as_str() else { continue };
            let path = href.split_once('#').map_or(href, |(path, _)| path);
            self.meet(path);
            let Some(found) = self.get(path) else {
                // The upstream's page will tell of it again.
                self.report.warn(format!("Nothing is known of the file {path}, which {index} lists."));
                continue;
            };
            let entry = found.value.as_object().map(FileEntry::read).unwrap_or_default();
            let path = StoredPath::new(path);
            let (requires_python, yanked) = (item("requires_python", place), item("yanked", place));
            listed.push(records::listed_file(path.clone(), &entry, requires_python, yanked));
            files.extend(self.fetched(index, &name, path, &found, entry));
        }
        let etag = page.get("etag").and_then(Value::as_str).map(str::to_owned);
        let page = MirrorPage {
            files: listed,
            validators: Validators { etag, last_modified: None },
            serial: page.get("serial").and_then(Value::as_u64),
            source: Arc::clone(source),
            ..MirrorPage::default()
        };
        let Some(put) = self.or_fail(records::put_page(index, &name, &page)) else { return Ok(()) };
        let put = made(serial_of(found.serial), put);
        self.send(Unit::MirrorProject { records: vec![put], files })
    }

    /// The content of a file of a mirror, if it was ever here.
    pub(super) fn fetched(
        &self,
        index: &IndexName,
        project: &ProjectName,
        path: StoredPath,
        found: &Found,
        entry: FileEntry,
    ) -> Option<Fetched> {
        let modified = entry.last_modified?;
        let source = self.find_file(&path)?;
        let (index, project, serial) = (index.clone(), project.clone(), serial_of(found.serial));
        Some(Fetched { index, project, path, serial, modified, source, entry })
    }

    /// Where a content is; `None` after an error that was told.
    #[expect(clippy::option_option, reason = "the inner one says that there is none")]
    fn find_file(&self, path: &StoredPath) -> Option<Option<OldFile>> {
        match self.state.files.find(path.as_str()) {
            Ok(source) => Some(source),
            Err(error) => {
                self.report.fail(format!("{path}: {error}"));
                None
            }
        }
    }

    pub(super) fn send(&self, unit: Unit) -> Result<(), Unwanted> {
        self.units.blocking_send(unit).map_err(|_| Unwanted)
    }

    fn meet(&mut self, path: &str) {
        self.met.insert(self.hashes.hash_one(path));
    }

    pub(super) fn has_met(&self, path: &str) -> bool {
        self.met.contains(&self.hashes.hash_one(path))
    }

    fn get(&mut self, key: &str) -> Option<Found> {
        let found = self.state.keys.get(key);
        self.or_fail(found).flatten()
    }

    /// The value of a key that another one names.
    fn require(&mut self, key: &str) -> Option<Found> {
        let found = self.state.keys.get(key);
        let found = self.or_fail(found)?;
        if found.is_none() {
            self.report.fail(format!("The key {key} is missing."));
        }
        found
    }

    pub(super) fn or_fail<T>(&self, result: Result<T, impl Display>) -> Option<T> {
        result.map_err(|error| self.report.fail(error)).ok()
    }
}

pub(super) fn made(serial: Serial, operation: Operation) -> Record {
    Record::Made(serial, Box::new(operation))
}

pub(super) fn serial_of(serial: i64) -> Serial {
    Serial(u64::try_from(serial).unwrap_or(0))
}

/// The texts of a set, in order.
fn texts(value: &Value) -> Vec<String> {
    let mut texts: Vec<String> =
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    texts.sort_unstable();
    texts
}
