//! `devpi-server backup`: copies all data into another directory, while a server works on them.
//!
//! The copy is a serverdir itself. A file in it marks it as a backup, into which later ones may be made; a server that
//! starts on it takes the mark away.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::console::Fatal;
use super::progress::{Channel, Progress};
use super::serverdir::{self, BackupDir, Reading};
use crate::backup::{BackupSummary, copy_contents, remove_others};
use crate::clock::Clock;
use crate::config::{LimitOptions, ReadingOptions, SecurityOptions};
use crate::report::Report;

/// Makes a directory a backup.
const MARK: &str = "backup.json";

/// Of what a directory is a backup.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    /// The server's.
    uuid: String,
    /// Up to where; `None` until the first backup is complete.
    serial: Option<u64>,
    /// When.
    time: Timestamp,
}

/// Copies the data in `source` into `target`.
pub(super) async fn run(
    source: &Path,
    target: &Path,
    limits: &LimitOptions,
    security: &SecurityOptions,
    reading: &ReadingOptions,
) -> anyhow::Result<()> {
    let to = target.display();
    let data = Reading::open(source, limits)?;
    let uuid = serverdir::read_node(source)?.uuid;
    check_apart(source, target)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(target)
        .with_context(|| format!("cannot create '{to}'"))?;
    let before = prepare_target(target, &uuid)?;
    let backup = BackupDir::open(target, limits).await?;
    let copied = copy(&data, source, &backup, target, before, limits, reading).await;
    let Copied { serial, summary, removed } = match copied {
        Ok(copied) => copied,
        Err(error) => {
            if let Err(left) = backup.remove_unfinished() {
                warn!("cannot remove what is left in '{to}': {left}");
            }
            return Err(error);
        }
    };
    info!(
        "the backup in '{to}' has the state of serial {}: {} files with {} bytes, {} of them with {} bytes new; {removed} \
         removed",
        shown(serial),
        summary.files,
        summary.bytes,
        summary.new_files,
        summary.new_bytes
    );
    if let Some(secret) = security.secretfile()
        && fs::canonicalize(secret).ok() != fs::canonicalize(source.join(serverdir::SECRET)).ok()
    {
        info!("the secret in '{}' is not part of the backup; logins end without it", secret.display());
    }
    let lost = match summary.lost {
        0 => return Ok(()),
        1 => "1 file is".to_owned(),
        lost => format!("{lost} files are"),
    };
    let text =
        format!("{lost} lost, see above, and devpi-fsck for their names; everything else is in the backup.");
    Err(Fatal::new(text).into())
}

/// What a backup has brought.
struct Copied {
    serial: Option<u64>,
    summary: BackupSummary,
    /// How many contents of the backup before it are gone.
    removed: u64,
}

async fn copy(
    data: &Reading,
    source: &Path,
    backup: &BackupDir,
    target: &Path,
    before: Mark,
    limits: &LimitOptions,
    reading: &ReadingOptions,
) -> anyhow::Result<Copied> {
    data.copy_database(&backup.unfinished()?).await.context("cannot copy the database")?;
    let copied = backup.read_unfinished(limits)?;
    let mut copy = copied.snapshot().await?;
    let serial = copy.serial().await?.map(|serial| serial.0);
    if before.serial > serial {
        return Err(Fatal::new(format!(
            "'{}' has the state of serial {}, and '{}' an older one: {}. Nothing was changed. If the older one is right, \
             make the backup in another directory.",
            target.display(),
            shown(before.serial),
            source.display(),
            shown(serial)
        ))
        .into());
    }
    let report = Report::new(Box::new(Progress::new("copying", Channel::Log)));
    let summary =
        copy_contents(copy.as_mut(), data.files(), backup.files(), reading.parallel(), &report).await?;
    for name in [serverdir::NODEINFO, serverdir::SECRET] {
        copy_file(source, target, name)?;
    }
    backup.finish()?;
    let mark = Mark { serial, time: Clock::system().now(), ..before };
    serverdir::write_json(target, MARK, &mark)?;
    // What the backup before this one had, and nobody needs any more.
    let removed = remove_others(copy.as_mut(), backup.files()).await?;
    Ok(Copied { serial, summary, removed })
}

