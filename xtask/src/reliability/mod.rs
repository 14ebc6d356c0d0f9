//! `cargo xtask reliability`: the whole reliability programme, and its figures.
//!
//! Each part runs a program of its own in release mode and reports as a [`Part`]. Without `--full`
//! each does its per-commit share, about six minutes on two cores in all; with `--full --minutes N`
//! they share N minutes (`share.rs`), and builds come on top. A part that fails does not keep the others
//! from running. `--record` writes the figures to `docs/reliability.json` and sums them up in
//! `docs/guarantees.md`, when all was as it must be and not before.

mod asked;
mod backing;
mod faults;
pub(crate) mod part;
mod pulse;
pub(crate) mod record;
mod share;
mod sim;
mod table;

use std::process::ExitCode;

use crate::clock::Stopwatch;
use crate::planted;
use crate::project::Project;
use asked::Asked;
use part::Part;
pub(crate) use share::Share;
use share::Time;

/// A part of the programme: its name, what it needs of a full run's time, and what runs it and leaves
/// its report behind.
struct Runner {
    name: &'static str,
    time: Time,
    run: fn(&Project, Share) -> Result<(), String>,
}

/// All parts, in the order in which they run.
const PARTS: [Runner; 5] = [
    Runner {
        name: "faults",
        time: shared(4, 1),
        run: faults::run,
    },
    Runner {
        name: "fuzz",
        time: shared(3, 1),
        run: crate::fuzz::part,
    },
    Runner {
        name: "interleavings",
        time: Time::Own { minutes: 1 },
        run: |project, _| crate::interleavings::report(project),
    },
    Runner {
        name: "planted",
        time: Time::Own { minutes: 2 },
        run: |project, _| planted::report(project, &[]),
    },
    Runner {
        name: "sim",
        time: shared(4, sim::MINUTES_MIN),
        run: sim::run,
    },
];

const fn shared(weight: u64, least: u64) -> Time {
    Time::Shared { weight, least }
}

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
    for (runner, share) in asked.shares()? {
        println!("\n{}", title(runner, share, whole));
        let ran = forget(project, runner.name)
            .and_then(|()| pulse::beside(runner.name, share, || (runner.run)(project, share)));
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
    match (asked.is_recorded, complaints.is_empty()) {
        (true, true) => record::write(project, asked.share, &parts)?,
        (true, false) => println!("{} stays as it was", record::RECORD),
        (false, _) => {}
    }
    let not_run = parts.iter().flat_map(|part| &part.not_run);
    let not_run = not_run.map(|missing| format!("{} ({})", missing.name, missing.reason));
    Ok(Done {
        not_run: not_run.collect(),
        complaints,
    })
}

fn title(runner: &Runner, share: Share, whole: Stopwatch) -> String {
    let seconds = whole.elapsed().as_secs();
    let name = runner.name;
    match share {
        Share::Commit => format!("reliability: {name} [{seconds} s]"),
        Share::Full { minutes } => format!("reliability: {name}, {minutes} min [{seconds} s]"),
    }
}

/// Removes what an earlier run left: it must not stand in for this one.
fn forget(project: &Project, name: &str) -> Result<(), String> {
    match std::fs::remove_file(Part::path(project, name)?) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("the last report cannot be removed: {error}")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
