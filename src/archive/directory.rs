//! Where the list of members of a zip archive is, and how long it says it is.
//!
//! The zip crate sets memory aside for as many members as an archive of the 64-bit form claims to
//! have. So the claim is checked here first, for every place where the crate would look for it,
//! and the crate is told where the archive begins, so that it looks nowhere else.

use std::io::{self, Read, Seek, SeekFrom};

const END: &[u8] = b"PK\x05\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";
const END64: &[u8] = b"PK\x06\x06";
const MEMBER: &[u8] = b"PK\x01\x02";

const END_BYTES: usize = 22;
const LOCATOR_BYTES: usize = 20;
const END64_BYTES: usize = 56;
const MEMBER_BYTES: usize = 46;

/// How many extra fields a member may have on the average. Tools write two or three: times, owners, long sizes.
const EXTRA_FIELDS_PER_MEMBER: u64 = 8;

/// What an extra field begins with: its kind and its length.
const EXTRA_FIELD_HEAD: usize = 4;

/// How much of the end of a file may hold the end of the list: it is followed by a comment of at
/// most 64 KiB.
const TAIL_BYTES: u64 = 66 * 1024;

/// What the end of an archive says of the list of members.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directory {
    /// Where the archive begins in its file; other data may stand before it.
    pub(super) archive_offset: u64,
    /// The largest number of members that is claimed in the 64-bit form. Of the older form there
    /// can only be 65535.
    pub(super) claimed_members: u64,
    /// Where lists begin, and how many members they have, of each end in which the zip crate may believe.
    lists: Vec<(u64, u64)>,
}

impl Directory {
    /// Reads the end of a file. What is not a zip archive gives zeros.
    pub(super) fn read<R: Read + Seek>(reader: &mut R) -> io::Result<Self> {
        let length = reader.seek(SeekFrom::End(0))?;
        let start = length.saturating_sub(TAIL_BYTES);
        reader.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        reader.by_ref().take(TAIL_BYTES).read_to_end(&mut tail)?;

        let ends: Vec<usize> = (0..tail.len()).filter(|&at| tail[at..].starts_with(END)).collect();
        let archive_offset = ends.last().and_then(|&at| archive_offset(&tail, start, at)).unwrap_or(0);
        let mut claimed_members = 0;
        let mut lists = Vec::new();
        for at in ends {
            let end = &tail[at..];
            lists.extend(number(end, 16, 4).zip(number(end, 10, 2)));
            if let Some((_, end64)) = locator(&tail, at) {
                let place = end64.saturating_add(archive_offset);
                if let Some((start, members)) = list_claimed_at(reader, place, length)? {
                    claimed_members = claimed_members.max(members);
                    lists.push((start, members));
                }
            }
        }
        for (start, _) in &mut lists {
            *start = start.saturating_add(archive_offset);
        }
        lists.sort_unstable();
        lists.dedup();
        Ok(Self { archive_offset, claimed_members, lists })
    }

