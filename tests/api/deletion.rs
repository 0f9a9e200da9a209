//! Deleting projects, releases and files.

use serde_json::json;

use crate::support::{TestServer, Wheel, sdist};

#[actix_web::test]
async fn a_file_goes_alone_while_others_of_its_release_stay() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let (source, wheel) = (sdist("demo", "1.0", "x"), Wheel::new("demo", "1.0").build());
    for dist in [&source, &wheel, &sdist("demo", "2.0", "y")] {
        alice.upload("alice/dev", dist).await.expect(200);
    }
    let path = source.path("alice/dev");
    assert_eq!(alice.delete(&path).await.expect(200).message(), format!("package '{path}' deleted"));
    let gone = alice.delete(&path).await;
    assert_eq!(gone.expect(410).message(), format!("file '{path}' existed, deleted in later serial"));
    let links = alice.get_json("alice/dev/demo/1.0").await.result()["+links"].clone();
    assert_eq!(links.as_array().unwrap().len(), 1);
    // With its last file a release goes, and with its last release the project.
    alice.delete(&wheel.path("alice/dev")).await.expect(200);
    alice.get_json("alice/dev/demo/1.0").await.expect(404);
    assert_eq!(alice.get_json("alice/dev").await.result()["projects"], json!(["demo"]));
    alice.delete(&sdist("demo", "2.0", "y").path("alice/dev")).await.expect(200);
    assert_eq!(alice.get_json("alice/dev").await.result()["projects"], json!([]));
    alice.get("alice/dev/+simple/demo/").await.expect(404);
}

#[actix_web::test]
async fn a_file_goes_from_all_releases_that_have_it() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let (shared, other) = (sdist("demo", "1.0", "x"), sdist("demo", "1.0.1", "y"));
    alice.upload("alice/dev", &shared).await.expect(200);
    alice.upload("alice/dev", &other).await.expect(200);
    // The version of a form is one that the name of the file has in it.
    let also = shared.form().without("version").field("version", "1");
    alice.post("alice/dev", &also).await.expect(200);
    alice.get_json("alice/dev/demo/1").await.expect(200);
    let path = shared.path("alice/dev");
    alice.delete(&path).await.expect(200);
    alice.get(&path).await.expect(410);
    for version in ["1.0", "1"] {
        alice.get_json(&format!("alice/dev/demo/{version}")).await.expect(404);
    }
    alice.get(&other.path("alice/dev")).await.expect(200);
    alice.delete(&path).await.expect(410);
}

#[actix_web::test]
async fn a_release_goes_with_its_files() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let (old, new) = (sdist("demo", "1.0", "x"), sdist("demo", "2.0", "y"));
    for dist in [&old, &new] {
        alice.upload("alice/dev", dist).await.expect(200);
    }
    alice.delete("alice/dev/demo/1.0").await.expect(200);
    alice.get(&old.path("alice/dev")).await.expect(410);
    alice.get(&new.path("alice/dev")).await.expect(200);
    alice.get_json("alice/dev/demo/1.0").await.expect(404);
    alice.delete("alice/dev/demo/1.0").await.expect(404);
    // What comes back under its name has no memory of it.
    alice.upload("alice/dev", &old.with_content(b"z")).await.expect(200);
    let release = alice.get_json("alice/dev/demo/1.0").await.result();
    assert_eq!(release["+links"][0]["log"].as_array().unwrap().len(), 1);
    alice.delete("alice/dev/demo").await.expect(200);
    alice.get(&new.path("alice/dev")).await.expect(410);
}

#[actix_web::test]
async fn non_volatile_indexes_want_force() {
    let server = TestServer::with_dev().with_index("alice/prod", json!({"volatile": false})).start().await;
    let alice = server.alice();
    let dists = ["1.0", "2.0", "3.0", "4.0"].map(|version| sdist("demo", version, version));
    for dist in &dists {
        alice.upload("alice/prod", dist).await.expect(200);
    }
    let before = server.serial().await;
    let file = dists[0].path("alice/prod");
    for path in [file.as_str(), "alice/prod/demo/2.0", "alice/prod/demo"] {
        alice.delete(path).await.expect(403);
    }
    assert_eq!(server.serial().await, before);
    for (path, count) in [(file.as_str(), 3), ("alice/prod/demo/2.0", 2), ("alice/prod/demo", 0)] {
        alice.delete(&format!("{path}?force")).await.expect(200);
        let page = alice.get_simple("alice/prod/+simple/demo/").await;
        let left = if page.status == 404 { 0 } else { page.json()["files"].as_array().unwrap().len() };
        assert_eq!(left, count, "{path}");
    }
    assert_eq!(server.serial().await, before + 3);
}

#[actix_web::test]
async fn owners_and_uploaders_may_delete() {
    let server = TestServer::with_dev()
        .with_user("carol")
        .with_index("alice/shared", json!({"acl_upload": ["bob"]}))
        .start()
        .await;
    let dist = sdist("demo", "1.0", "x");
    let paths =
        [dist.path("alice/shared"), "alice/shared/demo/1.0".to_owned(), "alice/shared/demo".to_owned()];
    for (caller, status) in [
        (server.anonymous(), 403),
        (server.user("carol"), 403),
        (server.alice(), 200),
        (server.bob(), 200),
        (server.root(), 200),
    ] {
        for path in &paths {
            server.bob().upload("alice/shared", &dist).await.expect(200);
            caller.delete(path).await.expect(status);
            let there = server.anonymous().get(&dist.path("alice/shared")).await.status == 200;
            assert_eq!(there, status == 403, "{path}");
        }
    }
}

#[actix_web::test]
async fn what_is_not_there_is_not_deleted() {
    let server = TestServer::with_dev().with_index("alice/top", json!({"bases": "alice/dev"})).start().await;
    let alice = server.alice();
    let dist = sdist("demo", "1.0", "x");
    alice.upload("alice/dev", &dist).await.expect(200);
    let before = server.serial().await;
    // A base's content is not the heir's to delete.
    for path in
        ["alice/top/demo", "alice/top/demo/1.0", "alice/dev/none", "alice/dev/none/1.0", "alice/dev/demo/9"]
    {
        alice.delete(path).await.expect(404);
    }
    alice.delete(&dist.path("alice/top")).await.expect(404);
    alice.delete("alice/none/demo").await.expect(403);
    alice.delete(&dist.path("alice/none")).await.expect(403);
    assert_eq!(server.serial().await, before);
}
