//! Options of devpi-server that have no meaning here. They are accepted, so that existing command lines keep working, and
//! the log says what stands in their place.

use clap::Args;
use tracing::warn;

/// Options of all of devpi's programs that work on stored data.
#[derive(Args, Clone, Debug)]
pub struct UnusedStorageOptions {
    #[arg(long, value_name = "N", hide = true)]
    keyfs_cache_size: Option<u64>,
}

impl UnusedStorageOptions {
    /// Logs what stands in the place of those that were given.
    pub fn explain(&self) {
        if self.keyfs_cache_size.is_some() {
            warn!("--keyfs-cache-size has no effect: see --page-cache-size and --file-cache-items");
        }
    }
}

/// Options of devpi-server.
#[derive(Args, Clone, Debug)]
pub struct UnusedOptions {
    #[command(flatten)]
    storage: UnusedStorageOptions,
    #[arg(long, value_name = "USER", hide = true)]
    passwd: Option<String>,
    #[arg(long, value_name = "N", hide = true)]
    profile_requests: Option<u64>,
    #[arg(long, hide = true)]
    enable_core_metadata: bool,
    #[arg(long, hide = true)]
    requests_only: bool,
    #[arg(long, hide = true)]
    autocreate_users: bool,
    #[command(flatten)]
    replication: UnusedReplicationOptions,
    #[command(flatten)]
    web: UnusedWebOptions,
}

/// Options of replicas.
#[derive(Args, Clone, Debug)]
struct UnusedReplicationOptions {
    #[arg(long, value_name = "SECONDS", hide = true)]
    proxy_timeout: Option<u64>,
    #[arg(long, value_name = "PATH", hide = true)]
    replica_file_search_path: Option<String>,
    #[arg(long, hide = true)]
    hard_links: bool,
    #[arg(long, value_name = "N", hide = true)]
    file_replication_threads: Option<u64>,
    #[arg(long, value_name = "INDEXES", hide = true, value_parser = parse_skipped)]
    file_replication_skip_indexes: Option<String>,
    #[arg(long, hide = true)]
    no_replica_streaming: bool,
}

/// Options of devpi-web.
#[derive(Args, Clone, Debug)]
struct UnusedWebOptions {
    #[arg(long, value_name = "DIR", hide = true)]
    theme: Option<String>,
    #[arg(long, hide = true)]
    debug_macros: bool,
    #[arg(long, value_name = "DIR", hide = true)]
    documentation_path: Option<String>,
    #[arg(long, hide = true)]
    keep_docs_packed: bool,
    #[arg(long, value_name = "NAME", hide = true)]
    indexer_backend: Option<String>,
}

impl UnusedOptions {
    /// Logs what stands in the place of those that were given and would do something in devpi-server.
    pub fn explain(&self) {
        self.storage.explain();
        let Self { replication, web, .. } = self;
        let no_replicas = "this server has no replicas yet";
        let no_pages = "this server has no web pages yet";
        let given = [
            (self.passwd.is_some(), "--passwd", "use devpi-passwd"),
            (
                self.profile_requests.is_some_and(|count| count > 0),
                "--profile-requests",
                "use a profiler of the system, such as perf",
            ),
            (self.enable_core_metadata, "--enable-core-metadata", "core metadata are always served"),
            (
                self.requests_only,
                "--requests-only",
                "one process does all the work, and no second one can use its directory",
            ),
            (self.autocreate_users, "--autocreate-users", "there are no plugins that could know users"),
            (replication.proxy_timeout.is_some(), "--proxy-timeout", no_replicas),
            (replication.replica_file_search_path.is_some(), "--replica-file-search-path", no_replicas),
            (
                replication.hard_links,
                "--hard-links",
                "files are linked wherever they can be; devpi-import and devpi-export have the option",
            ),
            (replication.file_replication_threads.is_some(), "--file-replication-threads", no_replicas),
            (
                replication.file_replication_skip_indexes.is_some(),
                "--file-replication-skip-indexes",
                no_replicas,
            ),
            (replication.no_replica_streaming, "--no-replica-streaming", no_replicas),
            (web.theme.is_some(), "--theme", no_pages),
            (web.debug_macros, "--debug-macros", no_pages),
            (web.documentation_path.is_some(), "--documentation-path", no_pages),
            (web.keep_docs_packed, "--keep-docs-packed", no_pages),
            (web.indexer_backend.is_some(), "--indexer-backend", no_pages),
        ];
        for (_, option, instead) in given.into_iter().filter(|(is_given, ..)| *is_given) {
            warn!("{option} has no effect: {instead}");
        }
    }
}

/// The text is devpi's.
fn parse_skipped(text: &str) -> Result<String, String> {
    let mut names = text.split(',').map(str::trim);
    if names.clone().any(|name| name == "all") && names.any(|name| name != "all") {
        return Err("--file-replication-skip-indexes must be 'all', or a comma separated list of index names or types, \
                    not a mix of both."
            .to_owned());
    }
    Ok(text.to_owned())
}
