//! Indexes: creation, modification, deletion.

use serde_json::json;

use crate::support::{TestServer, sdist};

#[actix_web::test]
async fn an_index_is_created_with_defaults_and_shown() {
    let server = TestServer::with_dev().start().await;
    let expected = json!({
        "type": "stage", "volatile": true, "acl_upload": ["alice"], "acl_toxresult_upload": [":ANONYMOUS:"],
        "bases": ["alice/dev"], "mirror_whitelist": [], "mirror_whitelist_inheritance": "intersection",
        "title": "T"
    });
    let asked = json!({"bases": "alice/dev", "title": "T"});
    let created = server.alice().put("alice/new", asked.clone()).await;
    assert_eq!(created.expect(200).json(), json!({"type": "indexconfig", "result": expected}));
    let again = server.alice().put("alice/new", asked).await;
    assert_eq!(again.expect(409).message(), "index 'alice/new' exists");
    server.alice().upload("alice/new", &sdist("demo", "1.0", "")).await.expect(200);
    let mut shown = server.anonymous().get_json("alice/new?no_projects=").await.result();
    assert_eq!(shown, expected);
    shown["projects"] = json!(["demo"]);
    assert_eq!(server.anonymous().get_json("alice/new").await.result(), shown);
}

#[actix_web::test]
async fn owner_and_root_may_create_change_and_delete() {
    let server = TestServer::with_dev().start().await;
    let callers =
        [(server.anonymous(), false), (server.bob(), false), (server.alice(), true), (server.root(), true)];
    for (number, (caller, may)) in callers.into_iter().enumerate() {
        let name = format!("alice/new{number}");
        caller.put(&name, json!({})).await.expect(if may { 200 } else { 403 });
        if !may {
            server.alice().put(&name, json!({})).await.expect(200);
        }
        caller.patch(&name, json!({"title": "x"})).await.expect(if may { 200 } else { 403 });
        let deleted = caller.delete(&name).await;
        deleted.expect(if may { 201 } else { 403 });
        if may {
            assert_eq!(deleted.message(), format!("index {name} deleted"));
            // What is not there is not told from what is not allowed.
            caller.delete(&name).await.expect(403);
            caller.patch(&name, json!({})).await.expect(403);
        }
    }
    assert_eq!(server.root().put("nobody/dev", json!({})).await.expect(404).message(), "no user 'nobody'");
}

#[actix_web::test]
async fn patches_change_what_they_name() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    for (patch, key, expected) in [
        (json!({"title": "x"}), "title", json!("x")),
        (json!(["acl_upload+=bob", "title=y"]), "acl_upload", json!(["alice", "bob"])),
        (json!(["acl_upload-=alice"]), "acl_upload", json!(["bob"])),
        (json!(["title-="]), "title", json!(null)),
        (json!({"volatile": "False"}), "volatile", json!(false)),
        (
            json!({"type": "indexconfig", "result": {"type": "stage", "volatile": true}}),
            "volatile",
            json!(true),
        ),
        (json!({"bases": ["alice/dev"]}), "bases", json!(["alice/dev"])),
    ] {
        let before = server.serial().await;
        let changed = alice.patch("alice/dev", patch.clone()).await;
        assert_eq!(changed.result()[key], expected, "{patch}");
        assert_eq!(server.serial().await, before + 1);
        assert_eq!(alice.get_json("alice/dev").await.result()[key], expected, "{patch}");
    }
}

#[actix_web::test]
async fn a_refused_patch_changes_nothing() {
    let server = TestServer::with_dev().start().await;
    let before = server.anonymous().get_json("alice/dev").await;
    for (patch, message) in [
        (
            json!({"bases": "alice/none,nonsense"}),
            "base index 'alice/none' does not exist, invalid base index spec: 'nonsense'",
        ),
        (json!({"title": "x", "volatile": "perhaps"}), "Unknown boolean value 'perhaps'."),
        (json!({"type": "mirror"}), "the 'type' of an index can't be changed"),
        (json!(["title=x", "acl_upload-=carol"]), "The 'acl_upload' setting doesn't have value 'carol'"),
        (json!({"nokey": "x"}), "indexconfig got unexpected keyword arguments: nokey=x"),
    ] {
        assert_eq!(server.alice().patch("alice/dev", patch).await.expect(400).message(), message);
    }
    let no_change = server.alice().patch("alice/dev?error_on_noop=1", json!({"volatile": true})).await;
    assert_eq!(no_change.expect(400).message(), "The requested modifications resulted in no changes");
    server.alice().patch("alice/dev", json!({"volatile": true})).await.expect(200);
    let after = server.anonymous().get_json("alice/dev").await;
    assert_eq!((after.serial(), after.json()), (before.serial(), before.json()));
}

#[actix_web::test]
async fn only_volatile_indexes_are_deleted() {
    let server = TestServer::with_dev().with_index("alice/prod", json!({"volatile": false})).start().await;
    let alice = server.alice();
    let refused = alice.delete("alice/prod").await;
    assert_eq!(refused.expect(403).message(), "index alice/prod non-volatile, cannot delete");
    let dist = sdist("demo", "1.0", "x");
    alice.upload("alice/dev", &dist).await.expect(200);
    alice.delete("alice/dev").await.expect(201);
    alice.get_json("alice/dev").await.expect(404);
    alice.get(&dist.path("alice/dev")).await.expect(410);
    // One of the same name has nothing of it.
    alice.put("alice/dev", json!({})).await.expect(200);
    assert_eq!(alice.get_json("alice/dev").await.result()["projects"], json!([]));
    alice.get("alice/dev/+simple/demo/").await.expect(404);
    alice.get(&dist.path("alice/dev")).await.expect(410);
}
