//! Uploads and registrations (`server-api` section 11).

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::http::{Method, StatusCode};

use super::push;
use crate::domain::acl::Caller;
use crate::domain::quote;
use crate::domain::upload::UploadOutcome;
use crate::domain::upload_form::UploadForm;
use crate::http::call::Call;
use crate::http::error::ApiError;
use crate::http::extract::form::{self, FormType, ReadForm};
use crate::http::extract::memory::Sender;
use crate::storage::model::IndexName;

/// The field that says what the form is for.
const ACTION: &str = ":action";

/// `POST /{user}/{index}/`, and `PUSH`: a form is an upload, anything else a push
pub(in crate::http) async fn receive(call: &mut Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let form_type = FormType::of(call.headers()).filter(|_| *call.method() == Method::POST);
    let limits = call.state.limits;
    match form_type {
        None => push::push(call, index).await,
        Some(FormType::UrlEncoded) => {
            let permission = check(call, index).await;
            // curl gives JSON this type unless told otherwise, and a push has rules of its own. Of whoever may not
            // upload no more is taken into memory than a push has.
            let (limit, sender) = match &permission {
                Ok(uploader) => (limits.form_total, uploader),
                Err(_) => (limits.json_body, &Sender::Anybody),
            };
            let bytes = match call.body.bytes(limit, sender).await {
                Ok(bytes) => bytes,
                Err(error) => return Err(permission.err().unwrap_or(error)),
            };
            let form = form::parse(&bytes, &limits)?;
            if action(&form).is_none() {
                return push::push_json(call, index, &bytes).await;
            }
            permission?;
            act(call, &call.caller().await?, index, ReadForm { form, file: None }).await
        }
        Some(FormType::Multipart { boundary }) => {
            // The body may be long: whoever may not upload hears it before.
            let uploader = check(call, index).await?;
            let body = call.body.clone();
            let form =
                form::read(&boundary, call.headers(), body, call.registry(), &limits, &uploader).await?;
            // That may have taken long: who was deleted meanwhile is nobody. What he may is asked with the change.
            act(call, &call.caller().await?, index, form).await
        }
    }
}

/// The caller, if he may upload to an index; all who need no login for that are one.
async fn check(call: &Call, index: &IndexName) -> Result<Sender, ApiError> {
    let caller = call.caller().await?;
    call.registry().check_upload(&caller, index).await?;
    Ok(Sender::Uploader(caller.name().cloned().unwrap_or_default()))
}

/// What a form is for.
fn action(form: &UploadForm) -> Option<&str> {
    form.get(ACTION).filter(|action| !action.is_empty())
}

/// Does what a form of a caller is for who, at its beginning, may upload.
async fn act(
    call: &Call,
    caller: &Caller,
    index: &IndexName,
    form: ReadForm,
) -> Result<HttpResponse, ApiError> {
    let ReadForm { form, file } = form;
    let registry = call.registry();
    match action(&form) {
        None => Err(ApiError::abort(StatusCode::BAD_REQUEST, "Bad request: could not decode json")),
        Some("submit") => {
            registry.register(caller, index, &form).await?;
            Ok(accepted())
        }
        Some("file_upload") => show(registry.upload(caller, index, &form, file).await?),
        Some("doc_upload") => show(registry.upload_docs(caller, index, &form, file).await?),
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
