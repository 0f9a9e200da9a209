//! Pages of mirrors: what is asked of an upstream, how long clients wait, and what they get when it fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use wheelhouse::mirror::{MirrorLimits, MirrorOptions};

use crate::support::{Answer, Reply, TestServer, Upstream, sdist};

const PAGE: &str = "/simple/demo/";

/// A server with the mirror `root/up`, which asks each time, and the stage `alice/dev` over it.
async fn mirror(upstream: &Upstream, settings: Value) -> TestServer {
    mirror_with(upstream, settings, MirrorOptions::default()).await
}

async fn mirror_with(upstream: &Upstream, settings: Value, options: MirrorOptions) -> TestServer {
    let mut all = json!({"type": "mirror", "mirror_url": upstream.url(), "mirror_cache_expiry": 0});
    for (key, value) in settings.as_object().unwrap() {
        all[key] = value.clone();
    }
    TestServer::new()
        .with_user("alice")
        .with_index("root/up", all)
        .with_index("alice/dev", json!({"bases": ["root/up"]}))
        .with_mirrors(options)
        .start()
        .await
}

fn quick() -> MirrorOptions {
    MirrorOptions { request_timeout: Duration::from_millis(1500), ..MirrorOptions::default() }
}

fn names(page: &Answer) -> Vec<String> {
    let files = page.expect(200).json()["files"].as_array().unwrap().clone();
    files.iter().map(|file| file["filename"].as_str().unwrap().to_owned()).collect()
}

async fn get(server: &TestServer) -> Answer {
    server.anonymous().get_simple("root/up/+simple/demo/").await
}

fn entry(name: &str) -> Value {
    json!({"filename": name, "url": format!("../../files/{name}"), "hashes": {"sha256": "a".repeat(64)}})
}

#[actix_web::test]
async fn all_that_the_upstream_says_is_said_here() {
    let upstream = Upstream::start().await;
    let file = json!({
        "filename": "demo-1.0-py3-none-any.whl", "url": "../../files/demo-1.0-py3-none-any.whl",
        "hashes": {"sha256": "a".repeat(64), "md5": "b".repeat(32)}, "requires-python": ">=3.8", "size": 5,
        "upload-time": "2026-01-02T03:04:05.678901Z", "yanked": "broken", "core-metadata": {"sha256": "c".repeat(64)},
        "provenance": "https://upstream.example/provenance",
    });
    let page = json!({"meta": {"api-version": "1.9"}, "name": "demo", "versions": ["1.0", "0.1"], "files": [file],
                      "project-status": {"status": "archived", "reason": "over"}});
    let reply = Reply::ok(page.to_string()).header("X-PyPI-Last-Serial", "77");
    upstream.put(PAGE, reply.header("Content-Type", "application/vnd.pypi.simple.v1+json; charset=utf-8"));
    let server = mirror(&upstream, json!({})).await;
    let answer = get(&server).await;
    let shown = answer.expect(200).json();
    assert_eq!(answer.header("x-pypi-last-serial"), "77");
    assert_eq!(shown["versions"], json!(["1.0", "0.1"]));
    assert_eq!(shown["project-status"], json!({"status": "archived", "reason": "over"}));
    let url = format!("../../+f/aaa/{}/demo-1.0-py3-none-any.whl", "a".repeat(13));
    assert_eq!(
        shown["files"],
        json!([{
            "filename": "demo-1.0-py3-none-any.whl", "url": url,
            "hashes": {"sha256": "a".repeat(64), "md5": "b".repeat(32)},
            "core-metadata": {"sha256": "c".repeat(64)},
            "requires-python": ">=3.8", "yanked": "broken", "size": 5,
            "upload-time": "2026-01-02T03:04:05.678901Z", "provenance": format!("{url}.provenance"),
        }])
    );
    let heir = server.anonymous().get_simple("alice/dev/+simple/demo/").await;
    assert_eq!((names(&heir).len(), heir.header("x-pypi-last-serial")), (1, ""));
}

