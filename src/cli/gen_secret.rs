//! `devpi-gen-secret`: writes or checks a secret file.

use std::path::PathBuf;

use clap::Args;
use tracing::info;

use super::console::Fatal;
use crate::auth::secret::Secret;
use crate::config::{CommonOptions, path_in_home};
use crate::telemetry;

pub(super) const ABOUT: &str = "Write a new secret file for devpi-server, or check an existing one.";

/// The options of `devpi-gen-secret`.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    common: CommonOptions,
    /// Where the secret is or is to be.
    #[arg(long, value_name = "FILE", value_parser = path_in_home)]
    secretfile: Option<PathBuf>,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    let _logging = telemetry::start(options.common.debug, options.common.log_format, &warnings);
    let Some(path) = options.secretfile else {
        return Err(Fatal::new("You need to provide a location for the secret file.").into());
    };
    let shown = path.display();
    if path.exists() {
        info!("Checking existing secret at '{shown}'");
    } else {
        Secret::create(&path).map_err(Fatal::new)?;
        info!("New secret written to '{shown}'");
        info!("Changed file mode to 0600 to adjust access permissions.");
    }
    Secret::read(&path).map_err(Fatal::new)?;
    info!("Permissions of secret file look good.");
    Ok(())
}
