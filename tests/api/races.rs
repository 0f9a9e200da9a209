//! Several clients at once.

use std::collections::HashSet;

use futures_util::future::{join, join_all};
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::oneshot::channel;

use crate::support::{Answer, Caller, Dist, Form, TestServer, Wheel, sdist};

async fn push(caller: &Caller, source: &str, target: &str) -> Answer {
    let body = json!({"name": "demo", "version": "1.0", "targetindex": target});
    caller.send(caller.request("PUSH", source).header("Accept", "application/json").json(&body)).await
}

async fn post_result(caller: &Caller, path: &str) -> Answer {
    caller.send(caller.request("POST", path).header("Accept", "application/json").body("{}")).await
}

#[actix_web::test]
async fn of_rivals_for_one_file_name_exactly_one_wins() {
    let server = TestServer::with_dev().with_index("alice/prod", json!({"volatile": false})).start().await;
    for round in 0..5 {
        let content = |rival: usize| format!("round {round} rival {rival} ").repeat(20_000);
        let rivals: Vec<Dist> =
            (0..8).map(|rival| sdist("demo", &format!("{round}.0"), &content(rival))).collect();
        let alice = server.alice();
        let answers = join_all(rivals.iter().map(|dist| alice.upload("alice/prod", dist))).await;
        let winners: Vec<&Dist> = rivals
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| answer.status == 200)
            .map(|(dist, _)| dist)
            .collect();
        assert_eq!(winners.len(), 1);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)));
        let stored = alice.get(&winners[0].path("alice/prod")).await;
        assert!(stored.expect(200).body == winners[0].content);
        let page = alice.get_simple("alice/prod/+simple/demo/").await.json();
        assert_eq!(page["files"].as_array().unwrap().len(), round + 1);
        server.settled().await;
        assert_eq!(server.contents().len(), round + 1, "the losers' contents are still there");
    }
}

#[actix_web::test]
async fn rivals_with_one_content_are_all_right() {
    let server = TestServer::with_dev().with_index("alice/prod", json!({"volatile": false})).start().await;
    let dist = Wheel::new("demo", "1.0").build();
    let before = server.serial().await;
    let alice = server.alice();
    for answer in join_all((0..12).map(|_| alice.upload("alice/prod", &dist))).await {
        answer.expect(200);
    }
    assert_eq!(server.serial().await, before + 1);
    server.settled().await;
    assert!(alice.get(&dist.path("alice/prod")).await.expect(200).body == dist.content);
}

#[actix_web::test]
async fn the_last_of_many_overwrites_stays() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let dists: Vec<Dist> = (0..20).map(|number| sdist("demo", "1.0", &format!("content {number}"))).collect();
    for answer in join_all(dists.iter().map(|dist| alice.upload("alice/dev", dist))).await {
        answer.expect(200);
    }
    let states =
        join_all(dists.iter().map(|dist| async { alice.get(&dist.path("alice/dev")).await.status })).await;
    assert_eq!(states.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(states.iter().filter(|status| **status == 410).count(), 19);
    let release = alice.get_json("alice/dev/demo/1.0").await.result();
    let links = release["+links"].as_array().unwrap();
    assert_eq!((links.len(), &links[0]["log"][0]["count"]), (1, &json!(19)));
}

#[actix_web::test]
async fn many_uploads_at_once_are_all_there() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let before = server.serial().await;
    let dists: Vec<Dist> =
        (0..60).map(|number| sdist(&format!("demo{}", number % 3), &format!("{number}.0"), "same")).collect();
    let serials = join_all(
        dists.iter().map(|dist| async { alice.upload("alice/dev", dist).await.expect(200).serial() }),
    );
    assert!(serials.await.into_iter().all(|serial| serial > before));
    assert_eq!(server.serial().await, before + 60);
    for project in 0..3 {
        let page = alice.get_simple(&format!("alice/dev/+simple/demo{project}/")).await.json();
        assert_eq!(page["files"].as_array().unwrap().len(), 20);
    }
    assert_eq!(server.contents().len(), 1);
}

