//! The handlers, by subject.

pub(super) mod authcheck;
pub(super) mod files;
pub(super) mod indexes;
pub(super) mod login;
pub(super) mod projects;
pub(super) mod push;
pub(super) mod server_api;
pub(super) mod simple;
pub(super) mod status;
pub(super) mod tox_results;
pub(super) mod upload;
pub(super) mod users;
