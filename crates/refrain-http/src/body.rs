//! Reads a body whole, up to a bound.

use std::error::Error;

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// Why a body is not there whole.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It has more bytes than the bound. Nothing of it is kept.
    TooLarge { limit: usize },
    /// It ended early, came too slowly or was garbled.
    Broken(Box<dyn Error + Send + Sync>),
}

/// Reads at most `limit` bytes. A body that announces more is refused unread.
pub(crate) async fn read<B>(body: &mut B, limit: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(BodyError::TooLarge { limit });
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge { limit }),
        Err(error) => Err(BodyError::Broken(error)),
    }
}

/// Reads on and drops what comes, at most `limit` bytes.
///
/// A client that is still sending when its connection is closed may never read the refusal.
pub(crate) async fn discard<B>(body: &mut B, limit: usize)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = limit;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
