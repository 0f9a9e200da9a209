//! Requests to upstreams.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::debug;
use url::Url;

use super::breaker::Breakers;
use super::error::UpstreamError;
use super::headers::{add, redirection, settled_modification, text, wished_pause};
use super::logins::Logins;
use super::permits::BodyMemory;
use super::settings::Mirror;
use crate::outgoing;
use crate::storage::mirrored::Validators;

/// What is asked for: devpi's order of preference.
const SIMPLE_PAGE: HeaderValue = HeaderValue::from_static(
    "application/vnd.pypi.simple.v1+html;q=0.2, application/vnd.pypi.simple.v1+json, text/html;q=0.01",
);

const LAST_SERIAL: HeaderName = HeaderName::from_static("x-pypi-last-serial");

/// How many redirects are followed (as in devpi).
const MAX_REDIRECTS: usize = 20;

/// Bounds of an [`UpstreamClient`].
#[derive(Clone, Copy, Debug)]
pub(super) struct UpstreamLimits {
    /// How long an upstream may take to accept a connection, and to send the next bytes of a file.
    pub(super) idle: Duration,
    /// How long a page may take as a whole.
    pub(super) page_time: Duration,
    /// The largest page of a project, in bytes.
    pub(super) page_size: usize,
    /// The largest list of projects, in bytes.
    pub(super) list_size: usize,
}

/// Which page is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Page {
    /// One of a project.
    Project,
    /// The list of projects.
    List,
}

/// Sends requests to upstreams.
pub(super) struct UpstreamClient {
    /// Made when they are first needed: without mirrors, no certificate authorities are.
    clients: OnceCell<Clients>,
    more_authorities: Option<PathBuf>,
    logins: Logins,
    breakers: Breakers,
    limits: UpstreamLimits,
}

struct Clients {
    /// Unpacks what comes packed.
    pages: Client,
    /// Leaves bodies as they are: they are what hashes are of.
    files: Client,
}

/// What an upstream answered to a question for a page.
pub(super) enum PageAnswer {
    /// The page.
    Page(Box<RawPage>),
    /// It is as it was.
    NotModified,
    /// There is none.
    Missing,
}

/// A page as it came.
pub(super) struct RawPage {
    pub(super) body: Bytes,
    pub(super) content_type: String,
    /// Where it was in the end, without credentials.
    pub(super) url: Url,
    pub(super) validators: Validators,
    /// The upstream's serial; -1 where it says none.
    pub(super) serial: i64,
    /// The memory that the body takes.
    pub(super) memory: BodyMemory,
}

/// Which part of a file is asked for.
pub(super) enum FilePart<'a> {
    /// All of it.
    Whole,
    /// What comes from this byte on, if the file is still the one with this validator.
    From(u64, Option<&'a str>),
    /// These bytes, the last one included.
    Bytes(u64, u64),
    /// So many bytes at its end.
    Last(u64),
}

impl UpstreamClient {
    pub(super) fn new(
        limits: UpstreamLimits,
        breakers: Breakers,
        logins: Logins,
        more_authorities: Option<PathBuf>,
    ) -> Self {
        Self { clients: OnceCell::new(), more_authorities, logins, breakers, limits }
    }

    /// Asks for a page, unless it is as it was when it had `known`.
    pub(super) async fn get_page(
        &self,
        mirror: &Mirror,
        url: &Url,
        known: Option<&Validators>,
        page: Page,
        memory: BodyMemory,
    ) -> Result<PageAnswer, UpstreamError> {
        let work = timeout(self.limits.page_time, self.receive_page(mirror, url, known, page, memory));
        let answer = work.await.unwrap_or_else(|_| {
            let cause = format!("it took more than {} seconds", self.limits.page_time.as_secs());
            Err(UpstreamError::Unreachable { url: shown(url), cause: cause.into() })
        });
        // Only a whole page shows that the upstream is well: there are those that begin one and never end it.
        match &answer {
            Err(UpstreamError::Unreachable { .. }) => self.breakers.failed(&origin(url)),
            Ok(_) | Err(UpstreamError::Status { .. }) => self.breakers.succeeded(&origin(url)),
            Err(_) => {}
        }
        answer
    }

