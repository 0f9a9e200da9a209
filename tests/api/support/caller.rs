//! Callers: who sends a request, and how.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::Value;
use wheelhouse::outgoing::client_builder;

use super::{Answer, Dist, Form, RawAnswer};

/// Somebody who sends requests to one server.
#[derive(Clone)]
pub(crate) struct Caller {
    client: Client,
    address: SocketAddr,
    credentials: Option<String>,
}

impl Caller {
    pub(crate) fn anonymous(address: SocketAddr) -> Self {
        let builder = client_builder(None).unwrap().no_proxy().no_gzip();
        let client = builder.redirect(redirect::Policy::none()).build().unwrap();
        Self { client, address, credentials: None }
    }

    /// The same with credentials: a password or a token.
    pub(crate) fn with_credentials(&self, user: &str, secret: &str) -> Self {
        Self { credentials: Some(STANDARD.encode(format!("{user}:{secret}"))), ..self.clone() }
    }

    /// A request to be finished by the test.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("http://{}/{path}", self.address));
        match &self.credentials {
            Some(credentials) => request.header("X-Devpi-Auth", credentials),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::read(request.send().await.unwrap()).await
    }

    /// Gets a page or a file.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// Gets something with one more header.
    pub(crate) async fn get_with(&self, path: &str, header: &str, value: &str) -> Answer {
        self.send(self.request("GET", path).header(header, value)).await
    }

    /// Gets something as JSON, as devpi-client does.
    pub(crate) async fn get_json(&self, path: &str) -> Answer {
        self.get_with(path, "Accept", "application/json").await
    }

    /// Gets a simple page as JSON, as installers do.
    pub(crate) async fn get_simple(&self, path: &str) -> Answer {
        self.get_with(path, "Accept", "application/vnd.pypi.simple.v1+json").await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request("PUT", path).header("Accept", "application/json").json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request("PATCH", path).header("Accept", "application/json").json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path).header("Accept", "application/json")).await
    }

    /// Uploads a distribution to an index.
    pub(crate) async fn upload(&self, index: &str, dist: &Dist) -> Answer {
        self.post(index, &dist.form()).await
    }

    /// Sends a form to an index.
    pub(crate) async fn post(&self, index: &str, form: &Form) -> Answer {
        let request = self.request("POST", &format!("{index}/")).header("Content-Type", Form::content_type());
        self.send(request.body(form.render())).await
    }

    /// Sends a form to an index, for the reason phrase of the answer.
    pub(crate) async fn post_raw(&self, index: &str, form: &Form) -> RawAnswer {
        let body = form.render();
        let head = format!(
            "POST /{index}/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Devpi-Auth: {}\r\nContent-Type: {}\r\n\
             Content-Length: {}\r\n\r\n",
            self.address,
            self.credentials.as_deref().unwrap_or(""),
            Form::content_type(),
            body.len()
        );
        self.exchange([head.into_bytes(), body].concat()).await
    }

    /// Sends bytes and reads what comes back until the server closes the connection.
    pub(crate) async fn exchange(&self, request: Vec<u8>) -> RawAnswer {
        let address = self.address;
        let exchange = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&request).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            answer
        };
        RawAnswer::parse(&tokio::task::spawn_blocking(exchange).await.unwrap())
    }
}
