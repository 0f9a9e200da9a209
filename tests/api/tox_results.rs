//! Results of test runs.

use serde_json::{Value, json};
use wheelhouse::domain::RegistryLimits;
use wheelhouse::http::HttpLimits;

use crate::support::{Answer, Caller, TestServer, sdist};

async fn post(caller: &Caller, path: &str, body: &'static str) -> Answer {
    caller.send(caller.request("POST", path).header("Accept", "application/json").body(body)).await
}

/// The path in the answer to an upload.
fn stored(answer: &Answer) -> String {
    let result = answer.result();
    result.as_str().unwrap().split_once("#sha256=").unwrap().0.to_owned()
}

fn links(release: &Value, relation: &str) -> usize {
    release["+links"].as_array().unwrap().iter().filter(|link| link["rel"] == relation).count()
}

#[actix_web::test]
async fn results_are_kept_byte_for_byte() {
    let server = TestServer::with_dev().start().await;
    let (alice, dist) = (server.alice(), sdist("demo", "1.0", "source"));
    alice.upload("alice/dev", &dist).await.expect(200);
    let anonymous = server.anonymous();
    let body = "{\"testenvs\":  {}}\n";
    let first = stored(&post(&anonymous, &dist.path("alice/dev"), body).await);
    let second = stored(&post(&anonymous, &dist.path("alice/dev"), "[1]").await);
    assert!(first.ends_with("-0") && second.ends_with("-1"), "{first} {second}");
    assert_eq!(anonymous.get(&first).await.expect(200).text(), body);
    // After a deletion the number of results is that of one that is there.
    alice.delete(&first).await.expect(200);
    let third = stored(&post(&anonymous, &dist.path("alice/dev"), "[2]").await);
    assert_ne!(second, third);
    assert_eq!(anonymous.get(&second).await.expect(200).text(), "[1]");
    assert_eq!(links(&alice.get_json("alice/dev/demo/1.0").await.result(), "toxresult"), 2);
}

#[actix_web::test]
async fn results_go_with_their_release_file() {
    let server = TestServer::with_dev().start().await;
    let (alice, dist) = (server.alice(), sdist("demo", "1.0", "source"));
    let other = sdist("demo", "1.0", "other");
    alice.upload("alice/dev", &dist).await.expect(200);
    let result = stored(&post(&alice, &dist.path("alice/dev"), "{}").await);
    alice.upload("alice/dev", &other).await.expect(200);
    alice.get(&result).await.expect(410);
    let result = stored(&post(&alice, &other.path("alice/dev"), "{}").await);
    assert!(result.ends_with("-0"), "{result}");
    alice.delete(&other.path("alice/dev")).await.expect(200);
    alice.get(&result).await.expect(410);
    // The results do not keep the release alive.
    alice.get_json("alice/dev/demo").await.expect(404);
}

#[actix_web::test]
async fn what_is_no_json_or_not_about_a_release_file_is_refused() {
    let server = TestServer::with_dev().start().await;
    let (alice, dist) = (server.alice(), sdist("demo", "1.0", "source"));
    alice.upload("alice/dev", &dist).await.expect(200);
    let result = stored(&post(&alice, &dist.path("alice/dev"), "{}").await);
    let serial = server.serial().await;
    for body in ["", "{", "{} {}", "nonsense"] {
        post(&alice, &dist.path("alice/dev"), body).await.expect(400);
    }
    post(&alice, &result, "{}").await.expect(404);
    post(&alice, "alice/dev/+f/no/such/file-1.0.zip", "{}").await.expect(404);
    post(&alice, "alice/none/+f/no/such/file-1.0.zip", "{}").await.expect(403);
    alice.patch("alice/dev", json!(["acl_toxresult_upload=bob"])).await.expect(200);
    post(&alice, &dist.path("alice/dev"), "{}").await.expect(403);
    post(&server.bob(), &dist.path("alice/dev"), "{}").await.expect(200);
    assert_eq!(server.serial().await, serial + 2);
    server.settled().await;
    assert_eq!(server.contents().len(), 2);
}

#[actix_web::test]
async fn strangers_cannot_fill_the_disk_with_one_file() {
    let server = TestServer::with_dev()
        .with_limits(HttpLimits { tox_result: 20, ..HttpLimits::default() })
        .with_registry_limits(RegistryLimits { tox_results: 2, ..RegistryLimits::default() })
        .start()
        .await;
    let dist = sdist("demo", "1.0", "source");
    server.alice().upload("alice/dev", &dist).await.expect(200);
    let (anonymous, path) = (server.anonymous(), dist.path("alice/dev"));
    post(&anonymous, &path, "\"twenty-one bytes are\"").await.expect(413);
    let first = stored(&post(&anonymous, &path, "\"twenty are enough\"").await);
    post(&anonymous, &path, "2").await.expect(200);
    let refused = post(&anonymous, &path, "3").await;
    let text = format!("{path} has 2 test results already, more are not kept");
    assert_eq!(refused.expect(409).message(), text);
    server.alice().delete(&first).await.expect(200);
    post(&anonymous, &path, "3").await.expect(200);
    server.settled().await;
}
