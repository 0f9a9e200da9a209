//! Password hashes as devpi keeps them: Argon2id in PHC form, with passlib's parameters; and those of its old releases,
//! to be verified and renewed.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, Params};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::task::spawn_blocking;

use crate::turns::Turns;

/// The parameters of new hashes: memory in KiB, passes, lanes (those of passlib and argon2-cffi).
const NEW_HASHES: (u32, u32, u32) = (65_536, 3, 4);

/// The most memory, in KiB, passes and lanes that a stored hash may ask for: what any release of passlib has made.
/// Anybody may store a hash where anybody may create users, so an excessive one would be a way to bring the server down.
const MAX_STORED: (u32, u32, u32) = (131_072, 6, 16);

/// Why a password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The hash is neither an Argon2 hash in PHC form nor one of old releases with its salt, or it asks for too much.
    #[error("the password hash is not a usable argon2 hash")]
    UnusableHash,
    /// Too many others wait.
    #[error("too many passwords are to be checked, try again later")]
    Busy,
    /// Hashing failed.
    #[error("hashing the password failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How many passwords may be checked or wait for that.
const MAX_PENDING: usize = 1000;

/// For whom new passwords are hashed: nobody has this name.
const NOBODY: &str = "";

/// Hashes and verifies passwords, a bounded number at a time: each needs 64 MiB and a tenth of a second.
#[derive(Clone)]
pub struct PasswordHasher {
    turns: Arc<Turns>,
}

impl PasswordHasher {
    /// A hasher that works on at most `parallel` passwords at once, half of them those of one user; further ones wait.
    pub fn new(parallel: usize) -> Self {
        Self { turns: Arc::new(Turns::new(parallel, MAX_PENDING)) }
    }

    /// The hash of a password, with a new salt.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        self.run(NOBODY, move || {
            let (memory, passes, lanes) = NEW_HASHES;
            let params = Params::new(memory, passes, lanes, None).map_err(failed)?;
            let hash = Argon2::from(params).hash_password(password.expose_secret().as_bytes());
            Ok(hash.map_err(failed)?.to_string())
        })
        .await
    }

    /// Whether the password of `user` is the one of a stored hash, which with a salt of its own is of an old release of
    /// devpi.
    pub async fn verify(
        &self,
        user: &str,
        password: SecretString,
        hash: &str,
        salt: Option<&str>,
    ) -> Result<bool, PasswordError> {
        if let Some(salt) = salt {
            return verify_salted(&password, hash, salt);
        }
        check_hash(hash)?;
        let hash = hash.to_owned();
        self.run(user, move || {
            let hash = PasswordHash::new(&hash).map_err(|_| PasswordError::UnusableHash)?;
            Ok(Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        user: &str,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = self.turns.enter(&user.into()).ok_or(PasswordError::Busy)?;
        let turn = place.turn().await;
        // The turn goes with the work, which goes on even if nobody waits for it any more.
        let work = move || {
            let _turn = (turn, place);
            work()
        };
        spawn_blocking(work).await.map_err(failed)?
    }
}

/// Whether a hash has the parameters of new ones.
pub fn is_current(hash: &str) -> bool {
    let (memory, passes, lanes) = NEW_HASHES;
    hash.starts_with(&format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$"))
}

/// Whether a hash from elsewhere can be used: Argon2 in PHC form, within bounds.
pub fn check_hash(hash: &str) -> Result<(), PasswordError> {
    let parsed = PasswordHash::new(hash).map_err(|_| PasswordError::UnusableHash)?;
    let params = Params::try_from(&parsed).map_err(|_| PasswordError::UnusableHash)?;
    let (max_memory, max_passes, max_lanes) = MAX_STORED;
    let usable = parsed.algorithm.as_str().starts_with("argon2")
        && parsed.salt.is_some()
        && parsed.hash.is_some()
        && params.m_cost() <= max_memory
        && params.t_cost() <= max_passes
        && params.p_cost() <= max_lanes;
    if usable { Ok(()) } else { Err(PasswordError::UnusableHash) }
}

/// Whether a hash of old releases of devpi can be used: SHA-256 in hexadecimal, of a salt and the password.
pub fn check_salted_hash(hash: &str, salt: &str) -> Result<(), PasswordError> {
    let usable = !salt.is_empty() && hash.len() == 64 && hex::decode(hash).is_ok();
    if usable { Ok(()) } else { Err(PasswordError::UnusableHash) }
}

/// devpi-server up to version 4 kept one round of SHA-256. A login turns it into an Argon2 hash.
fn verify_salted(password: &SecretString, hash: &str, salt: &str) -> Result<bool, PasswordError> {
    check_salted_hash(hash, salt)?;
    let expected = hex::decode(hash).map_err(|_| PasswordError::UnusableHash)?;
    let mut sha256 = Sha256::new();
    sha256.update(salt.as_bytes());
    sha256.update(password.expose_secret().as_bytes());
    Ok(bool::from(sha256.finalize().as_slice().ct_eq(&expected)))
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> PasswordError {
    PasswordError::Failed(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by passlib for the password `secret`.
    const PASSLIB: &str =
        "$argon2id$v=19$m=65536,t=3,p=4$IUTIOcdYy3nvvZfSeo/xPg$pX03PPJp9Pe5S6nHKkJQr5y8QO0ltyrkXPqLlhP0kuY";

    const SALTED: &str = "7844931cf2629da4656ccd8865e3add6daf741744cb9dde4fbf940046c7f8930";

    #[tokio::test]
    async fn hashes_of_passlib_are_verified() {
        let hasher = PasswordHasher::new(1);
        assert!(hasher.verify("alice", "secret".into(), PASSLIB, None).await.unwrap());
        assert!(!hasher.verify("alice", "Secret".into(), PASSLIB, None).await.unwrap());
    }

    #[tokio::test]
    async fn new_hashes_have_passlibs_parameters_and_verify() {
        let hasher = PasswordHasher::new(2);
        let hash = hasher.hash("".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=65536,t=3,p=4$"), "{hash}");
        assert!(hasher.verify("alice", "".into(), &hash, None).await.unwrap());
        assert!(!hasher.verify("alice", " ".into(), &hash, None).await.unwrap());
    }

    #[tokio::test]
    async fn salted_hashes_of_old_releases_are_verified() {
        let hasher = PasswordHasher::new(1);
        // By Python: hashlib.sha256(salt.encode() + "secret".encode()).hexdigest()
        let (salt, hash) = ("bm90IGEgcmFuZG9tIG9uZQ==", SALTED);
        assert!(hasher.verify("alice", "secret".into(), hash, Some(salt)).await.unwrap());
        assert!(!hasher.verify("alice", "Secret".into(), hash, Some(salt)).await.unwrap());
        assert!(!is_current(hash));
        for (bad, salt) in [("abc", salt), (hash, ""), (PASSLIB, salt)] {
            assert!(matches!(check_salted_hash(bad, salt), Err(PasswordError::UnusableHash)), "{bad}");
        }
    }

    #[test]
    fn useless_and_greedy_hashes_are_refused() {
        assert!(check_hash(PASSLIB).is_ok());
        for bad in [
            "",
            "abc",
            "$argon2id$v=19$m=65536,t=3,p=4",
            "$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$aGFzaGhhc2g",
            &PASSLIB.replace("m=65536", "m=4194304"),
            &PASSLIB.replace("t=3", "t=300"),
        ] {
            assert!(matches!(check_hash(bad), Err(PasswordError::UnusableHash)), "{bad}");
        }
    }
}
