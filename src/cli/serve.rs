//! `devpi-server`: the server.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{ArgAction, Args};
use futures_util::FutureExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tracing::{info, warn};

use super::console::{Fatal, say};
use super::init::{Contents, RootPassword, initialise};
use super::serverdir::{self, ServerDir};
use super::{backup, takeover};
use crate::auth::authenticator::{AuthError, Authenticator, Credentials};
use crate::auth::secret::Secret;
use crate::auth::users::UserCache;
use crate::clock::Clock;
use crate::config::{
    CommonOptions, InitOptions, LimitOptions, ListenOptions, MirrorOptions, RoleOptions, SecurityOptions,
    StorageOptions, TakeoverOptions, UnusedOptions,
};
use crate::domain::acl::ROOT;
use crate::domain::stale::StaleObserver;
use crate::http::server::{self, Listener};
use crate::http::{FileCache, NodeInfo, PageCache, RepeatCounters, State};
use crate::publish::Publisher;
use crate::version::{DEVPI_VERSION, VERSION};

/// The variable with the password of the user root, for `--init`.
const PASSWORD_VARIABLE: &str = "DEVPI_PASSWORD";

/// The variables with a file of certificate authorities, the first that is set.
const AUTHORITY_VARIABLES: [&str; 2] = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// How long requests to upstreams may take to notice that the server stops.
const UPSTREAM_SHUTDOWN: Duration = Duration::from_secs(5);

/// The length of a generated password in bytes, before it is made printable.
const GENERATED_PASSWORD_BYTES: usize = 15;

/// The options of a running server.
#[derive(Args, Debug)]
pub(super) struct ServerOptions {
    /// Print the version of devpi-server with which this server is compatible, and its own.
    #[arg(long, action = ArgAction::SetTrue)]
    pub(super) version: bool,

    /// Initialise an empty serverdir before serving. The password of the user root is taken from the variable
    /// `DEVPI_PASSWORD`; if that is not set, one is made up and printed once. With data already there, nothing is
    /// initialised, but a `DEVPI_PASSWORD` that is set must be right.
    #[arg(long, help_heading = "Initialisation")]
    init: bool,

    #[command(flatten)]
    pub(super) common: CommonOptions,
    #[command(flatten)]
    pub(super) listen: ListenOptions,
    #[command(flatten)]
    pub(super) storage: StorageOptions,
    #[command(flatten)]
    pub(super) role: RoleOptions,
    #[command(flatten)]
    pub(super) takeover: TakeoverOptions,
    #[command(flatten)]
    mirrors: MirrorOptions,
    #[command(flatten)]
    pub(super) security: SecurityOptions,
    #[command(flatten)]
    pub(super) limits: LimitOptions,
    #[command(flatten)]
    initialisation: InitOptions,
    #[command(flatten)]
    pub(super) unused: UnusedOptions,
}

/// Serves what is in the directory of the options until it is told to stop.
pub(super) fn run(options: ServerOptions) -> anyhow::Result<()> {
    // Files from upstreams are decrypted, hashed and counted here, not where clients are answered.
    let upstream = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, NonZero::get))
        .thread_name("upstream")
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let served = actix_web::rt::System::new().block_on(serve(options, upstream.handle().clone()));
    upstream.shutdown_timeout(UPSTREAM_SHUTDOWN);
    served
}

