//! Uploads of documentation (`server-api` section 11.6): a zip archive per release, kept as it comes.

use std::sync::Arc;

use super::acl::Caller;
use super::link::{Placement, find_link, judge_placement, put_link};
use super::python;
use super::registry::{Decision, Registry};
use super::upload::{UploadError, UploadOutcome, UploadedFile};
use super::upload_form::{UploadForm, check_metadata};
use crate::pep::digest::Sha256;
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::{NameError, ProjectName};
use crate::pep::version::Version;
use crate::storage::meta::{ChangeSet, ExistingMetadata, Expectation, Operation, Snapshot};
use crate::storage::model::{IndexName, Link, LogEntry, Relation, StoredPath};

/// Documentation that passed all checks that need no store.
struct Docs {
    project: ProjectName,
    /// The release that it is for; without one, the newest.
    release: Option<(Arc<str>, ReleaseMetadata)>,
    /// The archive's name as the client gave it, for messages.
    given_name: String,
    sha256: Sha256,
    size: u64,
}

impl Registry {
    /// Stores documentation (`:action` `doc_upload`). A release that the form names is registered where needed; if
    /// it names none, the newest release of the index has the documentation from now on.
    ///
    /// # Panics
    ///
    /// Outside of a `LocalSet`: HTTP workers have one.
    pub async fn upload_docs(
        self: &Arc<Self>,
        caller: &Caller,
        index: &IndexName,
        form: &UploadForm,
        file: Option<UploadedFile>,
    ) -> Result<UploadOutcome, UploadError> {
        let UploadedFile { name: given_name, received } = file.ok_or(UploadError::NoFile)?;
        let (project, release) = check_docs_form(form)?;
        let (sha256, size) = (received.digests().sha256, received.size());
        let docs = Docs { project, release, given_name, sha256, size };
        let (caller, index) = (caller.clone(), index.clone());
        let commit = async move |registry: &Self| registry.commit_docs(&caller, &index, &docs).await;
        self.store_content(received, |outcome| *outcome == UploadOutcome::Stored, commit).await
    }

    async fn commit_docs(
        &self,
        caller: &Caller,
        index: &IndexName,
        docs: &Docs,
    ) -> Result<UploadOutcome, UploadError> {
        let project = &docs.project;
        self.change(async |snapshot| {
            let config = self.require_upload(snapshot, caller, index).await?;
            let project_changed_at = snapshot.get_project(index, project.normal()).await?;
            let version = match &docs.release {
                Some((version, _)) => Arc::clone(version),
                None => newest_version(snapshot, index, project).await?,
            };
            let file_name = docs_file_name(project, &version);
            let links = snapshot.list_links(index, project.normal(), Some(&version)).await?;
            let old = find_link(&links, Relation::DocZip, &file_name).map(|old| old.value.clone());
            match judge_placement(&config.value, old.as_ref(), &docs.sha256) {
                Placement::Store => {}
                Placement::Identical => return Ok(Decision::keep(UploadOutcome::Identical)),
                Placement::Conflict => return Err(UploadError::Conflict(docs.given_name.clone())),
            }
            let now = self.clock.now();
            let who = caller.name().cloned();
            let mut change = ChangeSet::new(who.clone(), now)
                .expect(Expectation::Index(index.clone(), Some(config.changed_at)))
                .expect(Expectation::Project(index.clone(), project.clone(), project_changed_at));
            if let Some((version, metadata)) = &docs.release {
                change = change.with(Operation::PutRelease {
                    index: index.clone(),
                    project: project.clone(),
                    version: Arc::clone(version),
                    metadata: metadata.clone(),
                    existing: ExistingMetadata::Update,
                });
            }
            let link = Link {
                relation: Relation::DocZip,
                path: StoredPath::for_upload(index, &docs.sha256, &file_name),
                for_path: None,
                file_name: file_name.into(),
                project: project.clone(),
                version,
                sha256: docs.sha256,
                size: docs.size,
                uploaded_at: now,
                core_metadata: None,
                log: vec![LogEntry::Upload { who, when: now, dst: index.clone() }],
            };
            put_link(&mut change, index, old, link);
            Ok(Decision::write(change, UploadOutcome::Stored))
        })
        .await
    }
}

/// The name under which documentation is kept.
pub(super) fn docs_file_name(project: &ProjectName, version: &str) -> String {
    format!("{}-{version}.doc.zip", project.normal())
}

/// The project of the form, and the release if it names one: without the field `version` nothing is registered.
#[expect(clippy::type_complexity, reason = "a pair of two things that have types")]
fn check_docs_form(
    form: &UploadForm,
) -> Result<(ProjectName, Option<(Arc<str>, ReleaseMetadata)>), UploadError> {
    if form.get("version").is_none() {
        let name = form.get("name").ok_or_else(|| UploadError::Metadata(NameError::Missing.into()))?;
        return Ok((ProjectName::from_url(name), None));
    }
    let metadata = form.metadata();
    let (project, version) = check_metadata(&metadata)?;
    Ok((project, Some((version, metadata))))
}

async fn newest_version(
    snapshot: &mut dyn Snapshot,
    index: &IndexName,
    project: &ProjectName,
) -> Result<Arc<str>, UploadError> {
    let versions = snapshot.list_versions(index, project.normal()).await?;
    let versions = versions.into_iter().map(|release| release.version);
    let newest = versions.max_by_key(|version| Version::new(version));
    newest.ok_or_else(|| UploadError::NoReleases(python::quote(project.normal())))
}
