//! Writes devpi's serialised values, for tests.

use proptest::prelude::*;
use serde_json::Value;

/// A value as Python knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Null,
    Boolean(bool),
    Integer(i64),
    Text(String),
    List(Vec<Item>),
    Tuple(Vec<Item>),
    Dict(Vec<(String, Item)>),
}

impl Item {
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(boolean) => (*boolean).into(),
            Self::Integer(integer) => (*integer).into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) | Self::Tuple(items) => items.iter().map(Self::to_json).collect(),
            Self::Dict(items) => items.iter().map(|(key, item)| (key.clone(), item.to_json())).collect(),
        }
    }
}

/// Writes a value without the `Q` at its end.
pub(crate) fn value(item: &Item, bytes: &mut Vec<u8>) {
    let length = |operation: u8, length: usize, bytes: &mut Vec<u8>| {
        bytes.push(operation);
        bytes.extend(i32::try_from(length).unwrap().to_be_bytes());
    };
    match item {
        Item::Null => bytes.push(b'L'),
        Item::Boolean(boolean) => bytes.push(if *boolean { b'R' } else { b'C' }),
        Item::Integer(integer) => {
            if let Ok(small) = i32::try_from(*integer) {
                bytes.push(b'F');
                bytes.extend(small.to_be_bytes());
            } else {
                let digits = integer.to_string();
                length(b'H', digits.len(), bytes);
                bytes.extend(digits.as_bytes());
            }
        }
        Item::Text(text) => {
            length(b'N', text.len(), bytes);
            bytes.extend(text.as_bytes());
        }
        Item::List(items) => {
            length(b'K', items.len(), bytes);
            for (place, item) in items.iter().enumerate() {
                length(b'F', place, bytes);
                value(item, bytes);
                bytes.push(b'P');
            }
        }
        Item::Tuple(items) => {
            for item in items {
                value(item, bytes);
            }
            length(b'@', items.len(), bytes);
        }
        Item::Dict(items) => {
            bytes.push(b'J');
            for (key, item) in items {
                value(&Item::Text(key.clone()), bytes);
                value(item, bytes);
                bytes.push(b'P');
            }
        }
    }
}

/// Values of any kind.
pub(crate) fn items() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        Just(Item::Null),
        any::<bool>().prop_map(Item::Boolean),
        any::<i64>().prop_map(Item::Integer),
        "\\PC{0,8}".prop_map(Item::Text),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Item::List),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Item::Tuple),
            prop::collection::vec(("[a-c]{1,3}", inner), 0..6).prop_map(Item::Dict),
        ]
    })
}
