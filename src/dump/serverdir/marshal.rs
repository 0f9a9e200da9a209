//! devpi's serialised values: the format of its change log, in databases and between servers (`replication`
//! section 5).
//!
//! A value is a program for a stack: most operations push something, `P` puts the two topmost items into the
//! container below them. What is read becomes JSON: tuples and sets become arrays, and what JSON does not have is
//! refused. Nothing here trusts its input: what is claimed to be there is never allocated before it is.

use std::fmt;
use std::ops::Range;

use serde_json::{Map, Number, Value};

/// How deep values may be nested.
const MAX_DEPTH: usize = 100;

/// The fewest bytes that an item of a list takes: its number, a value, and the operation that puts it in.
const LIST_ITEM_BYTES: usize = 7;

/// Why bytes are no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at offset {offset}")]
pub struct DecodeError {
    /// Where, in bytes from the start.
    pub offset: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with bytes that are no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end too early.
    #[error("truncated value")]
    Truncated,
    /// There are bytes behind the end.
    #[error("bytes behind the end of the value")]
    Trailing,
    /// Nobody knows this operation.
    #[error("unknown operation {0:#04x}")]
    Operation(u8),
    /// A number of bytes or items is negative, or more than can be there.
    #[error("impossible length {0}")]
    Length(i32),
    /// A text is not UTF-8.
    #[error("text that is not UTF-8")]
    Text,
    /// An integer is malformed, or larger than any that is of use.
    #[error("unusable integer")]
    Integer,
    /// JSON does not have it: bytes, complex numbers, floats that are none, keys that are no texts.
    #[error("{0}, which nothing of devpi's is")]
    Foreign(&'static str),
    /// An operation needs more items than there are, or others.
    #[error("items that do not fit the operation")]
    Stack,
    /// Values are nested too deep.
    #[error("values nested too deep")]
    Depth,
    /// It is a value, but not an entry of a change log.
    #[error("not an entry of a change log")]
    Shape,
}

/// One operation.
enum Token<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(&'a str),
    Foreign(&'static str),
    Dict,
    List(usize),
    SetItem,
    /// A tuple or a set of so many of the topmost items.
    Gather(usize),
    Stop,
}

/// Reads operations.
struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, fault: Fault) -> Result<T, DecodeError> {
        Err(DecodeError { offset: self.position, fault })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some(bytes) = self.bytes.get(self.position..).and_then(|rest| rest.get(..count)) else {
            return self.fail(Fault::Truncated);
        };
        self.position += count;
        Ok(bytes)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn take_i32(&mut self) -> Result<i32, DecodeError> {
        self.take_array().map(i32::from_be_bytes)
    }

    fn take_length(&mut self) -> Result<usize, DecodeError> {
        let length = self.take_i32()?;
        match usize::try_from(length) {
            Ok(length) => Ok(length),
            Err(_) => self.fail(Fault::Length(length)),
        }
    }

    fn take_counted(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.take_length()?;
        self.take(length)
    }

    fn take_text(&mut self) -> Result<&'a str, DecodeError> {
        match str::from_utf8(self.take_counted()?) {
            Ok(text) => Ok(text),
            Err(_) => self.fail(Fault::Text),
        }
    }

    fn next(&mut self) -> Result<Token<'a>, DecodeError> {
        let start = self.position;
        let [operation] = self.take_array()?;
        Ok(match operation {
            b'L' => Token::Null,
            b'R' => Token::Boolean(true),
            b'C' => Token::Boolean(false),
            b'F' | b'G' => Token::Integer(self.take_i32()?.into()),
            b'H' | b'I' => match self.take_text()?.parse() {
                Ok(integer) => Token::Integer(integer),
                Err(_) => return self.fail(Fault::Integer),
            },
            b'D' => Token::Float(f64::from_be_bytes(self.take_array()?)),
            b'T' => {
                self.take(16)?;
                Token::Foreign("a complex number")
            }
            b'N' | b'S' => Token::Text(self.take_text()?),
            b'A' | b'M' => {
                self.take_counted()?;
                Token::Foreign("bytes")
            }
            b'J' => Token::Dict,
            b'K' => {
                let length = self.take_length()?;
                if length > (self.bytes.len() - self.position) / LIST_ITEM_BYTES {
                    return self.fail(Fault::Length(i32::try_from(length).unwrap_or(i32::MAX)));
                }
                Token::List(length)
            }
            b'P' => Token::SetItem,
            b'@' | b'O' | b'E' => Token::Gather(self.take_length()?),
            b'Q' => Token::Stop,
            other => return Err(DecodeError { offset: start, fault: Fault::Operation(other) }),
        })
    }
}

/// Reads one value, with the `Q` at its end and nothing behind it.
pub fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader { bytes, position: 0 };
    let mut stack = Stack::default();
    loop {
        match reader.next()? {
            Token::Stop if reader.position == bytes.len() => return stack.finish(&reader),
            Token::Stop => return reader.fail(Fault::Trailing),
            token => stack.apply(token, &reader)?,
        }
    }
}

/// The values under way, each with its depth.
#[derive(Default)]
struct Stack(Vec<(Value, usize)>);

