//! `devpi-clear-search-index`: removes the search index of devpi-web.

use std::fs;
use std::io::ErrorKind;

use anyhow::Context;
use clap::Args;
use tracing::info;

use super::serverdir;
use super::tool::ToolOptions;

pub(super) const ABOUT: &str = "Remove the search index that devpi-web has made.";

/// Where devpi-web keeps it.
const INDEX: &str = ".indices";

/// The options of `devpi-clear-search-index`.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    tool: ToolOptions,
    /// Of devpi-web.
    #[arg(long, value_name = "NAME", hide = true)]
    indexer_backend: Option<String>,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    let (_logging, path) = options.tool.start(&warnings)?;
    serverdir::check_initialised(&path)?;
    let index = path.join(INDEX);
    match fs::remove_dir_all(&index) {
        Ok(()) => info!("removed the search index of devpi-web in '{}'", index.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            info!("there is no search index in '{}'; this server has none yet", path.display());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot remove '{}'", index.display())),
    }
    Ok(())
}
