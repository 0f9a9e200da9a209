//! How upstreams of mirrors are treated.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::mirror::{self, LoginLineError, Logins, MirrorLimits};

/// How upstreams of mirrors are treated.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Mirrors")]
pub struct MirrorOptions {
    /// How long what an upstream said counts before it is asked again, in seconds; a mirror may say otherwise.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    pub mirror_cache_expiry: u64,

    /// How long a client waits for an upstream, and for the next bytes of a file from there, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub request_timeout: u64,

    /// How long a client waits for the list of all projects of an upstream, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub project_list_timeout: u64,

    /// Do not ask upstreams; show what is here.
    #[arg(long)]
    pub offline_mode: bool,

    /// File with logins for upstreams: lines of the form `https://USER:PASSWORD@HOST/`. Each is sent to its host only.
    #[arg(long, value_name = "FILE")]
    pub mirror_credentials_file: Option<PathBuf>,

    /// The same lines in an environment variable.
    #[arg(long, value_name = "LINES", hide_default_value = true, default_value = "")]
    pub mirror_credentials: SecretLines,

    /// A netrc file with logins for upstreams; the variable `NETRC` names one as well.
    #[arg(long, value_name = "FILE")]
    pub mirror_netrc: Option<PathBuf>,
}

/// A value that is not to be seen in logs.
#[derive(Clone)]
pub struct SecretLines(SecretString);

impl std::fmt::Debug for SecretLines {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretLines(…)")
    }
}

impl From<String> for SecretLines {
    fn from(lines: String) -> Self {
        Self(lines.into())
    }
}

/// Why logins cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read '{path}': {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A line of the file is malformed.
    #[error("'{path}', {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// Which line.
        cause: LoginLineError,
    },
    /// A line of the value is malformed.
    #[error("--mirror-credentials, {0}")]
    Value(LoginLineError),
}

impl MirrorOptions {
    /// What mirrors need to know. `netrc` is the value of the variable `NETRC`.
    pub fn mirrors(
        &self,
        limits: MirrorLimits,
        more_authorities: Option<PathBuf>,
        netrc: Option<PathBuf>,
    ) -> Result<mirror::MirrorOptions, CredentialsError> {
        Ok(mirror::MirrorOptions {
            cache_expiry: Duration::from_secs(self.mirror_cache_expiry),
            request_timeout: Duration::from_secs(self.request_timeout),
            list_timeout: Duration::from_secs(self.project_list_timeout),
            offline: self.offline_mode,
            logins: self.logins(netrc)?,
            more_authorities,
            limits,
        })
    }

    fn logins(&self, netrc: Option<PathBuf>) -> Result<Logins, CredentialsError> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .map_err(|cause| CredentialsError::Unreadable { path: path.clone(), cause })
        };
        let mut logins = Logins::default();
        logins.add_lines(self.mirror_credentials.0.expose_secret()).map_err(CredentialsError::Value)?;
        if let Some(path) = &self.mirror_credentials_file {
            let file = |cause| CredentialsError::File { path: path.clone(), cause };
            logins.add_lines(&read(path)?).map_err(file)?;
        }
        if let Some(path) = self.mirror_netrc.clone().or(netrc) {
            logins.add_netrc(&read(&path)?);
        }
        Ok(logins)
    }
}
