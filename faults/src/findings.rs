//! What the ring did, in the form that `cargo xtask reliability` reads (docs/reliability.md).

use std::collections::BTreeMap;

use serde::Serialize;

/// What came of all that ran.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Findings {
    pub(crate) trials: Vec<Trial>,
    pub(crate) controls: Vec<Control>,
    pub(crate) not_run: Vec<NotRun>,
}

/// One kind of fault.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Trial {
    pub(crate) name: String,
    pub(crate) runs: u64,
    pub(crate) violations: u64,
    pub(crate) counts: BTreeMap<String, u64>,
    /// What was broken, in words.
    #[serde(skip)]
    pub(crate) broken: Vec<String>,
}

/// Runs with a disk that lies, or a report that was altered: the checker must go red.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Control {
    pub(crate) name: String,
    pub(crate) runs: u64,
    pub(crate) red: u64,
    pub(crate) red_min: u64,
}

/// Something that could not be tried here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NotRun {
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) is_excused: bool,
}

impl Trial {
    /// None yet.
    pub(crate) fn new(name: &str) -> Trial {
        Trial {
            name: name.to_owned(),
            ..Trial::default()
        }
    }

    /// Counts one run.
    pub(crate) fn run<E: std::fmt::Display>(&mut self, came_of_it: Result<(), E>) {
        self.runs += 1;
        self.broken_by(came_of_it);
    }

    /// Counts what else a run may have broken, after it was counted.
    pub(crate) fn broken_by<E: std::fmt::Display>(&mut self, came_of_it: Result<(), E>) {
        if let Err(broken) = came_of_it {
            self.violations += 1;
            self.broken.push(broken.to_string());
        }
    }

    /// Counts something else.
    pub(crate) fn count(&mut self, what: &str, by: u64) {
        *self.counts.entry(what.to_owned()).or_default() += by;
    }

    /// Adds other runs of the same kind.
    pub(crate) fn add(&mut self, other: Trial) {
        self.runs += other.runs;
        self.violations += other.violations;
        for (what, by) in other.counts {
            self.count(&what, by);
        }
        self.broken.extend(other.broken);
    }
}

impl Control {
    /// None yet; of a hundred runs so many must go red.
    pub(crate) fn new(name: &str) -> Control {
        Control {
            name: name.to_owned(),
            ..Control::default()
        }
    }

    /// Counts one run, red when a violation was found.
    pub(crate) fn run<T, E>(&mut self, came_of_it: &Result<T, E>) {
        self.runs += 1;
        self.red += u64::from(came_of_it.is_err());
    }

    /// With the least number of runs that must be red, in a hundred; at least one.
    pub(crate) fn must(mut self, percent: u64) -> Control {
        self.red_min = (self.runs * percent / 100).max(1);
        self
    }
}

impl Findings {
    /// Adds what another round found.
    pub(crate) fn add(&mut self, other: Findings) {
        for trial in other.trials {
            match self
                .trials
                .iter_mut()
                .find(|known| known.name == trial.name)
            {
                Some(known) => known.add(trial),
                None => self.trials.push(trial),
            }
        }
        for control in other.controls {
            match self
                .controls
                .iter_mut()
                .find(|known| known.name == control.name)
            {
                Some(known) => {
                    known.runs += control.runs;
                    known.red += control.red;
                    known.red_min += control.red_min;
                }
                None => self.controls.push(control),
            }
        }
        for missing in other.not_run {
            if !self.not_run.contains(&missing) {
                self.not_run.push(missing);
            }
        }
    }

    /// Whether no promise was broken, every control went red, and nothing is missing without excuse.
    pub(crate) fn are_good(&self) -> bool {
        self.trials.iter().all(|trial| trial.violations == 0)
            && self
                .controls
                .iter()
                .all(|control| control.red >= control.red_min)
            && self.not_run.iter().all(|missing| missing.is_excused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_added_by_name() {
        let round = |came: Result<(), &str>, red: Result<(), &str>| {
            let mut trial = Trial::new("power cuts");
            trial.run(came);
            trial.count("acknowledged", 7);
            let mut control = Control::new("no sync");
            control.run(&red);
            Findings {
                trials: vec![trial],
                controls: vec![control.must(100)],
                not_run: Vec::new(),
            }
        };
        let mut all = round(Ok(()), Err("lost"));
        all.add(round(Ok(()), Err("lost")));
        assert!(all.are_good());
        assert_eq!(
            (all.trials[0].runs, all.trials[0].counts["acknowledged"]),
            (2, 14)
        );
        assert_eq!((all.controls[0].runs, all.controls[0].red_min), (2, 2));
        let mut broken = all.clone();
        broken.add(round(Err("lost"), Err("lost")));
        assert!(!broken.are_good());
        all.add(round(Ok(()), Ok(())));
        assert!(!all.are_good(), "a control that stays green");
    }
}
