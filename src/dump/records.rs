//! devpi's records as ours. They come as JSON, whether they stood in a database or in a dump.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::pep::digest::NamedHasher;
use crate::storage::model::{IndexName, IndexSettings, LogEntry, Relation, UserRecord};

/// What a user's record holds besides what is shown of it.
const USER_KEYS: [&str; 6] = ["username", "indexes", "pwhash", "pwsalt", "created", "modified"];

/// Who is said to have uploaded a file of which nobody knows (as in devpi).
const IMPORT: &str = "<import>";

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

    /// The SHA-256 that is said of the content.
    pub fn sha256(&self) -> Option<crate::pep::digest::Sha256> {
        self.hashes.iter().find(|(algorithm, _)| &**algorithm == "sha256")?.1.parse().ok()
    }
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
            log: fields.get("_log").map(history),
        })
    }
}

/// A file's history, as a list of devpi's records. What devpi never wrote is kept as it is.
pub fn history(log: &Value) -> Vec<LogEntry> {
    let entries = log.as_array().into_iter().flatten().filter_map(Value::as_object);
    entries.map(|fields| log_entry(fields).unwrap_or_else(|| LogEntry::Other(fields.clone()))).collect()
}

/// The history of a file that has none.
pub fn history_of_import(index: &IndexName, when: Timestamp) -> Vec<LogEntry> {
    vec![LogEntry::Upload { who: Some(IMPORT.into()), when, dst: index.clone() }]
}

fn log_entry(fields: &Map<String, Value>) -> Option<LogEntry> {
    let index = |key: &str| fields.get(key).and_then(Value::as_str).and_then(IndexName::parse);
    let who = match fields.get("who") {
        None | Some(Value::Null) => None,
        Some(who) => Some(who.as_str()?.into()),
    };
    let when = moment(fields.get("when")?)?;
    let (entry, keys) = match fields.get("what")?.as_str()? {
        "upload" => (LogEntry::Upload { who, when, dst: index("dst")? }, 4),
        "push" => (LogEntry::Push { who, when, src: index("src")?, dst: index("dst")? }, 5),
        "overwrite" if who.is_none() => {
            (LogEntry::Overwrite { when, count: fields.get("count")?.as_u64()? }, 4)
        }
        _ => return None,
    };
    (fields.len() == keys).then_some(entry)
}

/// A time as year, month, day, hour, minute and second in UTC.
fn moment(value: &Value) -> Option<Timestamp> {
    let parts: Vec<i64> = value.as_array()?.iter().map(Value::as_i64).collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second] = parts.as_slice() else { return None };
    let small = |part: &i64| i8::try_from(*part).ok();
    let time = DateTime::new(
        i16::try_from(*year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        0,
    );
    Some(time.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
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

    #[test]
    fn histories_are_devpis() {
        let log = json!([
            {"what": "overwrite", "who": null, "when": [2026, 11, 22, 13, 14, 38], "count": 2},
            {"what": "upload", "who": "alice", "when": [2026, 11, 22, 13, 14, 38], "dst": "alice/dev"},
            {"what": "push", "who": "bob", "when": [2026, 11, 22, 13, 14, 40], "src": "alice/dev", "dst": "bob/dev"},
            {"what": "upload", "who": "alice", "when": [2026, 13, 1, 0, 0, 0], "dst": "alice/dev"},
            {"what": "blessed", "who": "pope", "when": [2026, 11, 22, 13, 14, 41]},
        ]);
        let (when, alice) = (time("2026-11-22T13:14:38Z"), IndexName::new("alice", "dev"));
        let other = |place: usize| LogEntry::Other(log[place].as_object().unwrap().clone());
        assert_eq!(
            history(&log),
            [
                LogEntry::Overwrite { when, count: 2 },
                LogEntry::Upload { who: Some("alice".into()), when, dst: alice.clone() },
                LogEntry::Push {
                    who: Some("bob".into()),
                    when: time("2026-11-22T13:14:40Z"),
                    src: alice,
                    dst: IndexName::new("bob", "dev")
                },
                other(3),
                other(4),
            ]
        );
        // They are stored as they were.
        let stored = serde_json::to_string(&history(&log)).unwrap();
        assert_eq!(serde_json::from_str::<Vec<LogEntry>>(&stored).unwrap(), history(&log));
    }
}
