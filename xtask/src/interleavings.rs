//! `cargo xtask interleavings`: the journal's callers, writer and shutdown in thousands of orders that
//! a checker draws, and again with each bug that one of them must show.
//!
//! The tests are those of `crates/refrain-journal/tests/interleavings.rs`, in a build of their own below
//! the target directory, with `--cfg shuttle --cfg planted`.

use std::process::{Command, ExitCode};

use crate::clock::Stopwatch;
use crate::project::Project;
use crate::reliability::part::{Control, Part, Trial};

/// The bugs that some order must show.
const BUGS: [&str; 6] = [
    "waker-left-unseen",
    "wakers-taken-before-store",
    "writer-not-rung",
    "call-overlooked",
    "stopped-without-telling",
    "follower-not-woken",
];

/// What each test prints when it is done with one scheduler, or fails.
const DONE: &str = "schedules: ";
const FAILED: &str = "schedules until it failed: ";

/// Runs the tests without a bug and with each of them.
///
/// # Errors
/// When a test fails, a bug is not shown, or cargo cannot be run.
pub(crate) fn run(project: &Project) -> Result<ExitCode, String> {
    report(project).map(|()| ExitCode::SUCCESS)
}

/// As [`run`]; leaves the report of the part `interleavings` behind.
///
/// # Errors
/// As [`run`].
pub(crate) fn report(project: &Project) -> Result<(), String> {
    let started = Stopwatch::start();
    let mut part = Part {
        part: "interleavings".to_owned(),
        command: "cargo xtask interleavings".to_owned(),
        ..Part::default()
    };
    let sound = Ran::of(project, None)?;
    part.trials.push(Trial {
        name: "orders of threads".to_owned(),
        runs: sound.schedules,
        violations: u64::from(!sound.is_good),
        ..Trial::default()
    });
    if !sound.is_good {
        println!("{}", sound.output);
    }
    for bug in BUGS {
        let ran = Ran::of(project, Some(bug))?;
        println!("{bug:<32} {}", ran.line());
        part.controls.push(Control {
            name: bug.to_owned(),
            runs: ran.until_failure.unwrap_or(0),
            red: u64::from(ran.until_failure.is_some()),
            red_min: 1,
        });
    }
    part.seconds = started.elapsed().as_secs();
    part.write(project)?;
    let complaints = part.complaints();
    if !complaints.is_empty() {
        return Err(complaints.join("\n"));
    }
    println!(
        "interleavings: {} orders, {} bugs, all shown",
        sound.schedules,
        BUGS.len()
    );
    Ok(())
}

/// What came of the tests.
struct Ran {
    is_good: bool,
    /// Orders in which all went well.
    schedules: u64,
    /// The fewest orders that a test took to fail.
    until_failure: Option<u64>,
    output: String,
}

impl Ran {
    fn of(project: &Project, bug: Option<&str>) -> Result<Ran, String> {
        let mut command = command(project)?;
        if let Some(bug) = bug {
            command.env("REFRAIN_PLANTED", bug);
        }
        let output = command
            .output()
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let ran = Ran::read(text, output.status.success());
        if ran.schedules == 0 && ran.until_failure.is_none() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!("the tests ran nothing: {complaint}"));
        }
        Ok(ran)
    }

    fn read(output: String, is_good: bool) -> Ran {
        let numbers = |what: &str| {
            // The harness writes names of tests in front.
            let lines = output.lines().filter_map(|line| line.split_once(what));
            let numbers: Vec<u64> = lines.filter_map(|(_, count)| count.parse().ok()).collect();
            numbers
        };
        let is_red = !is_good;
        Ran {
            is_good,
            schedules: numbers(DONE).iter().sum(),
            until_failure: numbers(FAILED).into_iter().min().filter(|_| is_red),
            output,
        }
    }

    fn line(&self) -> String {
        match self.until_failure {
            Some(count) => format!("{count:>6}"),
            None => "     -  not shown".to_owned(),
        }
    }
}

fn command(project: &Project) -> Result<Command, String> {
    let dir = project.target_dir()?.join("interleavings");
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let arguments = "test --release --package refrain-journal --test interleavings";
    let mut command = project.cargo();
    command
        .args(arguments.split(' '))
        .arg("--target-dir")
        .arg(&dir)
        .args(["--", "--nocapture"])
        .env("RUSTFLAGS", format!("{flags} --cfg shuttle --cfg planted"));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_counted_and_a_bug_counts_as_shown_only_when_a_test_failed() {
        let output = "test one ... schedules: 2000\nschedules: 2000\nok\n";
        let good = Ran::read(output.to_owned(), true);
        assert_eq!((good.schedules, good.until_failure), (4000, None));
        let output = "schedules until it failed: 9\nschedules: 5\nschedules until it failed: 3\n";
        let bad = Ran::read(output.to_owned(), false);
        assert_eq!((bad.schedules, bad.until_failure), (5, Some(3)));
        assert_eq!(Ran::read(output.to_owned(), true).until_failure, None);
    }
}
