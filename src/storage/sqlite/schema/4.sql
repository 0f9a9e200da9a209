-- Paths whose files were removed on the server from which the data came.
CREATE TABLE former_files (
    path       TEXT PRIMARY KEY,
    removed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
