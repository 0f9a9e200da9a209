//! Values as devpi's messages show them: the way Python prints them.

use std::fmt::Write;

use serde_json::Value;

/// A text as Python's `repr` shows it: in single quotes, or in double quotes if it has single ones only.
pub fn quote(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if character == quote => {
                quoted.push('\\');
                quoted.push(quote);
            }
            _ if character.is_ascii_control() => {
                let _infallible = write!(quoted, "\\x{:02x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push(quote);
    quoted
}

/// A JSON value as Python's `repr` shows what it becomes there.
pub(super) fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quote(text),
        Value::Array(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(key, value)| format!("{}: {}", quote(key), repr(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// A JSON value as Python's `str` shows it: like [`repr`], but a text stands without quotes.
pub(super) fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        _ => repr(value),
    }
}

/// Whether Python takes the value for true: anything but null, false, zero and empty things.
pub fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_print_as_in_python() {
        for (value, expected) in [
            (json!("x"), "'x'"),
            (json!("it's"), "\"it's\""),
            (json!("it's \"it\""), r#"'it\'s "it"'"#),
            (json!("a\\b\n\u{1}ä"), r"'a\\b\n\x01ä'"),
            (json!([1, null, true, "a", {"k": 1.5}]), "[1, None, True, 'a', {'k': 1.5}]"),
        ] {
            assert_eq!(repr(&value), expected);
        }
        assert_eq!(display(&json!("x")), "x");
        assert_eq!(display(&json!(["x"])), "['x']");
    }

    #[test]
    fn truth_is_pythons() {
        for falsy in [json!(null), json!(false), json!(0), json!(0.0), json!(""), json!([]), json!({})] {
            assert!(!is_truthy(&falsy), "{falsy}");
        }
        for truthy in [json!(true), json!(-1), json!(" "), json!([0]), json!({"a": null})] {
            assert!(is_truthy(&truthy), "{truthy}");
        }
    }
}
