//! A rendered page: its bytes, plain and compressed, and its validator.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::task::spawn_blocking;

use super::counts::Counted;
use super::negotiate::{Coding, choose_coding, has_etag};
use crate::pep::digest::Sha256;
use crate::storage::model::IndexName;

/// Smaller pages are not compressed: the headers alone are as long.
const MIN_COMPRESSED_BYTES: usize = 512;

/// Larger pages are compressed when somebody wants that, who does not wait for it: a page that changes all the time and
/// takes long to compress would never be there soon.
const MAX_COMPRESSED_AT_ONCE: usize = 256 * 1024;

/// The level of zstd: pages are compressed once per change and read often, but must not delay the first reader.
pub(super) const ZSTD_LEVEL: i32 = 3;

/// How many hexadecimal digits of the hash make an entity tag.
const ETAG_DIGITS: usize = 32;

/// Bytes that are served as they are, made once per change.
#[derive(Debug)]
pub(super) struct Page {
    plain: Bytes,
    packing: Arc<Packing>,
    /// As it was made: the cache must always hear the same.
    weight: usize,
    /// Of the plain page, of that packed by gzip, and by zstd.
    etags: [EntityTag; 3],
    /// The mirrors on whose upstreams the page depends.
    pub(super) mirrors: Vec<IndexName>,
    /// The upstream's serial, on the page of a mirror itself.
    pub(super) last_serial: Option<u64>,
    _counted: Option<Counted>,
}

/// An entity tag, without quotes and with them.
type EntityTag = (String, HeaderValue);

/// The compressed forms of a page, which may still be to come.
#[derive(Debug, Default)]
struct Packing {
    packed: OnceLock<Packed>,
    begun: AtomicBool,
}

/// The compressed forms of a page, where that is shorter.
#[derive(Debug, Default)]
struct Packed {
    gzip: Option<Bytes>,
    zstd: Option<Bytes>,
}

impl Packed {
    /// Blocks for some milliseconds per megabyte.
    fn new(plain: &[u8]) -> Self {
        if plain.len() < MIN_COMPRESSED_BYTES {
            return Self::default();
        }
        let worthwhile = |packed: Vec<u8>| (packed.len() < plain.len()).then(|| Bytes::from(packed));
        // Packing into memory does not fail; if it did, the plain bytes serve as well.
        let zstd = zstd::bulk::compress(plain, ZSTD_LEVEL).ok().and_then(worthwhile);
        Self { gzip: pack_gzip(plain).ok().and_then(worthwhile), zstd }
    }
}

impl Packed {
    /// In bytes, both together.
    fn len(&self) -> usize {
        [&self.gzip, &self.zstd].into_iter().flatten().map(Bytes::len).sum()
    }
}

impl Packing {
    /// The compressed forms, if they are there; else they are made meanwhile.
    fn get(self: &Arc<Self>, plain: &Bytes) -> Option<&Packed> {
        let packed = self.packed.get();
        if packed.is_none() && !self.begun.swap(true, Ordering::AcqRel) {
            let (packing, plain) = (Arc::clone(self), plain.clone());
            let _detached = spawn_blocking(move || packing.packed.set(Packed::new(&plain)));
        }
        packed
    }
}

impl Page {
    /// Prepares `plain` for serving. Blocks for some milliseconds at the most.
    pub(super) fn new(plain: Vec<u8>) -> Self {
        let mut etag = Sha256::of(&plain).to_string();
        etag.truncate(ETAG_DIGITS);
        // Strong validators differ between codings (RFC 9110, section 8.8.3).
        let etags = ["", "-gzip", "-zstd"].map(|suffix| {
            let tag = format!("{etag}{suffix}");
            // Hexadecimal digits, letters and a dash.
            let header = HeaderValue::from_str(&format!("\"{tag}\"")).unwrap_or(HeaderValue::from_static(""));
            (tag, header)
        });
        let packing = Packing::default();
        if plain.len() <= MAX_COMPRESSED_AT_ONCE {
            packing.packed.get_or_init(|| Packed::new(&plain));
        }
        let packed = packing.packed.get().map_or(plain.len() / 2, Packed::len);
        Self {
            weight: plain.len() + packed + 512,
            plain: plain.into(),
            packing: Arc::new(packing),
            etags,
            mirrors: Vec::new(),
            last_serial: None,
            _counted: None,
        }
    }

