//! Files of mirrors: fetched once, verified, resumed, read along, deleted.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use wheelhouse::mirror::MirrorOptions;
use wheelhouse::pep::digest::Sha256;

use crate::support::{Answer, Caller, Reply, TestServer, Upstream, Wheel, sdist};

const FILE: &str = "/files/demo-1.0.zip";

/// A server with the mirror `root/up`, which has one project.
async fn mirror(upstream: &Upstream, files: &[Value]) -> TestServer {
    mirror_with(upstream, files, json!({})).await
}

async fn mirror_with(upstream: &Upstream, files: &[Value], settings: Value) -> TestServer {
    upstream.put_project("demo", files);
    let mut all = json!({"type": "mirror", "mirror_url": upstream.url(), "mirror_cache_expiry": 600});
    for (key, value) in settings.as_object().unwrap() {
        all[key] = value.clone();
    }
    let options = MirrorOptions { request_timeout: Duration::from_secs(2), ..MirrorOptions::default() };
    TestServer::new().with_index("root/up", all).with_mirrors(options).start().await
}

/// The paths of the project's files, as its page lists them.
async fn paths(server: &TestServer) -> Vec<String> {
    let page = server.anonymous().get_simple("root/up/+simple/demo/").await;
    let files = page.expect(200).json()["files"].as_array().unwrap().clone();
    files.iter().map(|file| file["url"].as_str().unwrap().replace("../../", "root/up/")).collect()
}

async fn only_path(server: &TestServer) -> String {
    paths(server).await.remove(0)
}

fn large() -> Vec<u8> {
    (0..1_500_000_u32).flat_map(|number| (number % 251).to_le_bytes()).collect()
}

/// Asks for a file whose transfer is expected to break off.
async fn get_cut(server: &TestServer, path: &str) -> Result<Answer, ()> {
    let response = server.anonymous().request("GET", path).send().await.map_err(|_| ())?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.map_err(|_| ())?.to_vec();
    Ok(Answer { status, headers, body })
}

#[actix_web::test]
async fn a_file_is_fetched_once_and_then_like_any_other() {
    let upstream = Upstream::start().await;
    let modified = "Tue, 01 Jan 2019 00:00:00 GMT";
    let entry = upstream.put_file("demo-1.0.zip", Reply::ok("content").header("Last-Modified", modified));
    let server = mirror(&upstream, &[entry]).await;
    let path = only_path(&server).await;
    let known = server.anonymous().get_json(&path).await.result();
    let hash = Sha256::of(b"content").to_string();
    let expected = json!({"url": format!("{}{FILE}", upstream.origin()), "hash_spec": format!("sha256={hash}"),
                          "hashes": {"sha256": hash}, "project": "demo", "version": "1.0"});
    assert_eq!(known, expected);
    let head = server.anonymous().send(server.anonymous().request("HEAD", &path)).await;
    assert_eq!((head.expect(200).header("content-length"), head.header("accept-ranges")), ("7", "bytes"));
    assert!(upstream.requests(FILE).is_empty());
    let serial = server.serial().await;
    for _ in 0..3 {
        let answer = server.anonymous().get(&path).await;
        assert_eq!(answer.expect(200).text(), "content");
        assert_eq!(answer.etag(), format!("\"{hash}\""));
        assert_eq!(answer.header("last-modified"), modified);
        assert_eq!(answer.header("content-type"), "application/zip");
        assert!(answer.header("cache-control").contains("immutable"));
    }
    let request = &upstream.requests(FILE)[0];
    assert_eq!(
        (request.headers["accept"].as_str(), request.headers["accept-encoding"].as_str()),
        ("*/*", "identity")
    );
    assert_eq!(upstream.requests(FILE).len(), 1);
    assert_eq!(server.serial().await, serial + 1);
    let known = server.anonymous().get_json(&path).await.result();
    assert_eq!(known["last_modified"], modified);
    upstream.set_dead(true);
    server.anonymous().get(&path).await.expect(200);
    server.settled().await;
}

