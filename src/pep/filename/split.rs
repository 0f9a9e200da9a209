//! What a file name says: project, version and the rest.
//!
//! The split is that of devpi in every corner, as the order of simple pages depends
//! on it. It knows nothing of the project the file was uploaded to, so it guesses; it never
//! fails. Names are taken to be without line breaks.

use crate::pep::filename::has_extension;

/// A file name in three parts, as simple pages sort by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitFileName<'a> {
    /// The project as the file name spells it.
    pub project: &'a str,
    /// The version; empty if the name has none.
    pub version: &'a str,
    /// The rest: extension, and tags of wheels, eggs and installers. Empty if not recognised.
    pub suffix: &'a str,
}

/// Splits a file name as devpi does, without asking whether the extension is known.
pub fn split_file_name(file_name: &str) -> SplitFileName<'_> {
    if let Some(split) = split_wheel(file_name) {
        return split;
    }
    let (stem, suffix) = file_name.split_at(suffix_start(file_name));
    let (project, version) = split_stem(stem);
    SplitFileName { project, version, suffix }
}

/// Splits `{project}-{version}(-{build})?-{python}-{abi}-{platform}.whl`; the build number is
/// left out. `None` if the name is not of this form.
fn split_wheel(file_name: &str) -> Option<SplitFileName<'_>> {
    let stem = file_name.strip_suffix(".whl")?;
    if has_extension(stem, "tar") {
        // For devpi the extension is `.tar.whl` then.
        return None;
    }
    let (project, rest) = split_dash(stem)?;
    let (version, tags) = rest.split_once('-')?;
    let after_build = tags
        .split_once('-')
        .filter(|(build, after)| build.starts_with(|first: char| first.is_ascii_digit()) && is_tags(after))
        .map(|(_, after)| after);
    let tags = after_build.or_else(|| is_tags(tags).then_some(tags))?;
    // From the dash before the tags to the end.
    let suffix_length = 1 + tags.len() + ".whl".len();
    Some(SplitFileName { project, version, suffix: &file_name[file_name.len() - suffix_length..] })
}

/// Whether this is three parts joined by dashes, none of them empty.
fn is_tags(text: &str) -> bool {
    split_dash(text)
        .and_then(|(_python, rest)| split_dash(rest))
        .is_some_and(|(_abi, platform)| !platform.is_empty())
}

/// Splits at the first dash that has something before it.
fn split_dash(text: &str) -> Option<(&str, &str)> {
    let first = text.chars().next()?.len_utf8();
    let dash = first + text[first..].find('-')?;
    Some((&text[..dash], &text[dash + 1..]))
}

/// Where the suffix of a file name begins: at the first dot or dash from which on all is suffix.
fn suffix_start(file_name: &str) -> usize {
    let lower = file_name.to_ascii_lowercase();
    lower
        .match_indices(['.', '-'])
        .map(|(at, _)| at)
        .find(|&at| is_suffix(&lower[at..]))
        .unwrap_or(file_name.len())
}

/// Whether the tail of a file name, in lower case, is one of the known suffixes.
fn is_suffix(tail: &str) -> bool {
    const EXTENSIONS: [&str; 8] = [".deb", ".dmg", ".msi", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".doc.zip"];
    if EXTENSIONS.contains(&tail) || tail.starts_with(".linux-") {
        return true;
    }
    if let Some(rest) = tail.strip_prefix(".macosx-") {
        return rest.starts_with(|first: char| first.is_ascii_digit());
    }
    if let Some(rest) = tail.strip_prefix(".win") {
        return rest.contains('.');
    }
    let Some(rest) = tail.strip_prefix('-') else {
        return false;
    };
    is_rpm_architecture(rest) || is_python_tag(rest)
}

/// Whether this is `{architecture}.rpm`, the part of an RPM's name after its last dash.
fn is_rpm_architecture(rest: &str) -> bool {
    !rest.contains('-') && rest.strip_suffix(".rpm").is_some_and(|architecture| !architecture.is_empty())
}

/// Whether this begins with the tag of a Python 2 or 3 and has an extension.
fn is_python_tag(rest: &str) -> bool {
    ["py", "cp", "ip", "pp", "jy"]
        .into_iter()
        .find_map(|implementation| rest.strip_prefix(implementation))
        .and_then(|rest| rest.strip_prefix(['2', '3']))
        .is_some_and(|rest| rest.contains('.'))
}

/// Splits what stands before the suffix into project and version.
///
/// The version is what has the form of one, as early as possible and after a project without
/// dots; failing that, what follows the last dash.
fn split_stem(stem: &str) -> (&str, &str) {
    [VersionForm::Pep440, VersionForm::Legacy]
        .into_iter()
        .find_map(|form| {
            let dotless = stem.find('.').unwrap_or(stem.len());
            stem[..dotless]
                .match_indices('-')
                .map(|(at, _)| (&stem[..at], &stem[at + 1..]))
                .find(|(project, version)| !project.is_empty() && form.matches(version))
        })
        .or_else(|| stem.rsplit_once('-'))
        .unwrap_or((stem, ""))
}

