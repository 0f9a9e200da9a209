//! How patches change the configuration of an index (`server-api` section 9.3).

use serde_json::{Map, Value};

use super::config_value::ConfigError;
use super::index_config::{IndexConfig, Proposal, UnknownKeys};
use crate::storage::model::IndexSettings;

impl IndexConfig {
    /// The configuration after `patch`, which is either an object of values or a list of `key=value`, `key+=value`
    /// and `key-=value` texts.
    pub fn patched(&self, patch: &Value) -> Result<Proposal, ConfigError> {
        match patch {
            Value::Object(values) => self.patched_by_object(values),
            Value::Array(operations) => self.patched_by_operations(operations),
            _ => Err(ConfigError::Malformed),
        }
    }

    fn patched_by_object(&self, values: &Map<String, Value>) -> Result<Proposal, ConfigError> {
        // The answer to a GET may be sent back as it came.
        let values = match (values.get("type").and_then(Value::as_str), values.get("result")) {
            (Some("indexconfig"), Some(Value::Object(result))) => result,
            _ => values,
        };
        let mut values = values.clone();
        if let Some(kind) = values.shift_remove("type")
            && self.settings().get("type") != Some(&kind)
        {
            return Err(ConfigError::TypeChange);
        }
        let judges_bases = values.contains_key("bases");
        Ok(Proposal { judges_bases, ..self.updated(values, UnknownKeys::Refuse)? })
    }

    fn patched_by_operations(&self, operations: &[Value]) -> Result<Proposal, ConfigError> {
        let mut settings = self.settings().clone();
        let mut unknown_keys = UnknownKeys::Keep;
        for operation in operations {
            let operation = operation.as_str().ok_or(ConfigError::Malformed)?;
            match Operation::parse(operation) {
                Operation::Set { key, value } => {
                    unknown_keys = UnknownKeys::Refuse;
                    settings.insert(key.to_owned(), value.into());
                }
                Operation::Drop { key } if self.has_default(key) || key == "type" => {
                    return Err(ConfigError::DropDefault);
                }
                Operation::Drop { key } => {
                    settings.shift_remove(key);
                }
                Operation::Add { key, value } => {
                    let list = list_of(&mut settings, key)?;
                    if !list.iter().any(|item| item == value) {
                        list.push(value.into());
                    }
                }
                Operation::Remove { key, value } => {
                    let list = list_of(&mut settings, key)?;
                    let before = list.len();
                    list.retain(|item| item != value);
                    if list.len() == before {
                        return Err(ConfigError::NotInList { key: key.to_owned(), value: value.to_owned() });
                    }
                }
            }
        }
        if settings.shift_remove("type") != self.settings().get("type").cloned() {
            return Err(ConfigError::TypeChange);
        }
        // All of it is judged again, not only what the operations name: by the type, and by the credentials that may
        // stand for those that are not shown.
        let judges = |key: &str| key == "type" || (key == "mirror_url" && settings.contains_key(key));
        let base = self.settings().iter().filter(|(key, _)| judges(key)).map(clone_pair).collect();
        Self::from_settings(base).updated(settings, unknown_keys)
    }
}

/// One text of a list patch.
enum Operation<'a> {
    Set { key: &'a str, value: &'a str },
    Add { key: &'a str, value: &'a str },
    Remove { key: &'a str, value: &'a str },
    Drop { key: &'a str },
}

impl<'a> Operation<'a> {
    fn parse(text: &'a str) -> Self {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if let Some(key) = key.strip_suffix('+') {
            Self::Add { key, value }
        } else if let Some(key) = key.strip_suffix('-') {
            if value.is_empty() { Self::Drop { key } } else { Self::Remove { key, value } }
        } else {
            Self::Set { key, value }
        }
    }
}

fn list_of<'a>(settings: &'a mut IndexSettings, key: &str) -> Result<&'a mut Vec<Value>, ConfigError> {
    settings.get_mut(key).and_then(Value::as_array_mut).ok_or_else(|| ConfigError::NotAList(key.to_owned()))
}

fn clone_pair((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example() -> IndexConfig {
        IndexConfig::create("alice", &Map::new()).unwrap().accept().unwrap()
    }

    #[track_caller]
    fn assert_error(result: Result<Proposal, ConfigError>, text: &str) {
        assert_eq!(result.and_then(Proposal::accept).unwrap_err().to_string(), text);
    }

    #[test]
    fn an_object_patch_changes_what_it_names() {
        let patched = example().patched(&json!({"title": "x", "type": "stage"})).unwrap();
        assert!(!patched.judges_bases);
        assert_eq!(patched.accept().unwrap().settings()["title"], "x");
        let wrapped =
            json!({"type": "indexconfig", "result": {"type": "stage", "bases": "", "projects": ["q"]}});
        assert!(example().patched(&wrapped).unwrap().judges_bases);
        assert_error(
            example().patched(&json!({"type": "mirror"})),
            "the 'type' of an index can't be changed",
        );
        assert_error(example().patched(&json!("x")), &ConfigError::Malformed.to_string());
    }

    #[test]
    fn a_list_patch_applies_operations_in_order() {
        let patch = json!([
            "acl_upload+=:anonymous:",
            "acl_upload+=alice",
            "title=hello",
            "description=a=b",
            "bases="
        ]);
        let config = example().patched(&patch).unwrap().accept().unwrap();
        assert_eq!(config.settings()["acl_upload"], json!(["alice", ":ANONYMOUS:"]));
        assert_eq!(
            (&config.settings()["title"], &config.settings()["description"]),
            (&json!("hello"), &json!("a=b"))
        );
        let config = config
            .patched(&json!(["acl_upload-=alice", "title-=", "nothing-=", "description"]))
            .unwrap()
            .accept()
            .unwrap();
        assert_eq!(config.settings()["acl_upload"], json!([":ANONYMOUS:"]));
        assert!(!config.settings().contains_key("title"));
        assert_eq!(config.settings()["description"], "");
    }

    #[test]
    fn bad_operations_are_refused() {
        for (patch, text) in [
            (json!(["acl_upload-=carol"]), "The 'acl_upload' setting doesn't have value 'carol'"),
            (json!(["volatile-="]), "Default values can't be removed."),
            (json!(["nokey=x"]), "indexconfig got unexpected keyword arguments: nokey=x"),
            (json!(["volatile+=x"]), "The 'volatile' setting isn't a list"),
            (json!(["nokey-=x"]), "The 'nokey' setting isn't a list"),
            (json!(["type=mirror"]), "the 'type' of an index can't be changed"),
            (json!([1]), "The index configuration must be an object or a list of 'key=value' strings"),
        ] {
            assert_error(example().patched(&patch), text);
        }
    }

    #[test]
    fn unknown_stored_keys_survive_list_changes_only() {
        let mut settings = example().into_shown();
        settings.insert("future".to_owned(), json!(1));
        let config = IndexConfig::from_settings(settings);
        assert!(
            config
                .patched(&json!(["acl_upload+=bob"]))
                .unwrap()
                .accept()
                .unwrap()
                .settings()
                .contains_key("future")
        );
        assert_error(
            config.patched(&json!(["title=x"])),
            "indexconfig got unexpected keyword arguments: future=1",
        );
    }
}
