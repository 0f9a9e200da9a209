//! Wheels and other zip archives: whether they open, and the metadata of a wheel.
//!
//! A wheel's metadata are handed out byte for byte, as their digest is published and installers
//! compare them with what they find in the wheel. So where a wheel has a member twice, the last
//! one counts, as it does for Python; and where it is not certain which metadata are meant,
//! there are none, and an installer has to open the wheel itself.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use zip::result::ZipError;

use crate::archive::meter::Meter;
use crate::archive::{ArchiveError, Limits};
use crate::pep::filename::split_file_name;
use crate::pep::name::ProjectName;

/// What is known of a zip archive once its list of members was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZipSummary {
    /// How many members there are. A path that is there several times counts once.
    pub members: usize,
    /// Whether a path is there several times. Tools differ in which member they take then.
    pub has_duplicates: bool,
}

/// Reads the list of members of a zip archive; refuses what has none that can be read.
///
/// The members themselves are not looked at.
pub fn check_zip<R: Read + Seek>(reader: R, limits: &Limits) -> Result<ZipSummary, ArchiveError> {
    let meter = Meter::new();
    let archive = meter.open(reader, limits)?;
    Ok(ZipSummary { members: archive.len(), has_duplicates: archive.has_duplicate_names() })
}

/// The exact bytes of the metadata of a wheel, which is `METADATA` in the `.dist-info` directory
/// at the top.
///
/// Of several such directories it is the one named after the wheel. `None` if there is no such
/// directory, if none or more than one of several is named after the wheel, or if there is no
/// `METADATA` in it.
pub fn wheel_metadata<R: Read + Seek>(
    reader: R,
    file_name: &str,
    limits: &Limits,
) -> Result<Option<Vec<u8>>, ArchiveError> {
    let limit = limits.metadata_bytes;
    let meter = Meter::new();
    let mut archive = meter.open(reader, limits)?;
    let Some(directory) = metadata_directory(archive.file_names_raw(), file_name) else {
        return Ok(None);
    };
    let member = format!("{directory}/METADATA");
    let Some(index) = archive.index_for_name_raw(member.as_bytes()) else {
        return Ok(None);
    };

    meter.allow(limit);
    let explain = |error| meter.explain(error, ArchiveError::MetadataTooLarge { limit });
    if archive.metadata().entry(index).map_err(explain)?.encrypted() {
        return Err(ArchiveError::Encrypted { member });
    }
    let inflated = archive.by_index(index).map_err(explain)?;
    let mut metadata = Vec::new();
    inflated
        .take(limit.saturating_add(1))
        .read_to_end(&mut metadata)
        .map_err(|error| explain(ZipError::Io(error)))?;
    if metadata.len() as u64 > limit {
        return Err(ArchiveError::MetadataTooLarge { limit });
    }
    Ok(Some(metadata))
}

/// The `.dist-info` directory at the top of a wheel, given the paths of its members.
fn metadata_directory<'a>(paths: impl Iterator<Item = &'a [u8]>, file_name: &str) -> Option<String> {
    let directories: BTreeSet<&str> = paths
        .filter_map(|path| str::from_utf8(path).ok()?.split_once('/'))
        .map(|(top, _)| top)
        .filter(|top| top.ends_with(".dist-info"))
        .collect();
    let mut candidates: Vec<&str> = directories.into_iter().collect();
    if candidates.len() > 1 {
        candidates.retain(|directory| is_named_after(directory, file_name));
    }
    match candidates[..] {
        [directory] => Some(directory.to_owned()),
        _ => None,
    }
}

