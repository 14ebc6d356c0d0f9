//! Pauses: the process is stopped and goes on, the disk is slow or stands still for a while, and the
//! clock jumps between lives. Nothing is lost, and nothing is refused.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::{OPENING, Patient, Ring, acknowledgements, wait_for};
use crate::chance::Chance;
use crate::clock::pass;
use crate::findings::{Control, Findings, Trial};
use crate::history::Violation;
use crate::order::{Door, Order};
use crate::process::{Worker, Wrap};
use crate::strace::{self, Fault};

/// Stops of a round.
const STOPS: u64 = 10;

/// Lives on a slow disk of a round, for each kind.
const SLOW_LIVES: u64 = 5;

/// Lives of a round between which the clock jumps.
const JUMPS: u64 = 10;

/// Looks at a process that was stopped, and how long each takes.
const LOOKS_MAX: usize = 30;
const LOOK: Duration = Duration::from_secs(1);

/// The furthest that the clock is moved: about eleven days.
const JUMP_SECONDS_MAX: u64 = 1_000_000;

pub(super) fn stops(ring: &Ring) -> Result<Findings, String> {
    let mut chance = ring.chance("stops");
    let mut trial = Trial::new("process stopped and continued");
    let mut patient = Patient::new(&ring.scratch.join("stops"));
    let order = Order::draw(patient.dir(), Door::Journal, &mut chance);
    let worker = Worker::start(&order, &Wrap::default())?;
    wait_for(&worker, 1)?;
    for _ in 0..STOPS {
        worker.signal(Signal::STOP);
        pass(Duration::from_millis(20 + chance.below(100)));
        worker.signal(Signal::CONT);
        trial.run(goes_on(&worker, OPENING));
    }
    let control = never_continued(&ring.scratch.join("never-continued"), &mut chance)?;
    // The last pause never ends.
    worker.signal(Signal::STOP);
    let lines = worker.kill()?;
    let came = patient.judge(&lines, &order);
    trial.count("acknowledged", patient.history.acknowledged);
    trial.run(came);
    Ok(Findings {
        controls: vec![control],
        ..alone(trial)
    })
}

/// A process that was stopped and never continued must not pass for one that goes on.
fn never_continued(place: &Path, chance: &mut Chance) -> Result<Control, String> {
    let mut control = Control::new("process stopped and never continued");
    let patient = Patient::new(place);
    let order = Order::draw(patient.dir(), Door::Journal, chance);
    let worker = Worker::start(&order, &Wrap::default())?;
    wait_for(&worker, 1)?;
    worker.signal(Signal::STOP);
    // What it said before it stopped may still be heard for a while: where nothing else has time, longer
    // than one look takes. Whoever really goes on does so at each.
    let stands = (0..LOOKS_MAX).find_map(|_| goes_on(&worker, LOOK).err());
    control.run(&stands.map_or(Ok(()), Err));
    Ok(control.must(100))
}

/// Every sync takes longer, every write does, or one sync stands still for half a second.
pub(super) fn slow(ring: &Ring) -> Result<Findings, String> {
    let mut chance = ring.chance("slow");
    let mut trial = Trial::new("slow or paused disk, then kill -9");
    let mut patient = Patient::new(&ring.scratch.join("slow"));
    let log = ring.scratch.join("slow.log");
    for _ in 0..SLOW_LIVES {
        for (call, micros) in [
            ("fdatasync", "10000"),
            ("pwrite64", "3000"),
            ("fdatasync", "500000:when=12"),
        ] {
            let order = Order::draw(patient.dir(), Door::Journal, &mut chance);
            let wrap = strace::disturbing_all(&log, call, Fault::Slow(micros));
            let worker = Worker::start(&order, &wrap)?;
            wait_for(&worker, 10)?;
            pass(Duration::from_micros(chance.below(50_000)));
            let lines = worker.kill()?;
            patient.life(&mut trial, |patient| patient.judge(&lines, &order));
        }
    }
    Ok(alone(trial))
}

/// Each life sees a steady clock that stands somewhere else, forwards or backwards.
pub(super) fn jumps(ring: &Ring) -> Result<Findings, String> {
    let mut chance = ring.chance("jumps");
    let mut trial = Trial::new("clock jumps between lives, then kill -9");
    let mut patient = Patient::new(&ring.scratch.join("jumps"));
    for _ in 0..JUMPS {
        let order = Order::draw(patient.dir(), Door::Journal, &mut chance);
        let worker = Worker::start(&order, &moved_clock(&mut chance))?;
        wait_for(&worker, 20)?;
        let lines = worker.kill()?;
        patient.life(&mut trial, |patient| patient.judge(&lines, &order));
    }
    Ok(alone(trial))
}

fn moved_clock(chance: &mut Chance) -> Wrap {
    let seconds = chance.below(JUMP_SECONDS_MAX).to_string();
    let with = [
        "unshare",
        "--time",
        "--monotonic",
        &seconds,
        "--boottime",
        &seconds,
        "--fork",
    ];
    Wrap {
        with: with.map(str::to_owned).into(),
    }
}

fn goes_on(worker: &Worker, patience: Duration) -> Result<(), Violation> {
    let before = worker.line_count();
    if worker.wait_until(patience, |lines| acknowledgements(&lines[before..]) > 0) {
        Ok(())
    } else {
        Err(Violation("it did not go on after the pause".into()))
    }
}

fn alone(trial: Trial) -> Findings {
    Findings {
        trials: vec![trial],
        ..Findings::default()
    }
}
