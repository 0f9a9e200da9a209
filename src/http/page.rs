//! A rendered page: its bytes, plain and compressed, and its validator.

use std::io::Write;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::negotiate::{Coding, choose_coding, has_etag};
use crate::pep::digest::Sha256;
use crate::storage::model::IndexName;

/// Smaller pages are not compressed: the headers alone are as long.
const MIN_COMPRESSED_BYTES: usize = 512;

/// The level of zstd: pages are compressed once per change and read often, but must not delay the first reader.
pub(super) const ZSTD_LEVEL: i32 = 3;

/// How many hexadecimal digits of the hash make an entity tag.
const ETAG_DIGITS: usize = 32;

/// Bytes that are served as they are, made once per change.
#[derive(Debug)]
pub(super) struct Page {
    plain: Bytes,
    gzip: Option<Bytes>,
    zstd: Option<Bytes>,
    etag: String,
    /// The mirrors on whose upstreams the page depends.
    pub(super) mirrors: Vec<IndexName>,
    /// The upstream's serial, on the page of a mirror itself.
    pub(super) last_serial: Option<u64>,
}

impl Page {
    /// Prepares `plain` for serving. Blocks for some milliseconds per megabyte.
    pub(super) fn new(plain: Vec<u8>) -> Self {
        let mut etag = Sha256::of(&plain).to_string();
        etag.truncate(ETAG_DIGITS);
        let worthwhile = |packed: Vec<u8>| (packed.len() < plain.len()).then(|| Bytes::from(packed));
        let (gzip, zstd) = if plain.len() < MIN_COMPRESSED_BYTES {
            (None, None)
        } else {
            // Packing into memory does not fail; if it did, the plain bytes serve as well.
            let zstd = zstd::bulk::compress(&plain, ZSTD_LEVEL).ok();
            (pack_gzip(&plain).ok().and_then(worthwhile), zstd.and_then(worthwhile))
        };
        Self { plain: plain.into(), gzip, zstd, etag, mirrors: Vec::new(), last_serial: None }
    }

    /// The same with what it depends on.
    pub(super) fn of_mirrors(self, mirrors: Vec<IndexName>, last_serial: Option<u64>) -> Self {
        Self { mirrors, last_serial, ..self }
    }

    /// About how much memory the page takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let packed = [&self.gzip, &self.zstd].into_iter().flatten().map(Bytes::len).sum::<usize>();
        self.plain.len() + packed + 256
    }

    /// The answer to a request with these `headers`: the page in a coding that the client takes, or 304.
    pub(super) fn respond(
        &self,
        headers: &HeaderMap,
        media_type: &'static str,
        cache_control: &'static str,
        vary: &'static str,
    ) -> HttpResponse {
        let (body, coding, suffix) = match (choose_coding(headers), &self.gzip, &self.zstd) {
            (Coding::Gzip, Some(gzip), _) => (gzip, Some("gzip"), "-gzip"),
            (Coding::Zstd, _, Some(zstd)) => (zstd, Some("zstd"), "-zstd"),
            _ => (&self.plain, None, ""),
        };
        // Strong validators differ between codings (RFC 9110, section 8.8.3).
        let etag = format!("{}{suffix}", self.etag);
        let known = has_etag(headers, &etag);
        let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
        response
            .insert_header((header::ETAG, format!("\"{etag}\"")))
            .insert_header((header::CACHE_CONTROL, cache_control))
            .insert_header((header::VARY, vary));
        if known {
            return response.finish();
        }
        if let Some(coding) = coding {
            response.insert_header((header::CONTENT_ENCODING, coding));
        }
        response.insert_header((header::CONTENT_TYPE, media_type)).body(body.clone())
    }
}

fn pack_gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::default());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use std::io::Read;

    fn respond(page: &Page, header: header::HeaderName, value: &str) -> HttpResponse {
        let mut headers = HeaderMap::new();
        headers.insert(header, HeaderValue::from_str(value).unwrap());
        page.respond(&headers, "text/html", "no-cache", "Accept")
    }

    fn etag(response: &HttpResponse) -> String {
        response.headers().get(header::ETAG).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn codings_unpack_to_the_page_and_have_their_own_tags() {
        let plain = b"<a href='x'>x</a>\n".repeat(100);
        let page = Page::new(plain.clone());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(page.gzip.as_deref().unwrap()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        assert_eq!(zstd::bulk::decompress(page.zstd.as_deref().unwrap(), plain.len()).unwrap(), plain);
        let tags: std::collections::HashSet<String> = ["identity", "gzip", "zstd"]
            .map(|coding| etag(&respond(&page, header::ACCEPT_ENCODING, coding)))
            .into_iter()
            .collect();
        assert_eq!(tags.len(), 3);
    }

    #[test]
    fn a_known_page_is_not_sent_again() {
        let page = Page::new(b"small".to_vec());
        let tag = etag(&respond(&page, header::ACCEPT_ENCODING, "gzip"));
        assert_eq!(respond(&page, header::IF_NONE_MATCH, &tag).status(), StatusCode::NOT_MODIFIED);
        let changed = Page::new(b"other".to_vec());
        assert_eq!(respond(&changed, header::IF_NONE_MATCH, &tag).status(), StatusCode::OK);
    }
}
