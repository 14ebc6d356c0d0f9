//! What subscribers of the runtime are told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use refrain_core::{Name, Position, StopReason};
use tokio::sync::broadcast;

/// Signals that wait for a slow subscriber. One that falls further behind misses some, but never
/// that a channel is stopped.
const SIGNALS_WAITING_MAX: usize = 1024;

/// What happened in a runtime, for those who watch it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// A channel used up its attempts. It goes on accepting, and waits for
    /// [`deliver`](crate::Handle::deliver). Told again at every start, and to every new subscriber.
    DeliveryStopped {
        /// The processor.
        processor: Name,
        /// Its channel.
        channel: Name,
        /// Why.
        reason: StopReason,
        /// Deliveries without a settlement.
        pending: u64,
    },
    /// A channel delivers again.
    DeliveryResumed {
        /// The processor.
        processor: Name,
        /// Its channel.
        channel: Name,
        /// Deliveries without a settlement.
        pending: u64,
    },
    /// A delivery was set aside, because its outcome could not be handled.
    DeliveryParked {
        /// The processor.
        processor: Name,
        /// Its channel.
        channel: Name,
        /// The delivery's number.
        number: u64,
        /// Why.
        reason: String,
    },
    /// An outcome came for a delivery that is settled or unknown. It changed nothing.
    LateOutcome {
        /// The processor.
        processor: Name,
        /// Its channel.
        channel: Name,
        /// The delivery's number.
        number: u64,
    },
    /// A processor replays its entries. Told when that begins, and then at most once a second.
    Recovering {
        /// The processor.
        processor: Name,
        /// Entries applied so far.
        entries: u64,
        /// Entries still to apply.
        remaining: u64,
        /// Entries applied in a second, on average so far.
        rate: u64,
    },
    /// A processor is up to date and takes messages.
    Recovered {
        /// The processor.
        processor: Name,
        /// Entries that were applied.
        entries: u64,
        /// The last of them.
        position: Option<Position>,
    },
    /// A processor cannot recover yet, because its journal cannot be read or written: the disk is
    /// full, or the connection is gone. It tries again by itself; what is sent to it waits. Told
    /// once for each reason.
    Waiting {
        /// The processor.
        processor: Name,
        /// Why.
        reason: String,
    },
    /// An append failed, or `apply` panicked on a fresh event: a processor rebuilds its state from the
    /// journal, and goes on.
    Rebuilding {
        /// The processor.
        processor: Name,
        /// Why.
        reason: String,
    },
    /// Old entries of a processor were forgotten, because nobody needs them any more.
    EntriesForgotten {
        /// The processor.
        processor: Name,
        /// Its first entry now.
        first: Position,
        /// How many went.
        forgotten: u64,
    },
    /// Old entries of a processor could not be forgotten: somebody who may need them did not answer,
    /// or the journal did not. They are kept; it is tried again after the next snapshot.
    NothingForgotten {
        /// The processor.
        processor: Name,
        /// Why.
        reason: String,
    },
    /// A processor stopped for good; others go on.
    ProcessorHalted {
        /// The processor.
        processor: Name,
        /// Why.
        reason: String,
    },
}

/// Where signals are told, and what a new subscriber must be told first.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sender: broadcast::Sender<Signal>,
    stopped: Mutex<BTreeMap<(Name, Name), Signal>>,
}

impl Signals {
    pub(crate) fn new() -> Signals {
        let (sender, _) = broadcast::channel(SIGNALS_WAITING_MAX);
        Signals {
            shared: Arc::new(Shared {
                sender,
                stopped: Mutex::default(),
            }),
        }
    }

    pub(crate) fn tell(&self, signal: Signal) {
        let mut stopped = self.shared.lock();
        match &signal {
            Signal::DeliveryStopped {
                processor, channel, ..
            } => {
                stopped.insert((processor.clone(), channel.clone()), signal.clone());
            }
            Signal::DeliveryResumed {
                processor, channel, ..
            } => {
                stopped.remove(&(processor.clone(), channel.clone()));
            }
            Signal::DeliveryParked { .. }
            | Signal::LateOutcome { .. }
            | Signal::Recovering { .. }
            | Signal::Recovered { .. }
            | Signal::Waiting { .. }
            | Signal::Rebuilding { .. }
            | Signal::EntriesForgotten { .. }
            | Signal::NothingForgotten { .. }
            | Signal::ProcessorHalted { .. } => {}
        }
        // Told under the lock, so that no subscriber misses or repeats it between list and stream.
        // Nobody listening is not an error.
        let _ = self.shared.sender.send(signal);
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        self.shared.subscribe(Arc::downgrade(&self.shared))
    }

    pub(crate) fn downgrade(&self) -> WeakSignals {
        WeakSignals(Arc::downgrade(&self.shared))
    }
}

/// Signals for whatever may outlive the runtime, whose subscribers shall hear its end.
#[derive(Debug, Clone)]
pub(crate) struct WeakSignals(Weak<Shared>);

impl WeakSignals {
    /// Tells nobody, when the runtime is gone.
    pub(crate) fn tell(&self, signal: Signal) {
        if let Some(shared) = self.0.upgrade() {
            Signals { shared }.tell(signal);
        }
    }
}

impl Shared {
    fn subscribe(&self, shared: Weak<Shared>) -> Subscription {
        let stopped = self.lock();
        Subscription {
            first: stopped.values().cloned().collect(),
            receiver: self.sender.subscribe(),
            shared,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Name, Name), Signal>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The signals from now on, after those of channels that are stopped now.
#[derive(Debug)]
pub struct Subscription {
    first: VecDeque<Signal>,
    receiver: broadcast::Receiver<Signal>,
    /// Not kept alive by those who listen.
    shared: Weak<Shared>,
}

impl Subscription {
    /// The next signal; `None` once the runtime is gone. Safe to cancel.
    ///
    /// A subscriber that falls more than 1,024 signals behind misses the oldest, and is told again
    /// which channels are stopped.
    pub async fn next(&mut self) -> Option<Signal> {
        loop {
            if let Some(signal) = self.first.pop_front() {
                return Some(signal);
            }
            match self.receiver.recv().await {
                Ok(signal) => return Some(signal),
                Err(broadcast::error::RecvError::Closed) => return None,
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "a subscriber of signals is too slow");
                    if let Some(shared) = self.shared.upgrade() {
                        *self = shared.subscribe(self.shared.clone());
                    }
                }
            }
        }
    }
}
