//! Which stream segments make up the history before the log, as one table.
//!
//! A compaction that a crash cut short leaves files that say the same twice: a stream segment beside
//! the log segments that the mark still keeps, or one beside those it was merged from. Which of them
//! count follows from their names and the mark alone.

use std::path::Path;
use std::sync::Arc;

use crate::error::OpenError;
use crate::format::mark::Mark;
use crate::segment::FileKind;
use crate::storage::Disk;
use crate::stream_segment::{StreamSegment, segment_name};

/// Where the log segments of a stream segment lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// All before the oldest one that the mark keeps.
    Before,
    /// Some before it and some not.
    Across,
    /// The mark keeps all of them.
    Within,
}

/// What the other stream segments have of the same log segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// None has any of them, or only ones that have fewer.
    Nothing,
    /// One has all of them, and more.
    More,
    /// One has some of them, and others.
    Crossing,
}

/// What to do with a stream segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is part of the history.
    Keep,
    /// A crash left it; another file says the same.
    Remove,
    /// No crash leaves this.
    Refuse,
}

struct Row {
    place: &'static [Place],
    others: &'static [Others],
    verdict: Verdict,
}

const ANY_OTHERS: &[Others] = &[Others::Nothing, Others::More, Others::Crossing];

const TABLE: &[Row] = &[
    Row {
        place: &[Place::Before],
        others: &[Others::Nothing],
        verdict: Verdict::Keep,
    },
    // It was merged; the new file got its name when it was whole, and lasting before this one goes.
    Row {
        place: &[Place::Before],
        others: &[Others::More],
        verdict: Verdict::Remove,
    },
    // Neighbours are merged whole.
    Row {
        place: &[Place::Before],
        others: &[Others::Crossing],
        verdict: Verdict::Refuse,
    },
    // The mark lets go of exactly what a stream segment stands for.
    Row {
        place: &[Place::Across],
        others: ANY_OTHERS,
        verdict: Verdict::Refuse,
    },
    // The mark did not go over to it: the log counts.
    Row {
        place: &[Place::Within],
        others: ANY_OTHERS,
        verdict: Verdict::Remove,
    },
];

/// The verdict of the one row that matches.
pub(crate) fn decide(place: Place, others: Others) -> Verdict {
    let mut rows = matching(place, others);
    let row = rows.next().expect("the table is total, its test proves it");
    row.verdict
}

fn matching(place: Place, others: Others) -> impl Iterator<Item = &'static Row> {
    TABLE
        .iter()
        .filter(move |row| row.place.contains(&place) && row.others.contains(&others))
}

/// A range of log segments: the first and the last number.
pub(crate) type Range = (u64, u64);

fn place(range: Range, first_segment: u64) -> Place {
    match range {
        (_, last) if last < first_segment => Place::Before,
        (first, _) if first >= first_segment => Place::Within,
        _ => Place::Across,
    }
}

/// `all` includes `range` itself.
fn others(range: Range, all: &[Range]) -> Others {
    let shares = |other: &&Range| other.0 <= range.1 && range.0 <= other.1 && **other != range;
    let mut worst = Others::Nothing;
    for other in all.iter().filter(shares) {
        let has_all = other.0 <= range.0 && range.1 <= other.1;
        let has_fewer = range.0 <= other.0 && other.1 <= range.1;
        if has_all && worst == Others::Nothing {
            worst = Others::More;
        } else if !has_all && !has_fewer {
            worst = Others::Crossing;
        }
    }
    worst
}

/// The stream segments among `names`, in order, and what is to be done with each.
pub(crate) fn sort_out(mark: &Mark, names: &[String]) -> Vec<(Range, Verdict)> {
    let ranges = names.iter().filter_map(|name| match FileKind::of(name) {
        FileKind::Streams(first, last) => Some((first, last)),
        FileKind::Log(_)
        | FileKind::Index(_)
        | FileKind::Directory
        | FileKind::Temporary
        | FileKind::Other => None,
    });
    let mut ranges: Vec<Range> = ranges.collect();
    ranges.sort_unstable();
    // What the mark keeps in the log is not compared with the rest.
    let below = ranges.iter().copied();
    let below: Vec<Range> = below
        .filter(|range| place(*range, mark.first_segment) == Place::Before)
        .collect();
    let verdict = |range| decide(place(range, mark.first_segment), others(range, &below));
    ranges
        .into_iter()
        .map(|range| (range, verdict(range)))
        .collect()
}

