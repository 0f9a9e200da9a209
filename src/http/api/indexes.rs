//! Indexes (`server-api` section 9).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::Value;

use crate::domain::index::NoChange;
use crate::http::call::Call;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::storage::model::IndexName;

/// `GET /{user}/{index}`
pub(in crate::http) async fn show(call: &Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let mut settings = call.registry().get_index(index).await?.into_settings();
    if !call.has_parameter("no_projects") {
        let projects = call.registry().list_own_projects(index).await?;
        let projects: Vec<Value> = projects.iter().map(|name| name.as_ref().into()).collect();
        settings.insert("projects".to_owned(), projects.into());
    }
    Ok(envelope::result(StatusCode::OK, "indexconfig", settings.into()))
}

/// `PUT /{user}/{index}`
pub(in crate::http) async fn create(call: &mut Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().check_new_index(&caller, index).await?;
    let asked = call.json_object().await?;
    let config = call.registry().create_index(&caller, index, &asked).await?;
    // devpi answers 200 here, and 201 to the deletion.
    Ok(envelope::result(StatusCode::OK, "indexconfig", config.into_settings().into()))
}

/// `PATCH /{user}/{index}`
pub(in crate::http) async fn modify(call: &mut Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().check_index_change(&caller, index).await?;
    let patch = call.json().await?;
    let no_change = if call.has_parameter("error_on_noop") { NoChange::Refuse } else { NoChange::Accept };
    let config = call.registry().modify_index(&caller, index, &patch, no_change).await?;
    Ok(envelope::result(StatusCode::OK, "indexconfig", config.into_settings().into()))
}

/// `DELETE /{user}/{index}`
pub(in crate::http) async fn delete(call: &Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().delete_index(&caller, index).await?;
    Ok(envelope::message(StatusCode::CREATED, &format!("index {index} deleted")))
}
