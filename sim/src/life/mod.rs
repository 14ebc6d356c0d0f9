//! One process's life with the journal: it acts, and everything it is told is checked.

mod compacting;
mod elsewhere;
mod reading;

use std::collections::VecDeque;
use std::sync::Arc;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Journal, RejectReason};
use refrain_core::{Name, Position};
use refrain_journal::{Disk, FileJournal, JournalOptions, OpenError};

use self::compacting::Compacting;
use self::elsewhere::Elsewhere;
use self::reading::Follower;

use crate::baton::Baton;
use crate::chance::Chance;
use crate::disk::SimDisk;
use crate::model::{Model, Violation};
use crate::plan::Act;
use crate::sometimes::{Sometimes, note};
use crate::wait::{look, wait};

/// Where the journal lies.
pub(crate) const DIR: &str = "/journal";

/// How often a program asks again whether there is room.
const RESUME_TRIES: u32 = 60;

const ANSWERS: &str = "what is refused has a reason";
const WAITS: &str = "nobody is left waiting";
const ALONE: &str = "a second opening is refused";
const STOPPED: &str = "nothing is acknowledged after a failure";
const BOUNDED: &str = "what waits is bounded";
const RESUMES: &str = "appends are taken again when there is room";

/// What all lives of a run share.
pub(crate) struct Run<'a> {
    pub(crate) baton: &'a Arc<Baton>,
    pub(crate) disk: &'a SimDisk,
    pub(crate) options: JournalOptions,
    pub(crate) queue_appends_max: usize,
    pub(crate) model: &'a mut Model,
    pub(crate) chance: &'a mut Chance,
}

/// An open journal and what it owes.
pub(crate) struct Life<'r, 'a> {
    run: &'r mut Run<'a>,
    process: Arc<dyn Disk>,
    journal: FileJournal,
    flights: VecDeque<Flight>,
    follower: Option<Follower>,
    elsewhere: Option<Elsewhere>,
    compacting: Option<Compacting>,
    /// The first submission whose outcome is unknown.
    unknown: Option<u64>,
    was_filled: bool,
    has_forgotten: bool,
}

/// An append that is not answered.
struct Flight {
    stream: usize,
    at: u64,
    last: u64,
    ticket: u64,
    answer: BoxFuture<'static, Result<Position, AppendError>>,
}

fn position(number: u64) -> Position {
    Position::new(number).expect("positions start at 1")
}

impl<'r, 'a> Life<'r, 'a> {
    /// Opens the journal and compares what it holds with what it must.
    pub(crate) fn open(
        run: &'r mut Run<'a>,
        process: Arc<dyn Disk>,
    ) -> Result<Result<Life<'r, 'a>, OpenError>, Violation> {
        let opened = FileJournal::open_on(Arc::clone(&process), DIR, run.options.clone());
        let journal = match opened {
            Ok(journal) => journal,
            Err(error) => return Ok(Err(error)),
        };
        let was_filled = run.disk.is_limited();
        let life = Life {
            run,
            process,
            journal,
            flights: VecDeque::new(),
            follower: None,
            elsewhere: None,
            compacting: None,
            unknown: None,
            was_filled,
            has_forgotten: false,
        };
        life.run.disk.remark(|| "      -- opened".into());
        let (heads, firsts) = life.extents();
        life.run.model.recovered(&heads, &firsts)?;
        Ok(Ok(life))
    }

    fn extents(&self) -> (Vec<u64>, Vec<u64>) {
        let names = (0..self.run.model.len()).map(|stream| self.name(stream));
        names.map(|name| self.extent(&name)).unzip()
    }

    /// The head of a stream, 0 when there is none, and its first position.
    fn extent(&self, name: &Name) -> (u64, u64) {
        let head = look(&mut self.journal.head(name)).expect("known at once");
        let first = look(&mut self.journal.first(name)).expect("known at once");
        let head = head.ok().flatten().map_or(0, Position::get);
        let first = first.ok().flatten().map_or(head + 1, Position::get);
        (head, first)
    }

