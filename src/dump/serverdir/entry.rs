//! Entries of devpi's change log, of which only the keys are read.

use std::fmt;
use std::ops::Range;

use serde_json::Value;

use super::marshal::{DecodeError, Fault, Reader, Token, decode_slice};

/// An entry of a change log, of which only the keys are read: values are decoded when they are wanted.
///
/// Entries may hold values that are far larger than the wanted one (the set of an index's projects is written whole
/// whenever a project comes), and most of a long log is wanted by nobody.
pub struct Entry {
    bytes: Vec<u8>,
    /// Ordered by path.
    changes: Vec<Change>,
    renames: Range<usize>,
}

/// The change of one key, as places in the entry's bytes.
struct Change {
    path: Range<usize>,
    key_name: Range<usize>,
    back_serial: i64,
    value: Range<usize>,
}

/// The change of one key.
#[derive(Clone, Copy)]
pub struct KeyChange<'a> {
    /// The key's path.
    pub path: &'a str,
    /// What kind of key it is.
    pub key_name: &'a str,
    /// The serial of the change before this one; negative for none.
    pub back_serial: i64,
    bytes: &'a [u8],
    offset: usize,
}

impl KeyChange<'_> {
    /// Whether the key was deleted.
    pub fn is_deletion(&self) -> bool {
        self.bytes == b"L"
    }

    /// The new value; null for a deletion. Offsets in errors count from the start of the entry.
    pub fn value(&self) -> Result<Value, DecodeError> {
        decode_slice(self.bytes).map_err(|error| DecodeError { offset: error.offset + self.offset, ..error })
    }
}

impl fmt::Debug for KeyChange<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} <- {}", self.key_name, self.path, self.back_serial)
    }
}

impl Entry {
    /// Takes an entry apart.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let (mut changes, renames) = Splitter::default().split(&bytes)?;
        changes.sort_by(|left, right| bytes[left.path.clone()].cmp(&bytes[right.path.clone()]));
        Ok(Self { bytes, changes, renames })
    }

    /// All changes, ordered by path.
    pub fn changes(&self) -> impl Iterator<Item = KeyChange<'_>> {
        self.changes.iter().map(|change| self.view(change))
    }

    /// The change of a key.
    pub fn change(&self, path: &str) -> Option<KeyChange<'_>> {
        let found =
            self.changes.binary_search_by(|change| self.bytes[change.path.clone()].cmp(path.as_bytes()));
        found.ok().map(|place| self.view(&self.changes[place]))
    }

    /// The files that were to be renamed or deleted after the entry was written, below the server directory.
    pub fn renames(&self) -> Result<Vec<String>, DecodeError> {
        let list = decode_slice(&self.bytes[self.renames.clone()])
            .map_err(|error| DecodeError { offset: error.offset + self.renames.start, ..error })?;
        let names = list.as_array().map(|names| names.iter().map(|name| name.as_str().map(str::to_owned)));
        let names = names.and_then(Iterator::collect);
        names.ok_or(DecodeError { offset: self.renames.start, fault: Fault::Shape })
    }

    /// How many bytes it takes in memory, about.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.changes.len() * size_of::<Change>()
    }

    fn view(&self, change: &Change) -> KeyChange<'_> {
        // The splitter has found texts there.
        let text = |range: &Range<usize>| str::from_utf8(&self.bytes[range.clone()]).unwrap_or_default();
        KeyChange {
            path: text(&change.path),
            key_name: text(&change.key_name),
            back_serial: change.back_serial,
            bytes: &self.bytes[change.value.clone()],
            offset: change.value.start,
        }
    }
}

/// Finds where the parts of an entry begin and end, without building any value.
#[derive(Default)]
struct Splitter {
    stack: Vec<Span>,
    changes: Vec<Change>,
    /// The parts of the tuple on top, while that stands where the new value of a key stands.
    parts: Option<[Span; 3]>,
}

/// An item of the stack: which bytes make it.
#[derive(Clone)]
struct Span {
    start: usize,
    end: usize,
    kind: SpanKind,
}

