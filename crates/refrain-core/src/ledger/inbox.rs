//! Which messages were handled, and where.
//!
//! One number for each source that sends in order; for deliveries of other processors the numbers
//! that their channel has not settled; for identities from outside a window by count and age. All of
//! it follows from the entries, so that a replay and a snapshot give the same memory.

use std::collections::BTreeMap;

use super::outside::{Identity, Outside, Remember};
use super::sender::Sender;
use crate::cause::Cause;
use crate::entry::FormatError;
use crate::entry::wire::{Reader, length, put_bytes, put_u32, put_u64};
use crate::id::Position;
use crate::limit::SOURCES_MAX;
use crate::time::Timestamp;

/// What is known of a message's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It was not handled, as far as is remembered.
    New,
    /// It was handled by the step at this position, where the position is remembered.
    Handled(Option<Position>),
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    outside: Outside,
    sources: BTreeMap<Box<str>, Handled>,
    senders: BTreeMap<Box<str>, BTreeMap<Box<str>, Sender>>,
    /// Channels in `senders`.
    sender_count: usize,
}

/// The last number of an in-order source.
#[derive(Debug, Clone, Copy)]
struct Handled {
    number: u64,
    position: Position,
}

impl Inbox {
    pub(crate) fn new(remember: Remember) -> Inbox {
        Inbox {
            outside: Outside::new(remember),
            ..Inbox::default()
        }
    }

    /// Whether the message with this cause was handled. `fingerprint` is of the same cause.
    #[inline]
    pub(crate) fn seen(&self, cause: &Cause<'_>, fingerprint: u128) -> Seen {
        match *cause {
            Cause::Given { .. } | Cause::Drawn(_) => match self.outside.find(fingerprint) {
                Some(position) => Seen::Handled(Some(position)),
                None => Seen::New,
            },
            Cause::Sequenced { source, number } => match self.sources.get(source) {
                Some(last) if number < last.number => Seen::Handled(None),
                Some(last) if number == last.number => Seen::Handled(Some(last.position)),
                Some(_) | None => Seen::New,
            },
            Cause::Delivered {
                sender,
                channel,
                number,
                ..
            } => {
                match self
                    .senders
                    .get(sender)
                    .and_then(|channels| channels.get(channel))
                {
                    Some(sender) => sender.seen(number),
                    None => Seen::New,
                }
            }
            // The state of the delivery knows, not the inbox.
            Cause::Outcome { .. } | Cause::Timer(_) => Seen::New,
        }
    }

    /// Whether the message's source is remembered or could be.
    #[inline]
    pub(crate) fn has_room_for(&self, cause: &Cause<'_>) -> bool {
        match *cause {
            Cause::Sequenced { source, .. } => {
                self.sources.len() < SOURCES_MAX || self.sources.contains_key(source)
            }
            Cause::Delivered {
                sender, channel, ..
            } => {
                self.sender_count < SOURCES_MAX
                    || self
                        .senders
                        .get(sender)
                        .is_some_and(|channels| channels.contains_key(channel))
            }
            Cause::Given { .. } | Cause::Drawn(_) | Cause::Outcome { .. } | Cause::Timer(_) => true,
        }
    }

    /// Notes that the step at `position` handled the message with this cause.
    #[inline]
    pub(crate) fn note(
        &mut self,
        cause: &Cause<'_>,
        fingerprint: u128,
        time: Timestamp,
        position: Position,
    ) {
        match *cause {
            Cause::Given { .. } | Cause::Drawn(_) => self.outside.note(Identity {
                fingerprint,
                time,
                position,
            }),
            Cause::Sequenced { source, number } => {
                let handled = Handled { number, position };
                match self.sources.get_mut(source) {
                    Some(last) => *last = handled,
                    None => _ = self.sources.insert(source.into(), handled),
                }
            }
            Cause::Delivered {
                sender,
                channel,
                number,
                settled_below,
                ..
            } => {
                self.sender(sender, channel)
                    .note(number, settled_below, position);
            }
            Cause::Outcome { .. } | Cause::Timer(_) => {}
        }
    }

    /// The oldest entry whose answer a message that comes again would get.
    pub(crate) fn first_answer(&self) -> Option<Position> {
        let outside = self.outside.first_answer();
        let sources = self.sources.values().map(|last| last.position);
        let senders = self.senders.values().flat_map(BTreeMap::values);
        sources
            .chain(senders.filter_map(Sender::first_answer))
            .chain(outside)
            .min()
    }