fn shown(serial: Option<u64>) -> String {
    serial.map_or("none".to_owned(), |serial| serial.to_string())
}

/// A server works on a directory from now on: it is no backup any more.
pub(super) fn forget(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path.join(MARK)) {
        Ok(()) => info!("'{}' was a backup; it is the directory of this server from now on", path.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot remove '{MARK}'")),
    }
    Ok(())
}

/// A backup inside of what it is a backup of would grow with each one, and the other way round it would be removed.
fn check_apart(source: &Path, target: &Path) -> anyhow::Result<()> {
    if target.exists() && !target.is_dir() {
        return Err(Fatal::new(format!("'{}' is a file, and no directory", target.display())).into());
    }
    let of_target = resolve(&std::path::absolute(target)?)?;
    let of_source = resolve(&std::path::absolute(source)?)?;
    // The contents may lie elsewhere, by a symbolic link.
    let [files_of_target, files_of_source] =
        [resolve(&of_target.join("files"))?, resolve(&of_source.join("files"))?];
    for (ours, theirs) in
        [(&of_source, &of_target), (&files_of_source, &of_target), (&files_of_source, &files_of_target)]
    {
        if ours.starts_with(theirs) || theirs.starts_with(ours) {
            let text =
                format!("'{}' and '{}' must not lie in each other", target.display(), source.display());
            return Err(Fatal::new(text).into());
        }
    }
    Ok(())
}

/// The path without symbolic links, also if its end is not there yet.
fn resolve(path: &Path) -> std::io::Result<PathBuf> {
    match (fs::canonicalize(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == ErrorKind::NotFound => {
            Ok(resolve(parent)?.join(name))
        }
        (resolved, ..) => resolved,
    }
}

/// Refuses a directory with something else; an empty one becomes a backup that is not complete yet. Returns what is known
/// of it.
fn prepare_target(target: &Path, uuid: &str) -> anyhow::Result<Mark> {
    let shown = target.display();
    let mark: Mark = match fs::read_to_string(target.join(MARK)) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("'{shown}/{MARK}' is damaged"))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if !serverdir::is_empty(target)? {
                let text =
                    format!("'{shown}' is not empty, and no backup of devpi-server (there is no {MARK})");
                return Err(Fatal::new(text).into());
            }
            fs::set_permissions(target, fs::Permissions::from_mode(0o700))?;
            let mark = Mark { uuid: uuid.to_owned(), serial: None, time: Clock::system().now() };
            serverdir::write_json(target, MARK, &mark)?;
            mark
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read '{shown}/{MARK}'")),
    };
    if mark.uuid != uuid {
        let text = format!("'{shown}' is the backup of another server, with the uuid {}", mark.uuid);
        return Err(Fatal::new(text).into());
    }
    Ok(mark)
}

/// Copies a small file, whole or not at all; one that is not there any more goes.
fn copy_file(source: &Path, target: &Path, name: &str) -> anyhow::Result<()> {
    let path = source.join(name);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return match fs::remove_file(target.join(name)) {
                Ok(()) => {
                    warn!("'{}' is not there any more", path.display());
                    Ok(())
                }
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error).with_context(|| format!("cannot remove the '{name}' of the backup")),
            };
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read '{}'", path.display())),
    };
    let mut file = serverdir::small_file(target)?;
    file.write_all(&bytes)?;
    let mode = fs::metadata(&path)?.permissions().mode();
    file.as_file().set_permissions(fs::Permissions::from_mode(mode & 0o777))?;
    file.as_file().sync_all()?;
    file.persist(target.join(name))?;
    Ok(File::open(target)?.sync_all()?)
}
