//! Releases as they are seen, whether an index of the team or a mirror has them.

use std::sync::Arc;

use crate::pep::metadata::ReleaseMetadata;
use crate::storage::mirrored::MirrorFile;
use crate::storage::model::Link;

/// A release with its files.
#[derive(Clone, Debug)]
pub struct ReleaseView {
    /// The version.
    pub version: Arc<str>,
    /// Its metadata.
    pub metadata: ReleaseMetadata,
    /// Its files.
    pub links: Vec<ReleaseLink>,
    /// Releases of the same version in later indexes of the walk.
    pub shadowing: Vec<ReleaseView>,
}

/// A file of a release.
#[derive(Clone, Debug)]
pub enum ReleaseLink {
    /// One of a stage.
    Stored(Link),
    /// One of a mirror, here or not.
    Mirrored(MirrorFile),
}
