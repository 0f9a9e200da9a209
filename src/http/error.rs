//! Errors as answers: devpi's body shapes (`server-api` section 2.2), and which error is which status.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use serde::Serialize;
use tracing::{debug, error};

use super::envelope;
use super::negotiate::{Accept, HTML, JSON};
use super::reason;
use crate::ascii_json;
use crate::auth::authenticator::AuthError;
use crate::auth::password::PasswordError;
use crate::domain::file::FileError;
use crate::domain::index::IndexError;
use crate::domain::project::{DeleteError, ProjectError};
use crate::domain::upload::UploadError;
use crate::domain::user::UserError;
use crate::storage::StorageError;

/// The shape of an error's body, by where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A JSON message, whatever the client accepts (A).
    Message,
    /// A JSON message for clients that mention JSON, else a page (B).
    Abort,
    /// The text of the framework: page, JSON or plain text (C).
    Framework,
    /// The outcome of an upload: the message is the reason phrase (D).
    Submit,
    /// The server gave up: plain text (E).
    Server,
}

/// An answer other than the one that was hoped for. The cause goes to the log, never to the body.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    shape: Shape,
    message: String,
    detail: String,
    headers: Vec<(actix_web::http::header::HeaderName, String)>,
    cause: Option<anyhow::Error>,
}

impl ApiError {
    fn new(status: StatusCode, shape: Shape, message: impl ToString) -> Self {
        Self {
            status,
            shape,
            message: message.to_string(),
            detail: String::new(),
            headers: Vec::new(),
            cause: None,
        }
    }

    /// A JSON message, whatever the client accepts.
    pub(super) fn message(status: StatusCode, message: impl ToString) -> Self {
        Self::new(status, Shape::Message, message)
    }

    /// A message in the form that the client accepts.
    pub(super) fn abort(status: StatusCode, message: impl ToString) -> Self {
        Self::new(status, Shape::Abort, message)
    }

    /// The outcome of an upload, told in the reason phrase.
    pub(super) fn submit(status: StatusCode, message: impl ToString) -> Self {
        Self::new(status, Shape::Submit, message)
    }

    /// No route or no view fits the request.
    pub(super) fn no_route(detail: impl ToString) -> Self {
        let mut error =
            Self::new(StatusCode::NOT_FOUND, Shape::Framework, "The resource could not be found.");
        error.detail = detail.to_string();
        error
    }

    /// The caller lacks a permission.
    pub(super) fn forbidden() -> Self {
        let mut error =
            Self::new(StatusCode::FORBIDDEN, Shape::Framework, "Access was denied to this resource.");
        error.detail.push_str("Unauthorized: PyPIView failed permission check");
        error
    }

    /// The user name of replicas is not for logins.
    pub(super) fn malformed_authorization() -> Self {
        Self { detail: "Authorization malformed.".to_owned(), ..Self::forbidden() }
    }

    /// The caller must log in: the one place where devpi asks for Basic authentication. distutils answers only to
    /// the realm `pypi`.
    pub(super) fn unauthorized() -> Self {
        let text = "This server could not verify that you are authorized to access the document you requested.  \
                    Either you supplied the wrong credentials (e.g., bad password), or your browser does not \
                    understand how to supply the credentials required.";
        let mut error = Self::new(StatusCode::UNAUTHORIZED, Shape::Framework, text);
        error.headers.push((WWW_AUTHENTICATE, "Basic realm=\"pypi\"".to_owned()));
        error
    }

    /// The resource is elsewhere.
    pub(super) fn found(location: String) -> Self {
        let text = format!("The resource was found at {location}; you should be redirected automatically.");
        let mut error = Self::new(StatusCode::FOUND, Shape::Framework, text);
        error.headers.push((LOCATION, location));
        error
    }

