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

/// Runs both worlds and writes the report.
///
/// # Errors
/// When one cannot be run, prints no report, or found something.
pub(super) fn run(project: &Project, share: Share) -> Result<(), String> {
    build(project, "sim")?;
    let mut whole = Part {
        part: "sim".to_owned(),
        ..Part::default()
    };
    let mut failures = Vec::new();
    for asked in asked(share) {
        let report = report(project, &asked)?;
        let trial = trial(asked.trial, &report);
        whole
            .trials
            .push(trial.ok_or("sim reports in another form than expected")?);
        whole.seconds += report["seconds"].as_f64().unwrap_or_default() as u64;
        let command = format!("cargo run --release -p sim -- {}", asked.flags);
        if !report["failure"].is_null() {
            println!("sim: {}", report["failure"]);
            failures.push(format!("{command}: {report}"));
        }
        let and = if whole.command.is_empty() { "" } else { "; " };
        whole.command.push_str(and);
        whole.command.push_str(&command);
    }
    whole.write(project)?;
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("; "))
    }
}

fn asked(share: Share) -> [Asked; 2] {
    let [journal, runtime] = match share {
        Share::Commit => [
            format!("--seeds {SEEDS}"),
            format!("--runtime --seeds {RUNTIME_SEEDS}"),
        ],
        Share::Full { minutes } => [
            format!("--minutes {} --from {FULL_FROM}", (minutes / 4).max(1)),
            format!(
                "--runtime --minutes {} --from {FULL_FROM}",
                (minutes / 12).max(1)
            ),
        ],
    };
    [
        Asked {
            trial: "simulated schedules",
            flags: journal,
        },
        Asked {
            trial: "simulated schedules of the runtime",
            flags: runtime,
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
    if output.status.success() || !report["failure"].is_null() {
        Ok(report)
    } else {
        Err(format!("sim ended with {}: {report}", output.status))
    }
}

fn trial(name: &str, report: &Value) -> Option<Trial> {
    let count = |name: &str| report[name].as_u64();
    let crashes = ("crashes".to_owned(), count("crashes")?);
    let operations = ("disk operations".to_owned(), count("operations")?);
    Some(Trial {
        name: name.to_owned(),
        runs: count("schedules")?,
        violations: u64::from(!report["failure"].is_null()),
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
        assert!(read("{}").is_none());
    }

    #[test]
    fn a_full_run_takes_other_seeds_and_its_share_of_the_time() {
        let [journal, runtime] = asked(Share::Full { minutes: 60 });
        assert_eq!(journal.flags, "--minutes 15 --from 1000000");
        assert_eq!(runtime.flags, "--runtime --minutes 5 --from 1000000");
    }
}
