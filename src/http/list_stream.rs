//! Lists of projects, written while they are sent: an upstream's has tens of megabytes, which are not kept.

use std::io::Write;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{Stream, try_unfold};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{JoinError, spawn_blocking};

use super::negotiate::{Coding, SimpleFormat, choose_coding, has_etag};
use super::page::ZSTD_LEVEL;
use crate::domain::project::{ListedIndex, ListedProjects};
use crate::pep::digest::Sha256;
use crate::pep::simple_list::{ListFormat, ListWriter};
use crate::storage::model::IndexName;

/// How much is written before it is packed and sent, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// Lists of up to so many projects are written before anything is sent, so that their length is known.
pub(super) const WHOLE_NAMES: usize = 20_000;

/// How many hexadecimal digits of the hash make an entity tag.
const ETAG_DIGITS: usize = 32;

/// A list of projects that is being written.
pub(super) struct ListStream {
    title: String,
    format: ListFormat,
    indexes: Arc<[ListedIndex]>,
    state: State,
}

enum State {
    NotBegun,
    /// Which index, and which of its projects comes next.
    Within(ListWriter, usize, usize),
    Ended,
}

impl ListStream {
    pub(super) fn new(index: &IndexName, indexes: Vec<ListedIndex>, format: SimpleFormat) -> Self {
        let format = match format {
            SimpleFormat::Html => ListFormat::Html,
            SimpleFormat::Json => ListFormat::Json,
        };
        let title = format!("{index}: simple list (including inherited indices)");
        Self { title, format, indexes: indexes.into(), state: State::NotBegun }
    }

    /// All of it. Blocks.
    pub(super) fn render(mut self) -> Vec<u8> {
        let mut page = Vec::new();
        while self.write(&mut page, usize::MAX) {}
        page
    }

    /// The answer to a request with these `headers`: the list in a coding that the client takes, or 304.
    pub(super) async fn respond(
        self,
        headers: &HeaderMap,
        media_type: &'static str,
        cache_control: &'static str,
        vary: &'static str,
    ) -> std::io::Result<HttpResponse> {
        let packer = Packer::new(choose_coding(headers), &PACKERS);
        // Strong validators differ between codings (RFC 9110, section 8.8.3).
        let etag = format!("{}{}", self.etag(), packer.suffix());
        let known = has_etag(headers, &etag);
        let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
        response
            .insert_header((header::ETAG, format!("\"{etag}\"")))
            .insert_header((header::CACHE_CONTROL, cache_control))
            .insert_header((header::VARY, vary));
        if known {
            return Ok(response.finish());
        }
        if let Some(coding) = packer.coding() {
            response.insert_header((header::CONTENT_ENCODING, coding));
        }
        response.insert_header((header::CONTENT_TYPE, media_type));
        if self.indexes.iter().any(|listed| listed.projects.get(WHOLE_NAMES).is_some()) {
            return Ok(response.streaming(Box::pin(self.pieces(packer))));
        }
        let writing = spawn_blocking(move || packer.pack_all(&self.render()));
        Ok(response.body(writing.await.map_err(std::io::Error::other)??))
    }

    /// Tells lists with the same content; without writing them.
    fn etag(&self) -> String {
        let format: &[u8] = match self.format {
            ListFormat::Html => b"html",
            ListFormat::Json => b"json",
        };
        let mut parts = vec![format.to_vec(), self.title.clone().into_bytes()];
        for listed in &*self.indexes {
            parts.push(heading(listed).into_bytes());
            parts.push(match &listed.projects {
                ListedProjects::Own(names) => names.join("/").into_bytes(),
                ListedProjects::Upstream(names) => names.hash().as_bytes().to_vec(),
            });
        }
        let mut etag = Sha256::of(&parts.join(&b'\n')).to_string();
        etag.truncate(ETAG_DIGITS);
        etag
    }

