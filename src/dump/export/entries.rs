//! The files of a dump, as its list describes them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::domain::docs::docs_file_name;
use crate::domain::history;
use crate::domain::mirror_view::version_of;
use crate::pep::digest::Sha256;
use crate::report::Report;
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::model::{IndexName, Link, Relation, Stored};

/// A file that is to be written.
pub(super) struct FileToDump {
    /// The path below the dump.
    pub(super) relpath: String,
    pub(super) sha256: Sha256,
    pub(super) kind: &'static str,
    /// What the list says of it.
    pub(super) entry: Value,
}

impl FileToDump {
    /// Gives the file another place. Where the last part of that is not its name any more, the list says what is.
    pub(super) fn move_to(&mut self, relpath: String) {
        let name = last_part(&self.relpath);
        if last_part(&relpath) != name {
            self.entry["filename"] = name.into();
        }
        self.entry["relpath"] = relpath.as_str().into();
        self.relpath = relpath;
    }
}

/// What follows the last slash.
pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The files of a project of a stage: distributions first, then results of test runs, then documentation.
pub(super) fn of_project(index: &IndexName, links: Vec<Stored<Link>>) -> Vec<FileToDump> {
    let order = |link: &Stored<Link>| match link.value.relation {
        Relation::ReleaseFile => 0,
        Relation::ToxResult => 1,
        Relation::DocZip => 2,
    };
    let tested: BTreeMap<String, Sha256> =
        links.iter().map(|link| (link.value.path.to_string(), link.value.sha256)).collect();
    let mut links = links;
    links.sort_by_key(order);
    let files = links.into_iter().filter_map(|link| of_link(index, &link.value, &tested));
    files.collect()
}

fn of_link(index: &IndexName, link: &Link, tested: &BTreeMap<String, Sha256>) -> Option<FileToDump> {
    let project = link.project.normal();
    let version = &*link.version;
    let relpath = match link.relation {
        Relation::ReleaseFile => format!("{index}/{project}/{version}/{}", link.file_name),
        Relation::DocZip => format!("{index}/{}", docs_file_name(&link.project, version)),
        Relation::ToxResult => {
            let sha256 = tested.get(link.for_path.as_ref()?.as_str())?;
            format!("{index}/{project}/sha256={sha256}/{}", link.file_name)
        }
    };
    let mut entry = json!({
        "version": version,
        "entrymapping": {
            "last_modified": http_date(link.uploaded_at),
            "hash_spec": format!("sha256={}", link.sha256),
            "hashes": {"sha256": link.sha256},
            "project": project,
            "version": version,
        },
    });
    if let Some(path) = &link.for_path {
        entry["for_entrypath"] = path.as_str().into();
    }
    entry["log"] = history::render(&link.log);
    Some(with_place(entry, link.relation.as_str(), project, relpath, link.sha256))
}

/// What a mirror holds of a project: the releases by version, and the files. What is left out is told to the report.
pub(super) async fn of_mirror(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
    project: &str,
    report: Option<&Report>,
) -> Result<(Map<String, Value>, Vec<FileToDump>), StorageError> {
    let page = snapshot.get_mirror_page(index, project).await?;
    let listed = page.map(|page| page.page.files).unwrap_or_default();
    let (mut releases, mut files) = (Map::new(), Vec::new());
    for fetched in snapshot.list_fetched(index, project).await? {
        let Some(content) = fetched.content else { continue };
        let read = listed.iter().find(|file| file.path == fetched.path).map(|file| &file.read);
        let file_name = fetched.path.file_name();
        let version = version_of(file_name).to_owned();
        let mut release = json!({"name": project, "version": version});
        if let Some(requires_python) = read.and_then(|read| read.requires_python.as_ref()) {
            release["requires_python"] = (**requires_python).into();
        }
        if let Some(reason) = read.and_then(|read| read.yanked.as_ref()) {
            release["yanked"] = if reason.is_empty() { true.into() } else { (**reason).into() };
        }
        let relpath = format!("{index}/{project}/{version}/{file_name}");
        // devpi-import insists on knowing where a file came from.
        let Some(url) = read.map(|read| (*read.url).to_owned()).filter(|url| !url.is_empty()) else {
            if let Some(report) = report {
                report.warn(format!("{}: nobody knows where it came from; not dumped", fetched.path));
            }
            continue;
        };
        let entry = json!({
            "version": version,
            "entrymapping": {
                "url": url,
                "hash_spec": format!("sha256={}", content.sha256),
                "hashes": {"sha256": content.sha256},
                "project": project,
                "version": version,
                "last_modified": http_date(content.modified),
            },
            "log": [],
        });
        releases.insert(version, release);
        let kind = Relation::ReleaseFile.as_str();
        files.push(with_place(entry, kind, project, relpath, content.sha256));
    }
    Ok((releases, files))
}

fn with_place(
    mut entry: Value,
    kind: &'static str,
    project: &str,
    relpath: String,
    sha256: Sha256,
) -> FileToDump {
    entry["type"] = kind.into();
    entry["projectname"] = project.into();
    entry["relpath"] = relpath.as_str().into();
    FileToDump { relpath, sha256, kind, entry }
}

fn http_date(time: Timestamp) -> String {
    httpdate::fmt_http_date(time.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pep::name::ProjectName;
    use crate::storage::model::{Serial, StoredPath};

    fn link(relation: Relation, version: &str, name: &str, for_path: Option<&str>) -> Stored<Link> {
        let sha256 = Sha256::of(name.as_bytes());
        let value = Link {
            relation,
            path: StoredPath::new(format!("alice/dev/+f/{name}")),
            for_path: for_path.map(StoredPath::new),
            file_name: name.into(),
            project: ProjectName::from_url("demo"),
            version: version.into(),
            sha256,
            size: 1,
            uploaded_at: Timestamp::UNIX_EPOCH,
            core_metadata: None,
            log: Vec::new(),
        };
        Stored { changed_at: Serial(0), value }
    }

    #[test]
    fn each_file_has_a_place_of_its_own() {
        let links = vec![
            link(Relation::DocZip, "1.0", "demo-1.0.doc.zip", None),
            link(Relation::DocZip, "2.0", "demo-2.0.doc.zip", None),
            link(Relation::ToxResult, "1.0", "result", Some("alice/dev/+f/demo-1.0.zip")),
            link(Relation::ToxResult, "1.0", "lost", Some("alice/dev/+f/nothing")),
            link(Relation::ReleaseFile, "1.0", "demo-1.0.zip", None),
        ];
        let files = of_project(&IndexName::new("alice", "dev"), links);
        let tested = Sha256::of(b"demo-1.0.zip");
        let places: Vec<&str> = files.iter().map(|file| file.relpath.as_str()).collect();
        assert_eq!(
            places,
            [
                "alice/dev/demo/1.0/demo-1.0.zip",
                &format!("alice/dev/demo/sha256={tested}/result"),
                "alice/dev/demo-1.0.doc.zip",
                "alice/dev/demo-2.0.doc.zip",
            ]
        );
        assert_eq!(files[0].entry["entrymapping"]["last_modified"], "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(files[1].entry["for_entrypath"], "alice/dev/+f/demo-1.0.zip");
    }
}
