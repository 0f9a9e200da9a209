//! The records of mirrors: what upstreams said, and what was fetched from them.
//!
//! An upstream's page is a cache, not history: it is replaced in place. What was fetched is a file like others, with a
//! lifetime.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::{IndexName, Serial, StoredPath};
use super::packed::Packed;
use crate::pep::digest::Sha256;
use crate::pep::name::ProjectName;
use crate::pep::simple::ProjectStatus;
use crate::pep::simple_read::ReadFile;

/// What an upstream said of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MirrorPage {
    /// The files in the upstream's order.
    pub files: Vec<MirrorFile>,
    /// The versions that the page lists; empty where it does not.
    #[serde(default)]
    pub versions: Vec<Arc<str>>,
    /// The project's status, where the page says one.
    #[serde(default)]
    pub status: Option<ProjectStatus>,
    /// By what the upstream tells whether the page has changed.
    #[serde(default)]
    pub validators: Validators,
    /// The upstream's own serial, from `X-PyPI-Last-Serial`.
    #[serde(default)]
    pub serial: Option<u64>,
    /// The URL below which the upstream was when it said so, without credentials.
    pub source: Arc<str>,
}

impl MirrorPage {
    /// Whether nothing of the project may be offered.
    pub fn is_quarantined(&self) -> bool {
        self.status.as_ref().is_some_and(ProjectStatus::is_quarantined)
    }

    /// Whether the two show the same; how they were validated does not count.
    pub fn shows_the_same_as(&self, other: &Self) -> bool {
        self.files == other.files
            && self.versions == other.versions
            && self.status == other.status
            && self.serial == other.serial
    }
}

/// A file of an upstream's page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MirrorFile {
    /// Where clients find it here.
    pub path: StoredPath,
    /// What the upstream says of it.
    pub read: ReadFile,
}

/// By what an upstream tells whether something has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// The entity tag, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The date of the last modification, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// A page as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPage {
    /// The serial that last changed it.
    pub changed_at: Serial,
    /// When the upstream last confirmed it.
    pub checked_at: Timestamp,
    /// The page.
    pub page: MirrorPage,
}

/// What is here of a file of a mirror.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedFile {
    /// Where clients find it.
    pub path: StoredPath,
    /// The project whose page lists it.
    pub project: ProjectName,
    /// The content, once that was fetched.
    pub content: Option<FetchedContent>,
    /// Hash of its core metadata, kept as a document.
    pub core_metadata: Option<Sha256>,
    /// Hash of its provenance object, kept as a document.
    pub provenance: Option<Sha256>,
}

/// A content that was fetched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FetchedContent {
    /// Its hash, which is its key in the file store.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last modified, as the upstream says.
    pub modified: Timestamp,
}

/// What is known of a path of a mirror.
#[derive(Clone, Debug, PartialEq)]
pub enum FetchedState {
    /// Something of the file is here.
    Present(Box<FetchedFile>),
    /// The file was deleted, and the upstream's page has not changed since.
    Deleted,
    /// Nothing of it is here.
    Unknown,
}

/// What a fetch adds to what is here of a file; what it does not name stays.
#[derive(Clone, Debug)]
pub enum FetchedPart {
    /// The content, and with it the core metadata that are in it.
    Content(FetchedContent, Option<Sha256>),
    /// The core metadata.
    CoreMetadata(Sha256),
    /// The provenance object.
    Provenance(Sha256),
}

/// The names of an upstream's projects: normalised, sorted, each once.
///
/// They lie one behind the other in one piece of memory: 800,000 names take 15 MB, and one is found in 20 steps.
#[derive(Clone, PartialEq, Eq)]
pub struct NameList {
    text: Box<str>,
    /// Where each name ends.
    ends: Box<[u32]>,
    hash: Sha256,
}

/// Collects the names of a [`NameList`].
#[derive(Default)]
pub struct NameListBuilder {
    text: String,
    /// Where each name begins and ends.
    places: Vec<(u32, u32)>,
}

impl NameListBuilder {
    /// Adds a name. What does not fit into 4 GiB is left out.
    pub fn push(&mut self, name: &str) {
        let places = (u32::try_from(self.text.len()), u32::try_from(self.text.len() + name.len()));
        if let (Ok(start), Ok(end)) = places
            && !name.is_empty()
        {
            self.text.push_str(name);
            self.places.push((start, end));
        }
    }

    /// About how many bytes of memory the list takes, before names that are there more than once are taken out.
    pub fn memory(&self) -> usize {
        self.text.len() + self.places.len() * size_of::<u32>()
    }

