//! The programs. This is the only place that names concrete stores and wires everything together.

mod console;
mod export;
mod fsck;
mod gen_secret;
mod import;
mod init;
mod passwd;
mod program;
mod progress;
mod serve;
mod serverdir;
mod takeover;
mod tool;

pub use program::{run, server_command};
