//! What one part of the reliability programme did, as a file of its own.
//!
//! Every part (`sim`, `planted`, `fuzz`, `faults`) ends by writing one [`Part`] to
//! `reliability/NAME.json` in the target directory. `cargo xtask reliability` reads them all; it
//! knows nothing of how a part works.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::project::Project;

/// What one part did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// Its name, which is that of its file too.
    pub(crate) part: String,
    /// The command that repeats it.
    pub(crate) command: String,
    /// How long it took.
    pub(crate) seconds: u64,
    /// What was tried.
    pub(crate) trials: Vec<Trial>,
    /// The runs that had to go wrong.
    pub(crate) controls: Vec<Control>,
    /// What could not be tried here.
    pub(crate) not_run: Vec<NotRun>,
}

/// One kind of thing that was tried, and how often a promise was broken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    /// What, in the plural: `power cuts`.
    pub(crate) name: String,
    /// How many.
    pub(crate) runs: u64,
    /// In how many of them a promise was broken.
    pub(crate) violations: u64,
    /// Whatever else was counted: `acknowledged`, `crashes`.
    #[serde(default)]
    pub(crate) counts: BTreeMap<String, u64>,
}

/// Runs with the defence off, or with a bug planted: the same check must go red.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Control {
    /// What was wrong on purpose: `no-sync`.
    pub(crate) name: String,
    /// How many runs it took or was given.
    pub(crate) runs: u64,
    /// How many of them went red.
    pub(crate) red: u64,
    /// How many must, at least 1.
    pub(crate) red_min: u64,
}

/// Something that could not be tried on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotRun {
    /// What, as a trial would be named.
    pub(crate) name: String,
    /// Why.
    pub(crate) reason: String,
    /// Whether nothing could be done about it here. What is not excused fails the run.
    pub(crate) is_excused: bool,
}

impl Control {
    /// Whether it went wrong as often as it must.
    pub(crate) fn is_red(&self) -> bool {
        self.red >= self.red_min.max(1)
    }
}

impl Part {
    /// Writes it where `cargo xtask reliability` looks for it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&self, project: &Project) -> Result<(), String> {
        let path = Part::path(project, &self.part)?;
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        std::fs::create_dir_all(path.parent().expect("it was joined")).map_err(failed)?;
        let text = serde_json::to_string_pretty(self).expect("names and numbers become JSON");
        std::fs::write(&path, text + "\n").map_err(failed)
    }

    /// Reads the part that `name` wrote last.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(project: &Project, name: &str) -> Result<Part, String> {
        let path = Part::path(project, name)?;
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let part: Part =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        if part.part == name {
            Ok(part)
        } else {
            Err(format!("{} is of {}", path.display(), part.part))
        }
    }

    /// Where the part `name` is written.
    ///
    /// # Errors
    /// When cargo does not say where it builds.
    pub(crate) fn path(project: &Project, name: &str) -> Result<PathBuf, String> {
        let dir = project.target_dir()?.join("reliability");
        Ok(dir.join(format!("{name}.json")))
    }

    /// What is wrong with it: nothing, if every promise held and every control went red.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for trial in &self.trials {
            if trial.runs == 0 {
                complaints.push(format!("{}: there was no run", trial.name));
            }
            if trial.violations > 0 {
                let Trial { name, runs, .. } = trial;
                let violations = trial.violations;
                complaints.push(format!("{name}: broken in {violations} of {runs}"));
            }
        }
        for control in &self.controls {
            if !control.is_red() {
                complaints.push(format!(
                    "the control {} went red in {} of {} runs, and {} must",
                    control.name,
                    control.red,
                    control.runs,
                    control.red_min.max(1)
                ));
            }
        }
        for missing in self.not_run.iter().filter(|missing| !missing.is_excused) {
            complaints.push(format!("{} did not run: {}", missing.name, missing.reason));
        }
        if self.trials.is_empty() && self.not_run.is_empty() {
            complaints.push("it says nothing of what was tried".to_owned());
        }
        complaints
            .into_iter()
            .map(|complaint| format!("{}: {complaint}", self.part))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Part {
        Part {
            part: "faults".to_owned(),
            trials: vec![Trial {
                name: "power cuts".to_owned(),
                runs: 100,
                ..Trial::default()
            }],
            controls: vec![Control {
                name: "no-sync".to_owned(),
                runs: 10,
                red: 9,
                red_min: 9,
            }],
            ..Part::default()
        }
    }

    #[test]
    fn a_part_is_good_only_without_violations_and_with_red_controls() {
        assert_eq!(good().complaints(), Vec::<String>::new());

        let mut broken = good();
        broken.trials[0].violations = 1;
        assert!(broken.complaints()[0].contains("broken in 1 of 100"));

        let mut idle = good();
        idle.trials[0].runs = 0;
        assert_eq!(idle.complaints().len(), 1);

        let mut blind = good();
        blind.controls[0].red = 8;
        assert!(blind.complaints()[0].contains("no-sync"));

        assert_eq!(Part::default().complaints().len(), 1);
    }

    #[test]
    fn a_control_that_never_goes_red_is_a_complaint_whatever_it_asks_for() {
        let mut blind = good();
        blind.controls[0].red = 0;
        blind.controls[0].red_min = 0;
        assert_eq!(blind.complaints().len(), 1);
    }

    #[test]
    fn what_could_have_run_and_did_not_is_a_complaint() {
        let mut part = good();
        part.not_run.push(NotRun {
            name: "power cuts".to_owned(),
            reason: "only root may mount".to_owned(),
            is_excused: true,
        });
        assert!(part.complaints().is_empty());
        part.not_run[0].is_excused = false;
        assert_eq!(part.complaints().len(), 1);
    }

    #[test]
    fn a_part_is_read_as_it_was_written_and_unknown_fields_are_refused() {
        let text = serde_json::to_string(&good()).unwrap();
        assert_eq!(serde_json::from_str::<Part>(&text).unwrap(), good());
        let other = text.replacen("\"seconds\"", "\"minutes\"", 1);
        assert!(serde_json::from_str::<Part>(&other).is_err());
    }
}
