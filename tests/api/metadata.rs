//! Core metadata beside wheels (PEP 658).

use wheelhouse::pep::digest::Sha256;

use crate::support::{TestServer, Wheel, sdist};

#[actix_web::test]
async fn the_metadata_of_a_wheel_are_those_that_its_page_promises() {
    let server = TestServer::with_dev().start().await;
    let wheel = Wheel::new("demo", "1.0").requires_python(">=3.9").description("A text.");
    let (expected, dist) = (wheel.metadata(), wheel.build());
    server.alice().upload("alice/dev", &dist).await.expect(200);
    let page = server.anonymous().get_simple("alice/dev/+simple/demo/").await.json();
    let promised = &page["files"][0]["core-metadata"]["sha256"];
    assert_eq!(*promised, Sha256::of(expected.as_bytes()).to_string());
    let path = format!("{}.metadata", dist.path("alice/dev"));
    let metadata = server.anonymous().get(&path).await;
    assert_eq!(metadata.expect(200).text(), expected);
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("cache-control", "max-age=365000000, immutable, public"),
        ("vary", "Accept-Encoding"),
    ] {
        assert_eq!(metadata.header(name), value, "{name}");
    }
    let again = server.anonymous().get_with(&path, "If-None-Match", &metadata.etag()).await;
    again.expect(304);
    let head = server.anonymous().send(server.anonymous().request("HEAD", &path)).await;
    assert_eq!((head.status, head.body.len(), head.etag()), (200, 0, metadata.etag()));
}

#[actix_web::test]
async fn long_metadata_come_packed() {
    let server = TestServer::with_dev().start().await;
    let wheel = Wheel::new("demo", "1.0").description(&"A long text. ".repeat(1000));
    let (expected, dist) = (wheel.metadata(), wheel.build());
    server.alice().upload("alice/dev", &dist).await.expect(200);
    let path = format!("{}.metadata", dist.path("alice/dev"));
    let plain = server.anonymous().get(&path).await;
    assert_eq!(plain.expect(200).text(), expected);
    let packed = server.anonymous().get_with(&path, "Accept-Encoding", "zstd, gzip").await;
    assert_eq!(packed.expect(200).header("content-encoding"), "zstd");
    assert!(packed.body.len() < expected.len() / 10);
    assert_eq!(zstd::bulk::decompress(&packed.body, 1_000_000).unwrap(), expected.as_bytes());
    assert_ne!(packed.etag(), plain.etag());
}

#[actix_web::test]
async fn files_without_metadata_promise_none() {
    let server = TestServer::with_dev().start().await;
    let dist = sdist("demo", "1.0", "x");
    server.alice().upload("alice/dev", &dist).await.expect(200);
    let page = server.anonymous().get_simple("alice/dev/+simple/demo/").await.json();
    assert!(page["files"][0].get("core-metadata").is_none());
    let path = dist.path("alice/dev");
    server.anonymous().get(&format!("{path}.metadata")).await.expect(404);
    server.anonymous().get(&format!("{path}x.metadata")).await.expect(404);
}

#[actix_web::test]
async fn metadata_go_with_their_file() {
    let server = TestServer::with_dev().start().await;
    let old = Wheel::new("demo", "1.0").description("old");
    let new = Wheel::new("demo", "1.0").description("new");
    let path = |wheel: &Wheel| format!("{}.metadata", wheel.build().path("alice/dev"));
    server.alice().upload("alice/dev", &old.build()).await.expect(200);
    server.anonymous().get(&path(&old)).await.expect(200);
    server.alice().upload("alice/dev", &new.build()).await.expect(200);
    server.anonymous().get(&path(&old)).await.expect(410);
    assert_eq!(server.anonymous().get(&path(&new)).await.expect(200).text(), new.metadata());
    server.alice().delete("alice/dev/demo").await.expect(200);
    server.anonymous().get(&path(&new)).await.expect(410);
}
