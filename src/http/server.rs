//! The HTTP server: listening, one entry for all requests, and stopping.

use std::convert::Infallible;
use std::future::ready;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::AppConfig;
use actix_web::http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, SERVER, TRANSFER_ENCODING, UPGRADE};
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::rt::net::{TcpStream, UnixStream};
use actix_web::web::{self, Bytes, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse};
use tracing::{Instrument, debug_span};

use super::call::Call;
use super::connection::{Connection, ConnectionState, Patience};
use super::direct::{DirectBody, Socket};
use super::error::ApiError;
use super::extract::body::{Body, Refusal};
use super::extract::credentials::has_credentials;
use super::forwarded::Forwarded;
use super::negotiate::Accept;
use super::repeat::{self, Logged, Repeats};
use super::routes;
use super::state::State;
use super::unshared;
use super::urls::{BaseUrl, decode_path};
use crate::version::DEVPI_VERSION;

/// The version of the protocol between devpi-client and server.
const API_VERSION: &str = "2";

const X_DEVPI_API_VERSION: HeaderName = HeaderName::from_static("x-devpi-api-version");
const X_DEVPI_SERVER_VERSION: HeaderName = HeaderName::from_static("x-devpi-server-version");
const X_DEVPI_SERIAL: HeaderName = HeaderName::from_static("x-devpi-serial");
const X_DEVPI_UUID: HeaderName = HeaderName::from_static("x-devpi-uuid");
const X_DEVPI_MASTER_UUID: HeaderName = HeaderName::from_static("x-devpi-master-uuid");
const X_DEVPI_PRIMARY_UUID: HeaderName = HeaderName::from_static("x-devpi-primary-uuid");

/// Each worker has so many threads that may block at the least: some wait for the disk while others compute.
const MIN_BLOCKING_THREADS: usize = 4;

/// How many bytes of an answer are gathered before they are written.
const WRITE_BUFFER: usize = 16 * 1024;

/// How long what a client still sends is read after an answer that ends the connection, so that it gets the answer.
const LINGER: Duration = Duration::from_secs(1);

/// A bound socket.
pub enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix domain socket.
    Unix(UnixListener),
}

/// Serves requests on `listeners` until the handle of the returned server stops it.
pub fn serve(state: State, listeners: Vec<Listener>, blocking_threads: usize) -> std::io::Result<Server> {
    let limits = state.limits;
    let state = Data::new(state);
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let mut server = Server::build()
        .workers(workers)
        .worker_max_blocking_threads((blocking_threads / workers).max(MIN_BLOCKING_THREADS))
        .max_concurrent_connections((limits.connections / workers).max(1))
        .shutdown_timeout(limits.shutdown.as_secs())
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    for listener in listeners {
        let (state, stopping) = (state.clone(), stopping.clone());
        server = match listener {
            Listener::Tcp(listener) => server.listen("tcp", listener, move || {
                fn_service(async |stream: TcpStream| {
                    // The end of an answer must not wait until the client has said that it got the beginning.
                    stream.set_nodelay(true)?;
                    let peer = stream.peer_addr().ok();
                    Ok((stream, peer))
                })
                .and_then(http(state.clone(), stopping.clone()))
            })?,
            Listener::Unix(listener) => server.listen_uds("unix", listener, move || {
                fn_service(async |stream: UnixStream| Ok((stream, None)))
                    .and_then(http(state.clone(), stopping.clone()))
            })?,
        };
    }
    Ok(server.run())
}

/// Answers the requests of a connection.
fn http<S: Socket + 'static>(
    state: Data<State>,
    stopping: GracefulShutdownSignal,
) -> impl ServiceFactory<(S, Option<SocketAddr>), Config = (), Response = (), Error = DispatchError, InitError = ()>
{
    let limits = state.limits;
    // What is logged of a request, and where it seems to have come to, may depend on which proxy sent it. And actix, for which
    // a connection is idle meanwhile, would not wait as long for a client that reads slowly.
    let may_repeat = state.settings.trusted_proxies.is_none() && limits.keep_alive >= limits.body_idle;
    let repeats =
        may_repeat.then(|| Rc::new(Repeats::new(Arc::clone(&state.repeats), state.node.serverdir.clone())));
    let patience = Patience { head: limits.request_head, reading: limits.body_idle };
    let app = App::new().app_data(state).default_service(web::to(answer));
    let app = map_config(app.into_factory(), |()| AppConfig::default());
    let service = HttpService::build()
        .client_request_timeout(limits.request_head)
        .client_disconnect_timeout(LINGER)
        .keep_alive(limits.keep_alive)
        .h1_write_buffer_size(WRITE_BUFFER)
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .on_connect_ext(|connection: &Connection<S>, data| {
            data.insert(connection.state());
        })
        .h1(app);
    fn_service(move |(stream, peer)| {
        ready(Ok((Connection::new(stream, patience, peer, repeats.clone()), peer)))
    })
    .and_then(service)
}

