//! A project's page: which of its links lead to files, and what their attributes say.

use jiff::Timestamp;
use lol_html::element;
use lol_html::html_content::Element;
use url::Url;

use super::{Head, attribute, read_page};
use crate::pep::filename::{belongs_to, could_be_distribution};
use crate::pep::name::ProjectName;
use crate::pep::simple::CoreMetadata;
use crate::pep::simple_read::files::Files;
use crate::pep::simple_read::link::{file_at, hashes_in, resolve};
use crate::pep::simple_read::{ReadDetail, ReadError, ReadFile, status_of};

/// Reads a project's page: see [`super::super::read_detail`].
pub(in crate::pep::simple_read) fn read_detail(
    body: &[u8],
    page: &Url,
    project: &ProjectName,
) -> Result<ReadDetail, ReadError> {
    let mut head = Head::default();
    let mut links = Vec::new();
    let anchors = element!("a[href]", |anchor| {
        links.extend(Link::of(anchor));
        Ok(())
    });
    read_page(body, &mut head, vec![anchors])?;
    // The base holds for the whole page, hence links are resolved only now.
    let base = head.base.and_then(|base| page.join(&base).ok());
    let base = base.as_ref().unwrap_or(page);
    let mut files = Files::default();
    for link in links {
        if let Some(file) = link.resolve(base, project, &mut files) {
            files.add(file);
        }
    }
    let status = status_of(head.status.as_deref(), head.reason.as_deref());
    Ok(ReadDetail { files: files.finish()?, versions: Vec::new(), status })
}

/// An anchor of a project's page.
struct Link {
    href: String,
    requires_python: Option<String>,
    yanked: Option<String>,
    core_metadata: CoreMetadata,
    size: Option<u64>,
    upload_time: Option<Timestamp>,
    provenance: Option<String>,
}

impl Link {
    fn of(anchor: &Element<'_, '_>) -> Option<Self> {
        let given = |name| attribute(anchor, name).filter(|value| !value.is_empty());
        Some(Self {
            href: given("href")?,
            requires_python: given("data-requires-python"),
            yanked: attribute(anchor, "data-yanked"),
            core_metadata: ["data-core-metadata", "data-dist-info-metadata"]
                .into_iter()
                .filter_map(given)
                .find_map(|value| read_core_metadata(&value))
                .unwrap_or_default(),
            // These two are uv's.
            size: given("data-size").and_then(|size| size.parse().ok()),
            upload_time: given("data-upload-time").and_then(|time| time.parse().ok()),
            provenance: given("data-provenance"),
        })
    }

    /// The file that the link leads to, if it looks like one of the project's.
    fn resolve(self, base: &Url, project: &ProjectName, files: &mut Files) -> Option<ReadFile> {
        let url = resolve(base, &self.href)?;
        let hashes = hashes_in(url.fragment(), files);
        let file = file_at(url)?;
        if !could_be_distribution(&file.file_name) || !belongs_to(stem(&file.file_name), project) {
            return None;
        }
        Some(ReadFile {
            hashes,
            requires_python: self.requires_python.map(|specifier| files.share(&specifier)),
            yanked: self.yanked.map(|reason| files.share(&reason)),
            core_metadata: self.core_metadata,
            size: self.size,
            upload_time: self.upload_time,
            provenance: self.provenance.and_then(|url| resolve(base, &url)).map(|url| url.as_str().into()),
            ..file
        })
    }
}

/// The file name without its extension, of which `.tar` and `.doc` may be part.
fn stem(file_name: &str) -> &str {
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    match stem.rsplit_once('.') {
        Some((shorter, inner)) if ["tar", "doc"].iter().any(|end| inner.eq_ignore_ascii_case(end)) => shorter,
        _ => stem,
    }
}

