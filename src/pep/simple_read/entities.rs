//! Character references in HTML, decoded (`&amp;`, `&#43;`, `&#x2B;`).
//!
//! Only those that simple pages use, and only with their semicolon: in the query of a URL `&lt=1` is a
//! parameter.

use std::borrow::Cow;

/// The longest reference that is looked at, without `&` and `;`.
const MAX_REFERENCE_BYTES: usize = 16;

/// The text with its character references replaced once. Unknown ones stay as they are.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('&') else {
        return Cow::Borrowed(text);
    };
    let (before, mut rest) = text.split_at(first);
    let mut decoded = String::with_capacity(text.len());
    decoded.push_str(before);
    // `rest` begins with an ampersand whenever it is not empty.
    while !rest.is_empty() {
        let mut after = 1;
        match reference(&rest[1..]) {
            Some((character, length)) => {
                decoded.push(character);
                after += length + 1;
            }
            None => decoded.push('&'),
        }
        rest = &rest[after..];
        let (before, next) = rest.split_at(rest.find('&').unwrap_or(rest.len()));
        decoded.push_str(before);
        rest = next;
    }
    Cow::Owned(decoded)
}

/// The character that a text after an ampersand begins with, and the length of its name.
fn reference(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(MAX_REFERENCE_BYTES + 1).position(|byte| byte == b';')?;
    let name = &text[..end];
    let character = match name.strip_prefix('#') {
        Some(number) => numbered(number)?,
        None => named(name)?,
    };
    Some((character, end))
}

fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // `from_str_radix` takes a sign, a reference has none.
    if !digits.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok()?;
    char::from_u32(code).filter(|&character| character != '\0')
}

fn named(name: &str) -> Option<char> {
    Some(match name {
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "plus" => '+',
        "num" => '#',
        "colon" => ':',
        "equals" => '=',
        "comma" => ',',
        "period" => '.',
        "sol" => '/',
        "quest" => '?',
        "percnt" => '%',
        "excl" => '!',
        "lowbar" => '_',
        "commat" => '@',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_decoded_once() {
        for (text, decoded) in [
            ("", ""),
            ("plain", "plain"),
            ("&gt;=3.8,&lt;4", ">=3.8,<4"),
            ("&quot;a&quot; &amp; &apos;b&apos;", "\"a\" & 'b'"),
            ("a&nbsp;b", "a\u{a0}b"),
            ("1&plus;2&num;&colon;", "1+2#:"),
            ("&#43;&#x2B;&#X2b;&#0043;", "++++"),
            ("&#233;&#x1F600;", "é😀"),
            ("&amp;lt;", "&lt;"),
            ("&amp;amp;amp;", "&amp;amp;"),
            ("?a=1&lt=2&amp;b", "?a=1&lt=2&b"),
            ("&", "&"),
            ("&&&", "&&&"),
            ("a&b&c", "a&b&c"),
            ("&;", "&;"),
            ("&#;", "&#;"),
            ("&#x;", "&#x;"),
            ("&#+43;", "&#+43;"),
            ("&#x+2B;", "&#x+2B;"),
            ("&#4f;", "&#4f;"),
            ("&#0;", "&#0;"),
            ("&#xD800;", "&#xD800;"),
            ("&#x110000;", "&#x110000;"),
            ("&#99999999999;", "&#99999999999;"),
            ("&unknown;", "&unknown;"),
            ("&Amp;", "&Amp;"),
            ("&ampersandampersand;", "&ampersandampersand;"),
            ("&é;&amp;", "&é;&"),
            ("é&gt;é", "é>é"),
        ] {
            assert_eq!(decode(text), decoded, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_decodes(text in "[&#;xa-z0-9é ]{0,40}") {
            prop_assert!(decode(&text).len() <= text.len());
        }

        #[test]
        fn escaping_is_undone(text in any::<String>()) {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;");
            prop_assert_eq!(decode(&escaped), text);
        }
    }
}
