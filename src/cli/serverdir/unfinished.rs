//! The database while it is being made: it gets its own name when it is complete.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tracing::warn;

use super::{DATABASE, NODEINFO, Stores, node, open_stores, remove_if_there};
use crate::cli::console::Fatal;
use crate::config::LimitOptions;

/// The database while it is being made.
pub(super) const UNFINISHED_DATABASE: &str = "unfinished.sqlite";

/// What SQLite keeps beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes a database under another name, which gets its own when it is complete: whatever interrupts this leaves either
/// no data or all of it.
pub(super) async fn make_database(
    path: &Path,
    limits: &LimitOptions,
    fill: impl AsyncFnOnce(Stores) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let unfinished = path.join(UNFINISHED_DATABASE);
    remove_unfinished(path)?;
    if let Err(error) = fill(open_stores(path, &unfinished, limits)?).await {
        if let Err(left) = remove_unfinished(path) {
            warn!("cannot remove '{}': {left}", unfinished.display());
        }
        return Err(error);
    }
    let log = path.join(format!("{UNFINISHED_DATABASE}-wal"));
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let text = format!("the new database in '{}' could not be finished", path.display());
        return Err(Fatal::new(text).into());
    }
    if !path.join(NODEINFO).exists() {
        node::create(path)?;
    }
    // Only now is there something to serve.
    Ok(put_in_place(path)?)
}

/// Gives the new database its own name. One that is there already must be closed: what is found beside it belongs to a
/// database that is gone, and would get into the new one.
///
/// It is for its owner only: the hashes of passwords are in it, and whoever serves the files may have to get to them.
pub(super) fn put_in_place(path: &Path) -> std::io::Result<()> {
    let (directory, unfinished) = (File::open(path)?, path.join(UNFINISHED_DATABASE));
    fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
    remove_companions(path, DATABASE)?;
    directory.sync_all()?;
    fs::rename(unfinished, path.join(DATABASE))?;
    directory.sync_all()
}

/// Removes a database that is not complete.
pub(super) fn remove_unfinished(path: &Path) -> std::io::Result<()> {
    remove_if_there(&path.join(UNFINISHED_DATABASE))?;
    remove_companions(path, UNFINISHED_DATABASE)
}

/// Whether there is something beside the database that belongs to it: changes that are not in it yet, or what it was like
/// before a change that is not complete.
pub(super) fn has_companions(path: &Path) -> bool {
    COMPANIONS.iter().any(|suffix| path.join(format!("{DATABASE}{suffix}")).exists())
}

fn remove_companions(path: &Path, database: &str) -> std::io::Result<()> {
    COMPANIONS.iter().try_for_each(|suffix| remove_if_there(&path.join(format!("{database}{suffix}"))))
}
