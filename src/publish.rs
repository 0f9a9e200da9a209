//! Publishing a release on another index server, the way upload tools do (`server-api` section 12.3).
//!
//! One request for each file, streamed from the file store. A destination that cannot be reached ends it; one that
//! refuses a file is still asked to take the others.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::domain::Registry;
use crate::domain::file::FileError;
use crate::domain::push::PushSource;
use crate::pep::filename::{self, UploadType};
use crate::storage::files::read_pieces;
use crate::storage::model::{Link, StoredPath};
use crate::version::{DEVPI_VERSION, VERSION};

/// Bounds of a [`Publisher`].
#[derive(Clone, Copy, Debug)]
pub struct PublishLimits {
    /// How long nothing may move, neither to nor from the destination.
    pub idle: Duration,
    /// How much of an answer is kept, in bytes.
    pub answer: usize,
    /// How many bytes of a file are read and sent at once.
    pub piece: u64,
}

impl Default for PublishLimits {
    fn default() -> Self {
        Self { idle: Duration::from_mins(2), answer: 64 * 1024, piece: 256 * 1024 }
    }
}

/// Where to publish, and as whom.
#[derive(Clone, Debug)]
pub struct Destination {
    url: Url,
    user: String,
    password: SecretString,
}

impl Destination {
    /// The index at `url`, which must be one of HTTP or HTTPS; `None` if it is not.
    pub fn new(url: &str, user: impl Into<String>, password: SecretString) -> Option<Self> {
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
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
    None,
}

/// Sends releases to other index servers.
pub struct Publisher {
    client: Client,
    limits: PublishLimits,
}

impl Publisher {
    /// A publisher that trusts the certificate authorities of the system, and those in the PEM file
    /// `more_authorities`.
    pub fn new(limits: PublishLimits, more_authorities: Option<&Path>) -> anyhow::Result<Self> {
        // Somebody else may have installed it before; it is the same one.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        // Redirects are not followed: a form would not be sent on, and the password not to another host.
        let mut client = Client::builder()
            .user_agent(format!("devpi-server/{DEVPI_VERSION} (wheelhouse {VERSION})"))
            .connect_timeout(limits.idle)
            .redirect(Policy::none());
        if let Some(path) = more_authorities {
            for certificate in reqwest::Certificate::from_pem_bundle(&std::fs::read(path)?)? {
                client = client.add_root_certificate(certificate);
            }
        }
        Ok(Self { client: client.build()?, limits })
    }

    /// Publishes a release: its distributions, then its documentation.
    pub async fn publish(
        &self,
        registry: &Registry,
        source: &PushSource,
        destination: &Destination,
        registration: Registration,
    ) -> Result<Vec<Published>, FileError> {
        let mut done = Vec::new();
        if registration == Registration::First {
            let answer = self.register(source, destination).await;
            let goes_on = answer.allows_files();
            done.push(Published::Release(answer));
            if !goes_on {
                return Ok(done);
            }
        }
        for link in source.release_files() {
            let answer = self.send_release_file(registry, source, link, destination).await?;
            let unreachable = answer.is_unreachable();
            done.push(Published::ReleaseFile(link.path.clone(), answer));
            if unreachable {
                return Ok(done);
            }
        }
        if let Some(link) = source.docs() {
            done.push(Published::Docs(self.send_docs(registry, source, link, destination).await?));
        }
        Ok(done)
    }

    async fn register(&self, source: &PushSource, destination: &Destination) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (field, value) in metadata_fields(source) {
            form.append_pair(field, value);
        }
        form.append_pair(":action", "submit");
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = self.request(destination).header(CONTENT_TYPE, kind).body(form.finish());
        self.send(destination, request, &Progress::start()).await
    }

    async fn send_release_file(
        &self,
        registry: &Registry,
        source: &PushSource,
        link: &Link,
        destination: &Destination,
    ) -> Result<Answer, FileError> {
        let UploadType { file_type, python_version } = filename::upload_type(&link.file_name);
        let form = metadata_form(source)
            .text(":action", "file_upload")
            .text("filetype", file_type)
            .text("pyversion", python_version)
            .text("sha256_digest", link.sha256.to_string());
        let name = link.file_name.to_string();
        let content_type = filename::content_type(&name);
        self.send_file(registry, link, name, content_type, form, destination).await
    }

    async fn send_docs(
        &self,
        registry: &Registry,
        source: &PushSource,
        link: &Link,
        destination: &Destination,
    ) -> Result<Answer, FileError> {
        let form = metadata_form(source).text(":action", "doc_upload");
        let name = format!("{}.zip", source.metadata.text("name"));
        self.send_file(registry, link, name, "application/zip", form, destination).await
    }

    async fn send_file(
        &self,
        registry: &Registry,
        link: &Link,
        name: String,
        content_type: &'static str,
        form: Form,
        destination: &Destination,
    ) -> Result<Answer, FileError> {
        let file = registry.open_content(link).await?;
        let progress = Progress::start();
        let moved = progress.clone();
        let pieces = read_pieces(file, 0..link.size, self.limits.piece).inspect(move |_| moved.note());
        let part = Part::stream_with_length(Body::wrap_stream(pieces), link.size).file_name(name);
        let part = match part.mime_str(content_type) {
            Ok(part) => part,
            Err(error) => return Ok(Answer::Unreachable(error.to_string())),
        };
        let request = self.request(destination).multipart(form.part("content", part));
        Ok(self.send(destination, request, &progress).await)
    }

    fn request(&self, destination: &Destination) -> RequestBuilder {
        let password = destination.password.expose_secret();
        self.client.post(destination.url.clone()).basic_auth(&destination.user, Some(password))
    }

    async fn send(&self, destination: &Destination, request: RequestBuilder, progress: &Progress) -> Answer {
        let answer = tokio::select! {
            answer = self.receive(request, progress) => answer,
            () = progress.stall(self.limits.idle) => {
                Answer::Unreachable(format!("nothing moved for {} seconds", self.limits.idle.as_secs()))
            }
        };
        let host = destination.url.host_str().unwrap_or_default();
        match &answer {
            Answer::Status(status, _) => info!(status, "published to {host}"),
            Answer::Unreachable(cause) => warn!("cannot publish to {host}: {cause}"),
        }
        answer
    }

    async fn receive(&self, request: RequestBuilder, progress: &Progress) -> Answer {
        match request.send().await {
            Ok(response) => self.read_answer(response, progress).await,
            // Without its URL, which may have a password in it.
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
            let piece: Bytes = piece;
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
