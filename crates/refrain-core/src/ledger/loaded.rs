//! Which open deliveries of a channel are in memory, and how those of the backlog get there.

use super::backlog::Backlog;
use super::channel::Channel;
use super::open::{Open, Progress, SetAside};
use crate::codec::Encoding;
use crate::entry::{Envelope, FormatError, Step};
use crate::id::Position;
use crate::limit::{CHANNEL_LOADED_BYTES_MAX, CHANNEL_LOADED_MAX};

/// Whether a channel takes more of its backlog into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Left,
    Full,
    NoneWanted,
}

impl Channel {
    fn has_room(&self) -> bool {
        self.open.len() < CHANNEL_LOADED_MAX && self.open_bytes < CHANNEL_LOADED_BYTES_MAX
    }

    /// Where to read on, when the backlog's next deliveries have room in memory.
    pub(crate) fn wants_loading(&self) -> Option<Position> {
        let backlog = self.backlog.as_ref()?;
        let is_low = self.open.len() <= CHANNEL_LOADED_MAX / 2
            && self.open_bytes <= CHANNEL_LOADED_BYTES_MAX / 2;
        is_low.then_some(backlog.from)
    }

    /// Whether parked deliveries leave the others no room in memory.
    pub(crate) fn is_clogged(&self) -> bool {
        self.backlog.is_some()
            && self.wants_loading().is_none()
            && self.open.values().any(Open::is_parked)
    }

    /// An envelope was recorded at `position`. Timers all stay in memory: they come due in an order
    /// of their own.
    pub(crate) fn enqueue(
        &mut self,
        position: Position,
        envelope: &Envelope<'_>,
        encoding: Encoding,
    ) {
        let number = envelope.delivery.number;
        assert_eq!(
            number, self.next_number,
            "deliveries of a channel have no gaps"
        );
        self.next_number += 1;
        if let Some(backlog) = &mut self.backlog {
            backlog.extend(number, position);
        } else if envelope.due.is_some() || self.has_room() {
            self.keep(number, Open::new(envelope, encoding, Progress::default()));
        } else {
            self.backlog = Some(Backlog::new(number, position));
        }
    }

    pub(super) fn keep(&mut self, number: u64, open: Open) {
        if open.progress.set_aside == Some(SetAside::InDoubt) {
            self.in_doubt.insert(number, open);
        } else {
            self.open_bytes += open.payload.len();
            self.open.insert(number, open);
        }
    }

    /// Takes a delivery out of memory.
    pub(super) fn drop_loaded(&mut self, number: u64) -> Option<Open> {
        let Some(open) = self.open.remove(&number) else {
            return self.in_doubt.remove(&number);
        };
        self.open_bytes -= open.payload.len();
        Some(open)
    }

    /// Takes what it has room for of the backlog's deliveries in the step at `position`, which is
    /// the next one to look at. Adds the numbers that are in memory now to `loaded`.
    pub(crate) fn load(
        &mut self,
        position: Position,
        step: &Step<'_>,
        channel: u16,
        loaded: &mut Vec<u64>,
    ) -> Result<Room, FormatError> {
        for envelope in step.envelopes.iter() {
            let envelope = envelope?;
            let number = envelope.delivery.number;
            let has_room = self.has_room();
            let Some(backlog) = &mut self.backlog else {
                return Ok(Room::NoneWanted);
            };
            if envelope.delivery.channel != channel || number < backlog.next {
                continue;
            }
            if !has_room {
                return Ok(Room::Full);
            }
            assert_eq!(number, backlog.next, "the backlog is read in order");
            let progress = backlog.progress.remove(&number).unwrap_or_default();
            backlog.advance();
            self.close_backlog();
            self.keep(number, Open::new(&envelope, step.encoding, progress));
            loaded.push(number);
        }
        self.passed(position);
        Ok(Room::Left)
    }

    /// The entry at `position` holds nothing of the backlog any more.
    pub(crate) fn passed(&mut self, position: Position) {
        if let Some(backlog) = &mut self.backlog {
            backlog.from = backlog.from.max(position.next());
        }
    }

    /// Drops the backlog once it is used up.
    pub(super) fn close_backlog(&mut self) {
        self.backlog
            .take_if(|backlog| backlog.next == self.next_number);
    }
}
