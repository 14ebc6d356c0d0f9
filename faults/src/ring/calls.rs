//! A fault at every call of a small workload that changes a file: the process is killed there, or the
//! call fails with EIO or ENOSPC.
//!
//! There are two workloads: one in an empty directory, and one in a journal that was killed before, so
//! that its recovery is disturbed as well. Each is run once to learn its calls; then each call is
//! disturbed in turn, in a journal of its own, until the workload ends without reaching the number.
//! Besides what is always checked, nothing may be acknowledged after an append whose outcome was
//! unknown: the journal has stopped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Patient, Ring, acknowledgements};
use crate::findings::{Control, Findings, Trial};
use crate::history::Violation;
use crate::line::Line;
use crate::order::{Lie, Order};
use crate::process::{Worker, Wrap};
use crate::reopening::reopen;
use crate::strace::{self, Fault, Place};

/// How long a disturbed worker may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// More calls at one place than the workload makes: the search ends.
const NUMBER_MAX: u64 = 300;

/// Places that are worked on at once.
const HANDS: usize = 4;

const EIO: Fault = Fault::Error("EIO");
const ENOSPC: Fault = Fault::Error("ENOSPC");

pub(super) fn run(ring: &Ring) -> Result<Findings, String> {
    let kinds = [
        ("killed at each call", Fault::Kill),
        ("each call failing with EIO", EIO),
        ("each call failing with ENOSPC", ENOSPC),
    ];
    let mut findings = Findings::default();
    for bench in [
        Bench::empty(&ring.scratch.join("calls-new"), ring.seed)?,
        Bench::killed(&ring.scratch.join("calls-killed"), ring.seed)?,
    ] {
        let places = bench.places()?;
        for (name, fault) in kinds {
            let name = format!("{name}, {}", bench.name);
            findings
                .trials
                .push(bench.each_place(&name, &places, fault)?);
        }
        findings.controls.push(bench.deaf(&places)?);
    }
    Ok(findings)
}

/// Where the workload is run again and again.
pub(super) struct Bench {
    name: &'static str,
    scratch: PathBuf,
    seed: u64,
    /// What each run begins with.
    patient: Option<Patient>,
}

/// What a disturbed worker left.
pub(super) struct Disturbed {
    pub(super) order: Order,
    /// What it said.
    pub(super) lines: Vec<Line>,
    /// Whether the fault happened.
    pub(super) was_hit: bool,
}

impl Bench {
    /// One whose runs begin in an empty directory below `scratch`.
    pub(super) fn empty(scratch: &Path, seed: u64) -> Result<Bench, String> {
        std::fs::create_dir_all(scratch).map_err(|error| error.to_string())?;
        Ok(Bench {
            name: "in a new journal",
            scratch: scratch.to_owned(),
            seed,
            patient: None,
        })
    }

    /// One whose runs begin with a journal that was killed.
    fn killed(scratch: &Path, seed: u64) -> Result<Bench, String> {
        std::fs::create_dir_all(scratch).map_err(|error| error.to_string())?;
        let mut patient = Patient::new(scratch);
        let order = Order::small(patient.dir(), !seed);
        let worker = Worker::start(&order, &Wrap::default())?;
        // Some segments are sealed and one is in use.
        worker.wait_until(PATIENCE, |lines| acknowledgements(lines) >= 9);
        let lines = worker.kill()?;
        let came = patient.take(&lines);
        came.map_err(|broken| format!("the journal to begin with: {broken}"))?;
        Ok(Bench {
            name: "in a killed one",
            scratch: scratch.to_owned(),
            seed,
            patient: Some(patient),
        })
    }

    /// The workload in a journal as each run begins with it.
    pub(super) fn prepare(&self, name: &str, lie: Option<Lie>) -> Result<Order, String> {
        let order = Order {
            lie,
            ..Order::small(self.scratch.join(name), self.seed)
        };
        remove(&order.dir);
        if let Some(patient) = &self.patient {
            copy(&patient.dir(), &order.dir).map_err(|error| error.to_string())?;
        }
        Ok(order)
    }

    /// All places at which the undisturbed workload calls.
    pub(super) fn places(&self) -> Result<Vec<Place>, String> {
        let order = self.prepare("watched", None)?;
        let log = self.scratch.join("watched.log");
        let (lines, _) = self.work(&order, &strace::watching(&log))?;
        if lines.last() != Some(&Line::Closed) {
            return Err(format!("the workload does not end: {:?}", lines.last()));
        }
        let places = strace::places(&read(&log)?, &order.dir);
        if places.is_empty() {
            return Err("strace shows no call on the journal's files".to_owned());
        }
        Ok(places.into_keys().collect())
    }

