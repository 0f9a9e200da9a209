//! From credentials to a caller.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tokio::sync::OnceCell;
use tokio::sync::oneshot;
use tracing::warn;

use super::password::{PasswordError, PasswordHasher, is_current};
use super::secret::{KeyCost, Secret};
use super::token::{Claims, TokenSigner, Verdict};
use super::users::UserCache;
use crate::clock::Clock;
use crate::domain::Registry;
use crate::domain::acl::Caller;
use crate::storage::StorageError;
use crate::storage::model::UserRecord;

/// A user name with a password or a login token.
#[derive(Clone)]
pub struct Credentials {
    /// Who the caller says to be.
    pub user: String,
    /// The proof.
    pub secret: SecretString,
}

/// Why nobody could say who the caller is.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The credentials are not good for a login.
    #[error("the credentials are wrong")]
    Wrong,
    /// Too many others wait.
    #[error(transparent)]
    Busy(PasswordError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Something else failed.
    #[error("credentials cannot be verified")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<PasswordError> for AuthError {
    fn from(error: PasswordError) -> Self {
        match error {
            // A user with a useless hash cannot log in, as one without a hash.
            PasswordError::UnusableHash => Self::Wrong,
            PasswordError::Busy => Self::Busy(error),
            PasswordError::Failed(_) => Self::Failed(error.into()),
        }
    }
}

/// Bounds of an [`Authenticator`].
#[derive(Clone, Copy, Debug)]
pub struct AuthLimits {
    /// How many passwords are hashed or verified at once.
    pub parallel_passwords: usize,
    /// How many verified passwords are remembered.
    pub remembered: usize,
    /// How long a verified password is remembered.
    pub remembered_for: Duration,
}

impl Default for AuthLimits {
    fn default() -> Self {
        Self { parallel_passwords: 2, remembered: 10_000, remembered_for: Duration::from_mins(5) }
    }
}

/// Verifies credentials, makes tokens, and hashes passwords.
pub struct Authenticator {
    registry: Arc<Registry>,
    users: Arc<UserCache>,
    passwords: PasswordHasher,
    secret: Arc<Secret>,
    key_cost: KeyCost,
    signer: OnceCell<TokenSigner>,
    clock: Clock,
    /// Passwords that were right or wrong, by keyed digest: installers send one with each request.
    remembered: Cache<[u8; 32], (bool, Instant)>,
    remembered_for: Duration,
    remember_mac: Hmac<Sha256>,
}

impl Authenticator {
    /// An authenticator over the users of `registry`, which must let `users` observe it.
    pub fn new(
        registry: Arc<Registry>,
        users: Arc<UserCache>,
        secret: Secret,
        key_cost: KeyCost,
        clock: Clock,
        limits: AuthLimits,
    ) -> anyhow::Result<Self> {
        let mut remember_key = [0; 32];
        getrandom::fill(&mut remember_key)?;
        Ok(Self {
            registry,
            users,
            passwords: PasswordHasher::new(limits.parallel_passwords),
            secret: Arc::new(secret),
            key_cost,
            signer: OnceCell::new(),
            clock,
            remembered: Cache::new(limits.remembered),
            remembered_for: limits.remembered_for,
            remember_mac: Hmac::new_from_slice(&remember_key)?,
        })
    }

    /// Derives the token key, which takes seconds, before the first login needs it.
    pub async fn prepare(&self) -> Result<(), AuthError> {
        self.signer().await.map(|_| ())
    }

    /// The caller behind credentials. Wrong ones are those of an anonymous caller (as in devpi).
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthError> {
        let verdict = self.signer().await?.verify(credentials.secret.expose_secret(), self.clock.now());
        match verdict {
            Verdict::NotAToken => {}
            Verdict::Invalid => return Ok(Caller::anonymous()),
            Verdict::Valid(claims) => return self.caller_of_token(credentials, claims).await,
        }
        match self.check_password(credentials).await {
            Ok(_) => Ok(Caller::user(credentials.user.as_str(), Vec::new())),
            Err(AuthError::Wrong) => Ok(Caller::anonymous()),
            Err(error) => Err(error),
        }
    }

