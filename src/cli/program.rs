//! Which program was started, and how it ends.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches};

use super::{clear_search_index, export, fsck, gen_config, gen_secret, import, init, passwd, server};
use crate::config::{ConfigFileError, Layered, layer};

/// The status after a configuration file with the wrong structure (as in devpi).
const BAD_CONFIG_FILE: u8 = 4;

/// Runs the program that the name under which it was started asks for.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let name = arguments.first().map(Path::new).and_then(Path::file_stem).and_then(|name| name.to_str());
    let result = match name {
        Some("devpi-init") => start(&arguments, "devpi-init", init::ABOUT, init::run),
        Some("devpi-import") => start(&arguments, "devpi-import", import::ABOUT, import::run),
        Some("devpi-export") => start(&arguments, "devpi-export", export::ABOUT, export::run),
        Some("devpi-fsck") => start(&arguments, "devpi-fsck", fsck::ABOUT, fsck::run),
        Some("devpi-clear-search-index") => {
            let (about, run) = (clear_search_index::ABOUT, clear_search_index::run);
            start(&arguments, "devpi-clear-search-index", about, run)
        }
        Some("devpi-gen-config") => {
            let run = |options, warnings| {
                gen_config::run(options, warnings, arguments.get(1..).unwrap_or_default())
            };
            start(&arguments, "devpi-gen-config", gen_config::ABOUT, run)
        }
        Some("devpi-passwd") => start(&arguments, "devpi-passwd", passwd::ABOUT, passwd::run),
        Some("devpi-gen-secret") => start(&arguments, "devpi-gen-secret", gen_secret::ABOUT, gen_secret::run),
        _ => start(&arguments, "devpi-server", server::ABOUT, server::run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn start<O: Args + FromArgMatches>(
    arguments: &[OsString],
    name: &'static str,
    about: &'static str,
    run: impl FnOnce(O, Vec<String>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let definition = define::<O>(name, about);
    let Layered { command, warnings } = layer(definition, arguments, &|name| std::env::var(name).ok())?;
    // Prints usage errors and help by itself, and ends with status 2 or 0.
    let matches = command.get_matches_from(arguments);
    run(O::from_arg_matches(&matches)?, warnings)
}

fn define<O: Args>(name: &'static str, about: &'static str) -> Command {
    // After the options, which would bring a text of their own.
    O::augment_args(Command::new(name).infer_long_args(true).args_override_self(true)).about(about)
}

/// The definition of `devpi-server`'s command line, from which its documentation is made.
pub fn server_command() -> Command {
    define::<server::Options>("devpi-server", server::ABOUT)
}

fn report(error: &anyhow::Error) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    if let Some(ConfigFileError::Structure { .. }) = error.downcast_ref() {
        let _unwritable = writeln!(stderr, "{error}");
        return ExitCode::from(BAD_CONFIG_FILE);
    }
    let _unwritable = writeln!(stderr, "fatal: {error:#}");
    ExitCode::FAILURE
}
