//! A whole server in this process.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use argon2::password_hash::PasswordHasher;
use argon2::{Argon2, Params};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;
use wheelhouse::auth::authenticator::{AuthLimits, Authenticator};
use wheelhouse::auth::secret::{KeyCost, Secret};
use wheelhouse::auth::users::UserCache;
use wheelhouse::clock::Clock;
use wheelhouse::domain::acl::{AccessPolicy, Caller as Identity};
use wheelhouse::domain::user::NewPassword;
use wheelhouse::domain::{Registry, RegistryLimits};
use wheelhouse::http::server::{Listener, serve};
use wheelhouse::http::{
    FileCache, FileCacheLimits, HttpLimits, HttpSettings, NodeInfo, PageCache, PieceMemory, RepeatCounters,
    State,
};
use wheelhouse::mirror::{MirrorOptions, Mirrors};
use wheelhouse::publish::{PublishLimits, Publisher};
use wheelhouse::storage::files::FileStore;
use wheelhouse::storage::fs::{DirectoryLimits, DirectoryStore};
use wheelhouse::storage::meta::MetaStore;
use wheelhouse::storage::model::IndexName;
use wheelhouse::storage::sqlite::{SqliteLimits, SqliteStore};

use super::Caller;

/// The password of all users that are made by [`TestServer`].
pub(crate) const PASSWORD: &str = "secret";

/// What a server starts with.
#[derive(Default)]
pub(crate) struct Builder {
    users: Vec<String>,
    indexes: Vec<(String, Value)>,
    policy: AccessPolicy,
    settings: HttpSettings,
    limits: HttpLimits,
    publish_limits: PublishLimits,
    registry_limits: RegistryLimits,
    mirrors: MirrorOptions,
}

/// A running server.
pub(crate) struct TestServer {
    directory: TempDir,
    address: SocketAddr,
    anonymous: Caller,
}

impl TestServer {
    /// A server with only the user root.
    #[expect(clippy::new_ret_no_self, reason = "a server comes into being when it is started")]
    pub(crate) fn new() -> Builder {
        Builder { users: vec!["root".to_owned()], ..Builder::default() }
    }

    /// A server with the users alice and bob, and the volatile index `alice/dev`.
    pub(crate) fn with_dev() -> Builder {
        Self::new().with_user("alice").with_user("bob").with_index("alice/dev", json!({}))
    }

    /// Somebody without credentials.
    pub(crate) fn anonymous(&self) -> Caller {
        self.anonymous.clone()
    }

    /// A user that the server started with.
    pub(crate) fn user(&self, name: &str) -> Caller {
        self.anonymous.with_credentials(name, PASSWORD)
    }

    pub(crate) fn root(&self) -> Caller {
        self.user("root")
    }

    pub(crate) fn alice(&self) -> Caller {
        self.user("alice")
    }

    pub(crate) fn bob(&self) -> Caller {
        self.user("bob")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The serial of the newest commit.
    pub(crate) async fn serial(&self) -> i64 {
        self.anonymous.get_json("+api").await.serial()
    }

    /// How many simple pages are in memory.
    pub(crate) async fn cached_pages(&self) -> u64 {
        self.metric("devpi_server_storage_cache_items").await
    }

    /// How many answers were given again.
    pub(crate) async fn repeated(&self) -> u64 {
        self.metric("wheelhouse_repeated_answers").await
    }

    async fn metric(&self, name: &str) -> u64 {
        let status = self.anonymous.get_json("+status").await.result();
        let metrics = status["metrics"].as_array().unwrap().clone();
        metrics.iter().find(|metric| metric[0] == name).unwrap()[2].as_u64().unwrap()
    }

    /// The names of the contents in the file store.
    pub(crate) fn contents(&self) -> BTreeSet<String> {
        file_names(&self.directory.path().join("files"))
    }

    /// Waits until nothing arrives any more, and nothing waits to be confirmed. A refused upload is cleaned up a
    /// little after its answer.
    pub(crate) async fn settled(&self) {
        let start = Instant::now();
        for folder in ["incoming", "unconfirmed"] {
            while !file_names(&self.directory.path().join(folder)).is_empty() {
                assert!(start.elapsed() < Duration::from_secs(10), "something is left in {folder}");
                tokio::task::yield_now().await;
            }
        }
    }
}

fn file_names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let names = entries.map(|entry| {
        if entry.path().is_dir() {
            file_names(&entry.path())
        } else {
            BTreeSet::from([entry.file_name().into_string().unwrap()])
        }
    });
    names.flatten().collect()
}