#[actix_web::test]
async fn an_unchanged_page_is_confirmed_and_writes_nothing() {
    let upstream = Upstream::start().await;
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]).etag("one"));
    let server = mirror(&upstream, json!({})).await;
    let first = get(&server).await;
    let serial = server.serial().await;
    let second = get(&server).await;
    assert_eq!((names(&second), second.etag()), (names(&first), first.etag()));
    let requests = upstream.requests(PAGE);
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].headers.get("if-none-match"), None);
    assert_eq!(requests[1].headers["if-none-match"], "\"one\"");
    assert!(requests[1].headers["accept"].contains("application/vnd.pypi.simple.v1+json"));
    assert!(!requests[1].headers.contains_key("x-devpi-auth"));
    // The same in other words.
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]).etag("two"));
    get(&server).await.expect(200);
    assert_eq!(server.serial().await, serial);
    get(&server).await.expect(200);
    assert_eq!(upstream.requests(PAGE)[3].headers["if-none-match"], "\"two\"");

    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip"), entry("demo-2.0.zip")]).etag("three"));
    assert_eq!(names(&get(&server).await), ["demo-2.0.zip", "demo-1.0.zip"]);
    let heir = server.anonymous().get_simple("alice/dev/+simple/demo/").await;
    assert_eq!(names(&heir).len(), 2);
    assert_eq!(server.serial().await, serial + 1);
}

#[actix_web::test]
async fn pages_that_have_not_expired_are_not_asked_for() {
    let upstream = Upstream::start().await;
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]));
    let server = mirror(&upstream, json!({"mirror_cache_expiry": 600, "mirror_no_project_list": true})).await;
    for _ in 0..3 {
        assert_eq!(names(&get(&server).await), ["demo-1.0.zip"]);
        let heir = server.anonymous().get_simple("alice/dev/+simple/demo/").await;
        assert_eq!(names(&heir), ["demo-1.0.zip"]);
        server.anonymous().get_simple("root/up/+simple/missing/").await.expect(404);
        server.anonymous().get_simple("alice/dev/+simple/missing/").await.expect(404);
    }
    assert_eq!(upstream.requests(PAGE).len(), 1);
    assert_eq!(upstream.requests("/simple/missing/").len(), 1);
    // Another upstream has to be asked, and not whether it has what the other one had.
    let other = Upstream::start().await;
    other.put(PAGE, Reply::page("demo", &[entry("demo-3.0.zip")]));
    server.root().patch("root/up", json!([format!("mirror_url={}", other.url())])).await.expect(200);
    assert_eq!(names(&get(&server).await), ["demo-3.0.zip"]);
    assert_eq!(other.requests(PAGE)[0].headers.get("if-none-match"), None);
}

