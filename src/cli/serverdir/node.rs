//! What is kept about a node: `.nodeinfo`, as devpi writes it.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::write_json;
use crate::cli::console::Fatal;
use crate::config::{RoleOptions, StoredRole};

/// The name of the file.
pub(in crate::cli) const NODEINFO: &str = ".nodeinfo";

/// The role of a node that has no others.
const STANDALONE: &str = "standalone";

/// The role of a node that follows another one.
const REPLICA: &str = "replica";

/// The length of a node's uuid in bytes.
const UUID_BYTES: usize = 16;

/// What is kept about a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct NodeInfo {
    /// 32 hexadecimal digits.
    pub(in crate::cli) uuid: String,
    /// `standalone`; devpi knows others.
    pub(in crate::cli) role: String,
    /// The primary of a replica.
    #[serde(rename = "masterurl", default, skip_serializing)]
    pub(in crate::cli) primary_url: Option<String>,
}

/// Whether the node of a directory can have the role that is asked for.
pub(in crate::cli) fn check_role(path: &Path, roles: &RoleOptions) -> anyhow::Result<()> {
    if !path.join(NODEINFO).exists() {
        return Ok(roles.check(StoredRole::default()).map_err(Fatal::new)?);
    }
    let node = read_node(path)?;
    let stored = StoredRole { role: Some(&node.role), primary_url: node.primary_url.as_deref() };
    Ok(roles.check(stored).map_err(Fatal::new)?)
}

/// What is kept about the node of a directory.
pub(in crate::cli) fn read_node(path: &Path) -> anyhow::Result<NodeInfo> {
    let shown = path.display();
    let text = fs::read_to_string(path.join(NODEINFO));
    let text = text.with_context(|| format!("cannot read '{shown}/{NODEINFO}'"))?;
    let node: NodeInfo =
        serde_json::from_str(&text).with_context(|| format!("'{shown}/{NODEINFO}' is damaged"))?;
    if node.uuid.len() != 2 * UUID_BYTES || hex::decode(&node.uuid).is_err() {
        return Err(Fatal::new(format!("'{shown}/{NODEINFO}' is damaged: the uuid is none")).into());
    }
    Ok(node)
}

/// What is kept about the node of a directory on which a server works from now on.
pub(super) fn settle(path: &Path) -> anyhow::Result<NodeInfo> {
    let shown = path.display();
    if !path.join(NODEINFO).exists() {
        // Lost by a copy without hidden files; the data does not depend on it.
        warn!("'{shown}/{NODEINFO}' is missing, the server gets a new uuid");
        create(path)?;
    }
    let mut node = read_node(path)?;
    if node.role == REPLICA {
        // It was agreed to by `check_role`.
        info!("'{shown}' was that of a replica, and is on its own from now on");
        STANDALONE.clone_into(&mut node.role);
        write_json(path, NODEINFO, &node)?;
    }
    Ok(node)
}

/// Makes up a new node.
pub(super) fn create(path: &Path) -> anyhow::Result<()> {
    let mut bytes = [0; UUID_BYTES];
    getrandom::fill(&mut bytes)?;
    let node = NodeInfo { uuid: hex::encode(bytes), role: STANDALONE.to_owned(), primary_url: None };
    write_json(path, NODEINFO, &node)
}
