//! Logging in (`server-api` section 6.1).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::auth::authenticator::{AuthError, Credentials};
use crate::auth::token::LIFETIME_SECONDS;
use crate::domain::quote;
use crate::http::call::{Call, REPLICA_USER, text_field};
use crate::http::envelope;
use crate::http::error::ApiError;

/// `POST /+login`
pub(in crate::http) async fn login(call: &mut Call) -> Result<HttpResponse, ApiError> {
    let fields = call.json_object().await?;
    let (Some(user), Some(password)) = (text_field(&fields, "user")?, text_field(&fields, "password")?)
    else {
        let text = "Bad request: no user/password specified";
        return Err(ApiError::abort(StatusCode::BAD_REQUEST, text));
    };
    if user == REPLICA_USER {
        return Err(ApiError::malformed_authorization());
    }
    let credentials = Credentials { user: user.to_owned(), secret: SecretString::from(password) };
    match call.state.authenticator.login(&credentials).await {
        Ok(token) => Ok(envelope::result_with_message("proxyauth", token_result(&token), "login successful")),
        Err(AuthError::Wrong) => {
            let text = format!("user {} could not be authenticated", quote(user));
            Err(ApiError::message(StatusCode::UNAUTHORIZED, text))
        }
        Err(error) => Err(error.into()),
    }
}

/// A token as answers have it.
pub(super) fn token_result(token: &str) -> Value {
    json!({"password": token, "expiration": LIFETIME_SECONDS})
}