#[actix_web::test]
async fn whatever_an_upstream_does_what_was_seen_is_shown() {
    let upstream = Upstream::start().await;
    let good = Reply::page("demo", &[entry("demo-1.0.zip")]).header("X-PyPI-Last-Serial", "5");
    upstream.put(PAGE, good.clone());
    let options =
        MirrorOptions { limits: MirrorLimits { breaker_failures: 0, ..MirrorLimits::default() }, ..quick() };
    let server = mirror_with(&upstream, json!({}), options).await;
    assert_eq!(get(&server).await.header("x-wheelhouse-stale-since"), "");
    let json_page = |text: &str| {
        let page = Reply::ok(text).header("X-PyPI-Last-Serial", "5");
        page.header("Content-Type", "application/vnd.pypi.simple.v1+json")
    };
    let gate = Arc::new(Semaphore::new(0));
    let troubles = [
        ("204", Reply::status(204)),
        ("401", Reply::status(401)),
        ("403", Reply::status(403)),
        ("404", Reply::status(404)),
        ("410", Reply::status(410)),
        ("429", Reply::status(429)),
        ("503", Reply::status(503)),
        ("304", Reply::status(304)),
        ("malformed", json_page("{\"meta\"")),
        ("malformed", json_page("{\"meta\": {\"api-version\": \"1.0\"}}")),
        ("version 2.0", json_page("{\"meta\": {\"api-version\": \"2.0\"}, \"files\": []}")),
        ("serial mismatch", Reply::page("demo", &[]).header("X-PyPI-Last-Serial", "4")),
        ("", good.clone().cut(20, 9)),
        ("timeout after 1.5", good.clone().gated(&gate)),
    ];
    for (reason, reply) in troubles {
        upstream.put(PAGE, reply);
        let answer = get(&server).await;
        assert_eq!(names(&answer), ["demo-1.0.zip"], "{reason}");
        assert!(answer.header("x-wheelhouse-stale-since").ends_with("GMT"), "{reason}: {answer:?}");
        let told = answer.header("x-wheelhouse-stale-reason");
        assert!(told.contains(reason) && !told.is_empty(), "{reason}: {told}");
        let heir = server.anonymous().get_simple("alice/dev/+simple/demo/").await;
        assert_eq!(names(&heir), ["demo-1.0.zip"], "{reason}");
    }
    gate.add_permits(9);
    upstream.set_dead(true);
    assert_eq!(names(&get(&server).await), ["demo-1.0.zip"]);
    upstream.set_dead(false);
    upstream.put(PAGE, good);
    // The check that was held up may still be under way.
    for _ in 0..100 {
        if get(&server).await.header("x-wheelhouse-stale-since").is_empty() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(get(&server).await.header("x-wheelhouse-stale-since"), "");
}

#[actix_web::test]
async fn without_anything_to_show_the_trouble_is_told() {
    let upstream = Upstream::start().await;
    let server = mirror(&upstream, json!({})).await;
    let page_url = format!("{}demo/", upstream.url());
    for status in [204, 401, 403, 410, 429, 500, 503] {
        upstream.put(PAGE, Reply::status(status));
        let answer = server.anonymous().get_json("root/up/demo").await;
        assert_eq!(answer.expect(502).message(), format!("{status} status on GET URL('{page_url}')"));
        get(&server).await.expect(502);
        // Another index has nothing from there, and says why. Nobody can say that there is no such project.
        let heir = server.anonymous().get_simple("alice/dev/+simple/demo/").await;
        assert!(names(&heir).is_empty());
        assert!(heir.header("x-wheelhouse-stale-reason").contains(&status.to_string()));
        assert_eq!(server.anonymous().get_json("alice/dev/demo").await.result(), json!({}));
    }
    upstream.put(PAGE, Reply::status(404));
    get(&server).await.expect(404);
    server.anonymous().get_simple("alice/dev/+simple/demo/").await.expect(404);
    upstream
        .put(PAGE, Reply::ok("{\"meta\": 1").header("Content-Type", "application/vnd.pypi.simple.v1+json"));
    assert!(server.anonymous().get_json("root/up/demo").await.expect(502).message().contains("malformed"));
    upstream.set_dead(true);
    let answer = server.anonymous().get_json("root/up/demo").await;
    assert_eq!(answer.expect(502).message(), format!("-1 status on GET URL('{page_url}')"));
    server.root().patch("root/up", json!(["mirror_url-="])).await.expect(200);
    let answer = server.anonymous().get_json("root/up/demo").await;
    assert!(answer.expect(502).message().contains("no 'mirror_url'"), "{}", answer.text());
}

#[actix_web::test]
async fn what_is_too_large_is_not_taken() {
    let upstream = Upstream::start().await;
    let limits =
        MirrorLimits { page_size: 2000, list_size: 1000, list_memory: 400, ..MirrorLimits::default() };
    let server = mirror_with(&upstream, json!({}), MirrorOptions { limits, ..quick() }).await;
    upstream.put(PAGE, Reply::page("demo", &vec![entry("demo-1.0.zip"); 100]));
    let told = server.anonymous().get_json("root/up/demo").await;
    assert!(told.expect(502).message().starts_with("more than 2000 bytes"), "{}", told.text());
    upstream.put("/simple/", Reply::html(&"<a href='a/'>a</a>".repeat(100)));
    let list = server.anonymous().get_simple("root/up/+simple/").await;
    assert!(list.expect(200).header("x-wheelhouse-stale-reason").starts_with("more than 1000 bytes"));
    let many: Vec<String> = (0..40).map(|number| format!("<a href='{number}/'></a>")).collect();
    upstream.put("/simple/", Reply::html(&many.concat()));
    let list = server.anonymous().get_simple("root/up/+simple/").await;
    assert!(list.expect(200).header("x-wheelhouse-stale-reason").starts_with("more than 100 bytes"));
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]));
    assert_eq!(names(&get(&server).await), ["demo-1.0.zip"]);
}

