//! What all requests share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::cache::{FileCache, PageCache};
use super::forwarded::TrustedProxies;
use super::pieces::PieceMemory;
use super::repeat::RepeatCounters;
use super::urls::BaseUrl;
use crate::auth::authenticator::Authenticator;
use crate::domain::Registry;
use crate::publish::Publisher;

/// What all requests share.
pub struct State {
    /// The rules and the data.
    pub registry: Arc<Registry>,
    /// Who callers are.
    pub authenticator: Arc<Authenticator>,
    /// Sends releases to other servers.
    pub publisher: Arc<Publisher>,
    /// Rendered pages.
    pub pages: Arc<PageCache>,
    /// Links by path, and core metadata.
    pub files: Arc<FileCache>,
    /// What has changed, and how many answers were given again.
    pub repeats: Arc<RepeatCounters>,
    /// Memory for files on their way to clients.
    pub pieces: PieceMemory,
    /// How URLs are built.
    pub settings: HttpSettings,
    /// Bounds.
    pub limits: HttpLimits,
    /// What the server says about itself.
    pub node: NodeInfo,
}

impl State {
    /// Counters for `+status`: name, kind and value, under devpi's names where it has the like.
    pub(super) fn metrics(&self) -> Value {
        let (pages, page_bytes) = self.pages.usage();
        json!([
            ["devpi_server_storage_cache_size", "gauge", page_bytes],
            ["devpi_server_storage_cache_items", "gauge", pages],
            ["devpi_server_relpath_cache_items", "gauge", self.files.usage()],
            ["wheelhouse_repeated_answers", "counter", self.repeats.repeated()],
        ])
    }
}

/// How URLs are built.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// The base of all URLs, as clients see it from outside.
    pub outside_url: Option<String>,
    /// Whether links in simple pages are absolute.
    pub absolute_urls: bool,
    /// The reverse proxies whose word on scheme and host counts.
    pub trusted_proxies: Option<TrustedProxies>,
    /// Where nginx finds the contents of files, which it sends itself then: the beginning of an internal location.
    pub x_accel_redirect: Option<String>,
}

impl HttpSettings {
    /// Whether the base URL is the one that was configured.
    pub(super) fn is_outside_url(&self, base: &BaseUrl) -> bool {
        self.outside_url.as_deref() == Some(base.as_str())
    }
}

/// Bounds of what a request may ask for.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// The largest request body, in bytes.
    pub request_body: u64,
    /// The largest JSON body, in bytes.
    pub json_body: usize,
    /// The largest result of a test run, in bytes.
    pub tox_result: u64,
    /// The most fields in a form.
    pub form_fields: usize,
    /// The longest field in a form, in bytes.
    pub form_field: usize,
    /// The most bytes of all fields in a form, files aside.
    pub form_total: usize,
    /// How much of a body beyond its limit is read and thrown away, so that the client sees the refusal.
    pub drained: u64,
    /// How long a client that sends a body may stop in between.
    pub body_idle: Duration,
    /// How many connections may be open at once.
    pub connections: usize,
    /// How long a client may take to send the head of a request.
    pub request_head: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long requests under way may take to finish when the server stops.
    pub shutdown: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            request_body: 1024 * 1024 * 1024,
            json_body: 256 * 1024,
            tox_result: 64 * 1024 * 1024,
            form_fields: 20_000,
            form_field: 8 * 1024 * 1024,
            form_total: 16 * 1024 * 1024,
            drained: 64 * 1024 * 1024,
            body_idle: Duration::from_mins(1),
            connections: 25_000,
            request_head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            shutdown: Duration::from_secs(30),
        }
    }
}

/// What the server says about itself.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    /// 32 hexadecimal digits that tell this node from others.
    pub uuid: String,
    /// Where the data is.
    pub serverdir: PathBuf,
    /// Where the program is.
    pub program: PathBuf,
    /// The host as configured.
    pub host: String,
    /// The port as configured.
    pub port: u16,
}
