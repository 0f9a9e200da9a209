//! The configuration of an index: known keys, and how values are normalised.
//!
//! Follows devpi's keys, defaults and messages (`server-api` section 9.5).

use serde_json::{Map, Value};

use super::config_value::{ConfigError, parse_boolean, parse_list, refuse_null};
use super::mirror_config::MIRROR;
use super::{mirror_config, python};
use crate::mirror::MirrorSettings;
use crate::pep::name::ProjectName;
use crate::storage::model::{IndexName, IndexSettings};

/// The type of an index that takes uploads.
pub const STAGE: &str = "stage";

/// In access lists: everybody, also without credentials.
pub const ANONYMOUS: &str = ":ANONYMOUS:";

/// In access lists: everybody with valid credentials.
pub const AUTHENTICATED: &str = ":AUTHENTICATED:";

/// What an index is fed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// Uploads.
    Stage,
    /// An upstream.
    Mirror,
}

/// How the mirror whitelist of an index and those of its bases become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhitelistInheritance {
    /// What all of them list.
    Intersection,
    /// What any of them lists.
    Union,
}

/// The keys of a stage that always have a value.
const DEFAULTED_KEYS: [&str; 6] = [
    "volatile",
    "acl_upload",
    "acl_toxresult_upload",
    "bases",
    "mirror_whitelist",
    "mirror_whitelist_inheritance",
];

/// The keys of any index that are absent unless set.
const OPTIONAL_KEYS: [&str; 3] = ["title", "description", "custom_data"];

/// Keys of old releases, dropped without a word.
const OBSOLETE_KEYS: [&str; 2] = ["pypi_whitelist", "projects"];

/// A configuration that somebody asks for. devpi judges bases before it looks at unknown keys, and so does whoever
/// gets this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What is asked for, as far as it is known.
    pub config: IndexConfig,
    /// Whether the bases are to be judged: an object patch that does not name them leaves them as they are, even if
    /// one of them has gone.
    pub judges_bases: bool,
    /// The error that unknown keys are.
    pub(super) unknown_keys: Option<ConfigError>,
}

impl Proposal {
    /// The configuration, after the bases were found to be good.
    pub fn accept(self) -> Result<IndexConfig, ConfigError> {
        match self.unknown_keys {
            Some(error) => Err(error),
            None => Ok(self.config),
        }
    }
}

/// The configuration of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexConfig(IndexSettings);

impl IndexConfig {
    /// What the configuration of a mirror means.
    pub fn mirror_settings(&self) -> MirrorSettings {
        mirror_config::mirror_settings(&self.0)
    }

    /// A configuration as it was stored.
    pub fn from_settings(settings: IndexSettings) -> Self {
        Self(settings)
    }

    /// The configuration of a new index of `owner`: the values asked for, defaults for the rest.
    pub fn create(owner: &str, asked: &Map<String, Value>) -> Result<Proposal, ConfigError> {
        let mut asked = asked.clone();
        match asked.shift_remove("type") {
            None => {}
            Some(Value::String(name)) if name == STAGE => {}
            Some(Value::String(name)) if name == MIRROR => {
                return Self(mirror_config::defaults()).updated(asked, UnknownKeys::Refuse);
            }
            Some(other) => return Err(ConfigError::UnknownType(python::repr(&other))),
        }
        let defaults = [
            ("volatile", Value::from(true)),
            ("acl_upload", vec![owner].into()),
            ("acl_toxresult_upload", vec![ANONYMOUS].into()),
            ("bases", Value::Array(Vec::new())),
            ("mirror_whitelist", Value::Array(Vec::new())),
            ("mirror_whitelist_inheritance", "intersection".into()),
        ];
        let mut settings = Map::from_iter([("type".to_owned(), Value::from(STAGE))]);
        settings.extend(defaults.map(|(key, value)| (key.to_owned(), value)));
        Self(settings).updated(asked, UnknownKeys::Refuse)
    }

    /// The configuration of an index that comes from another server: what is unknown here is kept.
    pub fn import(owner: &str, mut asked: IndexSettings) -> Result<Self, ConfigError> {
        let kind = asked.shift_remove("type").filter(|kind| *kind != STAGE);
        let mut known = Map::new();
        known.extend(kind.map(|kind| ("type".to_owned(), kind)));
        let defaults = Self::create(owner, &known)?.config;
        Ok(defaults.updated(asked, UnknownKeys::Keep)?.config)
    }

    /// All keys and values.
    pub fn settings(&self) -> &IndexSettings {
        &self.0
    }

