//! File names of distributions: which of them the server accepts, and what they say.
//!
//! File names are kept literally. The checks of an upload are those of devpi: they
//! are loose (a name only has to begin with the project and contain the version), and only
//! [`check_safe`] is stricter, as file names become keys of stored files.
//!
//! Not here: compatibility tags of wheels, and whether a file is what its name says.

mod content_type;
mod split;
mod upload_type;

pub use content_type::content_type;
pub use split::{SplitFileName, split_file_name};
pub use upload_type::{UploadType, upload_type};

use std::borrow::Cow;

use crate::pep::name::ProjectName;

/// The longest file name, in bytes; file systems commonly stop here.
pub const MAX_FILE_NAME_BYTES: usize = 255;

/// The kinds of archive that may be uploaded, told by the end of the file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArchiveKind {
    /// A Windows installer program, `.exe`.
    Exe,
    /// A gzipped tar archive, `.tar.gz`.
    TarGz,
    /// Anything compressed by bzip2, `.bz2`.
    Bz2,
    /// An RPM package, `.rpm`.
    Rpm,
    /// A Debian package, `.deb`.
    Deb,
    /// A zip archive, `.zip`.
    Zip,
    /// A gzipped tar archive, `.tgz`.
    Tgz,
    /// An egg, `.egg`.
    Egg,
    /// A macOS disk image, `.dmg`.
    Dmg,
    /// A Windows installer package, `.msi`.
    Msi,
    /// A wheel, `.whl`.
    Wheel,
}

impl ArchiveKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Exe,
        Self::TarGz,
        Self::Bz2,
        Self::Rpm,
        Self::Deb,
        Self::Zip,
        Self::Tgz,
        Self::Egg,
        Self::Dmg,
        Self::Msi,
        Self::Wheel,
    ];

    /// The kind that a file name ends in, in any case of letters; `None` if it may not be
    /// uploaded. Something has to stand before the extension.
    pub fn of(file_name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| has_extension(file_name, kind.extension()))
    }

    /// The extension, in lower case and without the dot before it.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Exe => "exe",
            Self::TarGz => "tar.gz",
            Self::Bz2 => "bz2",
            Self::Rpm => "rpm",
            Self::Deb => "deb",
            Self::Zip => "zip",
            Self::Tgz => "tgz",
            Self::Egg => "egg",
            Self::Dmg => "dmg",
            Self::Msi => "msi",
            Self::Wheel => "whl",
        }
    }
}

/// Whether `file_name` is something, a dot and `extension`, in any case of letters.
fn has_extension(file_name: &str, extension: &str) -> bool {
    let Some((stem, end)) =
        file_name.len().checked_sub(extension.len()).and_then(|at| file_name.split_at_checked(at))
    else {
        return false;
    };
    end.eq_ignore_ascii_case(extension) && stem.len() > 1 && stem.ends_with('.')
}

/// Whether a file of this name may be found on an index page: the extensions that may be uploaded, and some that were
/// once.
pub fn could_be_distribution(file_name: &str) -> bool {
    has_extension(file_name, "tar")
        || has_extension(file_name, "tar.bz2")
        || ArchiveKind::of(file_name).is_some_and(|kind| kind != ArchiveKind::Bz2)
}

/// Whether this is the name of a wheel, whose metadata may be offered beside it.
///
/// Case counts here, as it does for devpi and for installers.
pub fn is_wheel(file_name: &str) -> bool {
    file_name.strip_suffix(".whl").is_some_and(|stem| !stem.is_empty())
}

/// Whether a file of this name is a zip archive: a wheel, an egg or a `.zip`, in any case of
/// letters.
pub fn is_zip(file_name: &str) -> bool {
    matches!(ArchiveKind::of(file_name), Some(ArchiveKind::Wheel | ArchiveKind::Zip | ArchiveKind::Egg))
}

/// Whether the file name contains the version, as an upload must.
///
/// Literally, or as wheels escape it: every run of characters that are neither of a word nor `.`
/// written as one `_`. An empty version is contained in every name.
pub fn contains_version(file_name: &str, version: &str) -> bool {
    file_name.contains(version) || file_name.contains(&*escape_version(version))
}