impl Stack {
    fn apply(&mut self, token: Token<'_>, reader: &Reader<'_>) -> Result<(), DecodeError> {
        let leaf = match token {
            Token::Null => Value::Null,
            Token::Boolean(boolean) => boolean.into(),
            Token::Integer(integer) => integer.into(),
            Token::Float(float) => match Number::from_f64(float) {
                Some(number) => number.into(),
                None => return reader.fail(Fault::Foreign("not a number")),
            },
            Token::Text(text) => text.into(),
            Token::Foreign(what) => return reader.fail(Fault::Foreign(what)),
            Token::Dict => Map::new().into(),
            Token::List(length) => vec![Value::Null; length].into(),
            Token::SetItem => return self.set_item(reader),
            Token::Gather(count) => return self.gather(count, reader),
            Token::Stop => return reader.fail(Fault::Stack),
        };
        self.0.push((leaf, 0));
        Ok(())
    }

    fn set_item(&mut self, reader: &Reader<'_>) -> Result<(), DecodeError> {
        let (Some((value, depth)), Some((key, _)), Some((container, own_depth))) =
            (self.0.pop(), self.0.pop(), self.0.last_mut())
        else {
            return reader.fail(Fault::Stack);
        };
        match (container, key) {
            (Value::Object(dict), Value::String(key)) => {
                dict.insert(key, value);
            }
            (Value::Object(_), _) => return reader.fail(Fault::Foreign("a key that is no text")),
            (Value::Array(list), Value::Number(place)) => {
                let place = place.as_u64().and_then(|place| usize::try_from(place).ok());
                match place.and_then(|place| list.get_mut(place)) {
                    Some(item) => *item = value,
                    None => return reader.fail(Fault::Stack),
                }
            }
            _ => return reader.fail(Fault::Stack),
        }
        *own_depth = deeper(*own_depth, depth, reader)?;
        Ok(())
    }

    fn gather(&mut self, count: usize, reader: &Reader<'_>) -> Result<(), DecodeError> {
        let Some(start) = self.0.len().checked_sub(count) else { return reader.fail(Fault::Stack) };
        let mut depth = 0;
        let mut items = Vec::with_capacity(count);
        for (item, item_depth) in self.0.drain(start..) {
            depth = depth.max(item_depth + 1);
            items.push(item);
        }
        depth = deeper(0, depth.saturating_sub(1), reader)?;
        self.0.push((items.into(), depth));
        Ok(())
    }

    fn finish(mut self, reader: &Reader<'_>) -> Result<Value, DecodeError> {
        match (self.0.pop(), self.0.is_empty()) {
            (Some((value, _)), true) => Ok(value),
            _ => reader.fail(Fault::Stack),
        }
    }
}

/// The depth of a container that gets an item of a depth.
fn deeper(container: usize, item: usize, reader: &Reader<'_>) -> Result<usize, DecodeError> {
    let depth = container.max(item + 1);
    if depth > MAX_DEPTH { reader.fail(Fault::Depth) } else { Ok(depth) }
}

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

/// Reads a value that has no `Q` at its end.
fn decode_slice(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader { bytes, position: 0 };
    let mut stack = Stack::default();
    while reader.position < bytes.len() {
        let token = reader.next()?;
        stack.apply(token, &reader)?;
    }
    stack.finish(&reader)
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
        let mut reader = Reader { bytes, position: 0 };
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
    fn every_cut_and_every_wrong_operation_is_told() {
        let bytes = first_entry();
        for end in 0..bytes.len() {
            let cut = bytes[..end].to_vec();
            assert_eq!(decode(&cut).unwrap_err().fault, Fault::Truncated, "{end}");
            assert!(Entry::parse(cut).is_err(), "{end}");
        }
        for (bad, fault) in [
            (b"XQ".as_slice(), Fault::Operation(b'X')),
            (b"LLQ", Fault::Stack),
            (b"PQ", Fault::Stack),
            (b"LQQ", Fault::Trailing),
            (b"N\xff\xff\xff\xffQ", Fault::Length(-1)),
            (b"K\x7f\xff\xff\xffQ", Fault::Length(i32::MAX)),
            (b"@\x00\x00\x00\x01Q", Fault::Stack),
            (b"N\x00\x00\x00\x01\xffQ", Fault::Text),
            (b"H\x00\x00\x00\x01xQ", Fault::Integer),
            (b"A\x00\x00\x00\x01xQ", Fault::Foreign("bytes")),
            (b"JF\x00\x00\x00\x01LPQ", Fault::Foreign("a key that is no text")),
            (b"K\x00\x00\x00\x01F\x00\x00\x00\x01LPQ", Fault::Stack),
            (b"D\x7f\xf8\x00\x00\x00\x00\x00\x00Q", Fault::Foreign("not a number")),
        ] {
            assert_eq!(decode(bad).unwrap_err().fault, fault, "{bad:?}");
        }
        let deep: Vec<u8> =
            [b"L".to_vec(), b"@\x00\x00\x00\x01".repeat(MAX_DEPTH + 1), b"Q".to_vec()].concat();
        assert_eq!(decode(&deep).unwrap_err().fault, Fault::Depth);
        for no_entry in [b"LQ".as_slice(), b"JQ", b"JL@\x00\x00\x00\x02Q", b"JJ@\x00\x00\x00\x02Q"] {
            assert_eq!(Entry::parse(no_entry.to_vec()).err().map(|error| error.fault), Some(Fault::Shape));
        }
    }

    fn items() -> impl Strategy<Value = Item> {
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

    proptest! {
        #[test]
        fn what_is_written_is_read(item in items()) {
            let mut bytes = Vec::new();
            encode::value(&item, &mut bytes);
            bytes.push(b'Q');
            prop_assert_eq!(decode(&bytes), Ok(item.to_json()));
        }

        #[test]
        fn entries_give_the_same_as_whole_values(
            changes in prop::collection::btree_map("[a-z/+.]{1,9}", ("[A-Z]{1,5}", -1i64..9, items()), 0..6),
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
