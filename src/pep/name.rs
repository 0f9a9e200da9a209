//! Project names in PEP 503 normal form.
//!
//! A name is normalised once, when it enters the server, and compared by its normal form from
//! then on; the spelling that was given stays at hand for display. There are two doors:
//! [`ProjectName::parse`] applies the rules of an upload, [`ProjectName::from_url`] takes any
//! text, because a URL segment or a stored record names something to look up and an odd name
//! simply is not found.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest name an upload may have, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// A project name: its PEP 503 normal form and the spelling that was given.
///
/// Two spellings of one project compare equal, order equally and hash equally;
/// [`ProjectName::display`] keeps the given one.
#[derive(Clone)]
pub struct ProjectName {
    normal: Arc<str>,
    given: Arc<str>,
}

impl ProjectName {
    /// Takes a name under the rules of an upload.
    ///
    /// Of several faults the one reported is the first in the order of the variants of
    /// [`NameError`].
    pub fn parse(given: &str) -> Result<Self, NameError> {
        if given.is_empty() {
            return Err(NameError::Missing);
        }
        if given.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong);
        }
        if !given.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(NameError::Characters);
        }
        if !given.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            return Err(NameError::Start);
        }
        if !given.ends_with(|last: char| last.is_ascii_alphanumeric()) {
            return Err(NameError::End);
        }
        Ok(Self::from_url(given))
    }

    /// Takes any text as a name, as the segment of a URL is taken.
    ///
    /// Every run of characters other than ASCII letters and digits becomes one `-`, also at the
    /// ends and also where the characters are letters of another script.
    pub fn from_url(given: &str) -> Self {
        let normal = normalise(given);
        let given: Arc<str> = given.into();
        let normal = if *normal == *given { Arc::clone(&given) } else { normal.into() };
        Self { normal, given }
    }

    /// The PEP 503 normal form.
    pub fn normal(&self) -> &str {
        &self.normal
    }

    /// The spelling that was given.
    pub fn display(&self) -> &str {
        &self.given
    }

    /// Whether the given spelling is the normal form already.
    pub fn is_normal(&self) -> bool {
        self.given == self.normal
    }
}

/// Lower-cases `given` and makes every run of other characters one `-`.
fn normalise(given: &str) -> String {
    let mut normal = String::with_capacity(given.len());
    let mut in_run = false;
    for character in given.chars() {
        if character.is_ascii_alphanumeric() {
            normal.push(character.to_ascii_lowercase());
            in_run = false;
        } else if !in_run {
            normal.push('-');
            in_run = true;
        }
    }
    normal
}

impl PartialEq for ProjectName {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for ProjectName {}

impl PartialOrd for ProjectName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ProjectName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.normal.cmp(&other.normal)
    }
}

impl Hash for ProjectName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normal.hash(state);
    }
}

impl fmt::Debug for ProjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ProjectName({:?})", self.given)
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.given)
    }
}

impl Serialize for ProjectName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.given)
    }
}

impl<'de> Deserialize<'de> for ProjectName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = String::deserialize(deserializer)?;
        Ok(Self::from_url(&given))
    }
}