#[actix_web::test]
async fn a_slow_upstream_does_not_keep_clients_waiting_and_is_heard_all_the_same() {
    let upstream = Upstream::start().await;
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]));
    let server = mirror_with(&upstream, json!({}), quick()).await;
    get(&server).await.expect(200);
    let gate = Arc::new(Semaphore::new(0));
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-2.0.zip")]).gated(&gate));
    assert_eq!(names(&get(&server).await), ["demo-1.0.zip"]);
    // The request is still under way: whoever comes now does not wait for it again, and does not send another.
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(names(&get(&server).await), ["demo-1.0.zip"]);
    }
    assert!(start.elapsed() < Duration::from_secs(20), "twenty times 1.5 s would be thirty");
    assert_eq!(upstream.requests(PAGE).len(), 2);
    gate.add_permits(1);
    upstream.put(PAGE, Reply::status(503));
    let start = Instant::now();
    while names(&get(&server).await) != ["demo-2.0.zip"] {
        assert!(start.elapsed() < Duration::from_secs(20), "what came later was never shown");
    }

    upstream.put("/simple/slow/", Reply::page("slow", &[]).gated(&gate));
    let answer = server.anonymous().get_json("root/up/slow").await;
    let text = "timeout after 1.5 seconds while getting data for <NormalizedName 'slow' 'slow'>";
    assert_eq!(answer.expect(502).message(), text);
    gate.add_permits(9);
}

/// Somebody who waits for a page while the upstream has been asked for it, which answers when the gate opens.
async fn waiting(upstream: &Upstream, server: &TestServer, gate: &Arc<Semaphore>) -> JoinHandle<Answer> {
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]).gated(gate));
    let anonymous = server.anonymous();
    let asked = actix_web::rt::spawn(async move { anonymous.get_simple("root/up/+simple/demo/").await });
    while upstream.requests(PAGE).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    asked
}

#[actix_web::test]
async fn what_comes_for_a_mirror_that_is_another_now_is_not_kept() {
    let upstream = Upstream::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let server = mirror(&upstream, json!({"mirror_cache_expiry": 600})).await;
    let asked = waiting(&upstream, &server, &gate).await;
    let root = server.root();
    root.delete("root/up").await.expect(201);
    let elsewhere = format!("{}/elsewhere/", upstream.origin());
    root.put("root/up", json!({"type": "mirror", "mirror_url": elsewhere})).await.expect(200);
    gate.add_permits(1);
    let answer = asked.await.unwrap();
    assert!(answer.expect(502).text().contains("could not be asked"), "{}", answer.text());
    server.anonymous().get_simple("root/up/+simple/demo/").await.expect(404);
}

#[actix_web::test]
async fn a_mirror_may_get_another_title_while_its_upstream_is_asked() {
    let upstream = Upstream::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let server = mirror(&upstream, json!({"mirror_cache_expiry": 600})).await;
    let asked = waiting(&upstream, &server, &gate).await;
    server.root().patch("root/up", json!(["title=another"])).await.expect(200);
    gate.add_permits(2);
    assert_eq!(names(asked.await.unwrap().expect(200)), ["demo-1.0.zip"]);
    assert_eq!(names(&get(&server).await), ["demo-1.0.zip"]);
}

