//! What a worker is told to do, as the JSON of its one argument.

use std::path::PathBuf;
use std::time::Duration;

use refrain_journal::JournalOptions;
use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// What a worker does until it is stopped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The journal's directory.
    pub(crate) dir: PathBuf,
    /// What it writes through.
    pub(crate) door: Door,
    /// What the bytes of its entries depend on; another one for each life.
    pub(crate) seed: u64,
    /// How many streams, each with a caller of its own.
    pub(crate) streams: u32,
    /// Appends in flight per stream.
    pub(crate) depth: usize,
    /// Appends per stream, then it ends by itself.
    pub(crate) appends: u64,
    /// The largest entry.
    pub(crate) entry_bytes_max: u64,
    /// Size of the journal's segments.
    pub(crate) segment_bytes: u64,
    /// Time after an append before the next one, so that the work beside the log gets done.
    pub(crate) pace_ms: u64,
    /// Time without an append after which the journal syncs its mark.
    pub(crate) idle_ms: u64,
    /// How many entries of each stream it keeps; it forgets the ones before now and then.
    pub(crate) keep: Option<u64>,
    /// How the disk deceives the journal: only in controls.
    pub(crate) lie: Option<Lie>,
}

/// What a worker writes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Door {
    /// The journal itself.
    Journal,
    /// A processor of the runtime, told durably.
    Runtime,
}

/// How a disk deceives the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lie {
    /// Syncs do nothing.
    NoSync,
    /// Syncs are answered at once and done a while later.
    LateSync,
    /// Writes are answered at once and done a while later.
    LateWrite,
    /// Errors of writes and syncs are not passed on.
    Deaf,
    /// Whoever asks for the lock gets it.
    NoLock,
    /// Once full, it says that it is full for ever.
    StaysFull,
}

impl Order {
    /// A workload drawn from `chance`: few or many callers, small or large entries and segments.
    pub(crate) fn draw(dir: PathBuf, door: Door, chance: &mut Chance) -> Order {
        Order {
            dir,
            door,
            seed: chance.draw(),
            streams: STREAMS,
            depth: chance.pick(&[1, 1, 4, 16]),
            appends: u64::MAX,
            entry_bytes_max: chance.pick(&[64, 300, 3000]),
            segment_bytes: chance.pick(&[32, 64, 256, 1024]) * 1024,
            pace_ms: 0,
            idle_ms: chance.pick(&[1, 20, 1000]),
            keep: Some(chance.pick(&[20, 200])),
            lie: None,
        }
    }

    /// A small workload whose calls of the system can be counted: one caller, one append at a time,
    /// several segments, and the oldest ones are forgotten.
    pub(crate) fn small(dir: PathBuf, seed: u64) -> Order {
        Order {
            dir,
            door: Door::Journal,
            seed,
            streams: 1,
            depth: 1,
            appends: 14,
            entry_bytes_max: 4000,
            segment_bytes: 16 * 1024,
            pace_ms: 2,
            idle_ms: 1000,
            keep: Some(3),
            lie: None,
        }
    }

    /// How the journal is set up.
    pub(crate) fn options(&self) -> JournalOptions {
        JournalOptions::default()
            .segment_bytes(self.segment_bytes)
            .mark_sync_idle(Duration::from_millis(self.idle_ms))
    }
}

/// Streams of a drawn workload: the same in every life, so that all of them go on and what was
/// forgotten can be removed.
const STREAMS: u32 = 6;
