//! The ledger as part of a snapshot: a canonical form, the same for the same ledger.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::backlog::Backlog;
use super::inbox::position;
use super::numbers::Numbers;
use super::open::Progress;
use super::{Channel, Inbox, Ledger, Open, Remember, Secret, SetAside, Status};
use crate::codec::Encoding;
use crate::entry::wire::{FormatError, Reader, put_bytes, put_u8, put_u16, put_u32, put_u64};
use crate::entry::{StopReason, reason_tag};
use crate::id::Epoch;
use crate::name::Name;
use crate::planted;
use crate::time::Timestamp;

impl Ledger {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        put_u64(into, self.next.get());
        put_u64(into, self.time.as_micros());
        put_u64(into, self.epoch.map_or(0, Epoch::get));
        into.extend_from_slice(self.secret.bytes());
        if planted::is("snapshot-without-memory") {
            Inbox::default().encode(into);
        } else {
            self.inbox.encode(into);
        }
        put_u16(
            into,
            u16::try_from(self.channels.len()).expect("CHANNELS_MAX fits 16 bits"),
        );
        for channel in &self.channels {
            channel.encode(into);
        }
    }

    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        remember: Remember,
    ) -> Result<Ledger, FormatError> {
        let mut ledger = Ledger::new(remember);
        ledger.next = position(reader)?;
        ledger.time = Timestamp::from_micros(reader.u64()?);
        ledger.epoch = Some(reader.u64()?)
            .filter(|epoch| *epoch > 0)
            .map(Epoch::new);
        ledger.secret = Secret::new(reader.array()?);
        ledger.inbox = Inbox::decode(reader, remember)?;
        for _ in 0..reader.u16()? {
            ledger.channels.push(Channel::decode(reader)?);
        }
        Ok(ledger)
    }
}

impl Channel {
    fn encode(&self, into: &mut Vec<u8>) {
        put_bytes(into, self.name.as_str().as_bytes());
        put_u32(into, self.run_ahead);
        put_u64(into, self.next_number);
        put_u64(into, self.highest);
        put_u64(into, self.doubtful_up_to);
        put_u32(into, self.restarts);
        put_status(into, self.status);
        put_u8(into, reason_tag(self.last_failure));
        put_option(into, self.destination.as_ref(), |into, name| {
            put_bytes(into, name.as_str().as_bytes());
        });
        put_u64(into, (self.open.len() + self.in_doubt.len()) as u64);
        for (number, open) in self.open.iter().chain(&self.in_doubt) {
            put_u64(into, *number);
            open.encode(into);
        }
        put_option(into, self.backlog.as_ref(), |into, backlog| {
            backlog.encode(into)
        });
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Channel, FormatError> {
        let mut channel = Channel::new(name(reader)?, reader.u32()?);
        channel.next_number = reader.u64()?.max(1);
        channel.highest = reader.u64()?;
        channel.doubtful_up_to = reader.u64()?;
        channel.restarts = reader.u32()?;
        channel.status = status(reader)?;
        let last_failure = reader.u8()?;
        channel.last_failure = StopReason::from_tag(last_failure, reader)?;
        channel.destination = option(reader, name)?;
        for _ in 0..reader.u64()? {
            let number = reader.u64()?;
            if number == 0 || number >= channel.next_number || channel.get(number).is_some() {
                return Err(reader.invalid());
            }
            channel.keep(number, Open::decode(reader)?);
        }
        let below = channel.next_number;
        channel.backlog = option(reader, |reader| Backlog::decode(reader, below))?;
        let mut loaded = channel.open.keys().chain(channel.in_doubt.keys());
        if let Some(backlog) = &channel.backlog
            && loaded.any(|number| *number >= backlog.next)
        {
            return Err(reader.invalid());
        }
        Ok(channel)
    }
}

impl Open {
    fn encode(&self, into: &mut Vec<u8>) {
        for key in [self.key, self.correlation, self.causation] {
            into.extend_from_slice(key.bytes());
        }
        put_option(into, self.order_key.as_ref(), |into, key| {
            put_u64(into, *key)
        });
        put_option(into, self.due.as_ref(), |into, due| {
            put_u64(into, due.as_micros())
        });
        put_u8(into, self.encoding.tag());
        put_bytes(into, &self.payload);
        self.progress.encode(into);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Open, FormatError> {
        Ok(Open {
            key: reader.key()?,
            correlation: reader.key()?,
            causation: reader.key()?,
            order_key: option(reader, Reader::u64)?,
            due: option(reader, time)?,
            encoding: encoding(reader)?,
            payload: Bytes::copy_from_slice(reader.bytes()?),
            progress: Progress::decode(reader)?,
        })
    }
}

impl Progress {
    fn encode(&self, into: &mut Vec<u8>) {
        put_u32(into, self.attempt);
        put_option(into, self.failed_at.as_ref(), |into, at| {
            put_u64(into, at.as_micros())
        });
        put_u32(into, self.failure_count);
        put_u32(into, self.reply_count);
        put_u32(into, self.tries);
        put_u8(
            into,
            match self.set_aside {
                None => 0,
                Some(SetAside::Parked) => 1,
                Some(SetAside::InDoubt) => 2,
            },
        );
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Progress, FormatError> {
        Ok(Progress {
            attempt: reader.u32()?,
            failed_at: option(reader, time)?,
            failure_count: reader.u32()?,
            reply_count: reader.u32()?,
            tries: reader.u32()?,
            set_aside: match reader.u8()? {
                0 => None,
                1 => Some(SetAside::Parked),
                2 => Some(SetAside::InDoubt),
                tag => return Err(reader.unknown(tag.into())),
            },
        })
    }
}

impl Backlog {
    fn encode(&self, into: &mut Vec<u8>) {
        put_u64(into, self.from.get());
        put_u64(into, self.next);
        self.settled.encode(into);
        put_u64(into, self.progress.len() as u64);
        for (number, progress) in &self.progress {
            put_u64(into, *number);
            progress.encode(into);
        }
        put_u64(into, self.marks.len() as u64);
        for (number, position) in &self.marks {
            put_u64(into, *number);
            put_u64(into, position.get());
        }
    }

