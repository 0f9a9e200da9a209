//! Writing dumps that the Python devpi-import reads (`import-export` section 1).
//!
//! All of a dump is one snapshot. The list is written while the stores are read: index by index, project by project.

mod entries;
mod places;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::{Map, Value, json};

use self::entries::FileToDump;
use self::places::Places;
use super::import::LIST;
use crate::ascii_json;
use crate::domain::index_config::{IndexConfig, IndexKind};
use crate::domain::user::render_time;
use crate::pep::digest::Sha256;
use crate::report::Report;
use crate::storage::StorageError;
use crate::storage::files::{FileStore, Transfer};
use crate::storage::meta::Snapshot;
use crate::storage::model::{IndexName, UserRecord};
use crate::version::DEVPI_VERSION;

/// The version of the layout.
const DUMP_VERSION: &str = "2";

/// Informational: the Python with which a devpi-server would have written the dump.
const PYTHON_VERSION: (u8, u8, u8, &str, u8) = (3, 11, 0, "final", 0);

/// How many files are written at once.
const WINDOW: usize = 16;

/// The indentation of one level.
const INDENTATION: &str = "  ";

/// What is dumped, and how.
pub struct ExportOptions {
    /// Where the dump goes: a directory that is empty or not there.
    pub directory: PathBuf,
    /// Whether files of mirrors come along.
    pub mirrored_files: bool,
    /// How files come there.
    pub way: Transfer,
}

/// Why a dump was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Something else is there.
    #[error("export directory {0} must not exist or be empty")]
    InUse(String),
    /// A content is not there.
    #[error("The file for {0} is missing.")]
    Missing(String),
    /// The dump cannot be written.
    #[error("cannot write '{path}': {cause}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// How much was dumped.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportSummary {
    /// Indexes.
    pub indexes: usize,
    /// Files.
    pub files: u64,
    /// The length of the list in bytes.
    pub list_bytes: u64,
}

/// Writes a dump.
pub async fn export(
    snapshot: &mut dyn Snapshot,
    files: &dyn FileStore,
    options: &ExportOptions,
    report: &Report,
) -> Result<ExportSummary, ExportError> {
    let directory = &options.directory;
    let is_free = match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_free {
        return Err(ExportError::InUse(directory.display().to_string()));
    }
    report.say(format!("creating {}", directory.display()));
    std::fs::create_dir_all(directory)
        .map_err(|cause| ExportError::Unwritable { path: directory.clone(), cause })?;
    let list = directory.join(LIST);
    let mut exporter = Exporter {
        files,
        options,
        report,
        list: List::create(&list).map_err(|cause| ExportError::Unwritable { path: list.clone(), cause })?,
        places: Places::new(directory.clone()),
        summary: ExportSummary::default(),
    };
    exporter.run(snapshot).await?;
    exporter.list.finish().map_err(|cause| ExportError::Unwritable { path: list.clone(), cause })?;
    let list_bytes = list.metadata().map_or(0, |found| found.len());
    report.say(format!("writing {LIST}, length {list_bytes}"));
    Ok(ExportSummary { list_bytes, ..exporter.summary })
}

struct Exporter<'a> {
    files: &'a dyn FileStore,
    options: &'a ExportOptions,
    report: &'a Report,
    list: List,
    places: Places,
    summary: ExportSummary,
}

impl Exporter<'_> {
    async fn run(&mut self, snapshot: &mut dyn Snapshot) -> Result<(), ExportError> {
        self.write(|list| list.begin_object(None))?;
        let mut users = Map::new();
        for (user, record) in snapshot.list_users().await? {
            users.insert(user.to_string(), user_fields(&user, record));
            self.report.say(format!("dumped user '{user}'"));
        }
        self.write(|list| list.value(Some("users"), &users))?;
        self.write(|list| list.begin_object(Some("indexes")))?;
        for (index, settings) in snapshot.list_indexes(None).await? {
            self.write(|list| list.begin_object(Some(&index.to_string())))?;
            self.write(|list| list.value(Some("indexconfig"), &settings.value))?;
            let config = IndexConfig::from_settings(settings.value);
            if config.kind() == IndexKind::Stage {
                self.dump_stage(snapshot, &index).await?;
            } else if self.options.mirrored_files {
                self.dump_mirror(snapshot, &index).await?;
            }
            self.write(List::end_object)?;
            self.summary.indexes += 1;
            self.report.say(format!("dumped index '{index}'"));
        }
        self.write(List::end_object)?;
        self.write(|list| list.value(Some("dumpversion"), &DUMP_VERSION))?;
        self.write(|list| list.value(Some("pythonversion"), &PYTHON_VERSION))?;
        self.write(|list| list.value(Some("devpi_server"), &DEVPI_VERSION))?;
        self.write(List::end_object)
    }

    async fn dump_stage(
        &mut self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
    ) -> Result<(), ExportError> {
        let projects = snapshot.list_projects(index).await?;
        self.write(|list| list.begin_object(Some("projects")))?;
        for project in &projects {
            let releases = snapshot.list_releases(index, project).await?;
            let releases: Map<String, Value> = releases
                .into_iter()
                .map(|release| (release.version.to_string(), release.metadata.into_fields().into()))
                .collect();
            self.write(|list| list.value(Some(project), &releases))?;
        }
        self.write(List::end_object)?;
        self.write(|list| list.begin_array("files"))?;
        for project in &projects {
            let links = snapshot.list_links(index, project, None).await?;
            self.dump_files(entries::of_project(index, links)).await?;
        }
        self.write(List::end_array)
    }

    async fn dump_mirror(
        &mut self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
    ) -> Result<(), ExportError> {
        let projects = snapshot.list_mirror_pages(index).await?;
        self.write(|list| list.begin_object(Some("projects")))?;
        // Read twice rather than kept: there may be a million files.
        let mut with_files = Vec::new();
        for project in projects {
            let (releases, files) = entries::of_mirror(snapshot, index, &project, Some(self.report)).await?;
            if !files.is_empty() {
                self.write(|list| list.value(Some(&project), &releases))?;
                with_files.push(project);
            }
        }
        self.write(List::end_object)?;
        self.write(|list| list.begin_array("files"))?;
        for project in with_files {
            let (_, files) = entries::of_mirror(snapshot, index, &project, None).await?;
            self.dump_files(files).await?;
        }
        self.write(List::end_array)
    }

    async fn dump_files(&mut self, mut all: Vec<FileToDump>) -> Result<(), ExportError> {
        self.places.settle(&mut all);
        let copied = stream::iter(&all).map(|file| self.dump_file(&file.relpath, file.sha256));
        let outcomes: Vec<Result<(), ExportError>> = copied.buffered(WINDOW).boxed_local().collect().await;
        outcomes.into_iter().collect::<Result<(), ExportError>>()?;
        for file in all {
            self.write(|list| list.value(None, &file.entry))?;
            self.report.say(format!("dumped {}: {}", file.kind, file.relpath));
            self.summary.files += 1;
        }
        Ok(())
    }

    async fn dump_file(&self, relpath: &str, sha256: Sha256) -> Result<(), ExportError> {
        let target = self.options.directory.join(relpath);
        let unwritable = |cause| ExportError::Unwritable { path: target.clone(), cause };
        if let Some(parent) = target.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(unwritable)?;
        }
        let word = if self.options.way == Transfer::Link { "link" } else { "copy" };
        self.report.say(format!("{word} file at {relpath}"));
        let given = self.files.give_local(&sha256, &target, self.options.way).await?;
        if given { Ok(()) } else { Err(ExportError::Missing(relpath.to_owned())) }
    }

    fn write(&mut self, write: impl FnOnce(&mut List) -> io::Result<()>) -> Result<(), ExportError> {
        write(&mut self.list)
            .map_err(|cause| ExportError::Unwritable { path: self.options.directory.join(LIST), cause })
    }
}

