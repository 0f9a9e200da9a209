//! Reading requests into valid values.

pub(super) mod bare_lines;
pub(super) mod body;
pub(super) mod content;
pub(super) mod credentials;
pub(super) mod form;
pub(super) mod memory;
