//! Links: how a new file takes its place among those of a release (`server-api` sections 9.6 and 11.2).

use super::index_config::IndexConfig;
use crate::pep::digest::Sha256;
use crate::storage::meta::{ChangeSet, Operation};
use crate::storage::model::{IndexName, Link, LogEntry, Relation, Stored};

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
            path: old.path,
        });
    }
    change.operations.push(Operation::AddLink(index.clone(), Box::new(new)));
}

fn count_overwrites(log: &[LogEntry]) -> u64 {
    let counts = log.iter().map(|entry| match entry {
        LogEntry::Overwrite { count, .. } => *count,
        LogEntry::Upload { .. } | LogEntry::Push { .. } => 0,
    });
    counts.sum()
}
