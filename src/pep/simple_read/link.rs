//! Where the links of a simple page lead: the same for JSON and HTML.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use url::Url;

use super::ReadFile;
use super::files::Files;
use crate::pep::filename::check_safe;
use crate::pep::simple::CoreMetadata;

/// The algorithms that a fragment may name; others, such as `egg`, are no hashes.
const ALGORITHMS: [&str; 12] = [
    "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_224", "sha3_256",
    "sha3_384", "sha3_512",
];

/// The `http` or `https` URL that `reference` means on a page whose base is `base`, without credentials.
///
/// A relative reference would take over the credentials of the page, which must not get into pages of ours.
pub(super) fn resolve(base: &Url, reference: &str) -> Option<Url> {
    let mut url = base.join(reference).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url)
}

/// The file at `url`, of which nothing else is known; `None` if the URL ends in no usable file name.
pub(super) fn file_at(mut url: Url) -> Option<ReadFile> {
    let segment = url.path_segments()?.next_back()?;
    let file_name = percent_decode_str(segment).decode_utf8_lossy();
    check_safe(&file_name).ok()?;
    let file_name = file_name.as_ref().into();
    url.set_fragment(None);
    Some(ReadFile {
        file_name,
        url: url.as_str().into(),
        hashes: Vec::new(),
        requires_python: None,
        yanked: None,
        core_metadata: CoreMetadata::Absent,
        size: None,
        upload_time: None,
        provenance: None,
    })
}

/// The hashes in a fragment: `sha256=...`, possibly several with `&` between them.
pub(super) fn hashes_in(fragment: Option<&str>, files: &mut Files) -> Vec<(Arc<str>, Arc<str>)> {
    let pairs = fragment.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    files.hashes(pairs, |algorithm| ALGORITHMS.contains(&algorithm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_joined_to_the_page() {
        let base = Url::parse("https://user:secret@pypi.example:8443/root/simple/demo/?page=1").unwrap();
        for (reference, url) in [
            ("demo-1.zip", Some("https://pypi.example:8443/root/simple/demo/demo-1.zip")),
            ("../../f/demo-1.zip", Some("https://pypi.example:8443/root/f/demo-1.zip")),
            ("/f/demo-1.zip", Some("https://pypi.example:8443/f/demo-1.zip")),
            ("//files.example/demo-1.zip", Some("https://files.example/demo-1.zip")),
            ("HTTP://Files.Example:80/demo-1.zip", Some("http://files.example/demo-1.zip")),
            ("http://a:b@files.example/demo-1.zip", Some("http://files.example/demo-1.zip")),
            ("http://a@files.example/demo-1.zip", Some("http://files.example/demo-1.zip")),
            ("  demo-1.zip\n", Some("https://pypi.example:8443/root/simple/demo/demo-1.zip")),
            ("demo-1.zip?t=a%20b&u", Some("https://pypi.example:8443/root/simple/demo/demo-1.zip?t=a%20b&u")),
            ("ftp://files.example/demo-1.zip", None),
            ("file:///etc/demo-1.zip", None),
            ("data:,demo-1.zip", None),
            ("javascript:alert(1)", None),
            ("mailto:a@b", None),
            ("http://", None),
            ("http://[/demo-1.zip", None),
        ] {
            assert_eq!(resolve(&base, reference).as_ref().map(Url::as_str), url, "{reference}");
        }
    }

    #[test]
    fn files_are_named_after_the_last_segment() {
        for (url, file_name) in [
            ("http://h/a/demo-1.zip", Some("demo-1.zip")),
            ("http://h/demo-1.zip?x=/y.zip#sha256=ab", Some("demo-1.zip")),
            ("http://h/demo-1%2Blocal.zip", Some("demo-1+local.zip")),
            ("http://h/demo%20x+1.zip", Some("demo x+1.zip")),
            ("http://h/%C3%A9-1.zip", Some("é-1.zip")),
            ("http://h/%FF-1.zip", Some("\u{fffd}-1.zip")),
            ("http://h/100%", Some("100%")),
            ("http://h", None),
            ("http://h/demo/", None),
            ("http://h/..%2Fdemo-1.zip", None),
            ("http://h/..%5Cdemo-1.zip", None),
            ("http://h/demo%00-1.zip", None),
            ("http://h/demo%0A-1.zip", None),
        ] {
            let file = file_at(Url::parse(url).unwrap());
            assert_eq!(file.as_ref().map(|file| &*file.file_name), file_name, "{url}");
            if let Some(file) = file {
                assert_eq!(*file.url, *url.split('#').next().unwrap());
            }
        }
    }
}
