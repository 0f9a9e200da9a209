//! Simple pages, for people and for installers (`server-api` section 16).

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use jiff::Timestamp;
use tokio::task::spawn_blocking;

use super::files::PROVENANCE_SUFFIX;
use crate::domain::project::{ListedProjects, Scope};
use crate::domain::project_files::{ListedFile, ListedFiles};
use crate::http::cache::{Place, Subject};
use crate::http::call::Call;
use crate::http::error::ApiError;
use crate::http::list_stream::ListStream;
use crate::http::negotiate::{SimpleFormat, choose_simple};
use crate::http::page::Page;
use crate::http::repeat;
use crate::http::urls::{BaseUrl, relative};
use crate::mirror::{Currency, Staleness};
use crate::pep::name::ProjectName;
use crate::pep::simple::{File, Hashes, ProjectDetail};
use crate::storage::mirrored::MirrorFile;
use crate::storage::model::IndexName;

/// Pages change with uploads: clients must ask, and usually hear 304.
const CACHE_CONTROL: &str = "no-cache";

const VARY: &str = "Accept, Accept-Encoding, User-Agent";

/// Since when an upstream could not be asked whether what is shown is what it has.
const X_WHEELHOUSE_STALE_SINCE: HeaderName = HeaderName::from_static("x-wheelhouse-stale-since");

/// Why not.
const X_WHEELHOUSE_STALE_REASON: HeaderName = HeaderName::from_static("x-wheelhouse-stale-reason");

/// How much of the reason is told, in characters.
const MAX_REASON: usize = 300;

const X_PYPI_LAST_SERIAL: HeaderName = HeaderName::from_static("x-pypi-last-serial");

const X_DEVPI_ABSOLUTE_URLS: HeaderName = HeaderName::from_static("x-devpi-absolute-urls");

/// `GET /{user}/{index}/+simple/`, and `GET /{user}/{index}` for installers
pub(in crate::http) async fn list(call: &Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let kind = choose_simple(&call.accept);
    let (registry, pages) = (call.registry(), &call.state.pages);
    let kept = pages.peek(index, Subject::List, kind.format);
    if kept.is_none() && registry.shows_mirrors(index).await? {
        // There may be a million of them, for which may have to be waited: not kept, and not made one after the other.
        let listed = registry.list_projects(index).await?;
        let list = ListStream::new(index, listed.indexes, kind.format);
        let response = list.respond(call.headers(), kind.media_type, CACHE_CONTROL, VARY).await;
        let mut response = response.map_err(ApiError::internal)?;
        tell_staleness(&mut response, listed.stale.as_ref());
        return Ok(response);
    }
    let render = async {
        let listed = registry.list_projects(index).await?;
        if listed.indexes.iter().any(|listed| matches!(listed.projects, ListedProjects::Upstream(_))) {
            // A mirror has become one of the bases just now.
            return Err(ApiError::message(StatusCode::SERVICE_UNAVAILABLE, "the index is being changed"));
        }
        let list = ListStream::new(index, listed.indexes, kind.format);
        make_page(move || list.render()).await
    };
    let page = pages.get(index, Subject::List, kind.format, render).await?;
    Ok(page.respond(call.headers(), kind.media_type, CACHE_CONTROL, VARY))
}

/// Why a page does not go into the memory for pages.
enum Unkept {
    /// It stands for what nobody could say.
    Page(Arc<Page>),
    Error(ApiError),
}

