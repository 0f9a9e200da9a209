//! Answers that are given again.
//!
//! When many builds begin at once, the same few requests come thousands of times a second, and most of what one costs is to
//! read it, to find out what is wanted, and to write an answer that went out just before. So an answer that is for
//! everybody is kept as it went out, for a second at the most and until the next commit. The same request, byte
//! by byte, gets it again from its connection, and does not come to actix. That takes half of the processor's time for a 304, and
//! three quarters for a page of 50 kB. See [`super::exchange`] for when a connection may do that.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Result, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, rt};
use bytes::Buf;
use tempfile::tempfile_in;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{debug, info};

use super::direct::{Outgoing, Socket};
use crate::blocking::dispose;
use crate::domain::stale::{Stale, StaleObserver};
use crate::storage::files::LocalFile;
use crate::storage::model::Serial;

/// How long an answer is kept. Long enough for a rush, and too short for anything that time alone changes.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// How many answers a worker keeps for a listener.
const MAX_ANSWERS: usize = 256;

/// How many bytes all of them have together, without files.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// How often a long answer is given again before a file is made of it.
const TIMES_FOR_A_FILE: u32 = 8;

/// How many of them have a file.
const MAX_FILES: usize = 4;

/// How long such an answer may be, in bytes.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// What all workers count.
#[derive(Debug, Default)]
pub struct RepeatCounters {
    changes: AtomicU64,
    repeated: AtomicU64,
}

impl RepeatCounters {
    /// What is shown now. Must be asked for before anything is read of it.
    pub(super) fn edition(&self) -> Edition {
        Edition(self.changes.load(Ordering::Acquire))
    }

    /// How many answers were given again.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }
}

impl StaleObserver for RepeatCounters {
    fn forget(&self, _: &Stale, _: Serial) {}

    /// Who sees the new edition finds nothing any more of what was before.
    fn finish_commit(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

/// All that is shown between two commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edition(u64);

/// Says of an answer that it is the same for everybody who sends the same request, until something changes.
pub(super) fn allow(response: &mut HttpResponse) {
    response.extensions_mut().insert(ForAll);
}

struct ForAll;

/// Whether that was said of `response`.
pub(super) fn is_allowed(response: &HttpResponse) -> bool {
    response.extensions().get::<ForAll>().is_some()
}

/// Whether `request` is all that the client has to say until it has the answer, and it may go on then.
pub(super) fn is_simple(request: &HttpRequest) -> bool {
    let (head, headers) = (request.head(), request.headers());
    head.method == Method::GET
        && head.version == Version::HTTP_11
        && head.connection_type() == ConnectionType::KeepAlive
        && ![CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, UPGRADE].iter().any(|name| headers.contains_key(name))
}

/// What the log says of an answer.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    /// The method and the path.
    pub(super) line: Rc<str>,
    pub(super) status: StatusCode,
}

impl Logged {
    /// Logs that `client` was answered, who has asked when the answer was `started`.
    pub(super) fn log(&self, client: Option<&str>, started: Instant) {
        let Self { line, status } = self;
        let (status, client) = (status.as_u16(), client.unwrap_or_default());
        info!(status, client, seconds = started.elapsed().as_secs_f64(), "{line}");
    }
}

/// An answer as it went out.
pub(super) struct KeptAnswer {
    logged: Logged,
    /// What actix wrote: the head, and a short body.
    head: Bytes,
    /// A long body.
    body: Bytes,
    /// How often it was given again.
    times: u32,
    /// Head and body, once it is worthwhile.
    file: Rc<OnceCell<Arc<SharedFile>>>,
}

impl KeptAnswer {
    /// An answer of which actix wrote `head`, which may have a short body, and the connection `body`.
    pub(super) fn new(logged: Logged, head: Bytes, body: Bytes) -> Self {
        Self { logged, head, body, times: 0, file: Rc::default() }
    }

    fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    fn repeat(&self) -> Repeated {
        let (head, body) = match self.file.get() {
            Some(file) => (Bytes::new(), Outgoing::file_in_memory(Arc::clone(file) as _, self.len() as u64)),
            None => (self.head.clone(), Outgoing::Bytes(self.body.clone())),
        };
        Repeated { head, body }
    }
}

/// A file without a name, which ends before it is written to the disk. Sent to many connections, all of them have the same
/// memory in their buffers, so that it stays in the caches of the processor: of a page of 50 kB, 256 clients get a third more
/// than when it is copied for each. A file of tmpfs, which `memfd_create` makes, too, is handed out in smaller parts, of
/// which a tenth is lost again.
struct SharedFile {
    file: Arc<File>,
    /// Counts those that there are, as slow clients may have some for longer.
    _counted: Arc<()>,
}

impl SharedFile {
    fn new(directory: &Path, parts: &[Bytes], counted: Arc<()>) -> Result<Self> {
        let mut file = tempfile_in(directory)?;
        for part in parts {
            file.write_all(part)?;
        }
        Ok(Self { file: Arc::new(file), _counted: counted })
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        // The file system has to be told when nobody has it any more, and may be busy.
        dispose(Arc::clone(&self.file));
    }
}

impl LocalFile for SharedFile {
    fn file(&self) -> &File {
        &self.file
    }
}

/// An answer that is being given again.
pub(super) struct Repeated {
    head: Bytes,
    body: Outgoing,
}

impl Repeated {
    pub(super) fn is_sent(&self) -> bool {
        self.head.is_empty() && self.body.is_sent()
    }

    /// Writes some of it.
    pub(super) fn poll_write<S: Socket>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<Result<usize>> {
        if self.head.is_empty() {
            return self.body.poll_write(stream, context);
        }
        let count = ready!(self.body.poll_write_behind(stream, context, &self.head))?;
        self.head.advance(count);
        Poll::Ready(Ok(count))
    }
}

/// The answers that a worker keeps for one listener, by request.
pub(super) struct Repeats {
    counters: Arc<RepeatCounters>,
    /// Where files are made.
    directory: PathBuf,
    kept: RefCell<Kept>,
    /// Whether somebody waits to forget all.
    is_timed: Cell<bool>,
    /// As many others have it as there are files.
    files: Arc<()>,
}

/// Answers of one edition.
#[derive(Default)]
struct Kept {
    edition: Edition,
    answers: HashMap<Vec<u8>, KeptAnswer>,
    /// The length of all requests and answers.
    bytes: usize,
}

impl Repeats {
    /// No answers yet. Files of such are made in `directory`.
    pub(super) fn new(counters: Arc<RepeatCounters>, directory: PathBuf) -> Self {
        Self {
            counters,
            directory,
            kept: RefCell::default(),
            is_timed: Cell::new(false),
            files: Arc::default(),
        }
    }

    /// The answer to `request` of `client`, if it is kept and still true.
    pub(super) fn find(&self, request: &[u8], client: Option<&str>) -> Option<Repeated> {
        let started = Instant::now();
        let mut kept = self.kept.borrow_mut();
        let Kept { edition, answers, .. } = &mut *kept;
        let answer = answers.get_mut(request).filter(|_| *edition == self.counters.edition())?;
        self.counters.repeated.fetch_add(1, Ordering::Relaxed);
        answer.times += 1;
        let is_worthwhile = !answer.body.is_empty() && answer.len() <= MAX_FILE_BYTES;
        if answer.times == TIMES_FOR_A_FILE && is_worthwhile && Arc::strong_count(&self.files) <= MAX_FILES {
            self.make_file(answer);
        }
        answer.logged.log(client, started);
        Some(answer.repeat())
    }

    /// Makes a file of `answer`, which goes out of memory until then.
    fn make_file(&self, answer: &KeptAnswer) {
        let (directory, counted) = (self.directory.clone(), Arc::clone(&self.files));
        let (parts, place) = ([answer.head.clone(), answer.body.clone()], Rc::clone(&answer.file));
        let _detached = rt::spawn(async move {
            let made = spawn_blocking(move || SharedFile::new(&directory, &parts, counted)).await;
            match made.unwrap_or_else(|error| Err(error.into())) {
                Ok(file) => drop(place.set(Arc::new(file))),
                Err(error) => debug!("an answer stays without a file: {error}"),
            }
        });
    }