#[actix_web::test]
async fn all_who_ask_read_the_growing_file() {
    let upstream = Upstream::start().await;
    let content = large();
    let gate = Arc::new(Semaphore::new(0));
    let reply = Reply::ok(content.clone()).pausing_after(3_000_000, &gate);
    let entry = upstream.put_file("demo-1.0.zip", reply);
    let server = mirror(&upstream, &[entry]).await;
    let path = only_path(&server).await;
    let ask = async || server.anonymous().get(&path).await.expect(200).body == content;
    let read_along = async {
        // Two megabytes come through while the rest has not even been sent.
        let response = server.anonymous().request("GET", &path).send().await.unwrap();
        let mut stream = response.bytes_stream();
        let mut early = 0;
        while early < 2_000_000 {
            early += stream.next().await.unwrap().unwrap().len();
        }
        // So does a range of what is here.
        let part = server.anonymous().get_with(&path, "Range", "bytes=1000-1999").await;
        assert_eq!(part.expect(206).body, content[1000..2000]);
        assert_eq!(part.header("content-range"), format!("bytes 1000-1999/{}", content.len()));
        gate.add_permits(1);
        while let Some(piece) = stream.next().await {
            early += piece.unwrap().len();
        }
        assert_eq!(early, content.len());
    };
    let (answers, ()) = join(join_all((0..30).map(|_| ask())), read_along).await;
    assert!(answers.into_iter().all(|whole| whole));
    assert_eq!(upstream.requests(FILE).len(), 1);
    let last = server.anonymous().get_with(&path, "Range", "bytes=-5").await;
    assert_eq!(last.expect(206).body, content[content.len() - 5..]);
    let beyond = server.anonymous().get_with(&path, "Range", "bytes=99999999-").await;
    beyond.expect(416);
    server.settled().await;
}

#[actix_web::test]
async fn a_file_that_is_cut_off_is_taken_up_again() {
    let content = large();
    for (ranges, chunked) in [(true, false), (true, true), (false, false)] {
        let upstream = Upstream::start().await;
        let mut reply = Reply::ok(content.clone()).etag("one").cut(2_000_000, 2);
        if ranges {
            reply = reply.ranges();
        }
        if chunked {
            reply = reply.chunked();
        }
        let entry = upstream.put_file("demo-1.0.zip", reply);
        let server = mirror(&upstream, &[entry]).await;
        let path = only_path(&server).await;
        let answer = get_cut(&server, &path).await.expect("the file is whole");
        assert!(answer.expect(200).body == content, "ranges {ranges}, chunked {chunked}");
        let requests = upstream.requests(FILE);
        assert!(requests[1].headers["range"].starts_with("bytes="), "{requests:?}");
        assert_eq!(requests[1].headers["if-range"], "\"one\"");
        server.settled().await;
    }
}

#[actix_web::test]
async fn parts_are_joined_only_where_it_can_be_told_that_they_fit() {
    let content = large();
    for (has_hash, etag, ranges, whole) in [
        (true, None, true, true),
        (true, None, false, true),
        (false, Some("\"one\""), true, true),
        (false, Some("\"one\""), false, true),
        (false, Some("W/\"one\""), true, false),
        (false, None, true, false),
        (false, None, false, false),
    ] {
        let upstream = Upstream::start().await;
        let mut reply = Reply::ok(content.clone()).cut(2_000_000, 1);
        if ranges {
            reply = reply.ranges();
        }
        if let Some(etag) = etag {
            reply = reply.header("ETag", etag);
        }
        let mut entry = upstream.put_file("demo-1.0.zip", reply);
        if !has_hash {
            entry["hashes"] = json!({});
        }
        let server = mirror(&upstream, &[entry]).await;
        let got = get_cut(&server, &only_path(&server).await).await;
        let got = got.is_ok_and(|answer| answer.expect(200).body == content);
        assert_eq!(got, whole, "hash {has_hash}, ETag {etag:?}, ranges {ranges}");
    }
}

