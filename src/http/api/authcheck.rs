//! `+authcheck`: what a reverse proxy asks before it serves a file itself (`server-api` section 20).

use actix_web::HttpResponse;

use crate::http::call::Call;
use crate::http::error::ApiError;
use crate::storage::model::IndexName;

/// What the proxy was asked for.
pub(in crate::http) enum Subject {
    /// Nothing that is served here.
    Nothing,
    /// A file of an index, whether it exists or not.
    File(IndexName),
    /// Anything else, which is open to everybody.
    Other,
}

/// `ANY /+authcheck`
pub(in crate::http) async fn check(call: &Call, subject: Subject) -> Result<HttpResponse, ApiError> {
    let allowed = match subject {
        Subject::Nothing => false,
        Subject::Other => true,
        // Files of an index that does not exist are forbidden, not missing.
        Subject::File(index) => call.registry().has_index(&index).await?,
    };
    // Also the good news come in the framework's shape.
    Err(if allowed { ApiError::allowed() } else { ApiError::refused() })
}
