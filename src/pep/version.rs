//! Versions of releases: the string that was uploaded, and its place in order.
//!
//! The server keeps versions literally: `1.0` and `1.0.0` are two releases. They sort as PEP 440
//! says; strings PEP 440 refuses (`2004d`, `1.0-foo`) sort before all others, and among
//! themselves by the key that setuptools used before PEP 440, which devpi still
//! applies. So a listing never fails over an old version string.
//!
//! Not here: version specifiers, and rewriting a version into its normal form.

mod legacy;
mod pep440;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use legacy::Legacy;
use pep440::Pep440;

/// A version: its literal string and its place in order.
///
/// Equality and hash go by the literal string. The order goes by meaning, then by the literal
/// string: versions that mean the same, such as `1.0` and `1.0.0`, are neighbours but not equal,
/// which keeps the order total and in agreement with equality.
#[derive(Clone)]
pub struct Version {
    literal: Arc<str>,
    meaning: Arc<Meaning>,
}

impl Version {
    /// Takes any string as a version.
    pub fn new(literal: &str) -> Self {
        let meaning = match Pep440::parse(literal) {
            Some(key) => Meaning::Pep440(key),
            None => Meaning::Legacy(Legacy::new(literal)),
        };
        Self { literal: literal.into(), meaning: Arc::new(meaning) }
    }

    /// The string that was given.
    pub fn as_str(&self) -> &str {
        &self.literal
    }

    /// Whether this is a pre-release or a development release in the sense of PEP 440.
    ///
    /// A string PEP 440 refuses is neither.
    pub fn is_prerelease(&self) -> bool {
        match &*self.meaning {
            Meaning::Legacy(_) => false,
            Meaning::Pep440(key) => key.is_prerelease(),
        }
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.literal == other.literal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.meaning.cmp(&other.meaning).then_with(|| self.literal.cmp(&other.literal))
    }
}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.literal.hash(state);
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Version({:?})", self.literal)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.literal)
    }
}

/// What a version sorts by; the order of the variants is the order of versions.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    /// A string PEP 440 refuses.
    Legacy(Legacy),
    /// A PEP 440 version.
    Pep440(Pep440),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Versions in ascending order as devpi sorts them, those that mean the same by
    /// their literal string.
    const ASCENDING: &str = "
        dev alpha bar final foo v 0.x x é 1.0.dev2.post1 1.0-bar 1.0-pre-x 1.0-rc1x 1..0 1.0-foo
        1.0-x.0 1.0-1-1 1.0.x 1.x 1.2.x 1.10.x 2004d 0.dev0 0 0.0 0.1.dev1 0.1 1.0.dev1 1.dev1
        1.0a1.dev1 1.0-a.1 1.0a1 1.0alpha1 1.0a1.post1 1.0a2 1.0a10 1.0b1 1.0beta2 1.0c1 1.0rc1
        1.0-RC2 1.0pre3 1 1.0 1.0.0 v1.0 1.0+abc 1.0+abc.5 1.0+ABC.10 1.0+05 1.0+5 1.0+10
        1.0+12345678901234567890123 1.0.post0 1.0.post1.dev1 1.0-1 1.0.post1 1.0r2
        1.0.post2+local 1.1 1.2 1.10 2.0.dev9999999999999999999 2.0.dev18446744073709551615
        2.0.dev18446744073709551616 2.0.dev20240101120000123456 2.0.dev20240101120000123457 2.0
        2.0.0.0.1 2004b 2024.1 20240101 99999999999999999999 100000000000000000000 1!0.1 1!1.0
        2!0
    ";

    /// Those of them that are pre-releases.
    const PRERELEASES: &str = "
        0.dev0 0.1.dev1 1.0.dev1 1.dev1 1.0a1.dev1 1.0-a.1 1.0a1 1.0alpha1 1.0a1.post1 1.0a2
        1.0a10 1.0b1 1.0beta2 1.0c1 1.0rc1 1.0-RC2 1.0pre3 1.0.post1.dev1
        2.0.dev9999999999999999999 2.0.dev18446744073709551615 2.0.dev18446744073709551616
        2.0.dev20240101120000123456 2.0.dev20240101120000123457 2004b
    ";

    #[test]
    fn orders_as_the_python_server_does() {
        let versions: Vec<Version> = ASCENDING.split_whitespace().map(Version::new).collect();
        for (at, smaller) in versions.iter().enumerate() {
            for larger in &versions[at + 1..] {
                assert!(smaller < larger, "{smaller} < {larger}");
                assert!(larger > smaller, "{larger} > {smaller}");
            }
        }
    }

    #[test]
    fn knows_pre_releases() {
        let prereleases: Vec<&str> = PRERELEASES.split_whitespace().collect();
        for version in ASCENDING.split_whitespace() {
            let expected = prereleases.contains(&version);
            assert_eq!(Version::new(version).is_prerelease(), expected, "{version}");
        }
    }

    /// Version-like strings, mostly valid, with enough likeness to collide.
    fn version() -> impl Strategy<Value = String> {
        let pieces: Vec<_> =
            "0 1 10 2004 00 . - _ + ! a b rc post dev alpha pre foo v 99999999999999999999 é"
                .split(' ')
                .collect();
        prop_oneof![
            "[0-9]{1,2}(\\.[0-9]{1,2}){0,3}((a|b|rc)[0-9])?(\\.post[0-9])?(\\.dev[0-9])?",
            prop::collection::vec(prop::sample::select(pieces), 0..8).prop_map(|pieces| pieces.concat()),
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in version(), b in version(), c in version()) {
            let (a, b, c) = (Version::new(&a), Version::new(&b), Version::new(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }

        #[test]
        fn printing_and_reading_is_identity(literal in version()) {
            let version = Version::new(&literal);
            prop_assert_eq!(version.to_string(), literal.as_str());
            prop_assert_eq!(version.as_str(), literal.as_str());
            prop_assert_eq!(Version::new(&version.to_string()), version);
        }

        #[test]
        fn legacy_versions_come_first(literal in version(), release in "[0-9](\\.[0-9]){0,2}") {
            if Pep440::parse(&literal).is_none() {
                prop_assert!(Version::new(&literal) < Version::new(&release));
            }
        }
    }
}
