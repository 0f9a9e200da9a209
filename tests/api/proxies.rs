//! Behind a reverse proxy.

use wheelhouse::http::{HttpSettings, TrustedProxies};

use crate::support::{TestServer, sdist};

#[actix_web::test]
async fn urls_follow_what_a_trusted_proxy_says() {
    let trusted = |peer, headers| TrustedProxies::new(Some(peer), None, Some(headers)).unwrap();
    let all = "x-forwarded-proto x-forwarded-host";
    for (trusted_proxies, expected) in [
        (trusted("127.0.0.1", all), "https://out.example/+login"),
        (trusted("*", all), "https://out.example/+login"),
        (trusted("127.0.0.2", all), "http://in.example/+login"),
        (None, "http://in.example/+login"),
    ] {
        let settings = HttpSettings { trusted_proxies, ..HttpSettings::default() };
        let server = TestServer::new().with_settings(settings).start().await;
        let request = server.anonymous().request("GET", "+api").header("Host", "in.example");
        let request = request.header("X-Forwarded-Proto", "https").header("X-Forwarded-Host", "out.example");
        assert_eq!(server.anonymous().send(request).await.result()["login"], expected);
    }
}

#[actix_web::test]
async fn nonsense_from_a_trusted_proxy_is_refused() {
    let trusted_proxies = TrustedProxies::new(Some("*"), None, Some("x-forwarded-proto")).unwrap();
    let settings = HttpSettings { trusted_proxies, ..HttpSettings::default() };
    let server = TestServer::new().with_settings(settings).start().await;
    let answer = server.anonymous().get_with("+api", "X-Forwarded-Proto", "gopher").await;
    assert!(answer.expect(400).text().contains("Header \"X-Forwarded-Proto\" malformed."));
}

#[actix_web::test]
async fn a_proxy_may_ask_before_it_serves_a_file_itself() {
    let server = TestServer::with_dev().start().await;
    let dist = sdist("demo", "1.0", "source");
    server.alice().upload("alice/dev", &dist).await.expect(200);
    for (uri, status) in [
        (format!("/{}", dist.path("alice/dev")), 200),
        (format!("https://out.example/{}?x=y", dist.path("alice/dev")), 200),
        ("/alice/none/+f/abc/0123456789abc/demo-1.0.zip".to_owned(), 403),
        ("/alice/dev/%2Bsimple/demo/".to_owned(), 200),
        ("/+api".to_owned(), 200),
        ("/+nothing".to_owned(), 403),
        ("nonsense nonsense".to_owned(), 403),
    ] {
        let answer = server.anonymous().get_with("+authcheck", "X-Original-URI", &uri).await;
        assert_eq!(answer.status, status, "{uri}");
    }
    server.anonymous().get("+authcheck").await.expect(200);
}
