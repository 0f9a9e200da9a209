//! Downloads.

use wheelhouse::http::HttpSettings;

use crate::support::{Dist, TestServer, Wheel, sdist};

/// A server with a file of 1000 bytes, no two parts of which are alike.
async fn with_file() -> (TestServer, Dist, String) {
    let server = TestServer::with_dev().start().await;
    let content = (1000..1250).map(|number| number.to_string()).collect::<Vec<_>>().concat();
    let dist = sdist("demo", "1.0", &content);
    server.alice().upload("alice/dev", &dist).await.expect(200);
    let path = dist.path("alice/dev");
    (server, dist, path)
}

#[actix_web::test]
async fn a_file_is_sent_as_it_is() {
    let (server, dist, path) = with_file().await;
    let answer = server.anonymous().get_with(&path, "Accept-Encoding", "gzip, zstd").await;
    assert_eq!(answer.expect(200).body, dist.content);
    for (name, value) in [
        ("content-length", "1000"),
        ("content-type", "application/x-tar"),
        ("content-encoding", ""),
        ("accept-ranges", "bytes"),
        ("cache-control", "max-age=365000000, immutable, public"),
        ("etag", &format!("\"{}\"", dist.sha256())),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("last-modified").ends_with(" GMT"));
    let head = server.anonymous().send(server.anonymous().request("HEAD", &path)).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["content-length", "content-type", "accept-ranges", "cache-control", "etag", "last-modified"]
    {
        assert_eq!(head.header(name), answer.header(name), "{name}");
    }
}

#[actix_web::test]
async fn parts_are_sent_to_who_asks_for_them() {
    let (server, dist, path) = with_file().await;
    for (range, status, expected, shown) in [
        ("bytes=0-0", 206, 0..1, "bytes 0-0/1000"),
        ("bytes=10-19", 206, 10..20, "bytes 10-19/1000"),
        ("bytes=990-", 206, 990..1000, "bytes 990-999/1000"),
        ("bytes=-10", 206, 990..1000, "bytes 990-999/1000"),
        ("bytes=-5000", 206, 0..1000, "bytes 0-999/1000"),
        ("bytes=500-99999", 206, 500..1000, "bytes 500-999/1000"),
        ("bytes=1000-", 416, 0..0, "bytes */1000"),
        ("bytes=-0", 416, 0..0, "bytes */1000"),
        ("bytes=0-1,5-6", 200, 0..1000, ""),
        ("bytes=9-1", 200, 0..1000, ""),
        ("pages=1-2", 200, 0..1000, ""),
    ] {
        let answer = server.anonymous().get_with(&path, "Range", range).await;
        assert_eq!(answer.expect(status).header("content-range"), shown, "{range}");
        assert_eq!(answer.body, dist.content[expected.clone()], "{range}");
        assert_eq!(answer.header("content-length"), expected.len().to_string(), "{range}");
        assert_eq!(answer.etag(), format!("\"{}\"", dist.sha256()));
        // Ranges are for GET (RFC 9110, section 14.2).
        let request = server.anonymous().request("HEAD", &path).header("Range", range);
        let head = server.anonymous().send(request).await;
        assert_eq!((head.expect(200).header("content-length"), head.header("content-range")), ("1000", ""));
    }
}

