//! A body that is kept as it comes.

use futures_util::StreamExt;

use super::body::Body;
use crate::domain::Registry;
use crate::http::error::ApiError;
use crate::storage::files::ReceivedFile;

/// Reads a body to its end, into the file store.
pub(in crate::http) async fn receive(
    mut body: Body,
    registry: &Registry,
) -> Result<Box<dyn ReceivedFile>, ApiError> {
    let mut incoming = registry.receive_file().await?;
    while let Some(piece) = body.next().await {
        incoming.write(piece.map_err(|_| body.incomplete())?).await?;
    }
    Ok(incoming.finish().await?)
}
