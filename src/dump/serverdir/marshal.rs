//! devpi's serialised values: the format of its change log, in databases and between servers (`replication`
//! section 5).
//!
//! A value is a program for a stack: most operations push something, `P` puts the two topmost items into the
//! container below them. What is read becomes JSON: tuples and sets become arrays, and what JSON does not have is
//! refused. Nothing here trusts its input: what is claimed to be there is never allocated before it is.

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
pub(super) enum Token<'a> {
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
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    pub(super) position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn fail<T>(&self, fault: Fault) -> Result<T, DecodeError> {
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

    pub(super) fn next(&mut self) -> Result<Token<'a>, DecodeError> {
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
    let mut reader = Reader::new(bytes);
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

/// Reads a value that has no `Q` at its end.
pub(super) fn decode_slice(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut stack = Stack::default();
    while reader.position < bytes.len() {
        let token = reader.next()?;
        stack.apply(token, &reader)?;
    }
    stack.finish(&reader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::serverdir::encode;
    use proptest::prelude::*;

    #[test]
    fn every_wrong_operation_is_told() {
        for (bad, fault) in [
            (b"XQ".as_slice(), Fault::Operation(b'X')),
            (b"LLQ", Fault::Stack),
            (b"PQ", Fault::Stack),
            (b"LQQ", Fault::Trailing),
            (b"L", Fault::Truncated),
            (b"N\xff\xff\xff\xffQ", Fault::Length(-1)),
            (b"K\x7f\xff\xff\xffQ", Fault::Length(i32::MAX)),
            (b"@\x00\x00\x00\x01Q", Fault::Stack),
            (b"N\x00\x00\x00\x01\xffQ", Fault::Text),
            (b"H\x00\x00\x00\x01xQ", Fault::Integer),
            (b"A\x00\x00\x00\x01xQ", Fault::Foreign("bytes")),
            (b"JF\x00\x00\x00\x01LPQ", Fault::Foreign("a key that is no text")),
            (b"K\x00\x00\x00\x01F\x00\x00\x00\x01LPQ", Fault::Stack),
            (b"K\x00\x00\x00\x01F\x00\x00LPQ", Fault::Length(1)),
            (b"D\x7f\xf8\x00\x00\x00\x00\x00\x00Q", Fault::Foreign("not a number")),
        ] {
            assert_eq!(decode(bad).unwrap_err().fault, fault, "{bad:?}");
        }
        let deep = [b"L".to_vec(), b"@\x00\x00\x00\x01".repeat(MAX_DEPTH + 1), b"Q".to_vec()].concat();
        assert_eq!(decode(&deep).unwrap_err().fault, Fault::Depth);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(item in encode::items()) {
            let mut bytes = Vec::new();
            encode::value(&item, &mut bytes);
            bytes.push(b'Q');
            prop_assert_eq!(decode(&bytes), Ok(item.to_json()));
            // And less than all of it is not.
            for end in 0..bytes.len() {
                prop_assert!(decode(&bytes[..end]).is_err());
            }
        }
    }
}