/// Why a name may not be uploaded.
///
/// All texts but the one for length are those of devpi, which clients show as they
/// are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no name at all.
    #[error("Missing required field \"name\"")]
    Missing,
    /// The name has more than [`MAX_NAME_BYTES`] bytes.
    #[error("Invalid package name. Names must not be longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// The name has a character that no name may have.
    #[error(
        "Invalid package name. Names must contain only ASCII letters, digits, underscores, \
         hyphens, and periods"
    )]
    Characters,
    /// The name begins with punctuation.
    #[error("Invalid package name. Names must start with an ASCII letter or digit")]
    Start,
    /// The name ends with punctuation.
    #[error("Invalid package name. Names must end with an ASCII letter or digit")]
    End,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Given name and normal form, as devpi normalises.
    const NORMAL_FORMS: &[(&str, &str)] = &[
        ("", ""),
        ("abc", "abc"),
        ("ABC", "abc"),
        ("Pkg_A", "pkg-a"),
        ("pkg--a", "pkg-a"),
        ("a.-_b", "a-b"),
        ("-lead", "-lead"),
        ("trail-", "trail-"),
        ("__both__", "-both-"),
        ("zope.interface", "zope-interface"),
        ("ünïcode", "-n-code"),
        ("ſtraße", "-tra-e"),
        ("İstanbul", "-stanbul"),
        ("\u{212a}elvin", "-elvin"),
        ("日本", "-"),
        ("a b+c", "a-b-c"),
        ("a/b", "a-b"),
        ("..", "-"),
        ("-", "-"),
        ("a\nb", "a-b"),
        ("1.0", "1-0"),
    ];

    #[test]
    fn from_url_normalises_as_the_python_server_does() {
        for &(given, normal) in NORMAL_FORMS {
            let name = ProjectName::from_url(given);
            assert_eq!(name.normal(), normal, "{given:?}");
            assert_eq!(name.display(), given);
            assert_eq!(name.is_normal(), given == normal, "{given:?}");
        }
    }

    #[test]
    fn parse_refuses_with_the_texts_of_the_python_server() {
        const CHARACTERS: &str = "Invalid package name. Names must contain only ASCII letters, \
                                  digits, underscores, hyphens, and periods";
        const START: &str = "Invalid package name. Names must start with an ASCII letter or digit";
        const END: &str = "Invalid package name. Names must end with an ASCII letter or digit";
        for (given, text) in [
            ("", "Missing required field \"name\""),
            ("a b", CHARACTERS),
            ("a/b", CHARACTERS),
            ("a+b", CHARACTERS),
            (" a", CHARACTERS),
            ("a\n", CHARACTERS),
            ("ünicode", CHARACTERS),
            ("_a/", CHARACTERS),
            ("_a", START),
            (".a", START),
            ("-", START),
            ("_a_", START),
            ("a_", END),
            ("a.", END),
            ("a-", END),
        ] {
            let error = ProjectName::parse(given).expect_err(given);
            assert_eq!(error.to_string(), text, "{given:?}");
        }
    }

    #[test]
    fn parse_bounds_the_length() {
        let longest = "a".repeat(MAX_NAME_BYTES);
        assert!(ProjectName::parse(&longest).is_ok());
        let error = ProjectName::parse(&format!("{longest}a")).expect_err("too long");
        assert_eq!(error, NameError::TooLong);
        assert_eq!(error.to_string(), "Invalid package name. Names must not be longer than 255 bytes");
    }

    #[test]
    fn spellings_of_one_project_are_one_key() {
        let names: HashSet<ProjectName> =
            ["Pkg_A", "pkg-a", "PKG.a", "pkg-b"].map(ProjectName::from_url).into();
        assert_eq!(names.len(), 2);
        assert_eq!(ProjectName::from_url("Pkg_A").to_string(), "Pkg_A");
    }

    #[test]
    fn json_keeps_the_given_spelling() {
        let name: ProjectName = serde_json::from_str("\"Pkg_A\"").expect("a string is a name");
        assert_eq!(name.normal(), "pkg-a");
        assert_eq!(serde_json::to_string(&name).expect("a name is a string"), "\"Pkg_A\"");
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(given in any::<String>()) {
            let once = ProjectName::from_url(&given);
            let twice = ProjectName::from_url(once.normal());
            prop_assert_eq!(twice.normal(), once.normal());
            prop_assert!(twice.is_normal());
            prop_assert_eq!(&once, &twice);
        }

        #[test]
        fn a_normal_form_has_single_dashes_only(given in any::<String>()) {
            let name = ProjectName::from_url(&given);
            prop_assert!(!name.normal().contains("--"));
            prop_assert!(name.normal().bytes().all(
                |byte| byte == b'-' || byte.is_ascii_digit() || byte.is_ascii_lowercase()
            ));
        }

        #[test]
        fn what_parses_has_no_dash_at_its_ends(given in "[A-Za-z0-9._-]{1,20}") {
            if let Ok(name) = ProjectName::parse(&given) {
                prop_assert!(!name.normal().starts_with('-'));
                prop_assert!(!name.normal().ends_with('-'));
                prop_assert_eq!(name.display(), given);
            }
        }
    }
}
