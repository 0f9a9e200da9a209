//! A directory that gets a copy of another one's data.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::unfinished::{UNFINISHED_DATABASE, has_companions, put_in_place, remove_unfinished};
use super::{DATABASE, Reading, lock, sweep_small_files};
use crate::config::LimitOptions;
use crate::storage::files::FileStore;
use crate::storage::fs::DirectoryStore;
use crate::storage::meta::MetaStore;
use crate::storage::sqlite::SqliteStore;

/// A directory that gets a copy of another one's data, locked for this process.
pub(in crate::cli) struct BackupDir {
    path: PathBuf,
    files: DirectoryStore,
    /// Held for as long as this lives.
    _lock: File,
}

impl BackupDir {
    /// Takes a directory that may have an earlier copy.
    pub(in crate::cli) async fn open(path: &Path, limits: &LimitOptions) -> anyhow::Result<Self> {
        let lock = lock(path)?;
        sweep_small_files(path)?;
        if path.join(DATABASE).exists() && has_companions(path) {
            // Of a program that changed the copy and died. They are removed with it, so it must be whole without them.
            SqliteStore::open(&path.join(DATABASE), limits.sqlite())?.close().await?;
        }
        let files = DirectoryStore::open(path, limits.directory())
            .with_context(|| format!("cannot open the files in '{}'", path.display()))?;
        Ok(Self { path: path.to_owned(), files, _lock: lock })
    }

    /// Removes a copy of the database that is not complete.
    pub(in crate::cli) fn remove_unfinished(&self) -> std::io::Result<()> {
        remove_unfinished(&self.path)
    }

    /// Where the new copy of the database is to be made.
    pub(in crate::cli) fn unfinished(&self) -> anyhow::Result<PathBuf> {
        remove_unfinished(&self.path)?;
        Ok(self.path.join(UNFINISHED_DATABASE))
    }

    /// The data with the new copy of the database.
    pub(in crate::cli) fn read_unfinished(&self, limits: &LimitOptions) -> anyhow::Result<Reading> {
        Reading::open_database(&self.path, &self.path.join(UNFINISHED_DATABASE), limits)
    }

    /// Puts the new copy of the database into the place of the one before. The files must be there.
    pub(in crate::cli) fn finish(&self) -> anyhow::Result<()> {
        Ok(put_in_place(&self.path)?)
    }

    /// The contents.
    pub(in crate::cli) fn files(&self) -> &dyn FileStore {
        &self.files
    }
}