/// The version as a wheel's file name has it.
fn escape_version(version: &str) -> Cow<'_, str> {
    let is_kept = |character: char| character.is_alphanumeric() || "_.".contains(character);
    if version.chars().all(is_kept) {
        return Cow::Borrowed(version);
    }
    let mut escaped = String::with_capacity(version.len());
    let mut in_run = false;
    for character in version.chars() {
        if is_kept(character) {
            escaped.push(character);
        } else if !in_run {
            escaped.push('_');
        }
        in_run = !is_kept(character);
    }
    Cow::Owned(escaped)
}

/// Whether the normalised file name begins with the normal form of the project.
///
/// Only a prefix: `xyz-1.0.zip` belongs to project `x`, as it does for devpi.
pub fn belongs_to(file_name: &str, project: &ProjectName) -> bool {
    ProjectName::from_url(file_name).normal().starts_with(project.normal())
}

/// Refuses file names that could not be stored or written into a page without harm.
pub fn check_safe(file_name: &str) -> Result<(), FileNameError> {
    if file_name.is_empty() {
        return Err(FileNameError::Empty);
    }
    if file_name.len() > MAX_FILE_NAME_BYTES {
        return Err(FileNameError::TooLong);
    }
    if file_name.contains(['/', '\\']) {
        return Err(FileNameError::Separator);
    }
    if file_name.contains(|character: char| character.is_control() || turns_text(character)) {
        return Err(FileNameError::ControlCharacter);
    }
    if matches!(file_name, "." | "..") {
        return Err(FileNameError::Directory);
    }
    Ok(())
}

