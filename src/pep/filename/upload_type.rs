//! What upload forms say of a file besides its name: `filetype` and `pyversion` (the legacy upload API of PyPI).

use super::split::split_file_name;

/// The beginnings of Python tags in file names: any Python, and four implementations of it.
const TAGS: [&str; 5] = ["py", "cp", "ip", "pp", "jy"];

/// The fields of an upload form that tell what a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadType {
    /// `sdist`, `bdist_wheel` and the like.
    pub file_type: &'static str,
    /// The Python that it is for, such as `3.11`; `source` for source archives.
    pub python_version: String,
}

/// What upload tools would say of a file of this name.
pub fn upload_type(file_name: &str) -> UploadType {
    let suffix = split_file_name(file_name).suffix;
    // Only these, and in this case of letters, as in devpi.
    if [".zip", ".tar.gz", ".tgz"].contains(&suffix) {
        return UploadType { file_type: "sdist", python_version: "source".to_owned() };
    }
    let suffix = suffix.to_lowercase();
    let file_type = match suffix.rsplit_once('.').map(|(_, extension)| extension) {
        Some("whl") => "bdist_wheel",
        Some("egg") => "bdist_egg",
        Some("exe") => "bdist_wininst",
        Some("msi") => "bdist_msi",
        _ => "bdist_dumb",
    };
    match python_version(&suffix) {
        Some(python_version) if file_type != "bdist_dumb" => UploadType { file_type, python_version },
        _ => UploadType { file_type: "bdist_dumb", python_version: "any".to_owned() },
    }
}

/// The version in the first Python tag: `cp311` is for 3.11.
fn python_version(suffix: &str) -> Option<String> {
    let versions = suffix.char_indices().filter_map(|(at, _)| {
        let rest = TAGS.iter().find_map(|tag| suffix[at..].strip_prefix(tag))?;
        let end = rest.find(|character: char| !character.is_ascii_digit() && !".py".contains(character));
        let version = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
        version.starts_with(|character: char| character.is_ascii_digit()).then_some(version)
    });
    let version = versions.into_iter().next()?;
    Some(match version {
        // Made for both: one has to be said.
        "2.py3" => "2.7".to_owned(),
        _ if version.contains('.') || version.len() == 1 => version.to_owned(),
        _ => format!("{}.{}", &version[..1], &version[1..]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_upload_tools_say() {
        for (name, file_type, python_version) in [
            ("demo-1.0.tar.gz", "sdist", "source"),
            ("demo-1.0.zip", "sdist", "source"),
            ("demo-1.0.ZIP", "bdist_dumb", "any"),
            ("demo-1.0.tar.bz2", "bdist_dumb", "any"),
            ("demo-1.0-py3-none-any.whl", "bdist_wheel", "3"),
            ("demo-1.0-py2.py3-none-any.whl", "bdist_wheel", "2.7"),
            ("demo-1.0-py27-none-any.whl", "bdist_wheel", "2.7"),
            ("demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "bdist_wheel", "3.11"),
            ("demo-1.0-py3.11.egg", "bdist_egg", "3.11"),
            ("demo-1.0.win32-py2.7.exe", "bdist_wininst", "2.7"),
            ("demo-1.0.win32-py2.7.msi", "bdist_msi", "2.7"),
            ("demo-1.0.linux-x86_64.rpm", "bdist_dumb", "any"),
            ("demo-1.0.deb", "bdist_dumb", "any"),
            ("cpython-1.0.exe", "bdist_dumb", "any"),
        ] {
            let expected = UploadType { file_type, python_version: python_version.to_owned() };
            assert_eq!(upload_type(name), expected, "{name}");
        }
    }
}
