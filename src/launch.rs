//! Starts the one big executable under another name, so that the code is linked once.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Becomes `devpi-server`, which lies beside this executable, under the name `program`.
pub(crate) fn become_program(program: &str) -> ExitCode {
    let error = match std::env::current_exe() {
        Ok(own) => {
            let sibling = own.with_file_name("devpi-server");
            let error = Command::new(&sibling).arg0(program).args(std::env::args_os().skip(1)).exec();
            format!("cannot start '{}': {error}", sibling.display())
        }
        Err(error) => format!("cannot find the own executable: {error}"),
    };
    #[expect(clippy::print_stderr, reason = "there is nobody else to tell")]
    {
        eprintln!("fatal: {error}");
    }
    ExitCode::FAILURE
}
