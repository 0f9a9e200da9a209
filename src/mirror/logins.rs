//! Logins for upstreams that come from the administrator: lines with URLs, and netrc files.
//!
//! Each is for one host and is sent nowhere else, so that whoever may change a mirror cannot have it sent elsewhere.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::{Origin, Url};

use super::settings::Login;

/// Logins by host.
#[derive(Clone, Debug, Default)]
pub struct Logins {
    by_origin: Vec<(Origin, Login)>,
    by_host: Vec<(String, Login)>,
}

/// A line that is no URL with a login.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0}: not of the form https://USER:PASSWORD@HOST/")]
pub struct LoginLineError(pub usize);

impl Logins {
    /// Adds lines of the form `https://USER:PASSWORD@HOST:PORT/`, percent-encoded where needed. Empty lines and those
    /// that begin with `#` do not count.
    pub fn add_lines(&mut self, text: &str) -> Result<(), LoginLineError> {
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let error = LoginLineError(number + 1);
            let Ok(url) = Url::parse(line) else { return Err(error) };
            if !matches!(url.scheme(), "http" | "https") || url.username().is_empty() {
                return Err(error);
            }
            let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
            let password = SecretString::from(decode(url.password().unwrap_or_default()));
            self.by_origin.push((url.origin(), Login { user: decode(url.username()), password }));
        }
        Ok(())
    }

    /// Adds the `machine` entries of a netrc file. `default` does not count: it would be sent to any host.
    pub fn add_netrc(&mut self, text: &str) {
        let without_comments = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let mut words = without_comments.flat_map(str::split_whitespace);
        let mut entry: Option<(String, String, String)> = None;
        while let Some(word) = words.next() {
            match word {
                "machine" | "default" => {
                    self.finish_netrc_entry(entry.take());
                    if word == "machine" {
                        entry = words.next().map(|host| (host.to_lowercase(), String::new(), String::new()));
                    }
                }
                "login" | "password" | "account" => {
                    let value = words.next().unwrap_or_default().trim_matches('"').to_owned();
                    match (&mut entry, word) {
                        (Some((_, user, _)), "login") => *user = value,
                        (Some((_, _, password)), "password") => *password = value,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        self.finish_netrc_entry(entry);
    }

    fn finish_netrc_entry(&mut self, entry: Option<(String, String, String)>) {
        if let Some((host, user, password)) = entry.filter(|(_, user, _)| !user.is_empty()) {
            self.by_host.push((host, Login { user, password: password.into() }));
        }
    }

    /// The login for a URL: of its scheme, host and port, else of its host.
    pub fn find(&self, url: &Url) -> Option<&Login> {
        let by_origin = self.by_origin.iter().find(|(origin, _)| *origin == url.origin());
        let host = url.host_str()?;
        by_origin
            .map(|(_, login)| login)
            .or_else(|| self.by_host.iter().find(|(name, _)| name == host).map(|(_, login)| login))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn found(logins: &Logins, url: &str) -> Option<String> {
        let login = logins.find(&url.parse().unwrap())?;
        Some(format!("{}:{}", login.user, login.password.expose_secret()))
    }

    #[test]
    fn lines_are_for_scheme_host_and_port() {
        let mut logins = Logins::default();
        logins
            .add_lines("# ours\n\nhttps://a%40b:p%3Aw@upstream.example/simple/\nhttp://u@127.0.0.1:8080\n")
            .unwrap();
        assert_eq!(found(&logins, "https://upstream.example/files/x").as_deref(), Some("a@b:p:w"));
        assert_eq!(found(&logins, "http://127.0.0.1:8080/x").as_deref(), Some("u:"));
        for other in ["http://upstream.example/", "https://upstream.example:444/", "http://127.0.0.1/"] {
            assert_eq!(found(&logins, other), None, "{other}");
        }
        for (bad, line) in
            [("nonsense", 1), ("\nhttps://upstream.example/", 2), ("ftp://u:p@upstream.example", 1)]
        {
            assert_eq!(Logins::default().add_lines(bad), Err(LoginLineError(line)), "{bad}");
        }
    }

    #[test]
    fn netrc_entries_are_for_a_host() {
        let mut logins = Logins::default();
        logins.add_netrc(
            "# x\nmachine upstream.example login alice password secret\nmachine\n  b.example login b\n\
             password \"pw\" account x\ndefault login anyone password everything\nmachine c.example password x",
        );
        assert_eq!(found(&logins, "https://upstream.example:1/").as_deref(), Some("alice:secret"));
        assert_eq!(found(&logins, "http://b.example/").as_deref(), Some("b:pw"));
        assert_eq!(found(&logins, "http://c.example/"), None);
        assert_eq!(found(&logins, "http://other.example/"), None);
    }
}
