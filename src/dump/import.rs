//! Reading dumps (`import-export` section 2): those of devpi-server, of both versions of the layout, and ours.
//!
//! The list of the dump is kept as text and taken apart index by index. Each project is one change set, committed when
//! all its files are in the store. Everything that can be judged from the list alone is judged before anything is
//! written; what is wrong with files is told as it is found, for all files.

mod layout;
mod project;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use self::layout::{Dump, IndexOfDump, Pairs, read_index};
use self::project::ProjectOfDump;
use super::intake::{Damaged, Intake};
use super::records;
use crate::domain::acl::ROOT;
use crate::domain::config_value::ConfigError;
use crate::domain::index_config::IndexConfig;
use crate::domain::user::{NameError, check_name};
use crate::pep::name::ProjectName;
use crate::report::Report;
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, CommitError, MetaStore, Operation};
use crate::storage::model::{IndexName, IndexSettings, UserRecord};

/// The file with the list of all there is.
pub const LIST: &str = "dataindex.json";

/// The versions of the layout that are read.
const VERSIONS: [&str; 2] = ["1", "2"];

/// How many projects are worked on at once.
const WINDOW: usize = 64;

/// The mirror that root has.
const PYPI: &str = "pypi";

/// What is imported, and how.
pub struct ImportOptions {
    /// The directory of the dump.
    pub directory: PathBuf,
    /// The types of indexes that are left out.
    pub skipped_types: Vec<String>,
    /// What becomes of files that are missing or damaged.
    pub damaged: Damaged,
    /// The user root, if the dump has none.
    pub root: UserRecord,
    /// The settings of root/pypi; `None` if there is to be none, even if the dump has one.
    pub root_pypi: Option<IndexSettings>,
    /// When the import is said to have happened.
    pub now: Timestamp,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is no dump.
    #[error("path for importing not found: {0}")]
    NoDirectory(String),
    /// The list cannot be read.
    #[error("cannot read '{path}': {cause}")]
    Unreadable {
        /// The list.
        path: String,
        /// Why.
        cause: String,
    },
    /// Nobody knows this layout.
    #[error("incompatible dumpversion: {0}")]
    Version(String),
    /// What was told to the report makes it impossible.
    #[error("You could also try to edit {0} manually to fix the above errors.")]
    Invalid(String),
    /// What was told to the report makes it impossible.
    #[error("{0} files or projects cannot be imported, see above.{1}")]
    Incomplete(u64, &'static str),
    /// There are files of projects that their index does not have.
    #[error("Some files weren't imported: {0}")]
    Orphans(String),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What was imported, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportSummary {
    /// Users.
    pub users: usize,
    /// Indexes.
    pub indexes: usize,
    /// Projects.
    pub projects: u64,
    /// Files.
    pub files: u64,
}

/// The list of a dump, as a text.
pub fn read_list(directory: &Path) -> Result<String, ImportError> {
    if !directory.is_dir() {
        return Err(ImportError::NoDirectory(directory.display().to_string()));
    }
    let list = directory.join(LIST);
    std::fs::read_to_string(&list).map_err(|error| unreadable(&list, error))
}

/// A dump whose list was read and found to be good.
pub struct Import<'a> {
    options: &'a ImportOptions,
    plan: Plan,
    indexes: Pairs<'a>,
}

impl<'a> Import<'a> {
    /// Judges a list. What is wrong with it is told to the report.
    pub fn prepare(text: &'a str, options: &'a ImportOptions, report: &Report) -> Result<Self, ImportError> {
        let list = options.directory.join(LIST);
        let dump = Dump::read(text).map_err(|error| unreadable(&list, error))?;
        if !VERSIONS.contains(&dump.version.as_str()) {
            return Err(ImportError::Version(dump.version));
        }
        let files = dump.indexes.0.iter().map(|(_, raw)| count_files(raw.get())).sum();
        report.say(format!("Number of users: {}", dump.users.len()));
        report.say(format!("Number of indexes: {}", dump.indexes.0.len()));
        report.say(format!("Total number of files: {files}"));
        let plan = Plan::make(options, &dump, report);
        if report.errors() > 0 {
            return Err(ImportError::Invalid(list.display().to_string()));
        }
        report.expect(files);
        Ok(Self { options, plan, indexes: dump.indexes })
    }

