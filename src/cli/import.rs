//! `devpi-import`: makes a new server directory of a dump.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tracing::{info, warn};

use super::console::Fatal;
use super::init::{Contents, RootPassword, pypi_settings, root_record};
use super::progress::{Channel, Progress};
use super::serverdir::{self, ServerDir};
use super::takeover::damaged;
use super::tool::ToolOptions;
use crate::clock::Clock;
use crate::config::{InitOptions, IntakeOptions};
use crate::dump::import::{Import, ImportOptions, ImportSummary, read_list};
use crate::dump::intake::Intake;
use crate::report::Report;
use crate::storage::files::Transfer;

pub(super) const ABOUT: &str =
    "Make a new server directory of a dump, of the Python devpi-export or of this server's.";

/// The options of `devpi-import`.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Directory of the dump.
    directory: PathBuf,
    #[command(flatten)]
    tool: ToolOptions,
    #[command(flatten)]
    init: InitOptions,
    /// Leave out all indexes of a type. May be repeated.
    #[arg(long, value_name = "TYPE")]
    skip_import_type: Vec<String>,
    /// Accepted for compatibility: there are no events that would run afterwards.
    #[arg(long)]
    no_events: bool,
    /// Link files of the dump instead of copying them, where the file system can do that. Do not change the dump
    /// afterwards.
    #[arg(long)]
    hard_links: bool,
    #[command(flatten)]
    intake: IntakeOptions,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    let (_logging, path) = options.tool.start(&warnings)?;
    actix_web::rt::System::new().block_on(run_import(options, path))
}

async fn run_import(options: Options, path: PathBuf) -> anyhow::Result<()> {
    let now = Clock::system().now();
    let import_options = ImportOptions {
        directory: options.directory.clone(),
        skipped_types: options.skip_import_type.clone(),
        damaged: damaged(&options.intake),
        root: root_record(RootPassword::of(&options.init), now).await?,
        root_pypi: (Contents::of(&options.init) == Contents::RootWithPypi).then(pypi_settings),
        now,
    };
    if options.no_events {
        warn!("--no-events has no effect: nothing is left to be done after an import");
    }
    let report = Report::new(Box::new(Progress::new("importing", Channel::Log)));
    let way = if options.hard_links { Transfer::Link } else { Transfer::Copy };
    let archive = options.tool.limits.registry().archive;
    let mut summary = ImportSummary::default();
    let list = read_list(&import_options.directory).map_err(Fatal::new)?;
    serverdir::check_absent(&path)?;
    let prepared = Import::prepare(&list, &import_options, &report).map_err(Fatal::new)?;
    ServerDir::create(&path, &options.tool.limits, async |stores| {
        let files = Arc::clone(&stores.files);
        let intake = Intake::new(Some(files), way, archive, options.intake.reading.parallel());
        let imported = prepared.run(&intake, stores.meta.as_ref(), &report).await;
        stores.files.sync().await?;
        stores.meta.close().await?;
        summary = imported.map_err(Fatal::new)?;
        Ok(())
    })
    .await?;
    let ImportSummary { users, indexes, projects, files } = summary;
    info!(
        "imported {users} users, {indexes} indexes, {projects} projects, {files} files, {} warnings",
        report.warnings()
    );
    report.say("********* import_all: importing finished ***********");
    Ok(())
}