/// Whether a `.dist-info` directory bears the project and version of a wheel's file name,
/// however either of them is escaped.
fn is_named_after(directory: &str, file_name: &str) -> bool {
    let wheel = split_file_name(file_name);
    let release = format!("{}-{}", wheel.project, wheel.version);
    directory
        .strip_suffix(".dist-info")
        .is_some_and(|stem| ProjectName::from_url(stem) == ProjectName::from_url(&release))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor, SeekFrom, Write};

    use proptest::prelude::*;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    const FILE_NAME: &str = "Demo_App-1.0-py3-none-any.whl";
    const MEMBER: &str = "demo_app-1.0.dist-info/METADATA";
    const METADATA: &[u8] = b"Metadata-Version: 2.1\r\nName: Demo.App\r\nVersion: 1.0\r\n\r\n\xff\n";
    const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
    const CENTRAL_HEADER: &[u8] = b"PK\x01\x02";

    fn archive(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let options = SimpleFileOptions::default().compression_method(method);
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in members {
            writer.start_file(*path, options).expect("path is new");
            writer.write_all(content).expect("memory takes all");
        }
        writer.finish().expect("memory takes all").into_inner()
    }

    fn deflated(members: &[(&str, &[u8])]) -> Vec<u8> {
        archive(members, CompressionMethod::Deflated)
    }

    fn metadata(bytes: &[u8], file_name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        wheel_metadata(Cursor::new(bytes), file_name, &Limits::default())
    }

    /// Where `header` comes for the last time.
    fn position(bytes: &[u8], header: &[u8]) -> usize {
        bytes.windows(header.len()).rposition(|window| window == header).expect("header is there")
    }

    /// Writes `with` over each place where `what` stands.
    fn overwrite(bytes: &mut [u8], what: &[u8], with: &[u8]) {
        for at in 0..=bytes.len() - what.len() {
            if bytes[at..].starts_with(what) {
                bytes[at..at + with.len()].copy_from_slice(with);
            }
        }
    }

    #[test]
    fn metadata_come_out_byte_for_byte() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let bytes = archive(&[("demo/a.py", b"a = 1\n"), (MEMBER, METADATA)], method);
            let found = metadata(&bytes, FILE_NAME).expect("archive is sound");
            assert_eq!(found.as_deref(), Some(METADATA), "{method}");
            let summary = check_zip(Cursor::new(&bytes), &Limits::default());
            let expected = ZipSummary { members: 2, has_duplicates: false };
            assert_eq!(summary.expect("archive is sound"), expected);
        }
    }

    #[test]
    fn members_with_data_descriptors_are_read() {
        let mut writer = ZipWriter::new_stream(Vec::new());
        writer.start_file(MEMBER, SimpleFileOptions::default()).expect("path is new");
        writer.write_all(METADATA).expect("memory takes all");
        let bytes = writer.finish().expect("memory takes all").into_inner();
        assert_eq!(bytes[6] & 8, 8, "sizes come after the data");
        let found = metadata(&bytes, FILE_NAME).expect("archive is sound");
        assert_eq!(found.as_deref(), Some(METADATA));
    }

    #[test]
    fn an_archive_may_follow_other_data() {
        let mut bytes = b"#!/usr/bin/env python\n".to_vec();
        bytes.extend(deflated(&[(MEMBER, METADATA)]));
        let found = metadata(&bytes, FILE_NAME).expect("archive is sound");
        assert_eq!(found.as_deref(), Some(METADATA));
    }

    #[test]
    fn the_directory_is_chosen_by_the_file_name() {
        let other = "other-1.0.dist-info/METADATA";
        let older = "demo_app-0.9.dist-info/METADATA";
        let twin = "Demo.App-1.0.dist-info/METADATA";
        let local = "demo_app-1.0+l.5.dist-info/METADATA";
        let local_wheel = "demo_app-1.0_l.5-1-py3-none-any.whl";
        for (paths, file_name, chosen) in [
            (&[MEMBER][..], FILE_NAME, Some(MEMBER)),
            (&[other], FILE_NAME, Some(other)),
            (&[other, older, MEMBER], FILE_NAME, Some(MEMBER)),
            (&[other, local, MEMBER], local_wheel, Some(local)),
            (&[other, older], FILE_NAME, None),
            (&[twin, MEMBER], FILE_NAME, None),
            (&[], FILE_NAME, None),
            (&["METADATA", "demo/METADATA"], FILE_NAME, None),
            (&["demo/demo_app-1.0.dist-info/METADATA"], FILE_NAME, None),
            (&["demo_app-1.0.dist-info"], FILE_NAME, None),
            (&["demo_app-1.0.dist-info/metadata"], FILE_NAME, None),
            (&["demo_app-1.0.dist-info/x/METADATA"], FILE_NAME, None),
            (&["demo_app-1.0.dist-info/x", other], FILE_NAME, None),
        ] {
            let members: Vec<(&str, &[u8])> = paths.iter().map(|path| (*path, path.as_bytes())).collect();
            let found = metadata(&deflated(&members), file_name).expect("archive is sound");
            assert_eq!(found.as_deref(), chosen.map(str::as_bytes), "{paths:?}");
        }
    }

    #[test]
    fn of_members_with_one_path_the_last_counts() {
        let first = "demo_app-1.1.dist-info/METADATA";
        let mut bytes = deflated(&[(first, b"first"), (MEMBER, METADATA), ("z", b"")]);
        overwrite(&mut bytes, first.as_bytes(), MEMBER.as_bytes());
        let found = metadata(&bytes, FILE_NAME).expect("archive is sound");
        assert_eq!(found.as_deref(), Some(METADATA));
        let summary = check_zip(Cursor::new(&bytes), &Limits::default());
        let expected = ZipSummary { members: 2, has_duplicates: true };
        assert_eq!(summary.expect("archive is sound"), expected);
    }

    #[test]
    fn what_is_no_zip_is_refused() {
        let sound = deflated(&[(MEMBER, METADATA)]);
        let cut = (0..sound.len()).map(|length| &sound[..length]);
        let texts: [&[u8]; 2] = [b"\x1f\x8b\x08 a tar.gz", b"PK\x03\x04 and no more"];
        for bytes in cut.chain(texts) {
            let error = check_zip(Cursor::new(bytes), &Limits::default()).expect_err("no zip");
            assert!(matches!(error, ArchiveError::Unreadable(_)), "{error:?}");
            assert_eq!(error.to_string(), "not a readable zip archive");
        }
    }

    #[test]
    fn damaged_metadata_are_refused() {
        let mut bytes = archive(&[(MEMBER, METADATA)], CompressionMethod::Stored);
        overwrite(&mut bytes, b"Version: 1.0", b"Version: 2.0");
        let error = metadata(&bytes, FILE_NAME).expect_err("checksum is wrong");
        assert!(matches!(error, ArchiveError::Unreadable(_)), "{error:?}");
    }

    #[test]
    fn unknown_compression_is_refused() {
        let mut bytes = deflated(&[(MEMBER, METADATA)]);
        for (header, offset) in [(LOCAL_HEADER, 8), (CENTRAL_HEADER, 10)] {
            let at = position(&bytes, header) + offset;
            bytes[at] = 98;
        }
        let error = metadata(&bytes, FILE_NAME).expect_err("compression is unknown");
        assert!(matches!(error, ArchiveError::Unreadable(_)), "{error:?}");
    }

    #[test]
    fn encrypted_metadata_are_refused() {
        let mut bytes = deflated(&[(MEMBER, METADATA)]);
        for (header, offset) in [(LOCAL_HEADER, 6), (CENTRAL_HEADER, 8)] {
            let at = position(&bytes, header) + offset;
            bytes[at] |= 1;
        }
        let error = metadata(&bytes, FILE_NAME).expect_err("it is encrypted");
        assert_eq!(error.to_string(), "archive member demo_app-1.0.dist-info/METADATA is encrypted");
    }

    #[test]
    fn a_bomb_is_not_inflated() {
        let zeros = vec![0; 1 << 20];
        let limits = Limits { metadata_bytes: 1000, ..Limits::default() };
        let mut bytes = deflated(&[(MEMBER, &zeros)]);
        let error = wheel_metadata(Cursor::new(&bytes), FILE_NAME, &limits).expect_err("a bomb");
        assert_eq!(error.to_string(), "wheel metadata is larger than 1000 bytes");

        // One that says it is small.
        for (header, offset) in [(LOCAL_HEADER, 22), (CENTRAL_HEADER, 24)] {
            let at = position(&bytes, header) + offset;
            bytes[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
        }
        let error = wheel_metadata(Cursor::new(&bytes), FILE_NAME, &limits).expect_err("a bomb");
        assert!(matches!(error, ArchiveError::Unreadable(_)), "{error:?}");
    }

    #[test]
    fn metadata_of_just_the_limit_are_read() {
        let bytes = deflated(&[(MEMBER, METADATA)]);
        let size = METADATA.len() as u64;
        for (metadata_bytes, fits) in [(size, true), (size - 1, false)] {
            let limits = Limits { metadata_bytes, ..Limits::default() };
            let found = wheel_metadata(Cursor::new(&bytes), FILE_NAME, &limits);
            assert_eq!(found.is_ok(), fits);
        }
    }

    #[test]
    fn members_are_limited() {
        let paths: Vec<String> = (0..4000).map(|number| format!("{number:0>70}")).collect();
        let members: Vec<(&str, &[u8])> = paths.iter().map(|path| (&**path, &b""[..])).collect();
        // The first is refused once the list was read, the second in the midst of it.
        for (count, limit) in [(4, 3), (4000, 3)] {
            let bytes = archive(&members[..count], CompressionMethod::Stored);
            let limits = Limits { members: limit, ..Limits::default() };
            let error = check_zip(Cursor::new(bytes), &limits).expect_err("too many");
            assert_eq!(error.to_string(), "archive has more than 3 members");
        }
    }

    #[test]
    fn a_failing_disk_is_not_a_damaged_archive() {
        struct Failing;

        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("disk on fire"))
            }
        }

        impl Seek for Failing {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(1000)
            }
        }

        let error = check_zip(Failing, &Limits::default()).expect_err("disk fails");
        let ArchiveError::Read(cause) = error else {
            panic!("{error:?}");
        };
        assert_eq!(cause.to_string(), "disk on fire");
    }

    #[test]
    fn a_file_on_disk_is_read() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&deflated(&[(MEMBER, METADATA)])).expect("disk takes all");
        let found = wheel_metadata(&file, FILE_NAME, &Limits::default());
        assert_eq!(found.expect("archive is sound").as_deref(), Some(METADATA));
    }

    proptest! {
        #[test]
        fn damage_does_no_harm(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = deflated(&[("demo/a.py", b"a = 1\n"), (MEMBER, METADATA)]);
            for (index, byte) in damage {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            let limits = Limits { metadata_bytes: 100, ..Limits::default() };
            if let Ok(Some(found)) = wheel_metadata(Cursor::new(&bytes), FILE_NAME, &limits) {
                prop_assert!(found.len() <= 100);
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(metadata(&bytes, FILE_NAME).is_err());
        }
    }
}
