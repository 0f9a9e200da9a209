//! What fuzz targets call, and nobody else.

use actix_multipart::Multipart;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use actix_web::web::Bytes;
use futures_util::{StreamExt, stream};

use super::extract::bare_lines::StandardLines;
use super::extract::form::FormType;

/// Reads a form as uploads do, from `body` in pieces of `piece` bytes: the names of its parts and how long they are.
/// `None` if it is none.
pub async fn read_form(content_type: &str, body: &[u8], piece: usize) -> Option<Vec<(String, usize)>> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).ok()?);
    let Some(FormType::Multipart { boundary }) = FormType::of(&headers) else { return None };
    let pieces: Vec<_> = body.chunks(piece.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut parts = Multipart::new(&headers, StandardLines::new(stream::iter(pieces), &boundary));
    let mut read = Vec::new();
    while let Some(part) = parts.next().await {
        let mut part = part.ok()?;
        let name = part.name().unwrap_or_default().to_owned();
        let mut length = 0;
        while let Some(piece) = part.next().await {
            length += piece.ok()?.len();
        }
        read.push((name, length));
    }
    Some(read)
}
