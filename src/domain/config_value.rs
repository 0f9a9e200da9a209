//! Values in the configuration of an index: how they are read, and what may be wrong with them.

use serde_json::{Map, Value};

use super::python;

/// Why a configuration is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The type is none that any server knows.
    #[error("unknown index type {0}")]
    UnknownType(String),
    /// The upstream of a mirror is no URL.
    #[error("'mirror_url' option must be a URL.")]
    MirrorUrl,
    /// The expiry of a mirror's cache is no number.
    #[error("'mirror_cache_expiry' option must be an integer")]
    MirrorExpiry,
    /// The URL shown in the place of one with credentials came back for another host.
    #[error("'mirror_url' has ***** in the place of credentials, which are not known for this host")]
    MirrorCredentials,
    /// The type of an existing index was to become another one.
    #[error("the 'type' of an index can't be changed")]
    TypeChange,
    /// Not a truth value.
    #[error("Unknown boolean value {0}.")]
    Boolean(String),
    /// Not a list.
    #[error("Unknown list value {0}.")]
    List(String),
    /// Not a way to inherit whitelists.
    #[error("Unknown value {0} for mirror_whitelist_inheritance, must be 'intersection' or 'union'.")]
    Inheritance(String),
    /// A key that must not be null.
    #[error("The key '{0}' can't be null.")]
    Null(String),
    /// One or more bases are malformed or missing.
    #[error("{}", .0.join(", "))]
    Bases(Vec<String>),
    /// Keys that an index of its type does not have, with their values.
    #[error("indexconfig got unexpected keyword arguments: {0}")]
    UnknownKeys(String),
    /// A key that always has a value was to be dropped.
    #[error("Default values can't be removed.")]
    DropDefault,
    /// A value was to be taken out of a list that does not have it.
    #[error("The '{key}' setting doesn't have value '{value}'")]
    NotInList {
        /// The key of the list.
        key: String,
        /// The value.
        value: String,
    },
    /// A list operation on something that is no list.
    #[error("The '{0}' setting isn't a list")]
    NotAList(String),
    /// There are more bases than an index may have.
    #[error("an index can't have more than {0} bases")]
    TooManyBases(usize),
    /// The bases, and theirs, are too many.
    #[error("{0}")]
    LongWalk(String),
    /// The settings are longer than they may be.
    #[error("the index configuration is longer than {0} bytes")]
    TooLong(usize),
    /// A patch is neither an object nor a list of texts.
    #[error("The index configuration must be an object or a list of 'key=value' strings")]
    Malformed,
}

/// A value that may be anything but null.
pub(super) fn refuse_null(key: &str, value: &Value) -> Result<Value, ConfigError> {
    if value.is_null() { Err(ConfigError::Null(key.to_owned())) } else { Ok(value.clone()) }
}

/// A truth value, as such or as a word.
pub(super) fn parse_boolean(value: &Value) -> Result<bool, ConfigError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(word) => match word.to_lowercase().as_str() {
            "true" | "yes" => Ok(true),
            "false" | "no" => Ok(false),
            _ => Err(ConfigError::Boolean(format!("'{word}'"))),
        },
        other => Err(ConfigError::Boolean(python::repr(other))),
    }
}

/// For how many bytes a value counts: a short one takes many times its text of memory.
const BYTES_OF_A_VALUE: usize = 16;

/// How long settings are: in bytes of JSON, or 16 for each value in them if that is more.
pub(super) fn length_of(settings: &Map<String, Value>) -> usize {
    fn count(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
            Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
            _ => 1,
        }
    }
    let values: usize = settings.values().map(count).sum();
    Value::Object(settings.clone()).to_string().len().max(values * BYTES_OF_A_VALUE)
}

/// A list of texts, as such or with commas between them.
pub(super) fn parse_list(value: &Value) -> Result<Vec<String>, ConfigError> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| ConfigError::List(python::repr(value))),
        Value::String(text) => {
            Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
        }
        other => Err(ConfigError::List(python::repr(other))),
    }
}
