//! The entry of a channel that changed without a message: settled, failed, stopped and so on.

use super::wire::{FormatError, Reader, put_bytes, put_u8, put_u16, put_u32, put_u64};
use crate::time::Timestamp;

/// A channel changed, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelMoved<'a> {
    /// The channel's number in its stream.
    pub channel: u16,
    /// When.
    pub time: Timestamp,
    /// Who wanted it.
    pub by: Actor,
    /// What changed.
    pub what: Move<'a>,
}

/// Who moved a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The channel itself, as its policy says.
    Policy,
    /// The application, through its handle.
    Application,
    /// A person, through the command line or the console.
    Operator,
}

/// What changed in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move<'a> {
    /// One-way deliveries were confirmed.
    Settled(Vec<u64>),
    /// An attempt of a one-way delivery failed.
    Failed {
        /// The delivery's number.
        number: u64,
        /// The attempt that failed.
        attempt: u32,
        /// What the destination said; `None` when nothing was heard of it.
        error: Option<&'a str>,
    },
    /// A delivery is about to be attempted: again, or for the first time although it lies far beyond
    /// what is recorded of others. Durable before the attempt starts.
    Redelivering {
        /// The delivery's number.
        number: u64,
        /// The attempt that is about to start.
        attempt: u32,
    },
    /// A delivery used up the channel's activation; the next one begins after a delay.
    Restarting {
        /// The delivery that used it up.
        number: u64,
    },
    /// The channel stopped. It goes on accepting, and waits to be activated.
    Stopped {
        /// The delivery that used up the last activation.
        number: u64,
        /// Why it failed the last time.
        reason: StopReason,
    },
    /// The channel was activated again, and whatever was parked is released.
    Delivering,
    /// One delivery was set aside with its reason, so that the others can pass.
    Parked {
        /// The delivery's number.
        number: u64,
        /// Why.
        reason: &'a str,
    },
    /// A parked delivery is to be delivered again.
    Released {
        /// The delivery's number.
        number: u64,
    },
    /// The channel delivers to another of its destinations from now on.
    Redirected {
        /// The destination's name.
        destination: &'a str,
        /// What happens to deliveries that may have reached the destination before.
        in_doubt: InDoubt,
    },
}

/// What a switch of destination does with deliveries in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InDoubt {
    /// They wait, for their outcome or for an operator.
    Wait,
    /// They go to the new destination.
    Move,
}

/// Why a channel stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The destination was not heard of.
    NotResponding,
    /// The destination said that it failed, or the processor asked for redelivery of a reply.
    Failing,
    /// The application has not activated the channel since the start.
    NotActivated,
    /// Deliveries are parked, and nothing else can pass them.
    Parked,
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StopReason::NotResponding => "the destination does not respond",
            StopReason::Failing => "the destination fails",
            StopReason::NotActivated => "not activated yet",
            StopReason::Parked => "parked deliveries stand in the way",
        })
    }
}

pub(super) const TAG: u8 = 3;
const VERSION: u8 = 1;

const SETTLED: u8 = 1;
const FAILED: u8 = 2;
const REDELIVERING: u8 = 3;
const RESTARTING: u8 = 4;
const STOPPED: u8 = 5;
const DELIVERING: u8 = 6;
const PARKED: u8 = 7;
const RELEASED: u8 = 8;
const REDIRECTED: u8 = 9;