/// Whether a character changes the direction or the lines of what follows it, so that a name does not read as what it is:
/// the `Bidi_Control` property and the two separators of Unicode.
fn turns_text(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Why a file name is refused whatever the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// There is no name.
    #[error("file name is empty")]
    Empty,
    /// The name has more than [`MAX_FILE_NAME_BYTES`] bytes.
    #[error("file name is longer than {MAX_FILE_NAME_BYTES} bytes")]
    TooLong,
    /// The name has a slash or a backslash.
    #[error("file name contains a path separator")]
    Separator,
    /// The name has a NUL, a line break or another control character, also one that turns the direction of text.
    #[error("file name contains a control character")]
    ControlCharacter,
    /// The name is `.` or `..`.
    #[error("file name is that of a directory")]
    Directory,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_the_extensions_the_python_server_accepts() {
        for (file_name, accepted) in [
            ("x-1.0.exe", true),
            ("x-1.0.tar.gz", true),
            ("x-1.0.bz2", true),
            ("x-1.0.tar.bz2", true),
            ("x-1.0.rpm", true),
            ("x-1.0.deb", true),
            ("x-1.0.zip", true),
            ("x-1.0.tgz", true),
            ("x-1.0.egg", true),
            ("x-1.0.dmg", true),
            ("x-1.0.msi", true),
            ("x-1.0.whl", true),
            ("X-1.0.ZIP", true),
            ("x-1.0.Tar.Gz", true),
            ("X-1.0.zip.foo.zip", true),
            ("x-1.0 b.zip", true),
            ("é.zip", true),
            ("a.zip", true),
            ("x-1.0.tar.xz", false),
            ("x-1.0.gz", false),
            ("x-1.0.tar", false),
            ("x-1.0.zip.asc", false),
            ("x-1.0.whl.metadata", false),
            ("x-1.0.txt", false),
            ("x-1.0zip", false),
            ("zip", false),
            (".zip", false),
            (".tar.gz", false),
            ("..zip", true),
            ("", false),
        ] {
            assert_eq!(ArchiveKind::of(file_name).is_some(), accepted, "{file_name}");
        }
    }

    #[test]
    fn each_kind_is_told_by_its_extension() {
        for kind in ArchiveKind::ALL {
            let file_name = format!("x-1.0.{}", kind.extension());
            assert_eq!(ArchiveKind::of(&file_name), Some(kind));
            assert_eq!(ArchiveKind::of(&file_name.to_uppercase()), Some(kind));
        }
    }

    #[test]
    fn wheels_and_zips_are_told_by_name() {
        for (file_name, wheel, zip) in [
            ("x-1.0-py3-none-any.whl", true, true),
            ("x-1.0-py3-none-any.WHL", false, true),
            ("x-1.0.zip", false, true),
            ("x-1.0.doc.zip", false, true),
            ("x-1.0-py2.7.Egg", false, true),
            ("x-1.0.tar.gz", false, false),
            ("x-1.0.whl.metadata", false, false),
            (".whl", false, false),
        ] {
            assert_eq!(is_wheel(file_name), wheel, "{file_name}");
            assert_eq!(is_zip(file_name), zip, "{file_name}");
        }
    }

    #[test]
    fn looks_for_the_version_as_the_python_server_does() {
        for (file_name, version, contained) in [
            ("pkg_a-1.0.tar.gz", "1.0", true),
            ("pkg_a-1.0.tar.gz", "2.0", false),
            ("pkg_a-1.0.tar.gz", "1", true),
            ("x-1.0_local.zip", "1.0+local", true),
            ("x-1.0+local.zip", "1.0+local", true),
            ("x-1.0_1.whl", "1.0-1", true),
            ("x-1.0_1.whl", "1.0-!-1", true),
            ("x-1_2.0.zip", "1!2.0", true),
            ("x-1.0_é.zip", "1.0-é", true),
            ("x-1.0__1.zip", "1.0--1", false),
            ("x-1.0_1.zip", "1.0_-_1", false),
            ("x-1.0___1.zip", "1.0_-_1", true),
            ("x-1_0.zip", "1.0", false),
            ("x-.zip", "", true),
            ("x-1.0_.zip", "1.0 ", true),
        ] {
            assert_eq!(contains_version(file_name, version), contained, "{file_name} {version}");
        }
    }

    #[test]
    fn compares_the_project_as_the_python_server_does() {
        for (file_name, project, belongs) in [
            ("pkg_a-1.0.tar.gz", "Pkg.A", true),
            ("pkg_a-1.0.tar.gz", "other", false),
            ("xyz-1.0.zip", "x", true),
            ("x-1.0.zip", "xyz", false),
            ("Zope.Interface-4.0.zip", "zope_interface", true),
            ("x", "x", true),
            ("é-1.0.zip", "x", false),
        ] {
            let project = ProjectName::from_url(project);
            assert_eq!(belongs_to(file_name, &project), belongs, "{file_name} {project}");
        }
    }

    #[test]
    fn refuses_unsafe_names() {
        let longest = "a".repeat(MAX_FILE_NAME_BYTES);
        let too_long = format!("{longest}a");
        for (file_name, expected) in [
            ("x-1.0.zip", Ok(())),
            (longest.as_str(), Ok(())),
            ("...", Ok(())),
            ("x 1.0 é.zip", Ok(())),
            ("", Err(FileNameError::Empty)),
            (too_long.as_str(), Err(FileNameError::TooLong)),
            ("a/b.zip", Err(FileNameError::Separator)),
            ("a\\b.zip", Err(FileNameError::Separator)),
            ("../x.zip", Err(FileNameError::Separator)),
            ("a\0.zip", Err(FileNameError::ControlCharacter)),
            ("a\r\n.zip", Err(FileNameError::ControlCharacter)),
            ("a\u{7f}.zip", Err(FileNameError::ControlCharacter)),
            ("a\u{85}.zip", Err(FileNameError::ControlCharacter)),
            ("a\u{202e}piz.zip", Err(FileNameError::ControlCharacter)),
            ("a\u{2028}.zip", Err(FileNameError::ControlCharacter)),
            (".", Err(FileNameError::Directory)),
            ("..", Err(FileNameError::Directory)),
        ] {
            assert_eq!(check_safe(file_name), expected, "{file_name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_safe_name_is_one_component_of_a_path(file_name in any::<String>()) {
            if check_safe(&file_name).is_ok() {
                let mut components = std::path::Path::new(&file_name).components();
                let is_normal = matches!(
                    components.next(),
                    Some(std::path::Component::Normal(name)) if name == file_name.as_str()
                );
                prop_assert!(is_normal);
                prop_assert!(components.next().is_none());
            }
        }

        #[test]
        fn a_file_named_after_its_release_passes_the_checks(
            project in "[A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9])?",
            version in "[0-9a-z.+!-]{1,10}",
            kind in prop::sample::select(ArchiveKind::ALL.to_vec()),
        ) {
            let file_name = format!("{project}-{version}.{}", kind.extension());
            prop_assert!(check_safe(&file_name).is_ok());
            prop_assert!(contains_version(&file_name, &version));
            prop_assert!(belongs_to(&file_name, &ProjectName::from_url(&project)));
            prop_assert!(ArchiveKind::of(&file_name).is_some());
        }
    }
}
