//! Core metadata of a release, as upload forms carry it and as devpi's JSON shows it.
//!
//! Values are kept as they came; the only rule is which fields are texts and which are lists. The order of
//! [`FIELDS`] is the order in answers.

use serde_json::{Map, Value};

use super::name::ProjectName;

/// Whether a field holds one text or a list of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// At most once in a form; absent means `""`.
    Text,
    /// Any number of times in a form; absent means `[]`.
    List,
}

use FieldKind::{List, Text};

/// The fields that are stored for a release, in the order of devpi's answers.
pub const FIELDS: &[(&str, FieldKind)] = &[
    ("name", Text),
    ("version", Text),
    ("metadata_version", Text),
    ("summary", Text),
    ("home_page", Text),
    ("author", Text),
    ("author_email", Text),
    ("maintainer", Text),
    ("maintainer_email", Text),
    ("license", Text),
    ("description", Text),
    ("keywords", Text),
    ("platform", List),
    ("classifiers", List),
    ("download_url", Text),
    ("supported_platform", List),
    ("comment", Text),
    ("provides", List),
    ("requires", List),
    ("obsoletes", List),
    ("project_urls", List),
    ("provides_dist", List),
    ("obsoletes_dist", List),
    ("requires_dist", List),
    ("requires_external", List),
    ("requires_python", Text),
    ("description_content_type", Text),
    ("provides_extras", List),
    ("dynamic", List),
    ("license_expression", Text),
    ("license_file", List),
];

/// Fields of newer core metadata (2.5, PEP 794) that may come more than once, in both spellings that tools use. They
/// are there only where a form has them, as are fields that nobody here has heard of.
const NEWER_LISTS: &[&str] = &["import_name", "import_names", "import_namespace", "import_namespaces"];

/// The longest name of a field that is not in [`FIELDS`].
const MAX_FIELD_NAME_BYTES: usize = 64;

/// What upload forms say about the upload or the file, not about the release.
const NO_METADATA: &[&str] =
    &["protocol_version", "filetype", "pyversion", "content", "gpg_signature", "attestations"];

/// Names that tools send for a field of [`FIELDS`]: twine and uv name extras in the singular.
const ALIASES: &[(&str, &str)] = &[("provides_extra", "provides_extras")];

/// The metadata fields of one release: those of [`FIELDS`] in their order, then others as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseMetadata(Map<String, Value>);

impl ReleaseMetadata {
    /// Takes the metadata out of form `pairs`.
    ///
    /// Of a text field the last value counts. `UNKNOWN`, which old distutils send for a missing value, counts as
    /// empty, and empty items of lists are dropped. Fields that are not known are kept verbatim: as a text, or as a
    /// list where they come more than once.
    pub fn from_form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        let mut fields = Map::new();
        for &(field, kind) in FIELDS {
            let values: Vec<&str> = pairs
                .clone()
                .into_iter()
                .filter(|(key, _)| *key == field || ALIASES.contains(&(*key, field)))
                .map(|(_, value)| value)
                .collect();
            let Some(&last) = values.last() else { continue };
            let value = match kind {
                Text if last == "UNKNOWN" => Value::from(""),
                Text => Value::from(last),
                List => values.into_iter().filter(|item| !item.is_empty()).collect(),
            };
            fields.insert(field.to_owned(), value);
        }
        let mut unknown: Map<String, Value> = Map::new();
        for (field, value) in pairs.into_iter().filter(|(field, _)| is_unknown_metadata(field)) {
            match unknown.get_mut(field) {
                None if NEWER_LISTS.contains(&field) => unknown.insert(field.to_owned(), vec![value].into()),
                None => unknown.insert(field.to_owned(), value.into()),
                Some(Value::Array(values)) => {
                    values.push(value.into());
                    None
                }
                Some(first) => {
                    *first = Value::Array(vec![first.take(), value.into()]);
                    None
                }
            };
        }
        fields.append(&mut unknown);
        Self(fields)
    }

    /// Metadata as it was stored; fields may be missing and unknown ones are kept.
    pub fn from_map(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// The same fields with every missing one of [`FIELDS`] added as `""` or `[]`; unknown ones come last.
    #[must_use]
    pub fn complete(mut self) -> Self {
        let mut fields = Map::new();
        for &(field, kind) in FIELDS {
            let empty = match kind {
                Text => Value::from(""),
                List => Value::Array(Vec::new()),
            };
            fields.insert(field.to_owned(), self.0.shift_remove(field).unwrap_or(empty));
        }
        fields.append(&mut self.0);
        Self(fields)
    }

    /// These fields, with those of `newer` in the place of their old values.
    #[must_use]
    pub fn overlaid_with(mut self, newer: &Self) -> Self {
        self.0.extend(newer.0.clone());
        self
    }

    /// The same, [complete](Self::complete).
    #[must_use]
    pub fn updated_with(self, newer: &Self) -> Self {
        self.overlaid_with(newer).complete()
    }

    /// Puts fields in the place of those of the same names, and adds the others.
    pub fn extend(&mut self, fields: Map<String, Value>) {
        self.0.extend(fields);
    }

    /// The value of a text field; `""` where it is missing.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or("")
    }

    /// Whether the field is there, even if empty.
    pub fn contains(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// All fields in order.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All fields in order.
    pub fn into_fields(self) -> Map<String, Value> {
        self.0
    }
}

