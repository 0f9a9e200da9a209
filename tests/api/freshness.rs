//! Nothing is stale once the write was acknowledged, however many read meanwhile.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Caller, TestServer, sdist};

/// How many writes are made.
const WRITES: usize = 30;

/// How long the writes may last in all; fewer are made on a slow machine.
const PATIENCE: Duration = Duration::from_secs(4);

/// Callers who read these pages all the time, until they are told to stop. Whatever was acknowledged before they ask,
/// they must see.
struct Crowd {
    /// The texts that must be in every page.
    acknowledged: Rc<RefCell<Vec<String>>>,
    done: Rc<Cell<bool>>,
    readers: Vec<tokio::task::JoinHandle<usize>>,
}

impl Crowd {
    fn start(server: &TestServer, paths: &'static [&'static str]) -> Self {
        let (acknowledged, done) = (Rc::<RefCell<Vec<String>>>::default(), Rc::new(Cell::new(false)));
        let readers = (0..6_usize).map(|reader| {
            let (caller, acknowledged, done) =
                (server.anonymous(), Rc::clone(&acknowledged), Rc::clone(&done));
            let path = paths[reader % paths.len()];
            actix_web::rt::spawn(async move {
                let mut count = 0;
                while !done.get() {
                    let expected = acknowledged.borrow().clone();
                    let answer =
                        if reader % 2 == 0 { caller.get(path).await } else { caller.get_simple(path).await };
                    let page = answer.expect(200).text();
                    let missing = expected.iter().find(|text| !page.contains(text.as_str()));
                    assert_eq!(missing, None, "missing in {path}");
                    count += 1;
                }
                count
            })
        });
        let readers = readers.collect();
        Self { acknowledged, done, readers }
    }

    async fn stop(self) {
        self.done.set(true);
        for reader in self.readers {
            assert!(reader.await.unwrap() > 0);
        }
    }
}

/// Several callers read at once. Each must see, or no longer see, the text.
async fn assert_seen(server: &TestServer, paths: &[&str], text: &str, seen: bool) {
    let read = async |caller: Caller, path: String, as_json: bool| {
        let page = if as_json { caller.get_simple(&path).await } else { caller.get(&path).await };
        assert_eq!(page.text().contains(text), seen, "{text} in {path}");
    };
    let all = paths
        .iter()
        .flat_map(|path| [false, true].map(|as_json| read(server.anonymous(), (*path).to_owned(), as_json)));
    join_all(all).await;
}

async fn with_heirs() -> TestServer {
    let server = TestServer::with_dev()
        .with_index("alice/mid", json!({"bases": "alice/dev"}))
        .with_index("alice/top", json!({"bases": "alice/mid"}))
        .start()
        .await;
    server.alice().upload("alice/dev", &sdist("demo", "0.0", "")).await.expect(200);
    server
}

#[actix_web::test]
async fn an_acknowledged_upload_is_in_all_pages() {
    const PAGES: [&str; 3] =
        ["alice/top/+simple/demo/", "alice/mid/+simple/demo/", "alice/dev/+simple/demo/"];
    let server = with_heirs().await;
    let crowd = Crowd::start(&server, &PAGES);
    let start = Instant::now();
    // Several upload at once, so that a write comes while pages are rendered from what was before it.
    let uploads = (0..3).map(|uploader| {
        let (alice, acknowledged, server) = (server.alice(), Rc::clone(&crowd.acknowledged), &server);
        async move {
            for number in 1..=WRITES {
                if start.elapsed() > PATIENCE {
                    break;
                }
                let dist = sdist("demo", &format!("{number}.{uploader}"), "x");
                alice.upload("alice/dev", &dist).await.expect(200);
                acknowledged.borrow_mut().push(dist.file_name.clone());
                if number % 4 == uploader {
                    assert_seen(server, &PAGES, &dist.file_name, true).await;
                }
            }
        }
    });
    join_all(uploads).await;
    crowd.stop().await;
}

#[actix_web::test]
async fn an_acknowledged_deletion_is_in_all_pages() {
    const PAGES: [&str; 3] =
        ["alice/top/+simple/demo/", "alice/mid/+simple/demo/", "alice/dev/+simple/demo/"];
    let server = with_heirs().await;
    let crowd = Crowd::start(&server, &PAGES);
    let start = Instant::now();
    while start.elapsed() < PATIENCE / 4 {
        let dist = sdist("demo", "1.0", "x");
        server.alice().upload("alice/dev", &dist).await.expect(200);
        assert_seen(&server, &PAGES, &dist.file_name, true).await;
        server.alice().delete(&dist.path("alice/dev")).await.expect(200);
        assert_seen(&server, &PAGES, &dist.file_name, false).await;
        server.anonymous().get(&dist.path("alice/dev")).await.expect(410);
    }
    crowd.stop().await;
}

#[actix_web::test]
async fn acknowledged_bases_count_in_all_lists() {
    const PAGES: [&str; 2] = ["alice/top/+simple/", "alice/mid/+simple/"];
    let server = with_heirs().await;
    let crowd = Crowd::start(&server, &PAGES);
    let start = Instant::now();
    while start.elapsed() < PATIENCE / 4 {
        server.alice().patch("alice/mid", json!({"bases": []})).await.expect(200);
        assert_seen(&server, &PAGES, "demo", false).await;
        server.alice().patch("alice/mid", json!({"bases": "alice/dev"})).await.expect(200);
        assert_seen(&server, &PAGES, "demo", true).await;
    }
    crowd.stop().await;
}

#[actix_web::test]
async fn an_acknowledged_replacement_is_what_is_downloaded() {
    let server = TestServer::with_dev().start().await;
    let page = "alice/dev/+simple/demo/";
    let start = Instant::now();
    let mut old = sdist("demo", "1.0", "0");
    server.alice().upload("alice/dev", &old).await.expect(200);
    for number in 1..=WRITES {
        if start.elapsed() > PATIENCE {
            break;
        }
        // In memory before it is replaced.
        server.anonymous().get(&old.path("alice/dev")).await.expect(200);
        let new = sdist("demo", "1.0", &number.to_string());
        server.alice().upload("alice/dev", &new).await.expect(200);
        let (gone, there) = (old.path("alice/dev"), new.path("alice/dev"));
        let caller = server.anonymous();
        let answers =
            futures_util::future::join3(caller.get(&gone), caller.get(&there), caller.get(page)).await;
        answers.0.expect(410);
        assert_eq!(answers.1.expect(200).body, new.content);
        assert!(answers.2.text().contains(&new.sha256()) && !answers.2.text().contains(&old.sha256()));
        old = new;
    }
}
