//! Pushing within the server.

use serde_json::{Value, json};

use crate::support::{Answer, Caller, Form, TestServer, Wheel, sdist};

async fn push(caller: &Caller, source: &str, body: Value) -> Answer {
    let request = caller.request("PUSH", source).header("Accept", "application/json").json(&body);
    caller.send(request).await
}

fn demo(target: &str) -> Value {
    json!({"name": "demo", "version": "1.0", "targetindex": target})
}

fn docs(content: &[u8]) -> Form {
    Form::new()
        .field(":action", "doc_upload")
        .field("name", "demo")
        .field("version", "1.0")
        .file("content", "demo.zip", content)
}

#[actix_web::test]
async fn a_push_copies_no_bytes_and_is_one_change() {
    let server =
        TestServer::with_dev().with_index("bob/prod", json!({"acl_upload": ["alice"]})).start().await;
    let (alice, wheel, source) =
        (server.alice(), Wheel::new("demo", "1.0").build(), sdist("demo", "1.0", "source"));
    alice.upload("alice/dev", &wheel).await.expect(200);
    alice.upload("alice/dev", &source).await.expect(200);
    alice.post("alice/dev", &docs(b"documentation")).await.expect(200);
    let result = alice.request("POST", &source.path("alice/dev")).body("{}");
    alice.send(result).await.expect(200);
    server.settled().await;
    let (contents, serial) = (server.contents(), server.serial().await);
    let log = push(&alice, "alice/dev", demo("bob/prod")).await.result();
    let steps: Vec<&str> = log.as_array().unwrap().iter().map(|step| step[1].as_str().unwrap()).collect();
    assert_eq!(
        steps,
        ["register", "store_releasefile", "store_releasefile", "store_toxresult", "store_doczip"]
    );
    assert_eq!(server.serial().await, serial + 1);
    assert_eq!(server.contents(), contents);
    for dist in [&wheel, &source] {
        assert!(alice.get(&dist.path("bob/prod")).await.expect(200).body == dist.content);
    }
    let metadata = alice.get(&format!("{}.metadata", wheel.path("bob/prod"))).await;
    assert_eq!(metadata.expect(200).text(), Wheel::new("demo", "1.0").metadata());
    // What was pushed does not depend on where it came from.
    alice.delete("alice/dev").await.expect(201);
    alice.get(&source.path("alice/dev")).await.expect(410);
    assert_eq!(alice.get(&source.path("bob/prod")).await.expect(200).body, b"source");
}

#[actix_web::test]
async fn a_refused_push_changes_nothing() {
    let server = TestServer::with_dev().with_index("alice/prod", json!({"volatile": false})).start().await;
    let alice = server.alice();
    // Sorted by name, the wheel would come first.
    alice.upload("alice/prod", &sdist("demo", "1.0", "another")).await.expect(200);
    alice.upload("alice/dev", &Wheel::new("demo", "1.0").build()).await.expect(200);
    let form = sdist("demo", "1.0", "source").form().field("summary", "pushed");
    alice.post("alice/dev", &form).await.expect(200);
    let serial = server.serial().await;
    let answer = push(&alice, "alice/dev", demo("alice/prod")).await;
    assert_eq!(answer.expect(409).message(), "demo-1.0.tar.gz already exists in non-volatile index");
    assert_eq!(server.serial().await, serial);
    let release = alice.get_json("alice/prod/demo/1.0").await.result();
    assert_eq!((&release["summary"], release["+links"].as_array().unwrap().len()), (&json!(""), 1));
}

#[actix_web::test]
async fn pages_show_what_was_pushed_at_once() {
    let server = TestServer::with_dev().with_index("alice/prod", json!({})).start().await;
    let alice = server.alice();
    alice.upload("alice/prod", &sdist("demo", "0.9", "old")).await.expect(200);
    for version in ["1.0", "1.1"] {
        alice.upload("alice/dev", &sdist("demo", version, version)).await.expect(200);
        alice.get_simple("alice/prod/+simple/demo/").await.expect(200);
        let body = json!({"name": "Demo", "version": version, "targetindex": "alice/prod"});
        push(&alice, "alice/dev", body).await.expect(200);
        let page = alice.get_simple("alice/prod/+simple/demo/").await.json();
        assert!(page["versions"].as_array().unwrap().contains(&json!(version)), "{page}");
    }
}

#[actix_web::test]
async fn a_push_onto_itself_leaves_a_trace_in_the_history() {
    let server = TestServer::with_dev().start().await;
    let (alice, dist) = (server.alice(), sdist("demo", "1.0", "source"));
    alice.upload("alice/dev", &dist).await.expect(200);
    push(&alice, "alice/dev", demo("alice/dev")).await.expect(200);
    assert_eq!(alice.get(&dist.path("alice/dev")).await.expect(200).body, b"source");
    let release = alice.get_json("alice/dev/demo/1.0").await.result();
    let log = release["+links"][0]["log"].as_array().unwrap();
    let what: Vec<&str> = log.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["overwrite", "upload", "push"]);
}

#[actix_web::test]
async fn only_members_make_the_server_push_elsewhere() {
    let server = TestServer::with_dev().start().await;
    server.alice().upload("alice/dev", &sdist("demo", "1.0", "source")).await.expect(200);
    let elsewhere = |url: &str| json!({"name": "demo", "version": "1.0", "posturl": url, "username": "u", "password": "p"});
    push(&server.anonymous(), "alice/dev", elsewhere("http://127.0.0.1:9/")).await.expect(401);
    for url in ["file:///etc/passwd", "ftp://upstream.example/", "nonsense", ""] {
        push(&server.bob(), "alice/dev", elsewhere(url)).await.expect(400);
    }
}