    /// The body is larger than `limit` bytes.
    pub(super) fn too_large(limit: u64) -> Self {
        let text = format!("Request Entity Too Large\r\n\r\nexceeds max_body of {limit}\r\n");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Shape::Server, text)
    }

    /// Something that devpi has and this server has not yet.
    pub(super) fn not_yet(what: &str) -> Self {
        let text = format!("{what} is not supported yet by this server");
        Self::new(StatusCode::NOT_IMPLEMENTED, Shape::Message, text)
    }

    /// Something failed inside.
    pub(super) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let text =
            "Internal Server Error\r\n\r\nThe server encountered an unexpected internal server error\r\n";
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, Shape::Server, text);
        error.cause = Some(cause.into());
        error
    }

    /// Adds a header.
    pub(super) fn with_header(mut self, name: actix_web::http::header::HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Whether the request made it as far as to an answer of the application; else devpi's own headers are absent.
    pub(super) fn is_of_application(&self) -> bool {
        self.shape != Shape::Server
    }

    /// The answer to a client with this `Accept` header.
    pub(super) fn respond(&self, accept: &Accept) -> HttpResponse {
        match &self.cause {
            Some(cause) if self.status.is_server_error() => error!("{cause:#}"),
            _ => debug!(status = self.status.as_u16(), "{}", self.message),
        }
        let mut response = match self.shape {
            Shape::Message => envelope::message(self.status, &self.message),
            Shape::Abort if accept.mentions_json() => envelope::message(self.status, &self.message),
            Shape::Abort => self.negotiated(accept, Missing::MeansAnything),
            Shape::Framework | Shape::Submit => self.negotiated(accept, Missing::MeansText),
            Shape::Server => HttpResponse::build(self.status)
                .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
                .body(self.message.clone()),
        };
        if self.shape == Shape::Submit {
            response.head_mut().reason = reason::intern(&self.message);
        }
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            response.head_mut().reason = Some("Request Entity Too Large");
        }
        for (name, value) in &self.headers {
            // A location comes from a URL and has only ASCII in it; anything else would be a mistake of ours.
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name.clone(), value);
            }
        }
        response
    }

    /// Title and explanation: an upload's message is the title.
    fn parts(&self) -> (String, &str) {
        let reason = self.status.canonical_reason().unwrap_or_default();
        match self.shape {
            Shape::Submit => (self.message.clone(), ""),
            _ => (reason.to_owned(), &self.message),
        }
    }

    fn negotiated(&self, accept: &Accept, missing: Missing) -> HttpResponse {
        let (title, explanation) = self.parts();
        let status = format!("{} {title}", self.status.as_u16());
        let (html, json) = (accept.quality(HTML), accept.quality(JSON));
        let wants_text = !accept.is_present() && missing == Missing::MeansText;
        let mut response = HttpResponse::build(self.status);
        if wants_text || (html == 0 && json == 0) {
            let text = format!("{status}\n\n{}", self.lines(explanation));
            response.insert_header((CONTENT_TYPE, "text/plain; charset=UTF-8")).body(text)
        } else if html >= json {
            let between = if self.status == StatusCode::FOUND { "" } else { "<br/><br/>\n" };
            let page = format!(
                "<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  \
                 {explanation}{between}{detail}\n\n\n </body>\n</html>",
                title = escape(&status, Quotes::Stay),
                explanation = escape(explanation, Quotes::Escaped),
                detail = escape(&self.detail, Quotes::Escaped),
            );
            response.insert_header((CONTENT_TYPE, "text/html; charset=UTF-8")).body(page)
        } else {
            let body = FrameworkJson { message: self.lines(explanation), code: status, title };
            response.insert_header((CONTENT_TYPE, JSON)).body(ascii_json::to_line(&body))
        }
    }

    fn lines(&self, explanation: &str) -> String {
        match self.status {
            StatusCode::FOUND => format!("{explanation}\n\n"),
            _ => format!("{explanation}\n\n\n{}\n\n", self.detail),
        }
    }
}

/// What no `Accept` header at all means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    MeansAnything,
    MeansText,
}

#[derive(Serialize)]
struct FrameworkJson {
    message: String,
    code: String,
    title: String,
}

/// Whether quotes are escaped, which text outside of attributes does not need.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Stay,
    Escaped,
}

fn escape(text: &str, quotes: Quotes) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' if quotes == Quotes::Escaped => escaped.push_str("&quot;"),
            '\'' if quotes == Quotes::Escaped => escaped.push_str("&#x27;"),
            _ if character.is_ascii() => escaped.push(character),
            _ => escaped.extend(["&#", &u32::from(character).to_string(), ";"]),
        }
    }
    escaped
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full(_) => {
                let mut answer =
                    Self::submit(StatusCode::INSUFFICIENT_STORAGE, "no space left on the server");
                answer.cause = Some(error.into());
                answer
            }
            StorageError::Closed => {
                Self::message(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down")
            }
            StorageError::Damaged(_) | StorageError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Wrong => Self::message(StatusCode::UNAUTHORIZED, error),
            AuthError::Storage(error) => error.into(),
            AuthError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::UnusableHash => Self::message(StatusCode::BAD_REQUEST, error),
            PasswordError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<UserError> for ApiError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::MayNotCreate | UserError::MayNotDelete => Self::forbidden(),
            UserError::MayNotModify(_)
            | UserError::MayNotChangePassword(_)
            | UserError::NonVolatileIndex { .. } => Self::message(StatusCode::FORBIDDEN, error),
            UserError::Exists => Self::message(StatusCode::CONFLICT, error),
            UserError::Unknown(_) => Self::abort(StatusCode::NOT_FOUND, error),
            UserError::Name(_) | UserError::UnknownKeys(_) => Self::message(StatusCode::BAD_REQUEST, error),
            UserError::Storage(error) => error.into(),
        }
    }
}

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Unknown(_) | IndexError::UnknownUser(_) => Self::abort(StatusCode::NOT_FOUND, error),
            IndexError::Exists(_) => Self::message(StatusCode::CONFLICT, error),
            IndexError::MayNotCreate(_) | IndexError::NonVolatile(_) => {
                Self::message(StatusCode::FORBIDDEN, error)
            }
            IndexError::MayNotChange => Self::forbidden(),
            IndexError::Name(_) | IndexError::Config(_) | IndexError::NoChange => {
                Self::message(StatusCode::BAD_REQUEST, error)
            }
            IndexError::Storage(error) => error.into(),
        }
    }
}