    /// Whether members have more extra fields than anybody needs. The zip crate keeps each of them, in ten times as much
    /// memory as it takes in the list.
    pub(super) fn has_too_many_extra_fields<R: Read + Seek>(&self, reader: &mut R) -> io::Result<bool> {
        for (start, members) in &self.lists {
            reader.seek(SeekFrom::Start(*start))?;
            let (mut seen, mut fields, mut buffer) = (0, 0, Vec::new());
            while seen < *members
                && let Some(more) = count_extra_fields(reader, &mut buffer)?
            {
                seen += 1;
                fields += more;
            }
            if fields > seen * EXTRA_FIELDS_PER_MEMBER {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Where the archive begins, whose end is at `at` in `tail`, which is at `start` in the file.
///
/// All places in an archive are counted from its beginning, and the list ends where the end
/// begins. The difference is the data before the archive.
fn archive_offset(tail: &[u8], start: u64, at: usize) -> Option<u64> {
    if let Some((locator, end64)) = locator(tail, at) {
        return (start + locator as u64).checked_sub((END64_BYTES as u64).checked_add(end64)?);
    }
    let end = tail.get(at..at + END_BYTES)?;
    let size = number(end, 12, 4)?;
    let offset = number(end, 16, 4)?;
    (start + at as u64).checked_sub(size + offset)
}

/// The place of the locator before the end at `at`, and the place it gives for the 64-bit end.
fn locator(tail: &[u8], at: usize) -> Option<(usize, u64)> {
    let place = at.checked_sub(LOCATOR_BYTES)?;
    let locator = &tail[place..at];
    if !locator.starts_with(LOCATOR) {
        return None;
    }
    Some((place, number(locator, 8, 8)?))
}

/// Where the list begins, counted from the archive, and how many members it has, as the 64-bit end at `place` claims;
/// `None` if there is no such end.
fn list_claimed_at<R: Read + Seek>(
    reader: &mut R,
    place: u64,
    length: u64,
) -> io::Result<Option<(u64, u64)>> {
    if place >= length {
        return Ok(None);
    }
    reader.seek(SeekFrom::Start(place))?;
    let mut end64 = Vec::new();
    reader.by_ref().take(END64_BYTES as u64).read_to_end(&mut end64)?;
    if !end64.starts_with(END64) {
        return Ok(None);
    }
    Ok(number(&end64, 48, 8).zip(number(&end64, 32, 8)))
}

/// Reads the next member of a list into a buffer. Returns how many extra fields it has; `None` if there is none.
fn count_extra_fields<R: Read>(reader: &mut R, buffer: &mut Vec<u8>) -> io::Result<Option<u64>> {
    buffer.clear();
    reader.by_ref().take(MEMBER_BYTES as u64).read_to_end(buffer)?;
    if !buffer.starts_with(MEMBER) || buffer.len() < MEMBER_BYTES {
        return Ok(None);
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| length(buffer, at).unwrap_or(0));
    buffer.clear();
    reader.by_ref().take((name + extra + comment) as u64).read_to_end(buffer)?;
    let mut fields = buffer.get(name..name + extra).unwrap_or_default();
    let mut count = 0;
    while let Some(length) = length(fields, 2) {
        count += 1;
        fields = fields.get(EXTRA_FIELD_HEAD + length..).unwrap_or_default();
    }
    Ok(Some(count))
}

/// A length of two bytes at `at`.
fn length(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes).into())
}

/// The little-endian number of `size` bytes at `at`.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + size)?;
    Some(bytes.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::archive::{ArchiveError, Limits, ZipSummary, check_zip};

    fn archive(members: usize) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for number in 0..members {
            let path = format!("member-{number}");
            writer.start_file(path, SimpleFileOptions::default()).expect("path is new");
            writer.write_all(b"content").expect("memory takes all");
        }
        writer.finish().expect("memory takes all").into_inner()
    }

    /// The same archive with an end of the 64-bit form, which claims `claimed` members.
    fn with_end64(mut bytes: Vec<u8>, claimed: u64) -> Vec<u8> {
        let mut end = bytes.split_off(bytes.len() - END_BYTES);
        let place = bytes.len() as u64;
        bytes.extend(END64);
        bytes.extend(44_u64.to_le_bytes());
        bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(claimed.to_le_bytes());
        bytes.extend(claimed.to_le_bytes());
        for at in [12, 16] {
            bytes.extend(number(&end, at, 4).expect("end is whole").to_le_bytes());
        }
        bytes.extend(LOCATOR);
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(place.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        end[8..20].fill(0xff);
        bytes.extend(end);
        bytes
    }

    fn read(bytes: &[u8]) -> Directory {
        Directory::read(&mut Cursor::new(bytes)).expect("memory can be read")
    }

    fn after(data: &[u8], bytes: &[u8]) -> Vec<u8> {
        [data, bytes].concat()
    }

    #[test]
    fn archives_of_either_form_are_found_behind_other_data() {
        let long = vec![b'x'; 100_000];
        for data in [&b""[..], b"#!/bin/sh\n", &long] {
            for (bytes, claimed_members) in [(archive(3), 0), (with_end64(archive(3), 3), 3)] {
                let bytes = after(data, &bytes);
                let found = read(&bytes);
                assert_eq!(
                    (found.archive_offset, found.claimed_members),
                    (data.len() as u64, claimed_members)
                );
                let summary = check_zip(Cursor::new(bytes), &Limits::default());
                let expected = ZipSummary { members: 3, has_duplicates: false };
                assert_eq!(summary.expect("archive is sound"), expected);
            }
        }
    }

    #[test]
    fn an_earlier_end_counts_too() {
        let mut bytes = with_end64(archive(0), 1 << 40);
        // Another end, of the older form, which has the archive begin in the same place.
        let place = u32::try_from(bytes.len()).expect("archive is small");
        bytes.extend(END);
        bytes.extend([0; 12]);
        bytes.extend(place.to_le_bytes());
        bytes.extend([0; 2]);
        let found = read(&bytes);
        assert_eq!((found.archive_offset, found.claimed_members), (0, 1 << 40));
    }

    #[test]
    fn an_excessive_claim_is_refused_before_it_is_believed() {
        for claimed in [100_001, 1 << 40, u64::MAX] {
            let bytes = with_end64(archive(3), claimed);
            let error = check_zip(Cursor::new(bytes), &Limits::default()).expect_err("too many");
            assert!(matches!(error, ArchiveError::TooManyMembers { limit: 100_000 }));
        }
    }

    /// An archive whose last member has so many extra fields, behind others without any.
    fn with_extra_fields(members: usize, fields: usize, is_long_form: bool) -> Vec<u8> {
        let mut bytes = archive(members);
        let size = u16::try_from(fields * EXTRA_FIELD_HEAD).expect("length is small");
        let last = bytes.windows(MEMBER.len()).rposition(|window| window == MEMBER).expect("there is one");
        bytes[last + 30..last + 32].copy_from_slice(&size.to_le_bytes());
        let end = bytes.len() - END_BYTES;
        let list = number(&bytes, end + 12, 4).expect("end is whole") + u64::from(size);
        bytes[end + 12..end + 16].copy_from_slice(&u32::try_from(list).expect("list is small").to_le_bytes());
        bytes.splice(end..end, [0xfe, 0xca, 0, 0].repeat(fields));
        if is_long_form { with_end64(bytes, members as u64) } else { bytes }
    }

    #[test]
    fn members_have_few_extra_fields() {
        for is_long_form in [false, true] {
            for (members, fields, is_fine) in [(1, 8, true), (1, 9, false), (3, 24, true), (3, 16_000, false)]
            {
                let bytes = with_extra_fields(members, fields, is_long_form);
                let checked = check_zip(Cursor::new(&bytes), &Limits::default());
                assert_eq!(checked.is_ok(), is_fine, "{members} {fields} {is_long_form}: {checked:?}");
                assert_eq!(matches!(checked, Err(ArchiveError::TooManyExtraFields)), !is_fine);
            }
        }
    }

    #[test]
    fn other_files_give_zeros() {
        let nothing = Directory { archive_offset: 0, claimed_members: 0, lists: Vec::new() };
        let locator_only = with_end64(Vec::from([0; END_BYTES]), 9).split_off(END64_BYTES);
        let whole = with_end64(archive(1), 1);
        assert_eq!(read(b""), nothing);
        assert_eq!(read(END), nothing);
        assert_eq!(read(&vec![0; 200_000]), nothing);
        assert_eq!(read(&locator_only), nothing);
        assert_eq!(read(&whole[..whole.len() - END_BYTES]), nothing);
    }
    proptest! {
        #[test]
        fn damage_at_the_end_does_no_harm(
            damage in prop::collection::vec((0_usize..150, any::<u8>()), 1..8),
        ) {
            let mut bytes = after(b"#!/bin/sh\n", &with_end64(archive(2), 2));
            for (distance, byte) in damage {
                let at = bytes.len() - 1 - distance;
                bytes[at] = byte;
            }
            if let Ok(summary) = check_zip(Cursor::new(bytes), &Limits::default()) {
                prop_assert!(summary.members <= 2);
            }
        }
    }
}
