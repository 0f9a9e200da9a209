//! Options: one struct per concern, and where values come from.
//!
//! The definitions here are the only documentation of options; `--help` prints them.

mod files;
mod limits;
mod listen;
mod mirror;
mod security;
mod storage;
mod takeover;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tracing::warn;

pub use files::{ConfigFileError, Layered, layer};
pub use limits::LimitOptions;
pub use listen::{ListenError, ListenOptions};
pub use mirror::{CredentialsError, MirrorOptions};
pub use security::SecurityOptions;
pub use storage::{InitOptions, Role, StorageOptions};
pub use takeover::{IntakeOptions, ReadingOptions, TakeoverOptions};

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

/// Options of all of devpi's programs that work on stored data, and have no meaning here.
#[derive(Args, Clone, Debug)]
pub struct UnusedStorageOptions {
    #[arg(long, value_name = "N", hide = true)]
    keyfs_cache_size: Option<u64>,
}

impl UnusedStorageOptions {
    /// Logs what stands in the place of those that were given.
    pub fn explain(&self) {
        if self.keyfs_cache_size.is_some() {
            warn!("--keyfs-cache-size has no effect: see --page-cache-size and --file-cache-items");
        }
    }
}

/// Options of devpi-server for what this server has not yet; accepted so that existing command lines keep working.
#[derive(Args, Clone, Debug)]
pub struct UnusedOptions {
    #[command(flatten)]
    storage: UnusedStorageOptions,
    #[arg(long, value_name = "N", hide = true)]
    profile_requests: Option<u64>,
    #[arg(long, value_name = "SECONDS", hide = true)]
    proxy_timeout: Option<u64>,
    #[arg(long, hide = true)]
    enable_core_metadata: bool,
}

impl UnusedOptions {
    /// Logs what stands in the place of those that were given and would do something in devpi-server.
    pub fn explain(&self) {
        self.storage.explain();
        if self.profile_requests.is_some_and(|count| count > 0) {
            warn!("--profile-requests has no effect: use a profiler of the system, such as perf");
        }
        if self.proxy_timeout.is_some() {
            warn!("--proxy-timeout has no effect: this server has no replicas yet");
        }
    }
}
