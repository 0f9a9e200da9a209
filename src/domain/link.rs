//! Links: how a new file takes its place among those of a release (`server-api` sections 9.6 and 11.2).

use std::sync::Arc;

use super::index_config::IndexConfig;
use crate::pep::digest::Sha256;
use crate::pep::name::ProjectName;
use crate::storage::files::ReceivedFile;
use crate::storage::meta::{ChangeSet, Operation};
use crate::storage::model::{IndexName, Link, LogEntry, Relation, Stored, StoredPath};

/// A content that is to be linked.
#[derive(Clone, Copy)]
pub(super) struct Content {
    pub(super) sha256: Sha256,
    size: u64,
}

impl Content {
    pub(super) fn of(received: &dyn ReceivedFile) -> Self {
        Self { sha256: received.sha256(), size: received.size() }
    }
}

/// The link of a content that comes to `index` with `change`. Its name is the last part of the path.
pub(super) fn uploaded_link(
    change: &ChangeSet,
    index: &IndexName,
    relation: Relation,
    path: StoredPath,
    project: &ProjectName,
    version: &Arc<str>,
    content: Content,
) -> Link {
    let (who, when) = (change.who.clone(), change.when);
    Link {
        relation,
        for_path: None,
        file_name: path.file_name().into(),
        path,
        project: project.clone(),
        version: Arc::clone(version),
        sha256: content.sha256,
        size: content.size,
        uploaded_at: when,
        core_metadata: None,
        log: vec![LogEntry::Upload { who, when, dst: index.clone() }],
    }
}

/// What becomes of a new file, where there may be an old one of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// It is stored, in the place of the old one.
    Store,
    /// Nothing: the index is not volatile, and the old one is the same.
    Identical,
    /// It is refused: the index is not volatile, and the old one is another.
    Conflict,
}

/// What becomes of a new file with this hash.
pub(super) fn judge_placement(config: &IndexConfig, old: Option<&Link>, sha256: &Sha256) -> Placement {
    match old {
        Some(old) if !config.is_volatile() && old.sha256 == *sha256 => Placement::Identical,
        Some(_) if !config.is_volatile() => Placement::Conflict,
        _ => Placement::Store,
    }
}

/// The link of a file name among those of a release.
pub(super) fn find_link<'a>(
    links: &'a [Stored<Link>],
    relation: Relation,
    file_name: &str,
) -> Option<&'a Stored<Link>> {
    links.iter().find(|link| link.value.relation == relation && *link.value.file_name == *file_name)
}

/// Adds to a change the operations that put `new` in the place of `old`. That it did so then stands first in its
/// history.
pub(super) fn put_link(change: &mut ChangeSet, index: &IndexName, old: Option<Link>, mut new: Link) {
    if let Some(old) = old {
        new.log.insert(0, LogEntry::Overwrite { when: change.when, count: count_overwrites(&old.log) + 1 });
        change.operations.push(Operation::RemoveLink {
            index: index.clone(),
            project: old.project,
            version: old.version,
            relation: old.relation,
            path: old.path,
        });
    }
    change.operations.push(Operation::AddLink(index.clone(), Box::new(new)));
}

fn count_overwrites(log: &[LogEntry]) -> u64 {
    let counts = log.iter().map(|entry| match entry {
        LogEntry::Overwrite { count, .. } => *count,
        LogEntry::Upload { .. } | LogEntry::Push { .. } | LogEntry::Other(_) => 0,
    });
    counts.sum()
}
