//! Appends on their way: submitted, and each answer checked.

use refrain_core::Position;
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Journal, RejectReason};

use super::{ANSWERS, Life, STOPPED, position};
use crate::model::Violation;
use crate::sometimes::{Sometimes, note};
use crate::wait::{look, wait};

const BOUNDED: &str = "what waits is bounded";

/// An append that is not answered.
pub(super) struct Flight {
    pub(super) stream: usize,
    pub(super) at: u64,
    pub(super) last: u64,
    pub(super) ticket: u64,
    pub(super) answer: BoxFuture<'static, Result<Position, AppendError>>,
}

impl Life<'_, '_> {
    /// Submits an append and says whether it was taken.
    pub(crate) fn append(&mut self, count: usize, len: usize) -> Result<bool, Violation> {
        let stream = self.any_stream();
        self.append_to(stream, count, len)
    }

    pub(super) fn append_to(
        &mut self,
        stream: usize,
        count: usize,
        len: usize,
    ) -> Result<bool, Violation> {
        self.look_at_flights()?;
        let entries = self
            .run
            .model
            .draw_entries(stream, count, len, self.run.chance);
        let mut batch = Batch::default();
        for entry in &entries {
            batch.push(entry);
        }
        let at = self.run.model.stream(stream).next();
        let ticket = self.run.model.submit(stream, &entries);
        let answer = self.journal.append(&self.name(stream), position(at), batch);
        self.flights.push_back(Flight {
            stream,
            at,
            last: at + count as u64 - 1,
            ticket,
            answer,
        });
        let before = self.flights.len();
        // As many may wait as are allowed, and as many be written; one more fits an empty queue.
        if before > 2 * self.run.queue_appends_max + 1 {
            return Err(Violation::new(BOUNDED, format!("{before} appends wait")));
        }
        let last = self.flights.back_mut().expect("it was put there");
        match look(&mut last.answer) {
            Some(answer) => {
                let flight = self.flights.pop_back().expect("it was put there");
                let is_taken = answer.is_ok();
                self.answered(&flight, answer)?;
                Ok(is_taken)
            }
            None => {
                assert_eq!(before, self.flights.len(), "it is in flight");
                Ok(true)
            }
        }
    }

    /// Checks the answer to an append.
    fn answered(
        &mut self,
        flight: &Flight,
        answer: Result<Position, AppendError>,
    ) -> Result<(), Violation> {
        let Flight {
            stream,
            at,
            last,
            ticket,
            ..
        } = *flight;
        match answer {
            Ok(_) if self.unknown.is_some_and(|unknown| ticket > unknown) => {
                Err(Violation::new(STOPPED, format!("{stream} at {at}")))
            }
            Ok(acknowledged) if acknowledged.get() != last => {
                let detail = format!("{acknowledged} instead of {last}");
                Err(Violation::new(ANSWERS, detail))
            }
            Ok(_) => self.run.model.acknowledge(ticket, stream, last),
            Err(AppendError::Rejected { reason, .. }) => {
                self.rejected(&reason)?;
                self.run.model.reject(ticket, stream, at)
            }
            Err(error @ AppendError::Fenced { .. }) => {
                // Something before it was rejected while it was being submitted.
                let before = self.run.model.stream(stream).next();
                self.run.model.reject(ticket, stream, at)?;
                self.look_at_flights()?;
                if before == self.run.model.stream(stream).next() {
                    return Err(Violation::new(ANSWERS, error.to_string()));
                }
                Ok(())
            }
            Err(error @ AppendError::Unknown { .. }) => {
                note(Sometimes::UnknownOutcome);
                self.unknown.get_or_insert(ticket);
                if self.is_excused() {
                    return Ok(());
                }
                Err(Violation::new(ANSWERS, error.to_string()))
            }
            Err(error) => Err(Violation::new(ANSWERS, error.to_string())),
        }
    }

    pub(super) fn rejected(&self, reason: &RejectReason) -> Result<(), Violation> {
        let is_due = match reason {
            RejectReason::Full => {
                note(Sometimes::RejectedFull);
                self.was_filled || self.is_excused()
            }
            RejectReason::Stopped(_) => self.is_excused(),
            RejectReason::Overloaded => {
                note(Sometimes::Overloaded);
                !self.flights.is_empty()
            }
            RejectReason::Empty | RejectReason::TooLarge { .. } | RejectReason::Closed => false,
            _ => false,
        };
        if is_due {
            return Ok(());
        }
        Err(Violation::new(ANSWERS, reason.to_string()))
    }

    /// Takes the answers that are there.
    pub(crate) fn look_at_flights(&mut self) -> Result<(), Violation> {
        while let Some(flight) = self.flights.front_mut() {
            let Some(answer) = look(&mut flight.answer) else {
                return Ok(());
            };
            let flight = self.flights.pop_front().expect("it is in front");
            self.answered(&flight, answer)?;
        }
        Ok(())
    }

    pub(super) fn wait_oldest(&mut self) -> Result<(), Violation> {
        let Some(mut flight) = self.flights.pop_front() else {
            return Ok(());
        };
        let answer = wait(self.run.baton, &mut flight.answer);
        self.answered(&flight, answer)
    }

    pub(crate) fn wait_all(&mut self) -> Result<(), Violation> {
        while !self.flights.is_empty() {
            self.wait_oldest()?;
        }
        Ok(())
    }
}
