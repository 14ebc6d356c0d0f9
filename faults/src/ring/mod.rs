//! The ring: each class of faults is a file, and all share a scratch directory and a seed.

mod altered;
mod calls;
mod cuts;
mod full;
mod kills;
mod neighbours;
mod pauses;
mod syncs;
mod wall_clock;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::chance::Chance;
use crate::findings::{Findings, NotRun, Trial};
use crate::history::{History, Violation};
use crate::line::Line;
use crate::order::Order;
use crate::process::Worker;
use crate::reopening::reopen;
use crate::shelter::Abilities;

/// A class of faults.
pub(crate) struct Class {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What this machine must be able to do for it.
    needs: &'static [Need],
    run: fn(&Ring) -> Result<Findings, String>,
}

/// What a class of faults needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Namespaces of one's own, and file systems in them: root.
    Mount,
    /// A steady clock of one's own.
    Clock,
    /// A wall clock of one's own.
    WallClock,
    /// Tracing other processes.
    Trace,
}

/// All classes.
pub(crate) const CLASSES: [Class; 11] = [
    class("altered", &[], altered::run),
    class("kills", &[], kills::run),
    class("stops", &[], pauses::stops),
    class("neighbours", &[], neighbours::run),
    class("calls", &[Need::Trace], calls::run),
    class("slow", &[Need::Trace], pauses::slow),
    class("jumps", &[Need::Clock], pauses::jumps),
    class("wall-clock", &[Need::WallClock], wall_clock::run),
    class("full", &[Need::Mount], full::run),
    class("cuts", &[Need::Mount], cuts::run),
    class("syncs", &[Need::Mount, Need::Trace], syncs::run),
];

const fn class(
    name: &'static str,
    needs: &'static [Need],
    run: fn(&Ring) -> Result<Findings, String>,
) -> Class {
    Class { name, needs, run }
}

/// How long a journal may take to open, and a worker to get going: also where much else is going on.
const OPENING: Duration = Duration::from_secs(60);

/// What the classes share.
#[derive(Debug)]
pub(crate) struct Ring {
    /// An empty directory of this round.
    pub(crate) scratch: PathBuf,
    /// What all choices of this round depend on; what the system does with them does not repeat.
    pub(crate) seed: u64,
    /// What this machine can do.
    pub(crate) abilities: Abilities,
}

impl Class {
    /// Runs it, or says why not.
    ///
    /// # Errors
    /// When the ring itself does not work.
    pub(crate) fn run(&self, ring: &Ring) -> Result<Findings, String> {
        for need in self.needs {
            if let Err(inability) = ring.abilities.has(*need) {
                let missing = NotRun {
                    name: self.name.to_owned(),
                    reason: inability.reason.clone(),
                    is_excused: inability.is_excused,
                };
                return Ok(Findings {
                    not_run: vec![missing],
                    ..Findings::default()
                });
            }
        }
        (self.run)(ring)
    }
}

impl Ring {
    /// The choices of the class `name`.
    fn chance(&self, name: &str) -> Chance {
        let name = name.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte));
        Chance::new(self.seed ^ name)
    }
}

/// The trial, if it can prove anything.
///
/// # Errors
/// When nothing was ever acknowledged in it.
fn proven(trial: Trial) -> Result<Trial, String> {
    match trial.counts.get("acknowledged") {
        None | Some(0) => Err(format!("{}: nothing was acknowledged", trial.name)),
        Some(_) => Ok(trial),
    }
}

/// Waits until the worker was acknowledged `count` appends, so that there is something to lose.
///
/// # Errors
/// When it never was: then its run would prove nothing.
fn wait_for(worker: &Worker, count: usize) -> Result<(), String> {
    if worker.wait_until(OPENING, |lines| acknowledgements(lines) >= count) {
        Ok(())
    } else {
        Err(format!("a worker was not acknowledged {count} appends"))
    }
}

/// How many appends were acknowledged in a report.
fn acknowledgements(lines: &[Line]) -> usize {
    let acknowledged = |line: &&Line| matches!(line, Line::Acknowledged(_));
    lines.iter().filter(acknowledged).count()
}

/// A journal over many lives: its directory, and what is known of it.
#[derive(Debug)]
struct Patient {
    place: PathBuf,
    number: u32,
    history: History,
}

impl Patient {
    /// One that does not exist yet, below `place`.
    fn new(place: &Path) -> Patient {
        Patient {
            place: place.to_owned(),
            number: 0,
            history: History::default(),
        }
    }

    /// The journal's directory.
    fn dir(&self) -> PathBuf {
        self.place.join(format!("journal-{}", self.number))
    }

    /// Leaves this journal as it is, for whoever looks for the cause, and goes on with a new one.
    fn replace(&mut self) {
        self.number += 1;
        self.history = History::default();
    }

    /// Takes in a life that was not disturbed before its end: its journal must have opened.
    fn take(&mut self, lines: &[Line]) -> Result<(), Violation> {
        self.history.take(lines)?;
        for line in lines {
            if let Line::NotOpened(reason) = line {
                return Err(Violation(format!("a worker could not open it: {reason}")));
            }
        }
        Ok(())
    }

    /// Judges a life that ended, by `judge`, and counts it in `trial`. The next life has another journal
    /// if this one broke a promise.
    fn life(
        &mut self,
        trial: &mut Trial,
        judge: impl FnOnce(&mut Patient) -> Result<(), Violation>,
    ) {
        let before = self.history.acknowledged;
        let came = judge(self);
        trial.count("acknowledged", self.history.acknowledged - before);
        if came.is_err() {
            self.replace();
        }
        trial.run(came);
    }

    /// Takes in what a worker said, opens the journal and compares.
    fn judge(&mut self, lines: &[Line], order: &Order) -> Result<(), Violation> {
        self.take(lines)?;
        self.check(order)
    }

    /// Opens the journal and compares.
    fn check(&mut self, order: &Order) -> Result<(), Violation> {
        self.history.check(&reopen(order)?)
    }
}

/// Runs a future that needs no timer but its own.
///
/// # Errors
/// When there is no runtime for it.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    Ok(runtime.block_on(future))
}
