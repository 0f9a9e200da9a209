//! The server's secret, and the key for login tokens that is derived from it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice};

/// The salt of the key for login tokens; the same in devpi, so that tokens are good on both.
const TOKEN_SALT: &[u8] = b"devpi-server-auth";

/// The length of the token key in bytes.
pub const TOKEN_KEY_BYTES: usize = 16;

/// The shortest secret, in bytes.
const MIN_SECRET_BYTES: usize = 32;

/// The fewest different bytes in a secret.
const MIN_DIFFERENT_BYTES: usize = 6;

/// The largest secret file that is read, in bytes.
const MAX_SECRET_BYTES: u64 = 65_536;

/// Why a secret file is not used. The texts are devpi's.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such file.
    #[error("The given secret file doesn't exist.")]
    Missing,
    /// Others can read or write the file.
    #[error(
        "The given secret file is world accessible, the access mode must be user accessible only (0600)."
    )]
    WorldAccessible,
    /// The group can read or write the file.
    #[error(
        "The given secret file is group accessible, the access mode must be user accessible only (0600)."
    )]
    GroupAccessible,
    /// The group can replace the file.
    #[error("The folder of the given secret file is group writable, it must only be writable by the user.")]
    FolderGroupWritable,
    /// Others can replace the file.
    #[error("The folder of the given secret file is world writable, it must only be writable by the user.")]
    FolderWorldWritable,
    /// The secret is too short.
    #[error("The secret in the given secret file is too short, it should be at least 32 characters long.")]
    TooShort,
    /// The secret is mostly one character.
    #[error("The secret in the given secret file is too weak, it should use less repetition.")]
    TooWeak,
    /// The file cannot be read or written.
    #[error("The given secret file can't be used: {0}")]
    Io(#[from] std::io::Error),
}

/// The secret from which the token key comes.
pub enum Secret {
    /// The content of a secret file.
    Kept(SecretSlice<u8>),
    /// None: the key is made up at the start, and logins end with the process.
    PerStart,
}

/// Argon2 parameters of the token key's derivation. They must equal those of servers that share the secret.
#[derive(Clone, Copy, Debug)]
pub struct KeyCost {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes.
    pub time: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Secret {
    /// Reads a secret file, after checking that nobody else can read or replace it.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let secret = Self::read_own(path)?;
        check_folder(path)?;
        Ok(secret)
    }

    /// Reads a secret file in a directory of our own: whoever may write there may do anything anyway.
    pub fn read_own(path: &Path) -> Result<Self, SecretError> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(SecretError::Missing),
            Err(error) => return Err(error.into()),
        };
        if metadata.mode() & 0o007 != 0 {
            return Err(SecretError::WorldAccessible);
        }
        if metadata.mode() & 0o070 != 0 {
            return Err(SecretError::GroupAccessible);
        }
        let mut content = Vec::new();
        fs::File::open(path)?.take(MAX_SECRET_BYTES).read_to_end(&mut content)?;
        check_strength(&content)?;
        Ok(Self::Kept(SecretSlice::from(content)))
    }

    /// Writes a new secret to a new file that only its owner can read.
    pub fn create(path: &Path) -> Result<(), SecretError> {
        use std::io::Write;
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
        let absolute = std::path::absolute(path)?;
        let folder = absolute.parent().ok_or(SecretError::Missing)?;
        // Comes into its place whole or not at all: half a secret would keep the server from starting.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(STANDARD.encode(bytes).as_bytes())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        Ok(fs::File::open(folder)?.sync_all()?)
    }

    /// Derives the token key. Blocks, with the default cost for seconds and with 512 MiB of memory.
    pub(super) fn derive_token_key(&self, cost: KeyCost) -> anyhow::Result<[u8; TOKEN_KEY_BYTES]> {
        let mut key = [0; TOKEN_KEY_BYTES];
        match self {
            Self::Kept(secret) => {
                let params = Params::new(cost.memory, cost.time, cost.parallelism, Some(TOKEN_KEY_BYTES))
                    .map_err(|error| anyhow::anyhow!("bad argon2 parameters: {error}"))?;
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(secret.expose_secret(), TOKEN_SALT, &mut key)
                    .map_err(|error| anyhow::anyhow!("the token key cannot be derived: {error}"))?;
            }
            Self::PerStart => getrandom::fill(&mut key)?,
        }
        Ok(key)
    }
}

fn check_folder(path: &Path) -> Result<(), SecretError> {
    let absolute = std::path::absolute(path)?;
    let mode = match absolute.parent() {
        Some(folder) => fs::metadata(folder)?.mode(),
        None => return Ok(()),
    };
    if mode & 0o020 != 0 {
        return Err(SecretError::FolderGroupWritable);
    }
    if mode & 0o002 != 0 {
        return Err(SecretError::FolderWorldWritable);
    }
    Ok(())
}

fn check_strength(secret: &[u8]) -> Result<(), SecretError> {
    if secret.len() < MIN_SECRET_BYTES {
        return Err(SecretError::TooShort);
    }
    let mut different = secret.to_vec();
    different.sort_unstable();
    different.dedup();
    if different.len() < MIN_DIFFERENT_BYTES {
        return Err(SecretError::TooWeak);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    fn read(content: &[u8], mode: u32, folder_mode: u32) -> Result<Secret, SecretError> {
        let folder = folder();
        let path = folder.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(folder_mode)).unwrap();
        Secret::read(&path)
    }

    #[test]
    fn a_created_secret_can_be_read_back() {
        let folder = folder();
        let path = folder.path().join("secret");
        assert!(matches!(Secret::read(&path), Err(SecretError::Missing)));
        Secret::create(&path).unwrap();
        assert!(Secret::read(&path).is_ok());
        assert!(matches!(Secret::create(&path), Err(SecretError::Io(_))));
    }

    #[test]
    fn weak_and_exposed_secrets_are_refused() {
        let good = b"0123456789abcdef0123456789abcdef";
        assert!(read(good, 0o600, 0o700).is_ok());
        assert!(matches!(read(good, 0o604, 0o700), Err(SecretError::WorldAccessible)));
        assert!(matches!(read(good, 0o640, 0o700), Err(SecretError::GroupAccessible)));
        assert!(matches!(read(good, 0o600, 0o770), Err(SecretError::FolderGroupWritable)));
        assert!(matches!(read(good, 0o600, 0o702), Err(SecretError::FolderWorldWritable)));
        assert!(matches!(read(&good[1..], 0o600, 0o700), Err(SecretError::TooShort)));
        assert!(matches!(read(&b"abcde".repeat(8), 0o600, 0o700), Err(SecretError::TooWeak)));
    }

    #[test]
    fn the_token_key_is_devpis() {
        let secret = Secret::Kept(SecretSlice::from(b"xxxxxxxxxxxxxxxxxxxxabcdefghijklmnop".to_vec()));
        let key = secret.derive_token_key(KeyCost { memory: 8, time: 1, parallelism: 1 }).unwrap();
        assert_eq!(hex::encode(key), "f084bacf87129db1d5436318e31be72b");
    }
}
