//! Reads a body whole, up to a bound.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Why a body is not there whole.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It has more bytes than the bound. Nothing of it is kept.
    TooLarge { limit: usize },
    /// It ended early, came too slowly or was garbled.
    Broken(Box<dyn Error + Send + Sync>),
}

/// Why one of many bodies was not taken.
#[derive(Debug)]
pub(crate) enum UntakenError {
    /// Too much is being read and handled at once. Nothing of it is kept.
    NoRoom,
    /// It is not there whole.
    Body(BodyError),
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

/// As [`read`], for one of many bodies that share `room`, in bytes. What was read takes it, as it
/// comes, until the permit is dropped: so a body that announces much and sends little takes little.
pub(crate) async fn read_within<'a, B>(
    body: &mut B,
    limit: usize,
    room: &'a Semaphore,
) -> Result<(Bytes, Option<SemaphorePermit<'a>>), UntakenError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let too_large = || UntakenError::Body(BodyError::TooLarge { limit });
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut taken: Option<SemaphorePermit<'a>> = None;
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| UntakenError::Body(BodyError::Broken(error.into())))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            return Err(too_large());
        }
        let bytes = u32::try_from(data.len()).map_err(|_| too_large())?;
        let more = room.try_acquire_many(bytes);
        let more = more.map_err(|_| UntakenError::NoRoom)?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), taken))
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
