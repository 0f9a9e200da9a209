//! Everything that knows HTTP: routes, negotiation, rendering, and the odd facts of devpi's wire protocol.
//!
//! Handlers are thin: permission and rules are the domain's, what is left is to read a request into valid values and
//! to render an answer.

mod api;
mod cache;
mod call;
mod connection;
mod counts;
mod direct;
mod domain_errors;
mod envelope;
mod error;
mod exchange;
mod extract;
mod forwarded;
#[cfg(fuzzing)]
pub mod fuzzing;
mod list_stream;
mod negotiate;
mod page;
mod pieces;
mod ranges;
mod reason;
mod repeat;
mod routes;
pub mod server;
mod state;
mod unshared;
mod urls;

pub use cache::{FileCache, FileCacheLimits, PageCache};
pub use forwarded::{TrustedProxies, TrustedProxyError};
pub use pieces::PieceMemory;
pub use repeat::RepeatCounters;
pub use state::{HttpLimits, HttpSettings, NodeInfo, State};
