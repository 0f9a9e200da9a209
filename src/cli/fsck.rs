//! `devpi-fsck`: checks all stored data, also while a server runs.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use tracing::{error, info, warn};

use super::console::Fatal;
use super::serverdir::Reading;
use super::tool::ToolOptions;
use crate::config::ReadingOptions;
use crate::fsck::{Finding, FsckOptions, check};

pub(super) const ABOUT: &str = "Check that all stored files are there and what they are said to be.";

/// The options of `devpi-fsck`.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    tool: ToolOptions,
    /// Read all files and compare their hashes; this is so unless --no-checksum is given.
    #[arg(long, overrides_with = "no_checksum")]
    checksum: bool,
    /// Look only whether the files are there, and at their sizes.
    #[arg(long, action = ArgAction::SetTrue)]
    no_checksum: bool,
    #[command(flatten)]
    reading: ReadingOptions,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    let (_logging, path) = options.tool.start(&warnings)?;
    actix_web::rt::System::new().block_on(run_check(&options, path))
}

async fn run_check(options: &Options, path: PathBuf) -> anyhow::Result<()> {
    let reading = Reading::open(&path, &options.tool.limits)?;
    let faults = reading.check_database().await?;
    for fault in &faults {
        error!("the database is damaged: {fault}");
    }
    let mut snapshot = reading.snapshot().await?;
    if let Some(serial) = snapshot.serial() {
        info!("Checking at serial {serial}");
    }
    let how = FsckOptions { checksum: !options.no_checksum, parallel: options.reading.parallel() };
    let mut tell = |finding: &Finding| {
        if let Finding::Missing { in_mirror: true, .. } = finding {
            warn!("{finding}");
        } else {
            error!("{finding}");
        }
    };
    let summary = check(snapshot.as_mut(), reading.files(), how, &mut tell).await?;
    info!("Finished with a total of {} files.", summary.files);
    if summary.missing_in_mirrors > 0 {
        warn!("A total of {} files are missing in mirrors.", summary.missing_in_mirrors);
    }
    if summary.missing > 0 {
        error!("A total of {} files are missing.", summary.missing);
    }
    if summary.has_errors() || !faults.is_empty() {
        return Err(Fatal::new("There have been errors during consistency check.").into());
    }
    Ok(())
}
