//! The order of PEP 440 versions.
//!
//! The grammar is that of the `pep440_rs` crate; the order is our own, as that crate holds
//! numbers in a `u64` only.

use std::borrow::Cow;
use std::str::FromStr;

/// The segments of a PEP 440 version, missing ones filled in so that fields compare one by one.
///
/// Here and in the types below the order of fields and variants is the order of versions.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pep440 {
    epoch: Number,
    /// Without zeros at the end: `1.0` sorts as `1`.
    release: Vec<Number>,
    stage: Stage,
    post: Option<Number>,
    dev: Dev,
    local: Option<Vec<LocalPart>>,
}

/// Pre-release segment.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// A development release of the final one (`1.0.dev1`) comes before its pre-releases.
    BareDev,
    Alpha(Number),
    Beta(Number),
    Candidate(Number),
    Final,
}

/// Development release segment.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Dev {
    Number(Number),
    Released,
}

/// One part of a local version; words come before numbers.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum LocalPart {
    Word(String),
    Number(Number),
}

/// A number of any length. Time stamps down to the microsecond are in use, and have 20 digits.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Number {
    Short(u64),
    /// At least [`LONG_DIGITS`] digits without leading zeros; the count of digits comes first.
    Long(usize, Box<str>),
}

/// From so many digits on a number does not surely fit into a `u64`.
const LONG_DIGITS: usize = 20;

/// What stands for the first long number while the grammar is checked: above all short numbers.
const LONG_NUMBER: u64 = 10_u64.pow(19);

impl Pep440 {
    /// Reads a version as PEP 440 defines it, `None` if it is not one.
    pub(super) fn parse(literal: &str) -> Option<Self> {
        let trimmed = literal.trim_matches(is_python_space);
        let (public, local) = match trimmed.split_once('+') {
            Some((public, local)) => (public, Some(parse_local(local)?)),
            None => (trimmed, None),
        };
        // The crate allows blanks around what it is given, which here is not the whole string.
        if public.contains(char::is_whitespace) {
            return None;
        }
        let (masked, long_numbers) = mask_long_numbers(public);
        let parsed = pep440_rs::Version::from_str(&masked).ok()?;
        let number = |value: u64| unmask(value, &long_numbers);

        let release = parsed.release();
        let significant = release.iter().rposition(|&value| value != 0);
        let release = &release[..significant.map_or(0, |last| last + 1)];
        let stage = match parsed.pre() {
            Some(pre) => match pre.kind {
                pep440_rs::PrereleaseKind::Alpha => Stage::Alpha(number(pre.number)),
                pep440_rs::PrereleaseKind::Beta => Stage::Beta(number(pre.number)),
                pep440_rs::PrereleaseKind::Rc => Stage::Candidate(number(pre.number)),
            },
            None if parsed.post().is_none() && parsed.dev().is_some() => Stage::BareDev,
            None => Stage::Final,
        };
        Some(Self {
            epoch: number(parsed.epoch()),
            release: release.iter().copied().map(number).collect(),
            stage,
            post: parsed.post().map(number),
            dev: parsed.dev().map_or(Dev::Released, |value| Dev::Number(number(value))),
            local,
        })
    }

    /// Whether this is a pre-release or a development release.
    pub(super) fn is_prerelease(&self) -> bool {
        self.stage != Stage::Final || self.dev != Dev::Released
    }
}

/// What devpi strips from the ends of a version.
fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

/// Reads the local segment, which is what follows the `+`.
fn parse_local(local: &str) -> Option<Vec<LocalPart>> {
    local.split(['.', '-', '_']).map(parse_local_part).collect()
}

/// Reads one part of the local segment.
fn parse_local_part(part: &str) -> Option<LocalPart> {
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    if part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(LocalPart::Number(Number::from_digits(part)));
    }
    Some(LocalPart::Word(part.to_ascii_lowercase()))
}

impl Number {
    /// The number that `digits` spell.
    fn from_digits(digits: &str) -> Self {
        let digits = digits.trim_start_matches('0');
        if digits.len() < LONG_DIGITS {
            // Nothing is left of a zero; all else this short fits.
            return Self::Short(digits.parse().unwrap_or(0));
        }
        Self::Long(digits.len(), digits.into())
    }
}

/// Puts [`LONG_NUMBER`] and its successors in the place of numbers that may be too long for the
/// crate that knows the grammar, and returns those numbers in order.
fn mask_long_numbers(public: &str) -> (Cow<'_, str>, Vec<&str>) {
    if public.len() < LONG_DIGITS {
        return (Cow::Borrowed(public), Vec::new());
    }
    let mut masked = String::with_capacity(public.len());
    let mut long_numbers = Vec::new();
    let mut stand_in = LONG_NUMBER;
    let mut rest = public;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let (before, from_digit) = rest.split_at(start);
        let tail = from_digit.trim_start_matches(|character: char| character.is_ascii_digit());
        let run = &from_digit[..from_digit.len() - tail.len()];
        let digits = run.trim_start_matches('0');
        masked.push_str(before);
        if digits.len() < LONG_DIGITS {
            masked.push_str(run);
        } else {
            masked.push_str(&stand_in.to_string());
            stand_in += 1;
            long_numbers.push(digits);
        }
        rest = tail;
    }
    masked.push_str(rest);
    (Cow::Owned(masked), long_numbers)
}

/// The number that `value` is, or stands for.
fn unmask(value: u64, long_numbers: &[&str]) -> Number {
    value
        .checked_sub(LONG_NUMBER)
        .and_then(|index| long_numbers.get(usize::try_from(index).ok()?))
        .map_or(Number::Short(value), |digits| Number::from_digits(digits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blanks_count_only_inside() {
        for (version, is_pep440) in [
            (" 1.0\n", true),
            ("\u{1c}1.0\u{2003}", true),
            ("1.0 +a", false),
            ("1 .0", false),
            ("1.0+", false),
            ("1.0+a..b", false),
            ("1.0+a+b", false),
            ("1.*", false),
            ("", false),
        ] {
            assert_eq!(Pep440::parse(version).is_some(), is_pep440, "{version:?}");
        }
    }

    #[test]
    fn long_numbers_count_in_full() {
        let parse = |literal: &str| Pep440::parse(literal).expect(literal);
        let long = "123456789012345678901234567890";
        assert!(parse(&format!("1.{long}")) < parse(&format!("1.{long}0")));
        assert!(parse(&format!("{long}.dev{long}")) < parse(&format!("{long}.dev1{long}")));
        assert!(parse("9999999999999999999") < parse("10000000000000000000"));
        assert!(parse("10000000000000000000") < parse("10000000000000000001"));
        assert!(parse(&format!("1.000000000000000000000000{long}")) == parse(&format!("1.{long}")));
        assert!(parse("1.0000000000000000000000007") == parse("1.7"));
        assert!(parse(&format!("1+{long}")) > parse("1+9"));
    }

    /// ASCII strings, many of them versions.
    fn literal() -> impl Strategy<Value = String> {
        let pieces: Vec<_> = "0|1|10|.|-|_|+|!|a|RC|post|dev|r|alpha|pre|foo|v| |*".split('|').collect();
        prop_oneof![
            prop::collection::vec(prop::sample::select(pieces), 0..7).prop_map(|pieces| pieces.concat()),
            "[ -~]{0,9}",
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_the_crate_on_what_is_a_version(literal in literal()) {
            prop_assume!(!literal.contains(" +") && literal.len() < LONG_DIGITS);
            let known = pep440_rs::Version::from_str(&literal).is_ok();
            prop_assert_eq!(Pep440::parse(&literal).is_some(), known);
        }
    }
}
