//! Documentation of releases.

use serde_json::json;

use crate::support::{Form, TestServer, sdist};

fn docs(version: Option<&str>, content: &[u8]) -> Form {
    let form = Form::new().field(":action", "doc_upload").field("name", "Demo");
    let form = version.into_iter().fold(form, |form, version| form.field("version", version));
    form.file("content", "whatever.zip", content)
}

#[actix_web::test]
async fn documentation_is_for_the_newest_release_unless_it_says() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let none = alice.post_raw("alice/dev", &docs(None, b"docs")).await;
    let text = "400 doczip has no version and 'demo' has no releases to derive one from";
    assert_eq!(none.status_line, text);
    for version in ["1.9", "1.10", "1.2"] {
        alice.upload("alice/dev", &sdist("demo", version, version)).await.expect(200);
    }
    alice.post("alice/dev", &docs(None, b"docs")).await.expect(200);
    let release = alice.get_json("alice/dev/demo/1.10").await.result();
    let link = &release["+links"][1];
    assert_eq!(link["rel"], "doczip");
    let path = link["href"].as_str().unwrap().split_once("/alice/").unwrap().1;
    assert!(path.ends_with("/demo-1.10.doc.zip"), "{path}");
    assert_eq!(alice.get(&format!("alice/{path}")).await.expect(200).body, b"docs");
    // Installers have no use for it.
    let page = alice.get_simple("alice/dev/+simple/demo/").await.json();
    assert_eq!(page["files"].as_array().unwrap().len(), 3);
}

#[actix_web::test]
async fn documentation_keeps_its_release_and_follows_its_rules() {
    let server = TestServer::with_dev().with_index("alice/prod", json!({"volatile": false})).start().await;
    let (alice, dist) = (server.alice(), sdist("demo", "1.0", "source"));
    alice.upload("alice/dev", &dist).await.expect(200);
    alice.post("alice/dev", &docs(Some("1.0"), b"docs")).await.expect(200);
    alice.delete(&dist.path("alice/dev")).await.expect(200);
    let release = alice.get_json("alice/dev/demo/1.0").await.result();
    assert_eq!(release["+links"].as_array().unwrap().len(), 1);
    alice.post("alice/prod", &docs(Some("2.0"), b"docs")).await.expect(200);
    let same = alice.post_raw("alice/prod", &docs(Some("2.0"), b"docs")).await;
    assert_eq!(same.status_line, "200 Upload of identical file to non volatile index.");
    let other = alice.post_raw("alice/prod", &docs(Some("2.0"), b"other")).await;
    assert_eq!(other.status_line, "409 whatever.zip already exists in non-volatile index");
    server.settled().await;
    // The distribution of the deleted link may be in the history; the refused documentation is nowhere.
    assert_eq!(server.contents().len(), 2);
}

#[actix_web::test]
async fn a_distribution_may_be_called_like_documentation() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let mut zip = crate::support::Wheel::new("demo", "1.0").build();
    zip.file_name = "demo-1.0.doc.zip".to_owned();
    alice.upload("alice/dev", &zip).await.expect(200);
    // Each of them is replaced alone, the first time where both have the same content.
    for content in [zip.content.as_slice(), b"docs", b"more docs"] {
        alice.post("alice/dev", &docs(Some("1.0"), content)).await.expect(200);
        let release = alice.get_json("alice/dev/demo/1.0").await.result();
        assert_eq!(release["+links"].as_array().unwrap().len(), 2);
        assert!(alice.get(&zip.path("alice/dev")).await.expect(200).body == zip.content);
    }
}
