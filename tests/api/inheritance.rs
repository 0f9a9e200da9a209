//! Pages of heirs: they change with their bases, and nothing else does.

use serde_json::json;

use crate::support::{Caller, TestServer, sdist};

/// Alice's indexes: `top` inherits from `mid`, `mid` from `base`; `other` is by itself. `base`, `top` and `other` each
/// have a project `demo`, and `base` also has `bystander`.
async fn family() -> TestServer {
    let server = TestServer::new()
        .with_user("alice")
        .with_index("alice/base", json!({}))
        .with_index("alice/mid", json!({"bases": "alice/base"}))
        .with_index("alice/top", json!({"bases": ["alice/mid"]}))
        .with_index("alice/other", json!({}))
        .start()
        .await;
    for (index, name) in
        [("alice/base", "demo"), ("alice/top", "demo"), ("alice/other", "demo"), ("alice/base", "bystander")]
    {
        let version = if index == "alice/top" { "0.1" } else { "1.0" };
        server.alice().upload(index, &sdist(name, version, index)).await.expect(200);
    }
    server
}

/// The names in a project's page or in a list; nothing where there is none.
async fn names(caller: &Caller, path: &str) -> Vec<String> {
    let page = caller.get_simple(path).await;
    if page.status == 404 {
        return Vec::new();
    }
    let page = page.expect(200).json();
    let listed = |key: &str, name: &str| -> Vec<String> {
        let items = page[key].as_array().into_iter().flatten();
        items.map(|item| item[name].as_str().unwrap().to_owned()).collect()
    };
    [listed("files", "filename"), listed("projects", "name")].concat()
}

const PAGES: [&str; 9] = [
    "alice/top/+simple/demo/",
    "alice/mid/+simple/demo/",
    "alice/base/+simple/demo/",
    "alice/other/+simple/demo/",
    "alice/top/+simple/bystander/",
    "alice/base/+simple/bystander/",
    "alice/top/+simple/",
    "alice/base/+simple/",
    "alice/other/+simple/",
];

/// Reads all pages as HTML. Returns their tags.
async fn tags(server: &TestServer) -> Vec<String> {
    let mut tags = Vec::new();
    for path in PAGES {
        tags.push(server.anonymous().get(path).await.expect(200).etag());
    }
    tags
}

/// Asserts that a write makes exactly these pages new, and that only those have left the memory.
async fn assert_changes(server: &TestServer, write: impl Future<Output = ()>, expected: &[&str]) {
    let before = tags(server).await;
    let cached = server.cached_pages().await;
    write.await;
    assert_eq!(server.cached_pages().await, cached - expected.len() as u64, "other pages were forgotten");
    let mut changed = Vec::new();
    for (path, etag) in PAGES.iter().zip(&before) {
        let page = server.anonymous().get_with(path, "If-None-Match", etag).await;
        match page.status {
            200 => changed.push(*path),
            304 => assert_eq!(page.etag(), *etag),
            other => panic!("{other} for {path}"),
        }
    }
    assert_eq!(changed, expected);
}

#[actix_web::test]
async fn a_new_release_changes_the_project_in_all_heirs() {
    let server = family().await;
    let write = async {
        server.alice().upload("alice/base", &sdist("demo", "2.0", "")).await.expect(200);
    };
    assert_changes(&server, write, &PAGES[..3]).await;
    assert_eq!(
        names(&server.anonymous(), PAGES[0]).await,
        ["demo-2.0.tar.gz", "demo-1.0.tar.gz", "demo-0.1.tar.gz"]
    );
}

#[actix_web::test]
async fn heirs_do_not_change_their_bases() {
    let server = family().await;
    let write = async {
        server.alice().upload("alice/top", &sdist("demo", "2.0", "")).await.expect(200);
    };
    assert_changes(&server, write, &PAGES[..1]).await;
    assert_eq!(names(&server.anonymous(), PAGES[2]).await, ["demo-1.0.tar.gz"]);
}

#[actix_web::test]
async fn a_new_project_changes_the_lists_of_all_heirs() {
    let server = family().await;
    let write = async {
        server.alice().upload("alice/base", &sdist("fresh", "1.0", "")).await.expect(200);
    };
    assert_changes(&server, write, &["alice/top/+simple/", "alice/base/+simple/"]).await;
    assert_eq!(names(&server.anonymous(), "alice/top/+simple/").await, ["demo", "bystander", "fresh"]);
    assert_eq!(names(&server.anonymous(), "alice/top/+simple/fresh/").await, ["fresh-1.0.tar.gz"]);
}

#[actix_web::test]
async fn deletions_change_what_they_take_away() {
    let server = family().await;
    server.alice().upload("alice/base", &sdist("demo", "2.0", "")).await.expect(200);
    let file = sdist("demo", "2.0", "").path("alice/base");
    let write = async {
        server.alice().delete(&file).await.expect(200);
    };
    assert_changes(&server, write, &PAGES[..3]).await;
    assert_eq!(names(&server.anonymous(), PAGES[1]).await, ["demo-1.0.tar.gz"]);
    server.alice().delete("alice/base/demo").await.expect(200);
    let anonymous = server.anonymous();
    assert_eq!(names(&anonymous, PAGES[0]).await, ["demo-0.1.tar.gz"]);
    assert_eq!(names(&anonymous, PAGES[1]).await, Vec::<String>::new());
    assert_eq!(names(&anonymous, "alice/mid/+simple/").await, ["bystander"]);
}

#[actix_web::test]
async fn other_writes_change_no_page() {
    let server = family().await;
    let write = async {
        server.alice().patch("alice", json!({"title": "x"})).await.expect(200);
        server.alice().put("alice/more", json!({})).await.expect(200);
        server.alice().upload("alice/more", &sdist("demo", "5.0", "")).await.expect(200);
        server.alice().delete("alice/more").await.expect(201);
    };
    assert_changes(&server, write, &[]).await;
}