#[actix_web::test]
async fn a_wrong_file_is_never_a_success_and_never_kept() {
    let content = large();
    for (body, chunked) in
        [(b"short".to_vec(), false), (b"short".to_vec(), true), (content.clone(), false), (content, true)]
    {
        let upstream = Upstream::start().await;
        let mut reply = Reply::ok(body.clone());
        if chunked {
            reply = reply.chunked();
        }
        let mut entry = upstream.put_file("demo-1.0.zip", reply);
        entry["hashes"] = json!({"sha256": "0".repeat(64)});
        let server = mirror(&upstream, &[entry]).await;
        let path = only_path(&server).await;
        for _ in 0..2 {
            match get_cut(&server, &path).await {
                // What is small is judged before anything goes out.
                Ok(answer) => {
                    assert!(body.len() < 100);
                    assert!(answer.expect(502).message().starts_with("sha256 mismatch getting http"));
                }
                Err(()) => assert!(body.len() > 100),
            }
        }
        assert_eq!(upstream.requests(FILE).len(), 2);
        server.settled().await;
        assert!(server.contents().is_empty());
        // Once the upstream has mended it, so has the mirror.
        let good = upstream.put_file("demo-1.0.zip", Reply::ok("good"));
        upstream.put_project("demo", &[good]);
        server
            .anonymous()
            .send(server.anonymous().request("POST", "root/up/+simple/demo/refresh"))
            .await
            .expect(302);
        let path = only_path(&server).await;
        assert_eq!(server.anonymous().get(&path).await.expect(200).text(), "good");
    }
}

#[actix_web::test]
async fn trouble_with_a_file_is_told() {
    let upstream = Upstream::start().await;
    let entry = upstream.put_file("demo-1.0.zip", Reply::ok("content"));
    let server = mirror(&upstream, &[entry]).await;
    let path = only_path(&server).await;
    let url = format!("{}{FILE}", upstream.origin());
    let gate = Arc::new(Semaphore::new(0));
    for (reply, status, told) in [
        (Reply::status(404), 404, format!("error 404 getting {url}")),
        (Reply::status(401), 502, format!("error 401 getting {url}")),
        (Reply::status(403), 502, format!("error 403 getting {url}")),
        (Reply::status(410), 502, format!("error 410 getting {url}")),
        (Reply::status(500), 502, format!("error 500 getting {url}")),
        (Reply::ok("content").announcing(3), 502, "sha256 mismatch".to_owned()),
        (Reply::ok("content").announcing(30), 502, "size mismatch".to_owned()),
        (Reply::ok("content").gated(&gate), 502, format!("error -1 getting {url}")),
    ] {
        upstream.put(FILE, reply);
        let answer = server.anonymous().get(&path).await;
        assert!(answer.expect(status).message().starts_with(&told), "{told}: {}", answer.text());
    }
    gate.add_permits(9);
    upstream.set_dead(true);
    let answer = server.anonymous().get(&path).await;
    assert_eq!(answer.expect(502).message(), format!("error -1 getting {url}"));
    upstream.set_dead(false);
    upstream.put(FILE, Reply::ok("content"));
    server.anonymous().get(&path).await.expect(200);
    server.settled().await;
}

