//! Successful JSON answers: devpi's envelope (`server-api` section 2.1).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::negotiate::JSON;
use crate::ascii_json;

/// An answer with data of a `kind`.
pub(super) fn result(status: StatusCode, kind: &str, result: Value) -> HttpResponse {
    respond(status, [("result", result), ("type", kind.into())])
}

/// An answer with data of a `kind` and a message.
pub(super) fn result_with_message(kind: &str, result: Value, message: &str) -> HttpResponse {
    respond(StatusCode::OK, [("result", result), ("type", kind.into()), ("message", message.into())])
}

/// An answer with only a message.
pub(super) fn message(status: StatusCode, message: &str) -> HttpResponse {
    respond(status, [("message", message.into())])
}

fn respond<const N: usize>(status: StatusCode, fields: [(&str, Value); N]) -> HttpResponse {
    let body: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    // devpi-client reads messages only if the type is exactly this, without a charset.
    HttpResponse::build(status).insert_header((CONTENT_TYPE, JSON)).body(ascii_json::to_pretty(&body))
}
