//! The history of a file, as devpi shows and stores it (`server-api` section 10, `storage` section 3.2).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::storage::model::{IndexName, LogEntry};

/// Who is said to have uploaded a file of which nobody knows (as in devpi).
const IMPORT: &str = "<import>";

/// A history as a list of devpi's records.
pub fn render(log: &[LogEntry]) -> Value {
    log.iter().map(render_entry).collect()
}

fn render_entry(entry: &LogEntry) -> Value {
    match entry {
        LogEntry::Upload { who, when, dst } => {
            json!({"what": "upload", "who": who, "when": render_time(*when), "dst": dst})
        }
        LogEntry::Overwrite { when, count } => {
            json!({"what": "overwrite", "who": null, "when": render_time(*when), "count": count})
        }
        LogEntry::Push { who, when, src, dst } => {
            json!({"what": "push", "who": who, "when": render_time(*when), "src": src, "dst": dst})
        }
        LogEntry::Other(fields) => fields.clone().into(),
    }
}

/// A time as year, month, day, hour, minute and second in UTC.
fn render_time(time: Timestamp) -> Value {
    let time = time.to_zoned(TimeZone::UTC);
    json!([time.year(), time.month(), time.day(), time.hour(), time.minute(), time.second()])
}

/// A file's history, as a list of devpi's records. What devpi never wrote is kept as it is.
pub fn read(log: &Value) -> Vec<LogEntry> {
    let entries = log.as_array().into_iter().flatten().filter_map(Value::as_object);
    entries.map(|fields| read_entry(fields).unwrap_or_else(|| LogEntry::Other(fields.clone()))).collect()
}

/// The history of a file that comes with none.
pub fn of_import(index: &IndexName, when: Timestamp) -> Vec<LogEntry> {
    vec![LogEntry::Upload { who: Some(IMPORT.into()), when, dst: index.clone() }]
}

fn read_entry(fields: &Map<String, Value>) -> Option<LogEntry> {
    let index = |key: &str| fields.get(key).and_then(Value::as_str).and_then(IndexName::parse);
    let who = match fields.get("who") {
        None | Some(Value::Null) => None,
        Some(who) => Some(who.as_str()?.into()),
    };
    let when = read_time(fields.get("when")?)?;
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

/// A time as [`render_time`] gives it.
fn read_time(value: &Value) -> Option<Timestamp> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_read_is_shown() {
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
            read(&log),
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
        assert_eq!(render(&read(&log)), log);
        // They are stored as they were.
        let stored = serde_json::to_string(&read(&log)).unwrap();
        assert_eq!(serde_json::from_str::<Vec<LogEntry>>(&stored).unwrap(), read(&log));
    }
}
