//! Projects with so many files that what was read of them is kept, and only what came is read.

use futures_util::future::join_all;
use serde_json::Value;

use crate::support::{Dist, TestServer, Wheel, sdist};

const RELEASES: usize = 520;

/// File names and their hashes, newest version first, and the number of versions.
struct Shown {
    files: Vec<(String, String)>,
    versions: usize,
}

async fn shown(server: &TestServer) -> Shown {
    let page = server.anonymous().get_simple("alice/dev/+simple/demo/").await.expect(200).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let files = page["files"].as_array().unwrap().iter();
    Shown {
        files: files.map(|file| (text(&file["filename"]), text(&file["hashes"]["sha256"]))).collect(),
        versions: page["versions"].as_array().unwrap().len(),
    }
}

/// That the page shows these distributions, whose place is that of their version.
async fn assert_shown(server: &TestServer, dists: &[Dist]) {
    let shown = shown(server).await;
    let expected = dists.iter().rev().map(|dist| (dist.file_name.clone(), dist.sha256()));
    assert_eq!(shown.files, expected.collect::<Vec<_>>());
    assert_eq!(shown.versions, dists.len());
}

#[actix_web::test]
async fn a_page_of_very_many_files_shows_every_change() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let mut dists: Vec<Dist> =
        (0..RELEASES).map(|number| sdist("demo", &format!("1.{number}"), "first")).collect();
    for some in dists.chunks(20) {
        for answer in join_all(some.iter().map(|dist| alice.upload("alice/dev", dist))).await {
            answer.expect(200);
        }
    }
    assert_shown(&server, &dists).await;

    // A new one, and one that takes the place of another.
    dists.push(sdist("demo", &format!("1.{RELEASES}"), "new"));
    dists[7] = sdist("demo", "1.7", "second");
    for number in [RELEASES, 7] {
        alice.upload("alice/dev", &dists[number]).await.expect(200);
    }
    assert_shown(&server, &dists).await;

    // What is said of a release is said of all its files.
    let wheel = Wheel::new("demo", "1.9").requires_python(">=3.9").build();
    alice.upload("alice/dev", &wheel).await.expect(200);
    let page = server.anonymous().get_simple("alice/dev/+simple/demo/").await.expect(200).json();
    let files = page["files"].as_array().unwrap();
    let of_release: Vec<_> = files.iter().filter(|file| file["requires-python"] == ">=3.9").collect();
    let names: Vec<_> = of_release.iter().map(|file| &file["filename"]).collect();
    assert_eq!(names, [&dists[9].file_name, &wheel.file_name].map(|name| &**name));
    alice.delete(&wheel.path("alice/dev")).await.expect(200);

    // What goes.
    alice.delete("alice/dev/demo/1.12").await.expect(200);
    dists.remove(12);
    assert_shown(&server, &dists).await;
    alice.delete("alice/dev/demo").await.expect(200);
    alice.upload("alice/dev", &dists[0]).await.expect(200);
    assert_shown(&server, &dists[..1]).await;
}
