//! Syncs that fail, and a power cut after it: what the failed sync was to keep is gone.
//!
//! The medium gets nothing of a call that is made to fail. So the cut takes away what was written
//! before it, and the journal must not have acknowledged that, nor anything after it.

use super::calls::Bench;
use super::{Patient, Ring, acknowledgements};
use crate::findings::{Control, Findings, Trial};
use crate::image::Mounted;
use crate::order::Lie;
use crate::power::Cut;
use crate::strace::Fault;

/// Room for the small workload's journals.
const IMAGE_BYTES: u64 = 64 * 1024 * 1024;

/// Runs of the control.
const CONTROLS: u64 = 5;

/// More syncs of one file than the workload makes: the search ends.
const NUMBER_MAX: u64 = 300;

const EIO: Fault = Fault::Error("EIO");

pub(super) fn run(ring: &Ring) -> Result<Findings, String> {
    let disk = Mounted::ext4(&ring.scratch.join("syncs"), IMAGE_BYTES)?;
    let bench = Bench::empty(disk.place(), ring.seed)?;
    let places = bench.places()?;
    let is_sync = |call: &str| call == "fdatasync" || call == "fsync";
    let mut trial = Trial::new("each sync failing, then a power cut");
    for place in places.iter().filter(|place| is_sync(&place.call)) {
        for number in 1..=NUMBER_MAX {
            let order = bench.prepare("failed", None)?;
            let disturbed = bench.disturb(order, place, number, EIO)?;
            if !disturbed.was_hit {
                break;
            }
            disk.arm(Cut::LogLost)?.cut()?;
            disk.power_on()?;
            trial.count("acknowledged", acknowledgements(&disturbed.lines) as u64);
            let came = bench.judge(&disturbed);
            trial.run(came.map_err(|broken| format!("{place}, the {number}.: {broken}")));
        }
    }
    Ok(Findings {
        trials: vec![trial],
        controls: vec![deaf(&bench, &disk)?],
        not_run: Vec::new(),
    })
}

/// All syncs fail, and the journal is not told.
fn deaf(bench: &Bench, disk: &Mounted) -> Result<Control, String> {
    let mut control = Control::new("all syncs failing unheard, then a power cut");
    for number in 0..CONTROLS {
        let mut patient = Patient::new(&disk.place().join(format!("deaf-{number}")));
        let order = bench.prepare("deaf", Some(Lie::Deaf))?;
        let lines = bench.disturb_all(&order, "fdatasync,fsync", EIO)?;
        disk.arm(Cut::LogLost)?.cut()?;
        disk.power_on()?;
        control.run(&patient.judge(&lines, &order));
    }
    Ok(control.must(100))
}
