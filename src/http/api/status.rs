//! `+status`: what the server says about itself (`server-api` section 19).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::http::call::Call;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::version::{DEVPI_VERSION, VERSION};

/// `ANY /+status`
pub(in crate::http) async fn show(call: &Call) -> Result<HttpResponse, ApiError> {
    let mut snapshot = call.registry().snapshot().await?;
    let serial = snapshot.serial().await?.map(|serial| serial.0);
    let committed = snapshot.last_commit_time().await?.map(|time| time.as_duration().as_secs_f64());
    let node = &call.state.node;
    let result = json!({
        "serverdir": node.serverdir,
        "uuid": node.uuid,
        "versioninfo": {"devpi-server": DEVPI_VERSION, "wheelhouse": VERSION},
        "server-code": node.program,
        "host": node.host,
        "port": node.port,
        "outside-url": call.state.settings.outside_url,
        "serial": serial,
        "last-commit-timestamp": committed,
        // Nothing runs behind commits yet: what is committed is processed.
        "event-serial": serial,
        "event-serial-timestamp": committed,
        "event-serial-in-sync-at": committed,
        "metrics": call.state.metrics(),
        "role": "MASTER",
        "polling_replicas": {},
    });
    Ok(envelope::result(StatusCode::OK, "status", result))
}