#[actix_web::test]
async fn an_index_deleted_during_uploads_leaves_nothing_half() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    for round in 0..5 {
        let dists: Vec<Dist> = (0..12)
            .map(|number| sdist("demo", &format!("{number}.{round}"), &"x".repeat(number * 1000)))
            .collect();
        let uploads = join_all(dists.iter().map(|dist| alice.upload("alice/dev", dist)));
        let (answers, deleted) = join(uploads, alice.delete("alice/dev")).await;
        deleted.expect(201);
        for (dist, answer) in dists.iter().zip(&answers) {
            assert!(matches!(answer.status, 200 | 404), "{}: {}", answer.status, answer.text());
            let expected = if answer.status == 200 { 410 } else { 404 };
            alice.get(&dist.path("alice/dev")).await.expect(expected);
        }
        alice.get("alice/dev/+simple/").await.expect(404);
        alice.get("alice/dev/+simple/demo/").await.expect(404);
        alice.put("alice/dev", json!({})).await.expect(200);
        assert_eq!(alice.get_json("alice/dev").await.result()["projects"], json!([]));
    }
    server.settled().await;
}

#[actix_web::test]
async fn indexes_made_at_once_are_all_there() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let names: Vec<String> = (0..20).map(|number| format!("alice/new{number}")).collect();
    for answer in join_all(names.iter().map(|name| alice.put(name, json!({})))).await {
        answer.expect(200);
    }
    assert_eq!(alice.get_json("alice").await.result()["indexes"].as_object().unwrap().len(), 21);
    let rivals = join_all((0..8).map(|_| alice.put("alice/one", json!({})))).await;
    assert_eq!(rivals.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(rivals.iter().filter(|answer| answer.status == 409).count(), 7);
}

/// Whichever comes first, both are told the truth: the file is there in the end, or it was and is gone.
#[actix_web::test]
async fn a_deletion_during_an_upload_comes_before_or_after_it() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    for round in 0..10 {
        let (old, new) =
            (sdist("demo", "1.0", "old"), sdist("demo", "1.0", &"new ".repeat(50_000 * (round % 2))));
        alice.upload("alice/dev", &old).await.expect(200);
        let (uploaded, deleted) =
            join(alice.upload("alice/dev", &new), alice.delete("alice/dev/demo?force")).await;
        uploaded.expect(200);
        deleted.expect(200);
        let project = alice.get_json("alice/dev/demo").await;
        let new_state = alice.get(&new.path("alice/dev")).await;
        if project.status == 200 {
            assert!(new_state.expect(200).body == new.content);
        } else {
            project.expect(404);
            new_state.expect(410);
        }
        alice.get(&old.path("alice/dev")).await.expect(410);
    }
    server.settled().await;
}

/// A push finds target and source as they were at one moment, or says what is missing.
#[actix_web::test]
async fn indexes_deleted_during_a_push_leave_nothing_half() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    for round in 0..12 {
        alice.put("alice/target", json!({})).await.expect(200);
        let dists = [sdist("demo", "1.0", "source"), Wheel::new("demo", "1.0").build()];
        for dist in &dists {
            alice.upload("alice/dev", dist).await.expect(200);
        }
        let deleted = if round % 2 == 0 { "alice/target" } else { "alice/dev" };
        let (pushed, deletion) = join(push(&alice, "alice/dev", "alice/target"), alice.delete(deleted)).await;
        deletion.expect(201);
        assert!(matches!(pushed.status, 200 | 404), "{}: {}", pushed.status, pushed.text());
        for dist in &dists {
            let expected = match (pushed.status, deleted) {
                (200, "alice/dev") => 200,
                (200, _) => 410,
                // Never there, or in a round before.
                _ => alice.get(&dist.path("alice/target")).await.status.max(404),
            };
            alice.get(&dist.path("alice/target")).await.expect(expected);
        }
        if deleted == "alice/dev" {
            alice.put("alice/dev", json!({})).await.expect(200);
            alice.delete("alice/target").await.expect(201);
        }
    }
}

