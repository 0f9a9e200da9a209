//! The programs. This is the only place that names concrete stores and wires everything together.

mod backup;
mod clear_search_index;
mod console;
mod export;
mod fsck;
mod gen_config;
mod gen_secret;
mod import;
mod init;
mod passwd;
mod program;
mod progress;
mod serve;
mod server;
mod serverdir;
mod takeover;
mod tool;

pub use program::{run, server_command};
