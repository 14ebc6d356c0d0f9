//! Follows the durable mark of a journal that somebody else writes.
//!
//! While somebody waits for more, a thread looks at the mark at an interval. What lies between the
//! mark as it was and as it is goes into the index, frame by frame, checked as recovery checks it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::Duration;

use refrain_core::port::journal::ReadError;

use crate::error::OpenError;
use crate::format::catalogue::Span;
use crate::format::mark::{End, Mark};
use crate::index::Contradiction;
use crate::log_index::LogIndex;
use crate::mark::{MARK_FILE, MarkFile};
use crate::planted;
use crate::read_side::ReadSide;
use crate::recovery::table::Found;
use crate::recovery::{History, Reach, Walk, Walked, take};
use crate::scan::Scan;
use crate::segment::{FileKind, Segment};
use crate::storage::{Access, Disk};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// How often opening starts again because segments went away while it looked at them.
const TRIES_MAX: usize = 16;

/// Follows the durable mark.
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(crate) side: Arc<ReadSide>,
    /// Of the journal that was opened.
    identity: u64,
    progress: Mutex<Progress>,
    watch: Mutex<Watch>,
    bell: Condvar,
}

/// How far the log was read.
#[derive(Debug)]
struct Progress {
    scan: Scan,
    /// Where the frames of the segment start that `scan` is in.
    start: End,
    first_segment: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    Resting,
    Watching,
    Ending,
}

impl Tracker {
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Tracker, OpenError> {
        let (mark, walked) = walk(disk.as_ref(), &dir)?;
        let scan = Scan::new(walked.tail, walked.end, walked.epoch);
        Ok(Tracker {
            side: Arc::new(ReadSide::new(disk, dir, walked.index)),
            identity: mark.identity,
            progress: Mutex::new(Progress {
                scan,
                start: walked.start,
                first_segment: mark.first_segment,
            }),
            watch: Mutex::new(Watch::Resting),
            bell: Condvar::new(),
        })
    }

