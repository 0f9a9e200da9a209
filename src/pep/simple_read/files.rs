//! The files of a page while it is read: one for each name, and texts that many of them share kept once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{ReadError, ReadFile};

/// The longest URL of a file, in bytes. A page's `<base>` is part of each of them.
const MAX_URL_BYTES: usize = 8 * 1024;

/// The most bytes that the files and versions of a page may take when they are read.
pub(super) const MAX_PAGE_BYTES: usize = 64 * 1024 * 1024;

/// About how many of these a file takes besides its URL, name and hashes.
const BYTES_PER_FILE: usize = 256;

/// The files read so far, in the order of the page.
#[derive(Default)]
pub(super) struct Files {
    bytes: usize,
    read: Vec<ReadFile>,
    positions: HashMap<Arc<str>, usize>,
    texts: HashSet<Arc<str>>,
}

impl Files {
    /// Adds a file, unless a better one or an equally good one of its name is there.
    pub(super) fn add(&mut self, file: ReadFile) {
        let hashes: usize = file.hashes.iter().map(|(_, value)| value.len()).sum();
        let provenance = file.provenance.as_ref().map_or(0, |url| url.len());
        if file.url.len().max(provenance) > MAX_URL_BYTES {
            return;
        }
        self.charge(BYTES_PER_FILE + file.url.len() + provenance + file.file_name.len() + hashes);
        if self.bytes > MAX_PAGE_BYTES {
            return;
        }
        let Some(&position) = self.positions.get(&file.file_name) else {
            self.positions.insert(Arc::clone(&file.file_name), self.read.len());
            self.read.push(file);
            return;
        };
        let present = &mut self.read[position];
        if is_better(&file, present) {
            *present = file;
        }
    }

    /// Counts bytes that the page takes.
    pub(super) fn charge(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// The text, kept once however often it is asked for.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }

    /// The pairs that are the name of an algorithm and a hexadecimal value, both in small letters.
    ///
    /// `is_algorithm` gets the name in small letters. Of several values of one algorithm the first stays.
    pub(super) fn hashes<'a>(
        &mut self,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        is_algorithm: impl Fn(&str) -> bool,
    ) -> Vec<(Arc<str>, Arc<str>)> {
        let mut hashes: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for (algorithm, value) in pairs {
            let algorithm = algorithm.to_ascii_lowercase();
            let is_new = hashes.iter().all(|(present, _)| **present != *algorithm);
            if is_new && is_algorithm(&algorithm) && is_hex(value) {
                hashes.push((self.share(&algorithm), value.to_ascii_lowercase().into()));
            }
        }
        hashes
    }

    /// The files; an error if they were too many to be read.
    pub(super) fn finish(self) -> Result<Vec<ReadFile>, ReadError> {
        if self.bytes > MAX_PAGE_BYTES {
            return Err(ReadError::Malformed(format!(
                "files and versions of more than {MAX_PAGE_BYTES} bytes"
            )));
        }
        Ok(self.read)
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a later file of the same name takes the place of the one that is there: devpi's rule.
fn is_better(later: &ReadFile, present: &ReadFile) -> bool {
    let gains_hash = !later.hashes.is_empty();
    let gains_python = later.requires_python.is_some() && present.requires_python.is_none();
    present.hashes.is_empty() && (gains_hash || gains_python)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::pep::simple_read::link::file_at;

    /// A file `{name}.zip` in folder `{place}`; `#` in the traits gives it a hash, `p` a `requires-python`.
    fn file(name: &str, place: usize, traits: &str) -> ReadFile {
        let mut file = file_at(Url::parse(&format!("http://h/{place}/{name}.zip")).unwrap()).unwrap();
        if traits.contains('#') {
            file.hashes.push(("sha256".into(), "ab".into()));
        }
        file.requires_python = traits.contains('p').then(|| ">=3".into());
        file
    }

    #[test]
    fn of_one_name_the_best_file_stays_in_the_place_of_the_first() {
        for (traits, stays) in [
            (["", "", ""], 0),
            (["#", "#p", "#"], 0),
            (["", "#", "#p"], 1),
            (["p", "#", "#p"], 1),
            (["", "p", ""], 1),
            (["", "p", "#"], 2),
            (["p", "p", ""], 0),
            (["p", "", "p"], 0),
        ] {
            let mut files = Files::default();
            files.add(file("first", 9, ""));
            for (place, traits) in traits.into_iter().enumerate() {
                files.add(file("many", place, traits));
                files.add(file("last", 9, "#"));
            }
            let urls: Vec<_> = files.finish().unwrap().into_iter().map(|file| file.url.to_string()).collect();
            let expected =
                ["http://h/9/first.zip", &format!("http://h/{stays}/many.zip"), "http://h/9/last.zip"];
            assert_eq!(urls, expected, "{traits:?}");
        }
    }

    #[test]
    fn hashes_are_named_hexadecimal_values() {
        let mut files = Files::default();
        let pairs = [
            ("MD5", "AB01"),
            ("sha256", ""),
            ("sha256", "xyz"),
            ("sha256", "+1"),
            ("egg", "ab"),
            ("md5", "ff"),
            ("sha256", "cd"),
        ];
        let hashes = files.hashes(pairs.into_iter(), |algorithm| algorithm != "egg");
        assert_eq!(hashes, [("md5".into(), "ab01".into()), ("sha256".into(), "cd".into())]);
    }

    #[test]
    fn very_many_short_files_are_too_many() {
        let mut files = Files::default();
        for number in 0..MAX_PAGE_BYTES / BYTES_PER_FILE {
            files.add(ReadFile { file_name: number.to_string().into(), ..file("a", 1, "") });
        }
        assert!(files.read.len() > 100_000);
        assert!(matches!(files.finish(), Err(ReadError::Malformed(text)) if text.contains("bytes")));
    }

    #[test]
    fn equal_texts_are_kept_once() {
        let mut files = Files::default();
        let first = files.share(">=3.8");
        assert!(Arc::ptr_eq(&first, &files.share(">=3.8")));
        assert!(!Arc::ptr_eq(&first, &files.share(">=3.9")));
    }
}