    fn name(&self, stream: usize) -> Name {
        self.run.model.stream(stream).name.clone()
    }

    fn any_stream(&mut self) -> usize {
        let count = self.run.model.len();
        self.run.chance.index(count)
    }

    /// Whether the disk gave the journal a reason to fail.
    fn is_excused(&self) -> bool {
        self.run.disk.was_felt() || self.run.disk.ended().is_some() || self.run.disk.has_lied()
    }

    /// Does one thing.
    pub(crate) fn act(&mut self, act: Act) -> Result<(), Violation> {
        self.run.disk.remark(|| format!("      -- {act:?}"));
        match act {
            Act::Append => {
                let count = 1 + self.run.chance.index(3);
                let len = self.run.chance.pick(&[0, 0, 30, 600]);
                self.append(count, len).map(drop)
            }
            Act::AppendLarge => self.append(1, 2200).map(drop),
            Act::Wait => self.wait_oldest(),
            Act::WaitAll => self.wait_all(),
            Act::Pause => {
                let turns = 1 + self.run.chance.below(12);
                self.run.baton.stall(turns);
                self.look_at_flights()
            }
            Act::Read => {
                let stream = self.any_stream();
                self.read(stream)
            }
            Act::Ask => self.ask(),
            Act::Follow => self.follow(),
            Act::Forget => self.forget(),
            Act::Misplace => self.misplace(),
            Act::OpenAgain => self.open_again(),
            Act::ReadElsewhere => self.read_elsewhere(),
            Act::Fill => {
                self.was_filled = true;
                self.run.disk.set_capacity(self.run.disk.used());
                Ok(())
            }
            Act::Free => self.free(),
            Act::Compact => self.compact(),
            Act::ReadTwice => self.read_twice(),
            Act::FollowElsewhere => self.follow_elsewhere(),
        }
    }

    /// Submits an append and says whether it was taken.
    pub(crate) fn append(&mut self, count: usize, len: usize) -> Result<bool, Violation> {
        let stream = self.any_stream();
        self.append_to(stream, count, len)
    }

