//! Users: creation, modification, deletion (`server-api` section 8).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::acl::Caller;
use super::config_value::length_of;
use super::index_config::IndexConfig;
use super::python;
use super::registry::{Decision, Registry};
use crate::blocking;
use crate::storage::StorageError;
use crate::storage::meta::{ChangeSet, Expectation, Operation};
use crate::storage::model::{IndexSettings, UserRecord};

/// The attributes that anybody may read and its owner may change.
const ATTRIBUTES: [&str; 4] = ["email", "title", "description", "custom_data"];

/// Keys that come with a new user and are dealt with otherwise than as attributes.
const OTHER_KEYS: [&str; 5] = ["password", "pwhash", "pwsalt", "created", "modified"];

/// The longest name that a user or an index may have, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Why something about a user was not done.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The caller may not create users.
    #[error("no permission to create users")]
    MayNotCreate,
    /// The caller may not modify the user.
    #[error("no permission to modify user <User {0}>")]
    MayNotModify(String),
    /// The caller may not change the user's password.
    #[error("no permission to change password for user <User {0}>")]
    MayNotChangePassword(String),
    /// The caller may not delete the user.
    #[error("no permission to delete the user")]
    MayNotDelete,
    /// There is a user of this name already.
    #[error("user already exists")]
    Exists,
    /// There is no user of this name.
    #[error("no user {0}")]
    Unknown(String),
    /// The name has characters that names do not have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There are keys that a user does not have.
    #[error("Unknown keys in user config: {0}")]
    UnknownKeys(String),
    /// The attributes are longer than they may be.
    #[error("the user configuration is longer than {0} bytes")]
    TooLong(usize),
    /// The user has an index that must not be deleted.
    #[error("user {user} has non-volatile index: {index}")]
    NonVolatileIndex {
        /// The user, quoted.
        user: String,
        /// The index.
        index: Arc<str>,
    },
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a name is none for a user or an index.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has characters that are not allowed.
    #[error(
        "{kind} '{name}' contains characters that aren't allowed. Any ascii symbol besides -.@_ is blocked."
    )]
    Characters {
        /// What the name is for, in devpi's word.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// It is too long.
    #[error("{kind} is longer than {MAX_NAME_BYTES} bytes")]
    TooLong {
        /// What the name is for, in devpi's word.
        kind: &'static str,
    },
}

/// Checks the name of a new user (`kind` is `username`) or index (`indexname`).
pub fn check_name(kind: &'static str, name: &str) -> Result<(), NameError> {
    let allowed = |character: char| {
        character.is_ascii_alphanumeric() || "-.@_\u{7f}".contains(character) || !character.is_ascii()
    };
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong { kind });
    }
    // "." and ".." would vanish from URLs.
    if name.chars().all(allowed) && !matches!(name, "" | "." | "..") {
        return Ok(());
    }
    Err(NameError::Characters { kind, name: name.to_owned() })
}

/// A user with its indexes, as others may see it.
#[derive(Clone, Debug)]
pub struct UserView {
    /// The name.
    pub name: Arc<str>,
    /// The stored record.
    pub record: UserRecord,
    /// The settings of its indexes, without credentials.
    pub indexes: BTreeMap<Arc<str>, IndexSettings>,
}

/// What becomes of a user's password.
#[derive(Clone, Debug)]
pub enum NewPassword {
    /// It stays as it is; a new user gets none and cannot log in.
    Keep,
    /// It is set; this is its hash as a PHC string.
    Hash(String),
    /// It is set; this is its hash by an old release of devpi.
    Salted {
        /// SHA-256 of salt and password, in hexadecimal.
        hash: String,
        /// The salt.
        salt: String,
    },
}

impl Registry {
    /// All users with their indexes.
    pub async fn list_users(&self) -> Result<Vec<UserView>, StorageError> {
        let mut snapshot = self.meta.snapshot().await?;
        let (users, settings) = (snapshot.list_users().await?, snapshot.list_indexes(None).await?);
        // Anybody may create users, so there may be very many.
        let joining = blocking::run(move || {
            let mut indexes: BTreeMap<Arc<str>, BTreeMap<Arc<str>, IndexSettings>> = BTreeMap::new();
            for (name, settings) in settings {
                let shown = IndexConfig::from_settings(settings.value).into_shown();
                indexes.entry(name.user).or_default().insert(name.index, shown);
            }
            let view = |(name, record)| {
                let indexes = indexes.remove(&name).unwrap_or_default();
                UserView { name, record, indexes }
            };
            users.into_iter().map(view).collect()
        });
        Ok(joining.await?)
    }

