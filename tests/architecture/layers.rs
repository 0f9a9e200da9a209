//! Who may import whom: the direction of `docs/ARCHITECTURE.md`, as a table.

use crate::paths::{NamedPath, named_paths};
use crate::source::{Source, read_sources};

/// What a part of the source may import of ours, and which crates it must not name.
struct Layer {
    /// The module, from the root.
    module: &'static str,
    /// Beginnings of the modules that it may name besides itself. `cli` may name all.
    may_import: &'static [&'static str],
    /// Beginnings of names of crates that it must not name.
    foreign: &'static [&'static str],
}

/// Crates that know HTTP.
const HTTP: &str = "actix";
/// The crate that knows SQL.
const SQL: &str = "rusqlite";

/// The storage without its backends.
const STORAGE: &[&str] = &[
    "pep",
    "storage::StorageError",
    "storage::error",
    "storage::files",
    "storage::meta",
    "storage::mirrored",
    "storage::model",
    "storage::packed",
];

/// What a backend may name.
const BACKEND: &[&str] = &[
    "blocking",
    "pep",
    "storage::StorageError",
    "storage::error",
    "storage::files",
    "storage::meta",
    "storage::mirrored",
    "storage::model",
    "storage::packed",
];

const LAYERS: &[Layer] = &[
    Layer { module: "pep", may_import: &[], foreign: &[HTTP, SQL, "tokio"] },
    Layer { module: "ascii_json", may_import: &[], foreign: &[HTTP, SQL, "tokio"] },
    Layer { module: "telemetry", may_import: &["config::LogFormat"], foreign: &[HTTP, SQL] },
    // Its rules are about names inside of archives, and these are packaging names.
    Layer { module: "archive", may_import: &["pep"], foreign: &[HTTP, SQL, "tokio"] },
    Layer { module: "storage::error", may_import: &[], foreign: &[HTTP, SQL] },
    Layer { module: "storage::meta", may_import: STORAGE, foreign: &[HTTP, SQL] },
    Layer { module: "storage::files", may_import: STORAGE, foreign: &[HTTP, SQL] },
    Layer { module: "storage::model", may_import: STORAGE, foreign: &[HTTP, SQL] },
    Layer { module: "storage::mirrored", may_import: STORAGE, foreign: &[HTTP, SQL] },
    Layer { module: "storage::packed", may_import: STORAGE, foreign: &[HTTP, SQL, "tokio"] },
    Layer { module: "storage::sqlite", may_import: BACKEND, foreign: &[HTTP] },
    Layer { module: "storage::fs", may_import: BACKEND, foreign: &[HTTP, SQL] },
    Layer { module: "blocking", may_import: &[], foreign: &[HTTP, SQL] },
    Layer { module: "clock", may_import: &[], foreign: &[HTTP, SQL, "tokio"] },
    Layer { module: "outgoing", may_import: &["version"], foreign: &[HTTP, SQL] },
    // It speaks HTTP to upstreams, but knows nothing of how this server answers.
    Layer {
        module: "mirror",
        may_import: &[
            "archive",
            "clock",
            "outgoing",
            "pep",
            "storage::StorageError",
            "storage::files",
            "storage::meta",
            "storage::mirrored",
            "storage::model",
            "storage::packed",
            "weighted",
        ],
        foreign: &[HTTP, SQL],
    },
    Layer {
        module: "domain",
        may_import: &[
            "archive",
            "blocking",
            "clock",
            "mirror",
            "pep",
            "storage::StorageError",
            "storage::files",
            "storage::meta",
            "storage::mirrored",
            "storage::model",
        ],
        foreign: &[HTTP, SQL, "reqwest"],
    },
    Layer { module: "report", may_import: &[], foreign: &[HTTP, SQL, "tokio"] },
    Layer {
        module: "backup",
        may_import: &["pep", "report", "storage::StorageError", "storage::files", "storage::meta"],
        foreign: &[HTTP, SQL],
    },
    Layer {
        module: "fsck",
        may_import: &[
            "archive",
            "pep",
            "storage::StorageError",
            "storage::files",
            "storage::meta",
            "storage::mirrored",
            "storage::model",
        ],
        foreign: &[HTTP, SQL],
    },
    // The databases of devpi-server are read here and nowhere else.
    Layer { module: "dump::serverdir", may_import: &["dump::serverdir", "version"], foreign: &[HTTP] },
    Layer {
        module: "dump",
        may_import: &[
            "archive",
            "ascii_json",
            "domain",
            "mirror",
            "pep",
            "report",
            "storage::StorageError",
            "storage::files",
            "storage::meta",
            "storage::mirrored",
            "storage::model",
            "storage::packed",
            "version",
        ],
        foreign: &[HTTP, SQL],
    },
    Layer {
        module: "auth",
        may_import: &[
            "ascii_json",
            "clock",
            "domain",
            "pep",
            "storage::StorageError",
            "storage::model",
            "turns",
        ],
        foreign: &[HTTP, SQL],
    },
    Layer {
        module: "publish",
        may_import: &[
            "domain",
            "outgoing",
            "pep",
            "storage::StorageError",
            "storage::files",
            "storage::model",
            "turns",
            "version",
        ],
        foreign: &[HTTP, SQL],
    },
    Layer {
        module: "http",
        may_import: &[
            "ascii_json",
            "auth",
            "blocking",
            "domain",
            "mirror",
            "pep",
            "publish",
            "storage::StorageError",
            "storage::files",
            "storage::mirrored",
            "storage::model",
            "version",
            "weighted",
        ],
        foreign: &[SQL],
    },
    Layer { module: "turns", may_import: &[], foreign: &[HTTP, SQL] },
    Layer { module: "weighted", may_import: &[], foreign: &[HTTP, SQL, "tokio"] },
    Layer { module: "version", may_import: &[], foreign: &[HTTP, SQL, "tokio"] },
    Layer {
        module: "config",
        // It fills the limits of all parts, and only those of a backend.
        may_import: &[
            "archive",
            "auth",
            "domain",
            "http",
            "mirror",
            "publish",
            "storage::fs::DirectoryLimits",
            "storage::sqlite::SqliteLimits",
        ],
        foreign: &[SQL],
    },
    Layer { module: "cli", may_import: &[""], foreign: &[SQL] },
    Layer { module: "lib", may_import: &[], foreign: &[HTTP, SQL] },
    Layer { module: "main", may_import: &[], foreign: &[HTTP, SQL] },
    Layer { module: "launch", may_import: &[], foreign: &[HTTP, SQL] },
    Layer { module: "bin", may_import: &["bin", "launch"], foreign: &[HTTP, SQL] },
    // Declares the traits and the backends, and names none of them otherwise.
    Layer { module: "storage", may_import: &["storage::error"], foreign: &[HTTP, SQL] },
];