    /// All keys and values as they may be shown to anybody: without credentials.
    pub fn into_shown(mut self) -> IndexSettings {
        mirror_config::hide_credentials(&mut self.0);
        self.0
    }

    /// Whether releases may be overwritten and deleted.
    pub fn is_volatile(&self) -> bool {
        self.0.get("volatile").and_then(Value::as_bool).unwrap_or(true)
    }

    /// The bases in order. What is not of the form `user/index` is passed over.
    pub fn bases(&self) -> Vec<IndexName> {
        self.base_specs().filter_map(IndexName::parse).collect()
    }

    /// The bases as they were given, also malformed ones.
    pub fn base_specs(&self) -> impl Iterator<Item = &str> {
        self.texts("bases")
    }

    /// What the index is fed by.
    pub fn kind(&self) -> IndexKind {
        match self.0.get("type").and_then(Value::as_str) {
            Some(MIRROR) => IndexKind::Mirror,
            _ => IndexKind::Stage,
        }
    }

    /// Whether the index is of a type that only a plugin of devpi-server knows. It is shown, and can be deleted, but
    /// nothing in it is changed, as nobody here knows the rules (as in devpi without the plugin).
    pub fn is_of_unknown_type(&self) -> bool {
        self.0.get("type").is_some_and(|kind| kind != STAGE && kind != MIRROR)
    }

    /// The projects (normalised names, or `*` for all) that mirrors may show although the team has them.
    pub fn mirror_whitelist(&self) -> impl Iterator<Item = &str> {
        self.texts("mirror_whitelist")
    }

    /// How the whitelists of bases count. Indexes of old releases of devpi, without the setting, add them.
    pub fn whitelist_inheritance(&self) -> WhitelistInheritance {
        match self.0.get("mirror_whitelist_inheritance").and_then(Value::as_str) {
            Some("intersection") => WhitelistInheritance::Intersection,
            _ => WhitelistInheritance::Union,
        }
    }

    /// Who may upload test results; everybody (`None`) where it is not set, as on indexes of old releases of devpi.
    pub fn acl_toxresult_upload(&self) -> Option<impl Iterator<Item = &str>> {
        self.0.contains_key("acl_toxresult_upload").then(|| self.texts("acl_toxresult_upload"))
    }

    /// Who may upload.
    pub fn acl_upload(&self) -> impl Iterator<Item = &str> {
        self.texts("acl_upload")
    }

    fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether a key always has a value in an index of this type.
    pub(super) fn has_default(&self, key: &str) -> bool {
        match self.kind() {
            IndexKind::Stage => DEFAULTED_KEYS.contains(&key),
            IndexKind::Mirror => key == "volatile",
        }
    }

    /// The same without what is only shown, for whoever holds many.
    pub(super) fn without_texts(mut self) -> Self {
        for key in OPTIONAL_KEYS {
            self.0.shift_remove(key);
        }
        self
    }

    /// Whether a key has no meaning for an index of this type, and is dropped without a word (as in devpi).
    fn passes_over(&self, key: &str) -> bool {
        self.kind() == IndexKind::Mirror && mirror_config::PASSED_OVER.contains(&key)
    }

    /// The value of a known key as it is stored; `None` for an unknown key.
    fn normalise(&self, key: &str, value: &Value) -> Result<Option<Value>, ConfigError> {
        match (self.kind(), key) {
            (_, "volatile") => Ok(Some(parse_boolean(value)?.into())),
            (_, key) if OPTIONAL_KEYS.contains(&key) => refuse_null(key, value).map(Some),
            (IndexKind::Stage, key) => normalise_stage(key, value),
            (IndexKind::Mirror, key) => mirror_config::normalise(key, value, &self.0),
        }
    }

    /// Puts normalised `values` in the place of the old ones.
    pub(super) fn updated(
        &self,
        values: Map<String, Value>,
        unknown_keys: UnknownKeys,
    ) -> Result<Proposal, ConfigError> {
        let mut settings = self.0.clone();
        let mut unknown = Map::new();
        for (key, value) in values {
            if OBSOLETE_KEYS.contains(&key.as_str()) || self.passes_over(&key) {
                continue;
            }
            match self.normalise(&key, &value)? {
                Some(value) => settings.insert(key, value),
                None => unknown.insert(key, value),
            };
        }
        let mut error = None;
        match unknown_keys {
            UnknownKeys::Keep => settings.extend(unknown),
            UnknownKeys::Refuse if unknown.is_empty() => {}
            UnknownKeys::Refuse => {
                let pairs: Vec<String> =
                    unknown.iter().map(|(key, value)| format!("{key}={}", python::display(value))).collect();
                error = Some(ConfigError::UnknownKeys(pairs.join(", ")));
            }
        }
        Ok(Proposal { config: Self(settings), judges_bases: true, unknown_keys: error })
    }
}