    /// Reads the backlog of a channel whose deliveries have numbers below `below`.
    fn decode(reader: &mut Reader<'_>, below: u64) -> Result<Backlog, FormatError> {
        let (from, next) = (position(reader)?, reader.u64()?);
        if next == 0 || next >= below {
            return Err(reader.invalid());
        }
        let settled = Numbers::decode(reader, next + 1, below - 1)?;
        let mut progress = BTreeMap::new();
        for _ in 0..reader.u64()? {
            let number = reader.u64()?;
            progress.insert(number, Progress::decode(reader)?);
        }
        let mut marks = VecDeque::new();
        for _ in 0..reader.u64()? {
            marks.push_back((reader.u64()?, position(reader)?));
        }
        Ok(Backlog {
            from,
            next,
            settled,
            progress,
            marks,
        })
    }
}

fn put_status(into: &mut Vec<u8>, status: Status) {
    match status {
        Status::Active => put_u8(into, 0),
        Status::Restarting(since) => {
            put_u8(into, 1);
            put_u64(into, since.as_micros());
        }
        Status::Stopped(reason, since) => {
            put_u8(into, 2);
            put_u8(into, reason_tag(reason));
            put_u64(into, since.as_micros());
        }
    }
}

fn status(reader: &mut Reader<'_>) -> Result<Status, FormatError> {
    match reader.u8()? {
        0 => Ok(Status::Active),
        1 => Ok(Status::Restarting(time(reader)?)),
        2 => {
            let tag = reader.u8()?;
            let reason = StopReason::from_tag(tag, reader)?;
            Ok(Status::Stopped(reason, time(reader)?))
        }
        tag => Err(reader.unknown(tag.into())),
    }
}

fn put_option<T>(into: &mut Vec<u8>, value: Option<&T>, put: impl FnOnce(&mut Vec<u8>, &T)) {
    match value {
        None => put_u8(into, 0),
        Some(value) => {
            put_u8(into, 1);
            put(into, value);
        }
    }
}

fn option<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, FormatError>,
) -> Result<Option<T>, FormatError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => read(reader).map(Some),
        tag => Err(reader.unknown(tag.into())),
    }
}

fn encoding(reader: &mut Reader<'_>) -> Result<Encoding, FormatError> {
    let tag = reader.u8()?;
    Encoding::from_tag(tag).ok_or_else(|| reader.unknown(tag.into()))
}

fn time(reader: &mut Reader<'_>) -> Result<Timestamp, FormatError> {
    reader.u64().map(Timestamp::from_micros)
}

fn name(reader: &mut Reader<'_>) -> Result<Name, FormatError> {
    Name::new(reader.text()?).map_err(|_| reader.invalid())
}
