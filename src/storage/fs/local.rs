//! Contents that come from, or go to, files of the local file system. All of it blocks.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use tempfile::NamedTempFile;

use super::Layout;
use crate::pep::digest::Sha256;
use crate::storage::files::Transfer;

/// Takes a file in under its hash, unless there is one. One that the machine lost a part of when it went down, before it
/// was synced, is replaced.
pub(super) fn take(layout: &Layout, source: &Path, sha256: &Sha256, way: Transfer) -> io::Result<()> {
    let target = layout.file(sha256);
    // A second name of a symbolic link would be no content.
    let resolved =
        if fs::symlink_metadata(source)?.is_symlink() { Some(fs::canonicalize(source)?) } else { None };
    let source = resolved.as_deref().unwrap_or(source);
    match fs::metadata(&target) {
        Ok(found) if found.len() == fs::metadata(source)?.len() => return Ok(()),
        Ok(_) => fs::remove_file(&target)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if way == Transfer::Link && link(source, &target)? {
        return Ok(());
    }
    let mut temporary = NamedTempFile::new_in(layout.incoming())?;
    io::copy(&mut File::open(source)?, &mut temporary)?;
    temporary.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

/// Gives a content out as a new file. Whether it is there.
pub(super) fn give(source: &Path, target: &Path, way: Transfer) -> io::Result<bool> {
    if !source.exists() {
        return Ok(false);
    }
    if way == Transfer::Link && link(source, target)? {
        return Ok(true);
    }
    fs::copy(source, target)?;
    Ok(true)
}

/// Gives a file a second name. `false` where the file system, or its rules, do not let it have one.
pub(super) fn link(source: &Path, target: &Path) -> io::Result<bool> {
    match fs::hard_link(source, target) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::AlreadyExists => Ok(true),
            ErrorKind::CrossesDevices
            | ErrorKind::PermissionDenied
            | ErrorKind::TooManyLinks
            | ErrorKind::Unsupported => Ok(false),
            _ => Err(error),
        },
    }
}

/// Makes all of the file system durable: one call for any number of files.
pub(super) fn sync(layout: &Layout) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(&layout.root)?)?)
}
