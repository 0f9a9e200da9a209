//! `devpi-passwd`: sets the password of a user, without a running server.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Map;
use tracing::info;

use super::console::{Fatal, say};
use super::serverdir::ServerDir;
use super::tool::ToolOptions;
use crate::auth::password::PasswordHasher;
use crate::config::LimitOptions;
use crate::domain::acl::{Caller, ROOT};
use crate::domain::quote;
use crate::domain::user::NewPassword;

pub(super) const ABOUT: &str = "Set the password of a user; the server must not be running.";

/// How often two different passwords may be typed.
const ATTEMPTS: usize = 3;

/// The options of `devpi-passwd`.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The user; asked for if missing.
    user: Option<String>,
    #[command(flatten)]
    tool: ToolOptions,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    let (_logging, path) = options.tool.start(&warnings)?;
    let directory = ServerDir::open(&path)?;
    let user = match options.user {
        Some(user) => user,
        None => ask("User to set password for: ")?,
    };
    if user.is_empty() {
        return Err(Fatal::new("No user name provided.").into());
    }
    actix_web::rt::System::new().block_on(set_password(&directory, &user, &options.tool.limits))
}

async fn set_password(directory: &ServerDir, user: &str, limits: &LimitOptions) -> anyhow::Result<()> {
    let stores = directory.open_stores(limits)?;
    let registry = stores.registry_for_tool(limits).await?;
    if registry.find_user_record(user).await?.is_none() {
        return Err(Fatal::new(format!("user {} not found", quote(user))).into());
    }
    let hash = PasswordHasher::new(1).hash(ask_password(user)?).await?;
    registry.modify_user(&Caller::user(ROOT, Vec::new()), user, NewPassword::Hash(hash), &Map::new()).await?;
    registry.close().await?;
    info!("set the password of user {}", quote(user));
    Ok(())
}

fn ask_password(user: &str) -> anyhow::Result<SecretString> {
    for _ in 0..ATTEMPTS {
        let first = ask_secret(&format!("enter password for {user}: "))?;
        let second = ask_secret(&format!("repeat password for {user}: "))?;
        if first.expose_secret() == second.expose_secret() {
            return Ok(first);
        }
        say("password don't match")?;
    }
    Err(Fatal::new("no password set").into())
}

/// Reads a line without showing it, from the terminal if there is one.
fn ask_secret(prompt: &str) -> anyhow::Result<SecretString> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password(prompt)?.into());
    }
    Ok(ask(prompt)?.into())
}

fn ask(prompt: &str) -> anyhow::Result<String> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(prompt.as_bytes())?;
    stdout.flush()?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(Fatal::new("no password set").into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
