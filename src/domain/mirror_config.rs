//! The keys of an index that is a mirror, and what they mean (`mirror` section 1).

use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::config_value::{ConfigError, parse_boolean, refuse_null};
use super::python;
use crate::mirror::{Login, MirrorSettings};
use crate::storage::model::IndexSettings;

/// The type of an index that shows what another server has.
pub(super) const MIRROR: &str = "mirror";

/// Keys of stages that are dropped without a word.
pub(super) const PASSED_OVER: [&str; 3] = ["bases", "acl_upload", "mirror_whitelist"];

/// What is shown in the place of credentials.
const HIDDEN: &str = "*****";

/// The configuration of a mirror of which nothing is said.
pub(super) fn defaults() -> IndexSettings {
    Map::from_iter([("type".to_owned(), Value::from(MIRROR)), ("volatile".to_owned(), Value::from(true))])
}

/// The value of a key of a mirror as it is stored, in the place of what is in `current`; `None` for an unknown key.
pub(super) fn normalise(
    key: &str,
    value: &Value,
    current: &IndexSettings,
) -> Result<Option<Value>, ConfigError> {
    Ok(Some(match key {
        "mirror_url" => parse_url(value, current)?,
        "mirror_cache_expiry" => parse_seconds(value)?.into(),
        "mirror_no_project_list"
        | "mirror_use_external_urls"
        | "mirror_ignore_serial_header"
        | "mirror_provides_core_metadata" => parse_boolean(value)?.into(),
        "mirror_web_url_fmt" => refuse_null(key, value)?,
        _ => return Ok(None),
    }))
}

/// Puts asterisks in the place of the credentials of an upstream.
pub(super) fn hide_credentials(settings: &mut IndexSettings) {
    if let Some(Value::String(url)) = settings.get_mut("mirror_url")
        && let Some(parts) = UrlParts::split(url)
        && parts.credentials.is_some()
    {
        *url = UrlParts { credentials: Some(HIDDEN), ..parts }.join();
    }
}

/// The text of a URL, so that it is shown as it was given.
struct UrlParts<'a> {
    scheme: &'a str,
    credentials: Option<&'a str>,
    host: &'a str,
    path: &'a str,
}

impl<'a> UrlParts<'a> {
    fn split(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        Some(Self { scheme, credentials, host, path })
    }

    fn join(&self) -> String {
        let Self { scheme, host, path, .. } = self;
        match self.credentials {
            Some(credentials) => format!("{scheme}://{credentials}@{host}{path}"),
            None => format!("{scheme}://{host}{path}"),
        }
    }
}

/// An upstream's URL. With asterisks for credentials, as it is shown, it keeps those that are stored.
fn parse_url(value: &Value, current: &IndexSettings) -> Result<Value, ConfigError> {
    let text = value.as_str().filter(|text| text.starts_with("http://") || text.starts_with("https://"));
    let text = text.ok_or(ConfigError::MirrorUrl)?;
    let parts = UrlParts::split(text).ok_or(ConfigError::MirrorUrl)?;
    // Credentials that others find in a text, in which none are seen here, would be shown.
    let has_credentials =
        Url::parse(text).is_ok_and(|url| !url.username().is_empty() || url.password().is_some());
    if has_credentials && parts.credentials.is_none() {
        return Err(ConfigError::MirrorUrl);
    }
    if parts.credentials != Some(HIDDEN) {
        return Ok(text.into());
    }
    let current = current.get("mirror_url").and_then(Value::as_str).and_then(UrlParts::split);
    let same = current.filter(|current| (current.scheme, current.host) == (parts.scheme, parts.host));
    let credentials = same.and_then(|current| current.credentials).ok_or(ConfigError::MirrorCredentials)?;
    Ok(UrlParts { credentials: Some(credentials), ..parts }.join().into())
}

/// A number of seconds, as a number or as a text.
fn parse_seconds(value: &Value) -> Result<i64, ConfigError> {
    match value {
        Value::Number(number) => {
            // Python cuts fractions off.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a float that is too large becomes the largest number"
            )]
            let whole = number.as_i64().or_else(|| number.as_f64().map(|float| float as i64));
            whole.ok_or(ConfigError::MirrorExpiry)
        }
        Value::Bool(flag) => Ok((*flag).into()),
        Value::String(text) => text.trim().parse().map_err(|_| ConfigError::MirrorExpiry),
        _ => Err(ConfigError::MirrorExpiry),
    }
}

/// What the configuration of a mirror means.
pub(super) fn mirror_settings(settings: &IndexSettings) -> MirrorSettings {
    let flag = |key: &str| settings.get(key).is_some_and(python::is_truthy);
    let (url, login) = settings.get("mirror_url").and_then(Value::as_str).map_or((None, None), read_url);
    MirrorSettings {
        url,
        login,
        cache_expiry: settings
            .get("mirror_cache_expiry")
            .and_then(Value::as_i64)
            .map(|seconds| Duration::from_secs(seconds.max(0).unsigned_abs())),
        has_project_list: !flag("mirror_no_project_list"),
        ignores_serial: flag("mirror_ignore_serial_header"),
        uses_external_urls: flag("mirror_use_external_urls"),
    }
}

