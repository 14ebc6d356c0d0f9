//! What a program reads, and what readers of other processes see.

use std::sync::Arc;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{Chunk, Cursor, Journal, ReadError};
use refrain_journal::JournalReader;

use super::{Life, position};
use crate::model::Violation;
use crate::sometimes::{Sometimes, note};
use crate::wait::{Bell, look, wait};

const SERVED: &str = "damage is refused, never served; nothing else is called damage";
const READS: &str = "reading reaches the head";

/// A cursor, and what it gave.
pub(super) type Followed = (Box<dyn Cursor>, Result<Option<Chunk>, ReadError>);

/// A cursor that reads a stream to the head as it was.
struct Reading {
    stream: usize,
    head: u64,
    next: u64,
    cursor: Box<dyn Cursor>,
}

/// A cursor that waits for more.
pub(super) struct Follower {
    pub(super) stream: usize,
    pub(super) next: u64,
    pub(super) answer: BoxFuture<'static, Followed>,
    /// Rung when there is more to follow.
    pub(super) bell: Arc<Bell>,
    pub(super) was_looked_at: bool,
}

impl Life<'_, '_> {
    /// Reads a stream from its first position to its head.
    pub(super) fn read(&mut self, stream: usize) -> Result<(), Violation> {
        let Some(mut reading) = self.start_reading(stream)? else {
            return Ok(());
        };
        loop {
            let answer = wait(self.run.baton, &mut reading.cursor.next());
            if !self.took(&mut reading, answer)? {
                return Ok(());
            }
        }
    }

    /// Reads two streams at the same time, or one twice.
    pub(super) fn read_twice(&mut self) -> Result<(), Violation> {
        let streams = [self.any_stream(), self.any_stream()];
        let [first, second] = streams.map(|stream| self.start_reading(stream));
        let (Some(mut first), Some(mut second)) = (first?, second?) else {
            return Ok(());
        };
        let mut goes_on = [true, true];
        while goes_on == [true, true] {
            let [one, two] = {
                let (mut one, mut two) = (first.cursor.next(), second.cursor.next());
                // Both ask before either waits.
                let (early, late) = (look(&mut one), look(&mut two));
                if early.is_none() && late.is_none() {
                    note(Sometimes::ReadTwice);
                }
                let one = early.unwrap_or_else(|| wait(self.run.baton, &mut one));
                [one, late.unwrap_or_else(|| wait(self.run.baton, &mut two))]
            };
            goes_on = [self.took(&mut first, one)?, self.took(&mut second, two)?];
        }
        Ok(())
    }

    fn start_reading(&mut self, stream: usize) -> Result<Option<Reading>, Violation> {
        let name = self.name(stream);
        let (head, first) = self.extent(&name);
        self.run.model.saw_head(stream, head)?;
        let opened = wait(
            self.run.baton,
            &mut self.journal.read(&name, position(first)),
        );
        match opened {
            Ok(cursor) => Ok(Some(Reading {
                stream,
                head,
                next: first,
                cursor,
            })),
            Err(error) => self.unread(&error).map(|()| None),
        }
    }

    /// Checks what a cursor gave, and says whether it goes on.
    fn took(
        &mut self,
        reading: &mut Reading,
        answer: Result<Option<Chunk>, ReadError>,
    ) -> Result<bool, Violation> {
        let Reading {
            stream, head, next, ..
        } = *reading;
        match answer {
            Ok(Some(chunk)) => {
                reading.next = self.saw(stream, next, &chunk)?;
                Ok(true)
            }
            // More may have become durable since the head was asked for.
            Ok(None) if next > head => Ok(false),
            Ok(None) => {
                let name = self.name(stream);
                let detail = format!("{name} ends before {next}, its head is {head}");
                Err(Violation::new(READS, detail))
            }
            Err(error) => self.unread(&error).map(|()| false),
        }
    }

    /// Checks a chunk that starts at `next`, and says where the one after it does.
    pub(super) fn saw(
        &mut self,
        stream: usize,
        next: u64,
        chunk: &Chunk,
    ) -> Result<u64, Violation> {
        let mut wanted = next;
        for (position, entry) in chunk.entries() {
            if position.get() != wanted {
                let detail = format!("{position} instead of {wanted}");
                return Err(Violation::new(READS, detail));
            }
            self.run.model.saw_entry(stream, wanted, entry)?;
            wanted += 1;
        }
        Ok(wanted)
    }