    /// Disturbs every call at every place; several at once, for each waits for the disk most of the
    /// time.
    fn each_place(&self, name: &str, places: &[Place], fault: Fault) -> Result<Trial, String> {
        let next = AtomicUsize::new(0);
        let work = |hand: usize| {
            let mut trial = Trial::new(name);
            while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.each_number(hand, place, fault, &mut trial)?;
            }
            Ok(trial)
        };
        let mut whole = Trial::new(name);
        std::thread::scope(|scope| -> Result<(), String> {
            let work = &work;
            let hands: Vec<_> = (0..HANDS)
                .map(|hand| scope.spawn(move || work(hand)))
                .collect();
            for hand in hands {
                let trial: Result<Trial, String> = hand
                    .join()
                    .map_err(|_| "a thread of the ring panicked".to_owned())?;
                whole.add(trial?);
            }
            Ok(())
        })?;
        Ok(whole)
    }

    /// Disturbs the first call at `place`, the second, and so on, until there are no more.
    fn each_number(
        &self,
        hand: usize,
        place: &Place,
        fault: Fault,
        trial: &mut Trial,
    ) -> Result<(), String> {
        for number in 1..=NUMBER_MAX {
            let order = self.prepare(&format!("disturbed-{hand}"), None)?;
            let disturbed = self.disturb(order, place, number, fault)?;
            if !disturbed.was_hit {
                return Ok(());
            }
            let came = self.judge(&disturbed);
            if came.is_err() {
                // Kept for whoever looks for the cause.
                let kept = format!("broken-{}-{}-{number}", place.call, place.file);
                let _ = std::fs::rename(&disturbed.order.dir, self.scratch.join(kept));
            }
            trial.count(&format!("at {}", place.call), 1);
            trial.count(
                "refused by the journal",
                u64::from(refuses(&disturbed.lines)),
            );
            trial.count("acknowledged", acknowledgements(&disturbed.lines) as u64);
            trial.run(came.map_err(|broken| format!("{place}, the {number}.: {broken}")));
        }
        Err(format!("{place} is called more than {NUMBER_MAX} times"))
    }

    /// A disk that does not pass errors on: among the places at which calls fail there must be some
    /// where something is lost.
    fn deaf(&self, places: &[Place]) -> Result<Control, String> {
        let mut control = Control::new(&format!("first writes failing unheard, {}", self.name));
        for place in places.iter().filter(|place| place.call == "pwrite64") {
            let order = self.prepare("deaf", Some(Lie::Deaf))?;
            let disturbed = self.disturb(order, place, 1, EIO)?;
            if disturbed.was_hit {
                control.run(&self.judge(&disturbed));
            }
            remove(&disturbed.order.dir);
        }
        // Most first writes fill a new file with zeros, which are there already.
        Ok(control.must(10))
    }

    /// Runs the workload of `order` with a fault at the `number`-th call at `place`.
    pub(super) fn disturb(
        &self,
        order: Order,
        place: &Place,
        number: u64,
        fault: Fault,
    ) -> Result<Disturbed, String> {
        let log = order.dir.with_extension("log");
        let wrap = strace::disturbing(&order.dir, &log, place, number, fault);
        let (lines, _) = self.work(&order, &wrap)?;
        let was_hit = strace::was_hit(&read(&log)?, fault);
        Ok(Disturbed {
            order,
            lines,
            was_hit,
        })
    }

    /// Runs the workload of `order` with a fault at all `calls`, and gives what it said.
    pub(super) fn disturb_all(
        &self,
        order: &Order,
        calls: &str,
        fault: Fault,
    ) -> Result<Vec<Line>, String> {
        let log = order.dir.with_extension("log");
        let (lines, _) = self.work(order, &strace::disturbing_all(&log, calls, fault))?;
        Ok(lines)
    }

    /// What the checker says of a disturbed worker.
    pub(super) fn judge(&self, disturbed: &Disturbed) -> Result<(), Violation> {
        let known = self.patient.as_ref().map(|patient| patient.history.clone());
        let mut history = known.unwrap_or_default();
        history.take(&disturbed.lines)?;
        check_stopped(&disturbed.lines)?;
        history.check(&reopen(&disturbed.order)?)
    }

    fn work(&self, order: &Order, wrap: &Wrap) -> Result<(Vec<Line>, bool), String> {
        let (lines, status) = Worker::start(order, wrap)?.finish(PATIENCE)?;
        Ok((lines, status.success()))
    }
}

/// Whether the journal did not open, or did not take an append.
fn refuses(lines: &[Line]) -> bool {
    lines.iter().any(|line| {
        matches!(
            line,
            Line::NotOpened(_) | Line::Unknown { .. } | Line::Rejected { .. }
        )
    })
}

/// With one append at a time, none is acknowledged after one whose outcome was unknown.
fn check_stopped(lines: &[Line]) -> Result<(), Violation> {
    let unknown = lines
        .iter()
        .position(|line| matches!(line, Line::Unknown { .. }));
    match unknown {
        Some(index) if acknowledgements(&lines[index..]) > 0 => Err(Violation(
            "an append was acknowledged after one whose outcome was unknown".to_owned(),
        )),
        Some(_) | None => Ok(()),
    }
}

fn read(log: &Path) -> Result<String, String> {
    std::fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()))
}

/// Copies the files of one directory.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for file in std::fs::read_dir(from)? {
        let file = file?;
        std::fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

fn remove(dir: &Path) {
    // It may not be there, and the next worker says what is wrong otherwise.
    let _ = std::fs::remove_dir_all(dir);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Batch;
    use crate::payload::Digest;

    #[test]
    fn acknowledgement_after_an_unknown_outcome_breaks_a_promise() {
        let acknowledged = Line::Acknowledged(Batch {
            stream: 0,
            first: 1,
            digests: vec![Digest(1)],
        });
        let unknown = Line::Unknown {
            stream: 0,
            first: 2,
        };
        assert!(check_stopped(&[acknowledged.clone(), unknown.clone()]).is_ok());
        assert!(check_stopped(&[unknown, acknowledged]).is_err());
    }
}
