//! devpi's records as ours. They come as JSON, whether they stood in a database or in a dump.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::domain::history;
use crate::mirror::odd_paths;
use crate::pep::digest::NamedHasher;
use crate::pep::name::ProjectName;
use crate::pep::simple::CoreMetadata;
use crate::pep::simple_read::ReadFile;
use crate::storage::StorageError;
use crate::storage::meta::Operation;
use crate::storage::mirrored::{MirrorFile, MirrorPage};
use crate::storage::model::{IndexName, IndexSettings, LogEntry, Relation, StoredPath, UserRecord};
use crate::storage::packed::Packed;

/// What a user's record holds besides what is shown of it.
const USER_KEYS: [&str; 6] = ["username", "indexes", "pwhash", "pwsalt", "created", "modified"];

/// A user. What is missing is as devpi's import has it.
pub fn user(mut fields: Map<String, Value>) -> UserRecord {
    let mut text = |key: &str| match fields.get_mut(key).map(Value::take) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let time = |text: Option<String>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let record = UserRecord {
        pwhash: text("pwhash").filter(|hash| !hash.is_empty()),
        pwsalt: text("pwsalt").filter(|salt| !salt.is_empty()),
        created: time(text("created")).unwrap_or(Timestamp::UNIX_EPOCH),
        modified: time(text("modified")),
        attributes: Map::new(),
    };
    let attributes = fields.into_iter().filter(|(key, _)| !USER_KEYS.contains(&key.as_str())).collect();
    UserRecord { attributes, ..record }
}

/// The settings of an index, with today's name for a key of old releases.
pub fn index_settings(mut settings: Map<String, Value>) -> IndexSettings {
    if let Some(whitelist) = settings.shift_remove("pypi_whitelist") {
        settings.entry("mirror_whitelist").or_insert(whitelist);
    }
    if settings.get("uploadtrigger_jenkins").is_some_and(|value| value.as_str().is_none_or(str::is_empty)) {
        settings.shift_remove("uploadtrigger_jenkins");
    }
    if settings.get("bases").is_some_and(Value::is_null) {
        settings.shift_remove("bases");
    }
    settings
}

/// What devpi keeps about a file: the hashes by algorithm, and what else is of use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileEntry {
    /// Hashes by the name of the algorithm, in small letters, of those that can be computed.
    pub hashes: Vec<(Arc<str>, Arc<str>)>,
    /// When the content was last modified; `None` where there never was one.
    pub last_modified: Option<Timestamp>,
    /// Where a mirror has it from.
    pub url: Option<Arc<str>>,
    /// The project that it is of.
    pub project: Option<Arc<str>>,
}

impl FileEntry {
    /// Reads what a database or a dump says. Where `hash_spec` contradicts `hashes`, it counts alone.
    pub fn read(fields: &Map<String, Value>) -> Self {
        let text = |key: &str| fields.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let mut hashes: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        let mut add = |algorithm: &str, value: &str| {
            let (algorithm, value) = (algorithm.to_lowercase(), value.to_lowercase());
            if NamedHasher::new(&algorithm).is_some() && hashes.iter().all(|(known, _)| **known != *algorithm)
            {
                hashes.push((algorithm.into(), value.into()));
            }
        };
        let spec = text("hash_spec").and_then(|spec| spec.split_once('='));
        let all = fields.get("hashes").and_then(Value::as_object);
        let contradicts = |(algorithm, value): (&str, &str)| {
            all.and_then(|all| all.get(algorithm))
                .and_then(Value::as_str)
                .is_some_and(|other| !other.eq_ignore_ascii_case(value))
        };
        if let Some((algorithm, value)) = spec {
            add(algorithm, value);
        }
        if !spec.is_some_and(contradicts) {
            for (algorithm, value) in all.into_iter().flatten() {
                value.as_str().into_iter().for_each(|value| add(algorithm, value));
            }
        }
        if let Some(value) = text("md5").filter(|_| spec.is_none() && all.is_none()) {
            add("md5", value);
        }
        Self {
            hashes,
            last_modified: text("last_modified").and_then(http_date),
            url: text("url").map(Into::into),
            project: text("project").map(Into::into),
        }
    }
}

