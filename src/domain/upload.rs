//! Uploads: distributions and registrations (`server-api` section 11).
//!
//! What can be judged without the store is judged first, in devpi's order, so that its messages come out the same;
//! the rest in the transaction. Nothing is kept of an upload that is refused.

use std::sync::Arc;

use super::acl::Caller;
use super::index::{IndexError, require_index};
use super::index_config::IndexConfig;
use super::python;
use super::registry::{Decision, Registry};
use crate::archive::{self, ArchiveError, Limits};
use crate::pep::digest::{FileDigests, Sha256};
use crate::pep::filename::{self, ArchiveKind, FileNameError};
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::{NameError, ProjectName};
use crate::storage::StorageError;
use crate::storage::files::{IncomingFile, StagedFile};
use crate::storage::meta::{ChangeSet, ExistingMetadata, Expectation, Operation, Snapshot};
use crate::storage::model::{IndexName, Link, LogEntry, Relation, Stored, StoredPath};

/// The longest version that is taken, in bytes.
const MAX_VERSION_BYTES: usize = 255;

/// The length of an uncut BLAKE2b hash in hexadecimal digits.
const FULL_BLAKE2_DIGITS: usize = 128;

/// Why an upload was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is no such index.
    #[error("The stage {0} could not be found.")]
    UnknownIndex(IndexName),
    /// The caller is anonymous, and anonymous callers may not upload here.
    #[error("authentication is needed")]
    Unauthenticated,
    /// The caller may not upload here.
    #[error("no permission to submit")]
    Forbidden,
    /// The form has no file.
    #[error("content file field not found")]
    NoFile,
    /// The file's name does not have the version in it.
    #[error("filename {file} does not contain version {version}")]
    ForeignVersion {
        /// The file's name, quoted.
        file: String,
        /// The version, quoted.
        version: String,
    },
    /// The file's name does not end like a distribution's.
    #[error("{0} is not a valid archive name")]
    NoArchiveName(String),
    /// The file's name does not begin with the project's.
    #[error("filename {file} does not match project name {project}")]
    ForeignProject {
        /// The file's name, quoted.
        file: String,
        /// The project's name, quoted.
        project: String,
    },
    /// The file's name cannot be kept as it is.
    #[error(transparent)]
    FileName(#[from] FileNameError),
    /// The metadata are not acceptable.
    #[error("invalid metadata: {0}")]
    Metadata(#[from] MetadataError),
    /// A digest in the form is not the file's.
    #[error("{field} {sent} does not match the uploaded file")]
    WrongDigest {
        /// The field of the form.
        field: &'static str,
        /// What it says, quoted.
        sent: String,
    },
    /// The file is not the archive that its name promises.
    #[error("{file} is not a valid archive: {cause}")]
    BrokenArchive {
        /// The file's name, quoted.
        file: String,
        /// What is wrong with it.
        cause: ArchiveError,
    },
    /// The index is not volatile and has a file of this name with other content.
    #[error("{0} already exists in non-volatile index")]
    Conflict(String),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What is wrong with the metadata of an upload.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The name is none for a project.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no version.
    #[error("Missing required field \"version\"")]
    NoVersion,
    /// The version is too long.
    #[error("version is longer than {MAX_VERSION_BYTES} bytes")]
    LongVersion,
    /// The version has characters that do not go into a URL.
    #[error("Invalid package name or version (URL safety)")]
    UrlSafety,
}

/// The fields of an upload form.
#[derive(Clone, Debug, Default)]
pub struct UploadForm {
    /// Names and values in the order of the form.
    pub fields: Vec<(String, String)>,
}

impl UploadForm {
    /// The last value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn metadata(&self) -> ReleaseMetadata {
        ReleaseMetadata::from_form(self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// A file that came with a form.
pub struct UploadedFile {
    /// Its name as the client gave it.
    pub name: String,
    /// Its content.
    pub staged: Box<dyn StagedFile>,
}

/// What became of an accepted upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadOutcome {
    /// The file is stored.
    Stored,
    /// The very same file was there already, on a non-volatile index; nothing was changed.
    Identical,
}

/// A distribution that passed all checks that need no store.
struct Distribution {
    project: ProjectName,
    version: Arc<str>,
    file_name: Arc<str>,
    metadata: ReleaseMetadata,
    sha256: Sha256,
    size: u64,
    core_metadata: Option<(Sha256, Vec<u8>)>,
}

impl Registry {
    /// Whether the caller may upload to the index; asked before the body is looked at.
    pub async fn check_upload(&self, caller: &Caller, index: &IndexName) -> Result<(), UploadError> {
        let mut snapshot = self.meta.snapshot().await?;
        self.require_upload(snapshot.as_mut(), caller, index).await.map(|_| ())
    }

    /// Starts to take in a file, to be handed to [`Registry::upload`] when it is whole.
    pub async fn stage_file(&self) -> Result<Box<dyn IncomingFile>, StorageError> {
        self.files.stage().await
    }

    /// Registers a release (`:action` `submit`): its metadata are replaced, its files stay.
    pub async fn register(
        &self,
        caller: &Caller,
        index: &IndexName,
        form: &UploadForm,
    ) -> Result<(), UploadError> {
        let metadata = form.metadata();
        let (project, version) = check_metadata(&metadata)?;
        self.change(async |snapshot| {
            let config = self.require_upload(snapshot, caller, index).await?;
            let change = ChangeSet::new(caller.name().cloned(), self.clock.now())
                .expect(Expectation::Index(index.clone(), Some(config.revision)))
                .with(Operation::PutRelease {
                    index: index.clone(),
                    project: project.clone(),
                    version: Arc::clone(&version),
                    metadata: metadata.clone(),
                    existing: ExistingMetadata::Replace,
                });
            Ok(Decision::write(change, ()))
        })
        .await
    }

    /// Stores a distribution (`:action` `file_upload`) and registers its release where needed.
    ///
    /// # Panics
    ///
    /// Outside of a `LocalSet`: HTTP workers have one.
    pub async fn upload(
        self: &Arc<Self>,
        caller: &Caller,
        index: &IndexName,
        form: &UploadForm,
        file: Option<UploadedFile>,
    ) -> Result<UploadOutcome, UploadError> {
        self.check_upload(caller, index).await?;
        let file = file.ok_or(UploadError::NoFile)?;
        let (project, version, metadata) = check_form(form, &file.name)?;
        check_digests(form, file.staged.digests())?;
        let (staged, core_metadata) = self.inspect_archive(&file.name, file.staged).await?;
        let distribution = Distribution {
            project,
            version,
            file_name: file.name.into(),
            metadata,
            sha256: staged.digests().sha256,
            size: staged.size(),
            core_metadata: core_metadata.map(|body| (Sha256::of(&body), body)),
        };
        // From here on the client may go, but not the work: a content that a commit names must keep its lease until
        // that is known.
        let (registry, caller, index) = (Arc::clone(self), caller.clone(), index.clone());
        let stored = self
            .tasks
            .spawn_local(async move { registry.store(&caller, &index, &distribution, staged).await });
        stored.await.map_err(StorageError::from)?
    }

    async fn store(
        &self,
        caller: &Caller,
        index: &IndexName,
        distribution: &Distribution,
        staged: Box<dyn StagedFile>,
    ) -> Result<UploadOutcome, UploadError> {
        let lease = staged.keep().await?;
        let outcome = self.commit_upload(caller, index, distribution).await;
        if let Ok(UploadOutcome::Stored) = outcome {
            lease.confirm().await?;
        } else {
            lease.discard(self).await?;
        }
        outcome
    }

    async fn commit_upload(
        &self,
        caller: &Caller,
        index: &IndexName,
        new: &Distribution,
    ) -> Result<UploadOutcome, UploadError> {
        self.change(async |snapshot| {
            let config = self.require_upload(snapshot, caller, index).await?;
            let links = snapshot.list_links(index, new.project.normal(), Some(&new.version)).await?;
            let old = links.into_iter().find(|link| link.value.file_name == new.file_name);
            if let Some(old) = &old
                && !config.value.is_volatile()
            {
                if old.value.sha256 == new.sha256 {
                    return Ok(Decision::keep(UploadOutcome::Identical));
                }
                return Err(UploadError::Conflict(new.file_name.to_string()));
            }
            Ok(Decision::write(self.storing(caller, index, config.revision, new, old), UploadOutcome::Stored))
        })
        .await
    }

    /// The change set that stores a distribution, in the place of an `old` one of its name.
    fn storing(
        &self,
        caller: &Caller,
        index: &IndexName,
        index_revision: crate::storage::model::Serial,
        new: &Distribution,
        old: Option<Stored<Link>>,
    ) -> ChangeSet {
        let now = self.clock.now();
        let who = caller.name().cloned();
        let mut change = ChangeSet::new(who.clone(), now)
            .expect(Expectation::Index(index.clone(), Some(index_revision)))
            .expect(Expectation::File {
                index: index.clone(),
                project: new.project.clone(),
                version: Arc::clone(&new.version),
                file_name: Arc::clone(&new.file_name),
                revision: old.as_ref().map(|old| old.revision),
            })
            .with(Operation::PutRelease {
                index: index.clone(),
                project: new.project.clone(),
                version: Arc::clone(&new.version),
                metadata: new.metadata.clone(),
                existing: ExistingMetadata::Update,
            });
        let mut log = Vec::new();
        if let Some(old) = old {
            log.push(LogEntry::Overwrite { when: now, count: overwrites(&old.value.log) + 1 });
            change = change.with(Operation::RemoveLink {
                index: index.clone(),
                project: new.project.clone(),
                version: Arc::clone(&new.version),
                path: old.value.path,
            });
        }
        log.push(LogEntry::Upload { who, when: now, dst: index.clone() });
        if let Some((sha256, body)) = &new.core_metadata {
            change = change.with(Operation::PutDocument(*sha256, body.clone()));
        }
        let link = Link {
            relation: Relation::ReleaseFile,
            path: StoredPath::for_upload(index, &new.sha256, &new.file_name),
            file_name: Arc::clone(&new.file_name),
            project: new.project.normal().into(),
            version: Arc::clone(&new.version),
            sha256: new.sha256,
            size: new.size,
            uploaded_at: now,
            core_metadata: new.core_metadata.as_ref().map(|(sha256, _)| *sha256),
            log,
        };
        change.with(Operation::AddLink(index.clone(), Box::new(link)))
    }

    async fn require_upload(
        &self,
        snapshot: &mut dyn Snapshot,
        caller: &Caller,
        index: &IndexName,
    ) -> Result<Stored<IndexConfig>, UploadError> {
        let config = match require_index(snapshot, index).await {
            Ok(config) => config,
            Err(IndexError::Storage(error)) => return Err(error.into()),
            Err(_) => return Err(UploadError::UnknownIndex(index.clone())),
        };
        if self.policy.may_upload(caller, &config.value) {
            return Ok(config);
        }
        Err(if caller.name().is_some() { UploadError::Forbidden } else { UploadError::Unauthenticated })
    }

    /// Looks into an archive, on a thread that may block: a zip must be readable, and a wheel's core metadata are
    /// taken out.
    async fn inspect_archive(
        &self,
        file_name: &str,
        staged: Box<dyn StagedFile>,
    ) -> Result<(Box<dyn StagedFile>, Option<Vec<u8>>), UploadError> {
        if !filename::is_zip(file_name) {
            return Ok((staged, None));
        }
        let (name, limits) = (file_name.to_owned(), self.limits.archive);
        let inspected = tokio::task::spawn_blocking(move || {
            let core_metadata = inspect_zip(&name, staged.as_ref(), &limits)?;
            Ok((staged, core_metadata))
        });
        inspected.await.map_err(StorageError::from)?
    }
}

fn inspect_zip(name: &str, staged: &dyn StagedFile, limits: &Limits) -> Result<Option<Vec<u8>>, UploadError> {
    let file = staged.open()?;
    let inspected = if filename::is_wheel(name) {
        archive::wheel_metadata(file, name, limits)
    } else {
        archive::check_zip(file, limits).map(|_| None)
    };
    inspected.map_err(|cause| UploadError::BrokenArchive { file: python::quote(name), cause })
}

/// All checks of a distribution's form and file name, in devpi's order.
fn check_form(
    form: &UploadForm,
    file_name: &str,
) -> Result<(ProjectName, Arc<str>, ReleaseMetadata), UploadError> {
    let metadata = form.metadata();
    let (name, version) = (metadata.text("name"), metadata.text("version"));
    if !filename::contains_version(file_name, version) {
        let (file, version) = (python::quote(file_name), python::quote(version));
        return Err(UploadError::ForeignVersion { file, version });
    }
    if ArchiveKind::of(file_name).is_none() {
        return Err(UploadError::NoArchiveName(python::quote(file_name)));
    }
    if !filename::belongs_to(file_name, &ProjectName::from_url(name)) {
        let (file, project) = (python::quote(file_name), python::quote(name));
        return Err(UploadError::ForeignProject { file, project });
    }
    let (project, version) = check_metadata(&metadata)?;
    filename::check_safe(file_name)?;
    Ok((project, version, metadata))
}

fn check_metadata(metadata: &ReleaseMetadata) -> Result<(ProjectName, Arc<str>), MetadataError> {
    let (name, version) = (metadata.text("name"), metadata.text("version"));
    if name.is_empty() {
        return Err(NameError::Missing.into());
    }
    if version.is_empty() {
        return Err(MetadataError::NoVersion);
    }
    let project = ProjectName::parse(name)?;
    if version.len() > MAX_VERSION_BYTES {
        return Err(MetadataError::LongVersion);
    }
    // devpi names only the first five; a slash or a control character makes a release that no URL reaches.
    if version.contains(|character: char| "<>%#\"/\\".contains(character) || character.is_control()) {
        return Err(MetadataError::UrlSafety);
    }
    Ok((project, version.into()))
}

/// Compares the digests that the form names with the file's own. Empty ones are passed over.
fn check_digests(form: &UploadForm, digests: &FileDigests) -> Result<(), UploadError> {
    let sha256 = digests.sha256.to_string();
    for (field, right) in
        [("sha256_digest", &sha256), ("blake2_256_digest", &digests.blake2_256), ("md5_digest", &digests.md5)]
    {
        match form.get(field) {
            // distutils sends BLAKE2b with its full 64 bytes under this name; sha256_digest comes along with it.
            Some(sent) if field == "blake2_256_digest" && sent.len() == FULL_BLAKE2_DIGITS => {}
            Some(sent) if !sent.is_empty() && !sent.eq_ignore_ascii_case(right) => {
                return Err(UploadError::WrongDigest { field, sent: python::quote(sent) });
            }
            _ => {}
        }
    }
    Ok(())
}

fn overwrites(log: &[LogEntry]) -> u64 {
    let counts = log.iter().map(|entry| match entry {
        LogEntry::Overwrite { count, .. } => *count,
        LogEntry::Upload { .. } => 0,
    });
    counts.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> UploadForm {
        UploadForm { fields: fields.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect() }
    }

    #[test]
    fn forms_are_judged_in_devpis_order() {
        for (name, version, file, text) in [
            (
                "Pkg_A",
                "2.0",
                "pkg_a-1.0.tar.gz",
                "filename 'pkg_a-1.0.tar.gz' does not contain version '2.0'",
            ),
            ("Pkg_A", "1.0", "pkg_a-1.0.txt", "'pkg_a-1.0.txt' is not a valid archive name"),
            ("other", "1.0", "pkg_a-1.0.zip", "filename 'pkg_a-1.0.zip' does not match project name 'other'"),
            ("Pkg_A", "", "pkg_a-1.0.zip", "invalid metadata: Missing required field \"version\""),
            ("", "1.0", "x-1.0.zip", "invalid metadata: Missing required field \"name\""),
            ("x", "1<2", "x-1<2.zip", "invalid metadata: Invalid package name or version (URL safety)"),
            ("x", "1/0", "x-1/0.zip", "invalid metadata: Invalid package name or version (URL safety)"),
            ("x", "1.0", "../x-1.0.zip", "filename '../x-1.0.zip' does not match project name 'x'"),
        ] {
            let error = check_form(&form(&[("name", name), ("version", version)]), file).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        let long = "1".repeat(256);
        let error = check_form(&form(&[("name", "x"), ("version", &long)]), &format!("x-{long}.zip"));
        assert!(matches!(error, Err(UploadError::Metadata(MetadataError::LongVersion))));
        let error = check_form(&form(&[("name", "x"), ("version", "1")]), "x/../../y-1.zip").unwrap_err();
        assert!(matches!(error, UploadError::FileName(_)), "{error}");
    }

    #[test]
    fn digests_must_be_the_files_own() {
        let mut hasher = crate::pep::digest::FileHasher::default();
        hasher.update(b"abc");
        let digests = hasher.finish();
        let right = form(&[
            ("md5_digest", "900150983CD24FB0D6963F7D28E17F72"),
            ("sha256_digest", &digests.sha256.to_string()),
            ("blake2_256_digest", ""),
        ]);
        assert!(check_digests(&right, &digests).is_ok());
        assert!(check_digests(&form(&[("blake2_256_digest", &"a".repeat(128))]), &digests).is_ok());
        let error = check_digests(&form(&[("md5_digest", "bad")]), &digests).unwrap_err();
        assert_eq!(error.to_string(), "md5_digest 'bad' does not match the uploaded file");
    }
}
