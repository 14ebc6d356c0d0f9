//! Power cuts: ext4 stops while a worker appends, is mounted again, and the journal is opened.
//!
//! What counts is what was acknowledged before the cut. In the controls the disk does not sync, or
//! says so too early: then the same cuts must lose something.

use std::time::Duration;

use super::{OPENING, Patient, Ring, proven, wait_for};
use crate::chance::Chance;
use crate::clock::pass;
use crate::findings::{Control, Findings, Trial};
use crate::image::Mounted;
use crate::line::Line;
use crate::order::{Door, Lie, Order};
use crate::power::Cut;
use crate::process::{Worker, Wrap};

/// Cuts of a round, of the journal alone and below the runtime.
const CUTS: u64 = 100;
const RUNTIME_CUTS: u64 = 20;

/// Cuts of each control.
const CONTROLS: u64 = 10;

/// The longest time that a worker is left alone.
const LIFE_MS_MAX: u64 = 60;

/// Room for the journals of one image.
const IMAGE_BYTES: u64 = 192 * 1024 * 1024;

pub(super) fn run(ring: &Ring) -> Result<Findings, String> {
    let mut chance = ring.chance("cuts");
    let disk = Mounted::ext4(&ring.scratch.join("cuts"), IMAGE_BYTES)?;
    let journal = cycles(&disk, Door::Journal, CUTS, &mut chance)?;
    let runtime = cycles(&disk, Door::Runtime, RUNTIME_CUTS, &mut chance)?;
    let never = deceived(
        &disk,
        Lie::NoSync,
        "power cut, syncs do nothing",
        &mut chance,
    )?;
    let late = deceived(
        &disk,
        Lie::LateSync,
        "power cut, syncs answered too early",
        &mut chance,
    )?;
    Ok(Findings {
        trials: vec![journal, runtime],
        controls: vec![never, late],
        not_run: Vec::new(),
    })
}

fn cycles(disk: &Mounted, door: Door, count: u64, chance: &mut Chance) -> Result<Trial, String> {
    let name = match door {
        Door::Journal => "power cuts",
        Door::Runtime => "power cuts, through the runtime",
    };
    let mut trial = Trial::new(name);
    let mut patient = Patient::new(&disk.place().join(format!("{door:?}")));
    for _ in 0..count {
        let order = Order::draw(patient.dir(), door, chance);
        let lines = cut_once(disk, &order, chance)?;
        patient.life(&mut trial, |patient| patient.judge(&lines, &order));
    }
    proven(trial)
}

/// A worker appends, the power goes, and comes back. What the worker was told after the cut is taken
/// out: it had no power any more.
fn cut_once(disk: &Mounted, order: &Order, chance: &mut Chance) -> Result<Vec<Line>, String> {
    let worker = Worker::start(order, &Wrap::default())?;
    if chance.below(5) > 0 {
        worker.wait_until(OPENING, |lines| lines.contains(&Line::Opened));
    }
    pass(Duration::from_micros(chance.below(LIFE_MS_MAX * 1000)));
    cut_now(disk, worker, chance.pick(&[Cut::LogLost, Cut::LogFlushed]))
}

fn cut_now(disk: &Mounted, worker: Worker, cut: Cut) -> Result<Vec<Line>, String> {
    let armed = disk.arm(cut)?;
    let before = worker.line_count();
    armed.cut()?;
    let lines = worker.kill()?;
    disk.power_on()?;
    Ok(until_cut(lines, before))
}

/// A report up to line `before`; of what follows only what was done, not what was told.
fn until_cut(mut lines: Vec<Line>, before: usize) -> Vec<Line> {
    let after = lines.split_off(before.min(lines.len()));
    lines.extend(after.into_iter().filter(|line| match line {
        Line::Submitted(_) | Line::Forgetting { .. } | Line::Rejected { .. } => true,
        Line::Process(_)
        | Line::Opened
        | Line::NotOpened(_)
        | Line::Head { .. }
        | Line::Acknowledged(_)
        | Line::Unknown { .. }
        | Line::Forgotten { .. }
        | Line::Closed => false,
    }));
    lines
}

fn deceived(disk: &Mounted, lie: Lie, name: &str, chance: &mut Chance) -> Result<Control, String> {
    let mut control = Control::new(name);
    for number in 0..CONTROLS {
        let mut patient = Patient::new(&disk.place().join(format!("{lie:?}-{number}")));
        let order = Order {
            lie: Some(lie),
            ..Order::draw(patient.dir(), Door::Journal, chance)
        };
        let worker = Worker::start(&order, &Wrap::default())?;
        wait_for(&worker, 20)?;
        let lines = cut_now(disk, worker, Cut::LogLost)?;
        control.run(&patient.judge(&lines, &order));
        // The next one needs the room.
        let _ = std::fs::remove_dir_all(patient.place);
    }
    Ok(control.must(90))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Batch;
    use crate::payload::Digest;

    #[test]
    fn what_was_told_after_the_cut_does_not_count_and_what_was_done_does() {
        let batch = |first| Batch {
            stream: 0,
            first,
            digests: vec![Digest(first)],
        };
        let lines = vec![
            Line::Submitted(batch(1)),
            Line::Acknowledged(batch(1)),
            Line::Submitted(batch(2)),
            Line::Acknowledged(batch(2)),
            Line::Closed,
        ];
        assert_eq!(until_cut(lines.clone(), 2), lines[..3]);
        assert_eq!(until_cut(lines.clone(), 9), lines);
    }
}
