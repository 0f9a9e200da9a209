//! Indexes (`server-api` section 9).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tokio::task::spawn_blocking;

use crate::domain::index::NoChange;
use crate::domain::project::ListedProjects;
use crate::http::call::Call;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::storage::model::{IndexName, IndexSettings};

/// `GET /{user}/{index}`
pub(in crate::http) async fn show(call: &Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let settings = call.registry().get_index(index).await?.into_shown();
    if call.has_parameter("no_projects") {
        return Ok(envelope::result(StatusCode::OK, "indexconfig", settings.into()));
    }
    let projects = call.registry().list_own_projects(index).await?;
    // A mirror's may be a million.
    let rendering = spawn_blocking(move || {
        let result = IndexView { settings: &settings, projects: &projects };
        envelope::render(&Envelope { result, kind: "indexconfig" })
    });
    let body = rendering.await.map_err(ApiError::internal)?;
    Ok(envelope::respond(StatusCode::OK, body))
}

#[derive(Serialize)]
struct Envelope<'a> {
    result: IndexView<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// The settings of an index, with its projects.
struct IndexView<'a> {
    settings: &'a IndexSettings,
    projects: &'a ListedProjects,
}

impl Serialize for IndexView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.settings {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("projects", &Names(self.projects))?;
        map.end()
    }
}

struct Names<'a>(&'a ListedProjects);

impl Serialize for Names<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

/// `PUT /{user}/{index}`
pub(in crate::http) async fn create(call: &mut Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().check_new_index(&caller, index).await?;
    let asked = call.json_object().await?;
    let config = call.registry().create_index(&caller, index, &asked).await?;
    // devpi answers 200 here, and 201 to the deletion.
    Ok(envelope::result(StatusCode::OK, "indexconfig", config.into_shown().into()))
}

/// `PATCH /{user}/{index}`
pub(in crate::http) async fn modify(call: &mut Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().check_index_change(&caller, index).await?;
    let patch = call.json().await?;
    let no_change = if call.has_parameter("error_on_noop") { NoChange::Refuse } else { NoChange::Accept };
    let config = call.registry().modify_index(&caller, index, &patch, no_change).await?;
    Ok(envelope::result(StatusCode::OK, "indexconfig", config.into_shown().into()))
}

/// `DELETE /{user}/{index}`
pub(in crate::http) async fn delete(call: &Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().delete_index(&caller, index).await?;
    Ok(envelope::message(StatusCode::CREATED, &format!("index {index} deleted")))
}
