//! The part `sim`: seeds of the simulated world.

use std::process::Stdio;

use serde_json::Value;

use super::Share;
use super::part::{Part, Trial};
use crate::project::Project;

/// Seeds of every commit.
const SEEDS: u64 = 100_000;

/// Seeds of a full run begin after those of every commit.
const FULL_FROM: u64 = 1_000_000;

/// Runs it and writes its report.
///
/// # Errors
/// When it cannot be run, or prints no report.
pub(super) fn run(project: &Project, share: Share) -> Result<(), String> {
    let asked = match share {
        Share::Commit => format!("--seeds {SEEDS}"),
        Share::Full { minutes } => {
            format!("--minutes {} --from {FULL_FROM}", (minutes / 3).max(1))
        }
    };
    let arguments = format!("run --release --package sim -- {asked} --json");
    let output = project
        .cargo()
        .args(arguments.split(' '))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("sim ended with {} and no report: {error}", output.status))?;
    let command = format!("cargo run --release -p sim -- {asked}");
    let part = read(&report, command).ok_or("sim reports in another form than expected")?;
    part.write(project)?;
    if !report["failure"].is_null() {
        println!("sim: {}", report["failure"]);
    }
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{}: {report}", output.status))
    }
}

fn read(report: &Value, command: String) -> Option<Part> {
    let count = |name: &str| report[name].as_u64();
    let crashes = ("crashes".to_owned(), count("crashes")?);
    let operations = ("disk operations".to_owned(), count("operations")?);
    Some(Part {
        part: "sim".to_owned(),
        command,
        seconds: report["seconds"].as_f64()? as u64,
        trials: vec![Trial {
            name: "simulated schedules".to_owned(),
            runs: count("schedules")?,
            violations: u64::from(!report["failure"].is_null()),
            counts: [crashes, operations].into(),
        }],
        controls: Vec::new(),
        not_run: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_simulation_is_a_violation() {
        let good = r#"{"schedules":9,"crashes":5,"operations":77,"seconds":1.5,"failure":null}"#;
        let part = |text: &str| read(&serde_json::from_str(text).unwrap(), String::new());
        let trial = &part(good).unwrap().trials[0];
        assert_eq!((trial.runs, trial.violations), (9, 0));
        assert_eq!(trial.counts["crashes"], 5);
        let bad = good.replace("null", r#"{"seed":3,"violation":"lost"}"#);
        assert_eq!(part(&bad).unwrap().trials[0].violations, 1);
        assert!(part("{}").is_none());
    }
}
