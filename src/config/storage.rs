//! Where data is, and with what a new server starts.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::Args;

/// The storage of devpi-server when nothing else is said.
const DEFAULT_STORAGE: &str = "sqlite";

/// Where data is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Storage")]
pub struct StorageOptions {
    /// Directory with all data of the server.
    #[arg(long, value_name = "DIR", default_value = "~/.devpi/server")]
    pub serverdir: String,

    /// How metadata are stored. There is one way so far.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_STORAGE, hide = true)]
    pub storage: String,
}

impl StorageOptions {
    /// The directory with all data; a leading `~` stands for `home`.
    pub fn serverdir(&self, home: Option<PathBuf>) -> PathBuf {
        expand_home(&self.serverdir, home)
    }

    /// The name of the storage if it is another one than the default, without its settings.
    pub fn named_backend(&self) -> Option<&str> {
        Some(self.backend()).filter(|name| *name != DEFAULT_STORAGE)
    }

    /// The name of the storage, without its settings.
    pub fn backend(&self) -> &str {
        self.storage.split(':').next().unwrap_or_default()
    }
}

/// A path in which a leading `~` stands for the home directory, as a value of an option.
pub fn path_in_home(text: &str) -> Result<PathBuf, Infallible> {
    Ok(expand_home(text, std::env::home_dir()))
}

fn expand_home(text: &str, home: Option<PathBuf>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home,
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    }
}

/// With what a new server starts.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Initialisation")]
pub struct InitOptions {
    /// Do not create root/pypi, the mirror of PyPI.
    #[arg(long)]
    pub no_root_pypi: bool,

    /// Password of the user root.
    #[arg(long, value_name = "PASSWORD", default_value = "", hide_default_value = true)]
    pub root_passwd: String,

    /// Password hash of the user root; wins over --root-passwd.
    #[arg(long, value_name = "HASH", hide_default_value = true)]
    pub root_passwd_hash: Option<String>,
}
