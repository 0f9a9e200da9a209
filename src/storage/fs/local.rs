//! Contents that come from, or go to, files of the local file system. All of it blocks.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::{Layout, unkept};
use crate::pep::digest::Sha256;
use crate::storage::StorageError;
use crate::storage::files::Transfer;

/// How much of a file is copied at once, in bytes.
const PIECE: usize = 256 * 1024;

/// Takes a file in under its hash, unless there is one. One that the machine lost a part of when it went down, before it
/// was synced, is replaced.
pub(super) fn take(
    layout: &Layout,
    source: &Path,
    sha256: &Sha256,
    way: Transfer,
) -> Result<(), StorageError> {
    let target = layout.file(sha256);
    let resolved = resolve(source).map_err(StorageError::of_reading)?;
    let source = resolved.as_deref().unwrap_or(source);
    match fs::metadata(&target) {
        Ok(found) => {
            if found.len() == fs::metadata(source).map_err(StorageError::of_reading)?.len() {
                return Ok(());
            }
            fs::remove_file(&target)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    if way == Transfer::Link && link(source, &target)? {
        return Ok(());
    }
    let mut temporary = unkept::create(&layout.incoming())?;
    copy(source, temporary.as_file_mut())?;
    temporary.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

/// Where a symbolic link leads: a second name of the link itself would be no content.
fn resolve(source: &Path) -> io::Result<Option<PathBuf>> {
    if fs::symlink_metadata(source)?.is_symlink() { fs::canonicalize(source).map(Some) } else { Ok(None) }
}

/// Copies a file by pieces, as `io::copy` does not tell which of the two failed.
fn copy(source: &Path, target: &mut File) -> Result<(), StorageError> {
    let mut source = File::open(source).map_err(StorageError::of_reading)?;
    let mut buffer = vec![0; PIECE];
    loop {
        match source.read(&mut buffer).map_err(StorageError::of_reading)? {
            0 => return Ok(()),
            count => target.write_all(&buffer[..count])?,
        }
    }
}

/// Gives a content out as a new file, of which there must be none yet. Whether the content is there.
pub(super) fn give(source: &Path, target: &Path, way: Transfer) -> io::Result<bool> {
    if !source.exists() {
        return Ok(false);
    }
    if target.exists() {
        return Err(ErrorKind::AlreadyExists.into());
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
