//! Media types of distributions.

/// The content type by file name, as devpi gives it on Debian. Archives are sent as they are: never with a content
/// coding, which would make clients unpack them.
pub fn content_type(file_name: &str) -> &'static str {
    if [".tar", ".tar.gz", ".tgz", ".tar.bz2"].iter().any(|suffix| file_name.ends_with(suffix)) {
        return "application/x-tar";
    }
    let Some((_, extension)) = file_name.rsplit_once('.') else { return "application/octet-stream" };
    match extension.to_ascii_lowercase().as_str() {
        "zip" => "application/zip",
        "exe" => "application/x-msdos-program",
        "msi" => "application/x-msi",
        "deb" => "application/vnd.debian.binary-package",
        "rpm" => "application/x-redhat-package-manager",
        "dmg" => "application/x-apple-diskimage",
        // In small letters it is taken for a coding.
        "gz" if extension != "gz" => "application/gzip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_have_their_types_and_no_codings() {
        for (name, expected) in [
            ("demo-1.0.tar.gz", "application/x-tar"),
            ("demo-1.0.tgz", "application/x-tar"),
            ("demo-1.0.TAR.GZ", "application/gzip"),
            ("demo-1.0.zip", "application/zip"),
            ("demo-1.0.ZIP", "application/zip"),
            ("demo-1.0-py3-none-any.whl", "application/octet-stream"),
            ("demo-1.0.gz", "application/octet-stream"),
            ("demo", "application/octet-stream"),
        ] {
            assert_eq!(content_type(name), expected, "{name}");
        }
    }
}