/// A user as devpi keeps it, with its name.
fn user_fields(name: &str, record: UserRecord) -> Value {
    let UserRecord { pwhash, pwsalt, created, modified, attributes } = record;
    let mut fields = Map::new();
    let mut add = |key: &str, value: Option<String>| {
        fields.extend(value.map(|value| (key.to_owned(), Value::from(value))));
    };
    add("pwhash", pwhash);
    add("pwsalt", pwsalt);
    add("created", Some(render_time(created)));
    add("modified", modified.map(render_time));
    fields.extend(attributes);
    fields.insert("username".to_owned(), json!(name));
    fields.into()
}

/// A JSON text that is written piece by piece, in the layout of Python's `json` module with an indentation.
struct List {
    out: BufWriter<File>,
    depth: usize,
    /// Whether nothing stands yet in what was begun last.
    is_first: bool,
}

impl List {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { out: BufWriter::new(File::create_new(path)?), depth: 0, is_first: true })
    }

    fn begin_object(&mut self, key: Option<&str>) -> io::Result<()> {
        self.begin(key, b"{")
    }

    fn begin_array(&mut self, key: &str) -> io::Result<()> {
        self.begin(Some(key), b"[")
    }

    fn begin(&mut self, key: Option<&str>, bracket: &[u8]) -> io::Result<()> {
        self.lead_in(key)?;
        self.out.write_all(bracket)?;
        self.depth += 1;
        self.is_first = true;
        Ok(())
    }

    fn end_object(&mut self) -> io::Result<()> {
        self.end(b"}")
    }

    fn end_array(&mut self) -> io::Result<()> {
        self.end(b"]")
    }

    fn end(&mut self, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if !self.is_first {
            self.new_line()?;
        }
        self.is_first = false;
        self.out.write_all(bracket)
    }

    fn value(&mut self, key: Option<&str>, value: &impl Serialize) -> io::Result<()> {
        self.lead_in(key)?;
        let text = ascii_json::to_pretty(value);
        // Texts have no line feeds in JSON, so these are all of the layout.
        for (place, line) in text.trim_ascii_end().split(|byte| *byte == b'\n').enumerate() {
            if place > 0 {
                self.new_line()?;
            }
            self.out.write_all(line)?;
        }
        Ok(())
    }

    fn lead_in(&mut self, key: Option<&str>) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.write_all(b",")?;
        }
        if self.depth > 0 {
            self.new_line()?;
        }
        match key {
            Some(key) => write!(self.out, "{}: ", ascii_json::to_line(&key)),
            None => Ok(()),
        }
    }

    fn new_line(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n")?;
        self.out.write_all(INDENTATION.repeat(self.depth).as_bytes())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n")?;
        self.out.flush()?;
        self.out.get_ref().sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_one_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        let mut list = List::create(&path).unwrap();
        list.begin_object(None).unwrap();
        list.value(Some("a"), &json!({"x": [1, "é"], "y": {}})).unwrap();
        list.begin_object(Some("b")).unwrap();
        list.end_object().unwrap();
        list.begin_array("c").unwrap();
        list.value(None, &json!({"z": null})).unwrap();
        list.value(None, &json!(2)).unwrap();
        list.end_array().unwrap();
        list.end_object().unwrap();
        list.finish().unwrap();
        let whole = json!({"a": {"x": [1, "é"], "y": {}}, "b": {}, "c": [{"z": null}, 2]});
        let expected = String::from_utf8(ascii_json::to_pretty(&whole)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }
}
