//! Stored files: download, information, deletion (`server-api` sections 14, 17 and 18).

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use actix_web::body::SizedStream;
use actix_web::http::header::HeaderName;
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream::empty;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

use crate::domain::file::{FileError, FileView, FoundFile};
use crate::domain::mirror_view::{FileOrigin, UpstreamFile};
use crate::domain::quote;
use crate::http::call::Call;
use crate::http::direct::DirectBody;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::negotiate::has_etag;
use crate::http::page::Page;
use crate::http::ranges::{Requested, requested_range};
use crate::http::repeat;
use crate::mirror::FetchError;
use crate::pep::filename::content_type;
use crate::pep::name::ProjectName;
use crate::storage::StorageError;
use crate::storage::files::read_pieces;
use crate::storage::model::{IndexName, StoredPath};

/// What is at a path never changes: a file that is replaced gets another path.
const CACHE_CONTROL: &str = "max-age=365000000, immutable, public";

/// Provenance objects change over time.
const MUTABLE: &str = "no-cache";

/// What is appended to a file's URL to get its core metadata (PEP 658).
const METADATA_SUFFIX: &str = ".metadata";

/// What is appended to the URL of a mirror's file to get its provenance object (PEP 740).
pub(super) const PROVENANCE_SUFFIX: &str = ".provenance";

/// The media type of core metadata.
const METADATA_TYPE: &str = "text/plain; charset=utf-8";

/// The media type of provenance objects.
const PROVENANCE_TYPE: &str = "application/vnd.pypi.integrity.v1+json";

/// Tells nginx not to wait until a file that is being fetched is complete (as devpi does).
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Tells nginx which of its internal locations to send.
const X_ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");