#[actix_web::test]
async fn a_mirror_with_too_many_waiting_projects_is_alone_with_that() {
    let (slow, other) = (Upstream::start().await, Upstream::start().await);
    let limits = MirrorLimits { pending_pages: 2, ..MirrorLimits::default() };
    let server = mirror_with(&slow, json!({}), MirrorOptions { limits, ..quick() }).await;
    let settings = json!({"type": "mirror", "mirror_url": other.url()});
    server.root().put("root/other", settings).await.expect(200);
    let gate = Arc::new(Semaphore::new(0));
    for name in ["a", "b"] {
        slow.put(&format!("/simple/{name}/"), Reply::page(name, &[]).gated(&gate));
        let told = server.anonymous().get_json(&format!("root/up/{name}")).await;
        assert!(told.expect(502).message().starts_with("timeout after"), "{}", told.text());
    }
    slow.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]));
    let told = server.anonymous().get_json("root/up/demo").await;
    assert!(told.expect(502).message().starts_with("too many requests"), "{}", told.text());
    other.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]));
    assert_eq!(names(&server.anonymous().get_simple("root/other/+simple/demo/").await), ["demo-1.0.zip"]);
    gate.add_permits(2);
}

#[actix_web::test]
async fn one_request_at_a_time_serves_all_who_ask() {
    let upstream = Upstream::start().await;
    let gate = Arc::new(Semaphore::new(0));
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]).gated(&gate));
    let server = mirror(&upstream, json!({})).await;
    let ask = async || names(&get(&server).await);
    let release = async {
        upstream.wait_for(PAGE, 1).await;
        gate.add_permits(1000);
    };
    let asking = futures_util::future::join_all((0..100).map(|_| ask()));
    let (answers, ()) = futures_util::future::join(asking, release).await;
    assert!(answers.iter().all(|names| names == &["demo-1.0.zip"]));
    assert_eq!(upstream.most_under_way(PAGE), 1);
}

#[actix_web::test]
async fn a_dead_upstream_is_left_alone() {
    let upstream = Upstream::start().await;
    upstream.set_dead(true);
    let options = MirrorOptions {
        limits: MirrorLimits { breaker_failures: 3, ..MirrorLimits::default() },
        ..MirrorOptions::default()
    };
    let server = mirror_with(&upstream, json!({}), options).await;
    for number in 0..10 {
        server.anonymous().get_simple(&format!("root/up/+simple/p{number}/")).await.expect(502);
    }
    let asked: usize = (0..10).map(|number| upstream.requests(&format!("/simple/p{number}/")).len()).sum();
    assert!((3..=4).contains(&asked), "asked {asked} times");
}

#[actix_web::test]
async fn a_private_project_hides_the_upstreams() {
    let upstream = Upstream::start().await;
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-9.0.tar.gz")]));
    let server = mirror(&upstream, json!({})).await;
    server.alice().upload("alice/dev", &sdist("demo", "1.0", "x")).await.expect(200);
    let path = "alice/dev/+simple/demo/";
    assert_eq!(names(&server.anonymous().get_simple(path).await), ["demo-1.0.tar.gz"]);
    assert!(upstream.requests(PAGE).is_empty(), "the name of a private project is nobody's business");
    server.alice().patch("alice/dev", json!(["mirror_whitelist+=demo"])).await.expect(200);
    assert_eq!(names(&server.anonymous().get_simple(path).await), ["demo-9.0.tar.gz", "demo-1.0.tar.gz"]);
    let releases = server.anonymous().get_json("alice/dev/demo").await.result();
    assert_eq!(releases.as_object().unwrap().keys().collect::<Vec<_>>(), ["9.0", "1.0"]);
}

