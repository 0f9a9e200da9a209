//! Files whose contents are not kept, or not yet.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{io, mem};

use tempfile::{NamedTempFile, TempPath};

use crate::blocking;

/// Makes an empty file for a content in a directory. Others may read it if the umask and the directories above let them,
/// such as a web server that sends it. Blocks.
pub(super) fn create(directory: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(directory)
}

/// The name of a file in `incoming`. Dropping it removes the file, where that keeps nobody waiting: of a large one the disk
/// has much to give back. Whoever has the file open closes it before, else that would be done where it is closed.
pub(super) struct Unkept(PathBuf);

impl Unkept {
    /// Makes such a file. Blocks.
    pub(super) fn create(directory: &Path) -> io::Result<(File, Self)> {
        let (file, path) = create(directory)?.into_parts();
        Ok((file, Self(path.keep().map_err(|error| error.error)?)))
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The same for a thread that may block: there the file is removed at once.
    pub(super) fn into_temp_path(mut self) -> io::Result<TempPath> {
        self.take()
    }

    fn take(&mut self) -> io::Result<TempPath> {
        TempPath::try_from_path(mem::take(&mut self.0))
    }
}

impl Drop for Unkept {
    fn drop(&mut self) {
        // An error if it was taken before.
        if let Ok(path) = self.take() {
            blocking::dispose(path);
        }
    }
}
