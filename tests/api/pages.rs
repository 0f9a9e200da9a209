//! What simple pages say.

use serde_json::json;
use wheelhouse::http::HttpSettings;

use crate::support::{TestServer, Wheel, sdist};

/// The page with the upload times taken out.
fn redacted(mut page: serde_json::Value) -> serde_json::Value {
    for file in page["files"].as_array_mut().unwrap() {
        file["upload-time"] = "redacted".into();
    }
    page
}

#[actix_web::test]
async fn a_project_page_names_versions_and_files() {
    let server = TestServer::with_dev().start().await;
    let alice = server.alice();
    let wheel = Wheel::new("demo", "1.10").requires_python(">=3.9");
    let (metadata, wheel) = (wheel.metadata(), wheel.build());
    let source = sdist("demo", "1.9", "content");
    for dist in [&source, &wheel] {
        alice.upload("alice/dev", dist).await.expect(200);
    }
    let page = server.anonymous().get_simple("alice/dev/+simple/demo/").await;
    assert_eq!(page.expect(200).header("content-type"), "application/vnd.pypi.simple.v1+json");
    let hash = wheelhouse::pep::digest::Sha256::of(metadata.as_bytes()).to_string();
    let link = |dist: &crate::support::Dist| dist.path("../..");
    assert_eq!(
        redacted(page.json()),
        json!({
            "meta": {"api-version": "1.4"},
            "name": "demo",
            "versions": ["1.10", "1.9"],
            "files": [
                {
                    "filename": "demo-1.10-py3-none-any.whl", "url": link(&wheel), "hashes": {"sha256": wheel.sha256()},
                    "core-metadata": {"sha256": hash},
                    "requires-python": ">=3.9", "size": wheel.content.len(), "upload-time": "redacted"
                },
                {
                    "filename": "demo-1.9.tar.gz", "url": link(&source), "hashes": {"sha256": source.sha256()},
                    "size": 7, "upload-time": "redacted"
                },
            ]
        })
    );
    let page = server.anonymous().get("alice/dev/+simple/demo/").await;
    assert_eq!(page.expect(200).header("content-type"), "text/html; charset=UTF-8");
    assert_eq!(
        page.text(),
        format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta name=\"pypi:repository-version\" content=\"1.4\">\
             <title>alice/dev: links for demo</title></head><body><h1>alice/dev: links for demo</h1>\n\
             alice/dev <a href=\"{}#sha256={}\" data-dist-info-metadata=\"sha256={hash}\" \
             data-core-metadata=\"sha256={hash}\" data-requires-python=\"&gt;=3.9\">demo-1.10-py3-none-any.whl</a><br>\n\
             alice/dev <a href=\"{}#sha256={}\">demo-1.9.tar.gz</a><br>\n</body></html>",
            link(&wheel),
            wheel.sha256(),
            link(&source),
            source.sha256()
        )
    );
}

#[actix_web::test]
async fn the_list_names_projects_by_index() {
    let server = TestServer::with_dev().with_index("alice/top", json!({"bases": "alice/dev"})).start().await;
    let alice = server.alice();
    for (index, name) in
        [("alice/dev", "zeta"), ("alice/dev", "Demo_App"), ("alice/top", "own"), ("alice/top", "zeta")]
    {
        alice.upload(index, &sdist(name, "1.0", "")).await.expect(200);
    }
    let list = server.anonymous().get_simple("alice/top/+simple/").await;
    assert_eq!(
        list.expect(200).json(),
        json!({"meta": {"api-version": "1.4"}, "projects": [{"name": "own"}, {"name": "zeta"}, {"name": "demo-app"}]})
    );
    let list = server.anonymous().get("alice/top/+simple/").await;
    assert_eq!(
        list.expect(200).text(),
        "<!DOCTYPE html><html lang=\"en\"><head><meta name=\"pypi:repository-version\" content=\"1.4\">\
         <title>alice/top: simple list (including inherited indices)</title></head><body>\
         <h1>alice/top: simple list (including inherited indices)</h1>\
         <h2>alice/top (bases: alice/dev)</h2><a href=\"own/\">own</a><br>\n<a href=\"zeta/\">zeta</a><br>\n\
         <h2>alice/dev</h2><a href=\"demo-app/\">demo-app</a><br>\n</body></html>"
    );
}

#[actix_web::test]
async fn of_files_with_one_name_the_nearest_counts() {
    let server = TestServer::with_dev().with_index("alice/top", json!({"bases": "alice/dev"})).start().await;
    let alice = server.alice();
    let far = sdist("demo", "1.0", "far");
    let near = far.with_content(b"near");
    alice.upload("alice/dev", &far).await.expect(200);
    alice.upload("alice/dev", &sdist("demo", "2.0", "")).await.expect(200);
    alice.upload("alice/top", &near).await.expect(200);
    let page = alice.get_simple("alice/top/+simple/demo/").await.json();
    let hashes: Vec<_> =
        page["files"].as_array().unwrap().iter().map(|file| &file["hashes"]["sha256"]).collect();
    assert_eq!(hashes[1], &near.sha256());
    assert_eq!(hashes.len(), 2);
    // Links lead to the index that has the file.
    assert_eq!(page["files"][0]["url"], sdist("demo", "2.0", "").path("../../../dev"));
}

#[actix_web::test]
async fn other_spellings_lead_to_the_page() {
    let server = TestServer::with_dev().start().await;
    server.alice().upload("alice/dev", &sdist("demo_app", "1.0", "")).await.expect(200);
    let anonymous = server.anonymous();
    let base = format!("http://{}", server.address());
    for (path, target) in [
        ("alice/dev/+simple/Demo_App/", "alice/dev/+simple/demo-app/"),
        ("alice/dev/+simple/demo-app", "alice/dev/+simple/demo-app/"),
        ("alice/dev/+simple", "alice/dev/+simple/"),
    ] {
        let answer = anonymous.get(path).await;
        assert_eq!(answer.expect(302).header("location"), format!("{base}/{target}"));
    }
    // Installers are not sent around for a slash.
    let direct = anonymous.get_with("alice/dev/+simple/demo-app", "User-Agent", "pip/25.0").await;
    assert!(direct.expect(200).text().contains("href=\"../+f/"));
    for path in ["alice/dev/+simple/none/", "alice/none/+simple/", "alice/none/+simple/demo-app/"] {
        anonymous.get(path).await.expect(404);
    }
    anonymous.get("alice/dev/+simple/d%C3%A4mo/").await.expect(400);
}

#[actix_web::test]
async fn links_can_be_absolute() {
    let settings = HttpSettings {
        outside_url: Some("https://x.example/devpi".to_owned()),
        absolute_urls: true,
        ..HttpSettings::default()
    };
    let server = TestServer::with_dev().with_settings(settings).start().await;
    let dist = sdist("demo", "1.0", "x");
    server.alice().upload("alice/dev", &dist).await.expect(200);
    for (header, base) in [("", "https://x.example/devpi"), ("http://other.example", "http://other.example")]
    {
        let request =
            server.anonymous().request("GET", "alice/dev/+simple/demo/").header("X-Outside-Url", header);
        let page = server.anonymous().send(request).await;
        let expected = format!("href=\"{base}/{}#sha256=", dist.path("alice/dev"));
        assert!(page.expect(200).text().contains(&expected), "{}", page.text());
    }
    assert_eq!(server.cached_pages().await, 1);
}