    /// Verifies a password and makes a token. A token is no password. A hash with old parameters is renewed.
    pub async fn login(&self, credentials: &Credentials) -> Result<String, AuthError> {
        let old = self.check_password(credentials).await?;
        if !is_current(&old) {
            // The password is right all the same, even if the disk is full.
            if let Err(cause) = self.renew_hash(credentials, &old).await {
                warn!(user = credentials.user, "cannot renew a password hash: {cause:#}");
            }
        }
        self.make_token(&credentials.user).await
    }

    async fn renew_hash(&self, credentials: &Credentials, old: &str) -> anyhow::Result<()> {
        let new = self.passwords.hash(credentials.secret.clone()).await?;
        Ok(self.registry.renew_password_hash(&credentials.user, old, new).await?)
    }

    /// Verifies a password; [`AuthError::Wrong`] if it is not the user's.
    pub async fn verify_password(&self, credentials: &Credentials) -> Result<(), AuthError> {
        self.check_password(credentials).await.map(|_| ())
    }

    /// A token for a user whose password was just verified or set.
    pub async fn make_token(&self, user: &str) -> Result<String, AuthError> {
        let claims = Claims { user: user.into(), groups: Vec::new(), from_user_record: true };
        Ok(self.signer().await?.sign(&claims, self.clock.now()))
    }

    /// The hash of a new password.
    pub async fn hash_password(&self, password: SecretString) -> Result<String, PasswordError> {
        self.passwords.hash(password).await
    }

    async fn signer(&self) -> Result<&TokenSigner, AuthError> {
        self.signer
            .get_or_try_init(async || {
                let (secret, cost) = (Arc::clone(&self.secret), self.key_cost);
                // A thread of its own: it takes seconds, and a server that stops must not wait for it.
                let (sender, receiver) = oneshot::channel();
                std::thread::spawn(move || {
                    let _nobody_waits = sender.send(secret.derive_token_key(cost));
                });
                let key = receiver.await.map_err(|error| AuthError::Failed(error.into()))?;
                Ok(TokenSigner::new(&key.map_err(|error| AuthError::Failed(error.into()))?))
            })
            .await
    }

    async fn caller_of_token(&self, credentials: &Credentials, claims: Claims) -> Result<Caller, AuthError> {
        if *claims.user != *credentials.user {
            return Ok(Caller::anonymous());
        }
        if claims.from_user_record && self.users.get(&self.registry, &claims.user).await?.is_none() {
            return Ok(Caller::anonymous());
        }
        Ok(Caller::user(claims.user, claims.groups))
    }

    /// Verifies a password and returns its hash.
    async fn check_password(&self, credentials: &Credentials) -> Result<String, AuthError> {
        let record = self.users.get(&self.registry, &credentials.user).await?;
        let record: &UserRecord = record.as_deref().ok_or(AuthError::Wrong)?;
        let hash = record.pwhash.as_deref().ok_or(AuthError::Wrong)?;
        // With the hash in the digest, a changed password is not taken for the remembered one.
        let digest = self.digest(credentials, hash);
        let now = Instant::now();
        if self.remembered.get(&digest).is_some_and(|(_, until)| until <= now) {
            self.remembered.remove_if(&digest, |(_, until)| *until <= now);
        }
        // Of many who come at once with the same password, as jobs of one build do, one has it verified.
        let verify = async {
            let (secret, salt) = (credentials.secret.clone(), record.pwsalt.as_deref());
            let right = self.passwords.verify(&credentials.user, secret, hash, salt).await?;
            Ok::<_, AuthError>((right, now + self.remembered_for))
        };
        let (right, _) = self.remembered.get_or_insert_async(&digest, verify).await?;
        if right { Ok(hash.to_owned()) } else { Err(AuthError::Wrong) }
    }

    fn digest(&self, credentials: &Credentials, hash: &str) -> [u8; 32] {
        let mut mac = self.remember_mac.clone();
        // With their lengths, different triples give different texts.
        for part in [hash, &credentials.user, credentials.secret.expose_secret()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}
