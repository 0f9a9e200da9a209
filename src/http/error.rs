//! Answers other than hoped for: devpi's body shapes (`server-api` section 2.2).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, LOCATION, WWW_AUTHENTICATE};
use serde::Serialize;
use tracing::{debug, error};

use super::envelope;
use super::forwarded::MalformedHeader;
use super::negotiate::{Accept, HTML, JSON};
use super::reason;
use crate::ascii_json;

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
    headers: Vec<(HeaderName, String)>,
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

    /// An original request that would be refused.
    pub(super) fn refused() -> Self {
        Self { detail: String::new(), ..Self::forbidden() }
    }

    /// An original request that would be answered: no error, but in the shape of one.
    pub(super) fn allowed() -> Self {
        Self::new(StatusCode::OK, Shape::Framework, "")
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

    /// A trusted proxy sent nonsense.
    pub(super) fn malformed_header(header: MalformedHeader) -> Self {
        let text = format!("Bad Request\r\n\r\nHeader \"{}\" malformed.\r\n", header.0);
        Self::new(StatusCode::BAD_REQUEST, Shape::Server, text)
    }

    /// Something failed inside.
    pub(super) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let text =
            "Internal Server Error\r\n\r\nThe server encountered an unexpected internal server error\r\n";
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, Shape::Server, text);
        error.cause = Some(cause.into());
        error
    }

    /// Adds what the log is to have and the client is not.
    pub(super) fn with_cause(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds a header.
    pub(super) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Whether the request made it as far as to an answer of the application; else devpi's own headers are absent.
    pub(super) fn is_of_application(&self) -> bool {
        self.shape != Shape::Server
    }

    /// Tells the log why `request` is refused, or could not be answered.
    pub(super) fn log(&self, request: &str) {
        match &self.cause {
            Some(cause) if self.status.is_server_error() => error!("{request}: {cause:#}"),
            _ => debug!(status = self.status.as_u16(), "{request}: {}", self.message),
        }
    }

    /// The answer to a client with this `Accept` header.
    pub(super) fn respond(&self, accept: &Accept) -> HttpResponse {
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
