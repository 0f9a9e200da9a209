//! Indexes (`server-api` section 9).

use std::convert::Infallible;
use std::future::ready;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{once, unfold};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tokio::task::spawn_blocking;

use crate::ascii_json;
use crate::domain::index::NoChange;
use crate::domain::project::ListedProjects;
use crate::http::call::Call;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::list_stream::WHOLE_NAMES;
use crate::http::negotiate::JSON;
use crate::storage::model::{IndexName, IndexSettings};

/// About how much of a long list of projects is written at once, in bytes: so little that nobody has to wait for it.
const PIECE_BYTES: usize = 16 * 1024;

/// `GET /{user}/{index}`
pub(in crate::http) async fn show(call: &Call, index: &IndexName) -> Result<HttpResponse, ApiError> {
    let settings = call.registry().get_index(index).await?.into_shown();
    if call.has_parameter("no_projects") {
        return Ok(envelope::result(StatusCode::OK, "indexconfig", settings.into()));
    }
    let projects = call.registry().list_own_projects(index).await?;
    if projects.get(WHOLE_NAMES).is_some() {
        // A mirror's may be a million.
        return Ok(stream(&settings, projects));
    }
    let rendering = spawn_blocking(move || render(&settings, &projects));
    let body = rendering.await.map_err(ApiError::internal)?;
    Ok(envelope::respond(StatusCode::OK, body))
}

fn render(settings: &IndexSettings, projects: &ListedProjects) -> Vec<u8> {
    let result = IndexView { settings, projects };
    envelope::render(&Envelope { result, kind: "indexconfig" })
}

/// The same as [`render`], written while it is sent.
fn stream(settings: &IndexSettings, projects: ListedProjects) -> HttpResponse {
    let frame = render(settings, &ListedProjects::Own(Vec::new()));
    // The projects come last among the settings, and after them only the type.
    let place = frame.windows(2).rposition(|two| two == b"[]").map_or(frame.len(), |place| place + 1);
    let (head, tail) = (Bytes::copy_from_slice(&frame[..place]), Bytes::from(frame).slice(place..));
    let names = unfold((projects, 0), |(projects, first)| async move {
        projects.get(first)?;
        let mut piece = String::with_capacity(PIECE_BYTES + 1024);
        let mut next = first;
        while piece.len() < PIECE_BYTES
            && let Some(name) = projects.get(next)
        {
            piece.push_str(if next == 0 { "\n" } else { ",\n" });
            piece.push_str("      ");
            piece.push_str(&ascii_json::to_line(&name));
            next += 1;
        }
        Some((Bytes::from(piece), (projects, next)))
    });
    let closing = once(ready(Bytes::from_static(b"\n    ")));
    let pieces = once(ready(head)).chain(names).chain(closing).chain(once(ready(tail)));
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, JSON));
    response.streaming(Box::pin(pieces.map(Ok::<_, Infallible>)))
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

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn what_is_streamed_is_what_would_be_rendered() {
        let mut settings = IndexSettings::new();
        settings.insert("title".to_owned(), "[]".into());
        let names: Vec<String> = (0..5000).map(|number| format!("project-{number}")).collect();
        let names = ListedProjects::Own(names.iter().map(|name| name.as_str().into()).collect());
        let whole = render(&settings, &names);
        assert!(whole.len() > 4 * PIECE_BYTES);
        let streamed = to_bytes(stream(&settings, names).into_body()).await.ok().unwrap();
        assert!(streamed == whole, "{}", String::from_utf8_lossy(&streamed));
    }
}
