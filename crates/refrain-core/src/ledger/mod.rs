//! The ledger: all that a stream's entries mean besides the user's state.
//!
//! It is the fold of the entries, live and in a replay through the same functions: which messages
//! were handled, what every channel still owes, the epoch and the time. It has no way to send.

mod backlog;
mod channel;
mod inbox;
mod numbers;
mod open;
mod outside;
mod secret;
mod sender;
mod stored;

use crate::cause::Cause;
use crate::entry::{
    Begun, ChannelMoved, DeclaredChannel, FormatError, Move, Step, StepVerdict, Watermark,
    drawn_identity,
};
use crate::id::{Epoch, Position};
use crate::name::Name;
use crate::time::Timestamp;

use open::Failure;

pub(crate) use channel::{Channel, Room, STRICT, Status};
pub(crate) use inbox::{Inbox, Seen};
pub(crate) use open::{Open, Progress, SetAside};
pub use outside::Remember;
pub(crate) use secret::Secret;

#[derive(Debug)]
pub(crate) struct Ledger {
    /// The position of the next entry.
    pub(crate) next: Position,
    /// The time of the last entry. Never goes back.
    pub(crate) time: Timestamp,
    /// The last writer; `None` before the first.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) secret: Secret,
    pub(crate) inbox: Inbox,
    /// By number.
    pub(crate) channels: Vec<Channel>,
    /// Bytes for the identity that is looked up.
    scratch: Vec<u8>,
}

impl Ledger {
    pub(crate) fn new(remember: Remember) -> Ledger {
        Ledger {
            next: Position::FIRST,
            time: Timestamp::EPOCH,
            epoch: None,
            secret: Secret::new([0; 32]),
            inbox: Inbox::new(remember),
            channels: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// The position of the last entry, if there is one.
    pub(crate) fn head(&self) -> Option<Position> {
        self.next.before()
    }

    /// What stands for the identity of a message in the inbox, where that needs it.
    #[inline]
    pub(crate) fn fingerprint(&mut self, cause: &Cause<'_>) -> u128 {
        match cause {
            Cause::Drawn(bits) => self.secret.fingerprint(&drawn_identity(*bits)),
            Cause::Given { .. } => {
                self.scratch.clear();
                cause.encode_identity(&mut self.scratch);
                self.secret.fingerprint(&self.scratch)
            }
            Cause::Sequenced { .. }
            | Cause::Delivered { .. }
            | Cause::Outcome { .. }
            | Cause::Timer(_) => 0,
        }
    }

    pub(crate) fn channel_number(&self, name: &str) -> Option<u16> {
        let place = self
            .channels
            .iter()
            .position(|channel| channel.name.as_str() == name)?;
        u16::try_from(place).ok()
    }

    pub(crate) fn fold_begun(&mut self, begun: &Begun) -> Result<(), FormatError> {
        if self.epoch >= Some(begun.epoch) {
            return Err(FormatError::Invalid { what: "epoch" });
        }
        self.epoch = Some(begun.epoch);
        self.secret = Secret::new(begun.secret);
        for (place, declared) in begun.channels.iter().enumerate() {
            self.declare(place, declared)?;
        }
        self.advance(begun.time);
        Ok(())
    }

    fn declare(&mut self, place: usize, declared: &DeclaredChannel) -> Result<(), FormatError> {
        match self.channels.get_mut(place) {
            Some(channel) if channel.name == declared.name => {
                channel.begin(declared.run_ahead);
                Ok(())
            }
            Some(_) => Err(FormatError::Invalid {
                what: "declared channel",
            }),
            None => {
                self.channels
                    .push(Channel::new(declared.name.clone(), declared.run_ahead));
                Ok(())
            }
        }
    }

    /// Notes what the step at the next position says. `fingerprint` is of its cause.
    pub(crate) fn fold_step(
        &mut self,
        step: &Step<'_>,
        fingerprint: u128,
    ) -> Result<(), FormatError> {
        let position = self.next;
        self.inbox
            .note(&step.cause, fingerprint, step.time, position);
        if let Some((delivery, settlement)) = step.settled {
            self.channel(delivery.channel)?
                .settle_by(delivery.number, settlement, step);
        }
        if step.verdict == StepVerdict::Parked {
            self.park(&step.cause)?;
        }
        for envelope in step.envelopes.iter() {
            let envelope = envelope?;
            let channel = self.channel(envelope.delivery.channel)?;
            if envelope.delivery.number != channel.next_number {
                return Err(FormatError::Invalid {
                    what: "delivery number",
                });
            }
            channel.enqueue(position, &envelope, step.encoding);
        }
        self.advance(step.time);
        Ok(())
    }

    /// The outcome of a delivery could not be handled.
    fn park(&mut self, cause: &Cause<'_>) -> Result<(), FormatError> {
        let (delivery, attempt) = match *cause {
            Cause::Outcome {
                delivery, attempt, ..
            } => (delivery, attempt),
            Cause::Timer(delivery) => (delivery, 0),
            Cause::Given { .. }
            | Cause::Drawn(_)
            | Cause::Sequenced { .. }
            | Cause::Delivered { .. } => return Ok(()),
        };
        if let Some(progress) = self.channel(delivery.channel)?.progress(delivery.number) {
            progress.park(attempt);
        }
        Ok(())
    }

    pub(crate) fn fold_moved(&mut self, moved: &ChannelMoved<'_>) -> Result<(), FormatError> {
        let channel = self.channel(moved.channel)?;
        match &moved.what {
            Move::Settled(numbers) => {
                for number in numbers {
                    channel.settle(*number);
                }
            }
            Move::Failed {
                number,
                attempt,
                error,
            } => {
                let failure = error.map_or(Failure::Silence, |_| Failure::Said);
                channel.fail(*number, *attempt, failure, moved.time);
            }
            Move::Redelivering { number, attempt } => {
                if let Some(progress) = channel.progress(*number) {
                    progress.redelivering(*attempt);
                }
            }
            Move::Restarting { .. } => channel.restarting(moved.time),
            Move::Stopped { reason, .. } => channel.stopped(*reason, moved.time),
            Move::Delivering => channel.delivering(),
            Move::Parked { number, .. } => {
                if let Some(progress) = channel.progress(*number) {
                    progress.park(0);
                }
            }
            Move::Released { number } => {
                if let Some(progress) = channel.progress(*number) {
                    progress.release();
                }
            }
            Move::Redirected {
                destination,
                in_doubt,
            } => {
                let name = Name::new(destination).map_err(|_| FormatError::Invalid {
                    what: "destination",
                })?;
                channel.redirect(name, *in_doubt);
            }
        }
        self.advance(moved.time);
        Ok(())
    }

    pub(crate) fn fold_watermark(&mut self, watermark: &Watermark) {
        self.advance(watermark.time);
    }

    pub(crate) fn channel(&mut self, number: u16) -> Result<&mut Channel, FormatError> {
        self.channels
            .get_mut(usize::from(number))
            .ok_or(FormatError::Unknown {
                what: "channel",
                value: number.into(),
            })
    }

    fn advance(&mut self, time: Timestamp) {
        self.time = self.time.max(time);
        self.next = self.next.next();
    }
}