    /// One user with its indexes.
    pub async fn get_user(&self, name: &str) -> Result<UserView, UserError> {
        let mut snapshot = self.meta.snapshot().await?;
        let user = snapshot.get_user(name).await?.ok_or_else(|| unknown(name))?;
        let indexes = snapshot.list_indexes(Some(name)).await?;
        let shown = |settings| IndexConfig::from_settings(settings).into_shown();
        let indexes =
            indexes.into_iter().map(|(name, settings)| (name.index, shown(settings.value))).collect();
        Ok(UserView { name: name.into(), record: user.value, indexes })
    }

    /// The stored record of a user, for checking credentials.
    pub async fn find_user_record(&self, name: &str) -> Result<Option<UserRecord>, StorageError> {
        Ok(self.meta.snapshot().await?.get_user(name).await?.map(|user| user.value))
    }

    /// Whether the caller may create this user now; asked before its data is looked at.
    pub async fn check_new_user(&self, caller: &Caller, name: &str) -> Result<(), UserError> {
        if !self.policy.may_create_user(caller) {
            return Err(UserError::MayNotCreate);
        }
        match self.find_user_record(name).await? {
            Some(_) => Err(UserError::Exists),
            None => Ok(()),
        }
    }

    /// Creates a user. `values` are the other keys of the request; empty ones are not stored.
    pub async fn create_user(
        &self,
        caller: &Caller,
        name: &str,
        password: NewPassword,
        values: &Map<String, Value>,
    ) -> Result<(), UserError> {
        self.check_new_user(caller, name).await?;
        check_name("username", name)?;
        let known = |key: &str| ATTRIBUTES.contains(&key) || OTHER_KEYS.contains(&key);
        let unknown_keys: Vec<&str> = values.keys().map(String::as_str).filter(|key| !known(key)).collect();
        if !unknown_keys.is_empty() {
            return Err(UserError::UnknownKeys(unknown_keys.join(", ")));
        }
        let now = self.clock.now();
        let mut record = UserRecord::new(now);
        set_attributes(&mut record, values);
        self.check_attributes(&record)?;
        set_password(&mut record, &password);
        let name: Arc<str> = name.into();
        self.change(async |snapshot| {
            if snapshot.get_user(&name).await?.is_some() {
                return Err(UserError::Exists);
            }
            let change = ChangeSet::new(caller.name().cloned(), now)
                .expect(Expectation::User(Arc::clone(&name), None))
                .with(Operation::PutUser(Arc::clone(&name), record.clone()));
            Ok(Decision::write(change, ()))
        })
        .await
    }

    /// Whoever asks for all users gets the attributes of each, so they may not grow at will.
    fn check_attributes(&self, record: &UserRecord) -> Result<(), UserError> {
        let length = self.limits.settings;
        if length_of(&record.attributes) > length {
            return Err(UserError::TooLong(length));
        }
        Ok(())
    }

    /// Whether the caller may change these keys of a user: `password` alone needs less than anything else.
    pub async fn check_user_change(
        &self,
        caller: &Caller,
        name: &str,
        values: &Map<String, Value>,
    ) -> Result<(), UserError> {
        if self.find_user_record(name).await?.is_none() {
            return Err(unknown(name));
        }
        let only_password = values.len() == 1 && values.contains_key("password");
        if only_password && !self.policy.may_modify_password(caller, name) {
            return Err(UserError::MayNotChangePassword(python::quote(name)));
        }
        if !only_password && !self.policy.may_modify_user(caller, name) {
            return Err(UserError::MayNotModify(python::quote(name)));
        }
        Ok(())
    }

