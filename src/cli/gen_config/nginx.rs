//! nginx in front of devpi-server.

use url::{Host, Url};

use super::quote;
use crate::cli::console::Fatal;
use crate::cli::serve::ServerOptions;
use crate::config::ServerAddress;

/// Where nginx keeps pages.
const CACHE_PATH: &str = "/var/cache/nginx-devpi";

/// The server that the outside world sees.
struct Outside {
    names: String,
    listen: String,
    /// The path below which devpi-server is, without a slash at its end.
    prefix: String,
}

/// The files without and with a cache for pages.
pub(super) fn write(options: &ServerOptions, serverdir: &str) -> Result<(String, String), Fatal> {
    let outside = Outside::of(options.listen.outside_url.as_deref())?;
    if options.listen.x_accel_redirect == Some(format!("{}/", outside.prefix)) {
        let text = "--x-accel-redirect must not be the path of --outside-url, below which everything else is";
        return Err(Fatal::new(text));
    }
    let stored = match &options.listen.x_accel_redirect {
        Some(_) if serverdir.contains('$') => {
            let text = format!(
                "nginx takes the $ in '{serverdir}' for a variable; move the data for --x-accel-redirect"
            );
            return Err(Fatal::new(text));
        }
        Some(location) => include_str!("templates/nginx-stored.conf")
            .replace("@LOCATION@", location)
            .replace("@FILES@", &quote::for_nginx(&format!("{serverdir}/files/"))),
        None => String::new(),
    };
    let address = match options.listen.first_address().map_err(Fatal::new)? {
        ServerAddress::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        ServerAddress::Tcp { host, port } => format!("{host}:{port}"),
        ServerAddress::Unix(path) => {
            let path = std::path::absolute(&path).map_err(Fatal::new)?;
            format!("unix:{}", path.display())
        }
    };
    // What a push to another server may take, and a margin.
    let read_seconds = (options.limits.max_push_time + 60).to_string();
    // Before devpi-server closes them, so that no request goes to one that is just being closed.
    let keepalive = match options.limits.keep_alive_timeout * 3 / 4 {
        0 => String::new(),
        seconds => format!("    keepalive 32;\n    keepalive_timeout {}s;\n", seconds.min(60)),
    };
    let fill = |other: &str, cache: &str, locations: &str| {
        include_str!("templates/nginx-devpi.conf")
            .replace("@OTHER@", other)
            .replace("@KEEPALIVE@", &keepalive)
            .replace("@ADDRESS@", &quote::for_nginx(&address))
            .replace("@READ_SECONDS@", &read_seconds)
            .replace("@SERVER_NAME@", &outside.names)
            .replace("@LISTEN@", &outside.listen)
            .replace("@CACHE@", cache)
            .replace("@LOCATIONS@", locations)
            .replace("@PREFIX@", &outside.prefix)
    };
    let cache = include_str!("templates/nginx-cache.conf").replace("@CACHE_PATH@", CACHE_PATH);
    let pattern = outside.prefix.replace('.', "\\.").replace('+', "\\+");
    let pages = include_str!("templates/nginx-cached-pages.conf").replace("@PREFIX_PATTERN@", &pattern);
    let caching = fill("nginx-devpi.conf", &cache, &format!("{pages}{stored}"));
    Ok((fill("nginx-devpi-caching.conf", "", &stored), caching))
}

impl Outside {
    fn of(url: Option<&str>) -> Result<Self, Fatal> {
        let Some(text) = url else {
            return Ok(Self {
                names: "localhost $hostname \"\"".to_owned(),
                listen: "    listen 80;".to_owned(),
                prefix: String::new(),
            });
        };
        let malformed = || Fatal::new(format!("--outside-url {text}: not of the form http://HOST/PATH"));
        let url = Url::parse(text).map_err(|_| malformed())?;
        let (host, port) = url.host().zip(url.port_or_known_default()).ok_or_else(malformed)?;
        let prefix = url.path().trim_end_matches('/').to_owned();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-_.".contains(&byte);
        if !prefix.bytes().all(is_plain) {
            return Err(malformed());
        }
        // Of a URL that only this machine can use nobody else needs to know.
        let local = match &host {
            Host::Domain("localhost") => Some("127.0.0.1:".to_owned()),
            Host::Ipv4(address) if address.is_loopback() => Some(format!("{address}:")),
            Host::Ipv6(address) if address.is_loopback() => Some(format!("[{address}]:")),
            _ => None,
        };
        let address = format!("{}{port}", local.unwrap_or_default());
        let listen = match url.scheme() {
            "https" => format!(
                "    listen {address} ssl;\n    # Adjust these to where your certificate and its key are.\n    \
                 ssl_certificate /etc/ssl/certs/{host}.pem;\n    ssl_certificate_key /etc/ssl/private/{host}.key;"
            ),
            _ => format!("    listen {address};"),
        };
        Ok(Self { names: format!("{host} $hostname \"\""), listen, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_where_the_url_says() {
        let parts = |url| {
            let Outside { names, listen, prefix } = Outside::of(url).unwrap();
            (
                names.split(' ').next().unwrap().to_owned(),
                listen.lines().next().unwrap().trim().to_owned(),
                prefix,
            )
        };
        let expected = |names: &str, listen: &str, prefix: &str| {
            (names.to_owned(), listen.to_owned(), prefix.to_owned())
        };
        assert_eq!(parts(None), expected("localhost", "listen 80;", ""));
        assert_eq!(parts(Some("http://p.example:8080/a/b/")), expected("p.example", "listen 8080;", "/a/b"));
        assert_eq!(parts(Some("https://p.example")), expected("p.example", "listen 443 ssl;", ""));
        assert_eq!(parts(Some("http://127.0.0.1:81/")), expected("127.0.0.1", "listen 127.0.0.1:81;", ""));
        for bad in ["p.example", "http://p.example/a;b", "mailto:a@b"] {
            assert!(Outside::of(Some(bad)).is_err(), "{bad}");
        }
    }
}
