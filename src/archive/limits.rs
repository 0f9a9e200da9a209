//! The bounds on reading an archive, and what goes wrong in reading one.

use std::io;

use zip::result::ZipError;

/// Bounds on what is read of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most members an archive may have. The list of members may take 256 bytes for each of
    /// them, which is ample, and is not read further.
    pub members: usize,
    /// The most bytes the metadata of a wheel may have once inflated.
    pub metadata_bytes: u64,
}

impl Default for Limits {
    /// A hundred thousand members, several times those of the largest wheels and documentation
    /// archives, and 16 MiB of metadata.
    fn default() -> Self {
        Self { members: 100_000, metadata_bytes: 16 * 1024 * 1024 }
    }
}

/// Why an archive was not read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file is not a zip archive, is damaged, or is of a kind nothing here reads.
    #[error("not a readable zip archive")]
    Unreadable(#[source] ZipError),
    /// The archive has more members than [`Limits::members`].
    #[error("archive has more than {limit} members")]
    TooManyMembers {
        /// The limit.
        limit: usize,
    },
    /// The members have more extra fields than any tool writes.
    #[error("archive members have too many extra fields")]
    TooManyExtraFields,
    /// The metadata is larger than [`Limits::metadata_bytes`].
    #[error("wheel metadata is larger than {limit} bytes")]
    MetadataTooLarge {
        /// The limit.
        limit: u64,
    },
    /// The member that was wanted is encrypted.
    #[error("archive member {member} is encrypted")]
    Encrypted {
        /// The path of the member.
        member: String,
    },
    /// The file itself could not be read, which says nothing about the archive.
    #[error("archive could not be read")]
    Read(#[source] io::Error),
}
