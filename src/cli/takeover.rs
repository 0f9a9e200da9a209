//! Taking over a server directory of devpi-server, in place.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::console::{Fatal, say};
use super::progress::{Channel, Progress};
use super::serverdir::{self, ServerDir, has_database};
use crate::clock::Clock;
use crate::config::{IntakeOptions, LimitOptions, StorageOptions};
use crate::dump::intake::{Damaged, Intake};
use crate::dump::serverdir::keys::{KeyError, KeyStore};
use crate::dump::serverdir::{OLD_NAMES, OldState, StateError, is_old};
use crate::dump::takeover::{Summary, take_over};
use crate::report::Report;
use crate::storage::files::Transfer;

/// The file that says which state was taken over.
const NOTE: &str = "takeover.json";

/// The most changed keys that are named.
const NAMED_CHANGES: usize = 3;

/// Which state was taken over.
#[derive(Serialize, Deserialize)]
struct Note {
    /// Its newest serial.
    serial: i64,
    /// When.
    time: Timestamp,
}

/// Whether there is a state of devpi-server in a directory that was not taken over yet.
pub(super) fn is_needed(path: &Path) -> bool {
    is_old(path) && !has_database(path)
}

/// Takes the state of devpi-server over. Its files stay as they are.
pub(super) async fn run(
    path: &Path,
    storage: &StorageOptions,
    intake: &IntakeOptions,
    limits: &LimitOptions,
) -> anyhow::Result<()> {
    let shown = path.display();
    info!("taking over the data of devpi-server in '{shown}'");
    let state = open_settled(path, storage).map_err(fatal)?;
    let report = Arc::new(Report::new(Box::new(Progress::new("taking over", Channel::Log))));
    let mut summary = Summary::default();
    ServerDir::convert(path, limits, async |stores| {
        let registry = limits.registry();
        let taking = Intake::new(
            Some(Arc::clone(&stores.files)),
            Transfer::Link,
            registry.archive,
            intake.reading.parallel(),
        );
        let meta = Some(Arc::clone(&stores.meta));
        summary = take_over(state, taking, meta, damaged(intake), Arc::clone(&report)).await?;
        stores.files.sync().await?;
        stores.meta.close().await?;
        if summary.is_behind {
            report
                .fail("devpi-server is still running on this directory: it has written something meanwhile.");
        }
        judge(&report, intake)?;
        write_note(path, summary.serial)
    })
    .await
    .with_context(|| {
        format!("the data of devpi-server in '{shown}' were not taken over, and nothing was changed")
    })?;
    info!("taken over: {}", describe(&summary, &report));
    info!("the data of devpi-server are untouched; --drop-old-state removes them");
    Ok(())
}

/// Opens the state of devpi-server, and before that rolls back what a server that died has left half written.
fn open_settled(path: &Path, storage: &StorageOptions) -> Result<OldState, StateError> {
    let opened = OldState::open(path, storage.named_backend());
    let Err(StateError::Keys(KeyError::HotJournal { path: database })) = &opened else { return opened };
    info!("rolling back what a server that died has left half written");
    KeyStore::recover(database)?;
    OldState::open(path, storage.named_backend())
}

/// Says what a takeover would bring, and fails if it would.
pub(super) async fn check(
    path: &Path,
    storage: &StorageOptions,
    intake: &IntakeOptions,
    limits: &LimitOptions,
) -> anyhow::Result<()> {
    if !is_old(path) {
        let text = format!("There are no data of devpi-server in '{}'.", path.display());
        return Err(Fatal::new(text).into());
    }
    if has_database(path) {
        say("The data of devpi-server have been taken over already; this is about another takeover.")?;
    }
    let state = OldState::open(path, storage.named_backend()).map_err(fatal)?;
    let report = Arc::new(Report::new(Box::new(Progress::new("checking", Channel::Output))));
    let looking = Intake::new(None, Transfer::Link, limits.registry().archive, intake.reading.parallel());
    let summary = take_over(state, looking, None, damaged(intake), Arc::clone(&report)).await?;
    if summary.is_behind {
        report.warn("devpi-server is running on this directory; it must be stopped before the takeover.");
    }
    say(&format!("found: {}", describe(&summary, &report)))?;
    judge(&report, intake)?;
    Ok(say("A takeover is possible.")?)
}