    /// The list of all names, sorted and each once.
    pub fn finish(self) -> NameList {
        let Self { text: unsorted, mut places } = self;
        let name = |(start, end): (u32, u32)| &unsorted[start as usize..end as usize];
        places.sort_unstable_by(|left, right| name(*left).cmp(name(*right)));
        places.dedup_by(|left, right| name(*left) == name(*right));
        let mut text = String::with_capacity(unsorted.len());
        let mut ends = Vec::with_capacity(places.len());
        for place in places {
            text.push_str(name(place));
            // It is no longer than the unsorted text, whose places fit.
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        NameList::build(text, ends)
    }
}

impl<'a> FromIterator<&'a str> for NameList {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut builder = NameListBuilder::default();
        names.into_iter().for_each(|name| builder.push(name));
        builder.finish()
    }
}

impl NameList {
    fn build(text: String, ends: Vec<u32>) -> Self {
        let lengths: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        let hash = Sha256::of_pieces([lengths.as_slice(), text.as_bytes()]);
        Self { text: text.into_boxed_str(), ends: ends.into_boxed_slice(), hash }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes of memory they take.
    pub fn memory(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends)
    }

    /// The name at a place; `None` behind the last one.
    pub fn get(&self, place: usize) -> Option<&str> {
        let end = *self.ends.get(place)? as usize;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    /// All names, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// Whether a normalised name is among them.
    pub fn contains(&self, name: &str) -> bool {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).map(|found| found.cmp(name)) {
                Some(std::cmp::Ordering::Less) => low = middle + 1,
                Some(std::cmp::Ordering::Greater) => high = middle,
                Some(std::cmp::Ordering::Equal) => return true,
                None => return false,
            }
        }
        false
    }

    /// A hash of all names.
    pub fn hash(&self) -> Sha256 {
        self.hash
    }

    /// The names, each followed by a line feed.
    pub fn to_lines(&self) -> String {
        let mut lines = String::with_capacity(self.text.len() + self.len());
        for name in self.iter() {
            lines.push_str(name);
            lines.push('\n');
        }
        lines
    }

    /// The list of names as [`NameList::to_lines`] writes it.
    pub fn from_lines(lines: &str) -> Self {
        let mut text = String::with_capacity(lines.len());
        let mut ends = Vec::new();
        for name in lines.lines() {
            let Ok(end) = u32::try_from(text.len() + name.len()) else { break };
            text.push_str(name);
            ends.push(end);
        }
        text.shrink_to_fit();
        Self::build(text, ends)
    }
}

impl fmt::Debug for NameList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} names", self.len())
    }
}

/// The names of an upstream's projects as they are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredNames {
    /// The names.
    pub names: Arc<NameList>,
    /// By what the upstream tells whether they have changed.
    pub validators: Validators,
    /// When the upstream last confirmed them.
    pub checked_at: Timestamp,
    /// The URL below which the upstream was, without credentials.
    pub source: Arc<str>,
}

/// Something worth keeping over a restart that changes nothing of what is shown, and so gets no serial.
#[derive(Clone, Debug)]
pub enum Note {
    /// The upstream confirmed a page.
    PageChecked {
        /// The mirror.
        index: IndexName,
        /// The project's normalised name.
        project: Arc<str>,
        /// When the page was put there that was confirmed: one that has come since was not.
        changed_at: Serial,
        /// The page with that by which it is to be validated from now on, if that is something else than before.
        page: Option<Packed<MirrorPage>>,
        /// When it was confirmed.
        checked_at: Timestamp,
    },
    /// The upstream listed its projects: see [`StoredNames`].
    NamesListed {
        /// The mirror.
        index: IndexName,
        /// The names.
        names: Packed<NameList>,
        /// By what the upstream tells whether they have changed.
        validators: Validators,
        /// The URL below which the upstream was, without credentials.
        source: Arc<str>,
        /// When it listed them.
        checked_at: Timestamp,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_found() {
        let list: NameList = ["b", "a", "ab", "b", "zz-top", ""].into_iter().collect();
        assert_eq!(list.iter().collect::<Vec<_>>(), ["a", "ab", "b", "zz-top"]);
        for (name, expected) in
            [("a", true), ("ab", true), ("zz-top", true), ("", false), ("aa", false), ("zzz", false)]
        {
            assert_eq!(list.contains(name), expected, "{name}");
        }
        let empty: NameList = std::iter::empty().collect();
        assert!(empty.is_empty() && !empty.contains("a"));
    }

    proptest! {
        #[test]
        fn lines_keep_the_list(names in prop::collection::vec("[a-z0-9-]{1,8}", 0..50)) {
            let list: NameList = names.iter().map(String::as_str).collect();
            prop_assert_eq!(&NameList::from_lines(&list.to_lines()), &list);
            prop_assert!(names.iter().all(|name| list.contains(name)));
        }
    }
}
