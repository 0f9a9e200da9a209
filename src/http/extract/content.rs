//! A body that is kept as it comes.

use futures_util::StreamExt;

use super::body::Body;
use crate::domain::Registry;
use crate::http::error::ApiError;
use crate::storage::files::ReceivedFile;

/// Reads a body to its end, into the file store. An error if it has more than `limit` bytes.
pub(in crate::http) async fn receive(
    mut body: Body,
    registry: &Registry,
    limit: u64,
) -> Result<Box<dyn ReceivedFile>, ApiError> {
    let mut incoming = registry.receive_file().await?;
    let mut size = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| body.incomplete())?;
        size += piece.len() as u64;
        if size > limit {
            return Err(ApiError::too_large(limit));
        }
        incoming.write(piece).await?;
    }
    Ok(incoming.finish().await?)
}
