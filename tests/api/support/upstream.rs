//! An upstream that does what a test tells it, also what no sane server does.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use wheelhouse::pep::digest::Sha256;

/// A running upstream. Its index is at [`Upstream::url`].
#[derive(Clone)]
pub(crate) struct Upstream {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    answers: HashMap<String, Reply>,
    requests: Vec<Request>,
    under_way: HashMap<String, usize>,
    most_under_way: HashMap<String, usize>,
    is_dead: bool,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
}

/// What is answered at a path.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Arc<Vec<u8>>,
    etag: Option<String>,
    takes_ranges: bool,
    announced: Option<u64>,
    is_chunked: bool,
    /// After how many bytes of the body the connection ends, and how often that happens.
    cut: Option<(usize, usize)>,
    /// Nothing is answered before a permit is there.
    gate: Option<Arc<Semaphore>>,
    /// So much of the body goes out before a permit is there.
    pause: Option<(usize, Arc<Semaphore>)>,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: Arc::new(body.into()),
            etag: None,
            takes_ranges: false,
            announced: None,
            is_chunked: false,
            cut: None,
            gate: None,
            pause: None,
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::ok("no").with_status(status)
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// A simple page as JSON with these files.
    pub(crate) fn page(name: &str, files: &[serde_json::Value]) -> Self {
        let page = serde_json::json!({"meta": {"api-version": "1.4"}, "name": name, "files": files});
        Self::ok(page.to_string()).header("Content-Type", "application/vnd.pypi.simple.v1+json")
    }

    pub(crate) fn html(body: &str) -> Self {
        Self::ok(body).header("Content-Type", "text/html")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an entity tag, and 304 for who knows it.
    pub(crate) fn etag(self, etag: &str) -> Self {
        Self { etag: Some(format!("\"{etag}\"")), ..self }
    }

    pub(crate) fn ranges(self) -> Self {
        Self { takes_ranges: true, ..self }
    }

    pub(crate) fn announcing(self, length: u64) -> Self {
        Self { announced: Some(length), ..self }
    }

    pub(crate) fn chunked(self) -> Self {
        Self { is_chunked: true, ..self }
    }

    /// The first `times` answers end after `bytes` bytes.
    pub(crate) fn cut(self, bytes: usize, times: usize) -> Self {
        Self { cut: Some((bytes, times)), ..self }
    }

    pub(crate) fn gated(self, gate: &Arc<Semaphore>) -> Self {
        Self { gate: Some(Arc::clone(gate)), ..self }
    }

    pub(crate) fn pausing_after(self, bytes: usize, gate: &Arc<Semaphore>) -> Self {
        Self { pause: Some((bytes, Arc::clone(gate))), ..self }
    }
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self { address: listener.local_addr().unwrap(), shared: Arc::default() };
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let upstream = serving.clone();
                tokio::spawn(async move { upstream.serve(stream).await });
            }
        });
        upstream
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What to write into `mirror_url`.
    pub(crate) fn url(&self) -> String {
        format!("{}/simple/", self.origin())
    }

    /// From now on this is answered at a path.
    pub(crate) fn put(&self, path: &str, reply: Reply) {
        self.shared.lock().unwrap().answers.insert(path.to_owned(), reply);
    }

    /// Publishes a file at `/files/NAME` and returns its entry for a page.
    pub(crate) fn put_file(&self, name: &str, reply: Reply) -> serde_json::Value {
        let hash = Sha256::of(&reply.body).to_string();
        let entry = serde_json::json!({
            "filename": name,
            "url": format!("../../files/{name}"),
            "hashes": {"sha256": hash},
            "size": reply.body.len(),
        });
        self.put(&format!("/files/{name}"), reply);
        entry
    }

    /// Publishes a project with files.
    pub(crate) fn put_project(&self, name: &str, files: &[serde_json::Value]) {
        self.put(&format!("/simple/{name}/"), Reply::page(name, files));
    }

    /// From now on connections end at once, or no longer do.
    pub(crate) fn set_dead(&self, is_dead: bool) {
        self.shared.lock().unwrap().is_dead = is_dead;
    }

    pub(crate) fn requests(&self, path: &str) -> Vec<Request> {
        let shared = self.shared.lock().unwrap();
        shared.requests.iter().filter(|request| request.path == path).cloned().collect()
    }

    /// The most requests for a path that were under way at once.
    pub(crate) fn most_under_way(&self, path: &str) -> usize {
        self.shared.lock().unwrap().most_under_way.get(path).copied().unwrap_or(0)
    }

    /// Waits until so many requests for a path have come.
    pub(crate) async fn wait_for(&self, path: &str, count: usize) {
        let waiting = async {
            while self.requests(path).len() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the request did not come");
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n");
        let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let request = Request { path: path.clone(), headers };
        let Some(reply) = self.begin(&request) else { return };
        // Whoever asks may go; that is no fault here.
        let _gone = send(&mut stream, &request, reply).await;
        *self.shared.lock().unwrap().under_way.get_mut(&path).unwrap() -= 1;
    }

    fn begin(&self, request: &Request) -> Option<Reply> {
        let mut shared = self.shared.lock().unwrap();
        shared.requests.push(request.clone());
        if shared.is_dead {
            return None;
        }
        let count = shared.under_way.entry(request.path.clone()).or_default();
        *count += 1;
        let count = *count;
        let most = shared.most_under_way.entry(request.path.clone()).or_default();
        *most = count.max(*most);
        let path = request.path.split('?').next().unwrap();
        let Some(planned) = shared.answers.get_mut(path) else { return Some(Reply::status(404)) };
        let reply = planned.clone();
        planned.cut = planned.cut.and_then(|(bytes, times)| (times > 1).then(|| (bytes, times - 1)));
        Some(reply)
    }
}

