//! Answers that are given again, past all that makes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use wheelhouse::http::{HttpLimits, HttpSettings, TrustedProxies};

use crate::support::{Builder, Caller, PASSWORD, RawAnswer, Reply, TestServer, Upstream, Wheel, sdist};

const PAGE: &str = "/alice/dev/+simple/demo/";

/// A connection on which one request follows the other.
struct Client(TcpStream);

impl Client {
    async fn connect(server: &TestServer) -> Self {
        Self(TcpStream::connect(server.address()).await.unwrap())
    }

    async fn send(&mut self, request: &str) {
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    /// Reads one answer; the body is as long as it says.
    async fn answer(&mut self) -> RawAnswer {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(self.0.read_u8().await.unwrap());
        }
        let head = RawAnswer::parse(&bytes);
        let length = head
            .head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).await.unwrap();
        RawAnswer { body, ..head }
    }

    /// The next one that is not only on the way.
    async fn final_answer(&mut self) -> RawAnswer {
        loop {
            let answer = timeout(Duration::from_secs(30), self.answer()).await.unwrap();
            if !answer.status_line.starts_with("100") {
                return answer;
            }
        }
    }

    async fn ask(&mut self, request: &str) -> RawAnswer {
        self.send(request).await;
        timeout(Duration::from_secs(30), self.answer()).await.unwrap()
    }

    /// Asks until an answer is given again, which must be like those before. A second may end just in between.
    async fn ask_until_repeated(&mut self, server: &TestServer, request: &str) -> RawAnswer {
        let (before, start) = (server.repeated().await, Instant::now());
        let first = self.ask(request).await;
        while server.repeated().await == before {
            let next = self.ask(request).await;
            assert_eq!((undated(&next), &next.body), (undated(&first), &first.body));
            assert!(start.elapsed() < Duration::from_secs(10), "never given again: {request}");
        }
        first
    }
}

fn get(path: &str, lines: &[&str]) -> String {
    let request = format!("GET {path} HTTP/1.1");
    [&[request.as_str(), "Host: localhost"], lines, &["", ""]].concat().join("\r\n")
}

/// The head without the time.
fn undated(answer: &RawAnswer) -> String {
    answer.head.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect()
}

fn text(answer: &RawAnswer) -> &str {
    str::from_utf8(&answer.body).unwrap()
}

async fn demo(builder: Builder) -> (TestServer, Caller) {
    let server = builder.start().await;
    let alice = server.alice();
    alice.upload("alice/dev", &sdist("demo", "1.0", "content")).await.expect(200);
    (server, alice)
}

/// Uploads a wheel with this description; gives the path and the content of its core metadata.
async fn describe(alice: &Caller, description: &str) -> (String, String) {
    let wheel = Wheel::new("demo", "2.0").description(description);
    let (metadata, wheel) = (wheel.metadata(), wheel.build());
    alice.upload("alice/dev", &wheel).await.expect(200);
    (format!("/{}.metadata", wheel.path("alice/dev")), metadata)
}

#[actix_web::test]
async fn what_anybody_may_have_is_given_again() {
    let (server, alice) = demo(TestServer::with_dev()).await;
    let wheel = Wheel::new("demo", "1.0").build();
    alice.upload("alice/dev", &wheel).await.expect(200);
    let source = sdist("demo", "2.0", &"random? ".repeat(1000));
    alice.upload("alice/dev", &source).await.expect(200);
    let mut client = Client::connect(&server).await;
    let page = client.ask_until_repeated(&server, &get(PAGE, &[])).await;
    assert!(text(&page).contains("demo-2.0"));
    let json = "Accept: application/vnd.pypi.simple.v1+json";
    let json = client.ask_until_repeated(&server, &get(PAGE, &[json, "Connection: keep-alive"])).await;
    assert!(text(&json).starts_with('{'));
    let etag = page.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let known = client.ask_until_repeated(&server, &get(PAGE, &[&format!("If-None-Match: {etag}")])).await;
    assert!(known.status_line.starts_with("304"), "{}", known.head);
    let path = |path: String| format!("/{path}");
    let metadata = get(&path(wheel.path("alice/dev") + ".metadata"), &[]);
    assert!(text(&client.ask_until_repeated(&server, &metadata).await).contains("Name: demo"));
    let file = client.ask_until_repeated(&server, &get(&path(wheel.path("alice/dev")), &[])).await;
    assert_eq!(file.body, wheel.content);
    let part = get(&path(source.path("alice/dev")), &["Range: bytes=10-19"]);
    assert_eq!(client.ask_until_repeated(&server, &part).await.body, source.content[10..20]);
}

