//! Publishing a release on another index server, the way upload tools do (`server-api` section 12.3).
//!
//! One request for each file, streamed from the file store. A destination that cannot be reached ends it; one that
//! refuses a file is still asked to take the others. Nothing is taken back: what has been sent is there.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::domain::Registry;
use crate::domain::file::FileError;
use crate::domain::push::PushSource;
use crate::pep::filename::{self, UploadType};
use crate::storage::StorageError;
use crate::storage::files::read_pieces;
use crate::storage::model::{Link, StoredPath};
use crate::version::{DEVPI_VERSION, VERSION};

/// Bounds of a [`Publisher`].
#[derive(Clone, Copy, Debug)]
pub struct PublishLimits {
    /// How many releases are published at once; further ones wait.
    pub parallel: usize,
    /// How long one release may take.
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
    permits: Semaphore,
    tasks: TaskTracker,
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file of the release cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The certificate authorities cannot be used, or the server is shutting down.
    #[error("cannot publish")]
    Failed(#[source] anyhow::Error),
}

impl Publisher {
    /// A publisher that trusts the certificate authorities of the system, and those in the PEM file
    /// `more_authorities`.
    pub fn new(limits: PublishLimits, more_authorities: Option<PathBuf>) -> Self {
        // For all clients of this process. Somebody else may have installed it before; it is the same one.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let permits = Semaphore::new(limits.parallel);
        Self { client: OnceCell::new(), more_authorities, limits, permits, tasks: TaskTracker::new() }
    }

    /// Publishes a release: its distributions, then its documentation. Goes on if nobody waits for it any more.
    ///
    /// # Panics
    ///
    /// Outside of a `LocalSet`: HTTP workers have one.
    pub async fn publish(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        source: PushSource,
        destination: Destination,
        registration: Registration,
    ) -> Result<Vec<Published>, PublishError> {
        let (publisher, registry) = (Arc::clone(self), Arc::clone(registry));
        let work = self.tasks.spawn_local(async move {
            let client = publisher.client.get_or_try_init(async || publisher.make_client()).await;
            let client = client.map_err(PublishError::Failed)?;
            let _permit =
                publisher.permits.acquire().await.map_err(|error| PublishError::Failed(error.into()))?;
            // Nothing is sent of a release that is not there as a whole.
            for link in source.release_files().chain(source.docs()) {
                drop(registry.open_content(link).await?);
            }
            let end = Instant::now() + publisher.limits.whole;
            let session = Session {
                client,
                limits: publisher.limits,
                registry: &registry,
                source: &source,
                destination,
                end,
            };
            session.publish(registration).await
        });
        work.await.map_err(|error| PublishError::Failed(error.into()))?
    }

    /// Waits for what is under way.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn make_client(&self) -> anyhow::Result<Client> {
        // Redirects are not followed: a form would not be sent on, and the password not to another host.
        let mut client = Client::builder()
            .user_agent(format!("devpi-server/{DEVPI_VERSION} (wheelhouse {VERSION})"))
            .connect_timeout(self.limits.idle)
            .redirect(Policy::none());
        if let Some(path) = &self.more_authorities {
            let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            for certificate in reqwest::Certificate::from_pem_bundle(&pem)? {
                client = client.add_root_certificate(certificate);
            }
        }
        Ok(client.build()?)
    }
}

/// A release on its way to a destination.
struct Session<'a> {
    client: &'a Client,
    limits: PublishLimits,
    registry: &'a Registry,
    source: &'a PushSource,
    destination: Destination,
    /// When it has to be over.
    end: Instant,
}

