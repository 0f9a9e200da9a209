//! The one executable: it runs the program under whose name it was started.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes a hundred small allocations, and threads free what others made: for a small answer the system's
/// allocator takes a tenth more time, and it keeps all that ten thousand connections took once they are gone. Without
/// huge pages, as each thread would have some of its own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    wheelhouse::cli::run(std::env::args_os().collect())
}
