//! `cargo xtask fuzz`: coverage-guided fuzzing of every parser of stored bytes, and small journals
//! damaged bit by bit.
//!
//! The fuzzer is libFuzzer, built with the toolchain of everything else: its C++ by the system's
//! compiler, our code with the coverage that LLVM knows how to count. It stands in `fuzz/`, which is
//! a workspace of its own. `docs/fuzzing.md` says more.

mod build;
mod damage;
mod session;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use crate::clock::Stopwatch;
use crate::project::Project;
use crate::reliability::part::{Control, NotRun, Part};
use crate::reliability::{self, Share};
use build::{Fuzzer, Length};
use damage::Thorough;
use session::Session;

/// Where the committed inputs are: a directory per target.
const CORPUS: &str = "fuzz/corpus";

/// The fuzzer's own control: a panic behind four bytes that it must find.
const PLANTED: &str = "planted";

/// Inputs to each target per commit. The same ones each time: a change is not refused for what nobody has
/// found before, and runs by time look for that.
const INPUTS: u64 = 100_000;

/// Inputs to each of the large targets per commit.
const LARGE_INPUTS: u64 = 20_000;

/// Seconds for all targets together, unless asked for.
const SECONDS: u64 = 30;

/// Seconds of a full run that are left for damage, each bit of it.
const DAMAGE_SECONDS: u64 = 90;

/// Seconds in which the planted panic must be found; it takes less than one.
const PLANTED_SECONDS: u64 = 30;

/// Targets that run at once.
const AT_ONCE: u64 = 2;

/// Targets that get more time than the others: they hold all the others.
const LARGE: [&str; 3] = ["backup", "directory", "log"];

/// How many times as much.
const LARGE_WEIGHT: u64 = 5;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    seconds: u64,
    targets: Vec<String>,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    /// Fuzz.
    Fuzz,
    /// Run one input and nothing else.
    Repeat(PathBuf),
    /// Put the smallest corpus that reaches what all inputs reach in the place of the committed one.
    Minimise,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Asked, String> {
        let mut asked = Asked {
            seconds: SECONDS,
            targets: Vec::new(),
            what: What::Fuzz,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--seconds" => {
                    let number = rest.next().and_then(|text| text.parse().ok());
                    asked.seconds = number.ok_or("--seconds needs a whole number")?;
                }
                "--repeat" => {
                    let file = rest.next().ok_or("--repeat needs a file")?;
                    asked.what = What::Repeat(PathBuf::from(file));
                }
                "--minimise" => asked.what = What::Minimise,
                flag if flag.starts_with('-') => return Err(format!("there is no flag {flag}")),
                target => asked.targets.push(target.to_owned()),
            }
        }
        let repeats = matches!(asked.what, What::Repeat(_));
        if repeats && asked.targets.len() != 1 {
            return Err("--repeat FILE goes with one target".to_owned());
        }
        Ok(asked)
    }
}

/// Does what `arguments` ask for.
///
/// # Errors
/// When they cannot be understood, or something cannot be started.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<ExitCode, String> {
    let asked = Asked::read(arguments)?;
    let targets = targets(project, &asked.targets)?;
    let is_good = match asked.what {
        What::Fuzz => {
            let command = format!("cargo xtask fuzz {}", arguments.join(" "));
            let part = all(
                project,
                &targets,
                Amount::Seconds(asked.seconds),
                command.trim_end(),
            )?;
            part.write(project)?;
            let complaints = part.complaints();
            for complaint in &complaints {
                println!("FAILED {complaint}");
            }
            complaints.is_empty()
        }
        What::Repeat(file) => Fuzzer::build(project)?.repeat(&targets[0], &file)?,
        What::Minimise => minimise(project, &targets)?,
    };
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The part `fuzz` of the reliability programme.
///
/// # Errors
/// When something cannot be started.
pub(crate) fn part(project: &Project, share: Share) -> Result<(), String> {
    let (amount, command) = match share {
        Share::Commit => (Amount::Commit, "cargo xtask reliability fuzz".to_owned()),
        Share::Full { minutes } => {
            let seconds = (minutes * 60).saturating_sub(DAMAGE_SECONDS).max(SECONDS);
            let command = format!("cargo xtask fuzz --seconds {seconds}");
            (Amount::Seconds(seconds), command)
        }
    };
    all(project, &targets(project, &[])?, amount, &command)?.write(project)
}