    /// Keeps an answer that was made from `edition`, if there is room.
    pub(super) fn keep(self: &Rc<Self>, request: Vec<u8>, answer: KeptAnswer, edition: Edition) {
        if edition != self.counters.edition() {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        if kept.edition != edition {
            *kept = Kept { edition, ..Kept::default() };
        }
        let bytes = kept.bytes + request.len() + answer.len();
        // Each new connection has its first request answered by actix.
        let is_kept = kept.answers.contains_key(&request);
        if is_kept || kept.answers.len() >= MAX_ANSWERS || bytes > MAX_BYTES {
            return;
        }
        kept.bytes = bytes;
        kept.answers.insert(request, answer);
        if !self.is_timed.replace(true) {
            let repeats = Rc::clone(self);
            let _detached = rt::spawn(async move {
                sleep(KEPT_FOR).await;
                repeats.kept.take();
                repeats.is_timed.set(false);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;
    use tokio::time::timeout;

    use super::*;

    fn answer(body: &Bytes) -> KeptAnswer {
        let logged = Logged { line: "GET /".into(), status: StatusCode::OK };
        KeptAnswer::new(logged, Bytes::from_static(b"HTTP/1.1 200 OK\r\n\r\n"), body.clone())
    }

    fn repeats() -> Rc<Repeats> {
        Rc::new(Repeats::new(Arc::default(), std::env::temp_dir()))
    }

    fn request(number: usize) -> Vec<u8> {
        format!("GET /{number}").into_bytes()
    }

    #[actix_web::test]
    async fn few_answers_are_kept() {
        let repeats = repeats();
        let (long, none) = (Bytes::from(vec![7; MAX_BYTES / 8]), Bytes::new());
        let edition = Edition::default();
        let keep = |number, body| repeats.keep(request(number), answer(body), edition);
        for _ in 0..100 {
            keep(0, &long);
        }
        keep(1, &long);
        assert!(repeats.find(&request(1), None).is_some(), "the first is there only once");
        for number in 2..100 {
            keep(number, &long);
        }
        assert_eq!(repeats.kept.borrow().answers.len(), 7);
        for number in 100..1000 {
            keep(number, &none);
        }
        assert_eq!(repeats.kept.borrow().answers.len(), MAX_ANSWERS);
    }

    #[actix_web::test]
    async fn few_files_are_made() {
        let repeats = repeats();
        let body = Bytes::from_static(&[7; 1000]);
        let is_file = |repeated: &Repeated| matches!(repeated.body, Outgoing::File(_));
        let files = || Arc::strong_count(&repeats.files) - 1;
        let mut slow = Vec::new();
        for edition in 0..3 {
            let find = |number| repeats.find(&request(number), None).unwrap();
            for number in 0..2 * MAX_FILES {
                repeats.keep(request(number), answer(&body), repeats.counters.edition());
                let given: Vec<_> = (0..TIMES_FOR_A_FILE).map(|_| find(number)).collect();
                assert!(!given.iter().any(is_file), "it is not wanted that often yet");
                if edition == 0 && number < MAX_FILES {
                    let made = async {
                        while !is_file(&find(number)) {
                            sleep(Duration::from_millis(1)).await;
                        }
                    };
                    timeout(Duration::from_secs(10), made).await.expect("a file");
                }
                slow.push(find(number));
                assert_eq!(is_file(&find(number)), edition == 0 && number < MAX_FILES);
            }
            assert_eq!(files(), MAX_FILES);
            repeats.counters.finish_commit();
        }
        repeats.kept.take();
        assert_eq!(files(), MAX_FILES);
        slow.clear();
        assert_eq!(files(), 0);
    }

    #[actix_web::test]
    async fn without_files_answers_stay_in_memory() {
        let repeats = Rc::new(Repeats::new(Arc::default(), "/nowhere".into()));
        repeats.keep(request(1), answer(&Bytes::from_static(&[7; 1000])), Edition::default());
        let find = || repeats.find(&request(1), None).unwrap();
        for _ in 0..TIMES_FOR_A_FILE {
            find();
        }
        let freed = async {
            while Arc::strong_count(&repeats.files) > 1 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), freed).await.expect("an end of trying");
        assert!(matches!(find().body, Outgoing::Bytes(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_until_a_commit_and_for_a_second() {
        let test = async {
            let repeats = repeats();
            let keep = |edition| repeats.keep(request(1), answer(&Bytes::new()), edition);
            let is_kept = || repeats.find(&request(1), None).is_some();
            let before = repeats.counters.edition();
            keep(before);
            assert!(is_kept());
            repeats.counters.finish_commit();
            assert!(!is_kept());
            keep(before);
            assert!(!is_kept(), "it was made of what was there before");
            keep(repeats.counters.edition());
            assert!(is_kept());
            sleep(KEPT_FOR + Duration::from_millis(1)).await;
            assert!(!is_kept() && repeats.kept.borrow().answers.is_empty());
            assert_eq!(repeats.counters.repeated(), 2);
        };
        LocalSet::new().run_until(test).await;
    }
}
