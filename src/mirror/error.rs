//! Why an upstream did not help.

use std::sync::Arc;

use crate::pep::simple_read::ReadError;
use crate::storage::StorageError;
use crate::storage::model::IndexName;

/// Why an upstream did not help. Texts are devpi's where it has one; URLs in them have no credentials.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The upstream answered with this status.
    #[error("{status} status on GET URL('{url}')")]
    Status {
        /// The status.
        status: u16,
        /// What was asked for.
        url: Arc<str>,
    },
    /// The upstream could not be reached, or broke off.
    #[error("-1 status on GET URL('{url}')")]
    Unreachable {
        /// What was asked for.
        url: Arc<str>,
        /// Why.
        cause: Arc<str>,
    },
    /// The upstream has been unreachable so often, or has asked for it, that it is left alone for a while.
    #[error(
        "-1 status on GET URL('{url}'), which is left alone for a while as it was unreachable or has too much to do"
    )]
    Resting {
        /// What would have been asked for.
        url: Arc<str>,
    },
    /// The upstream is slower than a client may be kept waiting.
    #[error("timeout after {seconds} seconds while getting data for {subject}")]
    Slow {
        /// How long was waited.
        seconds: f64,
        /// What for.
        subject: Arc<str>,
    },
    /// The answer is no simple page.
    #[error("{cause} at URL('{url}')")]
    Malformed {
        /// What was asked for.
        url: Arc<str>,
        /// What is wrong with it.
        cause: ReadError,
    },
    /// The answer is larger than it may be.
    #[error("more than {limit} bytes at URL('{url}')")]
    TooLarge {
        /// What was asked for.
        url: Arc<str>,
        /// The bound.
        limit: usize,
    },
    /// The page is older than the one that is held.
    #[error("serial mismatch: {new} is lower than {held} at URL('{url}')")]
    OldSerial {
        /// What was asked for.
        url: Arc<str>,
        /// The serial of the page.
        new: i64,
        /// The serial of the page that is held.
        held: u64,
    },
    /// The mirror names no upstream.
    #[error("the index {0} has no 'mirror_url' that can be asked")]
    NoUrl(IndexName),
    /// The server runs in offline mode.
    #[error("the server is in offline mode")]
    Offline,
    /// What is held could not be confirmed, for this reason.
    #[error("{0}")]
    Stale(Arc<str>),
    /// More projects wait to be asked for than may.
    #[error("too many requests wait for the upstream of {0}")]
    Busy(IndexName),
    /// Something failed here; the cause is for the log.
    #[error("the upstream could not be asked")]
    Failed(Arc<str>),
}

impl From<StorageError> for UpstreamError {
    fn from(error: StorageError) -> Self {
        Self::Failed(format!("{:#}", anyhow::Error::from(error)).into())
    }
}

/// Why a file could not be fetched.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// The upstream answered with this status; -1 if it could not be reached (as in devpi).
    #[error("error {status} getting {url}")]
    Status {
        /// The status.
        status: i32,
        /// What was asked for.
        url: Arc<str>,
    },
    /// What came is not what the upstream's page says.
    #[error("{algorithm} mismatch getting {url}: expected {expected}, got {got}")]
    Hash {
        /// The name of the hash.
        algorithm: Arc<str>,
        /// What was asked for.
        url: Arc<str>,
        /// The hash on the page.
        expected: Arc<str>,
        /// The hash of what came.
        got: Arc<str>,
    },
    /// What came has another length than was announced.
    #[error("size mismatch getting {url}: expected {expected} bytes, got {got}")]
    Size {
        /// What was asked for.
        url: Arc<str>,
        /// The announced length.
        expected: u64,
        /// The length of what came.
        got: u64,
    },
    /// The disk is full.
    #[error("no space left in the storage")]
    Full,
    /// The server is in offline mode (devpi's text).
    #[error("error 503 getting {url}")]
    Offline {
        /// What would have been asked for.
        url: Arc<str>,
    },
    /// More files wait to be fetched than may.
    #[error("too many requests wait for the upstream of {0}")]
    Busy(IndexName),
    /// Something failed here; the cause is for the log.
    #[error("cannot get {url}")]
    Failed {
        /// What was asked for.
        url: Arc<str>,
        /// Why.
        cause: Arc<str>,
    },
}

impl UpstreamError {
    /// All that is known, for the log.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Unreachable { cause, .. } | Self::Failed(cause) => format!("{self}: {cause}"),
            error => error.to_string(),
        }
    }
}

impl FetchError {
    /// All that is known, for the log.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Failed { cause, .. } => format!("{self}: {cause}"),
            error => error.to_string(),
        }
    }

    /// A failing store.
    pub(super) fn of_storage(url: &str, error: StorageError) -> Self {
        match error {
            StorageError::Full(_) => Self::Full,
            error => {
                Self::Failed { url: url.into(), cause: format!("{:#}", anyhow::Error::from(error)).into() }
            }
        }
    }
}

/// Why something is not had from a mirror.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The upstream did not help, and nothing is held.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
