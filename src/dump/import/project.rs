//! One project of a dump: its releases and files, as a change set.

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::Arc;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::layout::{FileOfDump, Pairs};
use super::{ImportError, ImportOptions, without_own_keys};
use crate::domain::docs::docs_file_name;
use crate::domain::history;
use crate::domain::index_config::{IndexConfig, IndexKind};
use crate::domain::upload_form::check_metadata;
use crate::dump::documents::Documents;
use crate::dump::intake::{Damaged, Intake, Taken};
use crate::dump::records::{FileEntry, listed_file, put_page};
use crate::dump::serverdir::files::OldFile;
use crate::pep::filename::split_file_name;
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::ProjectName;
use crate::report::Report;
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, ExistingMetadata, MetaStore, Operation};
use crate::storage::mirrored::{FetchedContent, FetchedPart, MirrorPage};
use crate::storage::model::{IndexName, Link, Relation, StoredPath};

/// A project of an index, in all spellings of its name.
pub(super) struct ProjectOfDump<'a> {
    index: IndexName,
    config: Arc<IndexConfig>,
    name: ProjectName,
    /// The releases by version, once for each spelling.
    pub(super) releases: Vec<&'a RawValue>,
    pub(super) files: Vec<FileOfDump>,
}

/// A file that was taken in.
struct TakenFile {
    file: FileOfDump,
    entry: FileEntry,
    relation: Relation,
    name: Arc<str>,
    version: Arc<str>,
    taken: Taken,
}

