-- What the upstreams of mirrors said. This is a cache, not history: rows are replaced in place.
CREATE TABLE mirror_pages (
    id         INTEGER PRIMARY KEY,
    index_id   INTEGER NOT NULL REFERENCES indexes,
    project    TEXT NOT NULL,    -- normalised
    page       BLOB NOT NULL,    -- JSON, packed by zstd
    changed_at INTEGER NOT NULL, -- the serial that last changed the page
    checked_at INTEGER NOT NULL  -- microseconds since 1970
) STRICT;
CREATE UNIQUE INDEX mirror_pages_by_project ON mirror_pages (index_id, project);

CREATE TABLE mirror_names (
    index_id   INTEGER PRIMARY KEY REFERENCES indexes,
    names      BLOB NOT NULL,    -- lines, packed by zstd
    validators TEXT NOT NULL,    -- JSON
    source     TEXT NOT NULL,
    checked_at INTEGER NOT NULL  -- microseconds since 1970
) STRICT;

-- Paths from whose file names the project cannot be told.
CREATE TABLE mirror_odd_paths (
    path     TEXT PRIMARY KEY,
    index_id INTEGER NOT NULL REFERENCES indexes,
    project  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX mirror_odd_paths_by_project ON mirror_odd_paths (index_id, project);

-- What was fetched. `deleted` rows are those of files that may not be fetched again before the page has changed.
CREATE TABLE fetched_files (
    id            INTEGER PRIMARY KEY,
    index_id      INTEGER NOT NULL REFERENCES indexes,
    project       TEXT NOT NULL,
    path          TEXT NOT NULL,
    sha256        BLOB,
    size          INTEGER,
    modified      INTEGER, -- microseconds since 1970
    core_metadata BLOB REFERENCES documents,
    provenance    BLOB REFERENCES documents,
    added_at      INTEGER NOT NULL,
    removed_at    INTEGER,
    deleted       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX fetched_files_present ON fetched_files (path) WHERE removed_at IS NULL;
CREATE INDEX fetched_files_by_project ON fetched_files (index_id, project);
CREATE INDEX fetched_files_by_path ON fetched_files (path);
CREATE INDEX fetched_files_by_content ON fetched_files (sha256);
