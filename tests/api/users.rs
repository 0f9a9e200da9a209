//! Users, logins, and who may change whom.

use serde_json::json;
use wheelhouse::domain::acl::AccessPolicy;

use crate::support::{PASSWORD, TestServer};

#[actix_web::test]
async fn anybody_may_create_a_user() {
    let server = TestServer::new().start().await;
    let anonymous = server.anonymous();
    let body = json!({"password": "p", "email": "a@example.org", "title": ""});
    let created = anonymous.put("alice", body.clone()).await;
    let mut expected = created.expect(201).json();
    expected["result"]["created"] = "redacted".into();
    assert_eq!(
        expected,
        json!({"type": "userconfig", "result": {
            "username": "alice", "email": "a@example.org", "indexes": {}, "created": "redacted"
        }})
    );
    assert_eq!(anonymous.put("alice", body).await.expect(409).message(), "user already exists");
    let alice = anonymous.with_credentials("alice", "p");
    assert_eq!(alice.get_json("+api").await.result()["authstatus"], json!(["ok", "alice", []]));
    let bad = anonymous.put("a+b", json!({"password": "p"})).await;
    assert!((400..500).contains(&bad.status), "{bad:?}");
    let bad = anonymous.put("a:b", json!({"password": "p"})).await;
    assert!(bad.expect(400).message().starts_with("username 'a:b' contains characters"), "{bad:?}");
    assert_eq!(anonymous.put("carol", json!({})).await.expect(400).message(), "password needs to be set");
}

#[actix_web::test]
async fn owner_and_root_may_change_a_user() {
    let server = TestServer::with_dev().start().await;
    for (caller, status) in
        [(server.anonymous(), 403), (server.bob(), 403), (server.alice(), 200), (server.root(), 200)]
    {
        let before = server.serial().await;
        let title = format!("title {status} {before}");
        let answer = caller.patch("alice", json!({"title": title})).await;
        answer.expect(status);
        let changed = server.anonymous().get_json("alice").await.result()["title"] == title.as_str();
        assert_eq!(changed, status == 200);
        assert_eq!(server.serial().await - before, i64::from(changed));
    }
    assert_eq!(server.alice().patch("nobody", json!({"title": "x"})).await.status, 404);
}

#[actix_web::test]
async fn a_new_password_counts_at_once() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    assert_eq!(alice.get_json("+api").await.result()["authstatus"][0], "ok");
    let changed = alice.patch("alice", json!({"password": "new"})).await;
    assert_eq!(changed.expect(200).message(), "user updated, new proxy auth");
    assert_eq!(alice.get_json("+api").await.result()["authstatus"], json!(["noauth", "", []]));
    let token = changed.json()["result"]["password"].as_str().unwrap().to_owned();
    for secret in ["new", &token] {
        let again = server.anonymous().with_credentials("alice", secret);
        assert_eq!(again.get_json("+api").await.result()["authstatus"][0], "ok");
    }
}

#[actix_web::test]
async fn a_login_gives_a_token_for_its_user() {
    let server = TestServer::with_dev().start().await;
    let anonymous = server.anonymous();
    let login = async |body| {
        let request = anonymous.request("POST", "+login").header("Accept", "application/json").json(&body);
        anonymous.send(request).await
    };
    let answer = login(json!({"user": "alice", "password": PASSWORD})).await;
    assert_eq!(answer.expect(200).json()["type"], "proxyauth");
    let token = answer.result()["password"].as_str().unwrap().to_owned();
    let alice = anonymous.with_credentials("alice", &token);
    assert_eq!(alice.get_json("+api").await.result()["authstatus"], json!(["ok", "alice", []]));
    // It is nobody else's, and no password.
    let other = anonymous.with_credentials("bob", &token);
    assert_eq!(other.get_json("+api").await.result()["authstatus"][0], "noauth");
    login(json!({"user": "alice", "password": token})).await.expect(401);
    login(json!({"user": "alice", "password": "wrong"})).await.expect(401);
    login(json!({"user": "nobody", "password": ""})).await.expect(401);
    login(json!({"user": "alice"})).await.expect(400);
    login(json!({"user": "alice", "password": 1})).await.expect(400);
    server.root().delete("alice").await.expect(200);
    assert_eq!(alice.get_json("+api").await.result()["authstatus"][0], "noauth");
}

