//! What is kept in memory for the hot path, and how it is forgotten exactly when it is no longer true.
//!
//! An entry is made under a guard. A write that concerns it removes the entry, and with it a guard under which one is
//! just being made from older data; the late result then reaches only those who asked before the write was
//! acknowledged. Everything of an index is forgotten by counting up its epoch, which is part of each key.

use std::future::Future;
use std::sync::Arc;

use actix_web::web::Bytes;
use dashmap::DashMap;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::counts::Counts;
use super::negotiate::SimpleFormat;
use super::page::Page;
use crate::domain::file::FileView;
use crate::domain::stale::{Stale, StaleObserver};
use crate::pep::digest::Sha256;
use crate::storage::model::{IndexName, Serial, StoredPath};
use crate::weighted::weighted_cache;

/// The URL form under which a simple page is asked for; links in it are relative to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// `/{user}/{index}/+simple/{project}/`
    SimpleWithSlash,
    /// `/{user}/{index}/+simple/{project}`
    Simple,
    /// `/{user}/{index}/{project}/`
    ProjectWithSlash,
    /// `/{user}/{index}/{project}`
    Project,
    /// Anywhere: the links are absolute, for the configured outside URL.
    Absolute,
}

const PLACES: [Place; 5] =
    [Place::SimpleWithSlash, Place::Simple, Place::ProjectWithSlash, Place::Project, Place::Absolute];

const FORMATS: [SimpleFormat; 2] = [SimpleFormat::Html, SimpleFormat::Json];

/// What a simple page is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The list of projects.
    List,
    /// A project, by its normalised name, as seen from a place.
    Project(Arc<str>, Place),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PageKey {
    index: IndexName,
    epoch: u64,
    subject: Subject,
    format: SimpleFormat,
}

/// How often everything of an index was forgotten.
#[derive(Default)]
struct Epochs(DashMap<IndexName, u64>);

impl Epochs {
    fn get(&self, index: &IndexName) -> u64 {
        self.0.get(index).map_or(0, |epoch| *epoch)
    }

    fn advance(&self, index: &IndexName) {
        *self.0.entry(index.clone()).or_default() += 1;
    }
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Sha256, Arc<Page>> for ByWeight {
    fn weight(&self, _: &Sha256, page: &Arc<Page>) -> u64 {
        page.weight() as u64
    }
}

impl Weighter<Sha256, Bytes> for ByWeight {
    fn weight(&self, _: &Sha256, content: &Bytes) -> u64 {
        content.len() as u64 + 128
    }
}

impl Weighter<PageKey, Arc<Page>> for ByWeight {
    fn weight(&self, key: &PageKey, page: &Arc<Page>) -> u64 {
        (page.weight() + key.index.user.len() + key.index.index.len()) as u64
    }
}

/// Rendered simple pages, bounded by memory.
pub struct PageCache {
    pages: Cache<PageKey, Arc<Page>, ByWeight>,
    epochs: Epochs,
    /// The pages that are kept or being made: a change may concern thousands of indexes of which there are none.
    counts: Counts,
}

impl PageCache {
    /// A cache of at most `bytes` bytes of pages.
    pub fn new(bytes: u64) -> Self {
        let pages = weighted_cache(bytes, ByWeight);
        Self { pages, epochs: Epochs::default(), counts: Counts::default() }
    }

    /// The page from memory, else what `render` makes. Of several callers at once one renders.
    pub(super) async fn get<E>(
        &self,
        index: &IndexName,
        subject: Subject,
        format: SimpleFormat,
        render: impl Future<Output = Result<Page, E>>,
    ) -> Result<Arc<Page>, E> {
        let key = PageKey { index: index.clone(), epoch: self.epochs.get(index), subject, format };
        if let Some(page) = self.pages.get(&key) {
            return Ok(page);
        }
        // Before anything is read: a write that does not see it yet is one that is seen here.
        let counted = self.counts.add(index);
        match self.pages.get_value_or_guard_async(&key).await {
            Ok(page) => Ok(page),
            Err(guard) => {
                let page = Arc::new(render.await?.counted(counted));
                // Not inserted if the page was forgotten while it was being made.
                let _changed_meanwhile = guard.insert(Arc::clone(&page));
                Ok(page)
            }
        }
    }

    /// The page, if it is in memory.
    pub(super) fn peek(
        &self,
        index: &IndexName,
        subject: Subject,
        format: SimpleFormat,
    ) -> Option<Arc<Page>> {
        self.pages.get(&PageKey { index: index.clone(), epoch: self.epochs.get(index), subject, format })
    }

    /// How many pages are kept, and how much memory they take in bytes.
    pub(super) fn usage(&self) -> (usize, u64) {
        (self.pages.len(), self.pages.weight())
    }