impl<'a> ChannelMoved<'a> {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        put_u8(into, TAG);
        put_u8(into, VERSION);
        put_u16(into, self.channel);
        put_u8(into, actor_tag(self.by));
        put_u64(into, self.time.as_micros());
        match &self.what {
            Move::Settled(numbers) => {
                put_u8(into, SETTLED);
                for number in numbers {
                    put_u64(into, *number);
                }
            }
            Move::Failed {
                number,
                attempt,
                error,
            } => {
                put_u8(into, FAILED);
                put_u64(into, *number);
                put_u32(into, *attempt);
                put_u8(into, error.is_some().into());
                if let Some(error) = error {
                    put_bytes(into, error.as_bytes());
                }
            }
            Move::Redelivering { number, attempt } => {
                put_u8(into, REDELIVERING);
                put_u64(into, *number);
                put_u32(into, *attempt);
            }
            Move::Restarting { number } => {
                put_u8(into, RESTARTING);
                put_u64(into, *number);
            }
            Move::Stopped { number, reason } => {
                put_u8(into, STOPPED);
                put_u64(into, *number);
                put_u8(into, reason_tag(*reason));
            }
            Move::Delivering => put_u8(into, DELIVERING),
            Move::Parked { number, reason } => {
                put_u8(into, PARKED);
                put_u64(into, *number);
                put_bytes(into, reason.as_bytes());
            }
            Move::Released { number } => {
                put_u8(into, RELEASED);
                put_u64(into, *number);
            }
            Move::Redirected {
                destination,
                in_doubt,
            } => {
                put_u8(into, REDIRECTED);
                put_u8(into, matches!(in_doubt, InDoubt::Move).into());
                put_bytes(into, destination.as_bytes());
            }
        }
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<ChannelMoved<'a>, FormatError> {
        let mut reader = Reader::new(bytes, "channel move");
        reader.u8()?;
        let version = reader.u8()?;
        if version != VERSION {
            return Err(reader.unknown(version.into()));
        }
        let channel = reader.u16()?;
        let by = actor(reader.u8()?, &reader)?;
        let time = Timestamp::from_micros(reader.u64()?);
        let what = Move::decode(&mut reader)?;
        reader.end()?;
        Ok(ChannelMoved {
            channel,
            time,
            by,
            what,
        })
    }
}

impl<'a> Move<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Move<'a>, FormatError> {
        Ok(match reader.u8()? {
            SETTLED => {
                let mut numbers = Vec::new();
                while !reader.is_empty() {
                    numbers.push(reader.u64()?);
                }
                Move::Settled(numbers)
            }
            FAILED => Move::Failed {
                number: reader.u64()?,
                attempt: reader.u32()?,
                error: match reader.u8()? {
                    0 => None,
                    1 => Some(reader.text()?),
                    tag => return Err(reader.unknown(tag.into())),
                },
            },
            REDELIVERING => Move::Redelivering {
                number: reader.u64()?,
                attempt: reader.u32()?,
            },
            RESTARTING => Move::Restarting {
                number: reader.u64()?,
            },
            STOPPED => {
                let (number, tag) = (reader.u64()?, reader.u8()?);
                Move::Stopped {
                    number,
                    reason: StopReason::from_tag(tag, reader)?,
                }
            }
            DELIVERING => Move::Delivering,
            PARKED => Move::Parked {
                number: reader.u64()?,
                reason: reader.text()?,
            },
            RELEASED => Move::Released {
                number: reader.u64()?,
            },
            REDIRECTED => {
                let in_doubt = match reader.u8()? {
                    0 => InDoubt::Wait,
                    1 => InDoubt::Move,
                    tag => return Err(reader.unknown(tag.into())),
                };
                Move::Redirected {
                    destination: reader.text()?,
                    in_doubt,
                }
            }
            tag => return Err(reader.unknown(tag.into())),
        })
    }
}

fn actor_tag(by: Actor) -> u8 {
    match by {
        Actor::Policy => 1,
        Actor::Application => 2,
        Actor::Operator => 3,
    }
}

fn actor(tag: u8, reader: &Reader<'_>) -> Result<Actor, FormatError> {
    match tag {
        1 => Ok(Actor::Policy),
        2 => Ok(Actor::Application),
        3 => Ok(Actor::Operator),
        tag => Err(reader.unknown(tag.into())),
    }
}

pub(crate) fn reason_tag(reason: StopReason) -> u8 {
    match reason {
        StopReason::NotResponding => 1,
        StopReason::Failing => 2,
        StopReason::NotActivated => 3,
        StopReason::Parked => 4,
    }
}

impl StopReason {
    pub(crate) fn from_tag(tag: u8, reader: &Reader<'_>) -> Result<StopReason, FormatError> {
        match tag {
            1 => Ok(StopReason::NotResponding),
            2 => Ok(StopReason::Failing),
            3 => Ok(StopReason::NotActivated),
            4 => Ok(StopReason::Parked),
            tag => Err(reader.unknown(tag.into())),
        }
    }
}
