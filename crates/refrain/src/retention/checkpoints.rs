//! A hold that is moved by whoever reads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use refrain_core::port::BoxFuture;
use refrain_core::port::hold::{Hold, HoldError, Need};
use refrain_core::{Name, Position};

/// How far somebody has read each stream: a projection, or a backup that was verified. What they
/// have not read is kept for them. Clones are the same.
///
/// A stream of which nothing was said yet is kept as a whole: so a reader says how far it is right
/// after each start.
///
/// ```
/// use refrain::{Checkpoints, Hold, Name, Need, Position};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let totals = Checkpoints::new("totals");
/// let orders = Name::new("orders")?;
/// assert_eq!(totals.needs(&orders).await?, Need::Everything);
///
/// let position = Position::new(41).ok_or("positions start at 1")?;
/// totals.read_up_to(&orders, position);
/// assert_eq!(totals.needs(&orders).await?, Need::From(position.next()));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Checkpoints {
    name: Arc<str>,
    needs: Arc<Mutex<BTreeMap<Name, Need>>>,
}

impl Checkpoints {
    /// Those of the reader that operators know as `name`.
    #[must_use]
    pub fn new(name: &str) -> Checkpoints {
        Checkpoints {
            name: name.into(),
            needs: Arc::default(),
        }
    }

    /// The reader has all of `stream` up to `position`, durably, and will never ask for it again.
    /// An older position than before changes nothing.
    pub fn read_up_to(&self, stream: &Name, position: Position) {
        self.set(stream, Need::From(position.next()));
    }

    /// The reader will never need anything of `stream`.
    pub fn needs_nothing(&self, stream: &Name) {
        self.set(stream, Need::Nothing);
    }

    fn set(&self, stream: &Name, need: Need) {
        let mut needs = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
        let before = needs.entry(stream.clone()).or_insert(Need::Everything);
        *before = need.max(*before);
    }
}

impl Hold for Checkpoints {
    fn name(&self) -> &str {
        &self.name
    }

    fn needs(&self, stream: &Name) -> BoxFuture<'_, Result<Need, HoldError>> {
        let needs = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
        let need = needs.get(stream).copied().unwrap_or(Need::Everything);
        Box::pin(std::future::ready(Ok(need)))
    }
}
