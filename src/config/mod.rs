//! Options: one struct per concern, and where values come from.
//!
//! The definitions here are the only documentation of options; `--help` prints them.

mod files;
mod limits;
mod listen;
mod mirror;
mod role;
mod security;
mod storage;
mod takeover;
mod unused;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub use files::{ConfigFileError, Layered, layer};
pub use limits::LimitOptions;
pub use listen::{ListenError, ListenOptions, ServerAddress};
pub use mirror::{CredentialsError, MirrorOptions};
pub use role::{Role, RoleError, RoleOptions, StoredRole};
pub use security::SecurityOptions;
pub use storage::{InitOptions, StorageOptions, path_in_home};
pub use takeover::{IntakeOptions, ReadingOptions, TakeoverOptions};
pub use unused::{UnusedOptions, UnusedStorageOptions};

/// Options that all programs have.
#[derive(Args, Clone, Debug)]
pub struct CommonOptions {
    /// Read options from this YAML file.
    #[arg(short = 'c', long, value_name = "FILE", help_heading = "Configuration")]
    pub configfile: Option<PathBuf>,

    /// Log more: every decision, not only every request.
    #[arg(long, help_heading = "Logging")]
    pub debug: bool,

    /// How log lines look.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text, help_heading = "Logging")]
    pub log_format: LogFormat,

    /// Accepted for compatibility; logging is configured by --debug and --log-format.
    #[arg(long, value_name = "FILE", hide = true)]
    pub logger_cfg: Option<PathBuf>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}
