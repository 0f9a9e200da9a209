//! Users (`server-api` section 8).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::login::token_result;
use crate::auth::password::{check_hash, check_salted_hash};
use crate::domain::quote;
use crate::domain::user::{NewPassword, UserView, render_time};
use crate::http::call::{Call, text_field};
use crate::http::envelope;
use crate::http::error::ApiError;

/// `GET /`
pub(in crate::http) async fn list(call: &Call) -> Result<HttpResponse, ApiError> {
    let users = call.registry().list_users().await?;
    let render_all = move || {
        let users = users.iter().map(|user| (user.name.to_string(), render(user)));
        Value::Object(users.collect())
    };
    envelope::large_result("list:userconfig", render_all).await
}

/// `GET /{user}`
pub(in crate::http) async fn show(call: &Call, user: &str) -> Result<HttpResponse, ApiError> {
    let user = call.registry().get_user(user).await?;
    envelope::large_result("userconfig", move || render(&user)).await
}

/// `PUT /{user}`
pub(in crate::http) async fn create(call: &mut Call, user: &str) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().check_new_user(&caller, user).await?;
    let values = call.json_object().await?;
    if !values.contains_key("password") {
        return Err(ApiError::message(StatusCode::BAD_REQUEST, "password needs to be set"));
    }
    let password = read_password(call, &values).await?;
    call.registry().create_user(&caller, user, password, &values).await?;
    let user = call.registry().get_user(user).await?;
    Ok(envelope::result(StatusCode::CREATED, "userconfig", render(&user)))
}

/// `PATCH /{user}`
pub(in crate::http) async fn modify(call: &mut Call, user: &str) -> Result<HttpResponse, ApiError> {
    let values = call.json_object().await?;
    let caller = call.caller().await?;
    call.registry().check_user_change(&caller, user, &values).await?;
    let sets_password = text_field(&values, "password")?.is_some();
    let password = read_password(call, &values).await?;
    call.registry().modify_user(&caller, user, password, &values).await?;
    if !sets_password {
        return Ok(envelope::message(StatusCode::OK, "user updated"));
    }
    let token = call.state.authenticator.make_token(user).await?;
    Ok(envelope::result_with_message("userpassword", token_result(&token), "user updated, new proxy auth"))
}

/// `DELETE /{user}`
pub(in crate::http) async fn delete(call: &Call, user: &str) -> Result<HttpResponse, ApiError> {
    let caller = call.caller().await?;
    call.registry().delete_user(&caller, user).await?;
    let text = format!("user {} deleted", quote(user));
    Ok(envelope::message(StatusCode::OK, &text))
}

/// The password that the request sets: a hash as it is, else the hash of the text, which may be empty.
async fn read_password(call: &Call, values: &Map<String, Value>) -> Result<NewPassword, ApiError> {
    let given = |key| Ok::<_, ApiError>(text_field(values, key)?.filter(|text| !text.is_empty()));
    match (given("pwhash")?, given("pwsalt")?) {
        (Some(hash), Some(salt)) => {
            check_salted_hash(hash, salt)?;
            return Ok(NewPassword::Salted { hash: hash.to_owned(), salt: salt.to_owned() });
        }
        (Some(hash), None) => {
            check_hash(hash)?;
            return Ok(NewPassword::Hash(hash.to_owned()));
        }
        (None, _) => {}
    }
    match text_field(values, "password")? {
        Some(password) => {
            let hash = call.state.authenticator.hash_password(SecretString::from(password)).await?;
            Ok(NewPassword::Hash(hash))
        }
        None => Ok(NewPassword::Keep),
    }
}

fn render(user: &UserView) -> Value {
    let mut fields = user.record.attributes.clone();
    fields.insert("created".to_owned(), render_time(user.record.created).into());
    let indexes: Map<String, Value> =
        user.indexes.iter().map(|(name, settings)| (name.to_string(), settings.clone().into())).collect();
    fields.insert("indexes".to_owned(), indexes.into());
    if let Some(modified) = user.record.modified {
        fields.insert("modified".to_owned(), render_time(modified).into());
    }
    fields.insert("username".to_owned(), user.name.as_ref().into());
    fields.into()
}
