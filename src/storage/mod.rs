//! Where users, indexes, releases and files are kept.
//!
//! [`meta`] and [`files`] are the promises; each folder is one way to keep them. A backend knows these traits, the
//! records of [`model`] and `pep`, and no rule of the domain.

mod error;
pub mod files;
pub mod fs;
pub mod meta;
pub mod mirrored;
pub mod model;
pub mod packed;
pub mod sqlite;

pub use error::StorageError;
