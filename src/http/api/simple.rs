//! Simple pages, for people and for installers (`server-api` section 16).

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use tokio::task::spawn_blocking;

use crate::domain::project::{ListedFile, ListedIndex, ProjectFiles};
use crate::http::cache::{Place, Subject};
use crate::http::call::Call;
use crate::http::error::ApiError;
use crate::http::negotiate::{SimpleFormat, choose_simple};
use crate::http::page::Page;
use crate::http::urls::{BaseUrl, relative};
use crate::pep::name::ProjectName;
use crate::pep::simple::{File, ProjectDetail, ProjectGroup, ProjectList};
use crate::storage::model::IndexName;

/// Pages change with uploads: clients must ask, and usually hear 304.
const CACHE_CONTROL: &str = "no-cache";

const VARY: &str = "Accept, Accept-Encoding, User-Agent";

const X_DEVPI_ABSOLUTE_URLS: HeaderName = HeaderName::from_static("x-devpi-absolute-urls");

/// `GET /{user}/{index}/+simple/`, and `GET /{user}/{index}` for installers
pub(in crate::http) async fn list(call: &Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let kind = choose_simple(&call.accept);
    let render = async {
        let listed = call.registry().list_projects(index).await?;
        let index = index.clone();
        make_page(move || render_list(&index, listed, kind.format)).await
    };
    let page = call.state.pages.get(index, Subject::List, kind.format, render).await?;
    Ok(page.respond(call.headers(), kind.media_type, CACHE_CONTROL, VARY))
}

/// `ANY /{user}/{index}/+simple/{project}/`, and `GET /{user}/{index}/{project}` for installers
pub(in crate::http) async fn project(
    call: &Call,
    index: &IndexName,
    project: &ProjectName,
    place: Place,
) -> Result<HttpResponse, ApiError> {
    let kind = choose_simple(&call.accept);
    let links = Links::new(call, index, project, place);
    let cached_under = links.cached_under(call, place);
    let render = async {
        let files = call.registry().list_project_files(index, project).await?;
        let (index, project) = (index.clone(), project.clone());
        make_page(move || render_project(&index, &project, files, &links, kind.format)).await
    };
    let page = match cached_under {
        Some(place) => {
            let subject = Subject::Project(project.normal().into(), place);
            call.state.pages.get(index, subject, kind.format, render).await?
        }
        None => Arc::new(render.await?),
    };
    Ok(page.respond(call.headers(), kind.media_type, CACHE_CONTROL, VARY))
}

/// `POST /{user}/{index}/+simple/{project}/refresh`: nothing to refresh without mirrors but the reader's page.
pub(in crate::http) async fn refresh(
    call: &Call,
    index: &IndexName,
    project: &ProjectName,
) -> Result<HttpResponse, ApiError> {
    call.registry().get_index(index).await?;
    Err(ApiError::found(call.base_url.join(&format!("{index}/+simple/{}/", project.normal()))))
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
        if call.state.settings.absolute_urls || call.headers().contains_key(X_DEVPI_ABSOLUTE_URLS) {
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
    fn cached_under(&self, call: &Call, place: Place) -> Option<Place> {
        match self {
            Self::Relative(_) => Some(place),
            Self::Absolute(base) if call.state.settings.is_outside_url(base) => Some(Place::Absolute),
            Self::Absolute(_) => None,
        }
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

fn render_list(index: &IndexName, listed: Vec<ListedIndex>, format: SimpleFormat) -> Vec<u8> {
    let groups = listed.into_iter().map(|listed| {
        let bases: Vec<String> = listed.bases.iter().map(ToString::to_string).collect();
        let title = if bases.is_empty() {
            listed.index.to_string()
        } else {
            format!("{} (bases: {})", listed.index, bases.join(","))
        };
        ProjectGroup { title, projects: listed.projects }
    });
    let list = ProjectList { groups: groups.collect() };
    match format {
        SimpleFormat::Json => list.render_json(),
        SimpleFormat::Html => {
            list.render_html(&format!("{index}: simple list (including inherited indices)"))
        }
    }
}

fn render_project(
    index: &IndexName,
    project: &ProjectName,
    files: ProjectFiles,
    links: &Links,
    format: SimpleFormat,
) -> Vec<u8> {
    let page = ProjectDetail {
        name: project.normal().into(),
        versions: files.versions,
        files: files.files.into_iter().map(|file| show_file(file, links)).collect(),
    };
    match format {
        SimpleFormat::Json => page.render_json(),
        SimpleFormat::Html => page.render_html(&format!("{index}: links for {}", project.normal())),
    }
}

fn show_file(file: ListedFile, links: &Links) -> File {
    File {
        url: links.to(file.link.path.as_str()),
        filename: file.link.file_name,
        sha256: file.link.sha256,
        requires_python: file.requires_python,
        core_metadata: file.link.core_metadata,
        size: file.link.size,
        upload_time: file.link.uploaded_at,
        source: file.index.to_string().into(),
    }
}
