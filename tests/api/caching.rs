//! Conditional requests and codings of pages.

use std::io::Read;

use serde_json::json;

use crate::support::{Answer, TestServer, sdist};

const VARY: &str = "Accept, Accept-Encoding, User-Agent";

/// A server with a project of so many releases that its pages are worth compressing.
async fn with_large_pages() -> TestServer {
    let server = TestServer::with_dev().start().await;
    for number in 0..10 {
        server.alice().upload("alice/dev", &sdist("demo", &format!("{number}.0"), "x")).await.expect(200);
        server.alice().upload("alice/dev", &sdist(&format!("project{number}"), "1.0", "x")).await.expect(200);
    }
    server
}

fn unpack(answer: &Answer) -> Vec<u8> {
    match answer.header("content-encoding") {
        "" => answer.body.clone(),
        "gzip" => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_end(&mut plain).unwrap();
            plain
        }
        "zstd" => zstd::bulk::decompress(&answer.body, 1_000_000).unwrap(),
        other => panic!("the coding {other} was not asked for"),
    }
}

#[actix_web::test]
async fn a_known_page_is_not_sent_again() {
    let server = with_large_pages().await;
    let anonymous = server.anonymous();
    for path in ["alice/dev/+simple/demo/", "alice/dev/+simple/"] {
        for accept in ["text/html", "application/vnd.pypi.simple.v1+json"] {
            for coding in ["identity", "gzip", "zstd"] {
                let ask = async |etag: &str| {
                    let request = anonymous.request("GET", path).header("Accept", accept);
                    let request = request.header("Accept-Encoding", coding).header("If-None-Match", etag);
                    anonymous.send(request).await
                };
                let page = ask("\"other\"").await;
                page.expect(200);
                assert_eq!((page.header("cache-control"), page.header("vary")), ("no-cache", VARY));
                let etag = page.etag();
                for condition in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()]
                {
                    let again = ask(&condition).await;
                    again.expect(304);
                    assert_eq!((again.body.len(), again.etag()), (0, etag.clone()));
                    assert_eq!((again.header("cache-control"), again.header("vary")), ("no-cache", VARY));
                }
            }
        }
    }
}

#[actix_web::test]
async fn codings_carry_the_same_page_under_tags_of_their_own() {
    let server = with_large_pages().await;
    for path in ["alice/dev/+simple/demo/", "alice/dev/+simple/"] {
        let plain = server.anonymous().get(path).await;
        assert_eq!(plain.expect(200).header("content-encoding"), "");
        let mut tags = vec![plain.etag()];
        for coding in ["gzip", "zstd"] {
            let packed = server.anonymous().get_with(path, "Accept-Encoding", coding).await;
            assert_eq!(packed.expect(200).header("content-encoding"), coding);
            assert!(packed.body.len() < plain.body.len());
            assert_eq!(unpack(&packed), plain.body);
            tags.push(packed.etag());
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 3);
    }
}

#[actix_web::test]
async fn an_upload_changes_the_tag() {
    let server = with_large_pages().await;
    let path = "alice/dev/+simple/demo/";
    let old = server.anonymous().get(path).await.etag();
    server.alice().upload("alice/dev", &sdist("demo", "99.0", "x")).await.expect(200);
    let new = server.anonymous().get_with(path, "If-None-Match", &old).await;
    assert!(new.expect(200).text().contains("demo-99.0.tar.gz"));
    // Back to what it was, tag and all.
    server.alice().delete("alice/dev/demo/99.0").await.expect(200);
    server.anonymous().get_with(path, "If-None-Match", &old).await.expect(304);
}

#[actix_web::test]
async fn a_head_is_a_get_without_body() {
    let server = with_large_pages().await;
    for path in ["alice/dev/+simple/demo/", "alice/dev/+simple/", "alice/dev/+simple/none/"] {
        for coding in ["identity", "zstd"] {
            let ask = async |method| {
                let request = server.anonymous().request(method, path).header("Accept-Encoding", coding);
                server.anonymous().send(request).await
            };
            let (get, head) = (ask("GET").await, ask("HEAD").await);
            assert_eq!((head.status, head.body.len()), (get.status, 0));
            for name in ["content-type", "content-length", "content-encoding", "etag", "vary"] {
                assert_eq!(head.header(name), get.header(name), "{name} of {path}");
            }
        }
    }
}

#[actix_web::test]
async fn pages_are_kept_for_all_who_ask_alike() {
    let server = with_large_pages().await;
    assert_eq!(server.cached_pages().await, 0);
    for _ in 0..3 {
        for coding in ["identity", "gzip", "zstd"] {
            server
                .anonymous()
                .get_with("alice/dev/+simple/demo/", "Accept-Encoding", coding)
                .await
                .expect(200);
            server.alice().get_with("alice/dev/+simple/", "Accept-Encoding", coding).await.expect(200);
        }
    }
    assert_eq!(server.cached_pages().await, 2);
    // What is not there takes no room.
    for number in 0..20 {
        server.anonymous().get(&format!("alice/dev/+simple/none{number}/")).await.expect(404);
        server.anonymous().get(&format!("alice/none{number}/+simple/")).await.expect(404);
    }
    assert_eq!(server.cached_pages().await, 2);
}

#[actix_web::test]
async fn what_was_missing_is_there_when_it_comes() {
    let server = TestServer::with_dev().start().await;
    let (alice, anonymous) = (server.alice(), server.anonymous());
    anonymous.get("alice/new/+simple/").await.expect(404);
    alice.put("alice/new", json!({})).await.expect(200);
    assert!(!anonymous.get("alice/new/+simple/").await.expect(200).text().contains("demo"));
    anonymous.get("alice/new/+simple/demo/").await.expect(404);
    alice.upload("alice/new", &sdist("demo", "1.0", "x")).await.expect(200);
    anonymous.get("alice/new/+simple/demo/").await.expect(200);
    assert!(anonymous.get("alice/new/+simple/").await.expect(200).text().contains("demo"));
}
