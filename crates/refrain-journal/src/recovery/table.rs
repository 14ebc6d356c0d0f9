//! What recovery does at each place of the log, as one table.
//!
//! Three questions decide: is the place below the durable mark, what is found there, and what
//! follows. The reasons for each verdict are in `docs/journal-format.md`.

/// Where the place lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the durable mark: what was there was synced, and acknowledged.
    BelowMark,
    /// At the mark or after it: what was there may have been synced, or not.
    BeyondMark,
}

/// What is found at the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The expected frame, whole.
    Frame,
    /// Zeros, as far as a frame's header goes, or the end of the segment.
    Nothing,
    /// Bytes that are not a whole frame.
    Fragment,
    /// A whole header that cannot be here: another number, chain or epoch, or across the mark.
    Stranger,
}

/// What follows in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// No frame with a later number.
    Silence,
    /// The next segment starts with the expected frame.
    NextSegment,
    /// A frame with a later number, which was only written once the expected one was durable.
    LaterFrame,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Take the frame and go on behind it.
    Take,
    /// Go on at the start of the next segment.
    Advance,
    /// The log ends here.
    End,
    /// The log ends here; wipe what an unfinished write left.
    Cut,
    /// Something acknowledged is damaged: refuse.
    Refuse,
}

struct Row {
    place: &'static [Place],
    found: &'static [Found],
    after: &'static [After],
    verdict: Verdict,
}

const ANYWHERE: &[Place] = &[Place::BelowMark, Place::BeyondMark];
const WHATEVER: &[After] = &[After::Silence, After::NextSegment, After::LaterFrame];
const NO_FRAME: &[Found] = &[Found::Nothing, Found::Fragment];

const TABLE: &[Row] = &[
    Row {
        place: ANYWHERE,
        found: &[Found::Frame],
        after: WHATEVER,
        verdict: Verdict::Take,
    },
    // The chain proves that nothing is missing between here and there. What is left of this segment
    // has no meaning, whatever it holds.
    Row {
        place: ANYWHERE,
        found: NO_FRAME,
        after: &[After::NextSegment],
        verdict: Verdict::Advance,
    },
    Row {
        place: &[Place::BeyondMark],
        found: &[Found::Nothing],
        after: &[After::Silence],
        verdict: Verdict::End,
    },
    Row {
        place: &[Place::BeyondMark],
        found: &[Found::Fragment],
        after: &[After::Silence],
        verdict: Verdict::Cut,
    },
    // A frame is written only once the one before it is durable: this one was.
    Row {
        place: &[Place::BeyondMark],
        found: NO_FRAME,
        after: &[After::LaterFrame],
        verdict: Verdict::Refuse,
    },
    Row {
        place: &[Place::BelowMark],
        found: NO_FRAME,
        after: &[After::Silence, After::LaterFrame],
        verdict: Verdict::Refuse,
    },
    // No crash leaves a whole header at a wrong place: tails are wiped before they are written
    // again, and the salt keeps other files' frames out.
    Row {
        place: ANYWHERE,
        found: &[Found::Stranger],
        after: WHATEVER,
        verdict: Verdict::Refuse,
    },
];

/// The verdict of the one row that matches.
pub(crate) fn decide(place: Place, found: Found, after: After) -> Verdict {
    let mut rows = matching(place, found, after);
    let row = rows.next().expect("the table is total, its test proves it");
    row.verdict
}

fn matching(place: Place, found: Found, after: After) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| {
        row.place.contains(&place) && row.found.contains(&found) && row.after.contains(&after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: [Found; 4] = [
        Found::Frame,
        Found::Nothing,
        Found::Fragment,
        Found::Stranger,
    ];

    #[test]
    fn every_combination_has_exactly_one_row() {
        let mut combinations = 0;
        for place in ANYWHERE {
            for found in FOUND {
                for after in WHATEVER {
                    let rows = matching(*place, found, *after).count();
                    assert_eq!(rows, 1, "{place:?} {found:?} {after:?}");
                    combinations += 1;
                }
            }
        }
        assert_eq!(combinations, 2 * 4 * 3);
    }

    /// B2.7
    #[test]
    fn nothing_below_the_mark_and_nothing_before_a_later_frame_is_ever_cut() {
        for place in ANYWHERE {
            for found in FOUND {
                for after in WHATEVER {
                    let verdict = decide(*place, found, *after);
                    let cuts = matches!(verdict, Verdict::Cut | Verdict::End);
                    let is_proven = *place == Place::BelowMark || *after == After::LaterFrame;
                    assert!(!(cuts && is_proven), "{place:?} {found:?} {after:?}");
                }
            }
        }
    }
}
