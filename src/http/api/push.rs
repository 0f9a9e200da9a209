//! Pushing releases, to another index of this server or to another server (`server-api` section 12).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tracing::info;

use crate::domain::acl::Caller;
use crate::domain::push::{PushSource, Pushed, PushedFiles, PushedRelease};
use crate::domain::{is_truthy, quote};
use crate::http::call::{Call, text_field};
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::extract::body::parse_json_object;
use crate::pep::name::ProjectName;
use crate::publish::{Answer, Destination, Published, Registration};
use crate::storage::model::IndexName;

/// The type of the answer.
const ACTION_LOG: &str = "actionlog";

/// `PUSH /{user}/{index}`, and `POST` without a form
pub(in crate::http) async fn push(call: &mut Call, source: &IndexName) -> Result<HttpResponse, ApiError> {
    call.registry().get_index(source).await?;
    let request = call.json_object().await?;
    push_release(call, source, request).await
}

/// The same with a body that was read already.
pub(in crate::http) async fn push_json(
    call: &Call,
    source: &IndexName,
    body: &[u8],
) -> Result<HttpResponse, ApiError> {
    call.registry().get_index(source).await?;
    push_release(call, source, parse_json_object(body)?).await
}

async fn push_release(
    call: &Call,
    source: &IndexName,
    mut request: Map<String, Value>,
) -> Result<HttpResponse, ApiError> {
    let release = take_release(&mut request)?;
    let found = call.registry().get_push_source(source, &release).await?;
    let files = take_files(&mut request)?;
    let found = found.select(files)?;
    let caller = call.caller().await?;
    match request.shift_remove("targetindex").filter(|target| !target.is_null()) {
        Some(target) => {
            let target = parse_target(&request, &target)?;
            let pushed = call.registry().push(&caller, found, files, &target).await?;
            let log = pushed.iter().map(|step| render_pushed(step, &release, &target)).collect();
            Ok(envelope::result(StatusCode::OK, ACTION_LOG, log))
        }
        None => publish(call, &caller, found, &request).await,
    }
}

/// Pushes to another server, of whose answers the caller is told.
async fn publish(
    call: &Call,
    caller: &Caller,
    source: PushSource,
    request: &Map<String, Value>,
) -> Result<HttpResponse, ApiError> {
    // devpi lets everybody make the server send requests to any URL and shows the answers: the difference
    // `anonymous-push`.
    let Some(user) = caller.name() else {
        return Err(ApiError::message(StatusCode::UNAUTHORIZED, "user None cannot push to other servers"));
    };
    let required = |key| {
        let missing = || ApiError::message(StatusCode::BAD_REQUEST, format!("'{key}' is missing"));
        text_field(request, key)?.ok_or_else(missing)
    };
    let (url, login, password) = (required("posturl")?, required("username")?, required("password")?);
    let destination = Destination::new(url, login, SecretString::from(password));
    let destination = destination.ok_or_else(|| {
        ApiError::message(StatusCode::BAD_REQUEST, format!("{} is not a HTTP URL", quote(url)))
    })?;
    let registration = match request.get("register_project") {
        Some(flag) if is_truthy(flag) => Registration::First,
        _ => Registration::Skipped,
    };
    let source = call.registry().fetch_push_source(source).await?;
    let (index, release, host) = (&source.index, &source.release, destination.host());
    info!(user = &**user, %index, %release, host, "{user} pushes {release} of {index} to {host}");
    let (publisher, names) = (&call.state.publisher, Names::of(&source));
    let published = publisher.publish(call.registry(), user, source, destination, registration).await?;
    // The last step decides, as in devpi.
    let accepted = published.last().is_some_and(|step| step.answer().is_accepted());
    let status = if accepted { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
    let log = published.iter().map(|step| render_published(step, &names)).collect();
    Ok(envelope::result(status, ACTION_LOG, log))
}

fn take_release(request: &mut Map<String, Value>) -> Result<PushedRelease, ApiError> {
    let mut take = |key| match request.shift_remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(ApiError::message(StatusCode::BAD_REQUEST, format!("'{key}' must be a string"))),
    };
    let (name, version) = (take("name")?, take("version")?);
    Ok(PushedRelease { project: ProjectName::from_url(&name), version: version.into() })
}

fn take_files(request: &mut Map<String, Value>) -> Result<PushedFiles, ApiError> {
    let mut take = |key| request.shift_remove(key).is_some_and(|flag| is_truthy(&flag));
    match (take("no_docs"), take("only_docs")) {
        (true, true) => {
            let text = "can't use 'no_docs' and 'only_docs' together";
            Err(ApiError::message(StatusCode::BAD_REQUEST, text))
        }
        (true, false) => Ok(PushedFiles::WithoutDocs),
        (false, true) => Ok(PushedFiles::OnlyDocs),
        (false, false) => Ok(PushedFiles::All),
    }
}

/// The target, when nothing is left in the request but it.
fn parse_target(rest: &Map<String, Value>, target: &Value) -> Result<IndexName, ApiError> {
    if !rest.is_empty() {
        let mut keys: Vec<&str> = rest.keys().map(String::as_str).collect();
        keys.sort_unstable();
        let text = format!("unknown additional options: {}", keys.join(", "));
        return Err(ApiError::message(StatusCode::BAD_REQUEST, text));
    }
    // Empty names are well formed, too: there just is no such index.
    match target.as_str().and_then(|target| target.split_once('/')) {
        Some((user, index)) if !index.contains('/') => Ok(IndexName::new(user, index)),
        _ => Err(ApiError::message(StatusCode::BAD_REQUEST, "targetindex not in format user/index")),
    }
}

fn render_pushed(step: &Pushed, release: &PushedRelease, target: &IndexName) -> Value {
    let (name, version) = (release.project.display(), &release.version);
    match step {
        Pushed::Release => json!([200, "register", name, version, "->", target]),
        Pushed::ReleaseFile(path) => json!([200, "store_releasefile", path]),
        Pushed::ToxResult(path) => json!([200, "store_toxresult", path]),
        Pushed::Docs => json!([200, "store_doczip", name, version, "->", target]),
    }
}

/// How the log of a push calls a release: as the client did, and as its metadata does.
struct Names {
    release: PushedRelease,
    own: String,
}

impl Names {
    fn of(source: &PushSource) -> Self {
        Self { release: source.release.clone(), own: source.metadata.text("name").to_owned() }
    }
}

fn render_published(step: &Published, names: &Names) -> Value {
    let (status, text) = match step.answer() {
        Answer::Status(status, text) => ((*status).into(), text.as_str()),
        Answer::Unreachable(cause) => (-1, cause.as_str()),
    };
    match step {
        Published::Release(_) => {
            json!([status, "register", names.release.project.display(), names.release.version])
        }
        // The text says why something went wrong; after a success nobody reads it.
        Published::ReleaseFile(path, answer) => {
            json!([status, "upload", path, if answer.is_accepted() { "" } else { text }])
        }
        Published::Docs(_) => json!([status, "docfile", names.own]),
    }
}
