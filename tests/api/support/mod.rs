//! A server for tests, its callers, and what they send.

mod answer;
mod caller;
mod dist;
mod form;
mod server;
mod upstream;

pub(crate) use answer::{Answer, RawAnswer};
pub(crate) use caller::Caller;
pub(crate) use dist::{Dist, Wheel, sdist};
pub(crate) use form::Form;
pub(crate) use server::{Builder, PASSWORD, TestServer};
pub(crate) use upstream::{Reply, Upstream};
