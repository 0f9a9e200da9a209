//! A reader that stops after so many bytes, and knows why reading stopped.
//!
//! The zip crate reads the whole list of members into memory before it can be asked how many
//! there are, and reports a failing disk in the same way as a damaged archive. Reading through a
//! [`Meter`] bounds the first and tells the second apart.

use std::cell::Cell;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;

use crate::archive::directory::Directory;
use crate::archive::{ArchiveError, Limits};

/// What the list of members may take for each member.
const DIRECTORY_BYTES_PER_MEMBER: u64 = 256;

/// What may be read besides: twice the end of the file in search of the list, the header of one
/// member, and the overhead of compression.
const SPARE_BYTES: u64 = 512 * 1024;

/// What may still be read of an archive, and what went wrong.
pub(super) struct Meter {
    left: Cell<u64>,
    stop: Cell<Option<Stop>>,
}

/// Why a reader stopped before the end.
enum Stop {
    Limit,
    Failed(io::Error),
}

impl Meter {
    /// A meter that allows nothing yet.
    pub(super) fn new() -> Self {
        Self { left: Cell::new(0), stop: Cell::new(None) }
    }

    /// Opens an archive, with no more members than the limits allow.
    pub(super) fn open<R: Read + Seek>(
        &self,
        reader: R,
        limits: &Limits,
    ) -> Result<ZipArchive<Metered<'_, R>>, ArchiveError> {
        let limit = limits.members;
        let allowance = (limit as u64).saturating_mul(DIRECTORY_BYTES_PER_MEMBER);
        self.allow(allowance);
        let mut metered = Metered { inner: BufReader::new(reader), meter: self };
        let explain = |error| self.explain(error, ArchiveError::TooManyMembers { limit });
        let directory = Directory::read(&mut metered).map_err(|error| explain(ZipError::Io(error)))?;
        if directory.claimed_members > limit as u64 {
            return Err(ArchiveError::TooManyMembers { limit });
        }
        let has_too_many = directory.has_too_many_extra_fields(&mut metered);
        if has_too_many.map_err(|error| explain(ZipError::Io(error)))? {
            return Err(ArchiveError::TooManyExtraFields);
        }
        self.allow(allowance);
        let config = Config { archive_offset: ArchiveOffset::Known(directory.archive_offset) };
        let archive = ZipArchive::with_config(config, metered).map_err(explain)?;
        if archive.len() > limit {
            return Err(ArchiveError::TooManyMembers { limit });
        }
        Ok(archive)
    }

    /// Allows `bytes` and a little more to be read from now on, and forgets what stopped reading
    /// before: the zip crate may have found another way.
    pub(super) fn allow(&self, bytes: u64) {
        self.left.set(bytes.saturating_add(SPARE_BYTES));
        self.stop.set(None);
    }

    /// What an error of the zip crate comes from: `over_limit` if the meter stopped it.
    pub(super) fn explain(&self, error: ZipError, over_limit: ArchiveError) -> ArchiveError {
        match self.stop.take() {
            Some(Stop::Limit) => over_limit,
            Some(Stop::Failed(cause)) => ArchiveError::Read(cause),
            None => ArchiveError::Unreadable(error),
        }
    }

    /// Notes why reading stops, and gives an error to pass on.
    fn stop(&self, stop: Stop) -> io::Error {
        let error = match &stop {
            Stop::Limit => io::Error::other("read limit reached"),
            Stop::Failed(cause) => cause.kind().into(),
        };
        self.stop.set(Some(stop));
        error
    }
}

/// A buffered reader under a [`Meter`].
pub(super) struct Metered<'a, R> {
    inner: BufReader<R>,
    meter: &'a Meter,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.meter.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(self.meter.stop(Stop::Limit));
        }
        let allowed = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        match self.inner.read(&mut buffer[..allowed]) {
            Ok(count) => {
                self.meter.left.set(left - count as u64);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.meter.stop(Stop::Failed(error))),
        }
    }
}

impl<R: Seek> Seek for Metered<'_, R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        match self.inner.seek(position) {
            // A damaged archive may name a place that no file can have.
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => {
                Err(self.meter.stop(Stop::Failed(error)))
            }
            result => result,
        }
    }
}
