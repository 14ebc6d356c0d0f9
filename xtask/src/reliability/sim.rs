//! The part `sim`: seeds of the simulated world.

use std::process::Stdio;

use serde_json::Value;

use super::part::{Part, Trial};
use super::{Share, build};
use crate::project::Project;

/// Seeds of every commit.
const SEEDS: u64 = 100_000;

/// Those of the world in which the runtime stands on the journal; each takes longer.
const RUNTIME_SEEDS: u64 = 4_000;

/// Seeds of a full run begin after those of every commit.
const FULL_FROM: u64 = 1_000_000;

/// One run of the program.
struct Asked {
    trial: &'static str,
    flags: String,
}

/// The fewest minutes of a full run: one for each world.
pub(super) const MINUTES_MIN: u64 = 2;

/// Runs both worlds, each whatever came of the other, and writes the report.
///
/// # Errors
/// When one cannot be run, prints no report, or found something.
pub(super) fn run(project: &Project, share: Share) -> Result<(), String> {
    build(project, "sim")?;
    let mut whole = Part {
        part: "sim".to_owned(),
        ..Part::default()
    };
    let mut commands = Vec::new();
    let mut failures = Vec::new();
    for asked in asked(share) {
        let command = format!("cargo run --release -p sim -- {}", asked.flags);
        println!("{command}");
        let done = report(project, &asked).and_then(|report| {
            let trial = trial(asked.trial, &report);
            let trial = trial.ok_or("sim reports in another form than expected")?;
            Ok((trial, report))
        });
        match done {
            Ok((trial, report)) => {
                if trial.violations > 0 {
                    failures.push(format!("{command}: {report}"));
                }
                whole.seconds += report["seconds"].as_f64().unwrap_or_default() as u64;
                whole.trials.push(trial);
            }
            Err(reason) => failures.push(format!("{command}: {reason}")),
        }
        commands.push(command);
    }
    whole.command = commands.join("; ");
    whole.write(project)?;
    for failure in &failures {
        println!("sim: {failure}");
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("; ")),
    }
}

/// What the worlds are asked for. Three quarters of the time are the journal's.
fn asked(share: Share) -> [Asked; 2] {
    let [journal, runtime] = match share {
        Share::Commit => [
            format!("--seeds {SEEDS}"),
            format!("--seeds {RUNTIME_SEEDS}"),
        ],
        Share::Full { minutes } => {
            let journal = (minutes * 3 / 4).max(1);
            let runtime = minutes.saturating_sub(journal).max(1);
            [journal, runtime].map(|minutes| format!("--minutes {minutes} --from {FULL_FROM}"))
        }
    };
    [
        Asked {
            trial: "simulated schedules",
            flags: journal,
        },
        Asked {
            trial: "simulated schedules of the runtime",
            flags: format!("--runtime {runtime}"),
        },
    ]
}

fn report(project: &Project, asked: &Asked) -> Result<Value, String> {
    let arguments = format!("run --release --package sim -- {} --json", asked.flags);
    let output = project
        .cargo()
        .args(arguments.split(' '))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("sim ended with {} and no report: {error}", output.status))?;
    if output.status.success() || is_bad(&report) {
        Ok(report)
    } else {
        Err(format!("sim ended with {}: {report}", output.status))
    }
}

/// Whether a promise was broken, or a rare event never happened, so that nothing is proven of it.
fn is_bad(report: &Value) -> bool {
    let has_missed = report["never"]
        .as_array()
        .is_some_and(|never| !never.is_empty());
    !report["failure"].is_null() || has_missed
}

fn trial(name: &str, report: &Value) -> Option<Trial> {
    let count = |name: &str| report[name].as_u64();
    let crashes = ("crashes".to_owned(), count("crashes")?);
    let operations = ("disk operations".to_owned(), count("operations")?);
    Some(Trial {
        name: name.to_owned(),
        runs: count("schedules")?,
        violations: u64::from(is_bad(report)),
        counts: [crashes, operations].into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_simulation_is_a_violation() {
        let good = r#"{"schedules":9,"crashes":5,"operations":77,"seconds":1.5,"failure":null}"#;
        let read = |text: &str| trial("any", &serde_json::from_str(text).unwrap());
        let trial = read(good).unwrap();
        assert_eq!((trial.runs, trial.violations), (9, 0));
        assert_eq!(trial.counts["crashes"], 5);
        let bad = good.replace("null", r#"{"seed":3,"violation":"lost"}"#);
        assert_eq!(read(&bad).unwrap().violations, 1);
        let missed = good.replace('}', r#","never":["Torn"]}"#);
        assert_eq!(read(&missed).unwrap().violations, 1);
        assert!(read("{}").is_none());
    }

    #[test]
    fn a_full_run_takes_other_seeds_and_its_share_of_the_time() {
        let flags = |minutes| asked(Share::Full { minutes }).map(|asked| asked.flags);
        let journal = "--minutes 15 --from 1000000".to_owned();
        let runtime = "--runtime --minutes 5 --from 1000000".to_owned();
        assert_eq!(flags(20), [journal, runtime]);
        let one = flags(MINUTES_MIN).map(|flags| flags.contains("--minutes 1 "));
        assert_eq!(one, [true; 2]);
    }
}
