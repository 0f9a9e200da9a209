//! Mirrors of upstreams that mislead, and under more requests than they may send on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use wheelhouse::mirror::{MirrorLimits, MirrorOptions};

use crate::support::{Answer, Caller, Reply, TestServer, Upstream, Wheel};

const PAGE: &str = "/simple/demo/";

/// A server with the mirror `root/up`, and the stage `alice/dev` over it.
async fn mirror(upstream: &Upstream, expiry: u32, limits: MirrorLimits) -> TestServer {
    let settings = json!({"type": "mirror", "mirror_url": upstream.url(), "mirror_cache_expiry": expiry});
    let options =
        MirrorOptions { request_timeout: Duration::from_millis(1500), limits, ..MirrorOptions::default() };
    TestServer::new()
        .with_user("alice")
        .with_index("root/up", settings)
        .with_index("alice/dev", json!({"bases": ["root/up"]}))
        .with_mirrors(options)
        .start()
        .await
}

fn entry(name: &str) -> Value {
    json!({"filename": name, "url": format!("../../files/{name}"), "hashes": {"sha256": "a".repeat(64)}})
}

fn names(page: &Answer) -> Vec<String> {
    let files = page.expect(200).json()["files"].as_array().unwrap().clone();
    files.iter().map(|file| file["filename"].as_str().unwrap().to_owned()).collect()
}

/// The path of the only file of the project.
async fn only_path(server: &TestServer) -> String {
    let page = server.anonymous().get_simple("root/up/+simple/demo/").await;
    page.expect(200).json()["files"][0]["url"].as_str().unwrap().replace("../../", "root/up/")
}

async fn refresh(caller: &Caller, index: &str) -> Answer {
    caller.send(caller.request("POST", &format!("{index}/+simple/demo/refresh"))).await
}

#[actix_web::test]
async fn those_who_wait_for_the_same_project_take_one_place() {
    let upstream = Upstream::start().await;
    let server = mirror(&upstream, 600, MirrorLimits { pending_pages: 2, ..MirrorLimits::default() }).await;
    let gate = Arc::new(Semaphore::new(0));
    upstream.put("/simple/busy/", Reply::page("busy", &[entry("busy-1.0.zip")]).gated(&gate));
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]));
    let anonymous = server.anonymous();
    let waiting = join_all((0..20).map(|_| anonymous.get_simple("root/up/+simple/busy/")));
    let other = async {
        upstream.wait_for("/simple/busy/", 1).await;
        let answer = anonymous.get_simple("root/up/+simple/demo/").await;
        gate.add_permits(1);
        answer
    };
    let (waited, other) = join(waiting, other).await;
    assert_eq!(names(&other), ["demo-1.0.zip"]);
    assert!(waited.iter().all(|answer| names(answer) == ["busy-1.0.zip"]));
}

#[actix_web::test]
async fn a_project_that_could_not_be_asked_for_is_not_said_to_be_unknown() {
    let upstream = Upstream::start().await;
    let server = mirror(&upstream, 600, MirrorLimits { pending_pages: 1, ..MirrorLimits::default() }).await;
    let gate = Arc::new(Semaphore::new(0));
    upstream.put("/simple/busy/", Reply::page("busy", &[]).gated(&gate));
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]));
    let anonymous = server.anonymous();
    anonymous.get_simple("root/up/+simple/busy/").await.expect(502);
    let heir = anonymous.get_simple("alice/dev/+simple/demo/").await;
    assert!(names(&heir).is_empty());
    assert!(heir.header("x-wheelhouse-stale-reason").starts_with("too many requests"));
    gate.add_permits(1);
    for _ in 0..100 {
        if !names(&anonymous.get_simple("alice/dev/+simple/demo/").await).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the project was never asked for");
}

#[actix_web::test]
async fn a_file_of_a_project_that_cannot_be_asked_for_is_not_said_to_be_unknown() {
    let upstream = Upstream::start().await;
    let limits = MirrorLimits { retry_pause: Duration::ZERO, ..MirrorLimits::default() };
    let server = mirror(&upstream, 0, limits).await;
    let (anonymous, file) = (server.anonymous(), upstream.put_file("demo-1.0.zip", Reply::ok("content")));
    let hash = file["hashes"]["sha256"].as_str().unwrap().to_owned();
    let path = format!("root/up/+f/{}/{}/demo-1.0.zip", &hash[..3], &hash[3..16]);
    upstream.put(PAGE, Reply::status(503));
    let told = anonymous.get_json(&path).await;
    assert!(told.expect(502).message().contains("503 status"), "{}", told.text());
    // A page is held, but it is not known whether it is the last word.
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-0.9.zip")]));
    anonymous.get(&path).await.expect(404);
    upstream.put(PAGE, Reply::status(503));
    anonymous.get(&path).await.expect(502);
    upstream.put(PAGE, Reply::page("demo", &[file]));
    assert_eq!(anonymous.get(&path).await.expect(200).text(), "content");
    upstream.put("/simple/other/", Reply::status(404));
    anonymous.get(&path.replace("demo-", "other-")).await.expect(404);
}