/// Whether a document is the core metadata of a project, as far as its head tells: a `Metadata-Version`, and a `Name` that
/// is the project's.
pub fn is_core_metadata(document: &[u8], project: &ProjectName) -> bool {
    let lines = document.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let head = lines.take_while(|line| !line.is_empty()).filter_map(|line| str::from_utf8(line).ok());
    let fields = head.filter_map(|line| line.split_once(':'));
    let (mut has_version, mut has_name) = (false, false);
    for (field, value) in fields {
        has_version |= field.eq_ignore_ascii_case("Metadata-Version");
        has_name |= field.eq_ignore_ascii_case("Name") && ProjectName::from_url(value.trim()) == *project;
    }
    has_version && has_name
}

/// Whether a form field is metadata of a kind that is not in [`FIELDS`]. Other characters than those of names are for
/// the server's own keys, and could break the forms in which the field is sent on.
fn is_unknown_metadata(field: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=MAX_FIELD_NAME_BYTES).contains(&field.len())
        && field.bytes().all(is_name)
        && !field.ends_with("_digest")
        && !NO_METADATA.contains(&field)
        && !FIELDS.iter().any(|(known, _)| *known == field)
        && !ALIASES.iter().any(|(alias, _)| *alias == field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn core_metadata_name_their_project() {
        let project = ProjectName::from_url("demo-app");
        for (document, expected) in [
            ("Metadata-Version: 2.1\nName: Demo.App\nVersion: 1.0\n\ntext", true),
            ("metadata-version: 2.1\r\nVERSION: 1.0\r\nname:demo_app\r\n", true),
            ("Metadata-Version: 2.1\nName: other\n", false),
            ("Metadata-Version: 2.1\nVersion: 1.0\n\nName: demo-app\n", false),
            ("Name: demo-app\nVersion: 1.0\n", false),
            ("<!DOCTYPE html>\n<title>Name: demo-app</title>\n", false),
            ("", false),
        ] {
            assert_eq!(is_core_metadata(document.as_bytes(), &project), expected, "{document}");
        }
        assert!(is_core_metadata(b"Metadata-Version: 2.1\nAuthor: \xe9\nName: demo-app\n", &project));
    }

    fn form(pairs: &[(&'static str, &'static str)]) -> ReleaseMetadata {
        ReleaseMetadata::from_form(pairs.iter().copied())
    }

    #[test]
    fn forms_give_texts_and_lists() {
        let metadata = form(&[
            ("classifiers", "A"),
            ("name", "Pkg_A"),
            ("home_page", "UNKNOWN"),
            ("summary", "first"),
            ("summary", "last"),
            ("classifiers", ""),
            ("classifiers", "B"),
            ("provides_extra", "test"),
            (":action", "file_upload"),
            ("+links", "x"),
            ("sha256_digest", "abc"),
            ("pyversion", "py3"),
            ("platform", ""),
        ]);
        assert_eq!(
            Value::Object(metadata.into_fields()),
            json!({"name": "Pkg_A", "summary": "last", "home_page": "", "platform": [],
                   "classifiers": ["A", "B"], "provides_extras": ["test"]})
        );
    }

    #[test]
    fn unknown_fields_are_kept_verbatim() {
        let metadata = form(&[
            ("import_names", "demo"),
            ("future", "UNKNOWN"),
            ("name", "x"),
            ("content\"; filename=\"evil", "y"),
            ("new\r\nline", "y"),
            ("", "y"),
            ("more", "1"),
            ("more", ""),
            ("more", "2"),
        ]);
        let expected =
            json!({"name": "x", "import_names": ["demo"], "future": "UNKNOWN", "more": ["1", "", "2"]});
        assert_eq!(Value::Object(metadata.into_fields()), expected);
    }

    #[test]
    fn a_complete_release_has_every_field_in_order() {
        let complete = form(&[("version", "1.0"), ("name", "x")]).complete();
        let keys: Vec<&str> = complete.fields().keys().map(String::as_str).collect();
        let expected: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
        assert_eq!(keys, expected);
        assert_eq!(complete.fields()["requires_dist"], json!([]));
        assert_eq!(complete.text("summary"), "");
    }

    #[test]
    fn an_update_replaces_only_what_it_names() {
        let old = form(&[("name", "x"), ("version", "1"), ("summary", "s"), ("classifiers", "A")]).complete();
        let new = old.updated_with(&form(&[("name", "X"), ("version", "1"), ("classifiers", "B")]));
        assert_eq!((new.text("name"), new.text("summary")), ("X", "s"));
        assert_eq!(new.fields()["classifiers"], json!(["B"]));
    }

    #[test]
    fn unknown_stored_fields_are_kept() {
        let stored =
            ReleaseMetadata::from_map(json!({"future": 1, "name": "x"}).as_object().cloned().unwrap());
        assert_eq!(stored.complete().fields().iter().next_back(), Some((&"future".to_owned(), &json!(1))));
    }
}
