//! Requests that are odd in themselves.

use serde_json::json;

use crate::support::{TestServer, sdist};

#[actix_web::test]
async fn a_body_of_a_get_is_passed_over() {
    // `devpi use -l` sends one.
    let server = TestServer::with_dev().start().await;
    for body in ["{}", "nonsense", ""] {
        for path in ["+api", "", "alice", "alice/dev"] {
            let request = server.anonymous().request("GET", path).header("Accept", "application/json");
            let answer =
                server.anonymous().send(request.header("Content-Type", "application/json").body(body)).await;
            answer.expect(200);
        }
    }
}

#[actix_web::test]
async fn paths_may_be_encoded_more_than_needed() {
    let server = TestServer::with_dev().start().await;
    let dist = sdist("demo", "1.0", "content");
    server.alice().upload("alice/dev", &dist).await.expect(200);
    let anonymous = server.anonymous();
    let page = anonymous.get("alice/dev/+simple/demo/").await;
    for path in ["alice/dev/%2Bsimple/demo/", "%61lice/dev/%2bsimple/d%65mo/"] {
        assert_eq!(anonymous.get(path).await.expect(200).body, page.body);
    }
    let path = dist.path("alice/dev").replace("+f", "%2Bf");
    assert_eq!(anonymous.get(&path).await.expect(200).body, b"content");
}

#[actix_web::test]
async fn json_comes_with_any_content_type() {
    let server = TestServer::with_dev().start().await;
    for (number, content_type) in
        ["text/plain", "application/x-www-form-urlencoded", "", "a b"].iter().enumerate()
    {
        let request = server.alice().request("PUT", &format!("alice/new{number}"));
        let request = request.header("Content-Type", *content_type).body("{\"title\": \"x\"}");
        assert_eq!(server.alice().send(request).await.expect(200).json()["result"]["title"], "x");
    }
    for body in ["[1]", "1", "nonsense", "", "{\"a\":"] {
        let request = server.alice().request("PUT", "alice/bad").body(body);
        server.alice().send(request).await.expect(400);
    }
}

#[actix_web::test]
async fn every_answer_tells_versions_and_serial() {
    let server = TestServer::with_dev().start().await;
    for (path, status) in [("+api", 200), ("alice/dev/+simple/", 200), ("alice/none", 404), ("+nope", 404)] {
        let answer = server.anonymous().get_json(path).await;
        answer.expect(status);
        assert_eq!(answer.serial(), 3);
        for (name, value) in [
            ("x-devpi-server-version", "6.20.3"),
            ("x-devpi-api-version", "2"),
            ("x-devpi-primary-uuid", "0123456789abcdef0123456789abcdef"),
        ] {
            assert_eq!(answer.header(name), value);
        }
    }
    let api = server.anonymous().get_json("alice/dev/+api").await.result();
    let base = format!("http://{}", server.address());
    assert_eq!(
        (&api["index"], &api["simpleindex"], &api["pypisubmit"], &api["login"]),
        (
            &json!(format!("{base}/alice/dev")),
            &json!(format!("{base}/alice/dev/+simple/")),
            &json!(format!("{base}/alice/dev/")),
            &json!(format!("{base}/+login"))
        )
    );
}