#[derive(Clone, PartialEq)]
enum SpanKind {
    Text(Range<usize>),
    Integer(i64),
    Dict,
    List,
    Other,
}

/// Where the stack is when the new value of a key is complete: the dict of all changes, the key, the value.
const VALUE_PLACE: usize = 2;

impl Splitter {
    fn split(mut self, bytes: &[u8]) -> Result<(Vec<Change>, Range<usize>), DecodeError> {
        let mut reader = Reader::new(bytes);
        // The dict and the list that make the entry.
        let mut whole = None;
        loop {
            let start = reader.position;
            let token = reader.next()?;
            let end = reader.position;
            let kind = match token {
                Token::Text(text) => SpanKind::Text(end - text.len()..end),
                Token::Integer(integer) => SpanKind::Integer(integer),
                Token::Dict => SpanKind::Dict,
                Token::List(_) => SpanKind::List,
                Token::Null | Token::Boolean(_) | Token::Float(_) | Token::Foreign(_) => SpanKind::Other,
                Token::SetItem => {
                    self.set_item(&reader)?;
                    continue;
                }
                Token::Gather(count) => {
                    let parts = self.gather(count, start, &reader)?;
                    if self.stack.len() == 1 {
                        whole = parts;
                    }
                    continue;
                }
                Token::Stop if end < bytes.len() => return reader.fail(Fault::Trailing),
                Token::Stop => break,
            };
            self.stack.push(Span { start, end, kind });
        }
        match (whole, self.stack.len()) {
            (Some([dict, list]), 1) if dict.kind == SpanKind::Dict && list.kind == SpanKind::List => {
                Ok((self.changes, list.start..list.end))
            }
            _ => reader.fail(Fault::Shape),
        }
    }

    fn set_item(&mut self, reader: &Reader<'_>) -> Result<(), DecodeError> {
        let parts = self.parts.take();
        let (Some(value), Some(key), false) = (self.stack.pop(), self.stack.pop(), self.stack.is_empty())
        else {
            return reader.fail(Fault::Stack);
        };
        let is_change = self.stack.len() == 1;
        let Some(container) = self.stack.last_mut() else { return reader.fail(Fault::Stack) };
        container.end = reader.position;
        if !is_change || container.kind != SpanKind::Dict {
            return Ok(());
        }
        let (SpanKind::Text(path), Some([name, back, new])) = (key.kind, parts) else {
            return Err(DecodeError { offset: value.start, fault: Fault::Shape });
        };
        let (SpanKind::Text(key_name), SpanKind::Integer(back_serial)) = (name.kind, back.kind) else {
            return Err(DecodeError { offset: value.start, fault: Fault::Shape });
        };
        self.changes.push(Change { path, key_name, back_serial, value: new.start..new.end });
        Ok(())
    }