    fn remove(&self, index: &IndexName, subject: &Subject) {
        let epoch = self.epochs.get(index);
        for format in FORMATS {
            self.pages.remove(&PageKey { index: index.clone(), epoch, subject: subject.clone(), format });
        }
    }
}

impl StaleObserver for PageCache {
    fn forget(&self, stale: &Stale, _: Serial) {
        match stale {
            Stale::Index(index) => self.epochs.advance(index),
            Stale::ProjectList(index) | Stale::Project(index, _) if !self.counts.has(index) => {}
            Stale::ProjectList(index) => self.remove(index, &Subject::List),
            Stale::Project(index, project) => {
                for place in PLACES {
                    self.remove(index, &Subject::Project(Arc::clone(project), place));
                }
            }
            Stale::User(_) | Stale::File(_) => {}
        }
    }
}

/// Files by path, core metadata and small contents by hash, so that a download asks the database once, and of a small file
/// the disk once.
pub struct FileCache {
    files: Cache<(StoredPath, u64), Arc<FileView>>,
    core_metadata: Cache<Sha256, Arc<Page>, ByWeight>,
    contents: Cache<Sha256, Bytes, ByWeight>,
    largest_content: u64,
    epochs: Epochs,
}

/// Bounds of a [`FileCache`].
#[derive(Clone, Copy, Debug)]
pub struct FileCacheLimits {
    /// How many files are remembered.
    pub files: usize,
    /// Memory for core metadata, in bytes.
    pub core_metadata: u64,
    /// Memory for contents of small files, in bytes.
    pub contents: u64,
    /// The largest of these, in bytes.
    pub largest_content: u64,
}

impl FileCache {
    /// An empty cache.
    pub fn new(limits: FileCacheLimits) -> Self {
        let FileCacheLimits { files, core_metadata, contents, largest_content } = limits;
        Self {
            files: Cache::new(files),
            core_metadata: weighted_cache(core_metadata, ByWeight),
            contents: weighted_cache(contents, ByWeight),
            largest_content,
            epochs: Epochs::default(),
        }
    }

    /// The content with a hash from memory, else what `read` reads; `None` if it is too large to be kept. Contents never
    /// change, so none is ever forgotten but for the room that it takes.
    pub(super) async fn get_content<E>(
        &self,
        sha256: &Sha256,
        size: u64,
        read: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Option<Bytes>, E> {
        if size > self.largest_content {
            return Ok(None);
        }
        self.contents.get_or_insert_async(sha256, read).await.map(Some)
    }

    /// How many files are kept.
    pub(super) fn usage(&self) -> usize {
        self.files.len()
    }

    /// The file at a path of `index` from memory, else what `find` finds.
    pub(super) async fn get_file<E>(
        &self,
        index: &IndexName,
        path: &StoredPath,
        find: impl Future<Output = Result<FileView, E>>,
    ) -> Result<Arc<FileView>, E> {
        let key = (path.clone(), self.epochs.get(index));
        match self.files.get_value_or_guard_async(&key).await {
            Ok(file) => Ok(file),
            Err(guard) => {
                let file = Arc::new(find.await?);
                let _changed_meanwhile = guard.insert(Arc::clone(&file));
                Ok(file)
            }
        }
    }

    /// The core metadata with a hash from memory, else what `read` reads.
    pub(super) async fn get_core_metadata<E>(
        &self,
        sha256: &Sha256,
        read: impl Future<Output = Result<Page, E>>,
    ) -> Result<Arc<Page>, E> {
        self.core_metadata.get_or_insert_async(sha256, async { read.await.map(Arc::new) }).await
    }
}

impl StaleObserver for FileCache {
    fn forget(&self, stale: &Stale, _: Serial) {
        match stale {
            Stale::Index(index) => self.epochs.advance(index),
            Stale::File(path) => {
                let mut parts = path.as_str().splitn(3, '/');
                if let (Some(user), Some(index)) = (parts.next(), parts.next()) {
                    let epoch = self.epochs.get(&IndexName::new(user, index));
                    self.files.remove(&(path.clone(), epoch));
                }
            }
            Stale::User(_) | Stale::ProjectList(_) | Stale::Project(..) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn index() -> IndexName {
        IndexName::new("alice", "dev")
    }

    fn project() -> Subject {
        Subject::Project("demo".into(), Place::SimpleWithSlash)
    }

    async fn get(cache: &PageCache, subject: Subject, fresh: &str) -> String {
        let render = async { Ok::<_, Infallible>(Page::new(fresh.as_bytes().to_vec())) };
        let page = cache.get(&index(), subject, SimpleFormat::Html, render).await.unwrap();
        let response = page.respond(&actix_web::http::header::HeaderMap::new(), "", "", "");
        let body = actix_web::body::to_bytes(response.into_body()).await.ok().unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[actix_web::test]
    async fn a_page_is_made_once_until_it_is_stale() {
        let cache = PageCache::new(1_000_000);
        assert_eq!(get(&cache, project(), "1").await, "1");
        assert_eq!(get(&cache, project(), "2").await, "1");
        cache.forget(&Stale::Project(index(), "other".into()), Serial(1));
        cache.forget(&Stale::ProjectList(index()), Serial(1));
        assert_eq!(get(&cache, project(), "3").await, "1");
        cache.forget(&Stale::Project(index(), "demo".into()), Serial(1));
        assert_eq!(get(&cache, project(), "4").await, "4");
        cache.forget(&Stale::Index(index()), Serial(1));
        assert_eq!(get(&cache, project(), "5").await, "5");
    }

    #[actix_web::test]
    async fn a_page_made_from_older_data_is_not_kept() {
        let cache = PageCache::new(1_000_000);
        let render = async {
            cache.forget(&Stale::Project(index(), "demo".into()), Serial(1));
            Ok::<_, Infallible>(Page::new(b"old".to_vec()))
        };
        cache.get(&index(), project(), SimpleFormat::Html, render).await.unwrap();
        assert_eq!(get(&cache, project(), "new").await, "new");
    }

    #[actix_web::test]
    async fn whoever_asks_after_a_change_does_not_wait_for_older_data() {
        let cache = PageCache::new(1_000_000);
        let render = async {
            cache.forget(&Stale::Project(index(), "demo".into()), Serial(1));
            assert_eq!(get(&cache, project(), "new").await, "new");
            Ok::<_, Infallible>(Page::new(b"old".to_vec()))
        };
        cache.get(&index(), project(), SimpleFormat::Html, render).await.unwrap();
        assert_eq!(get(&cache, project(), "newer").await, "new");
    }
}