#[actix_web::test]
async fn files_without_hash_or_with_others_are_kept_as_well() {
    let upstream = Upstream::start().await;
    let sha512 = "ee26b0dd4af7e749aa1a8ee3c10ae9923f618980772e473f8819a5d4940e0db27ac185f8a0e1d5f84f88bc887fd67b143732c304cc5fa9ad8e6f57f50028a8ff";
    let files: Vec<Value> = [
        ("demo-1.0.zip", json!({})),
        ("demo-0.9.zip", json!({"sha512": sha512})),
        ("demo-0.8.zip", json!({"md5": "098f6bcd4621d373cade4e832627b4f6"})),
        ("demo-0.7.zip", json!({"sha512": sha512.replace('e', "f")})),
    ]
    .into_iter()
    .map(|(name, hashes)| {
        let mut entry = upstream.put_file(name, Reply::ok("test").chunked());
        entry["hashes"] = hashes;
        entry["size"] = Value::Null;
        entry
    })
    .collect();
    let server = mirror(&upstream, &files).await;
    let paths = paths(&server).await;
    assert!(paths[0].starts_with("root/up/+e/http_127.0.0.1_"));
    assert!(paths[1].starts_with("root/up/+f/ee2/6b0dd4af7e749/"));
    for path in &paths[..3] {
        for _ in 0..2 {
            assert_eq!(server.anonymous().get(path).await.expect(200).text(), "test", "{path}");
        }
    }
    assert!(server.anonymous().get(&paths[3]).await.expect(502).message().starts_with("sha512 mismatch"));
    let known = server.anonymous().get_json(&paths[0]).await.result();
    assert_eq!(known["hash_spec"], format!("sha256={}", Sha256::of(b"test")));
    let known = server.anonymous().get_json(&paths[2]).await.result();
    assert_eq!(known["hash_spec"], "md5=098f6bcd4621d373cade4e832627b4f6");
    assert_eq!(known["hashes"].as_object().unwrap().len(), 2);
}

#[actix_web::test]
async fn a_path_out_of_a_lock_file_is_found_without_its_page() {
    let upstream = Upstream::start().await;
    let entry = upstream.put_file("demo-1.0.zip", Reply::ok("content"));
    let server = mirror(&upstream, &[entry]).await;
    let digits = Sha256::of(b"content").to_string();
    let path = format!("root/up/+f/{}/{}/demo-1.0.zip", &digits[..3], &digits[3..16]);
    assert_eq!(server.anonymous().get(&path).await.expect(200).text(), "content");
    let other = path.replace("demo-1.0", "demo-2.0");
    server.anonymous().get(&other).await.expect(404);
    server.anonymous().get("root/up/+f/abc/def/missing-1.0.zip").await.expect(404);
    assert_eq!(upstream.requests("/simple/missing/").len(), 1);
}

#[actix_web::test]
async fn a_packed_transfer_is_unpacked_only_if_the_hash_says_so() {
    let pack = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, plain).unwrap();
        encoder.finish().unwrap()
    };
    let upstream = Upstream::start().await;
    let packed = pack(b"archive");
    let coded = |body: &[u8]| Reply::ok(body).header("Content-Encoding", "gzip");
    // A server that takes an archive's own form for a coding, and one that packs an archive for the way.
    let mut kept = upstream.put_file("demo-1.0.zip", coded(&packed));
    kept["hashes"] = json!({"sha256": Sha256::of(&packed)});
    let mut unpacked = upstream.put_file("demo-0.9.zip", coded(&packed));
    unpacked["hashes"] = json!({"sha256": Sha256::of(b"archive")});
    unpacked["size"] = 7.into();
    let server = mirror(&upstream, &[kept, unpacked]).await;
    let paths = paths(&server).await;
    for (path, content) in [(&paths[0], packed.as_slice()), (&paths[1], b"archive".as_slice())] {
        for _ in 0..2 {
            let answer = server.anonymous().get(path).await;
            assert_eq!(
                (answer.expect(200).body.as_slice(), answer.header("content-encoding")),
                (content, "")
            );
        }
    }
    server.settled().await;
}

