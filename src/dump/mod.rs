//! Data of devpi-server: its server directories, and the dumps that it and we write.
//!
//! [`serverdir`] reads what devpi-server has on disk. [`takeover`], [`import`] and [`export`] translate between devpi's
//! records and ours; what they have in common is in [`records`] (values), [`intake`] (files) and [`documents`] (what is in
//! wheels). Nothing here changes devpi's data.

pub mod documents;
pub mod export;
pub mod import;
pub mod intake;
pub mod records;
pub mod serverdir;
pub mod takeover;