    fn pieces(self, packer: Packer) -> impl Stream<Item = std::io::Result<Bytes>> {
        try_unfold(Some((self, packer)), |state| async {
            let Some((mut list, mut packer)) = state else { return Ok(None) };
            // A thread is borrowed for one piece, not while the client reads.
            let writing = spawn_blocking(move || {
                let mut page = Vec::with_capacity(PIECE_BYTES + 1024);
                loop {
                    page.clear();
                    let goes_on = list.write(&mut page, PIECE_BYTES);
                    if !goes_on {
                        return packer.finish(&page).map(|piece| (piece, None));
                    }
                    let piece = packer.pack(&page)?;
                    if !piece.is_empty() {
                        return Ok((piece, Some((list, packer))));
                    }
                }
            });
            let (piece, next) = writing.await.map_err(|error: JoinError| std::io::Error::other(error))??;
            Ok(Some((piece, next)))
        })
    }

    /// Appends about `size` bytes more to `page`. Whether there is more.
    fn write(&mut self, page: &mut Vec<u8>, size: usize) -> bool {
        let (mut writer, mut place, mut project) = match std::mem::replace(&mut self.state, State::Ended) {
            State::NotBegun => (ListWriter::begin(self.format, &self.title, page), 0, 0),
            State::Within(writer, place, project) => (writer, place, project),
            State::Ended => return false,
        };
        while let Some(listed) = self.indexes.get(place) {
            if project == 0 {
                writer.index(&heading(listed), page);
            }
            while let Some(name) = listed.projects.get(project) {
                if page.len() >= size {
                    self.state = State::Within(writer, place, project);
                    return true;
                }
                // Each name stands in the first index that has it.
                if !self.indexes[..place].iter().any(|before| before.projects.contains(name)) {
                    writer.project(name, page);
                }
                project += 1;
            }
            (place, project) = (place + 1, 0);
        }
        writer.finish(page);
        false
    }
}

/// The heading of an index, for people.
fn heading(listed: &ListedIndex) -> String {
    if listed.bases.is_empty() {
        return listed.index.to_string();
    }
    let bases: Vec<String> = listed.bases.iter().map(ToString::to_string).collect();
    format!("{} (bases: {})", listed.index, bases.join(","))
}

/// So many lists are packed at once; others go out as they are. Each of these takes up to a megabyte as long as its client
/// takes to read.
static PACKERS: Semaphore = Semaphore::const_new(128);

/// The window of zstd, as a power of two: names that are like each other stand side by side.
const ZSTD_WINDOW: u32 = 17;

/// Packs pieces as they come.
struct Packer {
    encoder: Encoder,
    _permit: Option<SemaphorePermit<'static>>,
}

enum Encoder {
    Plain,
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Packer {
    fn new(coding: Coding, permits: &'static Semaphore) -> Self {
        let plain = Self { encoder: Encoder::Plain, _permit: None };
        if coding == Coding::Identity {
            return plain;
        }
        let Ok(permit) = permits.try_acquire() else { return plain };
        // Without memory for it, the list goes out as it is.
        let encoder = Encoder::new(coding).unwrap_or(Encoder::Plain);
        Self { encoder, _permit: Some(permit) }
    }

    fn coding(&self) -> Option<&'static str> {
        match self.encoder {
            Encoder::Plain => None,
            Encoder::Gzip(_) => Some("gzip"),
            Encoder::Zstd(_) => Some("zstd"),
        }
    }