#[actix_web::test]
async fn core_metadata_come_from_beside_the_file_out_of_it_or_with_it() {
    let upstream = Upstream::start().await;
    let new = |version: &str| Wheel::new("demo", version).description(&"x".repeat(200_000));
    let (beside, by_ranges, whole) = (new("3.0"), new("2.0"), new("1.0"));
    let put = |wheel: &Wheel, reply: fn(Reply) -> Reply| {
        let dist = wheel.build();
        upstream.put_file(&dist.file_name, reply(Reply::ok(dist.content)))
    };
    let mut first = put(&beside, |reply| reply);
    let metadata = beside.metadata();
    first["core-metadata"] = json!({"sha256": Sha256::of(metadata.as_bytes())});
    upstream.put("/files/demo-3.0-py3-none-any.whl.metadata", Reply::ok(metadata));
    let entries = [first, put(&by_ranges, Reply::ranges), put(&whole, |reply| reply)];
    let server = mirror(&upstream, &entries).await;
    let paths = paths(&server).await;
    let page = server.anonymous().get_simple("root/up/+simple/demo/").await.json();
    assert_eq!(page["files"][1]["core-metadata"], true);
    for (path, wheel) in paths.iter().zip([&beside, &by_ranges, &whole]) {
        for _ in 0..2 {
            let answer = server.anonymous().get(&format!("{path}.metadata")).await;
            assert_eq!(answer.expect(200).text(), wheel.metadata());
        }
    }
    let requests = |name: &str| upstream.requests(&format!("/files/{name}-py3-none-any.whl"));
    assert!(requests("demo-3.0").is_empty(), "a document beside the file is enough");
    assert_eq!(upstream.requests("/files/demo-3.0-py3-none-any.whl.metadata").len(), 1);
    assert!(requests("demo-2.0").iter().all(|request| request.headers.contains_key("range")));
    assert!(!requests("demo-1.0").last().unwrap().headers.contains_key("range"));
    // What was read is kept.
    upstream.set_dead(true);
    for path in &paths {
        server.anonymous().get(&format!("{path}.metadata")).await.expect(200);
    }
    server.anonymous().get(&paths[2]).await.expect(200);
}

#[actix_web::test]
async fn lying_core_metadata_are_not_passed_on() {
    let upstream = Upstream::start().await;
    let wheel = Wheel::new("demo", "1.0");
    let dist = wheel.build();
    let mut entry = upstream.put_file(&dist.file_name, Reply::ok(dist.content).ranges());
    entry["core-metadata"] = json!({"sha256": Sha256::of(wheel.metadata().as_bytes())});
    let beside = format!("/files/{}.metadata", dist.file_name);
    upstream.put(&beside, Reply::ok("Name: evil\n"));
    let server = mirror(&upstream, &[entry.clone()]).await;
    let path = only_path(&server).await;
    // The wheel itself has those of which the page speaks.
    assert_eq!(
        server.anonymous().get(&format!("{path}.metadata")).await.expect(200).text(),
        wheel.metadata()
    );
    entry["core-metadata"] = json!({"sha256": "0".repeat(64)});
    upstream.put_project("demo", &[entry]);
    server
        .anonymous()
        .send(server.anonymous().request("POST", "root/up/+simple/demo/refresh"))
        .await
        .expect(302);
    server.anonymous().get(&format!("{path}.metadata")).await.expect(502);
}

#[actix_web::test]
async fn provenance_is_relayed_and_survives_its_upstream() {
    let upstream = Upstream::start().await;
    let mut entry = upstream.put_file("demo-1.0.zip", Reply::ok("content"));
    entry["provenance"] = format!("{}/provenance", upstream.origin()).into();
    upstream.put("/provenance", Reply::ok("{\"version\": 1}"));
    let server = mirror_with(&upstream, &[entry], json!({"mirror_cache_expiry": 0})).await;
    let path = format!("{}.provenance", only_path(&server).await);
    let answer = server.anonymous().get(&path).await;
    assert_eq!(answer.expect(200).text(), "{\"version\": 1}");
    assert_eq!(answer.header("content-type"), "application/vnd.pypi.integrity.v1+json");
    upstream.put("/provenance", Reply::ok("{\"version\": 2}"));
    assert_eq!(server.anonymous().get(&path).await.expect(200).text(), "{\"version\": 2}");
    upstream.put("/provenance", Reply::status(500));
    assert_eq!(server.anonymous().get(&path).await.expect(200).text(), "{\"version\": 2}");
    server.anonymous().get(&path.replace(".provenance", ".metadata")).await.expect(404);
}

