//! Reading a few entries in the background, for as long as it takes.

use std::time::Duration;

use refrain_core::port::journal::{Chunk, Disposition, Journal, ReadError};
use refrain_core::{Name, Position};

use crate::clock::Clock;

/// Time between two looks at a journal that cannot be reached.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The entries of `stream` from `from` on, as many as one chunk holds. Waits while the journal
/// cannot be reached.
///
/// # Errors
/// When a repeat would fail again.
pub(super) async fn chunk(
    journal: &dyn Journal,
    stream: &Name,
    from: Position,
    clock: &Clock,
) -> Result<Option<Chunk>, ReadError> {
    loop {
        match first_chunk(journal, stream, from).await {
            Err(error) if error.disposition() == Disposition::Again => {
                tracing::warn!(%stream, %error, "entries cannot be read yet");
                clock.wait(AGAIN_AFTER).await;
            }
            result => return result,
        }
    }
}

/// As [`chunk`], but a journal that cannot be reached is an error.
pub(super) async fn first_chunk(
    journal: &dyn Journal,
    stream: &Name,
    from: Position,
) -> Result<Option<Chunk>, ReadError> {
    journal.read(stream, from).await?.next().await
}