async fn serve(mut options: ServerOptions, upstream: Handle) -> anyhow::Result<()> {
    // Before anything slow: the first process of a container loses signals that nobody handles.
    let mut signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let path = serverdir::path(&options.storage)?;
    let settings = options.listen.http_settings().map_err(Fatal::new)?;
    let netrc = std::env::var_os("NETRC").filter(|path| !path.is_empty()).map(PathBuf::from);
    let mirrors = options.mirrors.mirrors(options.limits.mirror(), more_authorities(), netrc);
    let mirrors = mirrors.map_err(Fatal::new)?;
    let publisher = Publisher::new(options.limits.publish(), more_authorities(), upstream.clone());
    let publisher = Arc::new(publisher);
    let given = std::env::var(PASSWORD_VARIABLE).ok().filter(|password| !password.is_empty());
    let given = given.map(SecretString::from);
    // Taken before anything is written: a taken port must not leave a half started server behind.
    let bound = options.listen.bind().map_err(Fatal::new)?;
    let first_start = options.init && !serverdir::is_initialised(&path);
    let mut generated = false;
    if first_start {
        generated = initialise_first(&path, given.clone(), &options).await?;
    }

    if takeover::is_needed(&path) {
        let (storage, intake) = (&options.storage, &options.takeover.intake);
        tokio::select! {
            taken = takeover::run(&path, storage, intake, &options.limits) => taken?,
            () = first_of(&mut signals) => {
                info!("stopped; the takeover goes on at the next start");
                return Ok(());
            }
        }
    }
    let directory = ServerDir::open(&path)?;
    backup::forget(&path)?;
    takeover::check_unchanged(&path, &options.storage)?;
    let secret = read_secret(&options, &directory)?;
    fit_to_system(&mut options.limits);
    let stores = directory.open_stores(&options.limits)?;
    let users = Arc::new(UserCache::new(options.limits.user_cache_items));
    let pages = Arc::new(PageCache::new(options.limits.page_cache_size));
    let files = Arc::new(FileCache::new(options.limits.file_cache()));
    let repeats = Arc::new(RepeatCounters::default());
    let observers: Vec<Arc<dyn StaleObserver>> =
        vec![users.clone(), pages.clone(), files.clone(), repeats.clone()];
    let policy = options.security.policy();
    let registry = stores.registry(policy, &options.limits, mirrors, upstream, observers).await?;
    let registry = Arc::new(registry);
    let removed = registry.sweep().await.context("cannot sweep the file store")?;
    if removed > 0 {
        info!("removed {removed} files of uploads that were never finished");
    }
    let key_cost = options.security.key_cost();
    let authenticator = Authenticator::new(
        Arc::clone(&registry),
        users,
        secret,
        key_cost,
        Clock::system(),
        options.limits.auth(),
    )?;
    let authenticator = Arc::new(authenticator);
    if let (true, false, Some(given)) = (options.init, first_start, given) {
        check_password(&authenticator, given, &path).await?;
    }

    let (listeners, urls): (Vec<Listener>, Vec<String>) = bound.into_iter().unzip();
    let state = State {
        registry: Arc::clone(&registry),
        authenticator: Arc::clone(&authenticator),
        publisher: Arc::clone(&publisher),
        pages,
        files,
        repeats,
        pieces: options.limits.pieces(),
        settings,
        limits: options.limits.http(),
        node: NodeInfo {
            uuid: directory.node.uuid.clone(),
            serverdir: directory.path().to_owned(),
            program: std::env::current_exe().unwrap_or_default(),
            host: options.listen.host.clone(),
            port: options.listen.port,
        },
    };
    let server = server::serve(state, listeners, options.listen.threads)?;
    announce(&directory, &urls);
    if options.init {
        explain(&urls, generated)?;
    }
    run_until_signal(server, &authenticator, &publisher, options.limits.shutdown(), signals).await?;
    registry.close().await.context("cannot close the storage")?;
    info!("stopped");
    Ok(())
}

/// The file with further certificate authorities, from the variables that Python programs know.
fn more_authorities() -> Option<PathBuf> {
    AUTHORITY_VARIABLES.iter().find_map(std::env::var_os).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Initialises the directory. A password that is made up is printed before it counts: nobody could log in if it were
/// lost. Returns whether one was made up.
async fn initialise_first(
    path: &Path,
    given: Option<SecretString>,
    options: &ServerOptions,
) -> anyhow::Result<bool> {
    let contents = Contents::of(&options.initialisation);
    let given = given.map(RootPassword::Text).or_else(|| RootPassword::given(&options.initialisation));
    if let Some(password) = given {
        initialise(path, password, contents, &options.limits).await?;
        return Ok(false);
    }
    let mut bytes = [0; GENERATED_PASSWORD_BYTES];
    getrandom::fill(&mut bytes)?;
    let password = SecretString::from(URL_SAFE_NO_PAD.encode(bytes));
    say(&format!("\nThe password of the user root is\n\n    {}\n", password.expose_secret()))?;
    say("It is not shown again.\n")?;
    initialise(path, RootPassword::Text(password), contents, &options.limits).await?;
    Ok(true)
}

/// The secret of the login tokens. With `--init` one is kept in the directory, so that logins survive a restart.
fn read_secret(options: &ServerOptions, directory: &ServerDir) -> anyhow::Result<Secret> {
    if let Some(path) = options.security.secretfile() {
        info!("Using secret file '{}'.", path.display());
        return Ok(Secret::read(path).map_err(Fatal::new)?);
    }
    let own = directory.secret();
    if options.init && !own.exists() {
        Secret::create(&own).map_err(Fatal::new)?;
    }
    if own.exists() {
        info!("Using secret file '{}'.", own.display());
        return Ok(Secret::read_own(&own).map_err(Fatal::new)?);
    }
    warn!("No secret file provided, creating a new random secret. Login tokens issued before are invalid.");
    Ok(Secret::PerStart)
}

/// A password that is given at each start must stay the right one: whoever changes it there must not believe that
/// root has a new password.
async fn check_password(
    authenticator: &Authenticator,
    given: SecretString,
    path: &Path,
) -> anyhow::Result<()> {
    let credentials = Credentials { user: ROOT.to_owned(), secret: given };
    match authenticator.verify_password(&credentials).await {
        Ok(()) => Ok(()),
        Err(AuthError::Wrong) => Err(Fatal::new(format!(
            "{PASSWORD_VARIABLE} is not the password of the user root in '{}', which was set when the server first \
             started. To change it, start with the old one, run 'devpi user -m root password=NEW', then start with \
             the new one; or use devpi-passwd while the server is stopped.",
            path.display()
        ))
        .into()),
        Err(error) => Err(error.into()),
    }
}

/// Raises the limit of open files as far as the system lets it, and fits the number of connections to it: one more
/// than that, and nothing can be opened any more, no file and no database either.
fn fit_to_system(limits: &mut LimitOptions) {
    let mut limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        limit = raised;
    }
    let available = limit.current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let wanted = limits.connection_limit;
    limits.fit(available);
    if limits.connection_limit < wanted {
        let possible = limits.connection_limit;
        info!("at most {possible} connections at once, as the system allows {available} open files");
    }
}