    fn suffix(&self) -> &'static str {
        match self.encoder {
            Encoder::Plain => "",
            Encoder::Gzip(_) => "-gzip",
            Encoder::Zstd(_) => "-zstd",
        }
    }

    /// What can be sent once `plain` has been taken in.
    fn pack(&mut self, plain: &[u8]) -> std::io::Result<Bytes> {
        let packed = match &mut self.encoder {
            Encoder::Plain => return Ok(Bytes::copy_from_slice(plain)),
            Encoder::Gzip(encoder) => {
                encoder.write_all(plain)?;
                std::mem::take(encoder.get_mut())
            }
            Encoder::Zstd(encoder) => {
                encoder.write_all(plain)?;
                std::mem::take(encoder.get_mut())
            }
        };
        Ok(packed.into())
    }

    fn pack_all(mut self, plain: &[u8]) -> std::io::Result<Bytes> {
        let mut packed = self.pack(plain)?.to_vec();
        packed.extend(self.finish(&[])?);
        Ok(packed.into())
    }

    /// The rest, once the last `plain` has been taken in.
    fn finish(mut self, plain: &[u8]) -> std::io::Result<Bytes> {
        let mut last = self.pack(plain)?.to_vec();
        match self.encoder {
            Encoder::Plain => {}
            Encoder::Gzip(encoder) => last.extend(encoder.finish()?),
            Encoder::Zstd(encoder) => last.extend(encoder.finish()?),
        }
        Ok(last.into())
    }
}

impl Encoder {
    fn new(coding: Coding) -> std::io::Result<Self> {
        Ok(match coding {
            Coding::Identity => Self::Plain,
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(ZSTD_WINDOW)?;
                Self::Zstd(encoder)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use actix_web::http::header::{ACCEPT_ENCODING, HeaderValue, IF_NONE_MATCH};
    use std::io::Read;

    fn list(count: usize) -> ListStream {
        let upstream: Vec<String> = (0..count).map(|number| format!("project-{number:06}")).collect();
        let own = ListedProjects::Own(vec!["own".into(), "project-000001".into()]);
        let upstream = ListedProjects::Upstream(Arc::new(upstream.iter().map(String::as_str).collect()));
        let index = IndexName::new("alice", "dev");
        let mirror = IndexName::new("root", "pypi");
        let indexes = vec![
            ListedIndex { index: index.clone(), bases: vec![mirror.clone()], projects: own },
            ListedIndex { index: mirror, bases: Vec::new(), projects: upstream },
        ];
        ListStream::new(&index, indexes, SimpleFormat::Json)
    }

    async fn body(coding: &'static str) -> Vec<u8> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(coding));
        let response = list(50_000).respond(&headers, "text/html", "no-cache", "Accept").await.unwrap();
        to_bytes(response.into_body()).await.ok().unwrap().to_vec()
    }

    #[actix_web::test]
    async fn all_codings_unpack_to_the_list() {
        let plain = body("identity").await;
        assert!(plain.len() > 2 * PIECE_BYTES);
        assert_eq!(plain, list(50_000).render());
        let page: serde_json::Value = serde_json::from_slice(&plain).unwrap();
        // The one that both have stands in it once.
        assert_eq!(page["projects"].as_array().unwrap().len(), 50_001);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*body("gzip").await).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        assert_eq!(zstd::stream::decode_all(&*body("zstd").await).unwrap(), plain);
    }

    /// Clients that do not read must not take all memory.
    #[test]
    fn where_many_lists_are_packed_others_go_out_as_they_are() {
        let permits: &Semaphore = Box::leak(Box::new(Semaphore::new(1)));
        let first = Packer::new(Coding::Zstd, permits);
        assert_eq!((first.coding(), Packer::new(Coding::Gzip, permits).coding()), (Some("zstd"), None));
        drop(first);
        assert_eq!(Packer::new(Coding::Gzip, permits).coding(), Some("gzip"));
    }

    #[actix_web::test]
    async fn a_known_list_is_not_sent_again() {
        let mut headers = HeaderMap::new();
        let etag =
            list(2).respond(&headers, "", "", "").await.unwrap().headers().get(header::ETAG).unwrap().clone();
        headers.insert(IF_NONE_MATCH, etag);
        assert_eq!(list(2).respond(&headers, "", "", "").await.unwrap().status(), StatusCode::NOT_MODIFIED);
        assert_eq!(list(3).respond(&headers, "", "", "").await.unwrap().status(), StatusCode::OK);
    }
}
