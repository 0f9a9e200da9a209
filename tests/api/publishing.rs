//! Pushing to another server, when that is slow, far or talkative. What is sent is compared with devpi by the judge.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use wheelhouse::publish::PublishLimits;

use crate::support::{Answer, Caller, TestServer, sdist};

/// A server that does `answer` with each connection, once it has been sent a whole request.
fn destination(answer: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            read_request(&mut stream);
            answer(stream);
        }
    });
    address
}

fn read_request(stream: &mut TcpStream) {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        received.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&received);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if count == 0 || body.len() >= length.parse::<usize>().unwrap() {
            return;
        }
    }
}

fn respond(mut stream: TcpStream, head: &str, body: &str) {
    let text =
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    // Whoever does not read to the end gets no more.
    let _written = stream.write_all(text.as_bytes());
}

async fn publish(caller: &Caller, address: SocketAddr, more: Value) -> Answer {
    let mut body = json!({
        "name": "demo", "version": "1.0", "posturl": format!("http://{address}/"), "username": "u", "password": "p",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    caller.send(caller.request("PUSH", "alice/dev").header("Accept", "application/json").json(&body)).await
}

async fn server(idle: Duration) -> TestServer {
    server_with(PublishLimits { idle, ..PublishLimits::default() }).await
}

async fn server_with(limits: PublishLimits) -> TestServer {
    let server = TestServer::with_dev().with_publish_limits(limits).start().await;
    server.alice().upload("alice/dev", &sdist("demo", "1.0", "source")).await.expect(200);
    server
}

#[actix_web::test]
async fn a_destination_that_says_nothing_is_given_up() {
    let server = server(Duration::from_millis(200)).await;
    let address = destination(|mut stream| {
        // Kept open until the other side goes.
        let _end = stream.read(&mut [0]);
    });
    let answer = publish(&server.alice(), address, json!({})).await;
    let log = answer.expect(502).json()["result"].clone();
    assert_eq!((&log[0][0], &log[0][1]), (&json!(-1), &json!("upload")), "{log}");
}

#[actix_web::test]
async fn a_destination_that_is_not_there_is_told() {
    let server = server(Duration::from_secs(10)).await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = publish(&server.alice(), free, json!({})).await.expect(502).json()["result"].clone();
    assert_eq!((&log[0][0], log.as_array().unwrap().len()), (&json!(-1), 1), "{log}");
    let log =
        publish(&server.alice(), free, json!({"register_project": true})).await.json()["result"].clone();
    assert_eq!(log, json!([[-1, "register", "demo", "1.0"]]));
}

#[actix_web::test]
async fn redirects_are_not_followed_and_long_answers_are_cut() {
    let server = server(Duration::from_secs(10)).await;
    let elsewhere = destination(|stream| respond(stream, "200 OK", ""));
    let redirecting = destination(move |stream| {
        respond(stream, &format!("307 Temporary Redirect\r\nLocation: http://{elsewhere}/"), "there");
    });
    let log = publish(&server.alice(), redirecting, json!({})).await.expect(502).json()["result"].clone();
    assert_eq!((&log[0][0], &log[0][3]), (&json!(307), &json!("there")));
    let talkative = destination(|stream| respond(stream, "400 Bad Request", &"no ".repeat(1_000_000)));
    let log = publish(&server.alice(), talkative, json!({})).await.expect(502).json()["result"].clone();
    assert_eq!((&log[0][0], log[0][3].as_str().unwrap().len()), (&json!(400), 64 * 1024));
}

#[actix_web::test]
async fn one_user_leaves_pushes_to_others() {
    let limits = PublishLimits { parallel: 2, pending: 4, ..PublishLimits::default() };
    let server = server_with(limits).await;
    let (alice, bob) = (server.alice(), server.bob());
    let (asked, mut questions) = tokio::sync::mpsc::unbounded_channel();
    let (answer, answers) = std::sync::mpsc::channel::<()>();
    let slow = destination(move |stream| {
        asked.send(()).unwrap();
        answers.recv().unwrap();
        respond(stream, "200 OK", "");
    });
    let quick = destination(|stream| respond(stream, "200 OK", ""));
    // Two of them have a place, of which one has its turn; the third is refused at once.
    let pushes = [(); 3].map(|()| {
        let alice = alice.clone();
        actix_web::rt::spawn(async move { publish(&alice, slow, json!({})).await.status })
    });
    questions.recv().await.unwrap();
    let (refused, _, pushes) = futures_util::future::select_all(pushes).await;
    assert_eq!(refused.unwrap(), 503);
    publish(&bob, quick, json!({})).await.expect(200);
    for _ in 0..2 {
        answer.send(()).unwrap();
    }
    for push in pushes {
        assert_eq!(push.await.unwrap(), 200);
    }
    publish(&alice, quick, json!({})).await.expect(200);
}
