//! Where the server listens, and how it is seen from outside.

use std::fs;
use std::io::{Error, ErrorKind};
use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::http::server::Listener;
use crate::http::{HttpSettings, TrustedProxies, TrustedProxyError};

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 3141;

/// Where the server listens, and how it is seen from outside.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Listening")]
pub struct ListenOptions {
    /// Host name or address to listen on; `localhost` means its IPv4 and IPv6 addresses.
    #[arg(long, value_name = "HOST", default_value = DEFAULT_HOST)]
    pub host: String,

    /// Port to listen on; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    pub port: u16,

    /// Address and port to listen on, such as `127.0.0.1:3141`, `[::1]:3141` or `*:80`. May be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Vec<String>,

    /// Path of a Unix domain socket to listen on. With the default host and port nothing else is listened on.
    #[arg(long, value_name = "PATH")]
    pub unix_socket: Option<PathBuf>,

    /// Permissions of the Unix domain socket, octal.
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = parse_octal)]
    pub unix_socket_perms: u32,

    /// How many threads may wait for disk and database at once.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub threads: usize,

    /// The URL of the server as clients see it, if a reverse proxy makes it another one.
    #[arg(long, value_name = "URL")]
    pub outside_url: Option<String>,

    /// Make links in simple pages absolute.
    #[arg(long)]
    pub absolute_urls: bool,

    /// Address of the reverse proxy whose headers on scheme, host and client are believed; `localhost` for one on a
    /// Unix domain socket, `*` for any.
    #[arg(long, value_name = "ADDRESS")]
    pub trusted_proxy: Option<String>,

    /// How many trusted proxies there are, one behind the other.
    #[arg(long, value_name = "COUNT")]
    pub trusted_proxy_count: Option<usize>,

    /// The headers that the trusted proxies set, separated by spaces: some of x-forwarded-for, x-forwarded-host,
    /// x-forwarded-proto, x-forwarded-port and x-forwarded-by, or forwarded alone; by default x-forwarded-proto.
    #[arg(long, value_name = "NAMES")]
    pub trusted_proxy_headers: Option<String>,

    /// Location at which nginx has the directory `files` of the serverdir, such as `/+stored/`. Answers name files
    /// below it in the header X-Accel-Redirect instead of sending them, so clients must come through nginx then.
    #[arg(long, value_name = "LOCATION", value_parser = parse_location)]
    pub x_accel_redirect: Option<String>,
}

/// Where the server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// Over TCP.
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// At a Unix domain socket.
    Unix(PathBuf),
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Two ways to say the same.
    #[error("You can use either --listen or --host/--port, not both together.")]
    Both,
    /// Not of the form host:port.
    #[error("--listen {0}: not of the form HOST:PORT")]
    Malformed(String),
    /// The address cannot be used.
    #[error("cannot listen on {address}: {cause}")]
    Unusable {
        /// The address.
        address: String,
        /// Why.
        cause: Error,
    },
}

impl ListenOptions {
    /// How URLs are built.
    pub fn http_settings(&self) -> Result<HttpSettings, TrustedProxyError> {
        let trusted_proxies = TrustedProxies::new(
            self.trusted_proxy.as_deref(),
            self.trusted_proxy_count,
            self.trusted_proxy_headers.as_deref(),
        )?;
        Ok(HttpSettings {
            outside_url: self.outside_url.clone(),
            absolute_urls: self.absolute_urls,
            trusted_proxies,
            x_accel_redirect: self.x_accel_redirect.clone(),
        })
    }

    /// Where a reverse proxy on this machine finds the server: its first address.
    pub fn first_address(&self) -> Result<ServerAddress, ListenError> {
        if let Some(path) = &self.unix_socket {
            return Ok(ServerAddress::Unix(path.clone()));
        }
        let (host, port) = match self.listen.first() {
            Some(address) => split_address(address).ok_or_else(|| ListenError::Malformed(address.clone()))?,
            None => (&*self.host, self.port),
        };
        let host = if matches!(host, "*" | "" | "0.0.0.0" | "::") { DEFAULT_HOST } else { host };
        Ok(ServerAddress::Tcp { host: host.to_owned(), port })
    }

    /// Whether the options fit together.
    pub fn check(&self) -> Result<(), ListenError> {
        if !self.listen.is_empty() && !self.has_default_address() {
            return Err(ListenError::Both);
        }
        Ok(())
    }

    fn has_default_address(&self) -> bool {
        self.host == DEFAULT_HOST && self.port == DEFAULT_PORT
    }

    /// Binds all sockets. Returns them with the URLs or paths under which they are reached.
    pub fn bind(&self) -> Result<Vec<(Listener, String)>, ListenError> {
        self.check()?;
        let mut bound = Vec::new();
        if let Some(path) = &self.unix_socket {
            let address = format!("unix:{}", path.display());
            let listener = bind_unix(path, self.unix_socket_perms);
            let listener =
                listener.map_err(|cause| ListenError::Unusable { address: address.clone(), cause })?;
            bound.push((Listener::Unix(listener), address));
        }
        if self.listen.is_empty() && !(self.has_default_address() && self.unix_socket.is_some()) {
            bind_tcp(&self.host, self.port, &mut bound)?;
        }
        for address in &self.listen {
            let (host, port) =
                split_address(address).ok_or_else(|| ListenError::Malformed(address.clone()))?;
            bind_tcp(host, port, &mut bound)?;
        }
        Ok(bound)
    }
}

/// Binds all addresses of a host name. One of several may fail, as `::1` does where there is no IPv6.
fn bind_tcp(host: &str, port: u16, bound: &mut Vec<(Listener, String)>) -> Result<(), ListenError> {
    let address = format!("{host}:{port}");
    let unusable = |cause| ListenError::Unusable { address: address.clone(), cause };
    let host = if matches!(host, "*" | "") { "0.0.0.0" } else { host };
    let before = bound.len();
    let mut last_error = Error::from(ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs().map_err(unusable)? {
        match TcpListener::bind(address).and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((address, listener)) => bound.push((Listener::Tcp(listener), format!("http://{address}"))),
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(unusable(error)),
            Err(error) => last_error = error,
        }
    }
    if bound.len() == before { Err(unusable(last_error)) } else { Ok(()) }
}

/// Binds a Unix domain socket, in the place of one that a dead process has left.
fn bind_unix(path: &Path, mode: u32) -> std::io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
        && UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?))
}

fn parse_octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("not an octal number of at most 777".to_owned()),
    }
}

/// A location of nginx with a slash at its end.
fn parse_location(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-_.".contains(&byte);
    if !text.starts_with('/') || text.len() < 2 || !text.bytes().all(is_plain) {
        return Err("not a path of letters, digits and any of +-_. that begins with a slash".to_owned());
    }
    Ok(format!("{}/", text.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_paths() {
        assert_eq!(parse_location("/+stored").as_deref(), Ok("/+stored/"));
        assert_eq!(parse_location("/a/b/").as_deref(), Ok("/a/b/"));
        for bad in ["", "/", "stored", "/a b", "/a;", "/\u{e9}"] {
            assert!(parse_location(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        assert_eq!(split_address("127.0.0.1:80"), Some(("127.0.0.1", 80)));
        assert_eq!(split_address("[::1]:80"), Some(("::1", 80)));
        assert_eq!(split_address("*:80"), Some(("*", 80)));
        for bad in ["localhost", "localhost:", "localhost:99999", ":x"] {
            assert_eq!(split_address(bad), None, "{bad}");
        }
    }
}
