//! The one executable: it runs the program under whose name it was started.

use std::process::ExitCode;

fn main() -> ExitCode {
    wheelhouse::cli::run(std::env::args_os().collect())
}
