//! The processor whose every message asks a destination something, and whose state stays bounded.

use refrain::Never;
use refrain_core::{Channels, Outbox, Outcome, Processor, Recording, RequestReply, Settlement};
use serde::{Deserialize, Serialize};

/// The only channel.
pub(crate) const CHARGING: RequestReply<Exchanges, Charge, Charged> =
    RequestReply::new("charging", Exchanges::on_charged);

/// Settled exchanges that are remembered by their slot: more than are ever in flight.
const SETTLED_KEPT: usize = 8192;

/// Exchanges that were begun and settled, and the slots of the latest that were settled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Exchanges {
    begun: u64,
    settled: u64,
    /// The exchange that was settled as the `n`-th is at `n % SETTLED_KEPT`.
    slots: Vec<u32>,
}

/// Begins an exchange. The caller recognises it by its slot.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) slot: u32,
    pub(crate) cents: u64,
}

/// What the destination is asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Charge {
    slot: u32,
    cents: u64,
}

/// What it replies.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Charged {
    pub(crate) receipt: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum ExchangeEvent {
    Begun { slot: u32, cents: u64 },
    Settled { slot: u32, receipt: u64 },
}

impl Exchanges {
    /// Nothing begun.
    pub(crate) fn new() -> Exchanges {
        Exchanges {
            begun: 0,
            settled: 0,
            slots: vec![0; SETTLED_KEPT],
        }
    }

    /// How many were settled, and the slots of those after the first `seen`.
    pub(crate) fn settled_after(&self, seen: u64) -> (u64, Vec<u32>) {
        let slot = |number| self.slots[number as usize % SETTLED_KEPT];
        (self.settled, (seen..self.settled).map(slot).collect())
    }

    fn on_charged(
        &self,
        asked: &Charge,
        outcome: Outcome<Charged>,
        out: &mut Outbox<Exchanges>,
    ) -> Settlement {
        match outcome {
            Outcome::Reply(Charged { receipt }) => {
                let slot = asked.slot;
                out.event(ExchangeEvent::Settled { slot, receipt });
                Settlement::Confirm
            }
            Outcome::DestinationNotResponding { .. } | Outcome::DestinationFailure { .. } => {
                Settlement::Redeliver
            }
        }
    }
}

impl Processor for Exchanges {
    type Message = Begin;
    type Event = ExchangeEvent;
    type Answer = ();
    type Rejection = Never;

    const CHANNELS: Channels<Self> = &[&CHARGING];
    const RECORDING: Recording = Recording::Identity;

    fn decide(&self, message: &Begin, out: &mut Outbox<Self>) -> Result<(), Never> {
        let Begin { slot, cents } = *message;
        out.request(&CHARGING, &Charge { slot, cents });
        out.event(ExchangeEvent::Begun { slot, cents });
        Ok(())
    }

    fn apply(&mut self, event: &ExchangeEvent) {
        match *event {
            ExchangeEvent::Begun { .. } => self.begun += 1,
            ExchangeEvent::Settled { slot, .. } => {
                let place = self.settled as usize % SETTLED_KEPT;
                self.slots[place] = slot;
                self.settled += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_were_settled_are_told_once() {
        let mut exchanges = Exchanges::new();
        for slot in [7, 3] {
            exchanges.apply(&ExchangeEvent::Settled { slot, receipt: 0 });
        }
        assert_eq!(exchanges.settled_after(0), (2, vec![7, 3]));
        assert_eq!(exchanges.settled_after(2), (2, vec![]));
    }
}