/// The stream segments of a directory, sorted out.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Oldest first; each joins the one before.
    pub(crate) segments: Vec<Arc<StreamSegment>>,
    /// To be removed.
    pub(crate) leftovers: Vec<Range>,
}

impl History {
    /// Sorts out and opens the stream segments among `names`.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        mark: &Mark,
        names: &[String],
    ) -> Result<History, OpenError> {
        let mut history = History::default();
        let mut next = 1;
        for (range, verdict) in sort_out(mark, names) {
            let path = dir.join(segment_name(range.0, range.1));
            match verdict {
                Verdict::Remove => history.leftovers.push(range),
                Verdict::Refuse => {
                    let detail = "it shares log segments with another file";
                    return Err(OpenError::corrupt(&path, 0, detail));
                }
                Verdict::Keep => {
                    check_gap(dir, next, range.0)?;
                    next = range.1 + 1;
                    history.add(StreamSegment::open(disk, dir, mark.identity, range)?)?;
                }
            }
        }
        check_gap(dir, next, mark.first_segment)?;
        Ok(history)
    }

    fn add(&mut self, segment: StreamSegment) -> Result<(), OpenError> {
        let before = self.segments.last().map_or((1, 0), |last| {
            let span = last.span();
            (span.next_frame, span.next_chain)
        });
        let span = segment.span();
        if (span.first_frame, span.first_chain) != before || span.next_frame < span.first_frame {
            let detail = "it does not go on where the one before it ends";
            return Err(OpenError::corrupt(&segment.path, 0, detail));
        }
        self.segments.push(Arc::new(segment));
        Ok(())
    }

    /// The number and the chain of the frame that the log starts with, if not with the first one.
    pub(crate) fn end(&self) -> (u64, u32) {
        self.segments.last().map_or((1, 0), |last| {
            let span = last.span();
            (span.next_frame, span.next_chain)
        })
    }
}

fn check_gap(dir: &Path, next: u64, found: u64) -> Result<(), OpenError> {
    if next == found {
        return Ok(());
    }
    let path = dir.join(segment_name(next, found - 1));
    let detail = "the stream segments for these log segments are missing";
    Err(OpenError::corrupt(&path, 0, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [Place; 3] = [Place::Before, Place::Across, Place::Within];

    #[test]
    fn every_combination_has_exactly_one_row() {
        for place in PLACES {
            for others in ANY_OTHERS {
                assert_eq!(matching(place, *others).count(), 1, "{place:?} {others:?}");
            }
        }
    }

    /// B2.7
    #[test]
    fn a_file_is_removed_only_when_another_one_or_the_log_has_all_of_it() {
        for place in PLACES {
            for others in ANY_OTHERS {
                let is_removed = decide(place, *others) == Verdict::Remove;
                let is_doubled = place == Place::Within || *others == Others::More;
                assert!(!is_removed || is_doubled, "{place:?} {others:?}");
            }
        }
    }

    #[test]
    fn ranges_are_told_apart() {
        assert_eq!(place((1, 4), 5), Place::Before);
        assert_eq!(place((1, 4), 4), Place::Across);
        assert_eq!(place((4, 9), 4), Place::Within);
        let all = [(1, 4), (1, 8), (5, 8), (9, 9), (8, 10)];
        assert_eq!(others((1, 4), &all), Others::More);
        assert_eq!(others((1, 8), &all), Others::Crossing);
        assert_eq!(others((9, 9), &all), Others::More);
        assert_eq!(others((1, 8), &all[..4]), Others::Nothing);
    }
}
