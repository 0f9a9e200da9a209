//! The role of a node among others.

use clap::{Args, ValueEnum};
use tracing::warn;
use url::Url;

/// The role of a node among others.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Role")]
pub struct RoleOptions {
    /// Role of this node. With `standalone`, the data of a replica become those of a server on its own.
    #[arg(long, value_enum, value_name = "ROLE", default_value_t = Role::Auto)]
    pub role: Role,

    /// The primary whose replica this node is; there are no replicas yet.
    #[arg(long, value_name = "URL", hide = true)]
    pub primary_url: Option<String>,

    #[arg(long, value_name = "URL", hide = true)]
    master_url: Option<String>,
}

/// The role of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// As the data says.
    Auto,
    /// On its own.
    Standalone,
    /// Followed by replicas.
    #[value(alias = "master")]
    Primary,
    /// Following a primary.
    Replica,
}

/// Why a node cannot have the role that is asked for. The texts are devpi's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// Two ways to say the same.
    #[error("Can't use both --master-url and --primary-url")]
    Both,
    /// The URL has a password, which would be sent and shown.
    #[error("configuration error, basic authorization in primary URL is not supported")]
    LoginInUrl,
    /// A primary is named for data that are not those of a replica.
    #[error("configuration error, primary URL set in nodeinfo, but role isn't set to replica")]
    UrlWithoutReplica,
    /// A replica without a primary.
    #[error("configuration error, primary URL isn't set in nodeinfo, but role is set to replica")]
    ReplicaWithoutUrl,
    /// A replica's data come from its primary alone.
    #[error("cannot run as replica, was previously run as {0}")]
    WasNoReplica(String),
    /// No primary is named.
    #[error("need to specify --primary-url to run as replica")]
    NoUrl,
    /// Not there yet.
    #[error(
        "running as a replica is not supported yet by this server; --role standalone goes on with the data of a \
         replica without its primary"
    )]
    Unsupported,
}

/// What is kept about the role of a node.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoredRole<'a> {
    /// Its name; `None` for a new node.
    pub role: Option<&'a str>,
    /// The primary of a replica.
    pub primary_url: Option<&'a str>,
}

impl RoleOptions {
    /// Whether the node can have the role that is asked for.
    ///
    /// It is on its own then, whatever it was before: also if the protocol for replicas is asked for, there are none.
    pub fn check(&self, stored: StoredRole<'_>) -> Result<(), RoleError> {
        if self.master_url.is_some() {
            if self.primary_url.is_some() {
                return Err(RoleError::Both);
            }
            warn!("The --master-url option is deprecated, use --primary-url instead.");
        }
        let given = self.primary_url.as_deref().or(self.master_url.as_deref()).filter(|url| !url.is_empty());
        let url = given.or(stored.primary_url);
        let has_login = |url: &str| {
            Url::parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
        };
        if url.is_some_and(has_login) {
            return Err(RoleError::LoginInUrl);
        }
        match (self.role, stored.role) {
            (Role::Auto, None) if url.is_some() => Err(RoleError::Unsupported),
            (Role::Auto, Some("replica")) if url.is_none() => Err(RoleError::ReplicaWithoutUrl),
            (Role::Auto | Role::Replica, Some("replica")) => Err(RoleError::Unsupported),
            (Role::Auto, Some(_)) if url.is_some() => Err(RoleError::UrlWithoutReplica),
            (Role::Replica, Some(other)) => Err(RoleError::WasNoReplica(other.to_owned())),
            (Role::Replica, None) if url.is_none() => Err(RoleError::NoUrl),
            (Role::Replica, None) => Err(RoleError::Unsupported),
            (Role::Auto | Role::Standalone | Role::Primary, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_follow_what_the_node_was() {
        use Role::{Auto, Primary, Replica, Standalone};
        let url = Some("http://primary.example");
        for (role, given, stored, expected) in [
            (Auto, None, None, Ok(())),
            (Auto, None, Some("standalone"), Ok(())),
            (Auto, None, Some("primary"), Ok(())),
            (Auto, url, None, Err(RoleError::Unsupported)),
            (Auto, url, Some("standalone"), Err(RoleError::UrlWithoutReplica)),
            (Auto, url, Some("replica"), Err(RoleError::Unsupported)),
            (Auto, None, Some("replica"), Err(RoleError::ReplicaWithoutUrl)),
            (Replica, url, Some("master"), Err(RoleError::WasNoReplica("master".to_owned()))),
            (Replica, None, None, Err(RoleError::NoUrl)),
            (Replica, url, None, Err(RoleError::Unsupported)),
            (Standalone, None, Some("replica"), Ok(())),
            (Primary, None, Some("replica"), Ok(())),
            (Primary, None, None, Ok(())),
            (Auto, Some("http://a:b@primary.example"), None, Err(RoleError::LoginInUrl)),
        ] {
            let options = RoleOptions { role, primary_url: given.map(str::to_owned), master_url: None };
            let found = options.check(StoredRole { role: stored, primary_url: None });
            assert_eq!(found, expected, "{role:?} {given:?} {stored:?}");
        }
        let both = RoleOptions {
            role: Auto,
            primary_url: Some("http://a.example".to_owned()),
            master_url: Some("http://a.example".to_owned()),
        };
        assert_eq!(both.check(StoredRole::default()), Err(RoleError::Both));
        let options = RoleOptions { role: Auto, primary_url: None, master_url: None };
        let stored = StoredRole { role: Some("replica"), primary_url: url };
        assert_eq!(options.check(stored), Err(RoleError::Unsupported));
    }
}
