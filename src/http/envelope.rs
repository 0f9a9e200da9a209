//! Successful JSON answers: devpi's envelope (`server-api` section 2.1).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

use super::error::ApiError;
use super::negotiate::JSON;
use crate::ascii_json;

/// An answer with data of a `kind`.
pub(super) fn result(status: StatusCode, kind: &str, result: Value) -> HttpResponse {
    respond(status, render_result(kind, result))
}

/// Such an answer with what `make` makes, which may have many megabytes: where that keeps nobody waiting.
pub(super) async fn large_result(
    kind: &'static str,
    make: impl FnOnce() -> Value + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let rendering = spawn_blocking(move || render_result(kind, make()));
    Ok(respond(StatusCode::OK, rendering.await.map_err(ApiError::internal)?))
}

fn render_result(kind: &str, result: Value) -> Vec<u8> {
    render_fields([("result", result), ("type", kind.into())])
}

/// An answer with data of a `kind` and a message.
pub(super) fn result_with_message(kind: &str, result: Value, message: &str) -> HttpResponse {
    let fields = [("result", result), ("type", kind.into()), ("message", message.into())];
    respond(StatusCode::OK, render_fields(fields))
}

/// An answer with only a message.
pub(super) fn message(status: StatusCode, message: &str) -> HttpResponse {
    respond(status, render_fields([("message", message.into())]))
}

fn render_fields<const N: usize>(fields: [(&str, Value); N]) -> Vec<u8> {
    let body: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    render(&body)
}

/// The body of an answer: an object with what the functions above put into it.
pub(super) fn render(body: &impl Serialize) -> Vec<u8> {
    ascii_json::to_pretty(body)
}

/// An answer with a rendered body.
pub(super) fn respond(status: StatusCode, body: Vec<u8>) -> HttpResponse {
    // devpi-client reads messages only if the type is exactly this, without a charset.
    HttpResponse::build(status).insert_header((CONTENT_TYPE, JSON)).body(body)
}
