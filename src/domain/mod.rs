//! The rules: users, indexes and their inheritance, projects, uploads, permissions.
//!
//! Nothing in here knows HTTP or SQL. A rule reads a snapshot, decides, and commits a change set that repeats what
//! the decision rests on as expectations; if one of them no longer holds, it reads and decides again. Errors say
//! what is wrong in devpi's words; which status that is on the wire is decided in `http`.

pub mod acl;
pub mod config_value;
pub mod deletion;
pub mod docs;
pub mod file;
pub mod history;
pub mod index;
pub mod index_config;
pub mod index_patch;
pub mod inherit;
mod kept_indexes;
mod link;
mod mirror_config;
mod mirror_deletion;
pub mod mirror_view;
mod page_order;
pub mod project;
pub mod project_files;
pub mod push;
mod python;
mod registry;
pub mod release;
mod stage_files;
pub mod stale;
pub mod tox_result;
pub mod upload;
pub mod upload_form;
pub mod upstream;
pub mod upstream_file;
pub mod user;

pub use python::{is_truthy, quote};
pub use registry::{Registry, RegistryLimits};
