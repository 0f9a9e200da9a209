//! The rules: users, indexes and their inheritance, projects, uploads, permissions.
//!
//! Nothing in here knows HTTP or SQL. A rule reads a snapshot, decides, and commits a change set that repeats what
//! the decision rests on as expectations; if one of them no longer holds, it reads and decides again. Errors say
//! what is wrong in devpi's words; which status that is on the wire is decided in `http`.

pub mod acl;
pub mod clock;
pub mod file;
pub mod index;
pub mod index_config;
pub mod inherit;
pub mod project;
mod python;
mod registry;
pub mod stale;
pub mod upload;
pub mod user;

pub use python::quote;
pub use registry::{Registry, RegistryLimits};
