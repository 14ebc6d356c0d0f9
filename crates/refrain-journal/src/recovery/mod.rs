//! Opening: from the files of a directory to a log that can be written.
//!
//! The walk goes through the log from its oldest segment, asks the [`table`] what to do at each
//! place, and changes nothing. Only when all of it is accepted, [`settle`] makes the end certain:
//! it writes what lies between the durable mark and the end again, wipes what an unfinished write
//! left behind, syncs both and then moves the mark. Nothing is shown to anyone before that. Every
//! step may be cut short by another crash and is repeated by the next opening.
//!
//! What is synced, and what each sync must come before:
//!
//! 1. the names that were found: before anything is appended to a file under one of them;
//! 2. what was written again or wiped, if anything was: before the mark speaks of it;
//! 3. the mark as it was found: before the other slot is written, for until then the slot that is
//!    overwritten may hold the only mark that lasts;
//! 4. the new mark in one slot: before the slot with the old one is written, for the same reason;
//! 5. the new mark in the other slot: before anything is written in its epoch, or a single damaged
//!    slot would bring the epoch back, and with it the salt of a spare that is there already.
//!
//! So 2, 4 and 5 follow one another. 1 and 3 need not wait for the walk and could be made beside it.
//! They are not: with nothing to write they take a hundredth of what reading a full segment does.

pub(crate) mod history;
pub(crate) mod table;
mod void_spare;
mod walk;

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;

use crate::error::OpenError;
use crate::format::directory::State;
use crate::format::mark::{End, Mark, Stage};
use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::index::{Contradiction, Index};
use crate::mark::MarkFile;
use crate::new_directory::make_name_last;
use crate::options::Settings;
use crate::planted;
use crate::scan::Scan;
use crate::sealed::SealedSegment;
use crate::segment::{FileKind, Segment, log_numbers};
use crate::storage::{Disk, read_exact_at, write_all_at};
use crate::stream_segment::StreamSegment;

pub(crate) use history::History;
pub(crate) use void_spare::is_void_spare;
pub(crate) use walk::{Reach, Walk, Walked, take};

/// Bytes that are written again at once.
const REWRITE_BYTES: u32 = 1024 * 1024;

/// A log that is ready to be written.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) index: Index,
    pub(crate) mark: MarkFile,
    pub(crate) tail: Segment,
    /// Where the frames of that segment start.
    pub(crate) start: End,
    /// A segment that was ready, and still is.
    pub(crate) spare: Option<Segment>,
    /// Sealed segments whose index file is missing.
    pub(crate) unindexed: Vec<Arc<SealedSegment>>,
    /// Whether the journal had been closed, and the directory says all.
    pub(crate) state: State,
}

/// Opens the log in `dir`, making it when there is none. The caller holds the lock.
pub(crate) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    settings: &Settings,
) -> Result<Recovered, OpenError> {
    let mark = found(disk, dir, settings)?;
    let walk = Walk::new(disk, dir, mark, Reach::Log)?;
    let walked = walk.run()?;
    let contradicted = |found: Contradiction| OpenError::corrupt(dir, 0, found.to_string());
    if let Some(contradiction) = walked.index.nameless() {
        return Err(contradicted(contradiction));
    }
    if let Some(number) = walk.void_spare {
        remove_void(disk, dir, number)?;
    }
    let spare = clear_ahead(disk, dir, settings, &walked)?;
    let mark = settle(disk, dir, mark, &walked)?;
    remove_retired(disk, dir, mark.last().first_segment, &walked.leftovers)?;
    Ok(Recovered {
        index: walked.index,
        mark,
        tail: walked.tail,
        start: walked.start,
        spare,
        unindexed: walked.unindexed,
        state: walked.state,
    })
}

/// The durable mark of the journal in `dir`. Makes a new journal where there is none: the mark
/// first, then the segment, so that a crash between them is seen and made good.
fn found(disk: &dyn Disk, dir: &Path, settings: &Settings) -> Result<Mark, OpenError> {
    let names = disk.list(dir).map_err(OpenError::io(dir))?;
    for name in names
        .iter()
        .filter(|name| FileKind::of(name) == FileKind::Temporary)
    {
        let path = dir.join(name);
        disk.remove(&path).map_err(OpenError::io(&path))?;
    }
    let has_log = log_numbers(&names).next().is_some();
    let mark = match MarkFile::read(disk, dir)? {
        Some(mark) => mark,
        None if has_log => {
            let path = dir.join(crate::mark::MARK_FILE);
            return Err(OpenError::corrupt(
                &path,
                0,
                "the mark is missing, its log is there",
            ));
        }
        None => {
            let mark = Mark {
                stage: Stage::Founding,
                identity: settings.identity.unwrap_or_else(random_identity),
                sequence: 0,
                epoch: 1,
                first_segment: 1,
                end: Scan::start_of(1, 1, 0),
            };
            make_name_last(disk, dir).map_err(OpenError::io(dir))?;
            MarkFile::create(disk, dir, mark).map_err(OpenError::io(dir))?;
            mark
        }
    };
    if mark.stage == Stage::Founding && !has_log {
        let header = SegmentHeader {
            identity: mark.identity,
            number: 1,
            epoch: mark.epoch,
            segment_bytes: settings.segment_bytes,
        };
        // The mark may be seen and its name not be lasting; its log may not outlive it.
        if !planted::is("log-before-mark") {
            disk.sync_dir(dir).map_err(OpenError::io(dir))?;
        }
        let made = Segment::create(disk, dir, header)
            .and_then(|(segment, filled)| segment.fill_rest(filled));
        made.map_err(OpenError::io(dir))?;
    }
    Ok(mark)
}

