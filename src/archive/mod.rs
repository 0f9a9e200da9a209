//! Safe reading of archives that others made.
//!
//! Functions here block and belong on a blocking thread. What an archive says of itself is
//! checked or bounded: how much is read, how many members there are and how far a member
//! inflates all have a limit. Nothing is written to disk.

mod directory;
mod limits;
mod meter;
mod wheel;

pub use limits::{ArchiveError, Limits};
pub use wheel::{ZipSummary, check_zip, wheel_metadata};
