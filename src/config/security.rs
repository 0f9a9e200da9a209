//! Who may do what, and what logins rest on.

use std::path::{Path, PathBuf};

use clap::Args;

use super::storage::path_in_home;
use crate::auth::secret::KeyCost;
use crate::domain::acl::AccessPolicy;

/// Who may do what, and what logins rest on.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Security")]
pub struct SecurityOptions {
    /// File with the secret from which login tokens are signed; see devpi-gen-secret. Without one, logins end when
    /// the server stops.
    #[arg(long, value_name = "FILE", value_parser = path_in_home)]
    secretfile: Option<PathBuf>,

    /// Users and :groups, separated by commas, who alone may create and change users and indexes.
    #[arg(long, value_name = "NAMES")]
    pub restrict_modify: Option<String>,

    /// Memory in KiB for deriving the token key; must be the same on all servers with the same secret.
    #[arg(long, value_name = "KIB", default_value_t = 524_288, hide = true)]
    pub argon2_memory_cost: u32,

    /// Lanes for deriving the token key.
    #[arg(long, value_name = "COUNT", default_value_t = 8, hide = true)]
    pub argon2_parallelism: u32,

    /// Passes for deriving the token key.
    #[arg(long, value_name = "COUNT", default_value_t = 16, hide = true)]
    pub argon2_time_cost: u32,
}

impl SecurityOptions {
    /// The file with the secret; an empty name is none.
    pub fn secretfile(&self) -> Option<&Path> {
        self.secretfile.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    /// The permissions.
    pub fn policy(&self) -> AccessPolicy {
        let split = |names: &String| {
            names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        AccessPolicy { restrict_modify: self.restrict_modify.as_ref().map(split) }
    }

    /// The cost of deriving the token key.
    pub fn key_cost(&self) -> KeyCost {
        KeyCost {
            memory: self.argon2_memory_cost,
            time: self.argon2_time_cost,
            parallelism: self.argon2_parallelism,
        }
    }
}