    pub(crate) fn refresh(&self) -> Result<(), ReadError> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let refreshed = self.advance(&mut progress);
        refreshed.map_err(|error| match error {
            OpenError::Corrupt { place, detail } => ReadError::Corrupt { place, detail },
            OpenError::Io { path, source } => {
                ReadError::Unavailable(format!("{}: {source}", path.display()))
            }
            OpenError::Options { .. }
            | OpenError::Locked { .. }
            | OpenError::Version { .. }
            | OpenError::Newer { .. }
            | OpenError::Missing { .. } => ReadError::Unavailable(error.to_string()),
        })
    }

    fn advance(&self, progress: &mut Progress) -> Result<(), OpenError> {
        let side = &self.side;
        let Some(mark) = MarkFile::read(side.disk.as_ref(), &side.dir)? else {
            return Err(OpenError::Missing {
                dir: side.dir.clone(),
            });
        };
        if mark.identity != self.identity {
            let path = side.dir.join(MARK_FILE);
            let detail = "another journal is here than the one that was opened";
            return Err(OpenError::corrupt(&path, 0, detail));
        }
        if mark.first_segment > progress.scan.at.segment {
            return self.start_again(progress);
        }
        if mark.end.frame > progress.scan.at.frame {
            progress.scan.look_again();
            self.catch_up(progress, &mark)?;
            let followers = side.index().take_all_followers();
            if !planted::is("follower-elsewhere-not-woken") {
                followers.into_iter().for_each(Waker::wake);
            }
        }
        if mark.first_segment > progress.first_segment {
            self.take_history(progress)?;
        }
        Ok(())
    }

    /// Goes over to the stream segments that there are by now. They may be merged meanwhile: then
    /// again.
    fn take_history(&self, progress: &mut Progress) -> Result<(), OpenError> {
        let side = &self.side;
        let (disk, dir) = (side.disk.as_ref(), side.dir.as_path());
        let (first, history) = tries(disk, dir, |mark| {
            let names = disk.list(dir).map_err(OpenError::io(dir))?;
            let history = History::open(disk, dir, mark, &names)?;
            Ok((mark.first_segment, history))
        })?;
        if first <= progress.scan.at.segment {
            progress.first_segment = first;
            side.index().set_history(history.segments, first);
        }
        Ok(())
    }

    /// Reads the log from its oldest segment: the one that was read last is gone.
    fn start_again(&self, progress: &mut Progress) -> Result<(), OpenError> {
        let side = &self.side;
        let (mark, mut walked) = walk(side.disk.as_ref(), &side.dir)?;
        let shared = walked.index.share_names(Arc::clone(&side.names));
        shared.map_err(contradicted(&side.dir))?;
        progress.scan = Scan::new(walked.tail, walked.end, walked.epoch);
        progress.start = walked.start;
        progress.first_segment = mark.first_segment;
        let mut before = std::mem::replace(&mut *side.index(), walked.index);
        for waker in before.take_all_followers() {
            waker.wake();
        }
        Ok(())
    }

    /// Takes all frames up to `mark` into the index.
    fn catch_up(&self, progress: &mut Progress, mark: &Mark) -> Result<(), OpenError> {
        let side = &self.side;
        while progress.scan.at.frame < mark.end.frame {
            let scan = &mut progress.scan;
            let path = scan.segment.path.clone();
            let is_last = scan.at.segment == mark.end.segment;
            let barrier = is_last.then_some(mark.end.offset);
            let (found, frame) = scan.look(barrier).map_err(OpenError::io(&path))?;
            match (found, frame) {
                (Found::Frame, Some(frame)) => {
                    take(scan, &mut side.index(), &frame)?;
                }
                _ if is_last => {
                    let at = u64::from(scan.at.offset);
                    return Err(OpenError::corrupt(
                        &path,
                        at,
                        "what was acknowledged is damaged",
                    ));
                }
                _ => self.next_segment(progress, mark)?,
            }
        }
        Ok(())
    }

    fn next_segment(&self, progress: &mut Progress, mark: &Mark) -> Result<(), OpenError> {
        let side = &self.side;
        let (disk, dir) = (side.disk.as_ref(), side.dir.as_path());
        let end = progress.scan.at;
        let number = end.segment + 1;
        let next = Segment::open(disk, dir, mark.identity, number, Access::Read)?;
        let span = Span {
            first_frame: progress.start.frame,
            first_chain: progress.start.chain,
            next_frame: end.frame,
            next_chain: end.chain,
            epoch: progress.scan.epoch,
            end: end.offset,
        };
        let sealed = side.index().seal(span, next.header);
        if let Ok(known) = LogIndex::open(disk, dir, &sealed.header) {
            side.index().use_index_file(sealed.header, *known.span());
        }
        progress.start = Scan::start_of(number, end.frame, end.chain);
        progress.scan = Scan::new(next, progress.start, progress.scan.epoch);
        Ok(())
    }

    pub(crate) fn start_watching(&self) {
        let mut watch = self.lock_watch();
        if *watch == Watch::Resting {
            *watch = Watch::Watching;
            drop(watch);
            self.bell.notify_one();
        }
    }

    pub(crate) fn end(&self) {
        *self.lock_watch() = Watch::Ending;
        self.bell.notify_one();
    }

    /// Looks at the mark every `interval` while somebody waits.
    pub(crate) fn watch(&self, interval: Duration) {
        let mut watch = self.lock_watch();
        loop {
            watch = match *watch {
                Watch::Ending => return,
                Watch::Resting => self
                    .bell
                    .wait(watch)
                    .unwrap_or_else(PoisonError::into_inner),
                Watch::Watching => {
                    drop(watch);
                    self.look();
                    let watch = self.lock_watch();
                    let waited = self.bell.wait_timeout(watch, interval);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn look(&self) {
        if let Err(error) = self.refresh() {
            tracing::warn!(%error, "journal: following could not go on, trying again");
        }
        let mut watch = self.lock_watch();
        if !self.side.index().has_followers() && *watch == Watch::Watching {
            *watch = Watch::Resting;
        }
    }

    fn lock_watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn contradicted(dir: &Path) -> impl FnOnce(Contradiction) -> OpenError {
    move |found| OpenError::corrupt(dir, 0, found.to_string())
}

/// Goes through the log up to the mark.
fn walk(disk: &dyn Disk, dir: &Path) -> Result<(Mark, Walked), OpenError> {
    tries(disk, dir, |mark| {
        let walked = Walk::new(disk, dir, *mark, Reach::Mark)?.run()?;
        Ok((*mark, walked))
    })
}

/// Does what needs files that may go away meanwhile: then again.
fn tries<T>(
    disk: &dyn Disk,
    dir: &Path,
    mut work: impl FnMut(&Mark) -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    let missing = || OpenError::Missing {
        dir: dir.to_path_buf(),
    };
    let look = || {
        let mark = MarkFile::read(disk, dir)?.ok_or_else(missing)?;
        let mut streams = disk.list(dir).map_err(OpenError::io(dir))?;
        streams.retain(|name| matches!(FileKind::of(name), FileKind::Streams(..)));
        streams.sort_unstable();
        Ok::<(Mark, Vec<String>), OpenError>((mark, streams))
    };
    let (mut mark, mut streams) = look()?;
    for _ in 0..TRIES_MAX {
        match work(&mark) {
            Ok(done) => return Ok(done),
            Err(error) => {
                let now = look()?;
                if (now.0.first_segment, &now.1) == (mark.first_segment, &streams) {
                    return Err(error);
                }
                (mark, streams) = now;
            }
        }
    }
    Err(missing())
}
