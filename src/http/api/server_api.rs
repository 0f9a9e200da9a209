//! `+api`: what the server offers and who the caller is (`server-api` section 5).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::domain::index_config::IndexKind;
use crate::http::call::Call;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::storage::model::IndexName;

/// What devpi-client may rely on.
const FEATURES: [&str; 4] =
    ["push-no-docs", "push-only-docs", "push-register-project", "server-keyvalue-parsing"];

/// `ANY /+api`, `/{user}/+api`, `/{user}/{index}/+api`
pub(in crate::http) async fn show(call: &Call, index: Option<IndexName>) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    let status = match caller.name() {
        Some(name) => json!(["ok", name, caller.groups()]),
        None => json!(["noauth", "", []]),
    };
    let mut result = json!({
        "login": call.base_url.join("+login"),
        "authstatus": status,
        "features": FEATURES,
    });
    if let (Some(index), Value::Object(result)) = (index, &mut result) {
        let kind = call.registry().get_index(&index).await?.kind();
        let index = index.to_string();
        result.insert("index".to_owned(), call.base_url.join(&index).into());
        result.insert("simpleindex".to_owned(), call.base_url.join(&format!("{index}/+simple/")).into());
        if kind == IndexKind::Stage {
            result.insert("pypisubmit".to_owned(), call.base_url.join(&format!("{index}/")).into());
        }
    }
    Ok(envelope::result(StatusCode::OK, "apiconfig", result))
}