async fn answer(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let started = Instant::now();
    let edition = state.repeats.edition();
    let (is_simple, is_anonymous) = (repeat::is_simple(&request), !has_credentials(request.headers()));
    let connection: Option<Rc<ConnectionState>> = request.conn_data().cloned();
    let _answering = connection.as_ref().map(ConnectionState::answer);
    let is_head = *request.method() == Method::HEAD;
    let line: Rc<str> = [request.method().as_str(), " ", request.path()].concat().into();
    let peer = connection.as_ref().and_then(|connection| connection.peer.as_deref());
    let forwarded = read_forwarded(&request, peer, &state);
    let forwarded_for = forwarded.as_ref().ok().and_then(|forwarded| forwarded.client.clone());
    // For those who debug: the lines that everybody sees say by themselves what they are about.
    let span = debug_span!("request", line = &*line);
    let response = respond(request, forwarded, payload, state, &line).instrument(span).await;
    let logged = Logged { line, status: response.status() };
    logged.log(forwarded_for.as_deref().or(peer), started);
    let Some(connection) = connection else { return response };
    let response = if is_head { response } else { DirectBody::send_bytes(Rc::clone(&connection), response) };
    if is_simple && response.head().connection_type() == ConnectionType::KeepAlive {
        let repeatable = (is_anonymous && repeat::is_allowed(&response)).then_some((logged, edition));
        connection.exchange.note_answer(response.body().size(), repeatable);
    } else {
        connection.exchange.give_up();
    }
    response
}

/// What trusted proxies say of the request.
fn read_forwarded(request: &HttpRequest, peer: Option<&str>, state: &State) -> Result<Forwarded, ApiError> {
    let Some(proxies) = &state.settings.trusted_proxies else { return Ok(Forwarded::default()) };
    proxies.read(request.headers(), peer).map_err(ApiError::malformed_header)
}

async fn respond(
    request: HttpRequest,
    forwarded: Result<Forwarded, ApiError>,
    payload: Payload,
    state: Data<State>,
    line: &str,
) -> HttpResponse {
    let limits = state.limits;
    let (version, is_head) = (request.version(), *request.method() == Method::HEAD);
    let accept = Rc::new(Accept::new(request.headers()));
    let has_endless_body = has_endless_body(&request);
    let mut body = Body::new(payload, limits.request_body, limits.body_idle);
    if has_endless_body {
        body.pass_over();
    }
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let result = match forwarded {
        Err(error) => Err(error),
        Ok(_) if announced.is_some_and(|length: u64| length > limits.request_body) => Err(body.too_large()),
        Ok(_) if has_endless_body && announced.is_some_and(|length| length > 0) => {
            let text = "Bad request: the protocol cannot change behind a body";
            Err(ApiError::abort(StatusCode::BAD_REQUEST, text))
        }
        Ok(forwarded) => dispatch(request, forwarded, body.clone(), Rc::clone(&accept), state.clone()).await,
    };
    let result = result.and_then(unshared::count);
    let mut of_application = true;
    let mut response = match result {
        Ok(response) => response,
        Err(error) => {
            of_application = error.is_of_application();
            error.log(line);
            error.respond(&accept)
        }
    };
    if is_head {
        response = response.map_body(|_, body| BoxBody::new(Announced(body.size())));
    }
    let mut allowance = limits.request_body;
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        allowance = limits.drained;
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    if has_endless_body || !body.drain(allowance).await {
        response.head_mut().set_connection_type(ConnectionType::Close);
        response = response.map_body(|_, answer| BoxBody::new(Refusal { answer, _unread: body }));
    }
    // actix leaves out the chunks, but not the header, where the request has no end.
    if version < Version::HTTP_11 || has_endless_body {
        delimit_by_close(&mut response);
    }
    add_headers(&mut response, &state, of_application);
    response
}

/// The body of an answer to HEAD: its length is told, and nothing of it is made. actix would have it made, as fast as it can
/// be, and throw it away.
struct Announced(BodySize);

impl MessageBody for Announced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}

/// Whether actix takes all that follows for the body, whatever its length: it expects that the protocol changes, which it
/// never does here. Such an offer is to be ignored (RFC 9110, section 7.8).
fn has_endless_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    let is_websocket = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    (*request.method() == Method::CONNECT || headers.get_all(UPGRADE).any(is_websocket))
        && !headers.contains_key(TRANSFER_ENCODING)
}

/// For a client that knows no chunks, a body without length ends with the connection (RFC 9112, section 6.1).
fn delimit_by_close(response: &mut HttpResponse) {
    // A direct body has no length but in the header.
    if response.body().size() == BodySize::Stream && !response.headers().contains_key(CONTENT_LENGTH) {
        let head = response.head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
}

async fn dispatch(
    request: HttpRequest,
    forwarded: Forwarded,
    body: Body,
    accept: Rc<Accept>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let settings = &state.settings;
    let base_url = BaseUrl::new(request.headers(), settings.outside_url.as_deref(), &forwarded);
    let path = decode_path(request.uri().path());
    let path = path.ok_or_else(|| ApiError::message(StatusCode::BAD_REQUEST, "the URL is not UTF-8"))?;
    let path = base_url.strip_prefix(&path).to_owned();
    let mut call = Call::new(state, request, body, accept, base_url, path);
    routes::dispatch(&mut call).await
}

fn add_headers(response: &mut HttpResponse, state: &State, of_application: bool) {
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static(concat!("Wheelhouse/", env!("CARGO_PKG_VERSION"))));
    if !of_application {
        return;
    }
    let serial = match state.registry.serial() {
        Some(serial) => HeaderValue::from(serial.0),
        None => HeaderValue::from_static("-1"),
    };
    headers.insert(X_DEVPI_API_VERSION, HeaderValue::from_static(API_VERSION));
    headers.insert(X_DEVPI_SERVER_VERSION, HeaderValue::from_static(DEVPI_VERSION));
    headers.insert(X_DEVPI_SERIAL, serial);
    // Read from a file, and checked there: plain ASCII.
    if let Ok(uuid) = HeaderValue::from_str(&state.node.uuid) {
        headers.insert(X_DEVPI_UUID, uuid.clone());
        headers.insert(X_DEVPI_MASTER_UUID, uuid.clone());
        headers.insert(X_DEVPI_PRIMARY_UUID, uuid);
    }
}
