//! One release, sent file by file.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Client, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::{Answer, Destination, PublishError, PublishLimits, Published, Registration};
use crate::domain::Registry;
use crate::domain::file::FileError;
use crate::domain::push::PushSource;
use crate::pep::filename::{self, UploadType};
use crate::storage::StorageError;
use crate::storage::files::read_pieces;
use crate::storage::model::Link;

/// A release on its way to a destination.
pub(super) struct Session<'a> {
    pub(super) client: &'a Client,
    pub(super) limits: PublishLimits,
    pub(super) registry: &'a Registry,
    pub(super) source: &'a PushSource,
    pub(super) destination: Destination,
    /// When it has to be over.
    pub(super) end: Instant,
}

impl Session<'_> {
    pub(super) async fn publish(&self, registration: Registration) -> Result<Vec<Published>, PublishError> {
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
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = self.request().header(CONTENT_TYPE, kind).body(registration_form(self.source));
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
        let piece = self.limits.piece;
        let pieces = read_pieces(file, 0..link.size, move || piece).inspect(move |_| moved.note());
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
        let host = self.destination.host();
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

fn registration_form(source: &PushSource) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (field, value) in metadata_fields(source) {
        form.append_pair(field, value);
    }
    form.append_pair(":action", "submit");
    form.finish()
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
