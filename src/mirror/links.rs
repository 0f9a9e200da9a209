//! Where the files of an upstream are here: devpi's paths (`mirror` section 4.2).

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::pep::digest::NamedHasher;
use crate::pep::name::ProjectName;
use crate::pep::simple_read::{ReadDetail, ReadFile};
use crate::storage::mirrored::{MirrorFile, MirrorPage, Validators};
use crate::storage::model::{IndexName, StoredPath};

/// The most projects that a file's name may speak of; each part of a name that ends at a dash is one.
const MAX_CANDIDATES: usize = 24;

/// The most odd paths of a page; all of them are written anew when it changes.
const MAX_ODD_PATHS: usize = 10_000;

/// A page that was read, as it is kept.
pub(super) fn make_page(
    index: &IndexName,
    read: ReadDetail,
    validators: Validators,
    serial: Option<u64>,
    source: Arc<str>,
) -> MirrorPage {
    let files = read.files.into_iter().map(|read| MirrorFile { path: path_of(index, &read), read }).collect();
    MirrorPage { files, versions: read.versions, status: read.status, validators, serial, source }
}

/// The hash that counts: SHA-256 where there is one, else the first that can be computed. A file is not told from
/// others by what cannot be verified.
pub fn main_hash(file: &ReadFile) -> Option<&(Arc<str>, Arc<str>)> {
    let sha256 = file.hashes.iter().find(|(algorithm, _)| &**algorithm == "sha256");
    sha256.or_else(|| file.hashes.iter().find(|(algorithm, _)| NamedHasher::new(algorithm).is_some()))
}

/// The path of a file: by its hash, else by where it is.
fn path_of(index: &IndexName, file: &ReadFile) -> StoredPath {
    if let Some((_, value)) = main_hash(file)
        && let Some((first, rest)) = value.split_at_checked(3)
        && !rest.is_empty()
    {
        let second = rest.get(..13).unwrap_or(rest);
        return StoredPath::new(format!("{index}/+f/{first}/{second}/{}", file.file_name));
    }
    StoredPath::new(format!("{index}/+e/{}/{}", directory_of(&file.url), file.file_name))
}

/// The place of a file without hash, as one word.
fn directory_of(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "unknown".to_owned() };
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut parts = vec![url.scheme().to_owned(), authority];
    let directories = url.path().rsplit_once('/').map_or("", |(directories, _)| directories);
    parts.extend(directories.split('/').filter(|part| !part.is_empty()).map(str::to_owned));
    let word: String = parts
        .join("_")
        .chars()
        .map(
            |character| {
                if character.is_ascii_alphanumeric() || "-_.".contains(character) { character } else { '_' }
            },
        )
        .collect();
    // What is left of dots alone would vanish from URLs.
    let word = percent_decode_str(&word).decode_utf8_lossy().into_owned();
    if word.chars().all(|character| character == '.') { "unknown".to_owned() } else { word }
}

/// The projects of which a file name may speak, by their normalised names: `a-b-1.0.zip` may be of `a`, `a-b`,
/// `a-b-1` and `a-b-1-0`. The likeliest come last.
pub fn candidates(file_name: &str) -> Vec<String> {
    let normal = ProjectName::from_url(file_name);
    let normal = normal.normal();
    let ends = normal.match_indices('-').map(|(at, _)| at).filter(|at| *at > 0);
    ends.take(MAX_CANDIDATES).map(|end| normal[..end].to_owned()).collect()
}

/// Those of the paths of a page whose file names do not speak of the project, up to a number that no sane page has.
pub fn odd_paths(project: &ProjectName, page: &MirrorPage) -> Vec<StoredPath> {
    let speaks =
        |file: &&MirrorFile| candidates(&file.read.file_name).iter().any(|name| name == project.normal());
    page.files.iter().filter(|file| !speaks(file)).map(|file| file.path.clone()).take(MAX_ODD_PATHS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pep::simple::CoreMetadata;

    fn file(url: &str, hashes: &[(&str, &str)]) -> ReadFile {
        ReadFile {
            file_name: url.rsplit('/').next().unwrap().split('?').next().unwrap().into(),
            url: url.into(),
            hashes: hashes.iter().map(|(algorithm, value)| ((*algorithm).into(), (*value).into())).collect(),
            requires_python: None,
            yanked: None,
            core_metadata: CoreMetadata::Absent,
            size: None,
            upload_time: None,
            provenance: None,
        }
    }

    /// The examples of `mirror` section 4.2.
    #[test]
    fn paths_are_devpis() {
        let index = IndexName::new("root", "up");
        let long = "b".repeat(128);
        for (file, expected) in [
            (
                file("http://127.0.0.1:4150/files/pkg-1.1-py3-none-any.whl", &[]),
                "root/up/+e/http_127.0.0.1_4150_files/pkg-1.1-py3-none-any.whl",
            ),
            (
                file("https://other.example:8080/a%20b/c/pkg-2.1.tar.gz?token=1", &[]),
                "root/up/+e/https_other.example_8080_a_20b_c/pkg-2.1.tar.gz",
            ),
            (
                file("http://x/pkg-2.2.tar.gz", &[("blake2b", &long)]),
                "root/up/+f/bbb/bbbbbbbbbbbbb/pkg-2.2.tar.gz",
            ),
            (
                file(
                    "http://x/pkg-1.zip",
                    &[("md5", "0123456789abcdef0123456789abcdef"), ("sha256", &"c".repeat(64))],
                ),
                "root/up/+f/ccc/ccccccccccccc/pkg-1.zip",
            ),
            (file("http://x/pkg-1.zip", &[("md5", "abc")]), "root/up/+e/http_x/pkg-1.zip"),
            (file("http://x/pkg-1.zip", &[("x-9", "abcdef")]), "root/up/+e/http_x/pkg-1.zip"),
        ] {
            assert_eq!(path_of(&index, &file).as_str(), expected);
        }
    }

    #[test]
    fn names_speak_of_projects() {
        assert_eq!(
            candidates("Zope.Interface-4.0-py3.whl"),
            ["zope", "zope-interface", "zope-interface-4", "zope-interface-4-0", "zope-interface-4-0-py3"]
        );
        assert!(candidates("nothing").is_empty());
        let index = IndexName::new("root", "up");
        let read = ReadDetail {
            files: vec![
                file("http://x/pkg-1.zip", &[]),
                file("http://x/pkgs-1.zip", &[]),
                file("http://x/o-1.txt", &[]),
            ],
            ..ReadDetail::default()
        };
        let page = make_page(&index, read, Validators::default(), None, "".into());
        let odd = odd_paths(&ProjectName::from_url("pkg"), &page);
        let odd: Vec<&str> = odd.iter().map(StoredPath::file_name).collect();
        assert_eq!(odd, ["pkgs-1.zip", "o-1.txt"]);
    }
}