#[actix_web::test]
async fn a_part_is_sent_only_of_the_file_that_is_known() {
    let (server, dist, path) = with_file().await;
    let anonymous = server.anonymous();
    let modified = anonymous.get(&path).await.header("last-modified").to_owned();
    for (condition, status) in [
        (format!("\"{}\"", dist.sha256()), 206),
        (modified, 206),
        ("\"other\"".to_owned(), 200),
        (format!("W/\"{}\"", dist.sha256()), 200),
        ("Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), 200),
    ] {
        let request =
            anonymous.request("GET", &path).header("Range", "bytes=1-2").header("If-Range", &condition);
        anonymous.send(request).await.expect(status);
    }
}

#[actix_web::test]
async fn a_known_file_is_not_sent_again() {
    let (server, dist, path) = with_file().await;
    let etag = format!("\"{}\"", dist.sha256());
    for method in ["GET", "HEAD"] {
        let request = server.anonymous().request(method, &path).header("If-None-Match", &etag);
        let answer = server.anonymous().send(request.header("Range", "bytes=0-1")).await;
        assert_eq!((answer.expect(304).body.len(), answer.etag()), (0, etag.clone()));
    }
    server.anonymous().get_with(&path, "If-None-Match", "\"other\"").await.expect(200);
}

#[actix_web::test]
async fn a_large_file_comes_whole() {
    let server = TestServer::with_dev().start().await;
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let dist = sdist("demo", "1.0", "").with_content(&content);
    server.alice().upload("alice/dev", &dist).await.expect(200);
    let path = dist.path("alice/dev");
    assert!(server.anonymous().get(&path).await.expect(200).body == content);
    let part = server.anonymous().get_with(&path, "Range", "bytes=262143-9000001").await;
    assert!(part.expect(206).body == content[262_143..=9_000_001]);
}

#[actix_web::test]
async fn json_tells_about_a_file() {
    let (server, dist, path) = with_file().await;
    let mut shown = server.anonymous().get_json(&path).await.expect(200).json();
    shown["result"]["last_modified"] = "redacted".into();
    assert_eq!(
        shown,
        serde_json::json!({"type": "releasefilemeta", "result": {
            "last_modified": "redacted", "hash_spec": format!("sha256={}", dist.sha256()),
            "hashes": {"sha256": dist.sha256()}, "project": "demo", "version": "1.0"
        }})
    );
}

#[actix_web::test]
async fn what_never_was_is_not_what_was_deleted() {
    let (server, dist, path) = with_file().await;
    let wheel = Wheel::new("demo", "1.0").build();
    server.anonymous().get(&wheel.path("alice/dev")).await.expect(404);
    server.anonymous().get(&dist.path("alice/none")).await.expect(404);
    server.alice().delete(&path).await.expect(200);
    let gone = server.anonymous().get_json(&path).await;
    assert_eq!(gone.expect(410).message(), "file existed, deleted in later serial");
    for range in ["bytes=0-1", "bytes=5000-"] {
        server.anonymous().get_with(&path, "Range", range).await.expect(410);
    }
    server.alice().upload("alice/dev", &dist).await.expect(200);
    assert_eq!(server.anonymous().get(&path).await.expect(200).body, dist.content);
    server.alice().delete("alice/dev").await.expect(201);
    server.anonymous().get(&path).await.expect(410);
}

/// The headers that nginx takes over from the answer are those of the file.
#[actix_web::test]
async fn nginx_is_told_which_file_to_send() {
    let settings = HttpSettings { x_accel_redirect: Some("/+stored/".to_owned()), ..HttpSettings::default() };
    let server = TestServer::with_dev().with_settings(settings).start().await;
    let dist = sdist("demo", "1.0", "xyz");
    server.alice().upload("alice/dev", &dist).await.expect(200);
    let (path, sha256) = (dist.path("alice/dev"), dist.sha256().clone());
    let redirect = format!("/+stored/{}/{sha256}", &sha256[..2]);
    for (name, value) in [("Accept", "*/*"), ("Range", "bytes=0-0")] {
        let answer = server.anonymous().get_with(&path, name, value).await;
        assert_eq!(answer.expect(200).body.len(), 0);
        assert_eq!(answer.header("x-accel-redirect"), redirect);
        assert_eq!(answer.header("content-type"), "application/x-tar");
        assert_eq!(answer.etag(), format!("\"{sha256}\""));
        assert_eq!(answer.header("content-range"), "");
        assert_eq!(answer.header("accept-ranges"), if name == "Range" { "bytes" } else { "" });
    }
    // What nginx would do otherwise.
    for (method, name, value, status) in [
        ("HEAD", "Accept", "*/*", 200),
        ("GET", "Range", "bytes=0-0,2-2", 200),
        ("GET", "Range", "bytes=9999-", 416),
        ("GET", "If-Match", "*", 200),
    ] {
        let request = server.anonymous().request(method, &path).header(name, value);
        let answer = server.anonymous().send(request).await;
        assert_eq!(answer.expect(status).header("x-accel-redirect"), "", "{method} {name}: {value}");
    }
    let known = server.anonymous().get_with(&path, "If-None-Match", &format!("\"{sha256}\"")).await;
    assert_eq!(known.expect(304).header("x-accel-redirect"), "");
    let shown = server.anonymous().get_with(&path, "Accept", "application/json").await;
    assert_eq!(shown.expect(200).header("x-accel-redirect"), "");
}
