//! A request on its way through a handler.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use serde_json::{Map, Value};

use super::connection::ConnectionState;
use super::error::ApiError;
use super::extract::body::Body;
use super::extract::credentials::credentials;
use super::negotiate::{Accept, is_installer};
use super::state::State;
use super::urls::BaseUrl;
use crate::domain::Registry;
use crate::domain::acl::Caller;
use crate::domain::deletion::Force;

/// The name under which replicas of devpi talk to their primary.
pub(super) const REPLICA_USER: &str = "+replica";

/// A request with what all handlers need to know of it.
pub(super) struct Call {
    pub(super) state: Data<State>,
    pub(super) request: HttpRequest,
    pub(super) body: Body,
    pub(super) accept: Rc<Accept>,
    pub(super) base_url: BaseUrl,
    /// The decoded path without the base URL's own path.
    pub(super) path: String,
    /// Whether the client installs packages.
    pub(super) installer: bool,
}

impl Call {
    pub(super) fn new(
        state: Data<State>,
        request: HttpRequest,
        body: Body,
        accept: Rc<Accept>,
        base_url: BaseUrl,
        path: String,
    ) -> Self {
        let installer = is_installer(request.headers());
        Self { state, request, body, accept, base_url, path, installer }
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.state.registry
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    pub(super) fn method(&self) -> &Method {
        self.request.method()
    }

    /// The connection, which may send a file itself; `None` where nothing but a head is wanted.
    pub(super) fn direct_connection(&self) -> Option<Rc<ConnectionState>> {
        self.request.conn_data().filter(|_| *self.method() != Method::HEAD).cloned()
    }

    /// Who sent the request. Wrong credentials are no error: the caller is anonymous then.
    pub(super) async fn caller(&self) -> Result<Caller, ApiError> {
        match credentials(self.headers()) {
            Some(credentials) if credentials.user == REPLICA_USER => Err(ApiError::malformed_authorization()),
            Some(credentials) => Ok(self.state.authenticator.authenticate(&credentials).await?),
            None => Ok(Caller::anonymous()),
        }
    }

    /// Whether the query has a parameter, with whatever value.
    pub(super) fn has_parameter(&self, name: &str) -> bool {
        form_urlencoded::parse(self.request.query_string().as_bytes()).any(|(key, _)| key == name)
    }

    /// Whether a deletion is to overrule a non-volatile index.
    pub(super) fn force(&self) -> Force {
        if self.has_parameter("force") { Force::Yes } else { Force::No }
    }

    /// The JSON body as an object.
    pub(super) async fn json_object(&mut self) -> Result<Map<String, Value>, ApiError> {
        self.body.json_object(self.state.limits.json_body).await
    }

    /// The JSON body.
    pub(super) async fn json(&mut self) -> Result<Value, ApiError> {
        self.body.json(self.state.limits.json_body).await
    }
}

/// A field of a JSON object that must be a text if it is there; null counts as absent.
pub(super) fn text_field<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, ApiError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::message(StatusCode::BAD_REQUEST, format!("'{name}' must be a string"))),
    }
}
