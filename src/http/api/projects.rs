//! Projects and releases as JSON, and their deletion (`server-api` sections 13 and 14).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::domain::deletion::describe;
use crate::domain::history;
use crate::domain::project::{ProjectError, Scope};
use crate::domain::quote;
use crate::domain::release::{ReleaseLink, ReleaseView};
use crate::http::call::Call;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::urls::BaseUrl;
use crate::mirror::main_hash;
use crate::pep::name::ProjectName;
use crate::storage::mirrored::MirrorFile;
use crate::storage::model::{IndexName, Link, Relation};

/// `GET /{user}/{index}/{project}`
pub(in crate::http) async fn show(
    call: &Call,
    index: &IndexName,
    project: &ProjectName,
) -> Result<HttpResponse, ApiError> {
    // devpi wants the literal type here and only here; see compat-tests/judge.
    if !call.accept.mentions_json() {
        let text = format!("unsupported media type {}", quote(call.accept.as_str()));
        return Err(ApiError::message(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let scope = if call.has_parameter("ignore_bases") { Scope::IndexOnly } else { Scope::WithBases };
    let releases = match call.registry().list_releases(index, project, scope).await {
        Ok(releases) => releases,
        Err(ProjectError::Unknown(name)) => {
            let text = format!("no project {}", quote(&name));
            return Err(ApiError::abort(StatusCode::NOT_FOUND, text));
        }
        Err(error) => return Err(error.into()),
    };
    let base_url = call.base_url.clone();
    let render_all = move || {
        let releases = releases.into_iter();
        Value::Object(
            releases.map(|release| (release.version.to_string(), render(&base_url, release))).collect(),
        )
    };
    envelope::large_result("projectconfig", render_all).await
}

/// `GET /{user}/{index}/{project}/{version}`
pub(in crate::http) async fn show_release(
    call: &Call,
    index: &IndexName,
    project: &ProjectName,
    version: &str,
) -> Result<HttpResponse, ApiError> {
    let release = call.registry().get_release(index, project, version).await?;
    let base_url = call.base_url.clone();
    envelope::large_result("versiondata", move || render(&base_url, release)).await
}

/// `DELETE /{user}/{index}/{project}`
pub(in crate::http) async fn delete(
    call: &Call,
    index: &IndexName,
    project: &ProjectName,
) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().delete_project(&caller, index, project, call.force()).await?;
    let text = format!("project {} deleted from stage {index}", project.normal());
    Ok(envelope::message(StatusCode::OK, &text))
}

/// `DELETE /{user}/{index}/{project}/{version}`
pub(in crate::http) async fn delete_release(
    call: &Call,
    index: &IndexName,
    project: &ProjectName,
    version: &str,
) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().delete_release(&caller, index, project, version, call.force()).await?;
    let text = format!("project {} version {} deleted", describe(project), quote(version));
    Ok(envelope::message(StatusCode::OK, &text))
}

fn render(base_url: &BaseUrl, release: ReleaseView) -> Value {
    let mut fields = release.metadata.into_fields();
    if !release.links.is_empty() {
        let links: Vec<Value> = release.links.iter().map(|link| render_link(base_url, link)).collect();
        fields.insert("+links".to_owned(), links.into());
    }
    if !release.shadowing.is_empty() {
        let shadowing: Vec<Value> =
            release.shadowing.into_iter().map(|release| render(base_url, release)).collect();
        fields.insert("+shadowing".to_owned(), shadowing.into());
    }
    fields.into()
}

fn render_link(base_url: &BaseUrl, link: &ReleaseLink) -> Value {
    match link {
        ReleaseLink::Stored(link) => render_stored(base_url, link),
        ReleaseLink::Mirrored(file) => render_mirrored(base_url, file),
    }
}

fn render_mirrored(base_url: &BaseUrl, file: &MirrorFile) -> Value {
    let hashes: Map<String, Value> = file
        .read
        .hashes
        .iter()
        .map(|(algorithm, value)| (algorithm.to_string(), (&**value).into()))
        .collect();
    json!({
        "rel": Relation::ReleaseFile.as_str(),
        "hash_spec": main_hash(&file.read).map_or_else(String::new, |(algorithm, value)| format!("{algorithm}={value}")),
        "hashes": hashes,
        "href": base_url.join(file.path.as_str()),
    })
}

fn render_stored(base_url: &BaseUrl, link: &Link) -> Value {
    let mut shown = json!({
        "rel": link.relation.as_str(),
        "hash_spec": format!("sha256={}", link.sha256),
        "hashes": {"sha256": link.sha256},
        "href": base_url.join(link.path.as_str()),
    });
    if let Some(path) = &link.for_path {
        shown["for_href"] = base_url.join(path.as_str()).into();
    }
    // Files of old releases of devpi have no history.
    if !link.log.is_empty() {
        shown["log"] = history::render(&link.log);
    }
    shown
}