/// `GET /{user}/{index}/+f/…` (any method but POST and DELETE)
pub(in crate::http) async fn download(
    call: &Call,
    index: &IndexName,
    path: &StoredPath,
) -> Result<HttpResponse, ApiError> {
    if let Some(file) = path.as_str().strip_suffix(METADATA_SUFFIX) {
        return core_metadata(call, index, &StoredPath::new(file)).await;
    }
    if let Some(file) = path.as_str().strip_suffix(PROVENANCE_SUFFIX) {
        return provenance(call, index, &StoredPath::new(file)).await;
    }
    match find(call, index, path).await {
        Ok(file) => {
            let mut response = send_stored(call, &file).await?;
            repeat::allow(&mut response);
            Ok(response)
        }
        Err(Elsewhere::Upstream(file)) => send_upstream(call, &file).await,
        Err(Elsewhere::Error(error)) => Err(error.into()),
    }
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

/// Why a file is not here.
enum Elsewhere {
    /// It is still at the upstream of a mirror.
    Upstream(Box<UpstreamFile>),
    Error(FileError),
}

impl From<FileError> for Elsewhere {
    fn from(error: FileError) -> Self {
        Self::Error(error)
    }
}

async fn find(call: &Call, index: &IndexName, path: &StoredPath) -> Result<Arc<FileView>, Elsewhere> {
    let find = async {
        match call.registry().find_file(index, path).await? {
            FoundFile::Here(file) => Ok(*file),
            FoundFile::Upstream(file) => Err(Elsewhere::Upstream(file)),
        }
    };
    call.state.files.get_file(index, path, find).await
}

async fn send_stored(call: &Call, file: &FileView) -> Result<HttpResponse, ApiError> {
    let link = &file.link;
    if call.accept.mentions_json() {
        return Ok(show_stored(file));
    }
    let etag = link.sha256.to_string();
    let modified = SystemTime::from(link.uploaded_at);
    let mut response = HttpResponse::build(StatusCode::OK);
    describe(&mut response, Some(&etag), Some(modified));
    if has_etag(call.headers(), &etag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    let Some(range) = choose_range(call, &mut response, link.size, &etag, modified) else {
        return Ok(response.finish());
    };
    if let Some(location) = &call.state.settings.x_accel_redirect
        && can_be_left_to_nginx(call, &range, link.size)
    {
        // nginx could only say that it does not know what is missing.
        call.registry().open_content(link).await?;
        let content = format!("{location}{}", call.registry().content_path(link));
        let mut response = HttpResponse::build(StatusCode::OK);
        describe(&mut response, Some(&etag), Some(modified));
        response.insert_header((header::CONTENT_TYPE, content_type(&link.file_name)));
        let mut response = response.insert_header((X_ACCEL_REDIRECT, content)).finish();
        if range == (0..link.size) {
            // nginx adds its own to it, but not for a part.
            response.headers_mut().remove(header::ACCEPT_RANGES);
        }
        return Ok(response);
    }
    response.insert_header((header::CONTENT_TYPE, content_type(&link.file_name)));
    let read =
        async { Ok::<_, FileError>(call.registry().open_content(link).await?.read(0..link.size).await?) };
    if let Some(content) = call.state.files.get_content(&link.sha256, link.size, read).await? {
        return Ok(response.body(slice(&content, &range)));
    }
    let content = call.registry().open_content(link).await?;
    if let (Some(connection), Some(file)) = (call.direct_connection(), content.local_file()) {
        return Ok(DirectBody::send_file(connection, &mut response, file, range));
    }
    // For HEAD, which does not read it, and for stores elsewhere.
    let length = range.end - range.start;
    let mut share = call.state.pieces.begin();
    let pieces = read_pieces(content, range, move || share.next());
    Ok(response.body(SizedStream::new(length, Box::pin(pieces))))
}

/// A part of a content, which has it.
fn slice(content: &Bytes, range: &Range<u64>) -> Bytes {
    let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
    content.slice(place(range.start)..place(range.end))
}

/// Whether nginx does with a request for these bytes what is done here: it sends several parts at once, and judges
/// conditions by its own validators.
fn can_be_left_to_nginx(call: &Call, range: &Range<u64>, size: u64) -> bool {
    let headers = call.headers();
    let is_conditional =
        [header::IF_MATCH, header::IF_UNMODIFIED_SINCE].iter().any(|name| headers.contains_key(name));
    let is_whole = *range == (0..size);
    *call.method() == Method::GET && !is_conditional && (!is_whole || !headers.contains_key(header::RANGE))
}

/// Sends the file of a mirror that is not here: while it is fetched, once for all who want it.
async fn send_upstream(call: &Call, file: &UpstreamFile) -> Result<HttpResponse, ApiError> {
    let read = &file.file.read;
    if call.accept.mentions_json() {
        return Ok(show_upstream(file));
    }
    if file.mirror.settings.uses_external_urls {
        return Err(ApiError::found(read.url.to_string()));
    }
    if call.registry().is_offline() {
        return Err(FetchError::Offline { url: Arc::clone(&read.url) }.into());
    }
    let etag = file.sha256().map(|sha256| sha256.to_string());
    let mut response = HttpResponse::build(StatusCode::OK);
    if *call.method() == Method::HEAD {
        // Nothing is fetched for somebody who does not want it.
        describe(&mut response, etag.as_deref(), None);
        response.insert_header((header::CONTENT_TYPE, content_type(&read.file_name)));
        let nothing = empty::<Result<_, StorageError>>();
        return Ok(match read.size {
            Some(size) => response.body(SizedStream::new(size, nothing)),
            None => response.streaming(nothing),
        });
    }
    if let Some(etag) = &etag
        && has_etag(call.headers(), etag)
    {
        describe(&mut response, Some(etag), None);
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    let transfer = call.registry().fetch(file);
    let size = transfer.started().await?;
    let modified = transfer.modified().map(SystemTime::from);
    describe(&mut response, etag.as_deref(), modified);
    let mut share = call.state.pieces.begin();
    let piece = move || share.next();
    let content_type = content_type(&read.file_name);
    response.insert_header((X_ACCEL_BUFFERING, "no"));
    let Some(size) = size else {
        response.insert_header((header::CONTENT_TYPE, content_type));
        return Ok(response.streaming(Box::pin(transfer.read(0, None, piece))));
    };
    let (tag, date) = (etag.as_deref().unwrap_or(""), modified.unwrap_or(SystemTime::UNIX_EPOCH));
    let Some(range) = choose_range(call, &mut response, size, tag, date) else {
        return Ok(response.finish());
    };
    response.insert_header((header::CONTENT_TYPE, content_type));
    let pieces = transfer.read(range.start, Some(range.end), piece);
    Ok(response.body(SizedStream::new(range.end - range.start, Box::pin(pieces))))
}

/// The headers that all answers about a file have.
fn describe(response: &mut HttpResponseBuilder, etag: Option<&str>, modified: Option<SystemTime>) {
    response
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .insert_header((header::ACCEPT_RANGES, "bytes"));
    if let Some(etag) = etag {
        response.insert_header((header::ETAG, format!("\"{etag}\"")));
    }
    if let Some(modified) = modified {
        response.insert_header((header::LAST_MODIFIED, httpdate::fmt_http_date(modified)));
    }
}

/// Which bytes of a file are sent; `None` for none, if the client asks for such that it does not have. Says so in the
/// answer.
fn choose_range(
    call: &Call,
    response: &mut HttpResponseBuilder,
    size: u64,
    etag: &str,
    modified: SystemTime,
) -> Option<Range<u64>> {
    // Ranges are defined for GET only (RFC 9110, section 14.2).
    let requested = match *call.method() {
        Method::GET => requested_range(call.headers(), size, etag, modified),
        _ => Requested::Whole,
    };
    match requested {
        Requested::Whole => Some(0..size),
        Requested::Part(range) => {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            response.status(StatusCode::PARTIAL_CONTENT).insert_header((header::CONTENT_RANGE, shown));
            Some(range)
        }
        Requested::Unsatisfiable => {
            let shown = format!("bytes */{size}");
            response.status(StatusCode::RANGE_NOT_SATISFIABLE).insert_header((header::CONTENT_RANGE, shown));
            None
        }
    }
}

/// `GET /{user}/{index}/+f/….metadata`
async fn core_metadata(call: &Call, index: &IndexName, path: &StoredPath) -> Result<HttpResponse, ApiError> {
    let (sha256, modified) = match find(call, index, path).await {
        Ok(file) if file.link.core_metadata.is_some() => {
            (file.link.core_metadata, Some(SystemTime::from(file.link.uploaded_at)))
        }
        // A file of a stage has what it had when it was uploaded.
        Ok(file) if file.origin.is_none() => return Err(FileError::NoCoreMetadata(path.clone()).into()),
        Ok(_) | Err(Elsewhere::Upstream(_)) => (None, None),
        Err(Elsewhere::Error(error)) => return Err(error.into()),
    };
    let Some(sha256) = sha256 else {
        let document = call.registry().fetch_core_metadata(index, path).await?;
        let make = make_page(document.body.clone());
        let page = call.state.files.get_core_metadata(&document.sha256, make).await?;
        return Ok(page.respond(call.headers(), METADATA_TYPE, CACHE_CONTROL, "Accept-Encoding"));
    };
    let read = async {
        let body = call.registry().get_core_metadata(&sha256).await?;
        let body = body.ok_or_else(|| StorageError::Damaged(format!("document {sha256} is missing")))?;
        make_page(body).await
    };
    let page = call.state.files.get_core_metadata(&sha256, read).await?;
    let mut response = page.respond(call.headers(), METADATA_TYPE, CACHE_CONTROL, "Accept-Encoding");
    if let Some(Ok(modified)) = modified.map(|modified| httpdate::fmt_http_date(modified).parse()) {
        response.headers_mut().insert(header::LAST_MODIFIED, modified);
    }
    repeat::allow(&mut response);
    Ok(response)
}

/// `GET /{user}/{index}/+f/….provenance`
async fn provenance(call: &Call, index: &IndexName, path: &StoredPath) -> Result<HttpResponse, ApiError> {
    let document = call.registry().fetch_provenance(index, path).await?;
    let page = make_page(document.body.clone()).await?;
    Ok(page.respond(call.headers(), PROVENANCE_TYPE, MUTABLE, "Accept-Encoding"))
}

async fn make_page(body: Vec<u8>) -> Result<Page, ApiError> {
    spawn_blocking(move || Page::new(body)).await.map_err(ApiError::internal)
}

/// What is known of a file that is here, for clients that ask for JSON at its URL.
fn show_stored(file: &FileView) -> HttpResponse {
    let link = &file.link;
    let sha256 = ("sha256".into(), link.sha256.to_string().into());
    let mut shown = show_file(file.origin.as_ref(), Some(sha256), &link.project, &link.version);
    shown.insert("last_modified".to_owned(), httpdate::fmt_http_date(link.uploaded_at.into()).into());
    envelope::result(StatusCode::OK, "releasefilemeta", shown.into())
}

/// What is known of a file that is still at the upstream.
fn show_upstream(file: &UpstreamFile) -> HttpResponse {
    let shown = show_file(Some(&file.origin()), None, &file.project, file.version());
    envelope::result(StatusCode::OK, "releasefilemeta", shown.into())
}

/// The hash that the upstream gives is shown, with the one that was computed.
fn show_file(
    origin: Option<&FileOrigin>,
    computed: Option<(Arc<str>, Arc<str>)>,
    project: &ProjectName,
    version: &str,
) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut hashes: Vec<(Arc<str>, Arc<str>)> = Vec::new();
    if let Some(origin) = origin {
        shown.insert("url".to_owned(), (&*origin.url).into());
        hashes.clone_from(&origin.hashes);
    }
    hashes.extend(computed.filter(|(name, _)| !hashes.iter().any(|(other, _)| other == name)));
    let main = hashes.first().map_or_else(String::new, |(name, value)| format!("{name}={value}"));
    shown.insert("hash_spec".to_owned(), main.into());
    if !hashes.is_empty() {
        let hashes: Map<String, Value> =
            hashes.iter().map(|(name, value)| (name.to_string(), (&**value).into())).collect();
        shown.insert("hashes".to_owned(), hashes.into());
    }
    shown.insert("project".to_owned(), project.normal().into());
    if !version.is_empty() {
        shown.insert("version".to_owned(), version.into());
    }
    shown
}
