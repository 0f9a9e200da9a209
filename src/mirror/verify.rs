//! Whether a file that came is the one that the upstream's page speaks of, by all hashes that can be computed.

use std::sync::Arc;

use super::error::FetchError;
use super::links::main_hash;
use crate::pep::digest::NamedHasher;
use crate::pep::simple_read::ReadFile;
use crate::storage::files::ReceivedFile;

/// Checks size and hash. May read the whole file, so it blocks.
pub(super) fn verify(read: &ReadFile, received: &dyn ReceivedFile) -> Result<(), FetchError> {
    // A hash says more than a size, which some servers get wrong.
    if main_hash(read).is_none() {
        return verify_size(read, received.size());
    }
    for (algorithm, expected) in &read.hashes {
        let got = match &**algorithm {
            "sha256" => received.sha256().to_string(),
            other => match NamedHasher::new(other) {
                Some(hasher) => received
                    .open()
                    .and_then(|file| Ok(hasher.of(file)?))
                    .map_err(|error| FetchError::of_storage(&read.url, error))?,
                // Nothing here knows it; it cannot be held against the file.
                None => continue,
            },
        };
        if got != **expected {
            return Err(FetchError::Hash {
                algorithm: Arc::clone(algorithm),
                url: Arc::clone(&read.url),
                expected: Arc::clone(expected),
                got: got.into(),
            });
        }
    }
    Ok(())
}

fn verify_size(read: &ReadFile, got: u64) -> Result<(), FetchError> {
    match read.size {
        Some(expected) if expected != got => {
            Err(FetchError::Size { url: Arc::clone(&read.url), expected, got })
        }
        _ => Ok(()),
    }
}