async fn send(stream: &mut TcpStream, request: &Request, reply: Reply) -> std::io::Result<()> {
    if let Some(gate) = &reply.gate {
        gate.acquire().await.unwrap().forget();
    }
    let (mut status, mut body) = (reply.status, reply.body.as_slice());
    let mut head: Vec<String> = Vec::new();
    if let Some(etag) = &reply.etag {
        head.push(format!("ETag: {etag}"));
        if request.headers.get("if-none-match") == Some(etag) {
            (status, body) = (304, &[]);
        }
    }
    if let Some(range) = request.headers.get("range").filter(|_| reply.takes_ranges && status == 200) {
        let range = range.strip_prefix("bytes=").unwrap();
        let size = body.len();
        let (first, last) = range.split_once('-').unwrap();
        let (first, end) = match (first, last) {
            ("", count) => (size.saturating_sub(count.parse().unwrap()), size),
            (first, "") => (first.parse().unwrap(), size),
            (first, last) => (first.parse().unwrap(), last.parse::<usize>().unwrap() + 1),
        };
        (status, body) = (206, &body[first..end]);
        head.push(format!("Content-Range: bytes {first}-{}/{size}", end - 1));
    }
    for (name, value) in &reply.headers {
        head.push(format!("{name}: {value}"));
    }
    if reply.is_chunked {
        head.push("Transfer-Encoding: chunked".to_owned());
    } else {
        head.push(format!("Content-Length: {}", reply.announced.unwrap_or(body.len() as u64)));
    }
    let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{}\r\n\r\n", head.join("\r\n"));
    stream.write_all(head.as_bytes()).await?;
    let end = reply.cut.map_or(body.len(), |(bytes, _)| bytes.min(body.len()));
    let mut sent = 0;
    for place in [reply.pause.as_ref().map_or(end, |(bytes, _)| (*bytes).min(end)), end] {
        if sent > 0
            && sent < end
            && let Some((_, gate)) = &reply.pause
        {
            stream.flush().await?;
            gate.acquire().await.unwrap().forget();
        }
        let piece = &body[sent..place];
        if reply.is_chunked && !piece.is_empty() {
            stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        }
        stream.write_all(piece).await?;
        if reply.is_chunked && !piece.is_empty() {
            stream.write_all(b"\r\n").await?;
        }
        sent = place;
    }
    if reply.is_chunked && reply.cut.is_none() {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    stream.shutdown().await
}