impl Builder {
    pub(crate) fn with_user(mut self, name: &str) -> Self {
        self.users.push(name.to_owned());
        self
    }

    pub(crate) fn with_index(mut self, name: &str, settings: Value) -> Self {
        self.indexes.push((name.to_owned(), settings));
        self
    }

    pub(crate) fn with_limits(mut self, limits: HttpLimits) -> Self {
        self.limits = limits;
        self
    }

    pub(crate) fn with_registry_limits(mut self, limits: RegistryLimits) -> Self {
        self.registry_limits = limits;
        self
    }

    pub(crate) fn with_publish_limits(mut self, limits: PublishLimits) -> Self {
        self.publish_limits = limits;
        self
    }

    pub(crate) fn with_mirrors(mut self, mirrors: MirrorOptions) -> Self {
        self.mirrors = mirrors;
        self
    }

    pub(crate) fn with_settings(mut self, settings: HttpSettings) -> Self {
        self.settings = settings;
        self
    }

    pub(crate) fn with_policy(mut self, policy: AccessPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Starts the server on a free port.
    pub(crate) async fn start(self) -> TestServer {
        let directory = tempfile::tempdir().unwrap();
        let users = Arc::new(UserCache::new(100));
        let pages = Arc::new(PageCache::new(64 * 1024 * 1024));
        let files = Arc::new(FileCache::new(FileCacheLimits {
            files: 1000,
            core_metadata: 1_000_000,
            contents: 1_000_000,
            largest_content: 10_000,
        }));
        let repeats = Arc::new(RepeatCounters::default());
        let meta: Arc<dyn MetaStore> =
            Arc::new(SqliteStore::open(&directory.path().join("db"), SqliteLimits::default()).unwrap());
        let contents: Arc<dyn FileStore> =
            Arc::new(DirectoryStore::open(directory.path(), DirectoryLimits::default()).unwrap());
        let mirrors = Mirrors::new(
            Arc::clone(&meta),
            Arc::clone(&contents),
            Clock::system(),
            self.mirrors.clone(),
            Handle::current(),
        );
        let registry = Registry::open(
            meta,
            contents,
            Arc::new(mirrors),
            self.policy.clone(),
            Clock::system(),
            self.registry_limits,
            vec![
                Arc::clone(&users) as _,
                Arc::clone(&pages) as _,
                Arc::clone(&files) as _,
                Arc::clone(&repeats) as _,
            ],
        );
        let registry = Arc::new(registry.await.unwrap());
        let authenticator = Authenticator::new(
            Arc::clone(&registry),
            users,
            Secret::PerStart,
            KeyCost { memory: 8, time: 1, parallelism: 1 },
            Clock::system(),
            AuthLimits::default(),
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let node = NodeInfo {
            uuid: "0123456789abcdef0123456789abcdef".to_owned(),
            serverdir: PathBuf::from("/serverdir"),
            program: PathBuf::from("/program"),
            host: "localhost".to_owned(),
            port: address.port(),
        };
        self.fill(&registry).await;
        let state = State {
            registry,
            authenticator: Arc::new(authenticator.unwrap()),
            publisher: Arc::new(Publisher::new(self.publish_limits, None, Handle::current())),
            pages,
            files,
            repeats,
            pieces: PieceMemory::new(256 * 1024, 8 * 1024 * 1024),
            settings: self.settings,
            limits: self.limits,
            node,
        };
        actix_web::rt::spawn(serve(state, vec![Listener::Tcp(listener)], 50).unwrap());
        TestServer { directory, address, anonymous: Caller::anonymous(address) }
    }

    async fn fill(&self, registry: &Registry) {
        let hash = cheap_hash();
        let root = Identity::user("root", vec![]);
        // Whoever may change users when only some may.
        let mut creators = self.policy.restrict_modify.iter().flatten();
        let creator = creators.next().map_or(root, |name| Identity::user(name.as_str(), vec![]));
        for user in &self.users {
            let password = NewPassword::Hash(hash.clone());
            registry.create_user(&creator, user, password, &Map::new()).await.unwrap();
        }
        for (name, settings) in &self.indexes {
            let index = IndexName::parse(name).unwrap();
            registry.create_index(&creator, &index, settings.as_object().unwrap()).await.unwrap();
        }
    }
}

/// A hash of [`PASSWORD`] that takes no time to verify.
fn cheap_hash() -> String {
    let params = Params::new(8, 1, 1, None).unwrap();
    Argon2::from(params).hash_password(PASSWORD.as_bytes()).unwrap().to_string()
}