fn announce(directory: &ServerDir, urls: &[String]) {
    info!("devpi-server version: {DEVPI_VERSION} (Wheelhouse {VERSION})");
    info!("serverdir: {}", directory.path().display());
    info!("uuid: {}", directory.node.uuid);
    info!("Hit Ctrl-C to quit.");
    // Scripts wait for these words.
    for url in urls {
        info!("Serving on {url}");
    }
}

/// Says what to do next.
fn explain(urls: &[String], generated: bool) -> std::io::Result<()> {
    let Some(url) = urls.iter().find(|url| url.starts_with("http")) else { return Ok(()) };
    // Nobody connects to "all addresses".
    let url = url.replace("//0.0.0.0:", "//localhost:").replace("//[::]:", "//localhost:");
    let password = if generated { "PASSWORD" } else { "$DEVPI_PASSWORD" };
    let host = url.trim_start_matches("http://");
    say(&format!(
        "
Next, in another terminal:

    pip install devpi-client twine
    devpi use {url}
    devpi login root --password={password}
    devpi index -c root/dev
    devpi use root/dev

Upload, in the directory of a project:

    devpi upload
    twine upload --repository-url {url}/root/dev/ -u root -p {password} dist/*
    uv publish --publish-url {url}/root/dev/ -u root -p {password} dist/*

Install:

    pip install --extra-index-url {url}/root/dev/+simple/ NAME
    uv pip install --extra-index-url {url}/root/dev/+simple/ NAME

or once for all, in pip.conf:

    [global]
    extra-index-url = {url}/root/dev/+simple/
    trusted-host = {bare_host}
",
        bare_host = host.rsplit_once(':').map_or(host, |(host, _)| host),
    ))
}

async fn first_of((interrupted, terminated): &mut (Signal, Signal)) {
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
}

/// Serves until SIGINT or SIGTERM, and until the requests and pushes under way are finished, have taken `patience`, or a
/// second signal comes. Meanwhile the token key is derived, behind the first requests.
async fn run_until_signal(
    server: actix_server::Server,
    authenticator: &Authenticator,
    publisher: &Publisher,
    patience: Duration,
    mut signals: (Signal, Signal),
) -> anyhow::Result<()> {
    let handle = server.handle();
    let mut serving = tokio::task::spawn_local(server);
    let mut prepared = false;
    loop {
        tokio::select! {
            result = &mut serving => return Ok(result.context("the server panicked")??),
            result = authenticator.prepare(), if !prepared => {
                result.context("logins are not possible")?;
                prepared = true;
            }
            () = first_of(&mut signals) => break,
        }
    }
    info!("stopping; a second signal does not wait for requests under way");
    let patience = async move {
        // An error says that the time is over.
        let _in_time = timeout(patience, first_of(&mut signals)).await;
    };
    let patience = patience.boxed_local().shared();
    // The server takes its orders one after the other, so that a second one to stop would wait for the first. What still goes
    // on when patience ends is cut off by the end of the process.
    let _stopped = handle.stop(true);
    let served = tokio::select! {
        served = serving => served.context("the server panicked")?,
        () = patience.clone() => Ok(()),
    };
    publisher.close(patience).await;
    Ok(served?)
}