impl From<ProjectError> for ApiError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::UnknownIndex(_)
            | ProjectError::Unknown(_)
            | ProjectError::UnknownVersion { .. } => Self::abort(StatusCode::NOT_FOUND, error),
            ProjectError::Storage(error) => error.into(),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Forbidden => Self::forbidden(),
            DeleteError::ProjectOnNonVolatile { .. } => Self::message(StatusCode::FORBIDDEN, error),
            DeleteError::NonVolatile => Self::abort(StatusCode::FORBIDDEN, error),
            DeleteError::UnknownProject => Self::message(StatusCode::NOT_FOUND, error),
            DeleteError::UnknownProjectOfRelease { .. }
            | DeleteError::UnknownRelease { .. }
            | DeleteError::UnknownFile(_) => Self::abort(StatusCode::NOT_FOUND, error),
            DeleteError::AlreadyDeleted(_) => Self::abort(StatusCode::GONE, error),
            DeleteError::Storage(error) => error.into(),
        }
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::UnknownIndex(_) | FileError::Unknown | FileError::NoCoreMetadata(_) => {
                Self::abort(StatusCode::NOT_FOUND, error)
            }
            FileError::Deleted => Self::abort(StatusCode::GONE, error),
            FileError::Storage(error) => error.into(),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::UnknownIndex(_) => Self::abort(StatusCode::NOT_FOUND, error),
            UploadError::Unauthenticated => Self::unauthorized(),
            UploadError::Forbidden => Self::submit(StatusCode::FORBIDDEN, error),
            UploadError::Conflict(_) => Self::submit(StatusCode::CONFLICT, error),
            UploadError::NoFile
            | UploadError::ForeignVersion { .. }
            | UploadError::NoArchiveName(_)
            | UploadError::ForeignProject { .. }
            | UploadError::FileName(_)
            | UploadError::Metadata(_)
            | UploadError::WrongDigest { .. }
            | UploadError::BrokenArchive { .. } => Self::submit(StatusCode::BAD_REQUEST, error),
            UploadError::Storage(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use actix_web::http::header::{ACCEPT, HeaderMap, HeaderValue};

    async fn body(error: ApiError, accept: Option<&'static str>) -> (String, String) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        let response = error.respond(&Accept::new(&headers));
        let content_type = response.headers().get(CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body()).await.ok().unwrap();
        (content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    const TEXT: &str = "text/plain; charset=UTF-8";
    const PAGE: &str = "text/html; charset=UTF-8";

    #[actix_web::test]
    async fn bodies_are_devpis_to_the_byte() {
        let stage = || ApiError::abort(StatusCode::NOT_FOUND, "The stage 'a' could not be found.");
        let page = "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n  \
                    The stage &#x27;a&#x27; could not be found.<br/><br/>\n\n\n\n </body>\n</html>";
        assert_eq!(body(stage(), None).await, (PAGE.into(), page.into()));
        assert_eq!(
            body(stage(), Some("image/png")).await,
            (TEXT.into(), "404 Not Found\n\nThe stage 'a' could not be found.\n\n\n\n\n".into())
        );
        assert_eq!(
            body(stage(), Some("text/html, application/json;q=0.1")).await,
            (JSON.into(), "{\n  \"message\": \"The stage 'a' could not be found.\"\n}\n".into())
        );

        let route = || ApiError::no_route("/+nope");
        assert_eq!(
            body(route(), None).await,
            (TEXT.into(), "404 Not Found\n\nThe resource could not be found.\n\n\n/+nope\n\n".into())
        );
        let json = "{\"message\": \"The resource could not be found.\\n\\n\\n/+nope\\n\\n\", \
                    \"code\": \"404 Not Found\", \"title\": \"Not Found\"}";
        assert_eq!(body(route(), Some("application/json")).await, (JSON.into(), json.into()));
        assert_eq!(body(route(), Some("application/json, text/html")).await.0, PAGE);

        let conflict = || ApiError::submit(StatusCode::CONFLICT, "x already exists");
        assert_eq!(body(conflict(), None).await, (TEXT.into(), "409 x already exists\n\n\n\n\n\n\n".into()));
        let json = "{\"message\": \"\\n\\n\\n\\n\\n\", \"code\": \"409 x already exists\", \
                    \"title\": \"x already exists\"}";
        assert_eq!(body(conflict(), Some("application/json")).await, (JSON.into(), json.into()));
    }

    #[actix_web::test]
    async fn causes_stay_inside() {
        let (_, text) = body(ApiError::internal(anyhow::anyhow!("the password is x")), None).await;
        assert!(!text.contains("password"));
    }
}
