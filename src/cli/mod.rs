//! The programs. This is the only place that names concrete stores and wires everything together.

mod console;
mod gen_secret;
mod init;
mod passwd;
mod program;
mod serve;
mod serverdir;

pub use program::{run, server_command};
