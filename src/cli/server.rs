//! `devpi-server`: serves, unless it is asked for something else.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tracing::warn;

use super::console::say;
use super::serve::{self, ServerOptions};
use super::{backup, serverdir, takeover};
use crate::telemetry;
use crate::version::{DEVPI_VERSION, VERSION};

pub(super) const ABOUT: &str = "Serve private Python packages; a drop-in replacement of devpi-server.";

/// The options of `devpi-server`.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// What to do instead of serving.
    #[arg(value_enum, value_name = "TASK", requires = "directory")]
    task: Option<Task>,

    /// The directory for the task.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,

    #[command(flatten)]
    server: ServerOptions,
}

/// What to do instead of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Task {
    /// Copy all data into the directory DIR, also while a server works on them. With a backup already there, only what
    /// is new is copied.
    Backup,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    let Options { task, directory, server: options } = options;
    if options.version {
        return Ok(say(&format!("{DEVPI_VERSION} (Wheelhouse {VERSION})"))?);
    }
    let _logging = telemetry::start(options.common.debug, options.common.log_format, &warnings);
    options.unused.explain();
    if options.common.logger_cfg.is_some() {
        warn!("the option --logger-cfg has no effect: see --debug and --log-format");
    }
    let path = serverdir::path(&options.storage)?;
    let (limits, reading) = (&options.limits, &options.takeover.intake.reading);
    if let (Some(Task::Backup), Some(target)) = (task, directory) {
        let copying = backup::run(&path, &target, limits, &options.security, reading);
        return actix_web::rt::System::new().block_on(copying);
    }
    serverdir::check_role(&path, &options.role)?;
    if options.takeover.check_takeover {
        let checking = takeover::check(&path, &options.storage, &options.takeover.intake, limits);
        return actix_web::rt::System::new().block_on(checking);
    }
    if options.takeover.drop_old_state {
        return takeover::drop_old(&path);
    }
    serve::run(options)
}
