//! Logins for upstreams that come from the administrator: lines with URLs, and netrc files.
//!
//! They are lent to mirrors whose `mirror_url` the administrator named, and are sent to no other host than the one they
//! are for: whoever may change a mirror can neither have them sent elsewhere nor read with them what they please. Netrc
//! files name hosts only, so their logins are for whatever is there.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use super::settings::Login;

/// Logins by host.
#[derive(Clone, Debug, Default)]
pub struct Logins {
    by_url: Vec<(Url, Login)>,
    by_host: Vec<(String, Login)>,
}

/// A line that is no URL with a login.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0}: not of the form https://USER:PASSWORD@HOST/")]
pub struct LoginLineError(pub usize);

impl Logins {
    /// Adds lines of the form `https://USER:PASSWORD@HOST:PORT/PATH/`, percent-encoded where needed. Empty lines and
    /// those that begin with `#` do not count.
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
            let login = Login { user: decode(url.username()), password };
            self.by_url.push((url, login));
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

    /// The login for a URL that a mirror with this `mirror_url` asks for.
    ///
    /// Lines count for a mirror if its URL lies below that of one of them; then each is for its scheme, host and port.
    /// An entry of a netrc file counts for the host of the mirror's URL, at all ports and for all paths, as such files do.
    pub fn find(&self, mirror_url: &Url, url: &Url) -> Option<&Login> {
        if self.by_url.iter().any(|(line, _)| lies_below(mirror_url, line)) {
            let own = self.by_url.iter().filter(|(line, _)| line.origin() == url.origin());
            let nearest =
                own.max_by_key(|(line, _)| if lies_below(url, line) { line.path().len() } else { 0 });
            if let Some((_, login)) = nearest {
                return Some(login);
            }
        }
        let host = url.host_str().filter(|_| mirror_url.origin() == url.origin())?;
        self.by_host.iter().find(|(name, _)| name == host).map(|(_, login)| login)
    }
}

/// Whether a URL is another one or lies below it, however the server reads its path.
fn lies_below(url: &Url, other: &Url) -> bool {
    let rest = url.path().strip_prefix(other.path().trim_end_matches('/'));
    let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
    url.origin() == other.origin() && rest.is_some_and(|rest| !leads_up(rest))
}

/// How often a path is decoded. Each time takes as long as the path is.
const MAX_DECODINGS: usize = 8;

/// Whether a path may lead to what is above it, for a server that decodes it, be it several times, or passes over what
/// stands behind a semicolon.
fn leads_up(path: &str) -> bool {
    let mut path = path.to_owned();
    for _ in 0..MAX_DECODINGS {
        let decoded = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        if decoded == path {
            return path.split(['/', '\\']).any(|segment| segment.split(';').next() == Some(".."));
        }
        path = decoded;
    }
    // Nobody means well who hides it so deep.
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn found(logins: &Logins, mirror_url: &str, url: &str) -> Option<String> {
        let login = logins.find(&mirror_url.parse().unwrap(), &url.parse().unwrap())?;
        Some(format!("{}:{}", login.user, login.password.expose_secret()))
    }

    #[test]
    fn lines_are_for_scheme_host_and_port() {
        let mut logins = Logins::default();
        logins
            .add_lines("# ours\n\nhttps://a%40b:p%3Aw@upstream.example/simple/\nhttp://u@127.0.0.1:8080\n")
            .unwrap();
        let mirror_url = "https://upstream.example/simple/team/";
        assert_eq!(
            found(&logins, mirror_url, "https://upstream.example/files/x").as_deref(),
            Some("a@b:p:w")
        );
        assert_eq!(found(&logins, mirror_url, "http://127.0.0.1:8080/x").as_deref(), Some("u:"));
        for other in ["http://upstream.example/", "https://upstream.example:444/", "http://127.0.0.1/"] {
            assert_eq!(found(&logins, mirror_url, other), None, "{other}");
        }
        // Mirrors of other things borrow nothing.
        for stranger in [
            "https://upstream.example/simple/..%2fprivate/",
            "https://upstream.example/simple/..%5Cprivate/",
            "https://upstream.example/simple/..%252Fprivate/",
            "https://upstream.example/simple/..;/private/",
            "https://upstream.example/simple/%25252525252525252525252Fx/",
            "https://upstream.example/simplest/",
            "https://upstream.example/",
            "http://other.example/simple/",
        ] {
            assert_eq!(found(&logins, stranger, "https://upstream.example/simple/x/"), None, "{stranger}");
        }
        for (bad, line) in
            [("nonsense", 1), ("\nhttps://upstream.example/", 2), ("ftp://u:p@upstream.example", 1)]
        {
            assert_eq!(Logins::default().add_lines(bad), Err(LoginLineError(line)), "{bad}");
        }
    }

    #[test]
    fn escaped_characters_are_no_obstacle() {
        let mut logins = Logins::default();
        let group = "https://upstream.example/projects/group%2Fproject/simple/";
        logins.add_lines(&group.replace("://", "://one:1@")).unwrap();
        logins.add_lines("https://two:2@upstream.example/projects/").unwrap();
        assert_eq!(found(&logins, group, group).as_deref(), Some("one:1"));
        let file = format!("{group}x%2F1..2%25/x.whl");
        assert_eq!(found(&logins, group, &file).as_deref(), Some("one:1"));
        let other = "https://upstream.example/projects/group%2Fother/";
        assert_eq!(found(&logins, other, other).as_deref(), Some("two:2"));
    }

    #[test]
    fn netrc_entries_are_for_a_host() {
        let mut logins = Logins::default();
        logins.add_netrc(
            "# x\nmachine upstream.example login alice password secret\nmachine\n  b.example login b\n\
             password \"pw\" account x\ndefault login anyone password everything\nmachine c.example password x",
        );
        let own = |url| found(&logins, url, url);
        assert_eq!(own("https://upstream.example:1/").as_deref(), Some("alice:secret"));
        assert_eq!(own("http://b.example/").as_deref(), Some("b:pw"));
        assert_eq!(own("http://c.example/"), None);
        assert_eq!(own("http://other.example/"), None);
        assert_eq!(found(&logins, "http://other.example/", "http://b.example/"), None);
    }
}
