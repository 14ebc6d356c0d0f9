//! The keeper's thread: does one task after the other, as [`Keeper`] orders them.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Filling, Keeper, Spare, Task};
use crate::directory::DirectoryWriter;
use crate::format::mark::End;
use crate::format::segment_header::SegmentHeader;
use crate::log_index;
use crate::queue::Queue;
use crate::read_side::ReadSide;
use crate::sealed::SealedSegment;
use crate::segment::Segment;
use crate::storage::{Disk, is_full, may_pass};

/// About what a stream takes in the directory.
const STREAM_BYTES: u64 = 64;

/// Bytes of log for each byte of the directory that is written.
const LOG_OVER_DIRECTORY: u64 = 4;

/// What the keeper's thread works on.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) read_side: Arc<ReadSide>,
    pub(crate) identity: u64,
    pub(crate) epoch: u64,
    pub(crate) segment_bytes: u32,
    /// Bytes of log that were sealed since the directory was written.
    pub(crate) sealed_bytes: Cell<u64>,
}

impl Housekeeping {
    /// Works until [`Keeper::end`].
    pub(crate) fn run(&self) {
        // A writer that waits for a spare must not wait for a thread that is gone.
        let _guard = Gone(&self.keeper);
        loop {
            let done = match self.keeper.next_task() {
                Task::MakeSpare(number) => {
                    self.make_spare(number);
                    Ok(())
                }
                Task::Fill(segment, offset) => {
                    self.fill(&segment, offset);
                    Ok(())
                }
                Task::WriteIndex(segment) => self.write_index(&segment),
                Task::Remove(from, to) => self.remove(from, to),
                Task::WriteDirectory => self.write_directory(),
                Task::Close(end) => self.close(end),
                Task::End => return,
            };
            if let Err(error) = done {
                // Neither is needed for anything but speed and space, and opening repeats both.
                tracing::warn!(%error, dir = %self.dir.display(), "journal: housekeeping failed");
            }
        }
    }

    fn make_spare(&self, number: u64) {
        let header = SegmentHeader {
            identity: self.identity,
            number,
            epoch: self.epoch,
            segment_bytes: self.segment_bytes,
        };
        match Segment::create(self.disk.as_ref(), &self.dir, header) {
            Ok((segment, filled)) => {
                let spare = Spare::Ready(segment, Filling::To(filled));
                self.keeper.set_spare(spare);
                self.queue.resume();
            }
            Err(error) if may_pass(&error) => {
                self.queue.set_full(&error);
                self.keeper.set_spare(Spare::Full(number));
            }
            Err(error) => {
                self.spare_failed(format!("segment {number} could not be made: {error}"));
            }
        }
    }

    fn fill(&self, segment: &Segment, offset: u32) {
        let number = segment.header.number;
        match segment.fill(offset) {
            Ok(end) => self.keeper.filled(end),
            // Its space is allocated: the log may do what the zeros may not.
            Err(error) if is_full(&error) => self.keeper.filled(segment.header.segment_bytes),
            Err(error) => {
                self.spare_failed(format!("segment {number} could not be filled: {error}"));
            }
        }
    }

    fn spare_failed(&self, reason: String) {
        self.queue.stop(None, &reason);
        self.keeper.set_spare(Spare::Failed(reason));
    }

    fn write_index(&self, segment: &SealedSegment) -> io::Result<()> {
        if let Some(span) = log_index::write(self.disk.as_ref(), &self.dir, segment)? {
            self.read_side.index().use_index_file(segment.header, span);
        }
        self.keeper.compactor.sealed();
        let bytes = self.sealed_bytes.get() + u64::from(segment.span.end);
        self.sealed_bytes.set(bytes);
        let streams = u64::from(self.read_side.index().stream_count());
        if bytes >= LOG_OVER_DIRECTORY * STREAM_BYTES * streams {
            self.keeper.want_directory();
        }
        Ok(())
    }

    fn directory(&self) -> DirectoryWriter<'_> {
        DirectoryWriter {
            disk: self.disk.as_ref(),
            dir: &self.dir,
            side: &self.read_side,
            identity: self.identity,
            epoch: self.epoch,
        }
    }

    fn write_directory(&self) -> io::Result<()> {
        if self.directory().running()? {
            self.sealed_bytes.set(0);
        }
        Ok(())
    }

    /// Leaves all that the next opening needs to be quick.
    fn close(&self, end: End) -> io::Result<()> {
        let open = self.read_side.index().seal_end(end, self.epoch);
        if let Some(open) = open {
            let span = log_index::write(self.disk.as_ref(), &self.dir, &open)?;
            if let Some(span) = span {
                self.read_side.index().use_index_file(open.header, span);
            }
        }
        self.directory().closed()
    }

    fn remove(&self, from: u64, to: u64) -> io::Result<()> {
        for number in from..to {
            Segment::remove(self.disk.as_ref(), &self.dir, number).map_err(io::Error::other)?;
        }
        self.disk.sync_dir(&self.dir)
    }
}

/// Tells a waiting writer that no spare will come.
struct Gone<'a>(&'a Keeper);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Spare::Wanted(_) | Spare::Ready(_, Filling::Busy) = state.spare {
            state.spare = Spare::Failed("the keeper's thread has ended".into());
        }
        drop(state);
        self.0.spare.notify_all();
    }
}
