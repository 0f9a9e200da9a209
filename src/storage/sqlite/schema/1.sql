-- Rows are never changed except to end their lifetime: a row counts from the serial `added_at` on, up to but not
-- including `removed_at`. What lies in a removed project, index or user is gone with it, without being touched.
-- `revision` is the serial that last changed the row or anything below it.

CREATE TABLE changes (
    serial  INTEGER PRIMARY KEY,
    time    INTEGER NOT NULL, -- microseconds since 1970
    who     TEXT,
    touched TEXT NOT NULL     -- JSON
) STRICT;

CREATE TABLE users (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    record     TEXT NOT NULL, -- JSON
    revision   INTEGER NOT NULL,
    added_at   INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX users_present ON users (name) WHERE removed_at IS NULL;

CREATE TABLE indexes (
    id         INTEGER PRIMARY KEY,
    user       TEXT NOT NULL,
    name       TEXT NOT NULL,
    added_at   INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX indexes_present ON indexes (user, name) WHERE removed_at IS NULL;

CREATE TABLE index_settings (
    id         INTEGER PRIMARY KEY,
    index_id   INTEGER NOT NULL REFERENCES indexes,
    settings   TEXT NOT NULL, -- JSON
    added_at   INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX index_settings_present ON index_settings (index_id) WHERE removed_at IS NULL;

CREATE TABLE projects (
    id         INTEGER PRIMARY KEY,
    index_id   INTEGER NOT NULL REFERENCES indexes,
    name       TEXT NOT NULL, -- normalised
    revision   INTEGER NOT NULL,
    added_at   INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX projects_present ON projects (index_id, name) WHERE removed_at IS NULL;

CREATE TABLE releases (
    id              INTEGER PRIMARY KEY,
    project_id      INTEGER NOT NULL REFERENCES projects,
    version         TEXT NOT NULL,
    requires_python TEXT,          -- taken out of the metadata, for pages
    metadata        TEXT NOT NULL, -- JSON
    added_at        INTEGER NOT NULL,
    removed_at      INTEGER
) STRICT;
CREATE UNIQUE INDEX releases_present ON releases (project_id, version) WHERE removed_at IS NULL;

CREATE TABLE links (
    id            INTEGER PRIMARY KEY,
    project_id    INTEGER NOT NULL REFERENCES projects,
    version       TEXT NOT NULL,
    relation      TEXT NOT NULL,
    path          TEXT NOT NULL,
    file_name     TEXT NOT NULL,
    sha256        BLOB NOT NULL,
    size          INTEGER NOT NULL,
    uploaded_at   INTEGER NOT NULL, -- microseconds since 1970
    core_metadata BLOB REFERENCES documents,
    log           TEXT NOT NULL,    -- JSON
    added_at      INTEGER NOT NULL,
    removed_at    INTEGER
) STRICT;
CREATE UNIQUE INDEX links_present ON links (project_id, version, file_name) WHERE removed_at IS NULL;
CREATE INDEX links_by_path ON links (path);
CREATE INDEX links_by_content ON links (sha256);

CREATE TABLE documents (
    sha256 BLOB PRIMARY KEY,
    body   BLOB NOT NULL
) STRICT, WITHOUT ROWID;