impl<E: Into<ApiError>> From<E> for Unkept {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// `ANY /{user}/{index}/+simple/{project}/`, and `GET /{user}/{index}/{project}` for installers
pub(in crate::http) async fn project(
    call: &Call,
    index: &IndexName,
    project: &ProjectName,
    place: Place,
) -> Result<HttpResponse, ApiError> {
    let kind = choose_simple(&call.accept);
    let subject = Links::cached_under(call, place);
    let subject = subject.map(|place| Subject::Project(project.normal().into(), place));
    let (registry, pages) = (call.registry(), &call.state.pages);
    let kept = subject.clone().and_then(|subject| pages.peek(index, subject, kind.format));
    let current = kept.map(|page| (registry.currency(&page.mirrors, project), page));
    let (is_kept, stale, page) = if let Some((Currency::Current(stale), page)) = current {
        (true, stale, page)
    } else {
        let stale = registry.check_mirrors(index, project, Scope::WithBases).await?;
        let links = Links::new(call, index, project, place);
        let render = async {
            let files = registry.find_project_files(index, project).await?;
            let (mirrors, last_serial, is_unknown) =
                (files.mirrors.clone(), files.last_serial, files.is_unknown);
            let (index, project) = (index.clone(), project.clone());
            let page = make_page(move || {
                files.list(|listed| render_project(&index, &project, listed, &links, kind.format))
            });
            let page = page.await?.of_mirrors(mirrors, last_serial);
            if is_unknown { Err(Unkept::Page(Arc::new(page))) } else { Ok(page) }
        };
        let page = match subject {
            Some(subject) => pages.get(index, subject, kind.format, render).await,
            None => render.await.map(Arc::new),
        };
        let page = match page {
            Ok(page) | Err(Unkept::Page(page)) => page,
            Err(Unkept::Error(error)) => return Err(error),
        };
        (false, stale, page)
    };
    let mut response = page.respond(call.headers(), kind.media_type, CACHE_CONTROL, VARY);
    tell_staleness(&mut response, stale.as_ref());
    if let Some(serial) = page.last_serial.filter(|serial| *serial > 0) {
        response.headers_mut().insert(X_PYPI_LAST_SERIAL, serial.into());
    }
    // That an upstream cannot be asked any more may be said a second later, but not that it can again.
    if is_kept && stale.is_none() {
        repeat::allow(&mut response);
    }
    Ok(response)
}

/// `POST /{user}/{index}/+simple/{project}/refresh`
pub(in crate::http) async fn refresh(
    call: &Call,
    index: &IndexName,
    project: &ProjectName,
) -> Result<HttpResponse, ApiError> {
    refuse_unicode(project)?;
    call.registry().refresh(index, project).await?;
    Err(ApiError::found(call.base_url.join(&format!("{index}/+simple/{}/", project.normal()))))
}

/// Says that what is shown may not be what an upstream has: since when, and why.
fn tell_staleness(response: &mut HttpResponse, stale: Option<&Staleness>) {
    let Some(stale) = stale else { return };
    if let Some(since) = stale.since
        && let Ok(since) = httpdate::fmt_http_date(since.into()).parse()
    {
        response.headers_mut().insert(X_WHEELHOUSE_STALE_SINCE, since);
    }
    let is_plain = |character: &char| character.is_ascii() && !character.is_ascii_control();
    let reason: String = stale.reason.chars().filter(is_plain).take(MAX_REASON).collect();
    if let Ok(reason) = reason.parse() {
        response.headers_mut().insert(X_WHEELHOUSE_STALE_REASON, reason);
    }
}

/// Simple pages exist for ASCII names only.
pub(in crate::http) fn refuse_unicode(project: &ProjectName) -> Result<(), ApiError> {
    if project.display().is_ascii() {
        return Ok(());
    }
    Err(ApiError::abort(StatusCode::BAD_REQUEST, "unicode project names not allowed"))
}

/// How a page links to files.
enum Links {
    /// Relative to the page at this path.
    Relative(String),
    Absolute(BaseUrl),
}

impl Links {
    fn new(call: &Call, index: &IndexName, project: &ProjectName, place: Place) -> Self {
        if Self::are_absolute(call) {
            return Self::Absolute(call.base_url.clone());
        }
        let name = project.normal();
        Self::Relative(match place {
            Place::SimpleWithSlash | Place::Absolute => format!("{index}/+simple/{name}/"),
            Place::Simple => format!("{index}/+simple/{name}"),
            Place::ProjectWithSlash => format!("{index}/{name}/"),
            Place::Project => format!("{index}/{name}"),
        })
    }

    /// Under which place the page is kept. Pages for a base URL that only this request names are not kept: anybody
    /// could fill the memory with them.
    fn cached_under(call: &Call, place: Place) -> Option<Place> {
        if !Self::are_absolute(call) {
            return Some(place);
        }
        call.state.settings.is_outside_url(&call.base_url).then_some(Place::Absolute)
    }

    fn are_absolute(call: &Call) -> bool {
        call.state.settings.absolute_urls || call.headers().contains_key(X_DEVPI_ABSOLUTE_URLS)
    }

    fn to(&self, path: &str) -> String {
        match self {
            Self::Relative(page) => relative(page, path),
            Self::Absolute(base) => base.join(path),
        }
    }
}

async fn make_page(render: impl FnOnce() -> Vec<u8> + Send + 'static) -> Result<Page, ApiError> {
    spawn_blocking(move || Page::new(render())).await.map_err(ApiError::internal)
}

fn render_project(
    index: &IndexName,
    project: &ProjectName,
    listed: ListedFiles<'_>,
    links: &Links,
    format: SimpleFormat,
) -> Vec<u8> {
    let page = ProjectDetail {
        name: project.normal(),
        versions: &listed.versions,
        files: listed.files.iter().map(|file| show_file(file, links)),
        status: listed.status,
    };
    match format {
        SimpleFormat::Json => page.render_json(),
        SimpleFormat::Html => page.render_html(&format!("{index}: links for {}", project.normal())),
    }
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn show_file<'a>(listed: &ListedFile<'a>, links: &Links) -> File<'a> {
    let (filename, core_metadata) = (listed.file_name(), listed.core_metadata());
    match *listed {
        ListedFile::Release { index, file, requires_python } => File {
            filename,
            url: links.to(file.path.as_str()),
            hashes: Hashes::Sha256(file.sha256),
            requires_python,
            yanked: None,
            core_metadata,
            size: Some(file.size),
            // No more than `Last-Modified`, the logs and exports say.
            upload_time: Some(whole_second(file.uploaded_at)),
            provenance: None,
            source: index,
        },
        ListedFile::Mirrored { index, file: MirrorFile { path, read } } => File {
            filename,
            url: links.to(path.as_str()),
            hashes: Hashes::Named(&read.hashes),
            requires_python: read.requires_python.as_deref(),
            yanked: read.yanked.as_deref(),
            core_metadata,
            size: read.size,
            upload_time: read.upload_time,
            provenance: read.provenance.as_ref().map(|_| links.to(&format!("{path}{PROVENANCE_SUFFIX}"))),
            source: index,
        },
    }
}