#[actix_web::test]
async fn a_quarantined_project_offers_nothing() {
    let upstream = Upstream::start().await;
    let entry = upstream.put_file("demo-1.0.zip", Reply::ok("content"));
    let server = mirror(&upstream, std::slice::from_ref(&entry)).await;
    let path = only_path(&server).await;
    server.anonymous().get(&path).await.expect(200);
    let page = json!({"meta": {"api-version": "1.4"}, "name": "demo", "files": [entry],
                      "project-status": {"status": "quarantined"}});
    let reply = Reply::ok(page.to_string()).header("Content-Type", "application/vnd.pypi.simple.v1+json");
    upstream.put("/simple/demo/", reply);
    let anonymous = server.anonymous();
    anonymous.send(anonymous.request("POST", "root/up/+simple/demo/refresh")).await.expect(302);
    let page = anonymous.get_simple("root/up/+simple/demo/").await.json();
    assert_eq!((&page["files"], &page["project-status"]["status"]), (&json!([]), &json!("quarantined")));
    anonymous.get(&path).await.expect(403);
    anonymous.get(&format!("{path}.metadata")).await.expect(403);
}

#[actix_web::test]
async fn a_release_of_a_mirror_can_be_pushed() {
    let upstream = Upstream::start().await;
    let wheel = Wheel::new("demo", "1.0").build();
    let mut entries = [
        upstream.put_file("demo-1.0.zip", Reply::ok("content")),
        upstream.put_file(&wheel.file_name, Reply::ok(wheel.content.clone())),
        upstream.put_file("demo-0.9.zip", Reply::status(404)),
        upstream.put_file("demo-...zip", Reply::ok("content")),
    ];
    entries[0]["requires-python"] = ">=3.8".into();
    let server = mirror(&upstream, &entries).await;
    let root = server.root();
    root.put("root/dev", json!({})).await.expect(200);
    let push = async |caller: &Caller, version: &str| {
        let body = json!({"name": "demo", "version": version, "targetindex": "root/dev"});
        let request = caller.request("PUSH", "root/up").header("Accept", "application/json");
        caller.send(request.json(&body)).await
    };
    // What an upload said of the release is more than a mirror knows.
    let uploaded = sdist("demo", "1.0", "uploaded").form().field("summary", "kept");
    root.post("root/dev", &uploaded.field("requires_python", ">=3.6")).await.expect(200);
    push(&server.anonymous(), "1.0").await.expect(401);
    assert!(upstream.requests(FILE).is_empty(), "nothing is fetched for who may not push");
    let log = push(&root, "1.0").await.result();
    assert_eq!(log[0], json!([200, "register", "demo", "1.0", "->", "root/dev"]));
    assert_eq!(log.as_array().unwrap().len(), 3);
    let page = server.anonymous().get_simple("root/dev/+simple/demo/").await.json();
    assert_eq!(page["files"].as_array().unwrap().len(), 3);
    for file in page["files"].as_array().unwrap() {
        assert_eq!(file["requires-python"], ">=3.8");
    }
    let release = server.anonymous().get_json("root/dev/demo/1.0").await.result();
    assert_eq!((&release["summary"], &release["requires_python"]), (&json!("kept"), &json!(">=3.8")));
    let path = wheel.path("root/dev");
    assert_eq!(server.anonymous().get(&path).await.expect(200).body, wheel.content);
    server.anonymous().get(&format!("{path}.metadata")).await.expect(200);
    assert!(push(&root, "0.9").await.expect(502).message().starts_with("error 404 getting"));
    push(&root, "7.0").await.expect(400);
    let answer = push(&root, "..").await;
    assert_eq!(answer.expect(400).message(), "invalid metadata: version '..' would vanish from URLs");
    server.settled().await;
}