    /// Changes a user: a password, and those of `values` that are attributes. Empty values remove an attribute, and
    /// unknown keys are passed over, since clients send back all that they have read.
    pub async fn modify_user(
        &self,
        caller: &Caller,
        name: &str,
        password: NewPassword,
        values: &Map<String, Value>,
    ) -> Result<(), UserError> {
        self.check_user_change(caller, name, values).await?;
        let now = self.clock.now();
        self.change(async |snapshot| {
            let user = snapshot.get_user(name).await?.ok_or_else(|| unknown(name))?;
            let mut record = user.value.clone();
            set_attributes(&mut record, values);
            if record.attributes != user.value.attributes {
                self.check_attributes(&record)?;
            }
            set_password(&mut record, &password);
            if record == user.value {
                return Ok(Decision::keep(()));
            }
            record.modified = Some(now);
            let change = ChangeSet::new(caller.name().cloned(), now)
                .expect(Expectation::User(name.into(), Some(user.changed_at)))
                .with(Operation::PutUser(name.into(), record));
            Ok(Decision::write(change, ()))
        })
        .await
    }

    /// Puts a hash of the same password, made with other parameters, in the place of `old`; unless the password has
    /// been changed meanwhile.
    pub async fn renew_password_hash(&self, name: &str, old: &str, new: String) -> Result<(), UserError> {
        self.change(async |snapshot| {
            let user = snapshot.get_user(name).await?.ok_or_else(|| unknown(name))?;
            if user.value.pwhash.as_deref() != Some(old) {
                return Ok(Decision::keep(()));
            }
            let record = UserRecord { pwhash: Some(new.clone()), pwsalt: None, ..user.value };
            let change = ChangeSet::new(Some(name.into()), self.clock.now())
                .expect(Expectation::User(name.into(), Some(user.changed_at)))
                .with(Operation::PutUser(name.into(), record));
            Ok(Decision::write(change, ()))
        })
        .await
    }

    /// Deletes a user with all its indexes, unless one of them is not volatile.
    pub async fn delete_user(&self, caller: &Caller, name: &str) -> Result<(), UserError> {
        if !self.policy.may_delete_user(caller, name) {
            return Err(UserError::MayNotDelete);
        }
        let now = self.clock.now();
        self.change(async |snapshot| {
            let user = snapshot.get_user(name).await?.ok_or_else(|| unknown(name))?;
            for (index, settings) in snapshot.list_indexes(Some(name)).await? {
                if !IndexConfig::from_settings(settings.value).is_volatile() {
                    return Err(UserError::NonVolatileIndex {
                        user: python::quote(name),
                        index: index.index,
                    });
                }
            }
            let change = ChangeSet::new(caller.name().cloned(), now)
                .expect(Expectation::User(name.into(), Some(user.changed_at)))
                .with(Operation::RemoveUser(name.into()));
            Ok(Decision::write(change, ()))
        })
        .await
    }
}

/// A time as devpi keeps and shows it of users: whole seconds in UTC.
pub fn render_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn set_password(record: &mut UserRecord, password: &NewPassword) {
    (record.pwhash, record.pwsalt) = match password {
        NewPassword::Keep => return,
        NewPassword::Hash(hash) => (Some(hash.clone()), None),
        NewPassword::Salted { hash, salt } => (Some(hash.clone()), Some(salt.clone())),
    };
}

fn set_attributes(record: &mut UserRecord, values: &Map<String, Value>) {
    for (key, value) in values.iter().filter(|(key, _)| ATTRIBUTES.contains(&key.as_str())) {
        if python::is_truthy(value) {
            record.attributes.insert(key.clone(), value.clone());
        } else {
            record.attributes.shift_remove(key);
        }
    }
}

fn unknown(name: &str) -> UserError {
    UserError::Unknown(python::quote(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_most_characters_but_ascii_symbols() {
        for good in ["alice", "Carol-X.y@z_1", "cärol", ".b", "-", "a\u{7f}"] {
            assert_eq!(check_name("username", good), Ok(()), "{good}");
        }
        for bad in ["ca rol", "ca:rol", "ca!rol", "a+b", "a/b", "a\nb", "a\\b", "", ".", ".."] {
            let error = check_name("username", bad).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("username '{bad}' contains characters")),
                "{error}"
            );
        }
        assert_eq!(check_name("indexname", &"x".repeat(256)), Err(NameError::TooLong { kind: "indexname" }));
    }
}
