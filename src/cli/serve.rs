//! `devpi-server`: the server.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{ArgAction, Args};
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::init::{RootPassword, initialise};
use super::program::{Fatal, say};
use super::serverdir::{self, ServerDir};
use crate::auth::authenticator::{AuthError, Authenticator, Credentials};
use crate::auth::secret::Secret;
use crate::auth::users::UserCache;
use crate::config::{
    CommonOptions, InitOptions, LimitOptions, ListenOptions, Role, SecurityOptions, StorageOptions,
    UnusedOptions,
};
use crate::domain::Registry;
use crate::domain::acl::ROOT;
use crate::domain::clock::Clock;
use crate::http::server::{self, DEVPI_VERSION, Listener, VERSION};
use crate::http::{FileCache, HttpSettings, NodeInfo, PageCache, State};
use crate::telemetry;

pub(super) const ABOUT: &str = "Serve private Python packages; a drop-in replacement of devpi-server.";

/// The variable with the password of the user root, for `--init`.
const PASSWORD_VARIABLE: &str = "DEVPI_PASSWORD";

/// The length of a generated password in bytes, before it is made printable.
const GENERATED_PASSWORD_BYTES: usize = 15;

/// The options of `devpi-server`.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Print the version of devpi-server with which this server is compatible, and its own.
    #[arg(long, action = ArgAction::SetTrue)]
    version: bool,

    /// Initialise an empty serverdir before serving. The password of the user root is taken from the variable
    /// `DEVPI_PASSWORD`; if that is not set, one is made up and printed once. With data already there, nothing is
    /// initialised, but a `DEVPI_PASSWORD` that is set must be right.
    #[arg(long, help_heading = "Initialisation")]
    init: bool,

    #[command(flatten)]
    common: CommonOptions,
    #[command(flatten)]
    listen: ListenOptions,
    #[command(flatten)]
    storage: StorageOptions,
    #[command(flatten)]
    security: SecurityOptions,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    initialisation: InitOptions,
    #[command(flatten)]
    unused: UnusedOptions,
}

pub(super) fn run(options: Options, warnings: Vec<String>) -> anyhow::Result<()> {
    if options.version {
        return Ok(say(&format!("{DEVPI_VERSION} (Wheelhouse {VERSION})"))?);
    }
    telemetry::start(options.common.debug, options.common.log_format);
    for text in warnings {
        warn!("{text}");
    }
    options
        .unused
        .given()
        .iter()
        .for_each(|name| warn!("the option {name} has no effect in this server yet"));
    if options.common.logger_cfg.is_some() {
        warn!("the option --logger-cfg has no effect: see --debug and --log-format");
    }
    if options.storage.role == Role::Replica {
        return Err(Fatal::new("running as a replica is not supported yet by this server").into());
    }
    actix_web::rt::System::new().block_on(serve(options))
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let path = serverdir::path(&options.storage)?;
    let given = std::env::var(PASSWORD_VARIABLE).ok().filter(|password| !password.is_empty());
    let given = given.map(SecretString::from);
    // Taken before anything is written: a taken port must not leave a half started server behind.
    let bound = options.listen.bind().map_err(Fatal::new)?;
    let first_start = options.init && !serverdir::is_initialised(&path);
    let generated = if first_start { initialise_first(&path, given.clone(), &options).await? } else { None };

    let directory = ServerDir::open(&path)?;
    let secret = read_secret(&options, &directory)?;
    let stores = directory.open_stores(&options.limits)?;
    let users = Arc::new(UserCache::new(options.limits.user_cache_items));
    let pages = Arc::new(PageCache::new(options.limits.page_cache_size));
    let files = Arc::new(FileCache::new(options.limits.file_cache_items));
    let registry = Registry::open(
        stores.meta,
        stores.files,
        options.security.policy(),
        Clock::system(),
        options.limits.registry(),
        vec![Arc::clone(&users) as _, Arc::clone(&pages) as _, Arc::clone(&files) as _],
    )
    .await?;
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
        pages,
        files,
        settings: HttpSettings {
            outside_url: options.listen.outside_url.clone(),
            absolute_urls: options.listen.absolute_urls,
        },
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
    let preparing = prepare(authenticator);
    announce(&directory, &urls);
    if options.init {
        explain(&urls, generated.as_ref())?;
    }
    run_until_signal(server).await?;
    preparing.await.context("deriving the token key panicked")?;
    registry.close().await.context("cannot close the storage")?;
    info!("stopped");
    Ok(())
}

/// Initialises the directory. Returns the password of root if it was made up.
async fn initialise_first(
    path: &Path,
    given: Option<SecretString>,
    options: &Options,
) -> anyhow::Result<Option<SecretString>> {
    if let Some(password) = given {
        initialise(path, RootPassword::Text(password), &options.limits).await?;
        return Ok(None);
    }
    let mut bytes = [0; GENERATED_PASSWORD_BYTES];
    getrandom::fill(&mut bytes)?;
    let password = SecretString::from(URL_SAFE_NO_PAD.encode(bytes));
    initialise(path, RootPassword::Text(password.clone()), &options.limits).await?;
    Ok(Some(password))
}

/// The secret of the login tokens. With `--init` one is kept in the directory, so that logins survive a restart.
fn read_secret(options: &Options, directory: &ServerDir) -> anyhow::Result<Secret> {
    let own = directory.secret();
    let path = match &options.security.secretfile {
        Some(path) => path,
        None if own.exists() => &own,
        None if options.init => {
            Secret::create(&own).map_err(Fatal::new)?;
            &own
        }
        None => {
            warn!(
                "No secret file provided, creating a new random secret. Login tokens issued before are invalid."
            );
            return Ok(Secret::PerStart);
        }
    };
    let secret = Secret::read(path).map_err(Fatal::new)?;
    info!("Using secret file '{}'.", path.display());
    Ok(secret)
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

/// Derives the token key behind the first requests.
fn prepare(authenticator: Arc<Authenticator>) -> JoinHandle<()> {
    tokio::task::spawn_local(async move {
        if let Err(cause) = authenticator.prepare().await {
            error!(%cause, "logins are not possible");
        }
    })
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
fn explain(urls: &[String], generated: Option<&SecretString>) -> std::io::Result<()> {
    let Some(url) = urls.iter().find(|url| url.starts_with("http")) else { return Ok(()) };
    let password = match generated {
        Some(password) => {
            say(&format!(
                "\nThe password of the user root is\n\n    {}\n\nIt is not shown again.",
                password.expose_secret()
            ))?;
            "PASSWORD"
        }
        None => "$DEVPI_PASSWORD",
    };
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

/// Serves until SIGINT or SIGTERM, and until the requests under way are finished.
async fn run_until_signal(server: actix_web::dev::Server) -> anyhow::Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let handle = server.handle();
    let mut serving = tokio::task::spawn_local(server);
    tokio::select! {
        result = &mut serving => return Ok(result.context("the server panicked")??),
        _ = interrupted.recv() => info!("interrupted, stopping"),
        _ = terminated.recv() => info!("terminated, stopping"),
    }
    server::stop(handle).await;
    Ok(serving.await.context("the server panicked")??)
}