    /// Makes one item of the topmost ones. Returns them if they are two.
    fn gather(
        &mut self,
        count: usize,
        start: usize,
        reader: &Reader<'_>,
    ) -> Result<Option<[Span; 2]>, DecodeError> {
        let Some(place) = self.stack.len().checked_sub(count) else { return reader.fail(Fault::Stack) };
        let start = self.stack.get(place).map_or(start, |first| first.start);
        let gathered = Span { start, end: reader.position, kind: SpanKind::Other };
        let pair = <&[Span; 2]>::try_from(&self.stack[place..]).ok().cloned();
        self.parts = match <&[Span; 3]>::try_from(&self.stack[place..]) {
            Ok(parts) if place == VALUE_PLACE => Some(parts.clone()),
            _ => None,
        };
        self.stack.truncate(place);
        self.stack.push(gathered);
        Ok(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::serverdir::encode::{self, Item};
    use crate::dump::serverdir::marshal::decode;
    use proptest::prelude::*;
    use serde_json::json;

    /// The example of `replication` section 5, shortened.
    fn first_entry() -> Vec<u8> {
        let text = |text: &str| {
            let mut bytes = vec![b'N'];
            bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend(text.as_bytes());
            bytes
        };
        let number = |operation: u8, value: i32| {
            let mut bytes = vec![operation];
            bytes.extend(value.to_be_bytes());
            bytes
        };
        [
            vec![b'J'],
            text(".config"),
            text("USERLIST"),
            number(b'F', -1),
            text("root"),
            number(b'O', 1),
            number(b'@', 3),
            vec![b'P'],
            text("root/.config"),
            text("USER"),
            number(b'F', -1),
            vec![b'J'],
            text("indexes"),
            vec![b'J', b'P'],
            number(b'@', 3),
            vec![b'P'],
            number(b'K', 0),
            number(b'@', 2),
            vec![b'Q'],
        ]
        .concat()
    }

    #[test]
    fn an_entry_is_taken_apart() {
        let bytes = first_entry();
        let plain = json!([
            {".config": ["USERLIST", -1, ["root"]], "root/.config": ["USER", -1, {"indexes": {}}]}, []
        ]);
        assert_eq!(decode(&bytes), Ok(plain));
        let entry = Entry::parse(bytes).unwrap();
        let user = entry.change("root/.config").unwrap();
        assert_eq!((user.key_name, user.back_serial, user.is_deletion()), ("USER", -1, false));
        assert_eq!(user.value(), Ok(json!({"indexes": {}})));
        assert_eq!(entry.change(".config").unwrap().value(), Ok(json!(["root"])));
        assert!(entry.change("alice/.config").is_none());
        assert_eq!((entry.changes().count(), entry.renames()), (2, Ok(vec![])));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let bytes = first_entry();
        for end in 0..bytes.len() {
            assert!(Entry::parse(bytes[..end].to_vec()).is_err(), "{end}");
        }
        for no_entry in [b"LQ".as_slice(), b"JQ", b"JL@\x00\x00\x00\x02Q", b"JJ@\x00\x00\x00\x02Q"] {
            assert_eq!(Entry::parse(no_entry.to_vec()).err().map(|error| error.fault), Some(Fault::Shape));
        }
    }

    proptest! {
        #[test]
        fn entries_give_the_same_as_whole_values(
            changes in prop::collection::btree_map("[a-z/+.]{1,9}", ("[A-Z]{1,5}", -1i64..9, encode::items()), 0..6),
            renames in prop::collection::vec("[a-z]{1,5}", 0..3),
        ) {
            let dict = changes.iter().map(|(path, (name, back, item))| {
                let parts = vec![Item::Text(name.clone()), Item::Integer(*back), item.clone()];
                (path.clone(), Item::Tuple(parts))
            });
            let names = renames.iter().cloned().map(Item::Text).collect();
            let entry = Item::Tuple(vec![Item::Dict(dict.collect()), Item::List(names)]);
            let mut bytes = Vec::new();
            encode::value(&entry, &mut bytes);
            bytes.push(b'Q');
            let entry = Entry::parse(bytes).unwrap();
            prop_assert_eq!(entry.renames(), Ok(renames));
            prop_assert_eq!(entry.changes().count(), changes.len());
            for (path, (name, back, item)) in changes {
                let change = entry.change(&path).unwrap();
                prop_assert_eq!((change.key_name, change.back_serial), (name.as_str(), back));
                prop_assert_eq!(change.value(), Ok(item.to_json()));
                prop_assert_eq!(change.is_deletion(), item == Item::Null);
            }
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(
            prop_oneof![prop::sample::select(b"LRCFHDNJKP@OQ\0\0\0\x01".to_vec()), any::<u8>()], 0..200)
        ) {
            let whole = decode(&bytes);
            if let Ok(entry) = Entry::parse(bytes) {
                // The splitter looks at less, so it may take what the decoder refuses, and tells it later.
                let values: Result<Vec<Value>, _> = entry.changes().map(|change| change.value()).collect();
                prop_assert!(whole.is_ok() || values.is_err() || entry.renames().is_err());
            }
        }
    }
}
