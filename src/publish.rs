//! Publishing a release on another index server, the way upload tools do (`server-api` section 12.3).
//!
//! One request for each file, streamed from the file store. A destination that cannot be reached ends it; one that
//! refuses a file is still asked to take the others. Nothing is taken back: what has been sent is there.

mod session;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use self::session::Session;
use crate::domain::Registry;
use crate::domain::file::FileError;
use crate::domain::push::PushSource;
use crate::outgoing;
use crate::storage::model::StoredPath;
use crate::turns::{Place, Turns};

/// Bounds of a [`Publisher`].
#[derive(Clone, Copy, Debug)]
pub struct PublishLimits {
    /// How many releases are published at once; further ones wait. Those of one user are half of that at the most.
    pub parallel: usize,
    /// How many are published or wait for that; further ones are refused. Those of one user are half of that at the
    /// most.
    pub pending: usize,
    /// How long one release may take, with the time that it waits.
    pub whole: Duration,
    /// How long nothing may move, neither to nor from the destination.
    pub idle: Duration,
    /// How much of an answer is kept, in bytes.
    pub answer: usize,
    /// How many bytes of a file are read and sent at once.
    pub piece: u64,
}

impl Default for PublishLimits {
    fn default() -> Self {
        Self {
            parallel: 8,
            pending: 100,
            whole: Duration::from_hours(1),
            idle: Duration::from_mins(2),
            answer: 64 * 1024,
            piece: 256 * 1024,
        }
    }
}

/// Where to publish, and as whom.
#[derive(Clone)]
pub struct Destination {
    url: Url,
    user: String,
    password: SecretString,
}

impl Destination {
    /// The index at `url`, which must be one of HTTP or HTTPS; `None` if it is not.
    pub fn new(url: &str, user: impl Into<String>, password: SecretString) -> Option<Self> {
        let mut url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        // There are credentials already; a second header with others would go out beside theirs.
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        Some(Self { url, user: user.into(), password })
    }

    /// The name of the host.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

/// What a destination said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A status with the beginning of the body.
    Status(u16, String),
    /// Nothing; why not.
    Unreachable(String),
}

impl Answer {
    /// Whether the destination took what it was sent.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Status(200 | 201, _))
    }

    /// Whether it makes sense to go on after a registration. PyPI says 410: it wants none any more.
    fn allows_files(&self) -> bool {
        matches!(self, Self::Status(200 | 201 | 410, _))
    }

    fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

/// A step of publishing, with what the destination said to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The release was registered.
    Release(Answer),
    /// The distribution that is here at this path was sent.
    ReleaseFile(StoredPath, Answer),
    /// The documentation was sent.
    Docs(Answer),
}

impl Published {
    /// What the destination said.
    pub fn answer(&self) -> &Answer {
        match self {
            Self::Release(answer) | Self::ReleaseFile(_, answer) | Self::Docs(answer) => answer,
        }
    }
}

/// Whether a release is registered before its files are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It is.
    First,
    /// It is not; the files bring it along.
    Skipped,
}

/// Sends releases to other index servers.
pub struct Publisher {
    /// Made when it is first needed: a server that never pushes elsewhere can do without certificate authorities.
    client: OnceCell<Client>,
    more_authorities: Option<PathBuf>,
    limits: PublishLimits,
    turns: Arc<Turns>,
    /// Where releases are published: it outlives the threads that answer clients.
    runtime: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Others are published, or wait for that.
    #[error("too many pushes to other servers are under way")]
    Busy,
    /// The server stops.
    #[error("the server is shutting down")]
    Stopping,
    /// A file of the release cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The certificate authorities cannot be used.
    #[error("cannot publish")]
    Failed(#[source] anyhow::Error),
}

impl Publisher {
    /// A publisher that trusts the certificate authorities of the system, and those in the PEM file
    /// `more_authorities`, and sends its requests from `runtime`.
    pub fn new(limits: PublishLimits, more_authorities: Option<PathBuf>, runtime: Handle) -> Self {
        Self {
            client: OnceCell::new(),
            more_authorities,
            limits,
            turns: Arc::new(Turns::new(limits.parallel, limits.pending)),
            runtime,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Publishes a release for `user`: its distributions, then its documentation. Goes on if nobody waits for it any
    /// more.
    pub async fn publish(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        user: &Arc<str>,
        source: PushSource,
        destination: Destination,
        registration: Registration,
    ) -> Result<Vec<Published>, PublishError> {
        let place = self.turns.enter(user).ok_or(PublishError::Busy)?;
        let (publisher, registry) = (Arc::clone(self), Arc::clone(registry));
        let work = async move {
            let (release, host) = (source.release.clone(), destination.host().to_owned());
            tokio::select! {
                done = publisher.publish_in_turn(&registry, &place, source, destination, registration) => done,
                () = publisher.stop.cancelled() => {
                    warn!("the push of {release} to {host} was given up, as the server stops");
                    Err(PublishError::Stopping)
                }
            }
        };
        let work = self.tasks.spawn_on(work, &self.runtime);
        work.await.map_err(|error| PublishError::Failed(error.into()))?
    }

    async fn publish_in_turn(
        &self,
        registry: &Registry,
        place: &Place,
        source: PushSource,
        destination: Destination,
        registration: Registration,
    ) -> Result<Vec<Published>, PublishError> {
        let end = Instant::now() + self.limits.whole;
        let client = self.client().await.map_err(PublishError::Failed)?;
        let _turn = timeout_at(end, place.turn()).await.map_err(|_| PublishError::Busy)?;
        // Nothing is sent of a release that is not there as a whole.
        for link in source.release_files().chain(source.docs()) {
            drop(registry.open_content(link).await?);
        }
        let session = Session { client, limits: self.limits, registry, source: &source, destination, end };
        session.publish(registration).await
    }

    /// Waits for what is under way, until `patience` ends.
    pub async fn close(&self, patience: impl Future<Output = ()>) {
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => {}
            () = patience => {
                self.stop.cancel();
                self.tasks.wait().await;
            }
        }
    }

    async fn client(&self) -> anyhow::Result<&Client> {
        let make = async || {
            let (limits, more_authorities) = (self.limits, self.more_authorities.clone());
            // Certificates are read from files.
            spawn_blocking(move || make_client(limits, more_authorities.as_deref())).await?
        };
        self.client.get_or_try_init(make).await
    }
}

fn make_client(limits: PublishLimits, more_authorities: Option<&Path>) -> anyhow::Result<Client> {
    // Redirects are not followed: a form would not be sent on, and the password not to another host.
    let client = outgoing::client_builder(more_authorities)?;
    Ok(client.connect_timeout(limits.idle).redirect(Policy::none()).no_gzip().build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_http_and_have_one_pair_of_credentials() {
        let new = |url| Destination::new(url, "u", "p".into());
        for bad in ["", "nonsense", "ftp://upstream.example/", "file:///etc/passwd", "data:text/plain,x"] {
            assert!(new(bad).is_none(), "{bad}");
        }
        let destination = new("https://other:secret@upstream.example/legacy/?x=y").unwrap();
        assert_eq!(destination.url.as_str(), "https://upstream.example/legacy/?x=y");
    }
}
