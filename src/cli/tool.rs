//! What the programs beside the server have in common.

use std::path::PathBuf;

use clap::Args;
use tracing_appender::non_blocking::WorkerGuard;

use super::console::Fatal;
use super::serverdir;
use crate::config::{CommonOptions, LimitOptions, StorageOptions, UnusedStorageOptions};
use crate::telemetry;

/// The options of a program that works on stored data.
#[derive(Args, Debug)]
pub(super) struct ToolOptions {
    #[command(flatten)]
    common: CommonOptions,
    #[command(flatten)]
    storage: StorageOptions,
    #[command(flatten)]
    pub(super) limits: LimitOptions,
    #[command(flatten)]
    unused: UnusedStorageOptions,
}

impl ToolOptions {
    /// Starts to log, and gives the directory with the data. Log lines are written as long as the guard lives.
    pub(super) fn start(&self, warnings: &[String]) -> Result<(WorkerGuard, PathBuf), Fatal> {
        let logging = telemetry::start(self.common.debug, self.common.log_format, warnings);
        self.unused.explain();
        Ok((logging, serverdir::path(&self.storage)?))
    }
}
