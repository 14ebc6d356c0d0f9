//! Rare events that must have happened in a run of enough seeds.
//!
//! A run in which nothing failed proves nothing unless the hard cases occurred. Some are noted
//! where the simulation causes them, the others are read off the journal's own log lines, so a line
//! that an operator may meet is tied to a run that leads there.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::world::Scene;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sometimes {
    /// Recovery cut an unfinished write off.
    TailCut,
    /// Recovery found frames beyond the durable mark.
    MarkLagged,
    /// The writer had to wait until the keeper made a segment.
    WriterWokenByKeeper,
    /// The first segment was filled and the log went on in another.
    Rotated,
    /// The power went while a segment was being made.
    CutWhileSegmentMade,
    /// The power went, or the process ended, while the journal was being opened.
    NestedCrash,
    /// As [`Sometimes::NestedCrash`], twice and more in a row.
    NestedTwice,
    /// The power went while the journal was being closed.
    CutWhileClosing,
    /// The process was killed and the machine went on.
    Killed,
    /// A sector was half written when the power went.
    SectorTorn,
    /// A sector was dropped and a later one kept.
    SectorsReordered,
    /// A name was lost with the power.
    NameLost,
    /// A sync of a file failed.
    SyncFailed,
    /// A sync of the log failed and the pages were clean afterwards.
    LogSyncFailed,
    /// An append was rejected because the medium was full.
    RejectedFull,
    /// There was room again and appends were taken.
    Resumed,
    /// A whole segment was forgotten and removed.
    SegmentRetired,
    /// An append ended with an unknown outcome.
    UnknownOutcome,
    /// An append of unknown outcome had happened.
    UnknownKept,
    /// An append of unknown outcome had not happened.
    UnknownLost,
    /// An append was refused because too much waited.
    Overloaded,
    /// An append at a wrong position was fenced.
    Fenced,
    /// A second opening was refused.
    SecondRefused,
    /// The journal stopped after a failure.
    Stopped,
    /// A reader of another process saw entries while the journal was written.
    ReaderSaw,
    /// A following cursor saw entries.
    FollowerSaw,
    /// The writer was idle and synced the mark.
    WriterIdle,
    /// A write took fewer bytes than it was given.
    ShortWrite,
    /// An operation stalled while others went on.
    Stalled,
    /// Opening failed because of a fault, and succeeded later.
    OpenFailed,
    /// An index file had to be made again.
    IndexMadeAgain,
    /// Damage was refused when the journal was opened.
    DamageRefused,
    /// Damage was refused when an entry was read.
    DamageNotServed,
    /// Damage beyond the durable mark was refused, because a later frame proved it.
    LaterFrameProved,
    /// History was compacted because somebody asked.
    Compacted,
    /// Several stream segments became one.
    Merged,
    /// The process ended while somebody waited for compaction.
    CutWhileCompacting,
    /// Two threads read at the same time.
    ReadTwice,
    /// A following cursor in another process saw entries.
    FollowedElsewhere,
    /// A message that was answered before was answered again.
    AnsweredAgain,
    /// Somebody was told that a message was not recorded.
    ToldNotRecorded,
    /// A request was delivered again.
    Redelivered,
    /// A request was delivered again although its destination had replied.
    DeliveredAfterReply,
    /// A processor was recovered from a snapshot.
    SnapshotUsed,
    /// A snapshot could not be used.
    SnapshotPassedOver,
    /// A bit of a snapshot changed.
    SnapshotFlipped,
    /// A snapshot was left by a build of another version.
    SnapshotOfAnotherBuild,
    /// A journal was put back and its snapshots were not.
    JournalPutBack,
    /// The state was built anew because an append failed.
    Rebuilt,
}

const COUNT: usize = Sometimes::Rebuilt as usize + 1;

static COUNTERS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

/// Counts one event.
pub fn note(event: Sometimes) {
    COUNTERS[event as usize].fetch_add(1, Ordering::Relaxed);
}

