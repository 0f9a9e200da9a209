//! Stored files: download, information, deletion (`server-api` sections 14, 17 and 18).

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::{Method, StatusCode, header};
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::domain::file::FileError;
use crate::domain::quote;
use crate::http::call::Call;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::negotiate::has_etag;
use crate::http::page::Page;
use crate::http::ranges::{Requested, requested_range};
use crate::pep::filename::content_type;
use crate::storage::StorageError;
use crate::storage::files::read_pieces;
use crate::storage::model::{IndexName, Link, StoredPath};

/// What is at a path never changes: a file that is replaced gets another path.
const CACHE_CONTROL: &str = "max-age=365000000, immutable, public";

/// What is appended to a file's URL to get its core metadata (PEP 658).
const METADATA_SUFFIX: &str = ".metadata";

/// `GET /{user}/{index}/+f/…` (any method but POST and DELETE)
pub(in crate::http) async fn download(
    call: &Call,
    index: &IndexName,
    path: &StoredPath,
) -> Result<HttpResponse, ApiError> {
    if let Some(file) = path.as_str().strip_suffix(METADATA_SUFFIX) {
        return core_metadata(call, index, &StoredPath::new(file)).await;
    }
    let link = find(call, index, path).await?;
    if call.accept.mentions_json() {
        return Ok(show(&link));
    }
    let etag = link.sha256.to_string();
    let modified = SystemTime::from(link.uploaded_at);
    let mut response = HttpResponse::build(StatusCode::OK);
    response
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .insert_header((header::ETAG, format!("\"{etag}\"")))
        .insert_header((header::LAST_MODIFIED, httpdate::fmt_http_date(modified)))
        .insert_header((header::ACCEPT_RANGES, "bytes"));
    if has_etag(call.headers(), &etag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    // Ranges are defined for GET only (RFC 9110, section 14.2).
    let requested = match *call.method() {
        Method::GET => requested_range(call.headers(), link.size, &etag, modified),
        _ => Requested::Whole,
    };
    let range = match requested {
        Requested::Whole => 0..link.size,
        Requested::Part(range) => {
            let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, link.size);
            response.status(StatusCode::PARTIAL_CONTENT).insert_header((header::CONTENT_RANGE, shown));
            range
        }
        Requested::Unsatisfiable => {
            let shown = format!("bytes */{}", link.size);
            response.status(StatusCode::RANGE_NOT_SATISFIABLE).insert_header((header::CONTENT_RANGE, shown));
            return Ok(response.finish());
        }
    };
    response.insert_header((header::CONTENT_TYPE, content_type(&link.file_name)));
    let file = call.registry().open_content(&link).await?;
    let length = range.end - range.start;
    let pieces = read_pieces(file, range, call.state.limits.download_piece);
    Ok(response.body(SizedStream::new(length, Box::pin(pieces))))
}

/// `DELETE /{user}/{index}/+f/…`
pub(in crate::http) async fn delete(
    call: &Call,
    index: &IndexName,
    path: &StoredPath,
) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().delete_file(&caller, index, path, call.force()).await?;
    Ok(envelope::message(StatusCode::OK, &format!("package {} deleted", quote(path.as_str()))))
}

async fn find(call: &Call, index: &IndexName, path: &StoredPath) -> Result<Arc<Link>, FileError> {
    call.state.files.get_link(index, path, call.registry().find_file(index, path)).await
}

/// `GET /{user}/{index}/+f/….metadata`
async fn core_metadata(call: &Call, index: &IndexName, path: &StoredPath) -> Result<HttpResponse, ApiError> {
    let link = find(call, index, path).await?;
    let sha256 = link.core_metadata.ok_or_else(|| FileError::NoCoreMetadata(path.clone()))?;
    let read = async {
        let body = call.registry().get_core_metadata(&sha256).await?;
        let body = body.ok_or_else(|| StorageError::Damaged(format!("document {sha256} is missing")))?;
        spawn_blocking(move || Page::new(body)).await.map_err(ApiError::internal)
    };
    let page = call.state.files.get_core_metadata(&sha256, read).await?;
    let mut response =
        page.respond(call.headers(), "text/plain; charset=utf-8", CACHE_CONTROL, "Accept-Encoding");
    let modified = httpdate::fmt_http_date(link.uploaded_at.into());
    if let Ok(modified) = modified.parse() {
        response.headers_mut().insert(header::LAST_MODIFIED, modified);
    }
    Ok(response)
}

/// What is known of a file, for clients that ask for JSON at its URL.
fn show(link: &Link) -> HttpResponse {
    let result = json!({
        "last_modified": httpdate::fmt_http_date(link.uploaded_at.into()),
        "hash_spec": format!("sha256={}", link.sha256),
        "hashes": {"sha256": link.sha256},
        "project": link.project.normal(),
        "version": link.version,
    });
    envelope::result(StatusCode::OK, "releasefilemeta", result)
}