impl ProjectOfDump<'_> {
    pub(super) fn new(index: IndexName, config: Arc<IndexConfig>, name: ProjectName) -> Self {
        Self { index, config, name, releases: Vec::new(), files: Vec::new() }
    }

    /// Adds the project to a change. Returns how many files it has.
    pub(super) async fn import(
        mut self,
        options: &ImportOptions,
        intake: &Intake,
        store: &dyn MetaStore,
        report: &Report,
        change: &mut ChangeSet,
    ) -> Result<u64, ImportError> {
        let releases = self.read_releases(report);
        let files = std::mem::take(&mut self.files);
        let documents = Documents::new(Some(store));
        let all = files.into_iter().map(|file| self.take(options, intake, &documents, report, file));
        let files: Vec<TakenFile> = try_join_all(all).await?.into_iter().flatten().collect();
        change.operations.extend(documents.into_operations());
        let count = files.len() as u64;
        match self.config.kind() {
            IndexKind::Mirror => self.put_mirror(&releases, files, change)?,
            IndexKind::Stage => self.put_stage(options, releases, files, report, change),
        }
        Ok(count)
    }

    /// The metadata by version; of several spellings the later one counts.
    fn read_releases(&self, report: &Report) -> BTreeMap<String, Map<String, Value>> {
        let mut releases = BTreeMap::new();
        for raw in &self.releases {
            let versions: Pairs<'_> = match serde_json::from_str(raw.get()) {
                Ok(versions) => versions,
                Err(error) => {
                    report.fail(format!("{} {}: {error}", self.index, self.name.normal()));
                    continue;
                }
            };
            for (version, raw) in versions.0 {
                match serde_json::from_str::<Map<String, Value>>(raw.get()) {
                    Ok(fields) => {
                        releases.insert(version, fields);
                    }
                    Err(error) => {
                        report.fail(format!("{} {}-{version}: {error}", self.index, self.name.normal()));
                    }
                }
            }
        }
        releases
    }

    async fn take(
        &self,
        options: &ImportOptions,
        intake: &Intake,
        documents: &Documents<'_>,
        report: &Report,
        file: FileOfDump,
    ) -> Result<Option<TakenFile>, StorageError> {
        let found = self.find(options, intake, documents, &file).await;
        report.advance(1);
        Ok(match found {
            Ok((relation, name, entry, taken)) => {
                let version = match &file.version {
                    Some(version) => version.as_str().into(),
                    None => split_file_name(&name).version.into(),
                };
                Some(TakenFile { file, entry, relation, name, version, taken })
            }
            Err(Unusable::Damaged(text)) if options.damaged == Damaged::Skip => {
                report.warn(format!("{text} It is left out."));
                None
            }
            Err(Unusable::Damaged(text) | Unusable::Odd(text)) => {
                report.fail(text);
                None
            }
            Err(Unusable::Storage(error)) => return Err(error),
        })
    }

    async fn find(
        &self,
        options: &ImportOptions,
        intake: &Intake,
        documents: &Documents<'_>,
        file: &FileOfDump,
    ) -> Result<(Relation, Arc<str>, FileEntry, Taken), Unusable> {
        let odd = |what: &str| Unusable::Odd(format!("{}: {what}", file.relpath));
        let relation = Relation::parse(&file.kind)
            .ok_or_else(|| odd(&format!("files of the type '{}' are unknown", file.kind)))?;
        let is_below = Path::new(&file.relpath).components().all(|part| matches!(part, Component::Normal(_)));
        let last_part = file.relpath.rsplit('/').next().unwrap_or_default();
        if !is_below || last_part.is_empty() {
            return Err(odd("the path leaves the dump"));
        }
        let name = file.filename.as_deref().unwrap_or(last_part);
        if name.contains('/') || matches!(name, "" | "." | "..") {
            return Err(odd(&format!("'{name}' is no name for a file")));
        }
        let mut entry = FileEntry::read(&file.entrymapping);
        if relation == Relation::ToxResult && is_hash_of_directory(&entry, &file.relpath) {
            // A fault of devpi-server 6.5 to 6.8: it noted the hash of the tested file.
            entry.hashes.clear();
        }
        let path = options.directory.join(&file.relpath);
        if !path.is_file() {
            return Err(Unusable::Damaged(format!("The file at {} is missing.", path.display())));
        }
        let name: Arc<str> = name.into();
        match intake.take(OldFile::Path(path.clone()), &name, &entry.hashes, documents).await {
            Ok(taken) => Ok((relation, name, entry, taken)),
            Err(error) => Err(Unusable::Damaged(format!("{}: {}", path.display(), error.damage()?))),
        }
    }

    fn put_stage(
        &self,
        options: &ImportOptions,
        releases: BTreeMap<String, Map<String, Value>>,
        files: Vec<TakenFile>,
        report: &Report,
        change: &mut ChangeSet,
    ) {
        if releases.is_empty() {
            let operation = Operation::PutProject(self.index.clone(), self.name.clone());
            change.operations.push(operation);
        }
        let mut registered = Vec::new();
        for (version, fields) in releases {
            let what = format!("{} {}-{version}", self.index, self.name.normal());
            let mut fields = without_own_keys(fields, &what, report);
            if fields.get("version").and_then(Value::as_str).is_none_or(str::is_empty) {
                report.warn(format!(
                    "{}: version metadata has no explicit version, setting derived {version}",
                    self.name.normal()
                ));
                fields.insert("version".to_owned(), version.into());
            }
            let metadata = ReleaseMetadata::from_map(fields);
            match check_metadata(&metadata) {
                Ok((name, version)) if name == self.name => {
                    registered.push(Arc::clone(&version));
                    change.operations.push(Operation::PutRelease {
                        index: self.index.clone(),
                        project: name,
                        version,
                        metadata,
                        existing: ExistingMetadata::Replace,
                    });
                }
                Ok((name, _)) => {
                    report.fail(format!("{what}: its metadata are those of {}", name.normal()));
                }
                Err(error) => report.fail(format!("{what}: {error}")),
            }
        }
        let mut links: Vec<Link> = Vec::new();
        let (tested, others): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.relation == Relation::ReleaseFile);
        for file in tested.into_iter().chain(others) {
            if !registered.contains(&file.version) {
                let text = format!("{}: there is no version {}", file.file.relpath, file.version);
                report.fail(text);
                continue;
            }
            let Some(link) = self.link(options, &file, &links, report) else { continue };
            links.push(link.clone());
            change.operations.push(Operation::AddLink(self.index.clone(), Box::new(link)));
        }
    }

    fn link(
        &self,
        options: &ImportOptions,
        file: &TakenFile,
        links: &[Link],
        report: &Report,
    ) -> Option<Link> {
        let TakenFile { entry, relation, version, taken, .. } = file;
        let uploaded_at = entry.last_modified.unwrap_or(options.now);
        let mut file_name = Arc::clone(&file.name);
        let mut for_path = None;
        let path = match relation {
            Relation::ReleaseFile => StoredPath::for_upload(&self.index, &taken.sha256, &file_name),
            Relation::DocZip => {
                file_name = docs_file_name(&self.name, version).into();
                StoredPath::for_upload(&self.index, &taken.sha256, &file_name)
            }
            Relation::ToxResult => {
                let tested = file.file.for_entrypath.as_deref().unwrap_or_default();
                let tested = tested.rsplit('/').next().unwrap_or_default();
                let is_tested = |link: &&Link| {
                    link.relation == Relation::ReleaseFile
                        && *link.file_name == *tested
                        && link.version == *version
                };
                let Some(tested) = links.iter().find(is_tested) else {
                    report.warn(format!("{}: the tested file was not imported", file.file.relpath));
                    return None;
                };
                for_path = Some(tested.path.clone());
                StoredPath::for_upload(&self.index, &tested.sha256, &file_name)
            }
        };
        let has_place = |link: &Link| {
            link.version == *version && link.relation == *relation && link.file_name == file_name
        };
        if links.iter().any(has_place) {
            report.warn(format!("{}: there are two files of this name, the first counts", file.file.relpath));
            return None;
        }
        let log = match &file.file.log {
            Some(log) => history::read(log),
            None => history::of_import(&self.index, options.now),
        };
        Some(Link {
            relation: *relation,
            path,
            for_path,
            file_name,
            project: self.name.clone(),
            version: Arc::clone(version),
            sha256: taken.sha256,
            size: taken.size,
            uploaded_at,
            core_metadata: taken.core_metadata,
            log,
        })
    }

    /// A mirror has no pages in a dump; one is made of the files.
    fn put_mirror(
        &self,
        releases: &BTreeMap<String, Map<String, Value>>,
        files: Vec<TakenFile>,
        change: &mut ChangeSet,
    ) -> Result<(), StorageError> {
        let source = self.config.mirror_settings().source();
        let path_of = |file: &TakenFile| StoredPath::for_upload(&self.index, &file.taken.sha256, &file.name);
        let listed = files.iter().map(|file| {
            let value = |key: &str| releases.get(&*file.version).and_then(|release| release.get(key));
            // Whatever its upstream said, here it is known by this one.
            let hashes = vec![("sha256".into(), file.taken.sha256.to_string().into())];
            let entry = FileEntry { hashes, ..file.entry.clone() };
            listed_file(path_of(file), &entry, value("requires_python"), value("yanked"))
        });
        let page = MirrorPage { files: listed.collect(), source, ..MirrorPage::default() };
        change.operations.push(put_page(&self.index, &self.name, &page)?);
        for file in files {
            let content = FetchedContent {
                sha256: file.taken.sha256,
                size: file.taken.size,
                modified: file.entry.last_modified.unwrap_or(Timestamp::UNIX_EPOCH),
            };
            let path = path_of(&file);
            change.operations.push(Operation::PutFetched {
                index: self.index.clone(),
                project: self.name.clone(),
                path,
                part: FetchedPart::Content(content, file.taken.core_metadata),
            });
        }
        Ok(())
    }
}

/// Why a file of a dump is of no use.
enum Unusable {
    /// Its content is missing or not what is said of it.
    Damaged(String),
    /// What is said of it makes no sense.
    Odd(String),
    /// That is not it: the store failed.
    Storage(StorageError),
}

impl From<StorageError> for Unusable {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Whether the hash that is said of a test result is that of the file that was tested, after which its directory is
/// called.
fn is_hash_of_directory(entry: &FileEntry, relpath: &str) -> bool {
    let directory = relpath.rsplit('/').nth(1).unwrap_or_default();
    entry.hashes.iter().any(|(algorithm, value)| format!("{algorithm}={value}") == directory)
}
