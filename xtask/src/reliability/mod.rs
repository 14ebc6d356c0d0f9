//! `cargo xtask reliability`: the whole reliability programme, and its figures.
//!
//! Each part runs a program of its own in release mode and reports as a [`Part`]. Without `--full`
//! each does its per-commit share, about six minutes on two cores in all; with `--full --minutes N`
//! they share N minutes. `--record` writes the figures to `docs/reliability.json` and sums them up in
//! `docs/guarantees.md`.

mod backing;
mod faults;
pub(crate) mod part;
pub(crate) mod record;
mod sim;
mod table;

use std::process::ExitCode;

use crate::clock::Stopwatch;
use crate::planted;
use crate::project::Project;
use part::Part;

/// How much of the programme runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// What every change must pass.
    Commit,
    /// As much as fits into so many minutes.
    Full {
        /// The minutes, for all parts together.
        minutes: u64,
    },
}

/// A part of the programme: its name, and what runs it and leaves its report behind.
struct Runner {
    name: &'static str,
    run: fn(&Project, Share) -> Result<(), String>,
}

/// All parts, the quick ones first.
const PARTS: [Runner; 5] = [
    Runner {
        name: "faults",
        run: faults::run,
    },
    Runner {
        name: "fuzz",
        run: crate::fuzz::part,
    },
    Runner {
        name: "interleavings",
        run: |project, _| crate::interleavings::report(project),
    },
    Runner {
        name: "planted",
        run: |project, _| planted::report(project, &[]),
    },
    Runner {
        name: "sim",
        run: sim::run,
    },
];

/// Runs the parts that `arguments` name, or all, and prints one table.
///
/// # Errors
/// When the arguments cannot be understood, or a report cannot be read.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<ExitCode, String> {
    let done = carry_out(project, &Asked::read(arguments)?)?;
    Ok(if done.complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Done {
    /// Why it failed, if it did.
    pub(crate) complaints: Vec<String>,
    /// What could not run here, and why.
    pub(crate) not_run: Vec<String>,
}

/// Runs what every commit must pass.
///
/// # Errors
/// When a report cannot be removed.
pub(crate) fn check(project: &Project) -> Result<Done, String> {
    carry_out(project, &Asked::read(&[])?)
}

fn carry_out(project: &Project, asked: &Asked) -> Result<Done, String> {
    let mut parts = Vec::new();
    let mut complaints = Vec::new();
    let whole = Stopwatch::start();
    for runner in asked.runners() {
        let seconds = whole.elapsed().as_secs();
        println!("\nreliability: {} [{seconds} s]", runner.name);
        // What an earlier run left must not stand in for this one.
        match std::fs::remove_file(Part::path(project, runner.name)?) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.to_string()),
        }
        let ran = (runner.run)(project, asked.share);
        let part = Part::read(project, runner.name);
        complaints.extend(complaints_of(runner.name, ran, part.as_ref()));
        parts.extend(part);
    }
    complaints.extend(backing::complaints(&parts));
    println!("\n{}", table::plain(&parts));
    println!(
        "{}; {} s with all builds",
        table::times(&parts),
        whole.elapsed().as_secs()
    );
    for complaint in &complaints {
        println!("FAILED {complaint}");
    }
    if asked.is_recorded && complaints.is_empty() {
        record::write(project, asked.share, &parts)?;
    }
    let not_run = parts.iter().flat_map(|part| &part.not_run);
    let not_run = not_run.map(|missing| format!("{} ({})", missing.name, missing.reason));
    Ok(Done {
        not_run: not_run.collect(),
        complaints,
    })
}

/// Builds a program in release mode, so that what it takes afterwards is its own time.
pub(crate) fn build(project: &Project, package: &str) -> Result<(), String> {
    let built = project
        .cargo()
        .args(["build", "--release", "--package", package])
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if built.success() {
        Ok(())
    } else {
        Err(format!("the build of {package} ended with {built}"))
    }
}

/// What is wrong with a part: what its report says, or else why it failed or left none.
fn complaints_of(name: &str, ran: Result<(), String>, part: Result<&Part, &String>) -> Vec<String> {
    let mut complaints = part.map(Part::complaints).unwrap_or_default();
    match (ran, part) {
        (Err(reason), _) if complaints.is_empty() => complaints.push(format!("{name}: {reason}")),
        (Ok(()), Err(reason)) => complaints.push(format!("{name}: no report: {reason}")),
        (Ok(()) | Err(_), _) => {}
    }
    complaints
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    share: Share,
    is_recorded: bool,
    names: Vec<String>,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Asked, String> {
        let mut is_full = false;
        let mut is_recorded = false;
        let mut minutes = None;
        let mut names = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--full" => is_full = true,
                "--record" => is_recorded = true,
                "--minutes" => {
                    let number = rest.next().and_then(|text| text.parse().ok());
                    minutes = Some(number.ok_or("--minutes needs a whole number")?);
                }
                name if PARTS.iter().any(|runner| runner.name == name) => {
                    names.push(name.to_owned());
                }
                unknown => {
                    let known: Vec<&str> = PARTS.iter().map(|runner| runner.name).collect();
                    let known = known.join(", ");
                    return Err(format!(
                        "there is no part `{unknown}`; the parts are {known}"
                    ));
                }
            }
        }
        let share = match (is_full, minutes) {
            (false, None) => Share::Commit,
            (true, Some(minutes)) => Share::Full { minutes },
            (true, None) | (false, Some(_)) => {
                return Err("--full and --minutes N belong together".to_owned());
            }
        };
        Ok(Asked {
            share,
            is_recorded,
            names,
        })
    }

    fn runners(&self) -> impl Iterator<Item = &'static Runner> {
        PARTS
            .iter()
            .filter(|runner| self.names.is_empty() || self.names.iter().any(|n| n == runner.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &str) -> Result<Asked, String> {
        let arguments: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Asked::read(&arguments)
    }

    #[test]
    fn all_parts_run_unless_some_are_named() {
        let all = asked("").unwrap();
        assert_eq!(all.share, Share::Commit);
        assert_eq!(all.runners().count(), PARTS.len());
        assert_eq!(asked("sim").unwrap().runners().count(), 1);
        assert!(asked("simulation").unwrap_err().contains("sim"));
    }

    #[test]
    fn a_part_that_failed_or_left_no_report_is_a_complaint_whatever_it_says() {
        let good = Part {
            part: "sim".to_owned(),
            trials: vec![part::Trial {
                runs: 1,
                ..part::Trial::default()
            }],
            ..Part::default()
        };
        let failed = || Err("it ended with 1".to_owned());
        let count = |ran, part| complaints_of("sim", ran, part).len();
        let missing = "no such file".to_owned();
        assert_eq!(count(Ok(()), Ok(&good)), 0);
        assert_eq!(count(failed(), Ok(&good)), 1);
        assert_eq!(count(Ok(()), Err(&missing)), 1);
        assert_eq!(count(failed(), Err(&missing)), 1);
        assert_eq!(count(failed(), Ok(&Part::default())), 1);
    }

    #[test]
    fn a_full_run_says_how_long() {
        let full = asked("--full --minutes 30").unwrap();
        assert_eq!(full.share, Share::Full { minutes: 30 });
        for half in [
            "--full",
            "--minutes 30",
            "--full --minutes",
            "--full --minutes x",
        ] {
            assert!(asked(half).is_err(), "{half}");
        }
    }
}
