//! The order of version strings that PEP 440 refuses.
//!
//! It is the order setuptools had before PEP 440, in which any string is a version. Only ASCII
//! digits are numbers here.

/// What such a string sorts by: its parts, compared as text one after the other.
///
/// Numbers are padded to eight digits and words get a `*`, so that words come before numbers;
/// `*final` stands at the end, so that `a`, `b` and `rc` come before the end of a version and
/// most other words after it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Legacy(Vec<String>);

impl Legacy {
    /// Takes any string apart.
    pub(super) fn new(literal: &str) -> Self {
        let lower = literal.to_lowercase();
        let mut parts = Vec::new();
        for run in runs(&lower) {
            let word = match run {
                "." => continue,
                "pre" | "preview" | "rc" => "c",
                "-" => "final-",
                "dev" => "@",
                other => other,
            };
            if word.starts_with(|first: char| first.is_ascii_digit()) {
                parts.push(format!("{word:0>8}"));
            } else {
                push_word(&mut parts, format!("*{word}"));
            }
        }
        push_word(&mut parts, "*final".to_owned());
        Self(parts)
    }
}

/// Adds a word, and drops what does not count before it: zeros that end a series of numbers,
/// and the dash before a pre-release.
fn push_word(parts: &mut Vec<String>, word: String) {
    if word.as_str() < "*final" {
        while parts.last().is_some_and(|last| last == "*final-") {
            parts.pop();
        }
    }
    while parts.last().is_some_and(|last| last == "00000000") {
        parts.pop();
    }
    parts.push(word);
}

/// Splits `text` into runs of ASCII digits, of small ASCII letters and of anything else; each `.`
/// and each `-` stands alone.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let kind = RunKind::of(rest.chars().next()?);
        let end = match kind {
            RunKind::Alone => 1,
            _ => rest.find(|character| RunKind::of(character) != kind).unwrap_or(rest.len()),
        };
        let (run, tail) = rest.split_at(end);
        rest = tail;
        Some(run)
    })
}

/// What belongs together in [`runs`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunKind {
    Digits,
    Letters,
    Alone,
    Other,
}

impl RunKind {
    /// The kind of run that `character` belongs to.
    fn of(character: char) -> Self {
        match character {
            '0'..='9' => Self::Digits,
            'a'..='z' => Self::Letters,
            '.' | '-' => Self::Alone,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_python_server() {
        for (literal, parts) in [
            ("", "*final"),
            ("2004d", "00002004 *d *final"),
            ("1.0-foo", "00000001 *final- *foo *final"),
            ("1.0-1-1", "00000001 *final- 00000001 *final- 00000001 *final"),
            ("1.0-rc1x", "00000001 *c 00000001 *x *final"),
            ("1.0-dev-x", "00000001 *@ *final- *x *final"),
            ("1.0.0-x.0.0", "00000001 *final- *x *final"),
            ("foo--pre", "*foo *c *final"),
            ("PREVIEW_2", "*c *_ 00000002 *final"),
            ("1..2", "00000001 00000002 *final"),
            ("0-0", "*final- *final"),
            ("1.2.x", "00000001 00000002 *x *final"),
            ("é1-b", "*é 00000001 *b *final"),
            ("123456789x", "123456789 *x *final"),
        ] {
            assert_eq!(Legacy::new(literal).0.join(" "), parts, "{literal:?}");
        }
    }
}