#[actix_web::test]
async fn a_mirror_has_files_that_a_stage_of_its_name_had() {
    let upstream = Upstream::start().await;
    let server = TestServer::new().with_index("root/up", json!({})).start().await;
    let root = server.root();
    let [listed, gone] = ["1.0", "2.0"].map(|version| sdist("demo", version, version));
    for dist in [&listed, &gone] {
        root.upload("root/up", dist).await.expect(200);
    }
    root.delete("root/up").await.expect(201);
    let entry = upstream.put_file(&listed.file_name, Reply::ok(listed.content.clone()));
    upstream.put_project("demo", &[entry]);
    root.get(&listed.path("root/up")).await.expect(410);
    root.put("root/up", json!({"type": "mirror", "mirror_url": upstream.url()})).await.expect(200);
    assert_eq!(root.get(&listed.path("root/up")).await.expect(200).body, listed.content);
    root.get(&gone.path("root/up")).await.expect(410);
    server.settled().await;
}

#[actix_web::test]
async fn clients_are_sent_to_the_upstream_where_that_is_wanted() {
    let upstream = Upstream::start().await;
    let entry = upstream.put_file("demo-1.0.zip", Reply::ok("content"));
    let url = upstream.url().replace("http://", "http://us:pw@");
    let settings = json!({"mirror_use_external_urls": true, "mirror_url": url});
    let server = mirror_with(&upstream, &[entry], settings).await;
    let path = only_path(&server).await;
    let answer = server.anonymous().get(&path).await;
    assert_eq!(answer.expect(302).header("location"), format!("{}{FILE}", upstream.origin()));
    assert!(upstream.requests(FILE).is_empty());
}

#[actix_web::test]
async fn what_is_deleted_on_a_mirror_may_come_again() {
    let upstream = Upstream::start().await;
    let entries = ["demo-2.0.zip", "demo-1.0.zip"].map(|name| upstream.put_file(name, Reply::ok(name)));
    let server = mirror(&upstream, &entries).await;
    let root = server.root();
    root.delete("root/up/demo").await.expect(404);
    let found = paths(&server).await;
    for path in &found {
        server.anonymous().get(path).await.expect(200);
    }
    // A version loses its files, which are fetched again.
    root.delete("root/up/demo/2.0").await.expect(200);
    root.delete("root/up/demo/3.0").await.expect(200);
    assert_eq!(paths(&server).await, found);
    server.anonymous().get(&found[0]).await.expect(200);
    assert_eq!(upstream.requests("/files/demo-2.0.zip").len(), 2);
    // A file stays away until the upstream's page is another one.
    root.delete(&found[0]).await.expect(200);
    root.delete(&found[0]).await.expect(410);
    assert_eq!(paths(&server).await, found[1..]);
    server.anonymous().get(&found[0]).await.expect(410);
    let anonymous = server.anonymous();
    anonymous.send(anonymous.request("POST", "root/up/+simple/demo/refresh")).await.expect(302);
    anonymous.get(&found[0]).await.expect(200);

    root.delete("root/up/demo").await.expect(200);
    assert_eq!(paths(&server).await, found);
    server.anonymous().delete(&found[0]).await.expect(403);
    root.patch("root/up", json!(["volatile=false"])).await.expect(200);
    for path in ["root/up/demo", "root/up/demo/1.0", found[0].as_str()] {
        server.anonymous().get(&found[0]).await.expect(200);
        root.delete(path).await.expect(403);
        root.delete(&format!("{path}?force")).await.expect(200);
        paths(&server).await;
    }
    server.anonymous().get(&found[1]).await.expect(200);
    root.delete(&found[0].replace("demo-2.0", "demo-7.0")).await.expect(403);
    root.patch("root/up", json!(["volatile=true"])).await.expect(200);
    root.delete(&found[0].replace("demo-2.0", "demo-7.0")).await.expect(404);
    root.delete("root/up").await.expect(201);
    server.anonymous().get(&found[1]).await.expect(410);
}
