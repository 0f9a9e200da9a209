//! Results of test runs (`server-api` section 15).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::http::call::Call;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::extract::content;
use crate::storage::model::{IndexName, StoredPath};

/// `POST /{user}/{index}/+f/…`
pub(in crate::http) async fn upload(
    call: &Call,
    index: &IndexName,
    path: &StoredPath,
) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().check_tox_result(&caller, index, path).await?;
    let limit = call.state.limits.tox_result;
    let received = content::receive(call.body.clone(), call.registry(), limit).await?;
    let stored = call.registry().upload_tox_result(&caller, index, path, received).await?;
    let shown = format!("{}#sha256={}", stored.path, stored.sha256);
    Ok(envelope::result(StatusCode::OK, "toxresultpath", shown.into()))
}
