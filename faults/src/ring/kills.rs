//! `kill -9` at random times, over many lives of the same journal.

use std::time::Duration;

use super::{OPENING, Patient, Ring, proven, wait_for};
use crate::chance::Chance;
use crate::clock::pass;
use crate::findings::{Control, Findings, Trial};
use crate::history::{History, Violation};
use crate::line::Line;
use crate::order::{Door, Lie, Order};
use crate::process::{Worker, Wrap};
use crate::reopening::reopen;

/// Kills of a round, of the journal alone and below the runtime.
const KILLS: u64 = 100;
const RUNTIME_KILLS: u64 = 20;

/// Lives of the control.
const CONTROLS: u64 = 10;

/// The longest time that a worker is left alone.
const LIFE_MS_MAX: u64 = 50;

pub(super) fn run(ring: &Ring) -> Result<Findings, String> {
    let mut chance = ring.chance("kills");
    let journal = lives(ring, Door::Journal, KILLS, &mut chance)?;
    let runtime = lives(ring, Door::Runtime, RUNTIME_KILLS, &mut chance)?;
    let controls = [Door::Journal, Door::Runtime].map(|door| late_writes(ring, door, &mut chance));
    let [late, late_runtime] = controls;
    Ok(Findings {
        trials: vec![journal, runtime],
        controls: vec![late?, late_runtime?],
        not_run: Vec::new(),
    })
}

fn lives(ring: &Ring, door: Door, count: u64, chance: &mut Chance) -> Result<Trial, String> {
    let name = match door {
        Door::Journal => "kill -9",
        Door::Runtime => "kill -9, through the runtime",
    };
    let mut trial = Trial::new(name);
    let mut patient = Patient::new(&ring.scratch.join(format!("kills-{door:?}")));
    for life in 1..=count {
        let order = Order::draw(patient.dir(), door, chance);
        let lines = one_life(&order, chance)?;
        // Now and then the next worker recovers by itself, and may be killed while it does.
        let is_checked = life == count || chance.below(4) > 0;
        patient.life(&mut trial, |patient| match is_checked {
            true => patient.judge(&lines, &order),
            false => patient.take(&lines),
        });
    }
    proven(trial)
}

/// Starts a worker and kills it: at any time from its start, or once its journal is open.
fn one_life(order: &Order, chance: &mut Chance) -> Result<Vec<Line>, String> {
    let worker = Worker::start(order, &Wrap::default())?;
    if chance.below(4) > 0 {
        worker.wait_until(OPENING, |lines| lines.contains(&Line::Opened));
    }
    pass(Duration::from_micros(chance.below(LIFE_MS_MAX * 1000)));
    worker.kill()
}

/// A disk that says it wrote before it did: what it still holds dies with the process.
fn late_writes(ring: &Ring, door: Door, chance: &mut Chance) -> Result<Control, String> {
    let mut control = Control::new(match door {
        Door::Journal => "kill -9, writes answered too early",
        Door::Runtime => "kill -9, writes answered too early, through the runtime",
    });
    for number in 0..CONTROLS {
        let dir = ring.scratch.join(format!("late-writes-{door:?}-{number}"));
        let honest = Order::draw(dir, door, chance);
        let order = Order {
            lie: Some(Lie::LateWrite),
            ..honest
        };
        let worker = Worker::start(&order, &Wrap::default())?;
        wait_for(&worker, 20)?;
        let lines = worker.kill()?;
        control.run(&judge(&lines, &order));
    }
    Ok(control.must(80))
}

fn judge(lines: &[Line], order: &Order) -> Result<(), Violation> {
    let mut history = History::default();
    history.take(lines)?;
    history.check(&reopen(order)?)
}
