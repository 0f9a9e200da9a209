//! What an answer has to do with its connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::support::{PASSWORD, RawAnswer, Reply, TestServer, Upstream};

/// More projects than are listed in one piece.
const PROJECTS: usize = 20_100;

/// What clients of HTTP/1.0 say who want to go on with a connection.
const KEEP: &str = "Connection: keep-alive";

/// Sends a request line and the lines that follow, and reads until the connection ends.
async fn ask(server: &TestServer, lines: &[&str]) -> RawAnswer {
    let [first, rest @ ..] = lines else { unreachable!("a request has a line") };
    let request = [&[*first, "Host: localhost"][..], rest, &["", ""]].concat().join("\r\n");
    server.anonymous().exchange(request.into_bytes()).await
}

#[actix_web::test]
async fn for_clients_that_know_no_chunks_a_body_ends_with_the_connection() {
    let upstream = Upstream::start().await;
    let projects: Vec<Value> = (0..PROJECTS).map(|number| json!({"name": format!("p{number}")})).collect();
    let list = json!({"meta": {"api-version": "1.1"}, "projects": projects});
    let list = Reply::ok(list.to_string());
    upstream.put("/simple/", list.header("Content-Type", "application/vnd.pypi.simple.v1+json"));
    // A file of which nobody says how long it is.
    let (content, gate) = (vec![7; 6_000_000], Arc::new(Semaphore::new(0)));
    let reply = Reply::ok(content.clone()).chunked().pausing_after(3_000_000, &gate);
    let mut file = upstream.put_file("demo-1.0.zip", reply);
    file.as_object_mut().unwrap().remove("size");
    upstream.put_project("demo", &[file]);
    let settings = json!({"type": "mirror", "mirror_url": upstream.url()});
    let server = TestServer::new().with_index("root/up", settings).start().await;
    let page = server.anonymous().get_simple("root/up/+simple/demo/").await.json();
    let path = page["files"][0]["url"].as_str().unwrap().replace("../..", "/root/up");

    let accept = "Accept: application/vnd.pypi.simple.v1+json";
    let list = ask(&server, &["GET /root/up/+simple/ HTTP/1.0", KEEP, accept]).await;
    let listed: Value = serde_json::from_slice(&list.body).unwrap();
    assert_eq!(listed["projects"].as_array().unwrap().len(), PROJECTS);
    let head = ask(&server, &[&format!("HEAD {path} HTTP/1.0"), KEEP]).await;
    assert_eq!(head.body, b"");
    // It is asked for while it comes.
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n{KEEP}\r\n\r\n").as_bytes()).await.unwrap();
    let mut file = vec![0; 1000];
    stream.read_exact(&mut file).await.unwrap();
    gate.add_permits(1);
    stream.read_to_end(&mut file).await.unwrap();
    let file = RawAnswer::parse(&file);
    assert!(file.body == content);
    for head in [&list.head, &head.head, &file.head] {
        assert!(head.starts_with("HTTP/1.0 200 OK"), "{head}");
        for foreign in ["transfer-encoding", "keep-alive", "content-length"] {
            assert!(!head.contains(foreign), "{head}");
        }
    }

    // Where the length is known, the connection goes on.
    let again = format!("GET {path} HTTP/1.0\r\n{KEEP}\r\n\r\nGET {path} HTTP/1.0\r\n\r\n");
    let first = server.anonymous().exchange(again.into_bytes()).await;
    assert!(first.head.contains("content-length: 6000000"), "{}", first.head);
    let (body, second) = first.body.split_at(content.len());
    assert!(body == content && RawAnswer::parse(second).body == content);
}

#[actix_web::test]
async fn an_offer_of_another_protocol_is_passed_over_at_once() {
    let server = TestServer::with_dev().start().await;
    let started = Instant::now();
    for (line, more, expected) in [
        ("GET /+api HTTP/1.1", "Content-Length: 0", "200 OK"),
        ("GET /alice/dev/+simple/ HTTP/1.1", "X: y", "200 OK"),
        ("CONNECT localhost:443 HTTP/1.1", "X: y", "404 Not Found"),
        ("PUT /carol HTTP/1.1", "X: y", "400 Bad Request"),
        // Nobody could tell where the body ends.
        ("POST /+login HTTP/1.1", "Content-Length: 100", "400 Bad Request"),
        ("CONNECT localhost:443 HTTP/1.1", "Content-Length: 100", "400 Bad Request"),
    ] {
        let answer = ask(&server, &[line, "Connection: Upgrade", "Upgrade: WebSocket", more]).await;
        assert_eq!(answer.status_line, expected, "{line}");
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
    }
    // Where the end can be seen, the body is like any other.
    let login = json!({"user": "alice", "password": PASSWORD}).to_string();
    let chunks = ["", &format!("{:x}", login.len()), &login, "0"];
    let lines =
        ["POST /+login HTTP/1.1", "Connection: close", "Upgrade: websocket", "Transfer-Encoding: chunked"];
    assert_eq!(ask(&server, &[lines, chunks].concat()).await.status_line, "200 OK");
    // A body without end would have been waited for for a minute.
    assert!(started.elapsed() < Duration::from_secs(40));
}
