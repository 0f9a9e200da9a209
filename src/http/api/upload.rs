//! Uploads and registrations (`server-api` section 11).

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::http::{Method, StatusCode};

use super::push;
use crate::domain::quote;
use crate::domain::upload::UploadOutcome;
use crate::http::call::Call;
use crate::http::error::ApiError;
use crate::http::extract::form::{self, FormType, ReadForm};
use crate::storage::model::IndexName;

/// The field that says what the form is for.
const ACTION: &str = ":action";

/// `POST /{user}/{index}/`, and `PUSH`
pub(in crate::http) async fn receive(call: &mut Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let form_type = FormType::of(call.headers());
    let (Some(form_type), true) = (form_type, *call.method() == Method::POST) else {
        return push::push(call, index).await;
    };
    let caller = call.caller().await?;
    call.registry().check_upload(&caller, index).await?;
    let body = call.body.clone();
    let limits = call.state.limits;
    let ReadForm { form, file } =
        form::read(form_type, call.headers(), body, call.registry(), &limits).await?;
    match form.get(ACTION) {
        None | Some("") => {
            Err(ApiError::abort(StatusCode::BAD_REQUEST, "Bad request: could not decode json"))
        }
        Some("submit") => {
            call.registry().register(&caller, index, &form).await?;
            Ok(accepted())
        }
        Some("file_upload") => show(call.registry().upload(&caller, index, &form, file).await?),
        Some("doc_upload") => show(call.registry().upload_docs(&caller, index, &form, file).await?),
        Some(action) => {
            let text = format!("action {} not supported", quote(action));
            Err(ApiError::submit(StatusCode::BAD_REQUEST, text))
        }
    }
}

fn show(outcome: UploadOutcome) -> Result<HttpResponse, ApiError> {
    match outcome {
        UploadOutcome::Stored => Ok(accepted()),
        // A success with a message is sent like an error: devpi does so, and clients look at the status.
        UploadOutcome::Identical => {
            Err(ApiError::submit(StatusCode::OK, "Upload of identical file to non volatile index."))
        }
    }
}

/// devpi-client takes nothing but 200 for a success.
fn accepted() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/html; charset=UTF-8")).body("")
}
