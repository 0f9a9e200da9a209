//! The list of a dump: `dataindex.json`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The list, with indexes as text.
pub(super) struct Dump<'a> {
    /// The version of the layout, as a text.
    pub(super) version: String,
    pub(super) users: Map<String, Value>,
    pub(super) indexes: Pairs<'a>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    dumpversion: Value,
    users: Map<String, Value>,
    #[serde(borrow)]
    indexes: Pairs<'a>,
}

impl<'a> Dump<'a> {
    pub(super) fn read(text: &'a str) -> serde_json::Result<Self> {
        let List { dumpversion, users, indexes } = serde_json::from_str(text)?;
        let version = match dumpversion {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(Self { version, users, indexes })
    }
}

/// The members of an object in their order, as text.
#[derive(Default)]
pub(super) struct Pairs<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// An index.
#[derive(Deserialize)]
pub(super) struct IndexOfDump<'a> {
    #[serde(default, borrow)]
    pub(super) projects: Pairs<'a>,
    #[serde(default)]
    pub(super) files: Vec<FileOfDump>,
}

/// A file. The first version of the layout lacks much.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct FileOfDump {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) projectname: String,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) relpath: String,
    /// Its name, where that is not the last part of `relpath`: only our own export writes this, for names that are too
    /// long.
    #[serde(default)]
    pub(super) filename: Option<String>,
    #[serde(default)]
    pub(super) entrymapping: Map<String, Value>,
    #[serde(default)]
    pub(super) for_entrypath: Option<String>,
    #[serde(default)]
    pub(super) log: Option<Value>,
}

pub(super) fn read_index(raw: &RawValue) -> serde_json::Result<IndexOfDump<'_>> {
    serde_json::from_str(raw.get())
}

/// The settings of an index, without the rest.
pub(super) fn read_config(raw: &RawValue) -> serde_json::Result<Map<String, Value>> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        indexconfig: Map<String, Value>,
    }
    Ok(serde_json::from_str::<Config>(raw.get())?.indexconfig)
}
