//! What files say of streams, taken into the index when a journal is opened.

use super::{Contradiction, Index};
use crate::format::catalogue::Row;
use crate::format::record::Declaration;
use crate::planted;

impl Index {
    /// Adds what the index file of a log segment says: first the rows, then the declarations, then
    /// [`Index::add_part`].
    pub(crate) fn add_row(&mut self, row: &Row) -> Result<(), Contradiction> {
        let is_unseen = self.is_unseen(row.stream)?;
        let stream = &mut self.streams[row.stream as usize];
        if is_unseen {
            stream.first = row.first;
        } else if stream.next != row.first {
            return Err(Contradiction::new(row.stream, "its segments do not join"));
        }
        stream.next = row.next();
        Ok(())
    }

    /// As [`Index::add_row`]: a declaration of an index file, which entries may follow.
    pub(crate) fn add_declaration(&mut self, new: &Declaration) -> Result<(), Contradiction> {
        self.is_unseen(new.stream)?;
        let stream = &mut self.streams[new.stream as usize];
        stream.next = stream.next.max(new.next);
        let next = stream.next;
        self.declare(&Declaration {
            next,
            ..new.clone()
        })
    }

    /// As [`Index::add_declaration`], of a stream segment, whose declarations come before its rows:
    /// what lies below the first kept position may be missing.
    pub(crate) fn add_kept(&mut self, new: &Declaration) -> Result<(), Contradiction> {
        let is_unseen = self.is_unseen(new.stream)?;
        let stream = &mut self.streams[new.stream as usize];
        if !is_unseen {
            stream.next = stream.next.max(new.first);
        } else {
            stream.next = new.first;
        }
        let next = stream.next;
        self.declare(&Declaration {
            next,
            ..new.clone()
        })
    }

    /// Ends what [`Index::add_kept`] began for a stream, when its rows are added.
    pub(crate) fn end_kept(&mut self, new: &Declaration) {
        let stream = &mut self.streams[new.stream as usize];
        stream.next = stream.next.max(new.next);
    }

    /// Adds a stream as the directory knows it.
    pub(crate) fn add_stream(&mut self, new: &Declaration) -> Result<(), Contradiction> {
        self.is_unseen(new.stream)?;
        let stream = &mut self.streams[new.stream as usize];
        (stream.first, stream.next) = (new.first, new.next);
        if planted::is("position-used-again") {
            stream.next = new.first;
        }
        stream.next += u64::from(planted::is("position-passed-over"));
        self.names.learn(new.stream, &new.name)
    }
}