#[actix_web::test]
async fn a_long_answer_is_the_same_however_often_it_is_given() {
    let (server, alice) = demo(TestServer::with_dev()).await;
    let (path, metadata) = describe(&alice, &"again and again\n".repeat(6_000)).await;
    let request = get(&path, &[]);
    let mut client = Client::connect(&server).await;
    let first = client.ask_until_repeated(&server, &request).await;
    let before = server.repeated().await;
    for _ in 0..200 {
        let next = client.ask(&request).await;
        assert_eq!(undated(&next), undated(&first));
        assert!(next.body == metadata.as_bytes());
    }
    // Some come after a second.
    assert!(server.repeated().await > before + 100);
}

#[actix_web::test]
async fn a_change_is_seen_at_once() {
    let (server, alice) = demo(TestServer::with_dev()).await;
    let mut client = Client::connect(&server).await;
    for version in 2..6 {
        client.ask_until_repeated(&server, &get(PAGE, &[])).await;
        alice.upload("alice/dev", &sdist("demo", &format!("{version}.0"), "content")).await.expect(200);
        let page = client.ask(&get(PAGE, &[])).await;
        assert!(text(&page).contains(&format!("demo-{version}.0")), "{}", text(&page));
    }
    let file = get(&format!("/{}", sdist("demo", "1.0", "content").path("alice/dev")), &[]);
    client.ask_until_repeated(&server, &file).await;
    alice.delete("alice/dev/demo/1.0").await.expect(200);
    assert!(client.ask(&file).await.status_line.starts_with("410"));
    client.ask_until_repeated(&server, &get(PAGE, &[])).await;
    alice.delete("alice/dev").await.expect(201);
    assert!(client.ask(&get(PAGE, &[])).await.status_line.starts_with("404"));
}

#[actix_web::test]
async fn what_depends_on_who_asks_or_how_is_made_each_time() {
    let (server, _) = demo(TestServer::with_dev()).await;
    let mut client = Client::connect(&server).await;
    let before = server.repeated().await;
    let authorization = format!("Authorization: Basic {}", STANDARD.encode(format!("alice:{PASSWORD}")));
    for request in [
        get(PAGE, &[&authorization]),
        get(PAGE, &[&authorization.replace("Authorization: Basic", "X-Devpi-Auth:")]),
        get(PAGE, &["X-Devpi-Absolute-URLs: 1"]),
        get("/+api", &[]),
        get("/alice/dev", &["Accept: application/json"]),
        get("/alice/dev/+simple/missing/", &[]),
    ] {
        for _ in 0..5 {
            client.ask(&request).await;
        }
        assert_eq!(server.repeated().await, before, "{request}");
    }
    // The same connection could.
    client.ask_until_repeated(&server, &get(PAGE, &[])).await;
}

#[actix_web::test]
async fn answers_stay_in_order() {
    let (server, alice) = demo(TestServer::with_dev()).await;
    alice.upload("alice/dev", &sdist("other", "1.0", "content")).await.expect(200);
    let (page, other) = (get(PAGE, &[]), get("/alice/dev/+simple/other/", &[]));
    let is_page = |answer: &RawAnswer| text(answer).contains("demo-1.0");
    let other_way =
        |way: &'static str| format!("{way} /alice/dev/+simple/other/ HTTP/1.1\r\nHost: localhost\r\n");
    for odd in [
        // Each is answered with the other page, once.
        other.clone(),
        format!("\r\n{other}"),
        other.replace("\r\n", "\n"),
        other_way("GET") + "Expect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",
        other_way("GET") + "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        other_way("POST") + "Content-Length: 4\r\n\r\nbody",
    ] {
        let mut client = Client::connect(&server).await;
        client.ask_until_repeated(&server, &page).await;
        // All at once.
        client.send(&[&page, &odd, &page, &page].map(String::as_str).concat()).await;
        for expected in [true, false, true, true] {
            assert_eq!(is_page(&client.final_answer().await), expected, "{odd}");
        }
        // In pieces, the last of which looks like a request.
        let mut client = Client::connect(&server).await;
        client.ask_until_repeated(&server, &page).await;
        for piece in odd.as_bytes().chunks(7) {
            client.send(str::from_utf8(piece).unwrap()).await;
            sleep(Duration::from_millis(1)).await;
        }
        client.send(&page).await;
        for expected in [false, true] {
            assert_eq!(is_page(&client.final_answer().await), expected, "{odd}");
        }
    }
}

