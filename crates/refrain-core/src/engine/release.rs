//! What waits until the state that it was computed on is durable.

use super::{Effect, Engine, Moment, Signal, Ticket};
use crate::cause::MessageId;
use crate::id::Position;
use crate::planted;
use crate::processor::Processor;
use crate::refusal::AskError;

#[derive(Debug)]
pub(super) enum Release<P: Processor> {
    Answer {
        ticket: Ticket,
        result: Result<P::Answer, AskError<P::Rejection>>,
    },
    Recall {
        ticket: Ticket,
        id: MessageId,
        position: Option<Position>,
    },
    Seen {
        ticket: Ticket,
    },
    /// An outcome of a delivery was recorded.
    Recorded {
        channel: u16,
        number: u64,
    },
    /// An attempt was recorded and may start.
    Start {
        channel: u16,
        number: u64,
        attempt: u32,
    },
    Announce(Signal),
}

impl<P: Processor> Engine<P> {
    pub(super) fn on_durable(&mut self, position: Position) {
        assert!(
            position <= self.head(),
            "nothing is durable that was not appended"
        );
        self.durable = self.durable.max(Some(position));
    }

    pub(super) fn release(&mut self, moment: Moment) {
        while let Some((gate, _)) = self.releases.front() {
            if self.durable < Some(*gate) && !planted::is("told-before-durable") {
                break;
            }
            if let Some((_, release)) = self.releases.pop_front() {
                self.perform(moment, release);
            }
        }
    }

    fn perform(&mut self, moment: Moment, release: Release<P>) {
        match release {
            Release::Answer { ticket, result } => {
                self.effects.push(Effect::Answer { ticket, result });
            }
            Release::Recall {
                ticket,
                id,
                position,
            } => {
                self.effects.push(Effect::Recall {
                    ticket,
                    id,
                    position,
                });
            }
            Release::Seen { ticket } => self.effects.push(Effect::Seen { ticket }),
            Release::Announce(signal) => self.effects.push(Effect::Announce(signal)),
            Release::Recorded { channel, number } => {
                let lane = &mut self.lanes[usize::from(channel)];
                lane.recording -= 1;
                lane.durable_highest = lane.durable_highest.max(number);
            }
            Release::Start {
                channel,
                number,
                attempt,
            } => {
                self.start_again(moment, channel, number, attempt);
            }
        }
    }
}
