//! Mirrors: indexes that show what another server, the upstream, has.
//!
//! What the upstream said is kept, and asked for again when it has expired: one request for each project at a time,
//! however many clients wait. They wait a bounded time; what was once seen stays servable, whatever becomes of the
//! upstream. Files are fetched when the first client asks, once, and everybody who asks meanwhile reads along; the last
//! bytes go out when the hash is known to be right and the file is kept.
//!
//! Requests to upstreams run on a runtime of their own and go on if their clients go. Not here: which mirrors show a
//! project on which index, which is the domain's.

mod breaker;
mod check;
mod documents;
mod download;
mod error;
mod fetch;
mod flights;
mod headers;
mod links;
mod logins;
mod names;
mod pages;
mod permits;
mod remote_zip;
mod settings;
mod states;
mod transfer;
mod upstream;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::breaker::{BreakerLimits, Breakers};
use self::flights::Flights;
use self::names::Lists;
use self::permits::{BODY_BUDGET, PermitLimits, Permits};
use self::states::States;
use self::upstream::{UpstreamClient, UpstreamLimits};
use crate::archive::Limits as ArchiveLimits;
use crate::clock::Clock;
use crate::storage::files::FileStore;
use crate::storage::meta::MetaStore;
use crate::storage::model::{IndexName, StoredPath};

pub use documents::Document;
pub use error::{FetchError, MirrorError, UpstreamError};
pub use links::{candidates, main_hash, odd_paths};
pub use logins::{LoginLineError, Logins};
pub use names::ListedNames;
pub use settings::{Login, Mirror, MirrorSettings};
pub use states::{Checked, Currency, Refreshed, Staleness};
pub use transfer::{Transfer, TransferError};

/// How upstreams are treated.
#[derive(Clone, Debug)]
pub struct MirrorOptions {
    /// How long what an upstream said counts, where a mirror does not say otherwise.
    pub cache_expiry: Duration,
    /// How long a client waits for an upstream.
    pub request_timeout: Duration,
    /// How long a client waits for the list of projects.
    pub list_timeout: Duration,
    /// Whether upstreams are asked at all.
    pub offline: bool,
    /// Logins that the administrator gave.
    pub logins: Logins,
    /// A file with further certificate authorities.
    pub more_authorities: Option<PathBuf>,
    /// Bounds.
    pub limits: MirrorLimits,
}

impl Default for MirrorOptions {
    fn default() -> Self {
        Self {
            cache_expiry: Duration::from_mins(30),
            request_timeout: Duration::from_secs(5),
            list_timeout: Duration::from_secs(30),
            offline: false,
            logins: Logins::default(),
            more_authorities: None,
            limits: MirrorLimits::default(),
        }
    }
}

/// Bounds of [`Mirrors`].
#[derive(Clone, Copy, Debug)]
pub struct MirrorLimits {
    /// How many pages and small documents are asked for at once at one upstream; further ones wait.
    pub parallel_pages: usize,
    /// How many files are fetched at once from one upstream; further ones wait.
    pub parallel_files: usize,
    /// How many projects of one mirror may be asked for, or wait for that, at once.
    pub pending_pages: usize,
    /// The largest page of a project, in bytes when unpacked.
    pub page_size: usize,
    /// The largest list of projects, in bytes when unpacked.
    pub list_size: usize,
    /// How long a page may take when nobody waits any more.
    pub page_time: Duration,
    /// How long a failed check is not repeated.
    pub retry_pause: Duration,
    /// After how many failures in a row an upstream is left alone for a while; 0 for never.
    pub breaker_failures: u32,
    /// How many projects are remembered as checked or missing.
    pub remembered_projects: usize,
    /// Memory for pages of upstreams, in bytes.
    pub page_memory: u64,
    /// Memory for lists of projects, in bytes; one takes at most a quarter of it.
    pub list_memory: u64,
    /// The largest file, in bytes.
    pub file_size: u64,
    /// How often a file that was cut off is taken up again.
    pub resumes: usize,
    /// How many bytes of a file are held back until its hash is known.
    pub held_back: u64,
    /// The largest core metadata or provenance document, in bytes.
    pub document_size: usize,
    /// What archives may have inside.
    pub archive: ArchiveLimits,
}