/// The standard library's hasher keys are random; nothing here needs more than "not the same".
pub(crate) fn random_identity() -> u64 {
    RandomState::new().hash_one(0u8)
}

/// Keeps a spare segment that was never written, and removes what else lies behind the end: the last
/// one first and for good, so that another crash leaves no gap before a segment that is there. In
/// the end the names of all that are left are lasting: whoever had the journal before may have been
/// killed between making a segment and syncing its directory.
fn clear_ahead(
    disk: &dyn Disk,
    dir: &Path,
    settings: &Settings,
    walked: &Walked,
) -> Result<Option<Segment>, OpenError> {
    let mut spare = None;
    for ahead in walked.ahead.iter().rev() {
        let segment = &ahead.segment;
        let number = segment.header.number;
        let is_next = number == walked.end.segment + 1;
        if is_next && ahead.is_untouched && segment.header.segment_bytes == settings.segment_bytes {
            let mut segment = segment.clone();
            if planted::is("spare-header-not-read") {
                segment.header.epoch += 1;
                segment.salt = segment.header.salt();
            }
            spare = Some(segment);
        } else {
            Segment::remove(disk, dir, number)?;
            disk.sync_dir(dir).map_err(OpenError::io(dir))?;
        }
    }
    if !planted::is("names-found-not-synced") {
        disk.sync_dir(dir).map_err(OpenError::io(dir))?;
    }
    Ok(spare)
}

/// Removes a spare segment that holds nothing and has no whole header, for good.
fn remove_void(disk: &dyn Disk, dir: &Path, number: u64) -> Result<(), OpenError> {
    tracing::warn!(
        segment = number,
        "journal: the header of the spare segment is damaged; it holds nothing and is made again"
    );
    Segment::remove(disk, dir, number)?;
    disk.sync_dir(dir).map_err(OpenError::io(dir))
}

/// Removes the log segments below `first` and stream segments that are left over, which a crash kept
/// from being removed.
fn remove_retired(
    disk: &dyn Disk,
    dir: &Path,
    first: u64,
    leftovers: &[(u64, u64)],
) -> Result<(), OpenError> {
    for range in leftovers {
        StreamSegment::remove(disk, dir, *range)?;
    }
    // For good, before a file for the same log segments may be made anew.
    if !leftovers.is_empty() {
        disk.sync_dir(dir).map_err(OpenError::io(dir))?;
    }
    for name in disk.list(dir).map_err(OpenError::io(dir))? {
        match FileKind::of(&name) {
            FileKind::Log(number) | FileKind::Index(number) if number < first => {
                Segment::remove(disk, dir, number)?;
            }
            FileKind::Log(_)
            | FileKind::Index(_)
            | FileKind::Streams(..)
            | FileKind::Directory
            | FileKind::Temporary
            | FileKind::Other => {}
        }
    }
    Ok(())
}

/// Makes the end of the log certain, and moves the mark there in a new epoch.
fn settle(disk: &dyn Disk, dir: &Path, mark: Mark, walked: &Walked) -> Result<MarkFile, OpenError> {
    for proof in &walked.unproven {
        let failed = |error| OpenError::io(&proof.segment.path)(error);
        if !planted::is("tail-believed") {
            rewrite(&proof.segment, proof.from, proof.to).map_err(failed)?;
        }
        wipe(&proof.segment, proof.to, proof.dirty_end).map_err(failed)?;
        if proof.from < proof.dirty_end && !planted::is("recovery-not-synced") {
            proof.segment.file.sync_data().map_err(failed)?;
        }
    }
    let frames = walked.end.frame - mark.end.frame;
    if frames > 0 {
        tracing::info!(
            frames,
            "journal: frames beyond the durable mark were written again"
        );
    }
    let cut = walked
        .unproven
        .last()
        .map_or(0, |proof| proof.dirty_end - proof.to);
    if cut > 0 {
        tracing::warn!(
            bytes = cut,
            segment = walked.end.segment,
            offset = walked.end.offset,
            "journal: an unfinished write was cut off; it was not acknowledged"
        );
    }
    let mut file = MarkFile::open(disk, dir, mark)?;
    let next = Mark {
        stage: Stage::Running,
        epoch: mark.epoch.max(walked.epoch) + 1,
        end: walked.end,
        ..mark
    };
    let settled = file.settle(next);
    settled.map_err(OpenError::io(file.path()))?;
    Ok(file)
}

/// Writes the bytes that are read there: what is shown may come from a cache that a failed sync
/// left behind, and only a write of our own makes the next sync say something about it.
fn rewrite(segment: &Segment, from: u32, to: u32) -> std::io::Result<()> {
    assert!(
        from >= SEGMENT_HEADER_BYTES,
        "headers are synced before use"
    );
    let mut at = from;
    let mut buffer = vec![0; REWRITE_BYTES.min(to.saturating_sub(from)) as usize];
    while at < to {
        let piece = &mut buffer[..REWRITE_BYTES.min(to - at) as usize];
        read_exact_at(segment.file.as_ref(), piece, u64::from(at))?;
        write_all_at(segment.file.as_ref(), piece, u64::from(at))?;
        at += REWRITE_BYTES.min(to - at);
    }
    Ok(())
}

fn wipe(segment: &Segment, from: u32, to: u32) -> std::io::Result<()> {
    let mut at = from;
    let zeros = vec![0; REWRITE_BYTES.min(to.saturating_sub(from)) as usize];
    while at < to {
        let piece = &zeros[..REWRITE_BYTES.min(to - at) as usize];
        write_all_at(segment.file.as_ref(), piece, u64::from(at))?;
        at += REWRITE_BYTES.min(to - at);
    }
    Ok(())
}
