//! JSON as Python's `json` module writes it: pure ASCII, and either pretty or on one line with spaces.
//!
//! Clients compare and sign such texts, so the layout is part of the protocol.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{Formatter, PrettyFormatter};

/// `value` with an indentation of two spaces, and a line feed at the end.
pub fn to_pretty(value: &impl Serialize) -> Vec<u8> {
    let mut text = serialize(value, Pretty(PrettyFormatter::new()));
    text.push(b'\n');
    text
}

/// `value` on one line, with a space after each comma and colon.
pub fn to_line(value: &impl Serialize) -> String {
    String::from_utf8(serialize(value, Line)).unwrap_or_default()
}

fn serialize(value: &impl Serialize, formatter: impl Formatter) -> Vec<u8> {
    let mut text = Vec::new();
    // Fails only for maps whose keys are no strings, which no caller has; memory takes all writes.
    let written = value.serialize(&mut Serializer::with_formatter(&mut text, formatter));
    debug_assert!(written.is_ok(), "not serialisable: {written:?}");
    text
}

/// Writes a piece of a string with `\uXXXX` for all but ASCII.
fn write_ascii<W: ?Sized + Write>(writer: &mut W, fragment: &str) -> io::Result<()> {
    let mut units = [0; 2];
    for character in fragment.chars() {
        match u8::try_from(character) {
            // serde_json has escaped what JSON demands; Python's json escapes DEL not.
            Ok(byte) if byte.is_ascii() => writer.write_all(&[byte])?,
            _ => {
                for unit in character.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
    }
    Ok(())
}

struct Pretty(PrettyFormatter<'static>);

impl Formatter for Pretty {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        write_ascii(writer, fragment)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

struct Line;

impl Formatter for Line {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        write_ascii(writer, fragment)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_are_pythons() {
        let value = json!({"k": ["ä\"\n", 1, {}], "𝔘": null});
        assert_eq!(to_line(&value), r#"{"k": ["\u00e4\"\n", 1, {}], "\ud835\udd18": null}"#);
    }

    #[test]
    fn pretty_texts_are_pythons() {
        let text = String::from_utf8(to_pretty(&json!({"a": [1, []], "b": {}}))).unwrap();
        assert_eq!(text, "{\n  \"a\": [\n    1,\n    []\n  ],\n  \"b\": {}\n}\n");
    }
}
