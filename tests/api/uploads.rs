//! Uploads: who may, what is kept, and that nothing is kept of what is refused.

use serde_json::json;

use crate::support::{Form, TestServer, Wheel, sdist};

#[actix_web::test]
async fn an_upload_is_there_when_it_is_acknowledged() {
    let server = TestServer::with_dev().start().await;
    let wheel = Wheel::new("demo", "1.0").build();
    let before = server.serial().await;
    let answer = server.alice().upload("alice/dev", &wheel).await;
    answer.expect(200);
    assert_eq!((answer.serial(), answer.text()), (before + 1, ""));
    assert_eq!(server.anonymous().get(&wheel.path("alice/dev")).await.expect(200).body, wheel.content);
    let page = server.anonymous().get("alice/dev/+simple/demo/").await;
    assert!(page.expect(200).text().contains(&wheel.file_name));
    server.settled().await;
    assert_eq!(server.contents().into_iter().collect::<Vec<_>>(), [wheel.sha256()]);
}

#[actix_web::test]
async fn a_volatile_index_takes_a_file_again() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let old = sdist("demo", "1.0", "old");
    let new = old.with_content(b"new");
    for (dist, gone) in [(&old, None), (&new, Some(&old)), (&new, None), (&old, Some(&new))] {
        alice.upload("alice/dev", dist).await.expect(200);
        assert_eq!(alice.get(&dist.path("alice/dev")).await.expect(200).body, dist.content);
        if let Some(gone) = gone {
            alice.get(&gone.path("alice/dev")).await.expect(410);
        }
        let page = alice.get_simple("alice/dev/+simple/demo/").await.json();
        assert_eq!(page["files"].as_array().unwrap().len(), 1);
        assert_eq!(page["files"][0]["hashes"]["sha256"], dist.sha256());
    }
}

#[actix_web::test]
async fn a_non_volatile_index_keeps_what_it_has() {
    let server = TestServer::with_dev().with_index("alice/prod", json!({"volatile": false})).start().await;
    let alice = server.alice();
    let dist = sdist("demo", "1.0", "first");
    alice.upload("alice/prod", &dist).await.expect(200);
    let serial = server.serial().await;

    let other = alice.post_raw("alice/prod", &dist.with_content(b"second").form()).await;
    assert_eq!(other.status_line, "409 demo-1.0.tar.gz already exists in non-volatile index");
    let same = alice.post_raw("alice/prod", &dist.form()).await;
    assert_eq!(same.status_line, "200 Upload of identical file to non volatile index.");

    assert_eq!(server.serial().await, serial);
    assert_eq!(alice.get(&dist.path("alice/prod")).await.expect(200).body, b"first");
    server.settled().await;
    assert_eq!(server.contents().into_iter().collect::<Vec<_>>(), [dist.sha256()]);
    // Other files of the release are welcome.
    alice.upload("alice/prod", &Wheel::new("demo", "1.0").build()).await.expect(200);
}

#[actix_web::test]
async fn the_same_content_is_stored_once_for_all_indexes() {
    let server = TestServer::with_dev().with_index("bob/dev", json!({})).start().await;
    let dist = sdist("demo", "1.0", "content");
    server.alice().upload("alice/dev", &dist).await.expect(200);
    server.bob().upload("bob/dev", &dist).await.expect(200);
    assert_eq!(server.contents().len(), 1);
    server.alice().delete("alice/dev").await.expect(201);
    assert_eq!(server.anonymous().get(&dist.path("bob/dev")).await.expect(200).body, b"content");
}

#[actix_web::test]
async fn access_lists_say_who_may_upload() {
    let server = TestServer::with_dev()
        .with_index("alice/open", json!({"acl_upload": [":ANONYMOUS:"]}))
        .with_index("alice/members", json!({"acl_upload": [":AUTHENTICATED:"]}))
        .with_index("alice/closed", json!({"acl_upload": []}))
        .start()
        .await;
    let callers = [server.anonymous(), server.bob(), server.alice(), server.root()];
    for (index, statuses) in [
        ("alice/dev", [401, 403, 200, 403]),
        ("alice/open", [200, 200, 200, 200]),
        ("alice/members", [401, 200, 200, 200]),
        ("alice/closed", [401, 403, 403, 403]),
        ("alice/none", [404, 404, 404, 404]),
    ] {
        for (caller, status) in callers.iter().zip(statuses) {
            let answer = caller.upload(index, &sdist("demo", "1.0", "content")).await;
            assert_eq!(answer.status, status, "{index}");
            // Old tools ask for a password only for this realm.
            let challenge = if status == 401 { "Basic realm=\"pypi\"" } else { "" };
            assert_eq!(answer.header("www-authenticate"), challenge);
        }
    }
    let refused = server.bob().post_raw("alice/dev", &sdist("demo", "1.0", "").form()).await;
    assert_eq!(refused.status_line, "403 no permission to submit");
}

