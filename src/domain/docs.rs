//! Uploads of documentation (`server-api` section 11.6): a zip archive per release, kept as it comes.

use std::sync::Arc;

use super::acl::Caller;
use super::link::{Content, Placement, find_link, judge_placement, put_link, uploaded_link};
use super::python;
use super::registry::{Decision, Registry};
use super::upload::{UploadOutcome, UploadedFile};
use super::upload_form::{NewRelease, UploadError, UploadForm};
use crate::pep::name::{NameError, ProjectName};
use crate::pep::version::Version;
use crate::storage::meta::{ChangeSet, ExistingMetadata, Expectation, Snapshot};
use crate::storage::model::{IndexName, Relation, StoredPath};

/// Documentation that passed all checks that need no store.
struct Docs {
    project: ProjectName,
    /// The release that it is for; without one, the newest.
    release: Option<NewRelease>,
    /// The archive's name as the client gave it, for messages.
    given_name: String,
    content: Content,
}

impl Registry {
    /// Stores documentation (`:action` `doc_upload`). A release that the form names is registered where needed; if
    /// it names none, the newest release of the index has the documentation from now on.
    pub async fn upload_docs(
        self: &Arc<Self>,
        caller: &Caller,
        index: &IndexName,
        form: &UploadForm,
        file: Option<UploadedFile>,
    ) -> Result<UploadOutcome, UploadError> {
        let UploadedFile { name: given_name, incoming } = file.ok_or(UploadError::NoFile)?;
        let (project, release) = check_docs_form(form)?;
        let (caller, index) = (caller.clone(), index.clone());
        let store = async move |registry: &Self| {
            let received = incoming.finish().await?;
            let docs = Docs { project, release, given_name, content: Content::of(received.as_ref()) };
            let commit = async || registry.commit_docs(&caller, &index, &docs).await;
            registry.store_content(received, |outcome| *outcome == UploadOutcome::Stored, commit).await
        };
        self.complete(store).await
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
                Some(release) => Arc::clone(&release.version),
                None => newest_version(snapshot, index, project).await?,
            };
            let file_name = docs_file_name(project, &version);
            let links = snapshot.list_links(index, project.normal(), Some(&version)).await?;
            let old = find_link(&links, Relation::DocZip, &file_name).map(|old| old.value.clone());
            match judge_placement(&config.value, old.as_ref(), &docs.content.sha256) {
                Placement::Store => {}
                Placement::Identical => return Ok(Decision::keep(UploadOutcome::Identical)),
                Placement::Conflict => return Err(UploadError::Conflict(docs.given_name.clone())),
            }
            let mut change = ChangeSet::new(caller.name().cloned(), self.clock.now())
                .expect(Expectation::Index(index.clone(), Some(config.changed_at)))
                .expect(Expectation::Project(index.clone(), project.clone(), project_changed_at));
            if let Some(release) = &docs.release {
                change = change.with(release.put(index, ExistingMetadata::Update));
            }
            let path = StoredPath::for_upload(index, &docs.content.sha256, &file_name);
            let link = uploaded_link(&change, index, Relation::DocZip, path, project, &version, docs.content);
            put_link(&mut change, index, old, link);
            Ok(Decision::write(change, UploadOutcome::Stored))
        })
        .await
    }
}

/// The name under which documentation is kept.
pub fn docs_file_name(project: &ProjectName, version: &str) -> String {
    format!("{}-{version}.doc.zip", project.normal())
}

/// The project of the form, and the release if it names one: without the field `version` nothing is registered.
fn check_docs_form(form: &UploadForm) -> Result<(ProjectName, Option<NewRelease>), UploadError> {
    if form.get("version").is_none() {
        let name = form.get("name").ok_or_else(|| UploadError::Metadata(NameError::Missing.into()))?;
        return Ok((ProjectName::from_url(name), None));
    }
    let release = NewRelease::new(form.metadata())?;
    Ok((release.project.clone(), Some(release)))
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