impl Session<'_> {
    async fn publish(&self, registration: Registration) -> Result<Vec<Published>, PublishError> {
        let mut done = Vec::new();
        if registration == Registration::First {
            let answer = self.register().await;
            let goes_on = answer.allows_files();
            done.push(Published::Release(answer));
            if !goes_on {
                return Ok(done);
            }
        }
        for link in self.source.release_files() {
            let answer = self.send_release_file(link).await?;
            let unreachable = answer.is_unreachable();
            done.push(Published::ReleaseFile(link.path.clone(), answer));
            if unreachable {
                return Ok(done);
            }
        }
        if let Some(link) = self.source.docs() {
            done.push(Published::Docs(self.send_docs(link).await?));
        }
        Ok(done)
    }

    async fn register(&self) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (field, value) in metadata_fields(self.source) {
            form.append_pair(field, value);
        }
        form.append_pair(":action", "submit");
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = self.request().header(CONTENT_TYPE, kind).body(form.finish());
        self.send(request, &Progress::start()).await
    }

    async fn send_release_file(&self, link: &Link) -> Result<Answer, FileError> {
        let UploadType { file_type, python_version } = filename::upload_type(&link.file_name);
        let form = metadata_form(self.source)
            .text(":action", "file_upload")
            .text("filetype", file_type)
            .text("pyversion", python_version)
            .text("sha256_digest", link.sha256.to_string());
        let name = link.file_name.to_string();
        let content_type = filename::content_type(&name);
        self.send_file(link, name, content_type, form).await
    }

    async fn send_docs(&self, link: &Link) -> Result<Answer, FileError> {
        let form = metadata_form(self.source).text(":action", "doc_upload");
        let name = format!("{}.zip", self.source.metadata.text("name"));
        self.send_file(link, name, "application/zip", form).await
    }

    async fn send_file(
        &self,
        link: &Link,
        name: String,
        content_type: &'static str,
        form: Form,
    ) -> Result<Answer, FileError> {
        let file = self.registry.open_content(link).await?;
        let progress = Progress::start();
        let moved = progress.clone();
        let pieces = read_pieces(file, 0..link.size, self.limits.piece).inspect(move |_| moved.note());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let part =
            Part::stream_with_length(Body::wrap_stream(pieces), link.size).file_name(name).headers(headers);
        Ok(self.send(self.request().multipart(form.part("content", part)), &progress).await)
    }

    fn request(&self) -> RequestBuilder {
        let Destination { url, user, password } = &self.destination;
        self.client.post(url.clone()).basic_auth(user, Some(password.expose_secret()))
    }

    async fn send(&self, request: RequestBuilder, progress: &Progress) -> Answer {
        let answer = tokio::select! {
            answer = self.receive(request, progress) => answer,
            () = progress.stall(self.limits.idle) => {
                Answer::Unreachable(format!("nothing moved for {} seconds", self.limits.idle.as_secs()))
            }
            () = sleep_until(self.end) => {
                Answer::Unreachable(format!("it took more than {} seconds", self.limits.whole.as_secs()))
            }
        };
        let (index, release) = (&self.source.index, &self.source.release);
        let host = self.destination.url.host_str().unwrap_or_default();
        match &answer {
            Answer::Status(status, _) => {
                info!(%index, %release, host, status, "published {release} at {host}");
            }
            Answer::Unreachable(cause) => {
                warn!(%index, %release, host, "cannot publish {release} at {host}: {cause}");
            }
        }
        answer
    }

    async fn receive(&self, request: RequestBuilder, progress: &Progress) -> Answer {
        match request.send().await {
            Ok(response) => self.read_answer(response, progress).await,
            Err(error) if is_own_fault(&error) => {
                error!("cannot read a file of {}: {:#}", self.source.release, anyhow::Error::from(error));
                Answer::Unreachable("the file cannot be read".to_owned())
            }
            // Without its URL, which the client knows.
            Err(error) => Answer::Unreachable(format!("{:#}", anyhow::Error::from(error.without_url()))),
        }
    }

    /// The status with the beginning of the body; of what comes after an error in the middle nothing is missed.
    async fn read_answer(&self, response: Response, progress: &Progress) -> Answer {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Ok(Some(piece)) = pieces.try_next().await {
            progress.note();
            let room = self.limits.answer - body.len();
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if body.len() == self.limits.answer {
                break;
            }
        }
        // What is not UTF-8 is most likely Latin-1.
        let text = String::from_utf8(body)
            .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect());
        Answer::Status(status, text)
    }
}

/// Whether a request failed because the file store did.
fn is_own_fault(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.into_iter().any(<dyn Error>::is::<StorageError>)
}

/// The metadata as fields of a form; those that are lists come once for each item.
fn metadata_fields(source: &PushSource) -> impl Iterator<Item = (&str, &str)> {
    source.metadata.fields().iter().flat_map(|(field, value)| {
        let values = match value {
            Value::Array(items) => items.as_slice(),
            text => std::slice::from_ref(text),
        };
        values.iter().filter_map(Value::as_str).map(move |value| (field.as_str(), value))
    })
}

fn metadata_form(source: &PushSource) -> Form {
    let form = Form::new().percent_encode_noop();
    metadata_fields(source).fold(form, |form, (field, value)| form.text(field.to_owned(), value.to_owned()))
}

/// When something last moved.
#[derive(Clone)]
struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    fn start() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing has moved for `idle`.
    async fn stall(&self, idle: Duration) {
        loop {
            let end = self.last() + idle;
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }
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