#[actix_web::test]
async fn a_changed_access_list_counts_at_once() {
    let server = TestServer::with_dev().start().await;
    let (alice, bob) = (server.alice(), server.bob());
    // Refused for what it wants, after it was asked who may upload: only the first answer is to be seen here.
    let form = sdist("demo", "1.0", "content").form().without(":action").field(":action", "dance");
    let check = async |of_alice: u16, of_bob: u16| {
        assert_eq!(alice.post("alice/dev", &form).await.status, of_alice);
        assert_eq!(bob.post("alice/dev", &form).await.status, of_bob);
    };
    check(400, 403).await;
    alice.patch("alice/dev", json!(["acl_upload=bob"])).await.expect(200);
    check(403, 400).await;
    alice.delete("alice/dev").await.expect(201);
    check(404, 404).await;
    alice.put("alice/dev", json!({"acl_upload": ["alice", "bob"]})).await.expect(200);
    check(400, 400).await;
}

#[actix_web::test]
async fn nothing_is_kept_of_a_refused_upload() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let good = sdist("demo", "1.0", "content").form();
    let named =
        |file_name: &str, content: &[u8]| good.clone().without("content").file("content", file_name, content);
    let with = |name: &str, value: &str| good.clone().without(name).field(name, value);
    let before = server.serial().await;
    for (form, status_line) in [
        (with("sha256_digest", "00"), "400 sha256_digest '00' does not match the uploaded file"),
        (
            with("md5_digest", "bad").without("sha256_digest"),
            "400 md5_digest 'bad' does not match the uploaded file",
        ),
        (with("version", "2.0"), "400 filename 'demo-1.0.tar.gz' does not contain version '2.0'"),
        (with("name", "other"), "400 filename 'demo-1.0.tar.gz' does not match project name 'other'"),
        (with(":action", "dance"), "400 action 'dance' not supported"),
        (good.clone().without("content"), "400 content file field not found"),
        (named("demo-1.0.txt", b"x"), "400 'demo-1.0.txt' is not a valid archive name"),
        (good.clone().file("content", "demo-1.0.zip", b"x"), "400 the form has more than one content field"),
    ] {
        let answer = alice.post_raw("alice/dev", &form).await;
        assert_eq!(answer.status_line, status_line);
    }
    for file_name in ["demo-1.0.zip", "demo-1.0-py3-none-any.whl"] {
        let answer =
            alice.post_raw("alice/dev", &named(file_name, b"no archive").without("sha256_digest")).await;
        let expected = format!("400 '{file_name}' is not a valid archive: ");
        assert!(answer.status_line.starts_with(&expected), "{}", answer.status_line);
    }
    server.settled().await;
    assert_eq!(server.contents().len(), 0);
    assert_eq!(server.serial().await, before);
    assert_eq!(alice.get_json("alice/dev").await.result()["projects"], json!([]));
}

#[actix_web::test]
async fn a_registration_needs_no_file() {
    let server = TestServer::with_dev().start().await;
    let form = |summary: &str| {
        let form = Form::new().field(":action", "submit").field("name", "Demo.App");
        form.field("version", "1.0").field("summary", summary)
    };
    let alice = server.alice();
    alice.post("alice/dev", &form("first").field("author", "A")).await.expect(200);
    alice.upload("alice/dev", &sdist("demo_app", "1.0", "content")).await.expect(200);
    alice.post("alice/dev", &form("second")).await.expect(200);
    let release = alice.get_json("alice/dev/demo-app/1.0").await.result();
    // All of it is replaced, except for the files.
    assert_eq!((&release["summary"], &release["author"]), (&json!("second"), &json!("")));
    assert_eq!(release["+links"].as_array().unwrap().len(), 1);
    server.bob().post("alice/dev", &form("third")).await.expect(403);
    let bad = alice.post_raw("alice/dev", &form("x").without("version")).await;
    assert!(bad.status_line.starts_with("400 "), "{}", bad.status_line);
}
