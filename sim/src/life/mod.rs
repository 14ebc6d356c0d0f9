//! One process's life with the journal: it acts, and everything it is told is checked.

mod compacting;
mod elsewhere;
mod flights;
mod reading;

use std::collections::VecDeque;
use std::sync::Arc;

use refrain_core::port::journal::{AppendError, Batch, Journal, RejectReason};
use refrain_core::{Name, Position};
use refrain_journal::{Disk, FileJournal, JournalOptions, OpenError};

use self::compacting::Compacting;
use self::elsewhere::Elsewhere;
use self::flights::Flight;
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
                // What was submitted before may have been refused meanwhile, so that there is less to forget.
                let next = next.min(self.run.model.stream(stream).next());
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
