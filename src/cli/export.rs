//! `devpi-export`: writes a dump, also while a server runs.

use std::path::PathBuf;

use clap::Args;
use tracing::info;

use super::console::Fatal;
use super::progress::{Channel, Progress};
use super::serverdir::Reading;
use super::tool::ToolOptions;
use crate::dump::export::{ExportOptions, ExportSummary, export};
use crate::report::Report;
use crate::storage::files::Transfer;

pub(super) const ABOUT: &str = "Write all data to a dump, which devpi-import reads.";

/// The options of `devpi-export`.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Where the dump goes: a directory that is empty or not there.
    directory: PathBuf,
    #[command(flatten)]
    tool: ToolOptions,
    /// Dump the files of mirrors that are here as well.
    #[arg(long)]
    include_mirrored_files: bool,
    /// Link files instead of copying them, where the file system can do that.
    #[arg(long)]
    hard_links: bool,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    let (_logging, path) = options.tool.start(&warnings)?;
    actix_web::rt::System::new().block_on(run_export(options, path))
}

async fn run_export(options: Options, path: PathBuf) -> anyhow::Result<()> {
    let reading = Reading::open(&path, &options.tool.limits)?;
    let export_options = ExportOptions {
        directory: options.directory,
        mirrored_files: options.include_mirrored_files,
        way: if options.hard_links { Transfer::Link } else { Transfer::Copy },
    };
    let mut snapshot = reading.snapshot().await?;
    let report = Report::new(Box::new(Progress::new("exporting", Channel::Log)));
    let exported = export(snapshot.as_mut(), reading.files(), &export_options, &report).await;
    let exported = exported.map_err(Fatal::new)?;
    let ExportSummary { indexes, files, .. } = exported;
    info!("dumped {indexes} indexes and {files} files");
    Ok(())
}
