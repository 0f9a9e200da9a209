//! Pure values that the packaging specifications define, without any input or output.
//!
//! Nothing in here knows of this server: no user, index, store or HTTP. A value that exists is valid; names are
//! normalised once, when they are made.

pub mod digest;
pub mod filename;
pub mod metadata;
pub mod name;
pub mod simple;
pub mod simple_html;
pub mod simple_list;
pub mod simple_read;
pub mod version;