/// What an attribute says of core metadata; `None` if it says nothing.
fn read_core_metadata(value: &str) -> Option<CoreMetadata> {
    if value.eq_ignore_ascii_case("true") {
        return Some(CoreMetadata::Offered);
    }
    if value.eq_ignore_ascii_case("false") {
        return Some(CoreMetadata::Absent);
    }
    let (algorithm, hash) = value.split_once('=')?;
    let sha256 = hash.parse().ok().filter(|_| algorithm.eq_ignore_ascii_case("sha256"));
    Some(sha256.map_or(CoreMetadata::Offered, CoreMetadata::Hashed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pep::digest::Sha256;

    fn page() -> Url {
        Url::parse("https://user:secret@pypi.example/simple/demo/").unwrap()
    }

    fn detail(body: &str) -> Result<ReadDetail, ReadError> {
        read_detail(body.as_bytes(), &page(), &ProjectName::from_url("Demo_Pkg"))
    }

    fn urls(body: &str) -> Vec<String> {
        detail(body).unwrap().files.iter().map(|file| file.url.to_string()).collect()
    }

    /// The file that a link with these attributes besides its `href` is read as.
    fn file_with(attributes: &str) -> ReadFile {
        let mut read = detail(&format!("<a href=demo_pkg-1.zip {attributes}>x</a>")).unwrap();
        assert_eq!(read.files.len(), 1, "{attributes}");
        read.files.remove(0)
    }

    #[test]
    fn links_to_distributions_of_the_project_count() {
        for (file_name, counts) in [
            ("demo_pkg-1.0.deb", true),
            ("demo_pkg-1.0.dmg", true),
            ("demo_pkg-1.0.doc.zip", true),
            ("demo_pkg-1.0.egg", true),
            ("demo_pkg-1.0.exe", true),
            ("demo_pkg-1.0.msi", true),
            ("demo_pkg-1.0.rpm", true),
            ("demo_pkg-1.0.tar", true),
            ("demo_pkg-1.0.tar.bz2", true),
            ("demo_pkg-1.0.tar.gz", true),
            ("demo_pkg-1.0.tgz", true),
            ("demo_pkg-1.0-py3-none-any.whl", true),
            ("Demo.Pkg-1.0.ZIP", true),
            ("DEMO-PKG-1.0.Tar.Gz", true),
            ("demo-pkg-docs-1.0.zip", true),
            ("demo_pkg.zip", true),
            ("demo_pkg-1.0.tar.xz", false),
            ("demo_pkg-1.0.tar.Z", false),
            ("demo_pkg-1.0.bz2", false),
            ("demo_pkg-1.0.zip.asc", false),
            ("demo_pkg-1.0.whl.metadata", false),
            ("demo_pkg-1.0", false),
            ("demo-1.0.zip", false),
            ("other-1.0.zip", false),
            ("demo.pkg", false),
            ("demo.tar.gz", false),
        ] {
            let found = urls(&format!("<a href=\"{file_name}\">x</a>"));
            assert_eq!(found.len(), usize::from(counts), "{file_name}");
        }
        for (file_name, project) in
            [("demo.zip", "demo-zip"), ("demo.tar.gz", "demo-tar"), ("demo.doc.zip", "demo-doc")]
        {
            assert!(!belongs_to(stem(file_name), &ProjectName::from_url(project)), "{file_name}");
        }
    }

    #[test]
    fn links_are_resolved() {
        for (html, expected) in [
            ("<a href='demo-pkg-1.zip'>", Some("https://pypi.example/simple/demo/demo-pkg-1.zip")),
            ("<A HREF=demo-pkg-1.zip>", Some("https://pypi.example/simple/demo/demo-pkg-1.zip")),
            ("<a\nclass=x\nhref = \"/f/demo-pkg-1.zip\"/>", Some("https://pypi.example/f/demo-pkg-1.zip")),
            (
                "<a href='http://a:b@h/demo-pkg-1.zip?x=1&amp;y=2#egg=z'>",
                Some("http://h/demo-pkg-1.zip?x=1&y=2"),
            ),
            (
                "<a href='demo-pkg-1.zip?x=1&lt=2'>",
                Some("https://pypi.example/simple/demo/demo-pkg-1.zip?x=1&lt=2"),
            ),
            (
                "<a href='demo&#45;pkg-1&plus;x.zip'>",
                Some("https://pypi.example/simple/demo/demo-pkg-1+x.zip"),
            ),
            ("<a href='a.html' href='demo-pkg-1.zip'>", None),
            ("<a href='ftp://h/demo-pkg-1.zip'>", None),
            ("<a href='http://h/f%2Fdemo-pkg-1.zip'>", None),
            ("<a href=''>", None),
            ("<a href>", None),
            ("<a name='demo-pkg-1.zip'>", None),
            ("<link href='demo-pkg-1.zip'>", None),
            ("<base href='/f/'><a href='demo-pkg-1.zip'>", Some("https://pypi.example/f/demo-pkg-1.zip")),
            ("<a href='demo-pkg-1.zip'><BASE HREF='http://h/f/'>", Some("http://h/f/demo-pkg-1.zip")),
            (
                "<base href='http://a:b@h/'><base href='/y/'><a href='demo-pkg-1.zip'>",
                Some("http://h/demo-pkg-1.zip"),
            ),
            (
                "<base target=x><base href='/f&#47;'><a href='demo-pkg-1.zip'>",
                Some("https://pypi.example/f/demo-pkg-1.zip"),
            ),
            ("<base href='http://['><a href='/demo-pkg-1.zip'>", Some("https://pypi.example/demo-pkg-1.zip")),
            ("<base href='ftp://h/'><a href='demo-pkg-1.zip'>", None),
        ] {
            assert_eq!(urls(html), expected.into_iter().collect::<Vec<_>>(), "{html}");
        }
    }

    #[test]
    fn only_elements_are_links() {
        let link = "<a href=demo-pkg-1.zip>x</a>";
        for (before, after) in [
            ("<!--", "-->"),
            ("<script>", "</script>"),
            ("<textarea>", "</textarea>"),
            ("<title>", "</title>"),
            ("<style>", "</style>"),
            ("<noscript>", "</noscript>"),
            ("<p title='", "'>"),
            ("<!doctype '", "'>"),
            ("&lt;", ""),
        ] {
            let html = format!("{before}{link}{after}").replace("&lt;<", "&lt;");
            assert_eq!(urls(&html), Vec::<String>::new(), "{html}");
            let html = format!("{html}<a href=demo-pkg-2.zip>");
            assert_eq!(urls(&html).len(), 1, "{html}");
        }
        for (before, after) in [
            ("<p><b>", ""),
            ("<svg>", "</svg>"),
            ("<table>", "</table>"),
            ("</a></p>", "<"),
            ("<select>", ""),
        ] {
            assert_eq!(urls(&format!("{before}{link}{after}")).len(), 1, "{before}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_read() {
        let body = b"\xff<a href='demo-pkg-1\xff.zip' data-yanked='\xe9'>\xff</a>";
        let read = read_detail(body, &page(), &ProjectName::from_url("demo-pkg")).unwrap();
        assert_eq!(&*read.files[0].file_name, "demo-pkg-1\u{fffd}.zip");
        assert_eq!(read.files[0].yanked.as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn fragments_are_hashes() {
        for (fragment, expected) in [
            ("", &[][..]),
            ("#", &[]),
            ("#sha256=AB01", &[("sha256", "ab01")]),
            ("#SHA256=ab", &[("sha256", "ab")]),
            ("#md5=ab&sha256=cd", &[("md5", "ab"), ("sha256", "cd")]),
            ("#md5=ab&amp;sha3_256=cd", &[("md5", "ab"), ("sha3_256", "cd")]),
            ("#egg=demo&blake2b=ab", &[("blake2b", "ab")]),
            ("#sha256=ab&sha256=cd", &[("sha256", "ab")]),
            ("#sha256=", &[]),
            ("#sha256=xyz", &[]),
            ("#sha256", &[]),
            ("#egg=ab", &[]),
            ("#crc32=ab", &[]),
            ("#sha256=ab%63", &[]),
        ] {
            let read = detail(&format!("<a href='demo-pkg-1.zip{fragment}'>")).unwrap();
            assert_eq!(&*read.files[0].url, "https://pypi.example/simple/demo/demo-pkg-1.zip");
            let hashes: Vec<_> =
                read.files[0].hashes.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(hashes, expected, "{fragment}");
        }
    }

    #[test]
    fn attributes_are_read() {
        for (attributes, expected) in [
            ("", None),
            ("data-requires-python", None),
            ("data-requires-python=''", None),
            ("data-requires-python='&gt;=3.8,&lt;4'", Some(">=3.8,<4")),
            ("Data-Requires-Python='>=3'", Some(">=3")),
        ] {
            assert_eq!(file_with(attributes).requires_python.as_deref(), expected, "{attributes}");
        }
        for (attributes, expected) in [
            ("", None),
            ("data-yanked", Some("")),
            ("data-yanked=''", Some("")),
            ("data-yanked='a &amp;amp; b'", Some("a &amp; b")),
        ] {
            assert_eq!(file_with(attributes).yanked.as_deref(), expected, "{attributes}");
        }
        for (attributes, expected) in [
            ("data-provenance='https://h/p?a&amp;b'", Some("https://h/p?a&b")),
            ("data-provenance='/p'", Some("https://pypi.example/p")),
            ("data-provenance='javascript:x'", None),
            ("data-provenance=''", None),
            ("", None),
        ] {
            assert_eq!(file_with(attributes).provenance.as_deref(), expected, "{attributes}");
        }
        let file = file_with("data-size=7 data-upload-time='2026-11-22T13:03:52Z'");
        assert_eq!(file.size, Some(7));
        assert_eq!(file.upload_time, Some("2026-11-22T13:03:52Z".parse().unwrap()));
        let file = file_with("data-size=-7 data-upload-time=today");
        assert_eq!((file.size, file.upload_time), (None, None));
    }

    #[test]
    fn core_metadata_goes_by_its_newest_name() {
        let sha256 = Sha256::of(b"metadata");
        let hashed = format!("'sha256={sha256}'");
        for (attributes, expected) in [
            (String::new(), CoreMetadata::Absent),
            ("data-core-metadata=true".into(), CoreMetadata::Offered),
            ("data-core-metadata=True".into(), CoreMetadata::Offered),
            ("data-core-metadata=false".into(), CoreMetadata::Absent),
            (format!("data-core-metadata={hashed}"), CoreMetadata::Hashed(sha256)),
            ("data-core-metadata=sha256=ab".into(), CoreMetadata::Offered),
            ("data-core-metadata=md5=ab".into(), CoreMetadata::Offered),
            (format!("data-dist-info-metadata={hashed}"), CoreMetadata::Hashed(sha256)),
            (format!("data-dist-info-metadata={hashed} data-core-metadata=true"), CoreMetadata::Offered),
            (format!("data-dist-info-metadata={hashed} data-core-metadata=false"), CoreMetadata::Absent),
            (format!("data-dist-info-metadata={hashed} data-core-metadata"), CoreMetadata::Hashed(sha256)),
            (format!("data-dist-info-metadata={hashed} data-core-metadata=x"), CoreMetadata::Hashed(sha256)),
        ] {
            assert_eq!(file_with(&attributes).core_metadata, expected, "{attributes}");
        }
    }
}
