//! Who still needs old entries, besides the processor that wrote them.

use super::BoxFuture;
use crate::id::Position;
use crate::name::Name;

/// Somebody who still needs entries: a projection that has not read them yet, a backup that does
/// not contain them.
///
/// Entries are forgotten only below what every hold says. One that cannot answer, or that does not
/// know the stream, needs all of it: see [`Need::Everything`].
///
/// A hold promises that what it needs of a stream never grows again towards the past: an entry that
/// it gave up may be gone at any time afterwards.
pub trait Hold: Send + Sync + std::fmt::Debug + 'static {
    /// What operators see when entries are kept for it.
    fn name(&self) -> &str;

    /// What it still needs of `stream`.
    ///
    /// # Errors
    /// When that cannot be found out now. Nothing of the stream is forgotten then.
    fn needs(&self, stream: &Name) -> BoxFuture<'_, Result<Need, HoldError>>;
}

/// Which entries of a stream are still needed.
///
/// ```
/// use refrain_core::Position;
/// use refrain_core::port::hold::Need;
///
/// let read_up_to = Position::new(41).expect("not zero");
/// assert!(Need::Everything < Need::From(read_up_to.next()));
/// assert!(Need::From(read_up_to.next()) < Need::Nothing);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// All of them: nothing is known of the stream yet.
    Everything,
    /// Those from this position on.
    From(Position),
    /// None, now and in future.
    Nothing,
}

/// What a hold needs cannot be found out.
#[derive(Debug, Clone, thiserror::Error)]
#[error("what is still needed cannot be found out: {0}")]
pub struct HoldError(pub String);