impl Sometimes {
    /// All of them.
    pub const ALL: [Sometimes; COUNT] = [
        Sometimes::TailCut,
        Sometimes::MarkLagged,
        Sometimes::WriterWokenByKeeper,
        Sometimes::Rotated,
        Sometimes::CutWhileSegmentMade,
        Sometimes::NestedCrash,
        Sometimes::NestedTwice,
        Sometimes::CutWhileClosing,
        Sometimes::Killed,
        Sometimes::SectorTorn,
        Sometimes::SectorsReordered,
        Sometimes::NameLost,
        Sometimes::SyncFailed,
        Sometimes::LogSyncFailed,
        Sometimes::RejectedFull,
        Sometimes::Resumed,
        Sometimes::SegmentRetired,
        Sometimes::UnknownOutcome,
        Sometimes::UnknownKept,
        Sometimes::UnknownLost,
        Sometimes::Overloaded,
        Sometimes::Fenced,
        Sometimes::SecondRefused,
        Sometimes::Stopped,
        Sometimes::ReaderSaw,
        Sometimes::FollowerSaw,
        Sometimes::WriterIdle,
        Sometimes::ShortWrite,
        Sometimes::Stalled,
        Sometimes::OpenFailed,
        Sometimes::IndexMadeAgain,
        Sometimes::DamageRefused,
        Sometimes::DamageNotServed,
        Sometimes::LaterFrameProved,
        Sometimes::Compacted,
        Sometimes::Merged,
        Sometimes::CutWhileCompacting,
        Sometimes::ReadTwice,
        Sometimes::FollowedElsewhere,
        Sometimes::AnsweredAgain,
        Sometimes::ToldNotRecorded,
        Sometimes::Redelivered,
        Sometimes::DeliveredAfterReply,
        Sometimes::SnapshotUsed,
        Sometimes::SnapshotPassedOver,
        Sometimes::SnapshotFlipped,
        Sometimes::SnapshotOfAnotherBuild,
        Sometimes::JournalPutBack,
        Sometimes::Rebuilt,
    ];

    /// Those that must happen in `scene`.
    pub fn of(scene: Scene) -> impl Iterator<Item = Sometimes> {
        let is_of_runtime =
            |event: &Sometimes| *event as usize >= Sometimes::AnsweredAgain as usize;
        let all = Sometimes::ALL.into_iter();
        all.filter(move |event| is_of_runtime(event) == (scene == Scene::Runtime))
    }

    /// How often it happened in this process.
    #[must_use]
    pub fn count(self) -> u64 {
        COUNTERS[self as usize].load(Ordering::Relaxed)
    }

    /// The log line of the journal that tells it, by its beginning.
    fn of_line(message: &str) -> Option<Sometimes> {
        const LINES: [(&str, Sometimes); 7] = [
            ("a snapshot is passed over", Sometimes::SnapshotPassedOver),
            ("the state is rebuilt from the journal", Sometimes::Rebuilt),
            (
                "journal: an unfinished write was cut off",
                Sometimes::TailCut,
            ),
            (
                "journal: frames beyond the durable mark",
                Sometimes::MarkLagged,
            ),
            ("journal: there is room again", Sometimes::Resumed),
            ("journal: stopped", Sometimes::Stopped),
            ("journal: an index is made again", Sometimes::IndexMadeAgain),
        ];
        let mut known = LINES.iter().filter(|(line, _)| message.starts_with(line));
        known.next().map(|(_, event)| *event)
    }
}

/// Counts the journal's log lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineCounter;

impl Subscriber for LineCounter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("refrain")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        if let Some(event) = Sometimes::of_line(&message.0) {
            note(event);
        }
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").expect("a string takes everything");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_events_are_listed_in_their_order() {
        for (number, event) in Sometimes::ALL.iter().enumerate() {
            assert_eq!(*event as usize, number);
        }
    }
}
