//! `devpi-init`: makes a new server directory.

use std::path::Path;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};
use tracing::info;

use super::console::Fatal;
use super::serverdir::ServerDir;
use super::tool::ToolOptions;
use crate::auth::password::{PasswordHasher, check_hash};
use crate::config::{InitOptions, LimitOptions, RoleOptions, StoredRole};
use crate::domain::acl::{Caller, ROOT};
use crate::domain::user::NewPassword;
use crate::storage::model::{IndexName, UserRecord};

pub(super) const ABOUT: &str = "Initialise a new devpi-server directory.";

/// PyPI, the upstream of root/pypi.
const PYPI: &str = "https://pypi.org";

/// The options of `devpi-init`.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    tool: ToolOptions,
    #[command(flatten)]
    init: InitOptions,
    #[command(flatten)]
    role: RoleOptions,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    let (_logging, path) = options.tool.start(&warnings)?;
    options.role.check(StoredRole::default()).map_err(Fatal::new)?;
    let contents = Contents::of(&options.init);
    let password = RootPassword::of(&options.init);
    actix_web::rt::System::new().block_on(initialise(&path, password, contents, &options.tool.limits))
}

/// With what a new server starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// The user root.
    Root,
    /// The user root with the index root/pypi, the mirror of PyPI.
    RootWithPypi,
}

impl Contents {
    pub(super) fn of(options: &InitOptions) -> Self {
        if options.no_root_pypi { Self::Root } else { Self::RootWithPypi }
    }
}

/// root/pypi as devpi makes it.
pub(super) fn pypi_settings() -> Map<String, Value> {
    let settings = [
        ("type", Value::from("mirror")),
        ("volatile", false.into()),
        ("title", "PyPI".into()),
        ("mirror_url", format!("{PYPI}/simple/").into()),
        ("mirror_web_url_fmt", format!("{PYPI}/project/{{name}}/").into()),
    ];
    Map::from_iter(settings.map(|(key, value)| (key.to_owned(), value)))
}

/// The password of the user root.
pub(super) enum RootPassword {
    /// As it is.
    Text(SecretString),
    /// Its hash.
    Hash(String),
}

impl RootPassword {
    /// The password that the options give; a hash goes before a text.
    pub(super) fn of(options: &InitOptions) -> Self {
        match &options.root_passwd_hash {
            Some(hash) => Self::Hash(hash.clone()),
            None => Self::Text(options.root_passwd.clone().into()),
        }
    }

    /// The password that the options give, if they give one.
    pub(super) fn given(options: &InitOptions) -> Option<Self> {
        (options.root_passwd_hash.is_some() || !options.root_passwd.is_empty()).then(|| Self::of(options))
    }

    async fn hash(self) -> anyhow::Result<String> {
        match self {
            Self::Text(text) => Ok(PasswordHasher::new(1).hash(text).await?),
            Self::Hash(hash) => {
                check_hash(&hash).map_err(|error| Fatal::new(format!("--root-passwd-hash: {error}")))?;
                Ok(hash)
            }
        }
    }
}

/// The user root of a new server.
pub(super) async fn root_record(password: RootPassword, now: Timestamp) -> anyhow::Result<UserRecord> {
    Ok(UserRecord { pwhash: Some(password.hash().await?), ..UserRecord::new(now) })
}

/// Makes a new server directory.
pub(super) async fn initialise(
    path: &Path,
    password: RootPassword,
    contents: Contents,
    limits: &LimitOptions,
) -> anyhow::Result<()> {
    let hash = password.hash().await?;
    ServerDir::create(path, limits, async |stores| {
        let registry = stores.registry_for_tool(limits).await?;
        registry
            .create_user(&Caller::anonymous(), ROOT, NewPassword::Hash(hash), &Map::new())
            .await
            .context("cannot create the user root")?;
        if contents == Contents::RootWithPypi {
            let root = Caller::user(ROOT, Vec::new());
            let index = IndexName::new(ROOT, "pypi");
            registry
                .create_index(&root, &index, &pypi_settings())
                .await
                .context("cannot create root/pypi")?;
        }
        Ok(registry.close().await?)
    })
    .await?;
    info!("initialised {}", path.display());
    Ok(())
}