#[actix_web::test]
async fn the_list_of_projects_is_kept_and_judges_what_is_there() {
    let upstream = Upstream::start().await;
    let list = |names: &[&str]| {
        let projects: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        let list = json!({"meta": {"api-version": "1.1"}, "projects": projects});
        Reply::ok(list.to_string()).header("Content-Type", "application/vnd.pypi.simple.v1+json")
    };
    upstream.put("/simple/", list(&["Zope.Interface", "demo", &"x".repeat(300), "demo"]).etag("one"));
    upstream.put(PAGE, Reply::page("demo", &[]));
    upstream.put("/simple/unlisted/", Reply::page("unlisted", &[]));
    let server = mirror(&upstream, json!({"mirror_cache_expiry": 600})).await;
    let anonymous = server.anonymous();
    let shown = async |path: &str| {
        let projects = anonymous.get_simple(path).await.expect(200).json()["projects"].clone();
        let projects = projects.as_array().unwrap().clone();
        projects.iter().map(|project| project["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Nothing is asked for a page but the page.
    anonymous.get_simple("root/up/+simple/demo/").await.expect(200);
    assert!(upstream.requests("/simple/").is_empty());
    assert_eq!(shown("root/up/+simple/").await, ["demo", "zope-interface"]);
    assert_eq!(shown("alice/dev/+simple/").await, ["demo", "zope-interface"]);
    server.alice().upload("alice/dev", &sdist("demo", "1.0", "x")).await.expect(200);
    assert_eq!(shown("alice/dev/+simple/").await, ["demo", "zope-interface"]);
    assert_eq!(upstream.requests("/simple/").len(), 1);
    // What the list lacks is not asked for.
    anonymous.get_simple("root/up/+simple/unlisted/").await.expect(404);
    assert!(upstream.requests("/simple/unlisted/").is_empty());
    let index = anonymous.get_json("root/up").await.result();
    assert_eq!(index["projects"], json!(["demo", "zope-interface"]));

    server.root().patch("root/up", json!(["mirror_cache_expiry=0"])).await.expect(200);
    for (reply, stale) in
        [(Reply::status(503), true), (Reply::ok("{\"meta\": {}}"), true), (list(&["demo"]), false)]
    {
        upstream.put("/simple/", reply);
        let answer = anonymous.get_simple("root/up/+simple/").await;
        assert_eq!(answer.header("x-wheelhouse-stale-since").is_empty(), !stale);
        let count = answer.expect(200).json()["projects"].as_array().unwrap().len();
        assert_eq!(count, if stale { 2 } else { 1 });
    }
    server.root().patch("root/up", json!(["mirror_no_project_list=yes"])).await.expect(200);
    assert_eq!(shown("root/up/+simple/").await, ["demo"]);
}

#[actix_web::test]
async fn lists_of_several_mirrors_are_waited_for_once() {
    let (one, other) = (Upstream::start().await, Upstream::start().await);
    let gate = Arc::new(Semaphore::new(0));
    for (upstream, name) in [(&one, "one"), (&other, "other")] {
        upstream.put("/simple/", Reply::html(&format!("<a href='{name}/'>{name}</a>")).gated(&gate));
    }
    let server = mirror(&one, json!({})).await;
    let root = server.root();
    root.put("root/other", json!({"type": "mirror", "mirror_url": other.url()})).await.expect(200);
    server.alice().patch("alice/dev", json!({"bases": ["root/up", "root/other"]})).await.expect(200);
    let asked = actix_web::rt::spawn({
        let anonymous = server.anonymous();
        async move { anonymous.get_simple("alice/dev/+simple/").await }
    });
    let both = async {
        while one.requests("/simple/").is_empty() || other.requests("/simple/").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("both are asked at once");
    gate.add_permits(2);
    let list = asked.await.unwrap();
    let projects = list.expect(200).json()["projects"].clone();
    assert_eq!(projects, json!([{"name": "one"}, {"name": "other"}]));
}

#[actix_web::test]
async fn a_refresh_asks_at_once_and_tells_trouble() {
    let upstream = Upstream::start().await;
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-1.0.zip")]).etag("one"));
    let server = mirror(&upstream, json!({"mirror_cache_expiry": 600})).await;
    get(&server).await.expect(200);
    upstream.put(PAGE, Reply::page("demo", &[entry("demo-2.0.zip")]).etag("one"));
    let anonymous = server.anonymous();
    for index in ["root/up", "alice/dev"] {
        let answer =
            anonymous.send(anonymous.request("POST", &format!("{index}/+simple/demo/refresh"))).await;
        assert!(answer.expect(302).header("location").ends_with(&format!("/{index}/+simple/demo/")));
        assert_eq!(names(&get(&server).await), ["demo-2.0.zip"]);
    }
    assert!(upstream.requests(PAGE).iter().all(|request| !request.headers.contains_key("if-none-match")));
    upstream.put(PAGE, Reply::status(503));
    let refresh =
        anonymous.request("POST", "root/up/+simple/demo/refresh").header("Accept", "application/json");
    let answer = anonymous.send(refresh).await;
    assert!(answer.expect(502).message().contains("503 status"), "{}", answer.text());
    assert_eq!(names(&get(&server).await), ["demo-2.0.zip"]);
}

#[actix_web::test]
async fn html_pages_are_read_as_well() {
    let upstream = Upstream::start().await;
    let hash = "a".repeat(64);
    let page = format!(
        "<!DOCTYPE html><html><head><base href=\"{}/files/\"></head><body>\
         <a href=\"demo-1.0.zip#sha256={hash}\" data-requires-python=\"&gt;=3\" data-yanked=\"&amp;\">x</a>\
         <a href=\"demo-0.9.zip\">y</a><a href=\"other-1.0.zip\">z</a></body></html>",
        upstream.origin()
    );
    upstream.put(PAGE, Reply::html(&page));
    let server = mirror(&upstream, json!({})).await;
    let shown = get(&server).await.expect(200).json();
    let place = upstream.origin().replace("://", "_").replace(':', "_");
    assert_eq!(
        shown["files"],
        json!([
            {"filename": "demo-1.0.zip", "url": format!("../../+f/aaa/{}/demo-1.0.zip", "a".repeat(13)),
             "hashes": {"sha256": hash}, "requires-python": ">=3", "yanked": "&"},
            {"filename": "demo-0.9.zip", "url": format!("../../+e/{place}_files/demo-0.9.zip"), "hashes": {}},
        ])
    );
    assert_eq!(shown["versions"], json!(["1.0", "0.9"]));
}

#[actix_web::test]
async fn credentials_go_to_their_origin_and_are_never_shown() {
    let (upstream, other) = (Upstream::start().await, Upstream::start().await);
    let file =
        json!({"filename": "demo-1.0.zip", "url": format!("{}/demo-1.0.zip", other.origin()), "hashes": {}});
    other.put("/demo-1.0.zip", Reply::ok("content"));
    upstream.put(PAGE, Reply::page("demo", &[file]));
    let url = upstream.url().replace("http://", "http://us%40er:xyz%3Azyx@");
    let server = mirror(&upstream, json!({"mirror_url": url})).await;
    let page = get(&server).await.expect(200).json();
    let path = page["files"][0]["url"].as_str().unwrap().replace("../../", "root/up/");
    server.anonymous().get(&path).await.expect(200);
    // us@er:xyz:zyx
    assert_eq!(upstream.requests(PAGE)[0].headers["authorization"], "Basic dXNAZXI6eHl6Onp5eA==");
    assert!(!other.requests("/demo-1.0.zip")[0].headers.contains_key("authorization"));
    for path in ["root/up", "root", "", "root/up/demo", "root/up/+simple/demo/", &path] {
        let answer = server.anonymous().get_json(path).await;
        assert!(!answer.text().contains("xyz"), "{path}: {}", answer.text());
    }
    upstream.put(PAGE, Reply::status(500));
    server.root().delete("root/up/demo").await.expect(200);
    let answer = server.anonymous().get_json("root/up/demo").await;
    assert!(!answer.expect(502).text().contains("xyz"));
}
