//! Records that take long to write down. The store has one writer for all, so whoever makes such a record writes it down
//! and packs it; the writer only puts the bytes into their place.

use std::fmt;
use std::marker::PhantomData;

use super::StorageError;
use super::mirrored::{MirrorPage, NameList};

/// The level of zstd for pages and names: they are written seldom and not waited for.
const ZSTD_LEVEL: i32 = 3;

/// The most bytes that a record may have when unpacked.
const MAX_UNPACKED_BYTES: usize = 1 << 30;

/// A `T`, written down and packed by zstd.
pub struct Packed<T> {
    bytes: Vec<u8>,
    record: PhantomData<fn() -> T>,
}

/// A record that can be written down.
pub trait Packable: Sized {
    /// The record as bytes.
    fn write(&self) -> Result<Vec<u8>, StorageError>;

    /// The record that [`Packable::write`] wrote. An error if it did not.
    fn read(plain: Vec<u8>) -> Result<Self, StorageError>;
}

impl<T: Packable> Packed<T> {
    /// Packs a record. Takes milliseconds for each megabyte. An error if it is larger than 1 GiB.
    pub fn new(record: &T) -> Result<Self, StorageError> {
        let plain = record.write()?;
        if plain.len() > MAX_UNPACKED_BYTES {
            return Err(StorageError::Failed("a record is too large".into()));
        }
        Ok(Self { bytes: zstd::bulk::compress(&plain, ZSTD_LEVEL)?, record: PhantomData })
    }

    /// The packed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The record in packed bytes.
    pub fn unpack(bytes: &[u8]) -> Result<T, StorageError> {
        let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
        let size =
            size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= MAX_UNPACKED_BYTES);
        let size = size.ok_or_else(|| StorageError::Damaged("a packed record has no size".to_owned()))?;
        let plain = zstd::bulk::decompress(bytes, size);
        T::read(plain.map_err(|error| StorageError::Damaged(error.to_string()))?)
    }
}

impl<T> Clone for Packed<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), record: PhantomData }
    }
}

impl<T> fmt::Debug for Packed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Packed({} bytes)", self.bytes.len())
    }
}

impl Packable for MirrorPage {
    fn write(&self) -> Result<Vec<u8>, StorageError> {
        Ok(serde_json::to_vec(self)?)
    }

    fn read(plain: Vec<u8>) -> Result<Self, StorageError> {
        Ok(serde_json::from_slice(&plain)?)
    }
}

impl Packable for NameList {
    fn write(&self) -> Result<Vec<u8>, StorageError> {
        Ok(self.to_lines().into_bytes())
    }

    fn read(plain: Vec<u8>) -> Result<Self, StorageError> {
        let lines = String::from_utf8(plain);
        let lines = lines.map_err(|_| StorageError::Damaged("a list of names is no text".to_owned()))?;
        Ok(Self::from_lines(&lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_packed_record_is_an_error() {
        let names: NameList = ["a", "b"].into_iter().collect();
        let packed = Packed::new(&names).unwrap();
        assert_eq!(Packed::<NameList>::unpack(packed.bytes()).unwrap(), names);
        let half = &packed.bytes()[..packed.bytes().len() / 2];
        for bytes in [half, b"", b"nothing that was packed"] {
            assert!(matches!(Packed::<NameList>::unpack(bytes), Err(StorageError::Damaged(_))));
        }
        assert!(Packed::<MirrorPage>::unpack(packed.bytes()).is_err());
    }
}
