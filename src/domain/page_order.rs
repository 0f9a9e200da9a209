//! In which order simple pages list versions and files: the newest first, as devpi does it for people.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::pep::filename::{SplitFileName, split_file_name};
use crate::pep::name::ProjectName;
use crate::pep::version::Version;

/// The places at which versions and files stood, in the order in which a page lists them.
pub(super) struct PageOrder {
    /// Of versions that are there several times, the first ones.
    pub(super) versions: Vec<usize>,
    pub(super) files: Vec<usize>,
}

impl PageOrder {
    /// Orders thousands at once: each version is read once. What the names of files say decides about them, which may be
    /// something else than their releases do.
    pub(super) fn of(versions: &[&str], file_names: &[&str]) -> Self {
        let said: Vec<_> = file_names.iter().map(|name| split_file_name(name)).collect();
        let mut literals = Literals::default();
        let mut firsts = Vec::with_capacity(versions.len());
        for (place, version) in versions.iter().enumerate() {
            if literals.number(version) == firsts.len() {
                firsts.push(place);
            }
        }
        let numbers: Vec<_> = said.iter().map(|said| literals.number(said.version)).collect();
        let newest_first = literals.newest_first();
        let mut ranks = vec![0; newest_first.len()];
        for (rank, number) in newest_first.iter().enumerate() {
            ranks[*number] = rank;
        }
        let mut files: Vec<usize> = (0..said.len()).collect();
        files.sort_by(|left, right| {
            let [left_rank, right_rank] = [left, right].map(|place| ranks[numbers[*place]]);
            left_rank.cmp(&right_rank).then_with(|| compare_of_version(said[*left], said[*right]))
        });
        // Those that only names of files tell have later numbers.
        let versions = newest_first.into_iter().filter_map(|number| firsts.get(number).copied()).collect();
        Self { versions, files }
    }
}

/// Versions by numbers, in the order in which they come.
#[derive(Default)]
struct Literals<'a> {
    numbers: HashMap<&'a str, usize>,
    all: Vec<&'a str>,
}

impl<'a> Literals<'a> {
    fn number(&mut self, literal: &'a str) -> usize {
        match self.numbers.entry(literal) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.all.push(literal);
                *new.insert(self.all.len() - 1)
            }
        }
    }

    fn newest_first(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.all.len()).collect();
        numbers.sort_by_cached_key(|number| Reverse(Version::new(self.all[*number])));
        numbers
    }
}

/// How a page that is in order lists two versions.
pub(super) fn compare_versions(left: &str, right: &str) -> Ordering {
    if left == right { Ordering::Equal } else { Version::new(right).cmp(&Version::new(left)) }
}

/// How a page that is in order lists two files, by their names.
pub(super) fn compare_file_names(left: &str, right: &str) -> Ordering {
    let [left, right] = [left, right].map(split_file_name);
    compare_versions(left.version, right.version).then_with(|| compare_of_version(left, right))
}

/// As [`compare_file_names`], of two that say the same version.
fn compare_of_version(left: SplitFileName<'_>, right: SplitFileName<'_>) -> Ordering {
    compare_projects(right.project, left.project).then_with(|| right.suffix.cmp(left.suffix))
}

/// Compares spellings of projects by their normalised names. Nearly always both are spelt the same: a page may have
/// dozens of wheels of one version.
fn compare_projects(left: &str, right: &str) -> Ordering {
    if left == right {
        return Ordering::Equal;
    }
    let [left, right] = [left, right].map(ProjectName::from_url);
    left.normal().cmp(right.normal())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As they are to come.
    const NAMES: [&str; 7] = [
        "x_y-1.10.zip",
        "x.y-1.9.zip",
        "X-Y-1.9.tar.gz",
        "x_y-1.9-py3-none-any.whl",
        "W-1.9.zip",
        "x_y-1.9rc1.zip",
        "x_y-old.zip",
    ];

    #[test]
    fn files_come_by_what_their_names_say_however_they_spell_the_project() {
        let mut given = NAMES;
        given.reverse();
        let order = PageOrder::of(&["1.9", "1.10", "1.9"], &given);
        assert_eq!(order.files.iter().map(|place| given[*place]).collect::<Vec<_>>(), NAMES);
        assert_eq!(order.versions, [1, 0]);
    }

    #[test]
    fn one_by_one_they_compare_as_all_at_once() {
        for (place, name) in NAMES.iter().enumerate() {
            for (other_place, other) in NAMES.iter().enumerate() {
                assert_eq!(compare_file_names(name, other), place.cmp(&other_place), "{name} {other}");
            }
        }
        assert_eq!(compare_versions("1.10", "1.9"), Ordering::Less);
        assert_eq!(compare_versions("1.9", "1.9"), Ordering::Equal);
    }
}
