//! The one executable: it runs the program under whose name it was started.

use std::process::ExitCode;

/// Many small texts come and go with each request, often on another thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    wheelhouse::cli::run(std::env::args_os().collect())
}
