//! The only list of URLs: which path is which route, and which handler answers it.
//!
//! devpi tries its routes in an order and with conditions (`Accept`, `User-Agent`) that no router of a framework
//! expresses: see `server-api` section 3. So a path is taken apart here, once, and the table below decides.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, VARY};
use futures_util::FutureExt;

use super::api::{
    authcheck, files, indexes, login, projects, server_api, simple, status, tox_results, upload, users,
};
use super::cache::Place;
use super::call::Call;
use super::error::ApiError;
use super::negotiate::{HTML, JSON, SIMPLE_JSON, SimpleFormat, choose_simple};
use super::urls::path_of_uri;
use crate::pep::name::ProjectName;
use crate::storage::model::{IndexName, StoredPath};

const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    /// `/`
    Root,
    /// `/+status`
    Status,
    /// `/+login`
    Login,
    /// `/+authcheck`
    AuthCheck,
    /// `/+api`, `/{user}/+api`, and with an index `/{user}/{index}/+api`
    Api(Option<IndexName>),
    /// `/{user}`
    User(String),
    /// `/{user}/{index}`
    Index(IndexName),
    /// `/{user}/{index}/+f/…` and `/{user}/{index}/+e/…`
    File(IndexName, StoredPath, FileKind),
    /// `/{user}/{index}/+simple`
    SimpleList(IndexName, Slash),
    /// `/{user}/{index}/+simple/{project}`
    SimpleProject(IndexName, ProjectName, Slash),
    /// `/{user}/{index}/+simple/{project}/refresh`
    Refresh(IndexName, ProjectName),
    /// `/{user}/{index}/{project}`
    Project(IndexName, ProjectName, Slash),
    /// `/{user}/{index}/{project}/{version}`
    Release(IndexName, ProjectName, String),
}

/// Whether a path ends with a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slash {
    With,
    Without,
}

impl Route {
    /// Takes a decoded path apart. `None` if no route has this form.
    fn parse(path: &str) -> Option<Self> {
        let path = path.trim_start_matches('/');
        if path.is_empty() {
            return Some(Self::Root);
        }
        if let Some(file) = parse_file(path) {
            return Some(file);
        }
        let (path, slash) = match path.strip_suffix('/') {
            Some(path) => (path, Slash::With),
            None => (path, Slash::Without),
        };
        let segments: Vec<&str> = path.split('/').collect();
        if segments.iter().any(|segment| segment.is_empty()) {
            return None;
        }
        let route = match (segments.as_slice(), slash) {
            (["+status"], Slash::Without) => Self::Status,
            (["+login"], Slash::Without) => Self::Login,
            (["+authcheck"], Slash::Without) => Self::AuthCheck,
            (["+api"], Slash::Without) => Self::Api(None),
            ([user, "+api"], Slash::Without) if is_name(user) => Self::Api(None),
            ([user, index, "+api"], Slash::Without) => Self::Api(Some(index_name(user, index)?)),
            ([user, index, "+simple"], _) => Self::SimpleList(index_name(user, index)?, slash),
            ([user, index, "+simple", project], _) if is_name(project) => {
                Self::SimpleProject(index_name(user, index)?, ProjectName::from_url(project), slash)
            }
            ([user, index, "+simple", project, "refresh"], Slash::Without) if is_name(project) => {
                Self::Refresh(index_name(user, index)?, ProjectName::from_url(project))
            }
            ([user], _) if is_name(user) => Self::User((*user).to_owned()),
            ([user, index], _) => Self::Index(index_name(user, index)?),
            ([user, index, project], _) if is_name(project) => {
                Self::Project(index_name(user, index)?, ProjectName::from_url(project), slash)
            }
            ([user, index, project, version], _) if is_name(project) => {
                let (index, project) = (index_name(user, index)?, ProjectName::from_url(project));
                Self::Release(index, project, (*version).to_owned())
            }
            _ => return None,
        };
        Some(route)
    }

    /// Where a GET with an unnormalised project name is sent: the same route with the normal name.
    fn normalised(&self) -> Option<String> {
        match self {
            Self::SimpleProject(index, project, slash) if !project.is_normal() => {
                let slash = if *slash == Slash::With { "/" } else { "" };
                Some(format!("{index}/+simple/{}{slash}", project.normal()))
            }
            Self::Project(index, project, _) if !project.is_normal() => {
                Some(format!("{index}/{}", project.normal()))
            }
            Self::Release(index, project, version) if !project.is_normal() => {
                Some(format!("{index}/{}/{version}", project.normal()))
            }
            _ => None,
        }
    }
}

/// A path to a stored file: there is a slash after the `+f`, and slashes at the end do not count.
fn parse_file(path: &str) -> Option<Route> {
    let mut parts = path.splitn(4, '/');
    let (user, index, kind, _rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let kind = match kind {
        "+f" => FileKind::Hashed,
        "+e" => FileKind::Unhashed,
        _ => return None,
    };
    Some(Route::File(index_name(user, index)?, StoredPath::new(path.trim_end_matches('/')), kind))
}

/// Which of the two forms the path of a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    /// `+f`: with the beginning of its hash.
    Hashed,
    /// `+e`: of a mirror whose upstream gave no hash.
    Unhashed,
}

