//! Messages that came again: their answers are read from the journal, in one task at a time, however
//! many wait.

use std::panic::catch_unwind;

use refrain_core::port::journal::Chunk;
use refrain_core::{AskError, MessageId, Position, Processor, StoredAnswer, stored_answer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::callers::{Callers, Waiting};
use super::inbox::{Control, Told};
use super::{Driver, reading};

/// Answers that are read by one task.
const READ_AT_ONCE_MAX: usize = 1024;

/// Those who wait for a stored answer.
pub(super) struct Recalls<P: Processor> {
    waiting: Vec<Recall<P>>,
    /// Whose answers are being read, in the order in which the task reads them.
    reading: Vec<Recall<P>>,
}

pub(super) struct Recall<P: Processor> {
    pub(super) waiting: Waiting<P>,
    pub(super) id: MessageId,
    pub(super) position: Position,
}

impl<P: Processor> Recalls<P> {
    pub(super) fn new() -> Recalls<P> {
        Recalls {
            waiting: Vec::new(),
            reading: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, recall: Recall<P>) {
        self.waiting.push(recall);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.reading.len()
    }

    /// The positions to read next, in order, when nothing is being read.
    fn next(&mut self) -> Option<Vec<Position>> {
        if self.waiting.is_empty() || !self.reading.is_empty() {
            return None;
        }
        let count = self.waiting.len().min(READ_AT_ONCE_MAX);
        self.reading.extend(self.waiting.drain(..count));
        self.reading.sort_by_key(|recall| recall.position);
        Some(self.reading.iter().map(|recall| recall.position).collect())
    }

    /// Tells those whose answers were read.
    pub(super) fn tell(
        &mut self,
        callers: &mut Callers<P>,
        answers: Vec<Result<StoredAnswer<P>, String>>,
    ) {
        for (recall, answer) in self.reading.drain(..).zip(answers) {
            callers.tell(recall.waiting, told(recall.id, answer));
        }
    }

    /// Tells everybody that nothing more is read.
    pub(super) fn fail(
        &mut self,
        callers: &mut Callers<P>,
        why: impl Fn() -> AskError<P::Rejection>,
    ) {
        for recall in self.reading.drain(..).chain(self.waiting.drain(..)) {
            callers.tell(recall.waiting, Err(why()));
        }
    }
}

impl<P> Driver<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    /// Starts to read the answers that are waited for, unless some are being read.
    pub(super) fn recall(&mut self) {
        let Some(positions) = self.recalls.next() else {
            return;
        };
        let journal = self.parts.source.journal.clone();
        let stream = self.parts.settings.name.clone();
        let control = self.parts.inlets.control_sender.clone();
        let clock = self.parts.clock;
        self.spawn(async move {
            let mut answers = Vec::with_capacity(positions.len());
            let mut chunk = None;
            for position in positions {
                if !holds(chunk.as_ref(), position) {
                    let read = reading::chunk(&*journal, &stream, position, &clock).await;
                    chunk = read.unwrap_or_else(|error| {
                        tracing::error!(%stream, %position, %error, "an answer cannot be read");
                        None
                    });
                }
                answers.push(answer(chunk.as_ref(), position));
            }
            // A driver that is gone has told its callers so.
            let _ = control.send(Control::Recalled(answers)).await;
        });
    }
}

fn holds(chunk: Option<&Chunk>, position: Position) -> bool {
    chunk.is_some_and(|chunk| (chunk.first()..=chunk.last()).contains(&position))
}

fn answer<P: Processor>(
    chunk: Option<&Chunk>,
    position: Position,
) -> Result<StoredAnswer<P>, String> {
    match chunk.and_then(|chunk| chunk.entry(position)) {
        Some(entry) => catch_unwind(|| stored_answer(&entry))
            .unwrap_or_else(|_| Err("the code that reads it panicked".to_owned())),
        None => Ok(StoredAnswer::None),
    }
}

/// What a message that was handled before is told.
fn told<P: Processor>(id: MessageId, answer: Result<StoredAnswer<P>, String>) -> Told<P> {
    match answer {
        Ok(StoredAnswer::Answer(answer)) => Ok(answer),
        Ok(StoredAnswer::Rejection(rejection)) => Err(AskError::Rejected(rejection)),
        Ok(StoredAnswer::Parked) => Err(AskError::Panicked(
            "the message was parked after panics".to_owned(),
        )),
        Ok(StoredAnswer::None) => Err(AskError::AnswerGone { id }),
        Err(error) => {
            tracing::error!(%id, error, "a stored answer is not understood");
            Err(AskError::AnswerGone { id })
        }
    }
}