#[actix_web::test]
async fn a_refresh_takes_a_page_with_a_lower_serial() {
    let upstream = Upstream::start().await;
    let page =
        |file: &str, serial: &str| Reply::page("demo", &[entry(file)]).header("X-PyPI-Last-Serial", serial);
    upstream.put(PAGE, page("demo-1.0.zip", "7"));
    let server = mirror(&upstream, 0, MirrorLimits::default()).await;
    let anonymous = server.anonymous();
    let shown = async || names(&anonymous.get_simple("root/up/+simple/demo/").await);
    assert_eq!(shown().await, ["demo-1.0.zip"]);
    // An upstream that was set up anew.
    upstream.put(PAGE, page("demo-2.0.zip", "3"));
    assert_eq!(shown().await, ["demo-1.0.zip"]);
    refresh(&anonymous, "root/up").await.expect(302);
    assert_eq!(shown().await, ["demo-2.0.zip"]);
}

#[actix_web::test]
async fn a_refresh_is_no_failure_where_another_mirror_has_the_project() {
    let (upstream, private) = (Upstream::start().await, Upstream::start().await);
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]));
    private.put(PAGE, Reply::status(404));
    let server = mirror(&upstream, 600, MirrorLimits::default()).await;
    server
        .root()
        .put("root/private", json!({"type": "mirror", "mirror_url": private.url()}))
        .await
        .expect(200);
    server.alice().patch("alice/dev", json!({"bases": ["root/private", "root/up"]})).await.expect(200);
    let anonymous = server.anonymous();
    refresh(&anonymous, "alice/dev").await.expect(302);
    refresh(&anonymous, "root/private").await.expect(404);
    private.put(PAGE, Reply::status(503));
    refresh(&anonymous, "alice/dev").await.expect(502);
}

#[actix_web::test]
async fn what_is_no_core_metadata_is_not_kept_as_such() {
    let upstream = Upstream::start().await;
    let wheel = Wheel::new("demo", "1.0");
    let dist = wheel.build();
    let mut file = upstream.put_file(&dist.file_name, Reply::ok(dist.content).ranges());
    file["core-metadata"] = json!(true);
    upstream.put_project("demo", &[file]);
    let beside = format!("/files/{}.metadata", dist.file_name);
    upstream.put(&beside, Reply::html("<h1>The server is being maintained</h1>"));
    let server = mirror(&upstream, 600, MirrorLimits::default()).await;
    let path = only_path(&server).await;
    let metadata = server.anonymous().get(&format!("{path}.metadata")).await;
    assert_eq!(metadata.expect(200).text(), wheel.metadata());
    assert_eq!(upstream.requests(&beside).len(), 1);
}

#[actix_web::test]
async fn more_of_a_wheels_end_than_was_asked_for_is_not_read() {
    let upstream = Upstream::start().await;
    let noise: String =
        (0..100_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_string()).collect();
    let dist = Wheel::new("demo", "1.0").description(&noise).build();
    let size = dist.content.len();
    assert!(size > 128 * 1024, "more than is asked for");
    // All of it, as if that had been asked for.
    let range = format!("bytes 0-{}/{size}", size - 1);
    let reply = Reply::ok(dist.content).with_status(206).header("Content-Range", &range);
    let file = upstream.put_file(&dist.file_name, reply);
    upstream.put_project("demo", &[file]);
    let server = mirror(&upstream, 600, MirrorLimits::default()).await;
    let path = only_path(&server).await;
    // It is asked for as a whole instead, to which this is no answer.
    server.anonymous().get(&format!("{path}.metadata")).await.expect(502);
    let requests = upstream.requests(&format!("/files/{}", dist.file_name));
    assert!(!requests.last().unwrap().headers.contains_key("range"));
}

#[actix_web::test]
async fn an_upstream_that_asks_for_a_pause_gets_it() {
    let upstream = Upstream::start().await;
    let limits = MirrorLimits { retry_pause: Duration::ZERO, ..MirrorLimits::default() };
    let server = mirror(&upstream, 0, limits).await;
    let anonymous = server.anonymous();
    for (status, path) in [(429, "/simple/a/"), (503, "/simple/b/")] {
        let name = path.split('/').nth(2).unwrap();
        let page = format!("root/up/+simple/{name}/");
        upstream.put(path, Reply::status(status).header("Retry-After", "1"));
        anonymous.get_simple(&page).await.expect(502);
        upstream.put(path, Reply::page(name, &[]));
        anonymous.get_simple(&page).await.expect(502);
        assert_eq!(upstream.requests(path).len(), 1, "{status}");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        anonymous.get_simple(&page).await.expect(200);
    }
}