#[actix_web::test]
async fn nothing_is_repeated_before_earlier_requests_are_answered() {
    let upstream = Upstream::start().await;
    let settings = json!({"type": "mirror", "mirror_url": upstream.url(), "mirror_cache_expiry": 0});
    let (server, _) = demo(TestServer::with_dev().with_index("root/up", settings)).await;
    let page = get(PAGE, &[]);
    let slow = get("/root/up/+simple/slow/", &[]);
    for (first, expected) in [
        (slow.clone(), [false, true].as_slice()),
        (slow.clone() + &page, &[false, true, true]),
        (page.clone() + &slow, &[true, false, true]),
    ] {
        let gate = Arc::new(Semaphore::new(0));
        let reply = Reply::ok("<a href='slow-1.0.zip'>slow-1.0.zip</a>").header("Content-Type", "text/html");
        upstream.put("/simple/slow/", reply.pausing_after(10, &gate));
        let mut client = Client::connect(&server).await;
        client.ask_until_repeated(&server, &page).await;
        client.send(&first).await;
        sleep(Duration::from_millis(50)).await;
        client.send(&page).await;
        sleep(Duration::from_millis(50)).await;
        gate.add_permits(1);
        for expected in expected {
            let answer = client.final_answer().await;
            assert_eq!(text(&answer).contains("demo-1.0"), *expected, "{first}");
        }
    }
}

#[actix_web::test]
async fn a_connection_that_is_in_use_is_kept() {
    let second = Duration::from_secs(1);
    let limits = HttpLimits { keep_alive: second, body_idle: second, ..HttpLimits::default() };
    let (server, _) = demo(TestServer::with_dev().with_limits(limits)).await;
    // One that mostly gets what others have had made, on whichever worker.
    let mut client = Client::connect(&server).await;
    let others: Vec<_> = (0..4).map(async |_| Client::connect(&server).await).collect();
    let mut others = join_all(others).await;
    let (page, start) = (get(PAGE, &[]), Instant::now());
    let (mut asked, mut repeated) = (0, 0);
    while start.elapsed() < Duration::from_secs(3) {
        for _ in 0..20 {
            for other in &mut others {
                other.ask(&page).await;
            }
        }
        let before = server.repeated().await;
        client.ask(&page).await;
        repeated += server.repeated().await - before;
        asked += 1;
    }
    assert!(asked > 20 && repeated > asked / 2, "{repeated} of {asked}");
}

#[actix_web::test]
async fn nothing_follows_the_last_answer_of_a_connection() {
    let (server, alice) = demo(TestServer::with_dev()).await;
    let (long, _) = describe(&alice, &"a long answer\n".repeat(6_000)).await;
    let page = get(PAGE, &[]);
    for last in [
        get(PAGE, &["Upgrade: websocket"]),
        get(PAGE, &["Connection: close"]),
        get(&long, &["Connection: close"]),
        get(&long, &[]).replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let mut client = Client::connect(&server).await;
        client.ask_until_repeated(&server, &page).await;
        let before = server.repeated().await;
        client.send(&last).await;
        client.answer().await;
        // It may be gone already.
        let _refused = client.0.write_all(page.as_bytes()).await;
        let mut rest = Vec::new();
        let _reset = client.0.read_to_end(&mut rest).await;
        assert_eq!((rest.len(), server.repeated().await), (0, before), "{last}");
    }
}

#[actix_web::test]
async fn who_reads_slowly_gets_all_of_a_repeated_answer() {
    let (server, alice) = demo(TestServer::with_dev()).await;
    let (path, metadata) = describe(&alice, &"slowly, slowly\n".repeat(500_000)).await;
    let request = get(&path, &[]);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(10_000).unwrap();
    let mut slow = Client(socket.connect(server.address()).await.unwrap());
    slow.ask(&request).await;
    let (before, start) = (server.repeated().await, Instant::now());
    while server.repeated().await == before {
        // The end waits for the client.
        slow.send(&request).await;
        sleep(Duration::from_millis(50)).await;
        assert!(slow.answer().await.body == metadata.as_bytes());
        assert!(start.elapsed() < Duration::from_secs(20), "never given again");
    }
}

#[actix_web::test]
async fn some_servers_repeat_nothing() {
    // What is logged depends on who is trusted.
    let trusted_proxies = TrustedProxies::new(Some("*"), None, Some("x-forwarded-for")).unwrap();
    let settings = HttpSettings { trusted_proxies, ..HttpSettings::default() };
    // actix would not wait for who reads slowly.
    let limits = HttpLimits { keep_alive: Duration::from_secs(5), ..HttpLimits::default() };
    for builder in
        [TestServer::with_dev().with_settings(settings), TestServer::with_dev().with_limits(limits)]
    {
        let (server, _) = demo(builder).await;
        let mut client = Client::connect(&server).await;
        for _ in 0..5 {
            client.ask(&get(PAGE, &["X-Forwarded-For: 192.0.2.1"])).await;
        }
        assert_eq!(server.repeated().await, 0);
    }
}