    /// The same, counted as long as it is there.
    pub(super) fn counted(self, counted: Counted) -> Self {
        Self { _counted: Some(counted), ..self }
    }

    /// The same with what it depends on.
    pub(super) fn of_mirrors(self, mirrors: Vec<IndexName>, last_serial: Option<u64>) -> Self {
        Self { mirrors, last_serial, ..self }
    }

    /// About how much memory the page takes, in bytes; or will take, where it is not compressed yet.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// The answer to a request with these `headers`: the page in a coding that the client takes, or 304.
    pub(super) fn respond(
        &self,
        headers: &HeaderMap,
        media_type: &'static str,
        cache_control: &'static str,
        vary: &'static str,
    ) -> HttpResponse {
        let (body, coding, etag) = self.choose(choose_coding(headers));
        // Whoever has the page in another coding needs it no more.
        let known = [etag].into_iter().chain(&self.etags).find(|etag| has_etag(headers, &etag.0));
        let status = if known.is_some() { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let mut response = HttpResponse::build(status);
        response
            .insert_header((header::ETAG, known.unwrap_or(etag).1.clone()))
            .insert_header((header::CACHE_CONTROL, HeaderValue::from_static(cache_control)))
            .insert_header((header::VARY, HeaderValue::from_static(vary)));
        if known.is_some() {
            return response.finish();
        }
        if let Some(coding) = coding {
            response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(coding)));
        }
        response
            .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media_type)))
            .body(body.clone())
    }

    /// The bytes for a client that takes `coding`, how they are coded, and their tag.
    fn choose(&self, coding: Coding) -> (&Bytes, Option<&'static str>, &EntityTag) {
        let [identity, gzip, zstd] = &self.etags;
        let packed = match coding {
            Coding::Identity => None,
            Coding::Gzip | Coding::Zstd => self.packing.get(&self.plain),
        };
        match (coding, packed) {
            (Coding::Gzip, Some(Packed { gzip: Some(bytes), .. })) => (bytes, Some("gzip"), gzip),
            (Coding::Zstd, Some(Packed { zstd: Some(bytes), .. })) => (bytes, Some("zstd"), zstd),
            _ => (&self.plain, None, identity),
        }
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
        let packed = page.packing.packed.get().unwrap();
        flate2::read::GzDecoder::new(packed.gzip.as_deref().unwrap()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        assert_eq!(zstd::bulk::decompress(packed.zstd.as_deref().unwrap(), plain.len()).unwrap(), plain);
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

    #[actix_web::test]
    async fn a_large_page_is_compressed_while_it_is_served() {
        let page = Page::new(b"0123456789".repeat(MAX_COMPRESSED_AT_ONCE));
        let weight = page.weight();
        let first = respond(&page, header::ACCEPT_ENCODING, "zstd");
        assert_eq!(first.headers().get(header::CONTENT_ENCODING), None);
        while page.packing.packed.get().is_none() {
            tokio::task::yield_now().await;
        }
        let second = respond(&page, header::ACCEPT_ENCODING, "zstd");
        assert_eq!(second.headers().get(header::CONTENT_ENCODING).unwrap(), "zstd");
        assert_eq!(page.weight(), weight);
        assert_ne!(etag(&first), etag(&second));
        // Whoever has the plain page needs no other.
        let again = respond(&page, header::IF_NONE_MATCH, &etag(&first));
        assert_eq!((again.status(), etag(&again)), (StatusCode::NOT_MODIFIED, etag(&first)));
    }
}
