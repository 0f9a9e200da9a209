//! Forms as odd clients send them.

use serde_json::json;

use crate::support::{Caller, Form, TestServer, sdist};

async fn upload_and_read_back(alice: &Caller, form: &Form, content: &[u8]) {
    let answer = alice.post_raw("alice/dev", form).await;
    assert_eq!(answer.status_line, "200 OK");
    let links = alice.get_json("alice/dev/demo/1.0").await.result()["+links"].clone();
    let href = links[0]["href"].as_str().unwrap().to_owned();
    let path = href.splitn(4, '/').last().unwrap();
    assert_eq!(alice.get(path).await.expect(200).body, content);
}

/// Bytes that look like line ends and delimiters, and are neither.
const TRICKY: &[u8] = b"\r\n\n\r--\r\n----------------GHSKFJDL\n--\0\xff\r\n";

#[actix_web::test]
async fn the_file_may_stand_anywhere() {
    let server = TestServer::with_dev().start().await;
    let dist = sdist("demo", "1.0", "").with_content(TRICKY);
    let first = Form::new().file("content", &dist.file_name, TRICKY);
    let first = first.field(":action", "file_upload").field("name", "demo").field("version", "1.0");
    for form in [dist.form(), dist.form().last_in_the_middle(), first] {
        upload_and_read_back(&server.alice(), &form, TRICKY).await;
    }
}

#[actix_web::test]
async fn line_ends_may_be_those_of_old_distutils() {
    let server = TestServer::with_dev().start().await;
    let dist = sdist("demo", "1.0", "").with_content(TRICKY);
    upload_and_read_back(&server.alice(), &dist.form().before("\r\n"), TRICKY).await;
    upload_and_read_back(&server.alice(), &dist.form().before("\n").line_end("\n"), TRICKY).await;
    upload_and_read_back(&server.alice(), &dist.form().line_end("\n"), TRICKY).await;
    let register = Form::new()
        .field(":action", "submit")
        .field("name", "plain")
        .field("version", "0.1")
        .field("description", "one\ntwo\r\nthree");
    for form in [register.clone().line_end("\n").before("\n"), register.before("\r\n")] {
        server.alice().post("alice/dev", &form).await.expect(200);
        let release = server.alice().get_json("alice/dev/plain/0.1").await.result();
        assert_eq!(release["description"], "one\ntwo\r\nthree");
        server.alice().delete("alice/dev/plain").await.expect(200);
    }
}

#[actix_web::test]
async fn fields_may_be_repeated_and_unknown() {
    let server = TestServer::with_dev().start().await;
    let form = Form::new()
        .field("unknown", "UNKNOWN")
        .field("import_names", "demo")
        .field("classifiers", "A :: B")
        .field("classifiers", "")
        .field("classifiers", "C :: D")
        .field("summary", "first")
        .field("summary", "last")
        .field("author", "UNKNOWN")
        .field("provides_extra", "test")
        .field(":action", "submit")
        .field("name", "demo")
        .field("version", "1.0")
        .file("gpg_signature", "demo.asc", b"signature");
    server.alice().post("alice/dev", &form).await.expect(200);
    let release = server.alice().get_json("alice/dev/demo/1.0").await.result();
    assert_eq!(release["classifiers"], json!(["A :: B", "C :: D"]));
    assert_eq!((&release["summary"], &release["author"]), (&json!("last"), &json!("")));
    assert_eq!(release["provides_extras"], json!(["test"]));
    assert_eq!((&release["unknown"], &release["import_names"]), (&json!("UNKNOWN"), &json!(["demo"])));
    assert!(release.get(":action").is_none() && release.get("gpg_signature").is_none(), "{release}");
}

#[actix_web::test]
async fn a_registration_may_be_urlencoded() {
    let server = TestServer::with_dev().start().await;
    let body = ":action=submit&name=demo&version=1.0&summary=a+b%26%C3%A4&classifiers=A&classifiers=B";
    let request = server.alice().request("POST", "alice/dev/").body(body);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    server.alice().send(request).await.expect(200);
    let release = server.alice().get_json("alice/dev/demo/1.0").await.result();
    assert_eq!((&release["summary"], &release["classifiers"]), (&json!("a b&ä"), &json!(["A", "B"])));
}

#[actix_web::test]
async fn broken_forms_are_refused_and_leave_nothing() {
    let server = TestServer::with_dev().start().await;
    let whole = sdist("demo", "1.0", "content").form();
    let rendered = whole.render();
    for cut in [0, 10, 100, rendered.len() / 2, rendered.len() - 80] {
        let request =
            server.alice().request("POST", "alice/dev/").header("Content-Type", Form::content_type());
        let answer = server.alice().send(request.body(rendered[..cut].to_vec())).await;
        assert_eq!(answer.status, 400, "{cut}: {}", answer.text());
    }
    for content_type in
        ["multipart/form-data", "multipart/form-data; boundary=other", "multipart/form-data; boundary="]
    {
        let request = server.alice().request("POST", "alice/dev/").header("Content-Type", content_type);
        let answer = server.alice().send(request.body(rendered.clone())).await;
        assert_eq!(answer.status, 400, "{content_type}: {}", answer.text());
    }
    let not_utf8 = Form::new().field(":action", "submit").field("name", "demo").field("version", "1.0");
    let mut body = not_utf8.field("summary", "XX").render();
    let place = body.windows(2).position(|two| two == b"XX").unwrap();
    body[place] = 0xff;
    let request = server.alice().request("POST", "alice/dev/").header("Content-Type", Form::content_type());
    server.alice().send(request.body(body)).await.expect(400);
    server.settled().await;
    assert_eq!(server.contents().len(), 0);
    assert_eq!(server.alice().get_json("alice/dev").await.result()["projects"], json!([]));
}
