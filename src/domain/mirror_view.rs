//! What a mirror has, as others see it: the files that an upstream's page lists, and what of them is shown.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::registry::Registry;
use super::release::{ReleaseLink, ReleaseView};
use crate::mirror::{Mirror, main_hash};
use crate::pep::digest::Sha256;
use crate::pep::filename::split_file_name;
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::ProjectName;
use crate::storage::StorageError;
use crate::storage::meta::Snapshot;
use crate::storage::mirrored::{MirrorFile, MirrorPage, StoredPage};
use crate::storage::model::{IndexName, StoredPath};

/// Where a file of a mirror comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOrigin {
    /// Where it is at the upstream.
    pub url: Arc<str>,
    /// The hashes that the upstream's page gives, the main one first.
    pub hashes: Vec<(Arc<str>, Arc<str>)>,
}

/// A file that an upstream's page lists.
#[derive(Clone, Debug)]
pub struct UpstreamFile {
    /// The mirror.
    pub mirror: Mirror,
    /// The project whose page lists it.
    pub project: ProjectName,
    /// What the page says of it.
    pub file: MirrorFile,
}

impl UpstreamFile {
    /// The version that its name tells.
    pub fn version(&self) -> &str {
        version_of(&self.file.read.file_name)
    }

    /// Its SHA-256, where the page gives it.
    pub fn sha256(&self) -> Option<Sha256> {
        main_hash(&self.file.read)
            .filter(|(algorithm, _)| &**algorithm == "sha256")
            .and_then(|(_, value)| value.parse().ok())
    }

    /// Where it comes from.
    pub fn origin(&self) -> FileOrigin {
        let main = main_hash(&self.file.read);
        let others = self.file.read.hashes.iter().filter(|hash| Some(*hash) != main);
        FileOrigin {
            url: Arc::clone(&self.file.read.url),
            hashes: main.into_iter().chain(others).cloned().collect(),
        }
    }
}

impl Registry {
    /// What a mirror shows of a project, as it is held.
    pub(super) async fn shown_page(
        &self,
        snapshot: &mut dyn Snapshot,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<Option<ShownPage>, StorageError> {
        let page = self.mirrors.held_page(snapshot, index, project.normal()).await?;
        let Some(stored) = page else { return Ok(None) };
        let hidden = snapshot.list_deleted(index, project.normal()).await?.into_iter().collect();
        let only = if self.mirrors.is_offline() {
            let fetched = snapshot.list_fetched(index, project.normal()).await?;
            let here = fetched.into_iter().filter(|file| file.content.is_some());
            Some(here.map(|file| file.path).collect())
        } else {
            None
        };
        Ok(Some(ShownPage { stored, hidden, only }))
    }
}

/// What a mirror shows of a project: not what was deleted here, nothing of a quarantined one, and in offline mode only
/// what is here.
pub(super) struct ShownPage {
    stored: Arc<StoredPage>,
    hidden: HashSet<StoredPath>,
    only: Option<HashSet<StoredPath>>,
}

impl ShownPage {
    pub(super) fn page(&self) -> &MirrorPage {
        &self.stored.page
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &MirrorFile> {
        let files = if self.page().is_quarantined() { &[] } else { self.page().files.as_slice() };
        files.iter().filter(|file| {
            !self.hidden.contains(&file.path)
                && self.only.as_ref().is_none_or(|only| only.contains(&file.path))
        })
    }

    /// The versions that the upstream lists, else those that the names of files tell.
    pub(super) fn versions(&self) -> Vec<&str> {
        if !self.page().versions.is_empty() {
            return self.page().versions.iter().map(|version| &**version).collect();
        }
        let versions = self.files().map(|file| version_of(&file.read.file_name));
        versions.filter(|version| !version.is_empty()).collect()
    }

    /// The releases that the names of files tell, with what the page says of them.
    pub(super) fn releases(&self, project: &ProjectName, version: Option<&str>) -> Vec<ReleaseView> {
        let mut views: Vec<ReleaseView> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for file in self.files() {
            let found = version_of(&file.read.file_name);
            if version.is_some_and(|version| version != found) {
                continue;
            }
            let place = *places.entry(found).or_insert_with(|| {
                let fields = [("name", project.normal()), ("version", found)];
                let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value.into()));
                views.push(ReleaseView {
                    version: found.into(),
                    metadata: ReleaseMetadata::from_map(fields.collect()),
                    links: Vec::new(),
                    shadowing: Vec::new(),
                });
                views.len() - 1
            });
            let view = &mut views[place];
            view.links.push(ReleaseLink::Mirrored(file.clone()));
            // Of several files that say something the last one counts (as in devpi).
            let mut fields = Map::new();
            if let Some(requires_python) = &file.read.requires_python {
                fields.insert("requires_python".to_owned(), (&**requires_python).into());
            }
            if let Some(yanked) = &file.read.yanked {
                let yanked = if yanked.is_empty() { Value::from(true) } else { (&**yanked).into() };
                fields.insert("yanked".to_owned(), yanked);
            }
            view.metadata.extend(fields);
        }
        views
    }
}

/// The version that the name of a file tells.
pub fn version_of(file_name: &str) -> &str {
    split_file_name(file_name).version
}