    /// Whether reading may fail like this.
    fn unread(&self, error: &ReadError) -> Result<(), Violation> {
        let is_due = match error {
            ReadError::Corrupt { .. } => {
                note(Sometimes::DamageNotServed);
                self.run.disk.has_lied()
            }
            ReadError::Unavailable(_) => self.is_excused(),
            ReadError::Forgotten { .. } => self.has_forgotten,
            _ => false,
        };
        if is_due {
            return Ok(());
        }
        Err(Violation::new(SERVED, error.to_string()))
    }

    /// Asks for everything that is known without reading.
    pub(super) fn ask(&mut self) -> Result<(), Violation> {
        let (heads, firsts) = self.extents();
        for (stream, (head, first)) in heads.into_iter().zip(firsts).enumerate() {
            self.run.model.saw_head(stream, head)?;
            self.run.model.saw_first(stream, first)?;
        }
        let names = look(&mut self.journal.streams("", None, 100)).expect("known at once");
        match names {
            Ok(names) => self.run.model.saw_streams(&names),
            Err(error) => self.unread(&error),
        }
    }

    pub(super) fn follow(&mut self) -> Result<(), Violation> {
        let Some(mut follower) = self.follower.take() else {
            let stream = self.any_stream();
            let name = self.name(stream);
            let (_, first) = self.extent(&name);
            let opened = wait(
                self.run.baton,
                &mut self.journal.follow(&name, position(first)),
            );
            match opened {
                Ok(cursor) => self.follower = Some(self.follower(stream, first, cursor)),
                Err(error) => self.unread(&error)?,
            }
            return Ok(());
        };
        let (head, _) = self.extent(&self.name(follower.stream));
        let mut answer = None;
        if follower.was_looked_at && head >= follower.next {
            // It is not asked again before it has rung: whoever waits does not either.
            follower.bell.wait();
        }
        while answer.is_none() {
            answer = follower.bell.look(&mut follower.answer);
            follower.was_looked_at = true;
            if answer.is_some() || head < follower.next {
                break;
            }
            follower.bell.wait();
        }
        let Some((cursor, next)) = answer else {
            self.follower = Some(follower);
            return Ok(());
        };
        match next {
            Ok(Some(chunk)) => {
                note(Sometimes::FollowerSaw);
                let next = self.saw(follower.stream, follower.next, &chunk)?;
                self.follower = Some(self.follower(follower.stream, next, cursor));
                Ok(())
            }
            Ok(None) => Err(Violation::new(READS, "a following cursor ended")),
            Err(error) => self.unread(&error),
        }
    }

    pub(super) fn read_elsewhere(&mut self) -> Result<(), Violation> {
        let Some(reader) = self.open_elsewhere()? else {
            return Ok(());
        };
        if self.run.chance.one_in(2) {
            self.run.baton.stall(4);
            if let Err(error) = reader.refresh() {
                self.unread_elsewhere(&error)?;
            }
        }
        for stream in 0..self.run.model.len() {
            self.read_stream_elsewhere(&reader, stream)?;
        }
        Ok(())
    }

    fn read_stream_elsewhere(
        &mut self,
        reader: &JournalReader,
        stream: usize,
    ) -> Result<(), Violation> {
        let name = self.name(stream);
        let Some(head) = reader.head(&name) else {
            return Ok(());
        };
        note(Sometimes::ReaderSaw);
        self.run.model.reader_saw_head(stream, head.get())?;
        let Some(first) = reader.first(&name) else {
            return Ok(());
        };
        let mut cursor = match reader.read(&name, first) {
            Ok(cursor) => cursor,
            Err(error) => return self.unread_elsewhere(&error),
        };
        let mut next = first.get();
        loop {
            match wait(self.run.baton, &mut cursor.next()) {
                Ok(Some(chunk)) => next = self.saw(stream, next, &chunk)?,
                Ok(None) => return Ok(()),
                Err(error) => return self.unread_elsewhere(&error),
            }
        }
    }

    /// As [`Life::unread`]; besides, segments may go away under a reader of another process.
    pub(super) fn unread_elsewhere(&self, error: &ReadError) -> Result<(), Violation> {
        if matches!(error, ReadError::Unavailable(_)) && self.has_forgotten {
            return Ok(());
        }
        self.unread(error)
    }

    pub(super) fn follower(
        &self,
        stream: usize,
        next: u64,
        mut cursor: Box<dyn Cursor>,
    ) -> Follower {
        let answer = Box::pin(async move {
            let answer = cursor.next().await;
            (cursor, answer)
        });
        Follower {
            stream,
            next,
            answer,
            bell: Bell::new(self.run.baton),
            was_looked_at: false,
        }
    }
}
