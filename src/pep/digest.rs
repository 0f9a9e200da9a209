//! Named hash values, as they appear in links, forms and file names.

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest;
use sha2::digest::DynDigest;

/// A SHA-256 value. It is printed and parsed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

/// A text is not 64 hexadecimal digits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sha256 value")]
pub struct DigestError;

impl Sha256 {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The hash of `pieces`, one behind the other.
    pub fn of_pieces<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> Self {
        let mut hasher = sha2::Sha256::new();
        for piece in pieces {
            Digest::update(&mut hasher, piece.as_ref());
        }
        Self(hasher.finalize().into())
    }

    /// The hexadecimal digits; pages have thousands of them.
    pub(super) fn write_digits<'a>(&self, digits: &'a mut [u8; 64]) -> &'a str {
        // There is room for twice the bytes, and digits are ASCII.
        let _fits = hex::encode_to_slice(self.0, digits);
        std::str::from_utf8(digits).unwrap_or_default()
    }

    /// The value itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Sha256 {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Sha256 {
    type Error = DigestError;

    fn try_from(bytes: &[u8]) -> Result<Self, DigestError> {
        bytes.try_into().map(Self).map_err(|_| DigestError)
    }
}

impl FromStr for Sha256 {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.write_digits(&mut [0; 64]))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256={self}")
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write_digits(&mut [0; 64]))
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes a [`Sha256`] piece by piece.
#[derive(Clone, Default)]
pub struct Sha256Hasher(sha2::Sha256);

impl Sha256Hasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        Digest::update(&mut self.0, piece);
    }

    /// The hash of all pieces.
    pub fn finish(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

/// How much is read at once for a hash, in bytes.
const READ_BUFFER: usize = 256 * 1024;

/// A hash that is chosen by its name, as simple pages name it.
pub struct NamedHasher(Box<dyn DynDigest + Send>);

impl NamedHasher {
    /// The hash of this name, in small letters; `None` if it is not known here.
    pub fn new(name: &str) -> Option<Self> {
        Some(Self(match name {
            "md5" => Box::<md5::Md5>::default(),
            "sha1" => Box::<sha1::Sha1>::default(),
            "sha224" => Box::<sha2::Sha224>::default(),
            "sha256" => Box::<sha2::Sha256>::default(),
            "sha384" => Box::<sha2::Sha384>::default(),
            "sha512" => Box::<sha2::Sha512>::default(),
            "blake2b" => Box::<blake2::Blake2b512>::default(),
            "blake2s" => Box::<blake2::Blake2s256>::default(),
            _ => return None,
        }))
    }

    /// BLAKE2b with 32 bytes, which uploading tools send along.
    pub fn blake2_256() -> Self {
        Self(Box::<blake2::Blake2b<blake2::digest::consts::U32>>::default())
    }

    /// MD5, which old ones send along.
    pub fn md5() -> Self {
        Self(Box::<md5::Md5>::default())
    }

    /// SHA-256.
    pub fn sha256() -> Self {
        Self(Box::<sha2::Sha256>::default())
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of all that can be read, in lower-case hexadecimal digits. Blocks.
    pub fn of(mut self, mut source: impl Read) -> std::io::Result<String> {
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            match source.read(&mut buffer)? {
                0 => return Ok(self.finish()),
                count => self.update(&buffer[..count]),
            }
        }
    }

    /// The hash of all pieces, in lower-case hexadecimal digits.
    pub fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_prints_and_parses_as_hex() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sha256::of(b"abc").to_string(), text);
        assert_eq!(text.parse(), Ok(Sha256::of(b"abc")));
        assert_eq!(text.to_uppercase().parse(), Ok(Sha256::of(b"abc")));
        for bad in ["", "ba", &text[1..], &format!("{text}0"), &text.replace('b', "x")] {
            assert_eq!(bad.parse::<Sha256>(), Err(DigestError), "{bad}");
        }
    }

    #[test]
    fn hashes_are_known_by_name() {
        for (name, expected) in [
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            let mut hasher = NamedHasher::new(name).unwrap();
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), expected, "{name}");
        }
        for (name, digits) in
            [("sha224", 56), ("sha384", 96), ("sha512", 128), ("blake2b", 128), ("blake2s", 64)]
        {
            assert_eq!(NamedHasher::new(name).unwrap().finish().len(), digits, "{name}");
        }
        assert!(NamedHasher::new("crc32").is_none());
    }

    #[test]
    fn digests_in_pieces_equal_the_published_vectors() {
        let mut hasher = Sha256Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), Sha256::of(b"abc"));
        assert_eq!(NamedHasher::md5().of(&b"abc"[..]).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            NamedHasher::blake2_256().of(&b"abc"[..]).unwrap(),
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"
        );
    }
}