#[actix_web::test]
async fn of_rival_pushes_to_a_non_volatile_index_one_wins() {
    let server = TestServer::with_dev().with_index("alice/prod", json!({"volatile": false})).start().await;
    let alice = server.alice();
    let dist = sdist("demo", "1.0", "source");
    alice.upload("alice/dev", &dist).await.expect(200);
    let answers = join_all((0..8).map(|_| push(&alice, "alice/dev", "alice/prod"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 7);
    assert_eq!(alice.get(&dist.path("alice/prod")).await.expect(200).body, b"source");
}

#[actix_web::test]
async fn results_posted_at_once_have_names_of_their_own() {
    let server = TestServer::with_dev().start().await;
    let (alice, dist) = (server.alice(), sdist("demo", "1.0", "source"));
    alice.upload("alice/dev", &dist).await.expect(200);
    let path = dist.path("alice/dev");
    for answer in join_all((0..12).map(|_| post_result(&alice, &path))).await {
        answer.expect(200);
    }
    let release = alice.get_json("alice/dev/demo/1.0").await.result();
    let hrefs: HashSet<&str> =
        release["+links"].as_array().unwrap().iter().map(|link| link["href"].as_str().unwrap()).collect();
    assert_eq!(hrefs.len(), 13);
}

/// A result is about the file that was there when it came, and goes with it.
#[actix_web::test]
async fn a_result_does_not_outlive_a_replaced_file() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    for round in 0..10 {
        let (old, new) = (sdist("demo", "1.0", "old"), sdist("demo", "1.0", &format!("new {round}")));
        alice.upload("alice/dev", &old).await.expect(200);
        let path = old.path("alice/dev");
        let (result, replaced) = join(post_result(&alice, &path), alice.upload("alice/dev", &new)).await;
        replaced.expect(200);
        assert!(matches!(result.status, 200 | 404), "{}: {}", result.status, result.text());
        let release = alice.get_json("alice/dev/demo/1.0").await.result();
        assert_eq!(release["+links"].as_array().unwrap().len(), 1, "{release}");
    }
}

#[actix_web::test]
async fn who_is_deleted_during_an_upload_stores_nothing() {
    let server =
        TestServer::with_dev().with_index("alice/shared", json!({"acl_upload": ["bob"]})).start().await;
    let (bob, dist) = (server.bob(), sdist("demo", "1.0", "content"));
    let form = dist.form().render();
    let (first, rest) = form.split_at(form.len() / 2);
    let ((begun, beginning), (deleted, deletion)) = (channel(), channel());
    let pieces = [first.to_vec(), rest.to_vec()];
    let pieces = unfold((pieces.into_iter(), Some((begun, deletion))), async |(mut pieces, mut turn)| {
        let piece = pieces.next()?;
        // The second one waits until the user is gone.
        if pieces.len() == 0
            && let Some((begun, deletion)) = turn.take()
        {
            begun.send(()).unwrap();
            deletion.await.unwrap();
        }
        Some((Ok::<_, std::io::Error>(piece), (pieces, turn)))
    });
    let request = bob.request("POST", "alice/shared/").header("Content-Type", Form::content_type());
    let upload = bob.send(request.body(reqwest::Body::wrap_stream(pieces)));
    let delete = async {
        beginning.await.unwrap();
        // The server knows meanwhile that bob may upload.
        server.root().delete("bob").await.expect(200);
        deleted.send(()).unwrap();
    };
    let (answer, ()) = join(upload, delete).await;
    answer.expect(401);
    assert!(server.contents().is_empty());
    server.anonymous().get_simple("alice/shared/+simple/demo/").await.expect(404);
}