/// What is wrong with the imports of these files.
fn faults(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(file_faults).collect()
}

fn file_faults(source: &Source) -> Vec<String> {
    let module = source.path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    let Some(layer) = LAYERS.iter().find(|layer| is_within(&module, layer.module)) else {
        return vec![format!("{} belongs to no layer", source.path)];
    };
    let mut faults = Vec::new();
    for path in named_paths(&source.path, &source.text) {
        match path {
            NamedPath::Own(path) => {
                let path = path.join("::");
                let allowed = is_within(&path, layer.module)
                    || layer.may_import.iter().any(|prefix| is_within(&path, prefix));
                if !allowed {
                    faults.push(format!("{} must not import {path}", source.path));
                }
            }
            NamedPath::Other(path) => {
                let found =
                    path.first().filter(|name| layer.foreign.iter().any(|crate_| name.starts_with(crate_)));
                if let Some(name) = found {
                    faults.push(format!("{} must not name the crate {name}", source.path));
                }
            }
        }
    }
    faults
}

/// Whether the path is the module or lies in it. Everything lies in the root, which has no name.
fn is_within(path: &str, module: &str) -> bool {
    module.is_empty()
        || path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn every_part_imports_only_what_lies_below_it() {
    let faults = faults(&read_sources("src"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn forbidden_imports_are_found() {
    for (path, text, expected) in [
        (
            "pep/name.rs",
            "use crate::storage::model::Link;",
            "pep/name.rs must not import storage::model::Link",
        ),
        ("pep/name.rs", "use super::super::domain::acl;", "pep/name.rs must not import domain::acl"),
        ("ascii_json.rs", "use crate::pep::name;", "ascii_json.rs must not import pep::name"),
        ("archive/mod.rs", "use crate::domain;", "archive/mod.rs must not import domain"),
        (
            "domain/user.rs",
            "fn f() -> actix_web::HttpResponse {}",
            "domain/user.rs must not name the crate actix_web",
        ),
        ("domain/user.rs", "use crate::http::State;", "domain/user.rs must not import http::State"),
        (
            "domain/mod.rs",
            "use crate::storage::{StorageError, sqlite::SqliteStore};",
            "domain/mod.rs must not import storage::sqlite::SqliteStore",
        ),
        (
            "storage/fs/mod.rs",
            "use super::{files::Lease, sqlite::SqliteStore};",
            "storage/fs/mod.rs must not import storage::sqlite::SqliteStore",
        ),
        (
            "storage/fs/mod.rs",
            "use rusqlite::Connection;",
            "storage/fs/mod.rs must not name the crate rusqlite",
        ),
        (
            "storage/sqlite/read.rs",
            "use crate::domain::Registry;",
            "storage/sqlite/read.rs must not import domain::Registry",
        ),
        ("auth/token.rs", "use crate::http::State;", "auth/token.rs must not import http::State"),
        (
            "http/call.rs",
            "type S = crate::storage::fs::DirectoryStore;",
            "http/call.rs must not import storage::fs::DirectoryStore",
        ),
        (
            "config/limits.rs",
            "use crate::storage::sqlite::{SqliteLimits, SqliteStore};",
            "config/limits.rs must not import storage::sqlite::SqliteStore",
        ),
        // A module as a whole opens a way around.
        ("domain/file.rs", "use crate::storage;", "domain/file.rs must not import storage"),
        ("new_part.rs", "", "new_part.rs belongs to no layer"),
    ] {
        assert_eq!(faults(&[Source::new(path, text)]), [expected]);
    }
}

#[test]
fn allowed_imports_are_passed() {
    let sources = [
        Source::new("pep/simple.rs", "use super::digest::Sha256; use serde::Serialize;"),
        Source::new(
            "storage/sqlite/read.rs",
            "use super::rows; use crate::storage::{StorageError, model::Link};",
        ),
        Source::new("domain/user.rs", "use super::acl::Caller; // not crate::http"),
        Source::new("cli/serve.rs", "use crate::storage::sqlite::SqliteStore; use crate::http::State;"),
    ];
    assert_eq!(faults(&sources), Vec::<String>::new());
}
