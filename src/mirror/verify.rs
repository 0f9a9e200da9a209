//! Whether a file that came is the one that the upstream's page speaks of, by all hashes that can be computed.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use super::error::FetchError;
use super::links::main_hash;
use crate::pep::digest::NamedHasher;
use crate::pep::simple_read::ReadFile;
use crate::storage::files::ReceivedFile;

/// How much is read at once for a hash that was not computed on the way.
const BUFFER_BYTES: usize = 256 * 1024;

/// Checks size and hash. May read the whole file, so it blocks.
pub(super) fn verify(read: &ReadFile, received: &dyn ReceivedFile) -> Result<(), FetchError> {
    // A hash says more than a size, which some servers get wrong.
    if main_hash(read).is_none() {
        return verify_size(read, received.size());
    }
    let digests = received.digests();
    for (algorithm, expected) in &read.hashes {
        let got = match &**algorithm {
            "sha256" => digests.sha256.to_string(),
            "md5" => digests.md5.clone(),
            other => match NamedHasher::new(other) {
                Some(hasher) => hash(hasher, received, &read.url)?,
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

fn hash(mut hasher: NamedHasher, received: &dyn ReceivedFile, url: &str) -> Result<String, FetchError> {
    let failed = |error: std::io::Error| FetchError::of_storage(url, error.into());
    let mut file: File = received.open().map_err(|error| FetchError::of_storage(url, error))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}