/// What becomes of keys that an index of its type does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum UnknownKeys {
    Keep,
    Refuse,
}

/// The value of a key of a stage as it is stored; `None` for an unknown key.
fn normalise_stage(key: &str, value: &Value) -> Result<Option<Value>, ConfigError> {
    Ok(Some(match key {
        "acl_upload" | "acl_toxresult_upload" => {
            parse_list(value)?.into_iter().map(normalise_principal).collect()
        }
        // Whether they exist, and are well formed, is judged by whoever can look them up: see `base_specs`.
        "bases" => parse_list(value)?.into(),
        "mirror_whitelist" => parse_list(value)?.into_iter().map(normalise_whitelisted).collect(),
        "mirror_whitelist_inheritance" => match value.as_str().map(str::to_lowercase).as_deref() {
            Some(word @ ("intersection" | "union")) => word.into(),
            other => {
                let shown = other.map_or_else(|| python::repr(value), |word| format!("'{word}'"));
                return Err(ConfigError::Inheritance(shown));
            }
        },
        _ => return Ok(None),
    }))
}

fn normalise_principal(name: String) -> Value {
    let upper = name.to_uppercase();
    Value::from(if [ANONYMOUS, AUTHENTICATED].contains(&upper.as_str()) { upper } else { name })
}

fn normalise_whitelisted(name: String) -> Value {
    if name == "*" { Value::from(name) } else { Value::from(ProjectName::from_url(&name).normal()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn example() -> IndexConfig {
        IndexConfig::create("alice", &Map::new()).unwrap().accept().unwrap()
    }

    #[test]
    fn a_new_index_has_devpis_defaults() {
        assert_eq!(
            Value::Object(example().into_shown()),
            json!({"type": "stage", "volatile": true, "acl_upload": ["alice"], "acl_toxresult_upload": [":ANONYMOUS:"],
                   "bases": [], "mirror_whitelist": [], "mirror_whitelist_inheritance": "intersection"})
        );
    }

    #[test]
    fn values_come_as_texts_and_are_normalised() {
        let asked = object(json!({
            "bases": "alice/dev", "volatile": "False", "acl_upload": "alice, :authenticated:,:anonymous:",
            "mirror_whitelist": "*,Foo_Bar", "mirror_whitelist_inheritance": "UNION", "title": "T",
            "description": "", "custom_data": {"k": [1]}, "pypi_whitelist": "x", "projects": ["x"]
        }));
        let settings =
            Value::Object(IndexConfig::create("alice", &asked).unwrap().accept().unwrap().into_shown());
        assert_eq!(
            settings,
            json!({"type": "stage", "volatile": false, "acl_upload": ["alice", ":AUTHENTICATED:", ":ANONYMOUS:"],
                   "acl_toxresult_upload": [":ANONYMOUS:"], "bases": ["alice/dev"],
                   "mirror_whitelist": ["*", "foo-bar"], "mirror_whitelist_inheritance": "union", "title": "T",
                   "description": "", "custom_data": {"k": [1]}})
        );
    }

    #[test]
    fn bad_values_are_named_as_devpi_names_them() {
        for (asked, text) in [
            (json!({"type": "foo"}), "unknown index type 'foo'"),
            (json!({"volatile": "maybe"}), "Unknown boolean value 'maybe'."),
            (json!({"volatile": 1}), "Unknown boolean value 1."),
            (json!({"volatile": null}), "Unknown boolean value None."),
            (json!({"bases": 1}), "Unknown list value 1."),
            (json!({"acl_upload": null}), "Unknown list value None."),
            (json!({"acl_upload": [1]}), "Unknown list value [1]."),
            (
                json!({"mirror_whitelist_inheritance": "foo"}),
                "Unknown value 'foo' for mirror_whitelist_inheritance, must be 'intersection' or 'union'.",
            ),
            (
                json!({"foo": "bar", "zoo": [1]}),
                "indexconfig got unexpected keyword arguments: foo=bar, zoo=[1]",
            ),
        ] {
            let result = IndexConfig::create("alice", &object(asked)).and_then(Proposal::accept);
            assert_eq!(result.unwrap_err().to_string(), text);
        }
    }
}
