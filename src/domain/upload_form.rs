//! Upload forms: what can be judged of them without the store (`server-api` sections 11.1 and 11.4).
//!
//! Checks come in devpi's order, so that its messages come out the same.

use std::sync::Arc;

use super::python;
use crate::archive::ArchiveError;
use crate::pep::digest::NamedHasher;
use crate::pep::filename::{self, ArchiveKind, FileNameError};
use crate::pep::metadata::ReleaseMetadata;
use crate::pep::name::{NameError, ProjectName};
use crate::storage::StorageError;
use crate::storage::files::ReceivedFile;
use crate::storage::meta::{ExistingMetadata, Operation};
use crate::storage::model::IndexName;

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
    /// The index shows what an upstream has, and takes no uploads.
    #[error("cannot submit to mirror index")]
    Mirror,
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
    /// Documentation came without a version, and the project has none.
    #[error("doczip has no version and {0} has no releases to derive one from")]
    NoReleases(String),
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
    /// The version names a directory.
    #[error("version '{0}' would vanish from URLs")]
    Directory(Arc<str>),
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

    pub(super) fn metadata(&self) -> ReleaseMetadata {
        ReleaseMetadata::from_form(self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// A release as a form describes it.
pub(super) struct NewRelease {
    pub(super) project: ProjectName,
    pub(super) version: Arc<str>,
    pub(super) metadata: ReleaseMetadata,
}

impl NewRelease {
    /// The release with these metadata, if name and version are good.
    pub(super) fn new(metadata: ReleaseMetadata) -> Result<Self, MetadataError> {
        let (project, version) = check_metadata(&metadata)?;
        check_reachable(&version)?;
        Ok(Self { project, version, metadata })
    }

    /// The operation that brings the metadata into an index.
    pub(super) fn put(&self, index: &IndexName, existing: ExistingMetadata) -> Operation {
        Operation::PutRelease {
            index: index.clone(),
            project: self.project.clone(),
            version: Arc::clone(&self.version),
            metadata: self.metadata.clone(),
            existing,
        }
    }
}

/// All checks of a distribution's form and file name, in devpi's order.
pub(super) fn check_form(form: &UploadForm, file_name: &str) -> Result<NewRelease, UploadError> {
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
    let release = NewRelease::new(metadata)?;
    filename::check_safe(file_name)?;
    Ok(release)
}

/// Refuses versions to which no URL leads. Data that came from elsewhere may have them.
pub(super) fn check_reachable(version: &Arc<str>) -> Result<(), MetadataError> {
    if matches!(&**version, "." | "..") {
        return Err(MetadataError::Directory(Arc::clone(version)));
    }
    Ok(())
}

/// The project and the version that metadata name, if both can be kept.
pub fn check_metadata(metadata: &ReleaseMetadata) -> Result<(ProjectName, Arc<str>), MetadataError> {
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

/// What a form says that the hash of its file is: by the best of the hashes that it names, since what SHA-256 says leaves
/// nothing to the others.
pub(super) struct ClaimedDigest {
    field: &'static str,
    sent: String,
    /// How it is computed; `None` for the one that is known already.
    hasher: Option<NamedHasher>,
}

impl ClaimedDigest {
    /// The claim of a form; empty fields are passed over.
    pub(super) fn of(form: &UploadForm) -> Option<Self> {
        let claim = |field: &'static str, hasher| {
            let sent = form.get(field).filter(|sent| !sent.is_empty())?.to_owned();
            Some(Self { field, sent, hasher })
        };
        claim("sha256_digest", None)
            // distutils sends BLAKE2b with its full 64 bytes under this name; sha256_digest comes along with it.
            .or_else(|| {
                let claim = claim("blake2_256_digest", Some(NamedHasher::blake2_256()))?;
                (claim.sent.len() != FULL_BLAKE2_DIGITS).then_some(claim)
            })
            .or_else(|| claim("md5_digest", Some(NamedHasher::md5())))
    }

    /// An error if the file has another hash. Blocks, as the whole file may have to be read.
    pub(super) fn check(self, received: &dyn ReceivedFile) -> Result<(), UploadError> {
        let right = match self.hasher {
            None => received.sha256().to_string(),
            Some(hasher) => hasher.of(received.open()?).map_err(StorageError::from)?,
        };
        if self.sent.eq_ignore_ascii_case(&right) {
            return Ok(());
        }
        Err(UploadError::WrongDigest { field: self.field, sent: python::quote(&self.sent) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pep::digest::Sha256;
    use crate::storage::files::{Lease, References};

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
            ("x", "..", "x-..zip", "invalid metadata: version '..' would vanish from URLs"),
            ("x", ".", "x-.zip", "invalid metadata: version '.' would vanish from URLs"),
            ("x", "1.0", "../x-1.0.zip", "filename '../x-1.0.zip' does not match project name 'x'"),
        ] {
            let error = check_form(&form(&[("name", name), ("version", version)]), file).err().unwrap();
            assert_eq!(error.to_string(), text);
        }
        let long = "1".repeat(256);
        let error = check_form(&form(&[("name", "x"), ("version", &long)]), &format!("x-{long}.zip"));
        assert!(matches!(error, Err(UploadError::Metadata(MetadataError::LongVersion))));
        let error = check_form(&form(&[("name", "x"), ("version", "1")]), "x/../../y-1.zip").err().unwrap();
        assert!(matches!(error, UploadError::FileName(_)), "{error}");
    }

    /// A content that has arrived.
    struct Arrived(&'static [u8]);

    #[async_trait::async_trait]
    impl ReceivedFile for Arrived {
        fn sha256(&self) -> Sha256 {
            Sha256::of(self.0)
        }

        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn open(&self) -> Result<std::fs::File, StorageError> {
            let mut file = tempfile::tempfile()?;
            std::io::Write::write_all(&mut file, self.0)?;
            std::io::Seek::rewind(&mut file)?;
            Ok(file)
        }

        async fn keep(self: Box<Self>, _: &dyn References) -> Result<Box<dyn Lease>, StorageError> {
            Err(StorageError::Closed)
        }
    }

    #[test]
    fn the_best_digest_must_be_the_files_own() {
        let check = |fields: &[(&str, &str)]| {
            let claim = ClaimedDigest::of(&form(fields));
            claim.map_or(Ok(()), |claim| claim.check(&Arrived(b"abc"))).map_err(|error| error.to_string())
        };
        let sha256 = Sha256::of(b"abc").to_string();
        let blake2 = "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319";
        let md5 = "900150983CD24FB0D6963F7D28E17F72";
        let refused =
            |field: &str, sent: &str| Err(format!("{field} '{sent}' does not match the uploaded file"));
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[("sha256_digest", &sha256), ("md5_digest", "bad")]), Ok(()));
        assert_eq!(check(&[("sha256_digest", "bad"), ("md5_digest", md5)]), refused("sha256_digest", "bad"));
        assert_eq!(check(&[("sha256_digest", ""), ("blake2_256_digest", blake2)]), Ok(()));
        assert_eq!(check(&[("blake2_256_digest", "bad")]), refused("blake2_256_digest", "bad"));
        let full = "a".repeat(FULL_BLAKE2_DIGITS);
        assert_eq!(check(&[("blake2_256_digest", &full), ("md5_digest", md5)]), Ok(()));
        assert_eq!(
            check(&[("blake2_256_digest", &full), ("md5_digest", "bad")]),
            refused("md5_digest", "bad")
        );
    }
}
