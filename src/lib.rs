//! Wheelhouse: a private Python package server that takes the place of devpi-server.

/// Safe reading of archives.
pub mod archive;
/// JSON in the layout of Python's `json` module.
pub mod ascii_json;
/// Passwords, login tokens, credentials.
pub mod auth;
/// The programs: `devpi-server`, `devpi-init`, `devpi-passwd`, `devpi-gen-secret`.
pub mod cli;
/// Options and where their values come from.
pub mod config;
/// The rules, without HTTP and without SQL.
pub mod domain;
/// Everything that knows HTTP.
pub mod http;
/// Values that the packaging specifications define.
pub mod pep;
/// Traits of the stores, and their backends.
pub mod storage;
/// Logs.
pub mod telemetry;