    fn append_to(&mut self, stream: usize, count: usize, len: usize) -> Result<bool, Violation> {
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

    fn rejected(&self, reason: &RejectReason) -> Result<(), Violation> {
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

    fn wait_oldest(&mut self) -> Result<(), Violation> {
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

    fn forget(&mut self) -> Result<(), Violation> {
        self.look_at_flights()?;
        let stream = self.any_stream();
        let state = self.run.model.stream(stream);
        let (first, next) = (state.first(), state.next());
        let below = match self.run.chance.below(3) {
            0 => next,
            1 => next + 3,
            _ => first + self.run.chance.below(next - first + 1),
        };
        self.has_forgotten = true;
        self.run.model.ask_forget(stream, below);
        let name = self.name(stream);
        let had_flights = !self.flights.is_empty();
        let answer = wait(
            self.run.baton,
            &mut self.journal.forget(&name, position(below)),
        );
        // What was submitted before has its answer by now.
        self.look_at_flights()?;
        match answer {
            Ok(()) => {
                let (head, now) = self.extent(&name);
                self.run.model.saw_head(stream, head)?;
                if now < below.min(next) && !self.run.disk.has_lied() {
                    let detail = format!("{name} starts at {now}, below {below} was forgotten");
                    return Err(Violation::new(ANSWERS, detail));
                }
                self.run.model.saw_first(stream, now)
            }
            Err(AppendError::Rejected {
                reason: RejectReason::Overloaded,
                ..
            }) if had_flights => Ok(()),
            Err(AppendError::Rejected { reason, .. }) => self.rejected(&reason),
            Err(AppendError::Unknown { .. }) if self.is_excused() => {
                self.unknown.get_or_insert(self.run.model.tickets());
                Ok(())
            }
            Err(error) => Err(Violation::new(ANSWERS, error.to_string())),
        }
    }

    fn misplace(&mut self) -> Result<(), Violation> {
        self.look_at_flights()?;
        let stream = self.any_stream();
        let next = self.run.model.stream(stream).next();
        let at = if next > 1 && self.run.chance.one_in(2) {
            next - 1
        } else {
            next + 1
        };
        let mut batch = Batch::default();
        batch.push(b"misplaced");
        let name = self.name(stream);
        let answer = wait(
            self.run.baton,
            &mut self.journal.append(&name, position(at), batch),
        );
        match answer {
            Err(AppendError::Fenced { .. }) => {
                note(Sometimes::Fenced);
                Ok(())
            }
            Err(AppendError::Rejected { reason, .. }) => self.rejected(&reason),
            Ok(_) | Err(_) => {
                let detail = format!("{name} took an append at {at} instead of {next}");
                Err(Violation::new(ANSWERS, detail))
            }
        }
    }

    fn open_again(&mut self) -> Result<(), Violation> {
        let disk = Arc::clone(&self.process);
        match FileJournal::open_on(disk, DIR, self.run.options.clone()) {
            Err(OpenError::Locked { .. }) => {
                note(Sometimes::SecondRefused);
                Ok(())
            }
            Err(OpenError::Io { .. }) if self.is_excused() => Ok(()),
            Err(error) => Err(Violation::new(ALONE, error.to_string())),
            Ok(_) => Err(Violation::new(ALONE, "it was opened twice")),
        }
    }

    fn free(&mut self) -> Result<(), Violation> {
        self.run.disk.set_capacity(u64::MAX);
        for _ in 0..RESUME_TRIES {
            let is_taken = self.append(1, 0)?;
            self.wait_all()?;
            if is_taken || self.is_excused() || self.unknown.is_some() {
                return Ok(());
            }
            self.run.baton.stall(4);
        }
        Err(Violation::new(RESUMES, "it stayed full"))
    }

    /// Ends the life without a crash of its own, and takes the last answers.
    pub(crate) fn close(mut self) -> Result<(), Violation> {
        self.check_compaction()?;
        let Life {
            run,
            journal,
            flights,
            follower,
            elsewhere,
            compacting,
            mut unknown,
            was_filled,
            ..
        } = self;
        let was_ended = run.disk.ended().is_some();
        run.disk.remark(|| "      -- closing".into());
        drop(journal);
        drop((follower, elsewhere));
        compacting.map_or(Ok(()), Compacting::end)?;
        if !was_ended && run.disk.ended().is_some() {
            note(Sometimes::CutWhileClosing);
        }
        let is_excused = run.disk.was_felt() || run.disk.ended().is_some() || run.disk.has_lied();
        for mut flight in flights {
            let Flight {
                stream,
                at,
                last,
                ticket,
                ..
            } = flight;
            match look(&mut flight.answer) {
                None => return Err(Violation::new(WAITS, format!("{stream} at {at}"))),
                Some(Ok(_)) if unknown.is_some_and(|unknown| ticket > unknown) => {
                    return Err(Violation::new(STOPPED, format!("{stream} at {at}")));
                }
                Some(Ok(_)) => run.model.acknowledge(ticket, stream, last)?,
                Some(Err(AppendError::Rejected { .. })) if was_filled || is_excused => {
                    run.model.reject(ticket, stream, at)?;
                }
                Some(Err(AppendError::Unknown { .. })) if is_excused => {
                    unknown.get_or_insert(ticket);
                }
                Some(Err(error)) => return Err(Violation::new(ANSWERS, error.to_string())),
            }
        }
        Ok(())
    }

    /// Reads everything and appends to every stream: the journal works.
    pub(crate) fn prove(&mut self) -> Result<(), Violation> {
        self.ask()?;
        for stream in 0..self.run.model.len() {
            self.read(stream)?;
            self.append_to(stream, 1, 10)?;
        }
        self.wait_all()?;
        for stream in 0..self.run.model.len() {
            self.read(stream)?;
        }
        self.ask()
    }
}