/// The two forms of a version that a file name is searched for.
#[derive(Clone, Copy)]
enum VersionForm {
    /// The normal form of PEP 440.
    Pep440,
    /// The same with `alpha` and `beta` too, and with `-` before the local segment.
    Legacy,
}

impl VersionForm {
    /// Whether the whole of `text` is a version of this form.
    fn matches(self, text: &str) -> bool {
        let (stages, local_mark): (&[&str], char) = match self {
            Self::Pep440 => (&["a", "b", "rc"], '+'),
            Self::Legacy => (&["a", "b", "rc", "alpha", "beta"], '-'),
        };
        let release = match text.split_once('!') {
            Some((epoch, release)) if epoch != "0" && strip_number(epoch) == Some("") => release,
            Some(_) => return false,
            None => text,
        };
        let Some(mut rest) = strip_number(release) else {
            return false;
        };
        while let Some(after) = rest.strip_prefix('.').and_then(strip_number) {
            rest = after;
        }
        for marks in [stages, &[".post"], &[".dev"]] {
            rest =
                marks.iter().find_map(|mark| rest.strip_prefix(mark).and_then(strip_number)).unwrap_or(rest);
        }
        rest.is_empty() || rest.strip_prefix(local_mark).is_some_and(is_local)
    }
}

/// What follows a number without leading zeros; `None` if there is no number.
fn strip_number(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('0') {
        return Some(rest);
    }
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}

