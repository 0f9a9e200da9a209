//! What programs tell the person who started them.

use std::io::Write;

/// Why a program ends before its work is done. It is printed as `fatal: …`, and the exit status is 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fatal(String);

impl Fatal {
    pub(super) fn new(text: impl ToString) -> Self {
        Self(text.to_string())
    }
}

/// Prints a line for the person who started the program.
pub(super) fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}