#[actix_web::test]
async fn changed_bases_change_all_heirs() {
    let server = family().await;
    let anonymous = server.anonymous();
    let demo = "alice/top/+simple/demo/";
    tags(&server).await;
    server.alice().patch("alice/mid", json!({"bases": "alice/other"})).await.expect(200);
    assert_eq!(names(&anonymous, "alice/top/+simple/").await, ["demo"]);
    let other = sdist("demo", "1.0", "alice/other");
    let page = anonymous.get_simple(demo).await.json();
    assert_eq!(page["files"][0]["hashes"]["sha256"], other.sha256());
    // From now on it is the new base whose uploads count.
    server.alice().upload("alice/base", &sdist("demo", "3.0", "")).await.expect(200);
    server.alice().upload("alice/other", &sdist("demo", "4.0", "")).await.expect(200);
    assert_eq!(names(&anonymous, demo).await, ["demo-4.0.tar.gz", "demo-1.0.tar.gz", "demo-0.1.tar.gz"]);
    server.alice().patch("alice/top", json!({"bases": []})).await.expect(200);
    assert_eq!(names(&anonymous, demo).await, ["demo-0.1.tar.gz"]);
}

#[actix_web::test]
async fn a_base_may_go_and_come_back() {
    let server = family().await;
    let anonymous = server.anonymous();
    tags(&server).await;
    for gone in ["alice/base", "alice/mid"] {
        server.alice().delete(gone).await.expect(201);
        assert_eq!(names(&anonymous, "alice/top/+simple/demo/").await, ["demo-0.1.tar.gz"]);
        assert_eq!(names(&anonymous, "alice/top/+simple/bystander/").await, Vec::<String>::new());
        assert_eq!(names(&anonymous, "alice/top/+simple/").await, ["demo"]);
    }
    // They come back, the nearer one last, and are bases as before.
    server.alice().put("alice/base", json!({})).await.expect(200);
    server.alice().upload("alice/base", &sdist("again", "1.0", "")).await.expect(200);
    assert_eq!(names(&anonymous, "alice/top/+simple/").await, ["demo"]);
    server.alice().put("alice/mid", json!({"bases": "alice/base"})).await.expect(200);
    assert_eq!(names(&anonymous, "alice/top/+simple/").await, ["demo", "again"]);
    server.alice().upload("alice/base", &sdist("again", "2.0", "")).await.expect(200);
    let again = names(&anonymous, "alice/top/+simple/again/").await;
    assert_eq!(again, ["again-2.0.tar.gz", "again-1.0.tar.gz"]);
}

#[actix_web::test]
async fn loops_of_bases_end() {
    let server = family().await;
    let anonymous = server.anonymous();
    tags(&server).await;
    server.alice().patch("alice/base", json!({"bases": "alice/top,alice/base"})).await.expect(200);
    for (index, version) in [("alice/base", "7.0"), ("alice/mid", "8.0"), ("alice/top", "9.0")] {
        server.alice().upload(index, &sdist("demo", version, "")).await.expect(200);
        for heir in ["alice/base", "alice/mid", "alice/top"] {
            let shown = names(&anonymous, &format!("{heir}/+simple/demo/")).await;
            assert_eq!(shown.first(), Some(&format!("demo-{version}.tar.gz")), "{heir}");
        }
    }
    server.alice().patch("alice/top", json!({"bases": "alice/top"})).await.expect(200);
    assert_eq!(names(&anonymous, "alice/top/+simple/demo/").await, ["demo-9.0.tar.gz", "demo-0.1.tar.gz"]);
}

#[actix_web::test]
async fn a_walk_ends_with_an_error_where_it_is_too_long() {
    let names: Vec<String> = (0..1001).map(|number| format!("alice/base{number}")).collect();
    let mut server = TestServer::new().with_user("alice");
    for name in &names {
        server = server.with_index(name, json!({}));
    }
    let chunks: Vec<String> = (0..5).map(|number| format!("alice/chunk{number}")).collect();
    for (chunk, bases) in chunks.iter().zip(names.chunks(200)) {
        server = server.with_index(chunk, json!({"bases": bases}));
    }
    let server = server.start().await;
    let alice = server.alice();
    // The index itself, five chunks of 200 each, and these are too many.
    let refused = alice.put("alice/all", json!({"bases": chunks})).await;
    let text = "the index alice/all reaches more than 1000 indexes through its bases";
    assert_eq!(refused.expect(400).message(), text);
    alice.put("alice/most", json!({"bases": chunks[..4]})).await.expect(200);
    alice.get_simple("alice/most/+simple/").await.expect(200);
    // A base may come to reach too many for those that build upon it.
    alice.put("alice/top", json!({"bases": "alice/most"})).await.expect(200);
    alice.put("alice/last", json!({"bases": chunks[4..]})).await.expect(200);
    let mut bases = chunks[..4].to_vec();
    bases.extend(names[800..994].to_vec());
    alice.patch("alice/most", json!({"bases": bases})).await.expect(200);
    alice.get_simple("alice/most/+simple/").await.expect(200);
    alice.get_simple("alice/top/+simple/").await.expect(200);
    alice.patch("alice/base0", json!({"bases": "alice/last"})).await.expect(200);
    let text = "the index alice/top reaches more than 1000 indexes through its bases";
    for path in ["alice/top/+simple/", "alice/top/+simple/demo/"] {
        let answer = alice.get_simple(path).await;
        assert!(answer.expect(409).text().contains(text), "{}", answer.text());
    }
    alice.patch("alice/top", json!({"bases": []})).await.expect(200);
    alice.get_simple("alice/top/+simple/").await.expect(200);
}