    /// Imports everything into an empty store.
    pub async fn run(
        &self,
        intake: &Intake,
        store: &dyn MetaStore,
        report: &Report,
    ) -> Result<ImportSummary, ImportError> {
        let Self { options, plan, indexes } = self;
        let mut change = ChangeSet::new(None, options.now);
        for (user, record) in &plan.users {
            change = change.with(Operation::PutUser(Arc::clone(user), record.clone()));
        }
        for (index, settings) in &plan.indexes {
            change = change.with(Operation::PutIndex(index.clone(), settings.clone()));
        }
        commit(store, change).await?;
        let mut summary =
            ImportSummary { users: plan.users.len(), indexes: plan.indexes.len(), ..Default::default() };
        let mut orphans = Vec::new();
        for (name, raw) in &indexes.0 {
            let planned = IndexName::parse(name).and_then(|index| plan.indexes.get_key_value(&index));
            let Some((index, settings)) = planned else { continue };
            let contents = read_index(raw)
                .map_err(|error| unreadable(&options.directory.join(LIST), format!("{name}: {error}")))?;
            let units = group(index, settings, contents, &mut orphans);
            let mut done = stream::iter(units)
                .map(|unit| import_project(options, intake, store, report, unit))
                .buffer_unordered(WINDOW)
                .boxed_local();
            while let Some(files) = done.next().await {
                summary.files += files?;
                summary.projects += 1;
            }
        }
        if report.errors() > 0 {
            return Err(ImportError::Incomplete(report.errors(), options.damaged.hint()));
        }
        if orphans.is_empty() {
            return Ok(summary);
        }
        orphans.sort_unstable();
        Err(ImportError::Orphans(orphans.join(", ")))
    }
}

fn unreadable(list: &Path, cause: impl ToString) -> ImportError {
    ImportError::Unreadable { path: list.display().to_string(), cause: cause.to_string() }
}

/// About how many files an index has, without taking it apart.
fn count_files(text: &str) -> u64 {
    text.matches("\"relpath\"").count() as u64
}

/// Imports a project. Returns how many files it has.
async fn import_project(
    options: &ImportOptions,
    intake: &Intake,
    store: &dyn MetaStore,
    report: &Report,
    project: ProjectOfDump<'_>,
) -> Result<u64, ImportError> {
    let mut change = ChangeSet::new(None, options.now);
    let files = project.import(options, intake, store, report, &mut change).await?;
    if !change.operations.is_empty() {
        commit(store, change).await?;
    }
    Ok(files)
}

async fn commit(store: &dyn MetaStore, change: ChangeSet) -> Result<(), ImportError> {
    match store.commit(change).await {
        Ok(_) => Ok(()),
        Err(CommitError::Storage(error)) => Err(error.into()),
        Err(error @ CommitError::Outdated) => Err(StorageError::Failed(error.into()).into()),
    }
}

/// Users and indexes as they will be.
struct Plan {
    users: BTreeMap<Arc<str>, UserRecord>,
    indexes: BTreeMap<IndexName, IndexSettings>,
}

impl Plan {
    fn make(options: &ImportOptions, dump: &Dump<'_>, report: &Report) -> Self {
        let mut plan = Self { users: BTreeMap::new(), indexes: BTreeMap::new() };
        for (user, fields) in &dump.users {
            if let Err(error) = check_name("username", user) {
                report.fail(error);
                continue;
            }
            let mut record = records::user(fields.as_object().cloned().unwrap_or_default());
            if user == ROOT && fields.get("created").is_none() {
                record.created = options.now;
            }
            plan.users.insert(user.as_str().into(), record);
        }
        plan.users.entry(ROOT.into()).or_insert_with(|| options.root.clone());
        for (name, raw) in &dump.indexes.0 {
            plan.add_index(options, name, raw, report);
        }
        let root_pypi = IndexName::new(ROOT, PYPI);
        if let Some(settings) = &options.root_pypi {
            plan.indexes.entry(root_pypi).or_insert_with(|| settings.clone());
        }
        plan.warn_of_unknown_bases(report);
        plan
    }

