//! Where the files of a dump lie: where devpi puts them, unless there is no place for a file.
//!
//! Such files lie below [`OTHER_FILES`], each in a directory of its own, and keep the last part of their path where it is
//! short enough. Which places are in use is asked of the file system, so this takes no memory for files that are written.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::entries::{FileToDump, last_part};
use crate::pep::filename::MAX_FILE_NAME_BYTES;

/// The directory of files that lie elsewhere than in devpi's dumps. No user is called so.
const OTHER_FILES: &str = "+files";

/// How a file is called whose own name is none for the file system.
const UNNAMED: &str = "file";

/// Finds places for files.
pub(super) struct Places {
    /// The dump.
    directory: PathBuf,
    /// How many files lie elsewhere.
    others: u64,
}

impl Places {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, others: 0 }
    }

    /// Moves those of the files of a project that cannot lie where they are said to. Those that were settled before must
    /// have been written.
    pub(super) fn settle(&mut self, files: &mut [FileToDump]) {
        let mut used = HashSet::new();
        for file in files {
            if used.contains(&file.relpath) || !self.is_free(&file.relpath) {
                file.move_to(self.other_place(&file.relpath));
            }
            used.insert(file.relpath.clone());
        }
    }

    fn is_free(&self, relpath: &str) -> bool {
        if relpath.starts_with(OTHER_FILES) || !relpath.split('/').all(is_file_name) {
            return false;
        }
        match fs::symlink_metadata(self.directory.join(relpath)) {
            Ok(_) => false,
            // A file, such as the list, would be its directory.
            Err(error) => error.kind() != ErrorKind::NotADirectory,
        }
    }

    fn other_place(&mut self, relpath: &str) -> String {
        self.others += 1;
        let name = Some(last_part(relpath)).filter(|name| is_file_name(name));
        format!("{OTHER_FILES}/{}/{}", self.others, name.unwrap_or(UNNAMED))
    }
}

/// Whether a part of a path names a file or directory below the one before it, and is not too long.
fn is_file_name(part: &str) -> bool {
    !matches!(part, "." | "..") && part.len() <= MAX_FILE_NAME_BYTES
}
