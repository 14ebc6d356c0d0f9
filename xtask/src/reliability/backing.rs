//! Which control stands behind which trial: a zero counts only if the same check went red elsewhere.
//!
//! One table. A trial that no row names, or whose control is not in the reports, is a complaint.

use super::part::{Control, Part};

/// A row: trials whose names begin so, and the controls of a part whose names begin so.
struct Row {
    trial: &'static str,
    part: &'static str,
    control: &'static str,
}

/// The first row that fits counts; longer names stand before what they begin with.
const ROWS: [Row; 21] = [
    row("clean end", "faults", "an acknowledged entry is missing"),
    row(
        "kill -9, through",
        "faults",
        "kill -9, writes answered too early, through",
    ),
    row("kill -9", "faults", "kill -9, writes answered too early"),
    row("process stopped", "faults", "process stopped and never"),
    row("a second process", "faults", "a second process, and a lock"),
    row(
        "killed at each call",
        "faults",
        "kill -9, writes answered too early",
    ),
    row(
        "each call failing",
        "faults",
        "first writes failing unheard",
    ),
    row(
        "slow or paused disk",
        "faults",
        "kill -9, writes answered too early",
    ),
    row(
        "clock jumps",
        "faults",
        "kill -9, writes answered too early",
    ),
    row("wall clock", "faults", "wall clock jumps, read each time"),
    row("disk full", "faults", "disk full, and never room again"),
    row("power cuts", "faults", "power cut, syncs do nothing"),
    row("each sync failing", "faults", "all syncs failing unheard"),
    row(
        "flipped bits of a journal",
        "fuzz",
        "flipped bits of entries",
    ),
    row("damaged, exchanged", "fuzz", "all files of an earlier time"),
    row(
        "flipped bits of a snapshot",
        "fuzz",
        "flipped bits of a snapshot",
    ),
    row("inputs to ", "fuzz", "a panic behind four bytes"),
    row("simulated schedules", "planted", ""),
    row("schedules of the journal", "planted", ""),
    row("schedules of the runtime", "planted", ""),
    row("orders of threads", "interleavings", ""),
];

const fn row(trial: &'static str, part: &'static str, control: &'static str) -> Row {
    Row {
        trial,
        part,
        control,
    }
}

/// What stands behind a trial.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Backing<'a> {
    /// One control.
    Control(&'a Control),
    /// So many bugs, planted one after the other.
    Planted { bugs: usize, found: usize },
    /// The part that has it is not among the reports.
    Elsewhere(&'static str),
    /// Nothing.
    Nothing,
}

/// What stands behind the trial with this name.
pub(super) fn of<'a>(trial: &str, parts: &'a [Part]) -> Backing<'a> {
    let Some(row) = ROWS.iter().find(|row| trial.starts_with(row.trial)) else {
        return Backing::Nothing;
    };
    let Some(part) = parts.iter().find(|part| part.part == row.part) else {
        return Backing::Elsewhere(row.part);
    };
    if row.control.is_empty() {
        let found = part.controls.iter().filter(|bug| bug.is_red()).count();
        let bugs = part.controls.len();
        return Backing::Planted { bugs, found };
    }
    let mut controls = part.controls.iter();
    let found = controls.find(|control| control.name.starts_with(row.control));
    found.map_or(Backing::Nothing, Backing::Control)
}

/// Trials behind which there is no control, of whatever ran.
pub(super) fn complaints(parts: &[Part]) -> Vec<String> {
    let mut complaints = Vec::new();
    for part in parts {
        for trial in &part.trials {
            let is_bare = match of(&trial.name, parts) {
                Backing::Control(_) | Backing::Elsewhere(_) => false,
                Backing::Planted { bugs, .. } => bugs == 0,
                Backing::Nothing => true,
            };
            if is_bare {
                complaints.push(format!("{}: {} has no control", part.part, trial.name));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::part::Trial;
    use super::*;

    fn part(name: &str, trials: &[&str], controls: &[&str]) -> Part {
        let trials = trials.iter().map(|name| Trial {
            name: (*name).to_owned(),
            ..Trial::default()
        });
        let controls = controls.iter().map(|name| Control {
            name: (*name).to_owned(),
            runs: 1,
            red: 1,
            red_min: 1,
        });
        Part {
            part: name.to_owned(),
            trials: trials.collect(),
            controls: controls.collect(),
            ..Part::default()
        }
    }

    #[test]
    fn a_trial_without_its_control_is_a_complaint() {
        let sim = part("sim", &["simulated schedules"], &[]);
        let planted = part("planted", &[], &["no-sync"]);
        let faults = |control| part("faults", &["power cuts"], &[control]);
        let good = faults("power cut, syncs do nothing");
        assert!(complaints(&[sim.clone(), planted, good]).is_empty());
        // Where only a part ran, what stands behind it may be elsewhere.
        assert!(complaints(std::slice::from_ref(&sim)).is_empty());
        assert_eq!(complaints(&[sim, part("planted", &[], &[])]).len(), 1);
        assert_eq!(
            complaints(&[faults("disk full, and never room again")]).len(),
            1
        );
        assert_eq!(
            complaints(&[part("faults", &["a new fault"], &[])]).len(),
            1
        );
    }

    #[test]
    fn the_longer_name_counts() {
        let names = [
            "kill -9, writes answered too early",
            "kill -9, writes answered too early, through the runtime",
        ];
        let faults = [part("faults", &[], &names)];
        let found = |trial| {
            let Backing::Control(control) = of(trial, &faults) else {
                panic!("{trial} has no control");
            };
            control.name.clone()
        };
        assert_eq!(found("kill -9"), names[0]);
        assert_eq!(found("kill -9, through the runtime"), names[1]);
    }
}
