//! Projects and releases as JSON.

use serde_json::{Value, json};

use crate::support::{Dist, TestServer, Wheel, sdist};

/// The only link of a release, with the time of each line of its log taken out.
fn only_link(release: &Value) -> Value {
    let links = release["+links"].as_array().unwrap();
    assert_eq!(links.len(), 1, "{release}");
    let mut link = links[0].clone();
    for line in link["log"].as_array_mut().unwrap() {
        assert_eq!(line["when"].as_array().unwrap().len(), 6);
        line.as_object_mut().unwrap().remove("when");
    }
    link
}

fn expected_link(server: &TestServer, dist: &Dist, index: &str, log: Value) -> Value {
    json!({
        "rel": "releasefile", "hash_spec": format!("sha256={}", dist.sha256()), "hashes": {"sha256": dist.sha256()},
        "href": format!("http://{}/{}", server.address(), dist.path(index)), "log": log
    })
}

#[actix_web::test]
async fn a_release_shows_metadata_and_links() {
    let server = TestServer::with_dev().start().await;
    let dist = Wheel::new("demo", "1.0").requires_python(">=3.9").build();
    server.alice().upload("alice/dev", &dist).await.expect(200);
    let shown = server.anonymous().get_json("alice/dev/demo/1.0").await;
    assert_eq!(shown.expect(200).json()["type"], "versiondata");
    let release = shown.result();
    assert_eq!((&release["name"], &release["requires_python"]), (&json!("demo"), &json!(">=3.9")));
    assert_eq!((&release["summary"], &release["classifiers"]), (&json!(""), &json!([])));
    let log = json!([{"what": "upload", "who": "alice", "dst": "alice/dev"}]);
    assert_eq!(only_link(&release), expected_link(&server, &dist, "alice/dev", log));
    let project = server.anonymous().get_json("alice/dev/demo").await;
    assert_eq!(project.expect(200).json()["type"], "projectconfig");
    assert_eq!(project.result(), json!({"1.0": release}));
}

#[actix_web::test]
async fn overwrites_are_counted() {
    let server = TestServer::with_dev().start().await;
    let first = sdist("demo", "1.0", "0");
    server.alice().upload("alice/dev", &first).await.expect(200);
    for count in 1..=3 {
        let dist = first.with_content(count.to_string().as_bytes());
        server.alice().upload("alice/dev", &dist).await.expect(200);
        let release = server.anonymous().get_json("alice/dev/demo/1.0").await.result();
        let log = json!([
            {"what": "overwrite", "who": null, "count": count},
            {"what": "upload", "who": "alice", "dst": "alice/dev"}
        ]);
        assert_eq!(only_link(&release), expected_link(&server, &dist, "alice/dev", log));
    }
}

#[actix_web::test]
async fn a_release_shows_what_it_shadows() {
    let server = TestServer::with_dev()
        .with_index("alice/mid", json!({"bases": "alice/dev"}))
        .with_index("alice/top", json!({"bases": "alice/mid"}))
        .start()
        .await;
    for (index, version) in
        [("alice/dev", "1.0"), ("alice/mid", "1.0"), ("alice/top", "1.0"), ("alice/dev", "2.0")]
    {
        server.alice().upload(index, &sdist("demo", version, index)).await.expect(200);
    }
    let href = |release: &Value| release["+links"][0]["href"].as_str().unwrap().to_owned();
    let expected = |index| format!("http://{}/{}", server.address(), sdist("demo", "1.0", index).path(index));
    let release = server.anonymous().get_json("alice/top/demo/1.0").await.result();
    let project = server.anonymous().get_json("alice/top/demo").await.result();
    for release in [&release, &project["1.0"]] {
        assert_eq!(href(release), expected("alice/top"));
        let shadowing = release["+shadowing"].as_array().unwrap();
        assert_eq!(
            shadowing.iter().map(href).collect::<Vec<_>>(),
            [expected("alice/mid"), expected("alice/dev")]
        );
    }
    assert_eq!(project.as_object().unwrap().keys().collect::<Vec<_>>(), ["2.0", "1.0"]);
    assert!(project["2.0"].get("+shadowing").is_none());
    let own = server.anonymous().get_json("alice/top/demo?ignore_bases=").await.result();
    assert_eq!(own.as_object().unwrap().keys().collect::<Vec<_>>(), ["1.0"]);
    assert!(own["1.0"].get("+shadowing").is_none());
}

#[actix_web::test]
async fn what_is_missing_is_named() {
    let server = TestServer::with_dev().start().await;
    server.alice().upload("alice/dev", &sdist("demo", "1.0", "")).await.expect(200);
    for (path, message) in [
        ("alice/none/demo", "The stage alice/none could not be found."),
        ("alice/none/demo/1.0", "The stage alice/none could not be found."),
        ("alice/dev/none", "no project 'none'"),
        ("alice/dev/demo/2.0", "The version 2.0 of project demo does not exist."),
    ] {
        assert_eq!(server.anonymous().get_json(path).await.expect(404).message(), message);
    }
    let wanted = server.anonymous().get_with("alice/dev/demo", "Accept", "text/html").await;
    assert!(matches!(wanted.status, 404 | 415), "{wanted:?}");
}

#[actix_web::test]
async fn versions_come_newest_first() {
    let server = TestServer::with_dev().start().await;
    for version in ["1.9", "1.10", "1.0.dev1", "1.0", "2.0rc1", "1!0.1"] {
        server.alice().upload("alice/dev", &sdist("demo", version, "")).await.expect(200);
    }
    let expected = ["1!0.1", "2.0rc1", "1.10", "1.9", "1.0", "1.0.dev1"];
    let project = server.anonymous().get_json("alice/dev/demo").await.result();
    assert_eq!(project.as_object().unwrap().keys().collect::<Vec<_>>(), expected);
    let page = server.anonymous().get_simple("alice/dev/+simple/demo/").await.json();
    assert_eq!(page["versions"], json!(expected));
}
