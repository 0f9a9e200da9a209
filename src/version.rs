//! What this program is, and what it stands in for.

/// The release of devpi-server with which this server is compatible; scripts compare it.
pub const DEVPI_VERSION: &str = "6.20.3";

/// The version of this server.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
