//! Cursors: pull the entries of one stream in chunks.
//!
//! Chunks are read by one of the reading threads, and the next ones already while the caller works on
//! them. A hand-over between threads takes about as long as reading a chunk, so there are soon several
//! in one. Where the entries are, and how they are read and checked, is [`Reading`]'s part.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{Chunk, Cursor, ReadError};
use refrain_core::{Name, Position};

use crate::index::Follower;
use crate::read_side::{ReadSide, closed};
use crate::readers::Answer;
use crate::reading::Reading;

/// Where a cursor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Before this position.
    Before(u64),
    /// When the journal is closed.
    Closed,
}

/// Chunks that are handed over at once.
const HANDED_OVER_MAX: usize = 4;

/// A cursor over files.
#[derive(Debug)]
pub(crate) struct FileCursor {
    side: Arc<ReadSide>,
    stream: Name,
    until: Until,
    follower: Follower,
    /// What was read and not yet asked for.
    ready: VecDeque<Chunk>,
    /// Chunks that are read next. Who takes one may want no more, so it starts small.
    count: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(Box<Reading>),
    /// A thread has it. Kept here, so that dropping the future of a chunk loses nothing.
    Busy(Answer<Done>),
    Failed,
}

pub(crate) type Done = (Box<Reading>, Result<VecDeque<Chunk>, ReadError>);

impl FileCursor {
    pub(crate) fn new(
        side: Arc<ReadSide>,
        stream: Name,
        from: Position,
        (until, follower): (Until, Follower),
    ) -> Self {
        let reading = Box::new(Reading::new(stream.clone(), from.get()));
        FileCursor {
            side,
            stream,
            until,
            follower,
            ready: VecDeque::new(),
            count: 1,
            state: State::Idle(reading),
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Chunk>, ReadError>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Poll::Ready(Ok(Some(chunk)));
            }
            match std::mem::replace(&mut self.state, State::Failed) {
                State::Idle(reading) => {
                    let end = match self.until(reading.next, context) {
                        Found::Entries(end) => end,
                        Found::End => {
                            self.state = State::Idle(reading);
                            return Poll::Ready(Ok(None));
                        }
                        Found::NotYet => {
                            self.state = State::Idle(reading);
                            return Poll::Pending;
                        }
                        Found::Never => return Poll::Ready(Err(closed())),
                    };
                    self.read(reading, end);
                }
                State::Busy(mut answer) => {
                    let polled = std::pin::Pin::new(&mut answer).poll(context);
                    if polled.is_pending() {
                        self.state = State::Busy(answer);
                    }
                    match ready!(polled) {
                        Some((reading, Ok(chunks))) => {
                            self.ready = chunks;
                            self.read_ahead(reading);
                        }
                        Some((_, Err(error))) => return Poll::Ready(Err(error)),
                        None => return Poll::Ready(Err(closed())),
                    }
                }
                State::Failed => return Poll::Ready(Err(closed())),
            }
        }
    }

    /// Has the next chunks of what lies before `end` read.
    fn read(&mut self, reading: Box<Reading>, end: u64) {
        let side = Arc::clone(&self.side);
        let count = self.count;
        let job = move || reading.chunks(&side, end, count);
        self.state = State::Busy(self.side.readers.submit(job));
        self.count = (2 * count).min(HANDED_OVER_MAX);
    }

    /// Goes on at once when it is known what there is to read.
    fn read_ahead(&mut self, reading: Box<Reading>) {
        match self.until {
            Until::Before(end) if reading.next < end => self.read(reading, end),
            Until::Before(_) | Until::Closed => self.state = State::Idle(reading),
        }
    }

    /// What there is from `next` on. A following cursor is woken when there is more.
    fn until(&self, next: u64, context: &Context<'_>) -> Found {
        match self.until {
            Until::Before(end) if next < end => Found::Entries(end),
            Until::Before(_) => Found::End,
            Until::Closed => {
                let mut index = self.side.index();
                // Asked under the lock: a stream that is founded now is seen here, or its first entry
                // finds the waker.
                let id = self.side.names.find(&self.stream);
                let (_, end) = index.bounds(id);
                if next < end {
                    return Found::Entries(end);
                }
                if self.side.is_ended() {
                    return Found::Never;
                }
                let before = index.follow(&self.stream, self.follower, context.waker());
                drop(index);
                drop(before);
                Found::NotYet
            }
        }
    }
}

impl Drop for FileCursor {
    /// Takes its waker back: nobody would, as long as nothing is appended to the stream.
    fn drop(&mut self) {
        if self.until == Until::Closed {
            let waker = self.side.index().unfollow(&self.stream, self.follower);
            // Here nothing is locked any more: it may be the last to hold something.
            drop(waker);
        }
    }
}

/// What there is to read for a cursor.
enum Found {
    /// Entries before this position.
    Entries(u64),
    /// Nothing, and the cursor wants nothing more.
    End,
    NotYet,
    /// Nothing, and there will be nothing: the journal is closed or stopped.
    Never,
}

impl Cursor for FileCursor {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>, ReadError>> {
        Box::pin(std::future::poll_fn(move |context| self.poll_next(context)))
    }
}