/// The URL of an upstream with a slash at its end and without credentials, and the credentials.
fn read_url(text: &str) -> (Option<Url>, Option<Login>) {
    let Ok(mut url) = Url::parse(text) else { return (None, None) };
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let login = (!url.username().is_empty() || url.password().is_some()).then(|| Login {
        user: decode(url.username()),
        password: SecretString::from(decode(url.password().unwrap_or_default())),
    });
    // Fails only for URLs without a host, which HTTP URLs have.
    let removed = url.set_username("").and_then(|()| url.set_password(None));
    if removed.is_err() || !url.has_host() {
        return (None, None);
    }
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    (Some(url), login)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::index_config::IndexConfig;
    use secrecy::ExposeSecret;
    use serde_json::json;

    fn create(asked: &Value) -> Result<IndexConfig, ConfigError> {
        IndexConfig::create("alice", asked.as_object().unwrap())?.accept()
    }

    #[test]
    fn a_mirror_has_the_keys_that_it_is_given() {
        let config = create(&json!({
            "type": "mirror", "mirror_url": "http://upstream.example/simple", "mirror_cache_expiry": "0",
            "bases": "x", "acl_upload": "y", "mirror_no_project_list": "no", "mirror_ignore_serial_header": "True",
            "mirror_web_url_fmt": "http://x/{name}", "title": "M", "pypi_whitelist": "x"
        }));
        assert_eq!(
            Value::Object(config.unwrap().into_shown()),
            json!({"type": "mirror", "volatile": true, "mirror_url": "http://upstream.example/simple",
                   "mirror_cache_expiry": 0, "mirror_no_project_list": false, "mirror_ignore_serial_header": true,
                   "mirror_web_url_fmt": "http://x/{name}", "title": "M"})
        );
    }

    #[test]
    fn bad_values_are_named_as_devpi_names_them() {
        for (asked, text) in [
            (json!({"mirror_url": "ftp://x"}), "'mirror_url' option must be a URL."),
            (json!({"mirror_url": 1}), "'mirror_url' option must be a URL."),
            (json!({"mirror_url": "https:///u:p@upstream.example/"}), "'mirror_url' option must be a URL."),
            (json!({"mirror_cache_expiry": "a"}), "'mirror_cache_expiry' option must be an integer"),
            (json!({"mirror_no_project_list": "maybe"}), "Unknown boolean value 'maybe'."),
            (json!({"mirror_foo": 1}), "indexconfig got unexpected keyword arguments: mirror_foo=1"),
            (
                json!({"acl_toxresult_upload": "z"}),
                "indexconfig got unexpected keyword arguments: acl_toxresult_upload=z",
            ),
        ] {
            let mut asked = asked;
            asked["type"] = "mirror".into();
            assert_eq!(create(&asked).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let url = "https://us%40er:p%3Aw@upstream.example:8443/simple?x=y";
        let config = create(&json!({"type": "mirror", "mirror_url": url})).unwrap();
        let settings = config.mirror_settings();
        assert_eq!(settings.url.unwrap().as_str(), "https://upstream.example:8443/simple/?x=y");
        let login = settings.login.unwrap();
        assert_eq!((login.user.as_str(), login.password.expose_secret()), ("us@er", "p:w"));
        let shown = config.clone().into_shown();
        assert_eq!(shown["mirror_url"], "https://*****@upstream.example:8443/simple?x=y");

        // What was shown may be sent back.
        let same = config.patched(&Value::Object(shown)).unwrap().accept().unwrap();
        assert_eq!(same.settings()["mirror_url"], url);
        let moved = json!(["mirror_url=https://*****@upstream.example:8443/pypi/"]);
        let moved = config.patched(&moved).unwrap().accept().unwrap();
        assert_eq!(moved.settings()["mirror_url"], "https://us%40er:p%3Aw@upstream.example:8443/pypi/");
        let elsewhere = json!(["mirror_url=https://*****@evil.example/simple"]);
        assert_eq!(config.patched(&elsewhere).unwrap_err(), ConfigError::MirrorCredentials);
        let plain =
            config.patched(&json!(["mirror_url=https://upstream.example/"])).unwrap().accept().unwrap();
        assert!(plain.mirror_settings().login.is_none());
    }

    #[test]
    fn a_mirror_may_lose_what_it_need_not_have() {
        let config =
            create(&json!({"type": "mirror", "mirror_url": "http://x", "mirror_cache_expiry": 5})).unwrap();
        let patched =
            config.patched(&json!(["mirror_cache_expiry-=", "mirror_url-="])).unwrap().accept().unwrap();
        assert_eq!(Value::Object(patched.into_shown()), json!({"type": "mirror", "volatile": true}));
        let error = config.patched(&json!(["volatile-="])).unwrap_err();
        assert_eq!(error, ConfigError::DropDefault);
    }
}
