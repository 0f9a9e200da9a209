//! What a mirror is: its index, its upstream, and how it is to be treated.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::storage::model::{IndexName, Serial};

/// A user name with a password for an upstream.
#[derive(Clone)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: SecretString,
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Login(…)")
    }
}

/// What the configuration of a mirror means.
#[derive(Clone, Debug)]
pub struct MirrorSettings {
    /// The upstream's simple index, with a slash at its end and without credentials. `None` if there is none, or none
    /// that can be asked.
    pub url: Option<Url>,
    /// What to log in with there.
    pub login: Option<Login>,
    /// How long what the upstream said counts before it is asked again, if not as long as for all mirrors.
    pub cache_expiry: Option<Duration>,
    /// Whether the upstream lists its projects.
    pub has_project_list: bool,
    /// Whether pages are taken that are older, by `X-PyPI-Last-Serial`, than the one that is held.
    pub ignores_serial: bool,
    /// Whether clients are sent to the upstream for files that are not here.
    pub uses_external_urls: bool,
}

impl MirrorSettings {
    /// The upstream as it is noted beside what it said: its URL, or nothing.
    pub fn source(&self) -> Arc<str> {
        self.url.as_ref().map_or("", Url::as_str).into()
    }
}

/// An index that shows what an upstream has.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Its name.
    pub index: IndexName,
    /// When its configuration was last changed.
    pub changed_at: Serial,
    /// Its configuration.
    pub settings: MirrorSettings,
}

impl Mirror {
    /// The upstream as it is noted beside what it said: what another one said does not count.
    pub(super) fn source(&self) -> Arc<str> {
        self.settings.source()
    }

    /// The page of a project, by its normalised name.
    pub(super) fn page_url(&self, project: &str) -> Option<Url> {
        let mut url = self.settings.url.clone()?;
        url.set_path(&format!("{}{project}/", url.path()));
        Some(url)
    }

    /// The login for a URL, if that is of the upstream itself: scheme, host and port.
    pub(super) fn login_for(&self, url: &Url) -> Option<&Login> {
        let own = self.settings.url.as_ref()?;
        self.settings.login.as_ref().filter(|_| own.origin() == url.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_for_its_origin_only() {
        let settings = MirrorSettings {
            url: Some("https://upstream.example/simple/?t=1".parse().unwrap()),
            login: Some(Login { user: "u".to_owned(), password: "p".into() }),
            cache_expiry: None,
            has_project_list: true,
            ignores_serial: false,
            uses_external_urls: false,
        };
        let mirror = Mirror { index: IndexName::new("root", "pypi"), changed_at: Serial(0), settings };
        assert_eq!(mirror.page_url("demo").unwrap().as_str(), "https://upstream.example/simple/demo/?t=1");
        for (url, expected) in [
            ("https://upstream.example/files/x", true),
            ("https://upstream.example:443/", true),
            ("http://upstream.example/", false),
            ("https://upstream.example:8443/", false),
            ("https://files.upstream.example/", false),
        ] {
            assert_eq!(mirror.login_for(&url.parse().unwrap()).is_some(), expected, "{url}");
        }
        assert_eq!(format!("{:?}", mirror.settings.login), "Some(Login(…))");
    }
}
