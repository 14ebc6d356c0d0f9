//! What is behind a place where no frame is taken: the rest of its segment, and the later ones.

use super::Walk;
use super::ahead::{Ahead, Lookout};
use crate::error::OpenError;
use crate::format::mark::End;
use crate::planted;
use crate::recovery::table::{After, Found};
use crate::scan::Scan;
use crate::tail::Tail;

/// What is behind a place where no frame is taken.
pub(super) struct Behind {
    pub(super) after: After,
    /// Where the last byte of this segment ends that is not zero.
    pub(super) dirty_end: u32,
    /// All later segments, unless the log goes on in one.
    pub(super) ahead: Vec<Ahead>,
}

impl Behind {
    /// Nothing was looked for behind `at`, or nothing was found there.
    pub(super) fn nothing(at: End) -> Behind {
        Behind {
            after: After::Silence,
            dirty_end: at.offset,
            ahead: Vec::new(),
        }
    }
}

impl Walk<'_> {
    /// What follows the place where `scan` stands.
    pub(super) fn behind(
        &self,
        scan: &Scan,
        mut lookout: Option<&mut Lookout>,
    ) -> Result<Behind, OpenError> {
        let at = scan.at;
        let own = Tail::of(&scan.segment, at.offset).map_err(OpenError::io(&scan.segment.path))?;
        let mut behind = Behind {
            dirty_end: own.dirty_end,
            ..Behind::nothing(at)
        };
        let mut has_later_frame = own.has_later_frame(at.frame);
        for number in at.segment + 1..=self.last {
            let lookout = lookout.as_deref_mut();
            let mut lookout = lookout.filter(|lookout| lookout.segment.header.number == number);
            let segment = match &lookout {
                Some(lookout) => lookout.segment.clone(),
                None => self.open(number)?,
            };
            let start = Scan::start_of(number, at.frame, at.chain);
            let mut ahead = Scan::new(segment.clone(), start, scan.epoch);
            let (found, _) = ahead.look(None).map_err(OpenError::io(&segment.path))?;
            let is_next = number == at.segment + 1 && !planted::is("next-segment-overlooked");
            if found == Found::Frame && is_next {
                behind.after = After::NextSegment;
                return Ok(behind);
            }
            let tail = match &mut lookout {
                Some(lookout) => lookout.tail(),
                None => Tail::of(&segment, start.offset),
            };
            let tail = tail.map_err(OpenError::io(&segment.path))?;
            has_later_frame |= tail.has_later_frame(at.frame);
            behind.ahead.push(Ahead {
                is_untouched: tail.dirty_end == start.offset,
                segment,
            });
        }
        if has_later_frame {
            behind.after = After::LaterFrame;
        }
        Ok(behind)
    }
}
