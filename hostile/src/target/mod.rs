//! What a fuzzer drives: functions that take any bytes and panic only when a promise is broken.

mod backup;
mod directory;
mod entry;
mod format;
mod http;
mod log;
mod note;
mod payload;

pub(crate) use backup::seed as backup_seed;
pub(crate) use entry::empty_snapshot;
pub(crate) use http::{response_seeds, seeds as request_seeds};
pub(crate) use note::seeds as note_seeds;

/// A parser, or several behind one another, that takes any bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its corpus in `fuzz/corpus` too.
    pub name: &'static str,
    /// What it parses.
    pub what: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "mark",
        what: "the file of the durable mark",
        run: format::mark,
    },
    Target {
        name: "segment-header",
        what: "the first block of a log segment",
        run: format::segment_header,
    },
    Target {
        name: "frame",
        what: "the header of a frame",
        run: format::frame,
    },
    Target {
        name: "record",
        what: "a record: an entry or a declaration",
        run: format::record,
    },
    Target {
        name: "segment-index",
        what: "the index file of a sealed segment",
        run: format::segment_index,
    },
    Target {
        name: "stream-segment",
        what: "a stream segment: header, blocks and catalogue",
        run: format::stream_segment,
    },
    Target {
        name: "block",
        what: "a block of a stream segment with a right checksum, compressed or not",
        run: format::block,
    },
    Target {
        name: "directory-file",
        what: "the file `directory`",
        run: format::directory,
    },
    Target {
        name: "snapshot",
        what: "a snapshot's file",
        run: format::snapshot,
    },
    Target {
        name: "entries",
        what: "an entry of the engine, and several as a stream that is replayed",
        run: entry::entries,
    },
    Target {
        name: "ledger",
        what: "a processor's snapshot: its ledger and its state",
        run: entry::snapshot,
    },
    Target {
        name: "log",
        what: "a log of frames that say anything, with right checksums",
        run: log::run,
    },
    Target {
        name: "directory",
        what: "a journal's directory with changed, swapped and missing files",
        run: directory::run,
    },
    Target {
        name: "backup",
        what: "the manifest of a backup, and the backup as it says",
        run: backup::run,
    },
    Target {
        name: "note",
        what: "the note of a check of a backup, its name, and what is held for it",
        run: note::run,
    },
    Target {
        name: "payload",
        what: "a payload as the command line shows it",
        run: payload::run,
    },
    Target {
        name: "request",
        what: "a request to an ingress: CloudEvents in every mode, and plain JSON",
        run: http::request,
    },
    Target {
        name: "response",
        what: "a response to a destination: status, Retry-After, reply or problem",
        run: http::response,
    },
];

/// The target with this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
