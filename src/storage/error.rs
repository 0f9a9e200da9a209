//! Why a store could not do what it was asked for.

use rustix::io::Errno;

/// What callers can treat differently about a failing store; everything else is its cause.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk or the quota is full. Nothing of the operation was kept.
    #[error("no space left in the storage")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Others keep the store busy. Nothing of the operation was kept; it may succeed later.
    #[error("the storage is busy")]
    Busy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store is being closed and takes no more work.
    #[error("the storage is shut down")]
    Closed,
    /// Stored data is not what this program wrote.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// A file cannot be read; others may be.
    #[error("a file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// Anything else; the source tells.
    #[error("the storage failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StorageError {
    /// The error of opening or reading one file. It says nothing about that file if nothing else could be opened either.
    pub fn of_reading(error: std::io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => error.into(),
            _ => Self::Unreadable(error),
        }
    }
}

impl From<std::io::Error> for StorageError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<serde_json::Error> for StorageError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<tokio::task::JoinError> for StorageError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Failed(error.into())
    }
}
