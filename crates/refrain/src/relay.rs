//! A channel that stands alone: it accepts messages without a processor of its own.

use std::fmt;
use std::marker::PhantomData;

use refrain_core::{Channels, OneWay, Outbox, Processor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::never::Never;

/// A standalone reliable channel: whatever it is told goes to its destination, as reliably as from a
/// processor. A message is accepted once it is durable.
///
/// ```
/// # async fn example(printer: impl refrain::Destination) -> Result<(), Box<dyn std::error::Error>> {
/// use refrain::{MemoryJournal, RedeliveryPolicy, Refrain, Relay};
///
/// let refrain = Refrain::builder()
///     .journal(MemoryJournal::new())
///     .processor("labels", Relay::<String>::new())
///     .destination(&Relay::<String>::OUT, printer, RedeliveryPolicy::default())
///     .start()
///     .await?;
/// refrain.processor::<Relay<String>>("labels").ask("fragile".to_owned()).await?;
/// # Ok(()) }
/// ```
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Relay<M> {
    #[serde(skip)]
    messages: PhantomData<fn() -> M>,
}

impl<M: Serialize + DeserializeOwned + Send + 'static> Relay<M> {
    /// The channel that a relay consists of.
    pub const OUT: OneWay<Relay<M>, M> = OneWay::reliable("out");

    /// A relay.
    #[must_use]
    pub fn new() -> Relay<M> {
        Relay {
            messages: PhantomData,
        }
    }
}

impl<M: Serialize + DeserializeOwned + Send + 'static> Processor for Relay<M> {
    type Message = M;
    type Event = ();
    type Answer = ();
    type Rejection = Never;
    const CHANNELS: Channels<Self> = &[&Self::OUT];

    fn decide(&self, message: &M, out: &mut Outbox<Self>) -> Result<(), Never> {
        out.send(&Self::OUT, message);
        Ok(())
    }

    fn apply(&mut self, (): &()) {}
}

impl<M> Clone for Relay<M> {
    fn clone(&self) -> Relay<M> {
        Relay {
            messages: PhantomData,
        }
    }
}

impl<M: Serialize + DeserializeOwned + Send + 'static> Default for Relay<M> {
    fn default() -> Relay<M> {
        Relay::new()
    }
}

impl<M> fmt::Debug for Relay<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay")
    }
}