/// Users, indexes and projects have no plus sign in URLs.
fn is_name(segment: &str) -> bool {
    !segment.is_empty() && !segment.contains('+')
}

fn index_name(user: &str, index: &str) -> Option<IndexName> {
    (is_name(user) && is_name(index)).then(|| IndexName::new(user, index))
}

/// Finds the handler of a request and runs it.
///
/// Each handler's future has its own place on the heap: this one would be as large as the largest of them, some
/// kilobytes, and is moved several times before it runs.
pub(super) async fn dispatch(call: &mut Call) -> Result<HttpResponse, ApiError> {
    let Some(route) = Route::parse(&call.path) else { return Err(ApiError::no_route(&call.path)) };
    if *call.method() == Method::GET
        && let Some(path) = route.normalised()
    {
        if let Route::SimpleProject(_, project, _) = &route {
            simple::refuse_unicode(project)?;
        }
        return Err(ApiError::found(call.base_url.join(&path)));
    }
    let method = call.method().clone();
    let is_get = matches!(method, Method::GET | Method::HEAD);
    let takes_json = call.accept.admits(JSON);
    match (route, method.as_str()) {
        (Route::Root, _) if is_get && takes_json => users::list(call).boxed_local().await,
        (Route::Status, _) if takes_json => status::show(call).boxed_local().await,
        (Route::Api(_) | Route::Login, _) if !takes_json => Err(ApiError::no_route(&call.path)),
        (Route::Api(index), _) => server_api::show(call, index).boxed_local().await,
        (Route::Login, "POST") => login::login(call).boxed_local().await,
        (Route::AuthCheck, _) => {
            authcheck::check(call, original_subject(call, takes_json)).boxed_local().await
        }

        (Route::User(user), _) if is_get && takes_json => users::show(call, &user).boxed_local().await,
        (Route::User(user), "PUT") => users::create(call, &user).boxed_local().await,
        (Route::User(user), "PATCH") => users::modify(call, &user).boxed_local().await,
        (Route::User(user), "DELETE") => users::delete(call, &user).boxed_local().await,

        (Route::Index(index), _) if is_get && call.installer => {
            if call.accept.admits(HTML) || call.accept.admits(SIMPLE_JSON) {
                simple::list(call, &index).boxed_local().await
            } else {
                Err(ApiError::no_route(""))
            }
        }
        (Route::Index(index), _)
            if is_get && call.accept.quality(SIMPLE_JSON) > call.accept.quality(JSON) =>
        {
            simple::list(call, &index).boxed_local().await
        }
        (Route::Index(index), _) if is_get && takes_json => indexes::show(call, &index).boxed_local().await,
        (Route::Index(index), "PUT") => indexes::create(call, &index).boxed_local().await,
        (Route::Index(index), "PATCH") => indexes::modify(call, &index).boxed_local().await,
        (Route::Index(index), "DELETE") => indexes::delete(call, &index).boxed_local().await,
        (Route::Index(index), "POST" | "PUSH") => upload::receive(call, &index).boxed_local().await,

        (Route::File(index, path, _), "DELETE") => files::delete(call, &index, &path).boxed_local().await,
        (Route::File(index, path, FileKind::Hashed), "POST") => {
            tox_results::upload(call, &index, &path).boxed_local().await
        }
        (Route::File(index, path, _), _) => files::download(call, &index, &path).boxed_local().await,

        (Route::SimpleList(index, Slash::Without), _) => {
            if reads_directly(call) {
                simple::list(call, &index).boxed_local().await
            } else {
                let target = call.base_url.join(&format!("{index}/+simple/"));
                Err(ApiError::found(target).with_header(VARY, "User-Agent"))
            }
        }
        (Route::SimpleList(index, Slash::With), _) if is_get => {
            simple::list(call, &index).boxed_local().await
        }
        (Route::SimpleProject(index, project, Slash::Without), _) => {
            simple::refuse_unicode(&project)?;
            if reads_directly(call) {
                simple::project(call, &index, &project, Place::Simple).boxed_local().await
            } else {
                let target = call.base_url.join(&format!("{index}/+simple/{}/", project.normal()));
                Err(ApiError::found(target).with_header(VARY, "Accept, User-Agent"))
            }
        }
        (Route::SimpleProject(index, project, Slash::With), _) => {
            simple::refuse_unicode(&project)?;
            simple::project(call, &index, &project, Place::SimpleWithSlash).boxed_local().await
        }
        (Route::Refresh(index, project), "POST") => {
            simple::refresh(call, &index, &project).boxed_local().await
        }

        (Route::Project(index, project, slash), _) if is_get && call.installer => {
            let place = if slash == Slash::With { Place::ProjectWithSlash } else { Place::Project };
            simple::project(call, &index, &project, place).boxed_local().await
        }
        (Route::Project(index, project, _), _) if is_get && takes_json => {
            projects::show(call, &index, &project).boxed_local().await
        }
        (Route::Project(index, project, _), "DELETE") => {
            projects::delete(call, &index, &project).boxed_local().await
        }
        (Route::Release(index, project, version), _) if is_get && takes_json => {
            projects::show_release(call, &index, &project, &version).boxed_local().await
        }
        (Route::Release(index, project, version), "DELETE") => {
            projects::delete_release(call, &index, &project, &version).boxed_local().await
        }
        // devpi has one view for these and names what does not fit; for the others it names nothing.
        (Route::Root | Route::Status | Route::Login | Route::SimpleList(..) | Route::Refresh(..), method) => {
            Err(ApiError::no_route(format!("{method} with these accepted media types is not offered here")))
        }
        _ => Err(ApiError::no_route("")),
    }
}