#[actix_web::test]
async fn users_are_deleted_with_their_volatile_indexes() {
    let server = TestServer::with_dev().with_index("bob/prod", json!({"volatile": false})).start().await;
    server.root().delete("root").await.expect(403);
    server.bob().delete("alice").await.expect(403);
    server.anonymous().delete("alice").await.expect(403);
    let refused = server.bob().delete("bob").await;
    assert_eq!(refused.expect(403).message(), "user 'bob' has non-volatile index: prod");
    assert_eq!(server.alice().delete("alice").await.expect(200).message(), "user 'alice' deleted");
    server.anonymous().get_json("alice").await.expect(404);
    server.anonymous().get_json("alice/dev").await.expect(404);
    server.anonymous().get("alice/dev/+simple/").await.expect(404);
    // Their credentials are worth nothing any more.
    server.alice().put("alice/new", json!({})).await.expect(404);
    server.root().delete("alice").await.expect(404);
}

#[actix_web::test]
async fn restricted_only_the_listed_may_change_users_and_indexes() {
    let policy = AccessPolicy { restrict_modify: Some(vec!["bob".to_owned()]) };
    let server = TestServer::with_dev().with_policy(policy).start().await;
    server.anonymous().put("carol", json!({"password": "p"})).await.expect(403);
    server.alice().put("alice/new", json!({})).await.expect(403);
    server.root().patch("alice", json!({"title": "x"})).await.expect(403);
    server.bob().patch("alice", json!({"title": "x"})).await.expect(200);
    server.bob().put("alice/new", json!({})).await.expect(200);
    server.bob().delete("bob").await.expect(403);
}

#[actix_web::test]
async fn all_users_are_listed_with_their_indexes() {
    let server = TestServer::with_dev().start().await;
    let listed = server.anonymous().get_json("").await.result();
    assert_eq!(listed.as_object().unwrap().keys().collect::<Vec<_>>(), ["alice", "bob", "root"]);
    assert_eq!(listed["alice"]["indexes"]["dev"]["volatile"], true);
    assert!(!listed.to_string().contains("argon2"), "{listed}");
}

#[actix_web::test]
async fn settings_of_users_have_a_bound() {
    let server = TestServer::with_dev().start().await;
    let (alice, half, whole) = (server.alice(), "x".repeat(40_000), "x".repeat(70_000));
    let text = "the user configuration is longer than 65536 bytes";
    let refused = server.anonymous().put("carol", json!({"password": "p", "title": whole})).await;
    assert_eq!(refused.expect(400).message(), text);
    server.anonymous().get_json("carol").await.expect(404);
    let small_ones = vec![1; 5000];
    for path in ["alice", "alice/dev"] {
        let refused = alice.patch(path, json!({"custom_data": small_ones})).await;
        assert!(refused.expect(400).message().ends_with("configuration is longer than 65536 bytes"));
        alice.patch(path, json!({"custom_data": small_ones[..4000]})).await.expect(200);
    }
    alice.patch("alice", json!({"custom_data": ""})).await.expect(200);
    alice.patch("alice", json!({"title": half})).await.expect(200);
    let refused = alice.patch("alice", json!({"description": half})).await;
    assert_eq!(refused.expect(400).message(), text);
    alice.patch("alice", json!({"title": "", "description": half})).await.expect(200);
    let shown = server.anonymous().get_json("alice").await.result();
    assert_eq!((&shown["title"], &shown["description"]), (&json!(null), &json!(half)));
}

/// devpi-server up to version 4 kept SHA-256 of a salt and the password.
#[actix_web::test]
async fn a_hash_of_an_old_release_is_good_for_a_login_and_then_renewed() {
    let server = TestServer::new().start().await;
    let anonymous = server.anonymous();
    // By Python: hashlib.sha256(salt + b"old-secret").hexdigest()
    let hash = "43bbbd0c8f918364f0c4587ce3147c56874929e6ade1863b7877e06291013ac5";
    let salt = "bm90IGEgcmFuZG9tIG9uZQ==";
    let body = json!({"password": null, "pwhash": hash, "pwsalt": salt});
    let created = anonymous.put("alice", body).await;
    assert!(created.expect(201).json()["result"].get("pwsalt").is_none());
    let login = async |password: &str| {
        let body = json!({"user": "alice", "password": password});
        let request = anonymous.request("POST", "+login").header("Accept", "application/json").json(&body);
        anonymous.send(request).await
    };
    let before = server.serial().await;
    login("wrong").await.expect(401);
    assert_eq!(server.serial().await, before);
    for _ in ["renewing it", "renewed"] {
        login("old-secret").await.expect(200);
        assert_eq!(server.serial().await, before + 1);
    }
    login(hash).await.expect(401);
    anonymous.put("bob", json!({"password": "x", "pwhash": "abc", "pwsalt": salt})).await.expect(400);
}
