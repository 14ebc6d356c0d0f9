//! Following a stream as another process does: each entry once, in order, and none that is not durable.

use std::sync::Arc;

use refrain_journal::{JournalReader, OpenError};

use super::reading::Follower;
use super::{DIR, Life, position};
use crate::model::Violation;
use crate::sometimes::{Sometimes, note};

const SERVED: &str = "damage is refused, never served; nothing else is called damage";
const FOLLOWS: &str = "whoever follows in another process sees what is durable";

/// How often time passes until whoever follows must have seen what is durable.
const LOOKS_MAX: u32 = 400;

/// A reader of another process, and what it follows.
pub(super) struct Elsewhere {
    follower: Follower,
    _reader: JournalReader,
}

impl Life<'_, '_> {
    pub(super) fn follow_elsewhere(&mut self) -> Result<(), Violation> {
        match self.elsewhere.take() {
            Some(elsewhere) => self.look_elsewhere(elsewhere),
            None => self.start_elsewhere(),
        }
    }

    /// The journal as another process reads it; `None` when a fault of the disk was in the way.
    pub(super) fn open_elsewhere(&self) -> Result<Option<JournalReader>, Violation> {
        let disk = Arc::clone(&self.process);
        match JournalReader::open_on(disk, DIR, self.run.options.clone()) {
            Ok(reader) => Ok(Some(reader)),
            Err(OpenError::Io { .. }) if self.is_excused() => Ok(None),
            Err(_) if self.run.disk.has_lied() => Ok(None),
            Err(error) => Err(Violation::new(SERVED, error.to_string())),
        }
    }

    fn start_elsewhere(&mut self) -> Result<(), Violation> {
        let Some(reader) = self.open_elsewhere()? else {
            return Ok(());
        };
        let stream = self.any_stream();
        let name = self.name(stream);
        let first = match (reader.first(&name), reader.head(&name)) {
            (Some(first), _) => first.get(),
            // All of it is forgotten, or there is nothing yet.
            (None, Some(head)) => head.get() + 1,
            (None, None) => 1,
        };
        match reader.follow(&name, position(first)) {
            Ok(cursor) => {
                self.elsewhere = Some(Elsewhere {
                    follower: self.follower(stream, first, cursor),
                    _reader: reader,
                });
                Ok(())
            }
            Err(error) => self.unread_elsewhere(&error),
        }
    }

    /// Looks at what is followed; waits for it if the journal itself shows more.
    fn look_elsewhere(&mut self, mut elsewhere: Elsewhere) -> Result<(), Violation> {
        let follower = &mut elsewhere.follower;
        let (stream, next) = (follower.stream, follower.next);
        let (head, _) = self.extent(&self.name(stream));
        let mut looks = 0;
        // It is not asked again before it has rung: whoever waits does not either.
        let mut is_asked = !follower.was_looked_at;
        let answer = loop {
            if is_asked && let Some(answer) = follower.bell.look(&mut follower.answer) {
                break answer;
            }
            follower.was_looked_at = true;
            if head < next {
                self.elsewhere = Some(elsewhere);
                return Ok(());
            }
            if self.is_excused() {
                return Ok(());
            }
            looks += 1;
            if looks > LOOKS_MAX {
                let detail = format!("{} from {next}, its head is {head}", self.name(stream));
                return Err(Violation::new(FOLLOWS, detail));
            }
            is_asked = follower.bell.wait_a_while();
        };
        let (cursor, chunk) = answer;
        match chunk {
            Ok(Some(chunk)) => {
                note(Sometimes::FollowedElsewhere);
                let next = self.saw(stream, next, &chunk)?;
                elsewhere.follower = self.follower(stream, next, cursor);
                self.elsewhere = Some(elsewhere);
                Ok(())
            }
            Ok(None) => Err(Violation::new(FOLLOWS, "a following cursor ended")),
            Err(error) => self.unread_elsewhere(&error),
        }
    }
}