/// Whether this is a local segment: small letters and digits, joined by single `-`, `_` and `.`.
fn is_local(text: &str) -> bool {
    text.split(['-', '_', '.']).all(|part| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// File name, and the project, version and suffix devpi finds in it.
    const SPLITS: &[(&str, &str, &str, &str)] = &[
        ("Foo_Bar-1.0-py3-none-any.whl", "Foo_Bar", "1.0", "-py3-none-any.whl"),
        ("foo-1.0-1-py3-none-any.whl", "foo", "1.0", "-py3-none-any.whl"),
        (
            "foo-1.0-2build-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "foo",
            "1.0",
            "-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        ),
        ("foo-1.0+local.1-py2.py3-none-any.whl", "foo", "1.0+local.1", "-py2.py3-none-any.whl"),
        ("foo-2004d-py3-none-any.whl", "foo", "2004d", "-py3-none-any.whl"),
        ("foo-1.0-1-py3-any.whl", "foo", "1.0", "-1-py3-any.whl"),
        ("foo--py3-none-any.whl", "foo", "", "-py3-none-any.whl"),
        ("-foo-1.0-py3-none-any.whl", "-foo", "1.0", "-py3-none-any.whl"),
        ("foo-1.0-py3-none-macosx-10.9-x86.whl", "foo", "1.0", "-py3-none-macosx-10.9-x86.whl"),
        ("foo-1.0-py3-none.whl", "foo", "1.0", "-py3-none.whl"),
        ("foo-1.0-none-any.whl", "foo", "1.0-none-any.whl", ""),
        ("foo-1.0.whl", "foo", "1.0.whl", ""),
        ("foo-1.0-py3-none-any.WHL", "foo", "1.0", "-py3-none-any.WHL"),
        ("foo-1.0-py3-none-any.tar.whl", "foo", "1.0", "-py3-none-any.tar.whl"),
        ("foo-1.0-py3-none-any.whl.metadata", "foo", "1.0", "-py3-none-any.whl.metadata"),
        ("foo-1.0.tar.gz", "foo", "1.0", ".tar.gz"),
        ("foo-1.0.TAR.GZ", "foo", "1.0", ".TAR.GZ"),
        ("foo-bar-1.0.tar.gz", "foo-bar", "1.0", ".tar.gz"),
        ("foo-bar-1.0-1.tar.gz", "foo-bar", "1.0-1", ".tar.gz"),
        ("foo-2-1.0.zip", "foo-2", "1.0", ".zip"),
        ("py2exe-0.6.9.zip", "py2exe", "0.6.9", ".zip"),
        ("zope.interface-4.0.zip", "zope.interface", "4.0", ".zip"),
        ("zope.interface-4.0-1.zip", "zope.interface-4.0", "1", ".zip"),
        ("foo-1.0.post1.dev2.tar.gz", "foo", "1.0.post1.dev2", ".tar.gz"),
        ("foo-1!2.0a1+abc.5.tar.bz2", "foo", "1!2.0a1+abc.5", ".tar.bz2"),
        ("foo-1.0-alpha-2.tgz", "foo", "1.0-alpha-2", ".tgz"),
        ("foo-1.0alpha2.tgz", "foo", "1.0alpha2", ".tgz"),
        ("foo-1.0-beta1.zip", "foo", "1.0-beta1", ".zip"),
        ("foo-1.0-R5.zip", "foo-1.0", "R5", ".zip"),
        ("foo-01.2.zip", "foo", "01.2", ".zip"),
        ("foo-2004d.zip", "foo", "2004d", ".zip"),
        ("foo-1.0.doc.zip", "foo", "1.0", ".doc.zip"),
        ("foo-1.0.tar.xz", "foo", "1.0.tar.xz", ""),
        ("foo-1.0.tar", "foo", "1.0.tar", ""),
        ("foo-1.0.bz2", "foo", "1.0.bz2", ""),
        ("foo-1.0.tar.gz.asc", "foo", "1.0.tar.gz.asc", ""),
        ("foo-1.0", "foo", "1.0", ""),
        ("foo.zip", "foo", "", ".zip"),
        ("foo", "foo", "", ""),
        ("foo-", "foo", "", ""),
        ("-1.0.zip", "", "1.0", ".zip"),
        (".zip", "", "", ".zip"),
        ("foo-1.0-py2.7.egg", "foo", "1.0", "-py2.7.egg"),
        ("foo-1.0-py2.7-win32.egg", "foo", "1.0", "-py2.7-win32.egg"),
        ("foo-1.0-py4.0.egg", "foo", "1.0-py4.0.egg", ""),
        ("foo-1.0-jy25.egg", "foo", "1.0", "-jy25.egg"),
        ("foo-1.0-cp3", "foo", "1.0-cp3", ""),
        ("foo-1.0.win32.exe", "foo", "1.0", ".win32.exe"),
        ("foo-1.0.win32-py2.7.exe", "foo", "1.0", ".win32-py2.7.exe"),
        ("foo-1.0.win-amd64-py3.4.msi", "foo", "1.0", ".win-amd64-py3.4.msi"),
        ("foo.win-1.0.zip", "foo", "", ".win-1.0.zip"),
        ("foo-1.0.linux-x86_64.tar.gz", "foo", "1.0", ".linux-x86_64.tar.gz"),
        ("foo-1.0.macosx-10.9-x86_64.tar.gz", "foo", "1.0", ".macosx-10.9-x86_64.tar.gz"),
        ("foo-1.0.macosx-arm.tar.gz", "foo-1.0.macosx", "arm", ".tar.gz"),
        ("foo-1.0-1.noarch.rpm", "foo", "1.0", "-1.noarch.rpm"),
        ("foo-1.0-1.src.rpm", "foo", "1.0", "-1.src.rpm"),
        ("foo_1.0_all.deb", "foo_1.0_all", "", ".deb"),
        ("foo-1.0.dmg", "foo", "1.0", ".dmg"),
        ("föö-1.0.zip", "föö", "1.0", ".zip"),
    ];

    #[test]
    fn splits_as_the_python_server_does() {
        for &(file_name, project, version, suffix) in SPLITS {
            let expected = SplitFileName { project, version, suffix };
            assert_eq!(split_file_name(file_name), expected, "{file_name}");
        }
    }

    /// What file names are made of, in pieces that make for odd joints.
    fn piece() -> impl Strategy<Value = &'static str> {
        let pieces: Vec<_> = "- . 1 é py3 .whl .rpm .win .linux- ! + tar".split(' ').collect();
        prop::sample::select(pieces)
    }

    proptest! {
        #[test]
        fn parts_of_other_than_wheels_make_up_the_whole(file_name in any::<String>()) {
            let split = split_file_name(&file_name);
            prop_assume!(file_name.strip_suffix(".whl").is_none());
            let SplitFileName { project, version, suffix } = split;
            let with_dash = format!("{project}-{version}{suffix}");
            let without_dash = format!("{project}{suffix}");
            prop_assert!(
                with_dash == file_name || (version.is_empty() && without_dash == file_name)
            );
        }

        #[test]
        fn parts_of_a_wheel_are_found(
            project in "[A-Za-z0-9_.]{1,12}",
            version in "[0-9][a-z0-9.+_]{0,12}",
            build in prop::option::of("[0-9][a-z0-9_]{0,4}"),
            tags in "[a-z0-9_.]{1,9}-[a-z0-9_.]{1,9}-[a-z0-9_.]{1,9}",
        ) {
            let build = build.map_or_else(String::new, |build| format!("-{build}"));
            let file_name = format!("{project}-{version}{build}-{tags}.whl");
            prop_assume!(file_name.strip_suffix(".tar.whl").is_none());
            let split = split_file_name(&file_name);
            prop_assert_eq!(split.project, project);
            prop_assert_eq!(split.version, version);
            prop_assert_eq!(split.suffix, format!("-{tags}.whl"));
        }

        #[test]
        fn any_sequence_of_pieces_splits(pieces in prop::collection::vec(piece(), 0..12)) {
            let file_name = pieces.concat();
            let split = split_file_name(&file_name);
            prop_assert!(file_name.ends_with(split.suffix));
            prop_assert!(file_name.starts_with(split.project));
        }
    }
}