    async fn receive_page(
        &self,
        mirror: &Mirror,
        url: &Url,
        known: Option<&Validators>,
        page: Page,
        memory: BodyMemory,
    ) -> Result<PageAnswer, UpstreamError> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, SIMPLE_PAGE)]);
        if let Some(etag) = known.and_then(|known| known.etag.as_deref()) {
            add(&mut headers, IF_NONE_MATCH, etag);
        } else if let Some(date) = known.and_then(|known| known.last_modified.as_deref()) {
            add(&mut headers, IF_MODIFIED_SINCE, date);
        }
        let response = self.send(&self.clients().await?.pages, mirror, url, headers).await?;
        match response.status() {
            StatusCode::OK => self.read_page(url, response, page, memory).await.map(PageAnswer::Page),
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(PageAnswer::NotModified),
            StatusCode::NOT_FOUND => Ok(PageAnswer::Missing),
            // One that could not be followed.
            status if status.is_redirection() && response.headers().contains_key(LOCATION) => {
                Err(UpstreamError::Unreachable { url: shown(url), cause: "a redirect to nowhere".into() })
            }
            status => Err(UpstreamError::Status { status: status.as_u16(), url: shown(url) }),
        }
    }

    async fn read_page(
        &self,
        url: &Url,
        mut response: Response,
        page: Page,
        mut memory: BodyMemory,
    ) -> Result<Box<RawPage>, UpstreamError> {
        let limit = match page {
            Page::Project => self.limits.page_size,
            Page::List => self.limits.list_size,
        };
        let headers = response.headers();
        let text = |name: HeaderName| text(headers, &name);
        let validators = Validators { etag: text(ETAG), last_modified: settled_modification(headers) };
        let content_type = text(CONTENT_TYPE).unwrap_or_default();
        let serial = text(LAST_SERIAL).and_then(|serial| serial.trim().parse().ok()).unwrap_or(-1);
        let final_url = without_credentials(response.url());
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| unreachable(url, error))? {
            if body.len() + piece.len() > limit {
                return Err(UpstreamError::TooLarge { url: shown(url), limit });
            }
            memory.reach(body.len() + piece.len())?;
            body.extend_from_slice(&piece);
        }
        Ok(Box::new(RawPage { body: body.into(), content_type, url: final_url, validators, serial, memory }))
    }

    /// Asks for a file, or a part of it. Whatever the status, the answer is returned.
    pub(super) async fn get_file(
        &self,
        mirror: &Mirror,
        url: &Url,
        part: FilePart<'_>,
    ) -> Result<Response, UpstreamError> {
        let mut headers = HeaderMap::new();
        add(&mut headers, ACCEPT, "*/*");
        add(&mut headers, ACCEPT_ENCODING, "identity");
        match part {
            FilePart::Whole => {}
            FilePart::From(start, validator) => {
                add(&mut headers, RANGE, &format!("bytes={start}-"));
                if let Some(validator) = validator {
                    add(&mut headers, IF_RANGE, validator);
                }
            }
            FilePart::Bytes(first, last) => add(&mut headers, RANGE, &format!("bytes={first}-{last}")),
            FilePart::Last(count) => add(&mut headers, RANGE, &format!("bytes=-{count}")),
        }
        let response = self.send(&self.clients().await?.files, mirror, url, headers).await;
        let origin = origin(url);
        match &response {
            Ok(_) => self.breakers.succeeded(&origin),
            Err(UpstreamError::Unreachable { .. }) => self.breakers.failed(&origin),
            Err(_) => {}
        }
        response
    }

    /// Asks for a small document, such as core metadata. `None` if there is none. The memory that it takes comes with it.
    pub(super) async fn get_document(
        &self,
        mirror: &Mirror,
        url: &Url,
        limit: usize,
        mut memory: BodyMemory,
    ) -> Result<Option<(Vec<u8>, BodyMemory)>, UpstreamError> {
        let work = async {
            let mut response = self.get_file(mirror, url, FilePart::Whole).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
                status => return Err(UpstreamError::Status { status: status.as_u16(), url: shown(url) }),
            }
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|error| unreachable(url, error))? {
                if body.len() + piece.len() > limit {
                    return Err(UpstreamError::TooLarge { url: shown(url), limit });
                }
                memory.reach(body.len() + piece.len())?;
                body.extend_from_slice(&piece);
            }
            Ok(Some((body, memory)))
        };
        timeout(self.limits.page_time, work).await.unwrap_or_else(|_| {
            let cause = format!("it took more than {} seconds", self.limits.page_time.as_secs());
            Err(UpstreamError::Unreachable { url: shown(url), cause: cause.into() })
        })
    }

    /// Sends a request, and follows where it is redirected to, unless the upstream is left alone.
    ///
    /// Each URL on the way gets its own login or none. Left to the HTTP library, a second redirect within another host
    /// would take the login of the first URL along.
    async fn send(
        &self,
        client: &Client,
        mirror: &Mirror,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Response, UpstreamError> {
        if !self.breakers.admit(&origin(url)) {
            return Err(UpstreamError::Resting { url: shown(url) });
        }
        let mut next = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = client.get(next.clone()).headers(headers.clone());
            if let Some(login) =
                mirror.login_for(&next).or_else(|| self.logins.find(mirror.settings.url.as_ref()?, &next))
            {
                request = request.basic_auth(&login.user, Some(login.password.expose_secret()));
            }
            let response = request.send().await.map_err(|error| unreachable(url, error))?;
            debug!(url = %shown(&next), status = response.status().as_u16(), "asked an upstream");
            if let Some(target) = redirection(response.status(), response.url(), response.headers()) {
                next = without_credentials(&target);
                continue;
            }
            if let Some(pause) = wished_pause(response.status(), response.headers()) {
                self.breakers.rest(&origin(url), pause);
            }
            return Ok(response);
        }
        Err(UpstreamError::Unreachable { url: shown(url), cause: "too many redirects".into() })
    }

    async fn clients(&self) -> Result<&Clients, UpstreamError> {
        let make = async || {
            let (limits, more_authorities) = (self.limits, self.more_authorities.clone());
            spawn_blocking(move || make_clients(limits, more_authorities)).await?
        };
        let clients: anyhow::Result<&Clients> = self.clients.get_or_try_init(make).await;
        clients.map_err(|error| UpstreamError::Failed(format!("{error:#}").into()))
    }
}

fn make_clients(limits: UpstreamLimits, more_authorities: Option<PathBuf>) -> anyhow::Result<Clients> {
    let builder = || {
        let builder = outgoing::client_builder(more_authorities.as_deref())?;
        anyhow::Ok(builder.connect_timeout(limits.idle).redirect(Policy::none()))
    };
    Ok(Clients {
        pages: builder()?.gzip(true).read_timeout(limits.page_time).build()?,
        files: builder()?.no_gzip().read_timeout(limits.idle).build()?,
    })
}

/// A URL as it may be shown: without credentials.
pub(super) fn shown(url: &Url) -> Arc<str> {
    without_credentials(url).as_str().into()
}

fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    // Fails only for URLs that cannot have any.
    let _none = url.set_username("").and_then(|()| url.set_password(None));
    url
}

/// Scheme, host and port.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn unreachable(url: &Url, error: reqwest::Error) -> UpstreamError {
    UpstreamError::Unreachable { url: shown(url), cause: causes(&error.without_url()).into() }
}

/// An error with all its causes on one line, each once.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.iter().any(|before| before.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}
