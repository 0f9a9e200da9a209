//! `devpi-init`: makes a new server directory.

use std::path::Path;

use anyhow::Context;
use clap::Args;
use secrecy::SecretString;
use serde_json::Map;
use tracing::info;

use super::console::Fatal;
use super::serverdir::{self, ServerDir};
use crate::auth::password::{PasswordHasher, check_hash};
use crate::config::{CommonOptions, InitOptions, LimitOptions, StorageOptions};
use crate::domain::acl::{AccessPolicy, Caller, ROOT};
use crate::domain::user::NewPassword;
use crate::telemetry;

pub(super) const ABOUT: &str = "Initialise a new devpi-server directory.";

/// The options of `devpi-init`.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    common: CommonOptions,
    #[command(flatten)]
    storage: StorageOptions,
    #[command(flatten)]
    init: InitOptions,
    #[command(flatten)]
    limits: LimitOptions,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    let _logging = telemetry::start(options.common.debug, options.common.log_format, &warnings);
    let path = serverdir::path(&options.storage)?;
    let password = match options.init.root_passwd_hash {
        Some(hash) => RootPassword::Hash(hash),
        None => RootPassword::Text(options.init.root_passwd.into()),
    };
    actix_web::rt::System::new().block_on(initialise(&path, password, &options.limits))
}

/// The password of the user root.
pub(super) enum RootPassword {
    /// As it is.
    Text(SecretString),
    /// Its hash.
    Hash(String),
}

/// Makes a new server directory with the user root.
pub(super) async fn initialise(
    path: &Path,
    password: RootPassword,
    limits: &LimitOptions,
) -> anyhow::Result<()> {
    let hash = match password {
        RootPassword::Text(text) => PasswordHasher::new(1).hash(text).await?,
        RootPassword::Hash(hash) => {
            check_hash(&hash).map_err(|error| Fatal::new(format!("--root-passwd-hash: {error}")))?;
            hash
        }
    };
    ServerDir::create(path, limits, async |stores| {
        let registry = stores.registry(AccessPolicy::default(), limits, Vec::new()).await?;
        registry
            .create_user(&Caller::anonymous(), ROOT, NewPassword::Hash(hash), &Map::new())
            .await
            .context("cannot create the user root")?;
        Ok(registry.close().await?)
    })
    .await?;
    info!("initialised {}", path.display());
    Ok(())
}