/// What the request behind an authentication check is for: the one in `X-Original-URI`, else the check itself.
fn original_subject(call: &Call, takes_json: bool) -> authcheck::Subject {
    let Some(uri) = call.headers().get(X_ORIGINAL_URI) else { return authcheck::Subject::Other };
    let path = uri.to_str().ok().and_then(path_of_uri);
    match path.and_then(|path| Route::parse(call.base_url.strip_prefix(&path))) {
        None => authcheck::Subject::Nothing,
        Some(Route::Api(_) | Route::Login) if !takes_json => authcheck::Subject::Nothing,
        Some(Route::File(index, ..)) => authcheck::Subject::File(index),
        Some(_) => authcheck::Subject::Other,
    }
}

/// Whether a simple page without slash is served as it is: programs do not follow a redirect for nothing.
fn reads_directly(call: &Call) -> bool {
    call.installer || choose_simple(&call.accept).format == SimpleFormat::Json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> IndexName {
        IndexName::new("alice", "vol")
    }

    fn project(name: &str) -> ProjectName {
        ProjectName::from_url(name)
    }

    #[test]
    fn paths_have_their_routes() {
        let file = |path: &str| Route::File(index(), StoredPath::new(path), FileKind::Hashed);
        for (path, expected) in [
            ("/", Route::Root),
            ("//", Route::Root),
            ("/+status", Route::Status),
            ("/+login", Route::Login),
            ("/+api", Route::Api(None)),
            ("/alice/+api", Route::Api(None)),
            ("/alice/vol/+api", Route::Api(Some(index()))),
            ("/alice", Route::User("alice".into())),
            ("/alice/", Route::User("alice".into())),
            ("//alice/vol", Route::Index(index())),
            ("/alice/vol/", Route::Index(index())),
            ("/alice/vol/+f/a/b/x.whl", file("alice/vol/+f/a/b/x.whl")),
            ("/alice/vol/+f/a/b/x.whl//", file("alice/vol/+f/a/b/x.whl")),
            ("/alice/vol/+f/", file("alice/vol/+f")),
            (
                "/alice/vol/+e/d/x.zip",
                Route::File(index(), StoredPath::new("alice/vol/+e/d/x.zip"), FileKind::Unhashed),
            ),
            ("/alice/vol/+simple", Route::SimpleList(index(), Slash::Without)),
            ("/alice/vol/+simple/", Route::SimpleList(index(), Slash::With)),
            ("/alice/vol/+simple/x", Route::SimpleProject(index(), project("x"), Slash::Without)),
            ("/alice/vol/+simple/X_y/", Route::SimpleProject(index(), project("x-y"), Slash::With)),
            ("/alice/vol/+simple/x/refresh", Route::Refresh(index(), project("x"))),
            ("/alice/vol/x", Route::Project(index(), project("x"), Slash::Without)),
            ("/alice/vol/x/", Route::Project(index(), project("x"), Slash::With)),
            ("/alice/vol/x/1.0+local", Route::Release(index(), project("x"), "1.0+local".into())),
            ("/alice/vol/x/+toxresults", Route::Release(index(), project("x"), "+toxresults".into())),
        ] {
            assert_eq!(Route::parse(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn other_paths_have_none() {
        for path in [
            "/+nope",
            "/+api/",
            "/+status/",
            "/+login/",
            "/al+ice",
            "/alice/x+y",
            "/alice/+x",
            "/alice/vol/+api/",
            "/alice//vol",
            "/alice/vol//",
            "/alice/vol/+f",
            "/alice/vol/+simple//",
            "/alice/vol/+toxresults",
            "/alice/vol/pkg+a",
            "/alice/vol/x//",
            "/alice/vol/x/1.0/y",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }

    #[test]
    fn odd_spellings_are_sent_to_the_normal_one() {
        let target = |path| Route::parse(path).unwrap().normalised();
        assert_eq!(target("/alice/vol/+simple/Pkg_A/").as_deref(), Some("alice/vol/+simple/pkg-a/"));
        assert_eq!(target("/alice/vol/+simple/Pkg_A").as_deref(), Some("alice/vol/+simple/pkg-a"));
        assert_eq!(target("/alice/vol/Pkg_A/").as_deref(), Some("alice/vol/pkg-a"));
        assert_eq!(target("/alice/vol/Pkg_A/1.0").as_deref(), Some("alice/vol/pkg-a/1.0"));
        assert_eq!(target("/alice/vol/pkg-a/"), None);
    }
}