    fn add_index(&mut self, options: &ImportOptions, name: &str, raw: &RawValue, report: &Report) {
        let config = match layout::read_config(raw) {
            Ok(config) => config,
            Err(error) => return report.fail(format!("index '{name}': {error}")),
        };
        let kind = config.get("type").and_then(Value::as_str).unwrap_or("stage").to_owned();
        if options.skipped_types.contains(&kind) {
            return;
        }
        let Some(index) = IndexName::parse(name) else {
            return report.fail(format!("the name of the index '{name}' is not of the form user/index"));
        };
        if index == IndexName::new(ROOT, PYPI) && options.root_pypi.is_none() {
            return;
        }
        if let Err(error) = check_name("indexname", &index.index) {
            report.fail(match error {
                // devpi names the whole index here.
                NameError::Characters { kind, .. } => NameError::Characters { kind, name: name.to_owned() },
                other @ NameError::TooLong { .. } => other,
            });
        }
        if !self.users.contains_key(&index.user) {
            return report.fail(format!("the index {index} is of a user that is not in the dump"));
        }
        match IndexConfig::import(&index.user, records::index_settings(config)) {
            Ok(config) => {
                self.indexes.insert(index, config.settings().clone());
            }
            Err(ConfigError::UnknownType(_)) => report.fail(format!(
                "Unknown index type '{kind}'. Did you forget to install the necessary plugin? You can also skip these \
                 with '--skip-import-type {kind}'."
            )),
            Err(error) => report.fail(format!("index {index}: {error}")),
        }
    }

    fn warn_of_unknown_bases(&self, report: &Report) {
        let known: BTreeSet<String> = self.indexes.keys().map(IndexName::to_string).collect();
        let configs = self.indexes.values().cloned().map(IndexConfig::from_settings);
        let bases: BTreeSet<String> =
            configs.flat_map(|config| config.base_specs().map(str::to_owned).collect::<Vec<_>>()).collect();
        let unknown: Vec<&str> = bases.difference(&known).map(String::as_str).collect();
        if !unknown.is_empty() {
            report.warn(format!(
                "The following indexes are in bases, but don't exist in the import data: {}",
                unknown.join(", ")
            ));
        }
    }
}

/// The projects of an index with their files. Those of files that have none are added to `orphans`.
fn group<'a>(
    index: &IndexName,
    settings: &IndexSettings,
    contents: IndexOfDump<'a>,
    orphans: &mut Vec<String>,
) -> Vec<ProjectOfDump<'a>> {
    let config = Arc::new(IndexConfig::from_settings(settings.clone()));
    let mut projects: BTreeMap<String, ProjectOfDump<'a>> = BTreeMap::new();
    for (name, releases) in contents.projects.0 {
        let name = ProjectName::from_url(&name);
        let new = || ProjectOfDump::new(index.clone(), Arc::clone(&config), name.clone());
        projects.entry(name.normal().to_owned()).or_insert_with(new).releases.push(releases);
    }
    for file in contents.files {
        match projects.get_mut(ProjectName::from_url(&file.projectname).normal()) {
            Some(project) => project.files.push(file),
            None => orphans.push(file.relpath),
        }
    }
    projects.into_values().collect()
}

/// The keys of a release's metadata that are devpi's own, and dropped.
fn without_own_keys(mut fields: Map<String, Value>, what: &str, report: &Report) -> Map<String, Value> {
    fields.shift_remove("+doczip");
    fields.shift_remove(":action");
    fields.retain(|key, _| {
        let is_own = key.starts_with('+');
        if is_own {
            report.warn(format!("{what}: the key '{key}' is not imported"));
        }
        !is_own
    });
    fields
}
