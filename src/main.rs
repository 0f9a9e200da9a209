//! The one executable: it runs the program under whose name it was started.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    wheelhouse::cli::run(std::env::args_os().collect())
}