/// Removes the state of devpi-server that was taken over.
pub(super) fn drop_old(path: &Path) -> anyhow::Result<()> {
    if is_needed(path) {
        let text = format!("The data of devpi-server in '{}' have not been taken over.", path.display());
        return Err(Fatal::new(text).into());
    }
    // Nobody else works on it meanwhile.
    let _directory = ServerDir::open(path)?;
    let mut removed = 0;
    for name in OLD_NAMES.into_iter().chain([NOTE]) {
        removed += usize::from(remove(&path.join(name))?);
    }
    File::open(path)?.sync_all()?;
    if removed == 0 {
        info!("there are no data of devpi-server in '{}'", path.display());
    } else {
        info!("removed the data of devpi-server in '{}'", path.display());
    }
    Ok(())
}

/// Refuses to serve what was taken over if devpi-server has been used on its own state since.
pub(super) fn check_unchanged(path: &Path, storage: &StorageOptions) -> anyhow::Result<()> {
    if !is_old(path) || !path.join(NOTE).exists() {
        return Ok(());
    }
    let text = fs::read_to_string(path.join(NOTE))?;
    let note: Note =
        serde_json::from_str(&text).with_context(|| format!("'{}' is damaged", path.join(NOTE).display()))?;
    let shown = path.display();
    let changed = open_settled(path, storage).and_then(|mut state| Ok(state.changes_after(note.serial)?));
    if let Err(error @ StateError::NoDatabase(_)) = &changed {
        // Removed by hand, without --drop-old-state.
        warn!("the old data of devpi-server are not there any more: {error}");
        return Ok(());
    }
    let changed = changed.with_context(|| {
        format!(
            "it cannot be told whether devpi-server was used on '{shown}' after its data were taken over; stop it if it \
             runs there, or use --drop-old-state to go on without what may have been changed in it"
        )
    })?;
    if changed.is_empty() {
        return Ok(());
    }
    let named = changed.iter().take(NAMED_CHANGES).map(String::as_str).collect::<Vec<_>>().join(", ");
    Err(Fatal::new(format!(
        "devpi-server was used on '{shown}' after its data were taken over (serial {}): it has changed {named}{}, which \
         is not here. Either remove 'wheelhouse.sqlite*' there, to take the data over anew without what was changed \
         since in this server; or use --drop-old-state, to go on without what was changed in devpi-server.",
        note.serial,
        if changed.len() > NAMED_CHANGES { format!(" and {} more", changed.len() - NAMED_CHANGES) } else { String::new() },
    ))
    .into())
}

/// What becomes of damaged files.
pub(super) fn damaged(intake: &IntakeOptions) -> Damaged {
    if intake.skip_damaged { Damaged::Skip } else { Damaged::Refuse }
}

fn judge(report: &Report, intake: &IntakeOptions) -> Result<(), Fatal> {
    let problems = match report.errors() {
        0 => return Ok(()),
        1 => "1 problem makes".to_owned(),
        count => format!("{count} problems make"),
    };
    let hint = damaged(intake).hint();
    Err(Fatal::new(format!("{problems} a takeover impossible, see above.{hint}")))
}

fn describe(summary: &Summary, report: &Report) -> String {
    let Summary { serial, users, indexes, projects, releases, files, bytes, removed_files, .. } = summary;
    let warnings = report.warnings();
    format!(
        "serial {serial}, {users} users, {indexes} indexes, {projects} projects, {releases} releases, {files} files \
         with {bytes} bytes, {removed_files} removed files, {warnings} warnings"
    )
}

fn write_note(path: &Path, serial: i64) -> anyhow::Result<()> {
    let note = Note { serial, time: Clock::system().now() };
    serverdir::write_json(path, NOTE, &note)
}

fn remove(path: &Path) -> anyhow::Result<bool> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => Err(error),
    };
    removed.with_context(|| format!("cannot remove '{}'", path.display()))?;
    Ok(true)
}

fn fatal(error: impl std::fmt::Display) -> Fatal {
    Fatal::new(error)
}
