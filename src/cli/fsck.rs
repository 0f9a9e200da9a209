//! `devpi-fsck`: checks all stored data, also while a server runs, and repairs them while none does.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};
use tracing::{error, info, warn};

use super::console::Fatal;
use super::serverdir::{Reading, ServerDir, Stores};
use super::tool::ToolOptions;
use crate::clock::Clock;
use crate::config::ReadingOptions;
use crate::fsck::{Fault, Finding, FsckOptions, FsckSummary, Lost, Outcome, Repair, check, find_unnamed};
use crate::pep::digest::Sha256;
use crate::storage::files::AllNamed;
use crate::storage::sqlite::DatabaseFault;

pub(super) const ABOUT: &str =
    "Check that all stored files are there and what they are said to be; repair them.";

const UNREPAIRABLE: &str = "The database could not be repaired; move 'wheelhouse.sqlite' away, with all files whose names \
     begin with that, and take the one of a backup (see 'devpi-server backup').";

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
    #[command(flatten)]
    repair: RepairOptions,
}

/// What is done about what is found.
#[derive(Args, Debug)]
#[command(next_help_heading = "Repair")]
struct RepairOptions {
    /// Repair what is found; the server must not be running. Damaged files are kept in the directory `damaged`, mirrors
    /// fetch what they lack, core metadata are read from wheels anew, files that nothing names are kept there, too.
    #[arg(long)]
    repair: bool,
    /// Look for the contents of lost files in this directory: a backup, or any with such files. May be repeated.
    #[arg(long, value_name = "DIR", requires = "repair")]
    from: Vec<PathBuf>,
    /// Remove files whose contents are lost, as if somebody had deleted them: they can be uploaded again then.
    #[arg(long, requires = "repair")]
    remove_lost: bool,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    let (_logging, path) = options.tool.start(&warnings)?;
    let system = actix_web::rt::System::new();
    if options.repair.repair {
        system.block_on(repair(&options, &path))
    } else {
        system.block_on(look(&options, &path))
    }
}

/// What a check has found.
struct Found {
    summary: FsckSummary,
    /// In files, where they are to be repaired.
    faults: Vec<Fault>,
    /// Contents that nothing names.
    unnamed: Vec<Sha256>,
}

async fn look(options: &Options, path: &Path) -> anyhow::Result<()> {
    let reading = Reading::open(path, &options.tool.limits)?;
    let faults = reading.check_database().await?;
    tell_of_database(&faults);
    let found = find(options, &reading).await?;
    if found.summary.has_errors() || !faults.is_empty() {
        return Err(Fatal::new("There have been errors during consistency check.").into());
    }
    Ok(())
}

fn tell_of_database(faults: &[DatabaseFault]) {
    for fault in faults {
        error!("the database is damaged: {fault}");
    }
}

/// Tells what is wrong with files.
async fn find(options: &Options, reading: &Reading) -> anyhow::Result<Found> {
    let mut snapshot = reading.snapshot().await?;
    if let Some(serial) = snapshot.serial().await? {
        info!("Checking at serial {serial}");
    }
    let how = FsckOptions { checksum: !options.no_checksum, parallel: options.reading.parallel() };
    let mut faults = Vec::new();
    let mut tell = |fault: Fault| {
        if let Finding::Missing { in_mirror: true, .. } = fault.finding {
            warn!("{}", fault.finding);
        } else {
            error!("{}", fault.finding);
        }
        if options.repair.repair {
            faults.push(fault);
        }
    };
    let summary = check(snapshot.as_mut(), reading.files(), how, &mut tell).await?;
    drop(snapshot);
    let mut unnamed = Vec::new();
    let mut tell_unnamed = |sha256: Sha256, size: u64| {
        warn!("the content {sha256} with {size} bytes belongs to no file");
        if options.repair.repair {
            unnamed.push(sha256);
        }
    };
    find_unnamed(async || reading.snapshot().await, reading.files(), &mut tell_unnamed).await?;
    info!("Finished with a total of {} files.", summary.files);
    if summary.missing_in_mirrors > 0 {
        warn!("A total of {} files are missing in mirrors.", summary.missing_in_mirrors);
    }
    if summary.missing > 0 {
        error!("A total of {} files are missing.", summary.missing);
    }
    Ok(Found { summary, faults, unnamed })
}

async fn repair(options: &Options, path: &Path) -> anyhow::Result<()> {
    let (limits, how) = (&options.tool.limits, &options.repair);
    if let Some(missing) = how.from.iter().find(|source| !source.is_dir()) {
        return Err(Fatal::new(format!("--from {}: there is no such directory", missing.display())).into());
    }
    let directory = ServerDir::open(path)?;
    let repaired = directory.repair_database()?;
    for done in repaired {
        info!("repaired: {done}");
    }
    let reading = Reading::open(path, limits)?;
    let faults = reading.check_database().await?;
    if faults.iter().any(|fault| !matches!(fault, DatabaseFault::Document(_))) {
        // Before anything is done by what it says.
        tell_of_database(&faults);
        return Err(Fatal::new(format!("{UNREPAIRABLE} No file was touched.")).into());
    }
    let Stores { meta, files } = directory.open_stores(limits)?;
    // What the database does not name now, it may have named before, or another one that was in its place: nothing that
    // is whole is removed.
    files.settle(&AllNamed).await?;
    let Found { faults, unnamed, .. } = find(options, &reading).await?;
    let repair = Repair {
        meta: &*meta,
        files: &*files,
        sources: &how.from,
        lost: if how.remove_lost { Lost::Remove } else { Lost::Keep },
        archive: limits.registry().archive,
        now: Clock::system().now(),
    };
    let mut lost = 0;
    let mut tell = |outcome: &Outcome| {
        if outcome.is_loss() {
            lost += 1;
            error!("not repaired: {outcome}");
        } else {
            info!("repaired: {outcome}");
        }
    };
    let forgotten = repair.run(faults, &mut tell).await?;
    for sha256 in unnamed {
        let to = files.set_aside(&sha256).await?;
        info!("repaired: the content {sha256}, which nothing names, is kept in '{}'", to.display());
    }
    meta.close().await?;
    let places = directory.forget_documents(&forgotten)?;
    if places > 0 {
        info!("repaired: {places} references to metadata that were missing or damaged");
    }
    let faults = reading.check_database().await?;
    tell_of_database(&faults);
    match (lost, faults.is_empty()) {
        (0, true) => Ok(()),
        (_, false) => Err(Fatal::new(UNREPAIRABLE).into()),
        (1, true) => Err(Fatal::new("1 fault could not be repaired, see above.").into()),
        (lost, true) => Err(Fatal::new(format!("{lost} faults could not be repaired, see above.")).into()),
    }
}
