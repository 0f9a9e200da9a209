//! JSON values of whatever type, for fields whose type an upstream may get wrong.
//!
//! A derived structure refuses the whole page for one odd value; a tree of values would keep all the page
//! has. These keep scalars and the keys of objects, to a depth that is part of the type, and pass over
//! everything else.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// The most keys of an object that are looked at. Entries of simple pages have about a dozen.
const MAX_KEYS: usize = 64;

/// A value; if it is an object, its values are `Inner`.
#[derive(Debug, Default)]
pub(super) enum Loose<'a, Inner> {
    /// Absent, `null`, or a number that is not a natural one.
    #[default]
    Nothing,
    /// `true` or `false`.
    Bool(bool),
    /// A natural number or zero.
    Number(u64),
    /// A string.
    Text(Cow<'a, str>),
    /// An object.
    Object(Vec<(Cow<'a, str>, Inner)>),
    /// A list; its elements are not kept.
    List,
}

/// A value whose parts are of no interest.
pub(super) type Scalar<'a> = Loose<'a, IgnoredAny>;
/// A value that may be an object of scalars, such as `hashes`.
pub(super) type Field<'a> = Loose<'a, Scalar<'a>>;
/// A value that should be an object, such as an entry of `files`.
pub(super) type Entry<'a> = Loose<'a, Field<'a>>;

impl<Inner> Loose<'_, Inner> {
    /// The string that this is.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The values of the object that this is, by key; none if it is no object.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = (&str, &Inner)> {
        let entries = if let Self::Object(entries) = self { entries.as_slice() } else { &[] };
        entries.iter().map(|(key, value)| (&**key, value))
    }

    /// The value of a key of the object that this is. Of several the last one counts, as in Python.
    pub(super) fn get(&self, key: &str) -> Option<&Inner> {
        self.entries().rfind(|(present, _)| *present == key).map(|(_, value)| value)
    }
}

impl<'de, Inner: Deserialize<'de>> Deserialize<'de> for Loose<'de, Inner> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader { each: |_: IgnoredAny| (), types: PhantomData })
    }
}

/// Reads a value and, if it is a list, calls a function with each element. Tells whether it is a list.
pub(super) struct Elements<F, Element>(F, PhantomData<fn(Element)>);

impl<F: FnMut(Element), Element> Elements<F, Element> {
    pub(super) fn new(each: F) -> Self {
        Self(each, PhantomData)
    }
}

impl<'de, F: FnMut(Element), Element: Deserialize<'de>> DeserializeSeed<'de> for Elements<F, Element> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        let reader: Reader<F, Element, IgnoredAny> = Reader { each: self.0, types: PhantomData };
        Ok(matches!(deserializer.deserialize_any(reader)?, Loose::List))
    }
}

/// A key or another string, borrowed from the page where it can be.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

struct Reader<F, Element, Inner> {
    each: F,
    types: PhantomData<fn(Element) -> Inner>,
}

impl<'de, F, Element, Inner> Visitor<'de> for Reader<F, Element, Inner>
where
    F: FnMut(Element),
    Element: Deserialize<'de>,
    Inner: Deserialize<'de>,
{
    type Value = Loose<'de, Inner>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Loose::Nothing)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Loose::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Loose::Number(value))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Loose::Nothing)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Loose::Nothing)
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self::Value, A::Error> {
        while let Some(element) = list.next_element()? {
            (self.each)(element);
        }
        Ok(Loose::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(Text(key)) = object.next_key()? {
            if entries.len() < MAX_KEYS {
                entries.push((key, object.next_value()?));
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Loose::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_read() {
        for (json, expected) in [
            ("null", "Nothing"),
            ("true", "Bool(true)"),
            ("7", "Number(7)"),
            ("-7", "Nothing"),
            ("7.5", "Nothing"),
            ("18446744073709551616", "Nothing"),
            (r#""a""#, r#"Text("a")"#),
            (r#""a\u00e9""#, r#"Text("aé")"#),
            ("[1, [2], {\"a\": 3}]", "List"),
            (
                r#"{"a": {"b": {"c": 2}}, "n": [3]}"#,
                r#"Object([("a", Object([("b", Object([("c", IgnoredAny)]))])), ("n", List)])"#,
            ),
        ] {
            let value: Entry<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(format!("{value:?}"), expected, "{json}");
        }
    }

    #[test]
    fn plain_texts_are_borrowed() {
        let value: Entry<'_> = serde_json::from_str(r#"{"url": "x"}"#).unwrap();
        let Loose::Object(entries) = &value else { panic!("not an object") };
        assert!(matches!(entries[0], (Cow::Borrowed("url"), Loose::Text(Cow::Borrowed("x")))));
    }

    #[test]
    fn of_several_keys_the_last_counts_and_of_many_the_first() {
        let value: Field<'_> = serde_json::from_str(r#"{"a": 1, "b": 2, "a": "x"}"#).unwrap();
        assert_eq!(value.get("a").and_then(Scalar::text), Some("x"));
        assert!(value.get("c").is_none());
        let many: Vec<String> = (0..1000).map(|key| format!("\"{key}\": {key}")).collect();
        let json = format!("{{{}}}", many.join(","));
        let value: Field<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(value.entries().count(), MAX_KEYS);
    }

    #[test]
    fn elements_are_told_one_by_one() {
        for (json, is_list, count) in
            [("[1, null, {}]", true, 3), ("[]", true, 0), ("{\"a\": [1]}", false, 0), ("null", false, 0)]
        {
            let mut seen = 0;
            let elements = Elements::new(|_: Scalar<'_>| seen += 1);
            let told = elements.deserialize(&mut serde_json::Deserializer::from_str(json)).unwrap();
            assert_eq!((told, seen), (is_list, count), "{json}");
        }
    }
}
