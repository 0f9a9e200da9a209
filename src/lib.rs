//! Wheelhouse: a private Python package server that takes the place of devpi-server.
//!
//! - [`archive`] - safe reading of archives.
//! - [`ascii_json`] - JSON in the layout of Python's `json` module.
//! - [`auth`] - passwords, login tokens, credentials.
//! - [`backup`] - copying what is stored, while it is used.
//! - [`blocking`] - threads for work that may block.
//! - [`cli`] - the programs, and the only place that names concrete stores.
//! - [`clock`] - the time.
//! - [`config`] - options and where their values come from.
//! - [`domain`] - the rules, without HTTP and without SQL.
//! - [`dump`] - data of devpi-server: its directories and dumps.
//! - [`fsck`] - checking and repairing what is stored.
//! - [`http`] - everything that knows HTTP.
//! - [`mirror`] - indexes that show what another server has.
//! - [`outgoing`] - what requests to other servers have in common.
//! - [`pep`] - values that the packaging specifications define.
//! - [`publish`] - sending releases to other index servers.
//! - [`report`] - how far long work has come, and what is found on the way.
//! - [`storage`] - traits of the stores, and their backends.
//! - [`telemetry`] - logs.
//! - [`version`] - what this program is, and what it stands in for.

pub mod archive;
pub mod ascii_json;
pub mod auth;
pub mod backup;
pub mod blocking;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod dump;
pub mod fsck;
pub mod http;
pub mod mirror;
pub mod outgoing;
pub mod pep;
pub mod publish;
pub mod report;
pub mod storage;
pub mod telemetry;
pub mod turns;
pub mod version;
pub mod weighted;