impl Default for MirrorLimits {
    fn default() -> Self {
        Self {
            parallel_pages: 64,
            parallel_files: 64,
            pending_pages: 1000,
            page_size: 32 * 1024 * 1024,
            list_size: 256 * 1024 * 1024,
            page_time: Duration::from_mins(1),
            retry_pause: Duration::from_secs(1),
            breaker_failures: 5,
            remembered_projects: 100_000,
            page_memory: 32 * 1024 * 1024,
            list_memory: 256 * 1024 * 1024,
            file_size: 16 * 1024 * 1024 * 1024,
            resumes: 5,
            held_back: 64 * 1024,
            document_size: 16 * 1024 * 1024,
            archive: ArchiveLimits::default(),
        }
    }
}

/// All that has to do with upstreams.
pub struct Mirrors {
    meta: Arc<dyn MetaStore>,
    files: Arc<dyn FileStore>,
    clock: Clock,
    client: UpstreamClient,
    options: MirrorOptions,
    states: States,
    page_flights: Flights<states::Key, Checked>,
    lists: Lists,
    list_flights: Flights<IndexName, Arc<names::List>>,
    transfers: DashMap<StoredPath, Arc<Transfer>>,
    /// When provenance objects were last asked for.
    provenances: Cache<StoredPath, Timestamp>,
    /// When files were last found to have no core metadata.
    without_core_metadata: Cache<StoredPath, Timestamp>,
    document_flights: Flights<StoredPath, documents::Outcome>,
    permits: Permits,
    /// Where requests run.
    runtime: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Mirrors {
    /// Mirrors that keep what they see in these stores and send their requests from `runtime`.
    pub fn new(
        meta: Arc<dyn MetaStore>,
        files: Arc<dyn FileStore>,
        clock: Clock,
        options: MirrorOptions,
        runtime: Handle,
    ) -> Self {
        let limits = options.limits;
        let breakers = Breakers::new(BreakerLimits {
            failures: limits.breaker_failures,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(10),
        });
        let upstream = UpstreamLimits {
            idle: options.request_timeout,
            page_time: limits.page_time,
            page_size: limits.page_size,
            list_size: limits.list_size,
        };
        let permits = PermitLimits {
            pages: limits.parallel_pages,
            files: limits.parallel_files,
            pending: limits.pending_pages,
            // A list of projects must fit.
            bodies: limits.list_size.max(BODY_BUDGET / 4),
            patience: limits.page_time,
        };
        let (logins, authorities) = (options.logins.clone(), options.more_authorities.clone());
        Self {
            meta,
            files,
            clock,
            client: UpstreamClient::new(upstream, breakers, logins, authorities),
            states: States::new(limits.remembered_projects, limits.page_memory),
            page_flights: Flights::default(),
            lists: Lists::new(limits.list_memory),
            list_flights: Flights::default(),
            transfers: DashMap::new(),
            provenances: Cache::new(limits.remembered_projects),
            without_core_metadata: Cache::new(limits.remembered_projects),
            document_flights: Flights::default(),
            permits: Permits::new(permits),
            options,
            runtime,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Whether upstreams are not asked at all.
    pub fn is_offline(&self) -> bool {
        self.options.offline
    }

    /// Gives up what is under way: upstreams are not waited for when the server stops.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Starts work that goes on without whoever asked for it, until the server stops.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let work = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        };
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// How long what the upstream of a mirror said counts.
    fn expiry(&self, mirror: &Mirror) -> Duration {
        mirror.settings.cache_expiry.unwrap_or(self.options.cache_expiry)
    }
}