    fn sender(&mut self, sender: &str, channel: &str) -> &mut Sender {
        if !self.senders.contains_key(sender) {
            self.senders.insert(sender.into(), BTreeMap::new());
        }
        let channels = self.senders.get_mut(sender).expect("inserted above");
        if !channels.contains_key(channel) {
            channels.insert(channel.into(), Sender::default());
            self.sender_count += 1;
        }
        channels.get_mut(channel).expect("inserted above")
    }

    /// Appends the memory in a canonical order.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        self.outside.encode(into);
        put_u32(into, length(self.sources.len()));
        for (source, last) in &self.sources {
            put_bytes(into, source.as_bytes());
            put_u64(into, last.number);
            put_u64(into, last.position.get());
        }
        put_u32(into, length(self.sender_count));
        for (sender, channels) in &self.senders {
            for (channel, of) in channels {
                put_bytes(into, sender.as_bytes());
                put_bytes(into, channel.as_bytes());
                of.encode(into);
            }
        }
    }

    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        remember: Remember,
    ) -> Result<Inbox, FormatError> {
        let mut inbox = Inbox {
            outside: Outside::decode(reader, remember)?,
            ..Inbox::default()
        };
        for _ in 0..reader.u32()? {
            let source = reader.text()?.into();
            let handled = Handled {
                number: reader.u64()?,
                position: position(reader)?,
            };
            inbox.sources.insert(source, handled);
        }
        for _ in 0..reader.u32()? {
            let (sender, channel) = (reader.text()?, reader.text()?);
            let of = Sender::decode(reader)?;
            *inbox.sender(sender, channel) = of;
        }
        Ok(inbox)
    }
}

/// A stored position.
pub(super) fn position(reader: &mut Reader<'_>) -> Result<Position, FormatError> {
    Position::new(reader.u64()?).ok_or_else(|| reader.invalid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Key;

    fn at(number: u64) -> Position {
        Position::new(number).unwrap()
    }

    fn delivered(number: u64, settled_below: u64) -> Cause<'static> {
        let key = Key::new([0; 16]);
        Cause::Delivered {
            sender: "p1",
            channel: "out",
            number,
            settled_below,
            key,
            correlation: key,
        }
    }

    /// B1.4
    #[test]
    fn parked_delivery_that_is_released_after_later_ones_is_new() {
        let mut inbox = Inbox::default();
        for (number, settled_below) in [(4, 4), (6, 5), (7, 5)] {
            inbox.note(
                &delivered(number, settled_below),
                0,
                Timestamp::EPOCH,
                at(number),
            );
        }
        assert_eq!(inbox.seen(&delivered(5, 5), 0), Seen::New);
        assert_eq!(inbox.seen(&delivered(7, 5), 0), Seen::Handled(Some(at(7))));
        assert_eq!(
            inbox.seen(&delivered(4, 4), 0),
            Seen::Handled(None),
            "settled, so forgotten"
        );
        assert_eq!(inbox.seen(&delivered(8, 5), 0), Seen::New);
    }

    /// B1.4
    #[test]
    fn in_order_source_needs_one_number() {
        let mut inbox = Inbox::default();
        let from = |number| Cause::Sequenced {
            source: "bus",
            number,
        };
        inbox.note(&from(7), 0, Timestamp::EPOCH, at(70));
        assert_eq!(inbox.seen(&from(6), 0), Seen::Handled(None));
        assert_eq!(inbox.seen(&from(7), 0), Seen::Handled(Some(at(70))));
        assert_eq!(inbox.seen(&from(8), 0), Seen::New);
    }

    #[test]
    fn memory_survives_its_stored_form() {
        let mut inbox = Inbox::default();
        inbox.note(&Cause::Drawn([1; 16]), 9, Timestamp::EPOCH, at(1));
        inbox.note(
            &Cause::Sequenced {
                source: "bus",
                number: 3,
            },
            0,
            Timestamp::EPOCH,
            at(2),
        );
        inbox.note(&delivered(4, 2), 0, Timestamp::EPOCH, at(3));
        let mut stored = Vec::new();
        inbox.encode(&mut stored);
        let read = Inbox::decode(&mut Reader::new(&stored, "inbox"), Remember::default()).unwrap();
        let mut again = Vec::new();
        read.encode(&mut again);
        assert_eq!(stored, again);
        assert_eq!(
            read.seen(&Cause::Drawn([1; 16]), 9),
            Seen::Handled(Some(at(1)))
        );
    }
}
