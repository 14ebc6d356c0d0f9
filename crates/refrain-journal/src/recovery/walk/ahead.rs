//! Segments behind the one that holds the end. There is one as a rule: the spare.

use std::io;
use std::sync::mpsc::{Receiver, sync_channel};

use crate::format::segment_header::SEGMENT_HEADER_BYTES;
use crate::segment::Segment;
use crate::tail::Tail;
use crate::threads::Threads;

/// A segment that no frame of the log is in.
#[derive(Debug)]
pub(crate) struct Ahead {
    pub(crate) segment: Segment,
    /// Nothing but zeros stands behind its header.
    pub(crate) is_untouched: bool,
}

/// All of a segment looked at by a thread of its own, while the log before it is read: of a spare that
/// is as long as reading the segment before it takes.
#[derive(Debug)]
pub(super) struct Lookout {
    pub(super) segment: Segment,
    thread: Threads,
    seen: Receiver<io::Result<Tail>>,
}

impl Lookout {
    pub(super) fn new(segment: Segment) -> Lookout {
        let (send, seen) = sync_channel(1);
        let mut thread = Threads::default();
        let looked_at = segment.clone();
        let look = move || {
            // Nobody wants to know it any more if it cannot be sent.
            let _ = send.send(Tail::of(&looked_at, SEGMENT_HEADER_BYTES));
        };
        if let Err(error) = thread.start("refrain-open", look) {
            tracing::debug!(%error, "journal: the spare is looked at after the log, not beside it");
        }
        Lookout {
            segment,
            thread,
            seen,
        }
    }

    /// What the segment holds behind its header.
    pub(super) fn tail(&mut self) -> io::Result<Tail> {
        self.thread.join();
        let seen = self.seen.try_recv();
        seen.unwrap_or_else(|_| Tail::of(&self.segment, SEGMENT_HEADER_BYTES))
    }
}
