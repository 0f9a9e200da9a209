//! Bounds of requests: what is too much is refused, and said so.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wheelhouse::http::HttpLimits;

use crate::support::{Caller, Form, TestServer, sdist};

const URLENCODED: &str = "application/x-www-form-urlencoded";

fn register() -> Form {
    Form::new().field(":action", "submit").field("name", "demo").field("version", "1.0")
}

#[actix_web::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let limits = HttpLimits { request_body: 100_000, ..HttpLimits::default() };
    let server = TestServer::with_dev().with_limits(limits).start().await;
    let alice = server.alice();
    alice.upload("alice/dev", &sdist("demo", "1.0", &"x".repeat(90_000))).await.expect(200);
    let large = sdist("demo", "2.0", &"x".repeat(3_000_000)).form();
    let refused = alice.post_raw("alice/dev", &large).await;
    assert_eq!(refused.status_line, "413 Request Entity Too Large");
    assert!(String::from_utf8(refused.body).unwrap().contains("exceeds max_body of 100000"));
    // Without a Content-Length it is noticed on the way.
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
        large.render().chunks(10_000).map(|piece| Ok(piece.to_vec())).collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let request = alice.request("POST", "alice/dev/").header("Content-Type", Form::content_type());
    let refused = alice.send(request.body(body)).await;
    refused.expect(413);
    server.settled().await;
    assert_eq!(server.contents().len(), 1);
    alice.get_json("alice/dev/demo/2.0").await.expect(404);
}

#[actix_web::test]
async fn forms_have_bounds_of_their_own() {
    let limits = HttpLimits { form_fields: 10, form_field: 1000, form_total: 3000, ..HttpLimits::default() };
    let server = TestServer::with_dev().with_limits(limits).start().await;
    let alice = server.alice();
    let many = |count: usize, value: &str| {
        (0..count).fold(register(), |form, number| form.field(&format!("field{number}"), value))
    };
    for (form, status_line) in [
        (many(7, ""), "200 OK"),
        (many(8, ""), "400 the form has more than 10 fields"),
        (register().field("description", &"x".repeat(1000)), "200 OK"),
        (
            register().field("description", &"x".repeat(1001)),
            "400 field 'description' is longer than 1000 bytes",
        ),
        (many(4, &"x".repeat(900)), "400 the fields of the form are longer than 3000 bytes"),
        // Files have another bound.
        (sdist("demo", "1.0", &"x".repeat(5000)).form(), "200 OK"),
    ] {
        assert_eq!(alice.post_raw("alice/dev", &form).await.status_line, status_line);
    }
}

#[actix_web::test]
async fn urlencoded_forms_have_the_same_bounds() {
    let limits = HttpLimits { form_fields: 4, form_field: 10, ..HttpLimits::default() };
    let server = TestServer::with_dev().with_limits(limits).start().await;
    let register = ":action=submit&name=demo&version=1.0";
    for (fields, status) in
        [("summary=kept", 200), ("summary=kept&author=lost", 400), ("summary=longer+than+ten", 400)]
    {
        let request = server.alice().request("POST", "alice/dev/").body(format!("{register}&{fields}"));
        let request = request.header("Content-Type", URLENCODED);
        server.alice().send(request).await.expect(status);
    }
}

#[actix_web::test]
async fn of_whoever_may_not_upload_a_form_is_read_like_a_push() {
    let limits = HttpLimits { json_body: 1000, form_total: 3000, ..HttpLimits::default() };
    let server = TestServer::with_dev().with_index("bob/dev", json!({})).with_limits(limits).start().await;
    let post = async |caller: &Caller, index: &str, body: String| {
        let request = caller.request("POST", &format!("{index}/")).header("Content-Type", URLENCODED);
        caller.send(request.body(body)).await.status
    };
    let form = |length| format!(":action=submit&name=demo&version=1.0&summary={}", "x".repeat(length));
    let (alice, bob) = (server.alice(), server.bob());
    for (caller, index, refusal) in
        [(&server.anonymous(), "alice/dev", 401), (&bob, "alice/dev", 403), (&alice, "alice/none", 404)]
    {
        for length in [10, 2000, 100_000] {
            assert_eq!(post(caller, index, form(length)).await, refusal, "{length} bytes to {index}");
        }
    }
    assert_eq!(post(&alice, "alice/dev", form(2000)).await, 200);
    assert_eq!(post(&alice, "alice/dev", form(4000)).await, 413);
    // What is pushed comes from where the caller may read.
    alice.upload("alice/dev", &sdist("demo", "1.0", "content")).await.expect(200);
    let push = json!({"name": "demo", "version": "1.0", "targetindex": "bob/dev"});
    assert_eq!(post(&bob, "alice/dev", push.to_string()).await, 200);
}

#[actix_web::test]
async fn json_bodies_have_a_bound_of_their_own() {
    let limits = HttpLimits { json_body: 1000, ..HttpLimits::default() };
    let server = TestServer::with_dev().with_limits(limits).start().await;
    let title = |length| json!({"title": "x".repeat(length)});
    server.alice().patch("alice/dev", title(900)).await.expect(200);
    server.alice().patch("alice/dev", title(1000)).await.expect(413);
    assert_eq!(server.alice().get_json("alice/dev").await.result()["title"], "x".repeat(900));
}

#[actix_web::test]
async fn a_refused_connection_does_not_disturb_the_next_request() {
    let limits = HttpLimits { request_body: 10_000, drained: 1_000_000, ..HttpLimits::default() };
    let server = TestServer::with_dev().with_limits(limits).start().await;
    for _ in 0..10 {
        let large = sdist("demo", "1.0", &"x".repeat(200_000));
        server.alice().upload("alice/dev", &large).await.expect(413);
        server.alice().upload("alice/dev", &sdist("demo", "1.0", "small")).await.expect(200);
    }
}

#[actix_web::test]
async fn long_answers_that_nobody_reads_have_a_bound_together() {
    let server = TestServer::with_dev().start().await;
    // Six bytes for each letter, as devpi writes JSON: some 20 MB.
    let description = "\u{fc}".repeat(3_500_000);
    server.alice().post("alice/dev", &register().field("description", &description)).await.expect(200);
    let request = b"GET /alice/dev/demo/1.0 HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n";
    let ask = async || {
        let mut client = TcpStream::connect(server.address()).await.unwrap();
        client.write_all(request).await.unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).await.unwrap();
        (client, String::from_utf8(status.to_vec()).unwrap())
    };
    let mut clients = Vec::new();
    let refused = loop {
        let (client, status) = ask().await;
        if status != "HTTP/1.1 200" {
            break status;
        }
        clients.push(client);
        assert!(clients.len() < 15, "more than 256 MiB");
    };
    assert_eq!((refused.as_str(), clients.len()), ("HTTP/1.1 503", 12));
    drop(clients);
    let start = Instant::now();
    while ask().await.1 != "HTTP/1.1 200" {
        assert!(start.elapsed() < Duration::from_secs(10), "nothing is given back");
    }
}