/// A file that a mirror lists, of which devpi keeps less than upstreams say. `yanked` is devpi's: null, true, or why.
pub fn listed_file(
    path: StoredPath,
    entry: &FileEntry,
    requires_python: Option<&Value>,
    yanked: Option<&Value>,
) -> MirrorFile {
    let requires_python = requires_python.and_then(Value::as_str).filter(|text| !text.is_empty());
    let yanked = match yanked {
        Some(Value::String(reason)) => Some(reason.as_str().into()),
        Some(Value::Bool(true)) => Some("".into()),
        _ => None,
    };
    let read = ReadFile {
        file_name: path.file_name().into(),
        url: entry.url.clone().unwrap_or_default(),
        hashes: entry.hashes.clone(),
        requires_python: requires_python.map(Into::into),
        yanked,
        core_metadata: CoreMetadata::Absent,
        size: None,
        upload_time: None,
        provenance: None,
    };
    MirrorFile { path, read }
}

/// Puts the page of a project into a mirror. devpi does not keep when it last asked, so the page counts as expired.
pub fn put_page(
    index: &IndexName,
    project: &ProjectName,
    page: &MirrorPage,
) -> Result<Operation, StorageError> {
    Ok(Operation::PutMirrorPage {
        index: index.clone(),
        project: project.clone(),
        odd_paths: odd_paths(project, page),
        page: Packed::new(page)?,
        checked_at: Timestamp::UNIX_EPOCH,
    })
}

/// A link of a release to a file (`+elinks` in a database).
#[derive(Clone, Debug, PartialEq)]
pub struct OldLink {
    /// What the file is for.
    pub relation: Relation,
    /// The key of the file.
    pub path: Arc<str>,
    /// The key of the file that a test result is about.
    pub for_path: Option<Arc<str>>,
    /// The history, if there is one.
    pub log: Option<Vec<LogEntry>>,
}

impl OldLink {
    /// Reads a link; `None` for what is none, or of a kind that nobody knows.
    pub fn read(fields: &Map<String, Value>) -> Option<Self> {
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        Some(Self {
            relation: Relation::parse(text("rel")?)?,
            path: text("entrypath")?.into(),
            for_path: text("for_entrypath").map(Into::into),
            log: fields.get("_log").map(history::read),
        })
    }
}

/// Reads a date of HTTP.
pub fn http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text).ok().and_then(|time| time.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn users_keep_what_is_said_of_them() {
        let record = user(object(json!({
            "pwhash": "$argon2id$x", "created": "2026-11-22T13:14:26Z", "username": "alice", "email": "a@x",
            "indexes": {"dev": {}}, "custom_data": {"k": 1}, "later": true
        })));
        assert_eq!(record.pwhash.as_deref(), Some("$argon2id$x"));
        assert_eq!((record.created, record.modified), (time("2026-11-22T13:14:26Z"), None));
        assert_eq!(
            Value::Object(record.attributes),
            json!({"email": "a@x", "custom_data": {"k": 1}, "later": true})
        );
        assert_eq!(user(Map::new()).created, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn settings_of_old_releases_get_todays_names() {
        let settings = index_settings(object(json!({
            "type": "stage", "bases": null, "pypi_whitelist": ["a"], "uploadtrigger_jenkins": null, "x": [1]
        })));
        assert_eq!(Value::Object(settings), json!({"type": "stage", "x": [1], "mirror_whitelist": ["a"]}));
    }

    #[test]
    fn of_contradicting_hashes_the_spec_counts() {
        for (entry, expected) in [
            (json!({"hash_spec": "sha256=AB", "hashes": {"sha256": "ab", "md5": "cd"}}), "sha256=ab md5=cd"),
            (json!({"hash_spec": "sha256=ab", "hashes": {"sha256": "ff", "md5": "cd"}}), "sha256=ab"),
            (json!({"hash_spec": "md5=cd", "hashes": {"sha256": "ab"}}), "md5=cd sha256=ab"),
            (json!({"hash_spec": "", "hashes": {}}), ""),
            (json!({"md5": "cd"}), "md5=cd"),
            (json!({"hash_spec": "crc32=1"}), ""),
        ] {
            let hashes = FileEntry::read(&object(entry.clone())).hashes;
            let shown: Vec<String> = hashes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(shown.join(" "), expected, "{entry}");
        }
        let entry = object(json!({"last_modified": "Tue, 02 Jan 2024 03:04:05 GMT", "url": "https://x/y"}));
        let entry = FileEntry::read(&entry);
        assert_eq!(
            (entry.last_modified, entry.url.as_deref()),
            (Some(time("2024-01-02T03:04:05Z")), Some("https://x/y"))
        );
    }
}
