//! `devpi-gen-config`: see `wheelhouse::cli`.

use std::process::ExitCode;

#[path = "../launch.rs"]
mod launch;

fn main() -> ExitCode {
    launch::become_program("devpi-gen-config")
}