/// All targets, or those that `wanted` names: each has a directory of inputs.
fn targets(project: &Project, wanted: &[String]) -> Result<Vec<String>, String> {
    let dir = project.root().join(CORPUS);
    let failed = |error| format!("{}: {error}", dir.display());
    let mut known = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(failed)? {
        known.push(
            entry
                .map_err(failed)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    known.sort();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        let known = known.join(", ");
        return Err(format!(
            "there is no target {unknown}; the targets are {known}"
        ));
    }
    Ok(if wanted.is_empty() {
        known
    } else {
        wanted.to_vec()
    })
}

/// Damages journals, then fuzzes the targets; gives the report.
fn all(
    project: &Project,
    targets: &[String],
    amount: Amount,
    command: &str,
) -> Result<Part, String> {
    let mut part = Part {
        part: "fuzz".to_owned(),
        command: command.to_owned(),
        ..Part::default()
    };
    reliability::build(project, "hostile")?;
    let fuzzer = match build::missing() {
        Some(reason) => Err(reason),
        None => Ok(Fuzzer::build(project)?),
    };
    let watch = Stopwatch::start();
    let thorough = match amount {
        Amount::Seconds(seconds) if seconds > SECONDS => Thorough::EachBit,
        Amount::Seconds(_) | Amount::Commit => Thorough::Commit,
    };
    let (trials, damaged) = damage::trials(project, thorough)?;
    part.trials.extend(trials);
    part.controls.extend(damaged);
    match fuzzer {
        Err(reason) => part.not_run.push(NotRun {
            name: "fuzzing".to_owned(),
            reason,
            is_excused: true,
        }),
        Ok(fuzzer) => {
            part.controls.push(control(&fuzzer)?);
            let sessions = sessions(&fuzzer, targets, amount)?;
            print!("{}", session::table(&sessions));
            part.trials.extend(sessions.iter().map(Session::trial));
        }
    }
    part.seconds = watch.elapsed().as_secs();
    Ok(part)
}

/// The planted panic is found, or the fuzzer is blind.
fn control(fuzzer: &Fuzzer) -> Result<Control, String> {
    let session = fuzzer.run(PLANTED, None, Length::Seconds(PLANTED_SECONDS))?;
    println!(
        "control: the planted panic was {} after {} executions",
        if session.crash.is_some() {
            "found"
        } else {
            "NOT found"
        },
        session.executions
    );
    Ok(Control {
        name: "a panic behind four bytes".to_owned(),
        runs: session.executions,
        red: u64::from(session.crash.is_some()),
        red_min: 1,
    })
}

/// How much is fuzzed in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    /// What every commit must pass.
    Commit,
    /// So many seconds.
    Seconds(u64),
}

impl Amount {
    /// The share of the target `name` among all `targets`.
    fn share(self, name: &str, targets: &[String]) -> Length {
        match self {
            Amount::Commit if LARGE.contains(&name) => Length::Inputs(LARGE_INPUTS),
            Amount::Commit => Length::Inputs(INPUTS),
            Amount::Seconds(seconds) => {
                let weights: u64 = targets.iter().map(|name| weight(name)).sum();
                let share = (seconds * AT_ONCE * weight(name)).div_ceil(weights.max(1));
                Length::Seconds(share.max(1))
            }
        }
    }
}

fn weight(name: &str) -> u64 {
    match LARGE.contains(&name) {
        true => LARGE_WEIGHT,
        false => 1,
    }
}

/// Fuzzes the targets, two at once.
fn sessions(fuzzer: &Fuzzer, targets: &[String], amount: Amount) -> Result<Vec<Session>, String> {
    // The long ones first, so that none is left alone at the end.
    let mut waiting: Vec<&String> = targets.iter().collect();
    waiting.sort_by_key(|name| weight(name));
    let waiting = Mutex::new(waiting);
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.pop());
    let work = || {
        let mut done = Vec::new();
        while let Some(name) = next() {
            let share = amount.share(name, targets);
            let session = fuzzer.run(name, Some(Path::new(CORPUS)), share)?;
            println!("fuzz: {name}, {} inputs", session.executions);
            done.push(session);
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let mut sessions = Vec::new();
        for thread in running {
            let done: Result<Vec<Session>, String> =
                thread.join().map_err(|_| "a session panicked")?;
            sessions.extend(done?);
        }
        sessions.sort_by(|a, b| a.target.cmp(&b.target));
        Ok(sessions)
    })
}

fn minimise(project: &Project, targets: &[String]) -> Result<bool, String> {
    let fuzzer = Fuzzer::build(project)?;
    for target in targets {
        fuzzer.minimise(target, &project.root().join(CORPUS).join(target))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &str) -> Result<Asked, String> {
        let arguments: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Asked::read(&arguments)
    }

    #[test]
    fn a_share_of_time_and_targets_can_be_asked_for() {
        let all = asked("").unwrap();
        assert_eq!((all.seconds, all.targets.len()), (SECONDS, 0));
        let two = asked("--seconds 600 log mark").unwrap();
        assert_eq!((two.seconds, two.targets.len()), (600, 2));
        let repeat = asked("log --repeat crash-1").unwrap();
        assert_eq!(repeat.what, What::Repeat("crash-1".into()));
        for wrong in ["--seconds", "--seconds x", "--repeat crash-1", "--fast"] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_commit_gets_the_same_inputs_and_a_long_run_shares_its_time() {
        let targets = ["log", "mark"].map(str::to_owned);
        assert_eq!(
            Amount::Commit.share("mark", &targets),
            Length::Inputs(INPUTS)
        );
        assert_eq!(
            Amount::Commit.share("log", &targets),
            Length::Inputs(LARGE_INPUTS)
        );
        let time = |name| Amount::Seconds(60).share(name, &targets);
        assert_eq!(
            (time("log"), time("mark")),
            (Length::Seconds(100), Length::Seconds(20))
        );
    }

    #[test]
    fn a_target_that_does_not_exist_is_refused_with_those_that_do() {
        let project = Project::find().unwrap();
        let refused = targets(&project, &["marks".to_owned()]).unwrap_err();
        assert!(refused.contains("marks") && refused.contains("segment-header"));
    }
}
