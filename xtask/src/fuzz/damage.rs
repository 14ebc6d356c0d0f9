//! Small journals damaged bit by bit and file by file, by the program `hostile`.

use std::process::Stdio;

use serde_json::Value;

use crate::project::Project;
use crate::reliability::part::{Control, Trial};

/// What the program reports on, and what a trial of it is called.
const KINDS: [(&str, &str); 3] = [
    ("flips", "flipped bits of a journal"),
    ("files", "damaged, exchanged and old files"),
    ("snapshots", "flipped bits of a snapshot"),
];

/// How many bits are flipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thorough {
    /// Of zeros that mean nothing, one bit of each byte.
    Commit,
    /// Each.
    EachBit,
}

/// Damages them all.
///
/// # Errors
/// When the program cannot be run, or prints no report.
pub(super) fn trials(
    project: &Project,
    thorough: Thorough,
) -> Result<(Vec<Trial>, Vec<Control>), String> {
    let output = project
        .cargo()
        .args(["run", "--release", "--package", "hostile", "--", "damage"])
        .args(match thorough {
            Thorough::Commit => None,
            Thorough::EachBit => Some("--each-bit"),
        })
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("hostile ended with {}: {error}", output.status))?;
    let other = "hostile reports in another form than expected";
    let trials = read(&report).ok_or(other)?;
    let controls = controls(&report).ok_or(other)?;
    for (kind, _) in KINDS {
        for violation in report[kind]["first_violations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            println!("VIOLATION {violation}");
        }
    }
    Ok((trials, controls))
}

/// Each must be red in all of its runs.
fn controls(report: &Value) -> Option<Vec<Control>> {
    let control = |said: &Value| {
        Some(Control {
            name: said["name"].as_str()?.to_owned(),
            runs: said["runs"].as_u64()?,
            red: said["red"].as_u64()?,
            red_min: said["runs"].as_u64()?,
        })
    };
    report["controls"].as_array()?.iter().map(control).collect()
}

fn read(report: &Value) -> Option<Vec<Trial>> {
    let trial = |(kind, name): (&str, &str)| {
        let report = &report[kind];
        let seen = report["seen"].as_object()?.iter();
        let seen = seen.map(|(what, count)| Some((what.clone(), count.as_u64()?)));
        Some(Trial {
            name: name.to_owned(),
            runs: report["runs"].as_u64()?,
            violations: report["violations"].as_u64()?,
            counts: seen.collect::<Option<_>>()?,
        })
    };
    KINDS.into_iter().map(trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_damage_is_a_trial() {
        let one = r#"{"runs":9,"violations":1,"seen":{"refused at opening":8}}"#;
        let blind = r#"[{"name":"flips","runs":9,"red":8}]"#;
        let text =
            format!(r#"{{"flips":{one},"files":{one},"snapshots":{one},"controls":{blind}}}"#);
        let report = serde_json::from_str(&text).unwrap();
        assert!(!controls(&report).unwrap()[0].is_red());
        let trials = read(&report).unwrap();
        assert_eq!(trials.len(), 3);
        assert_eq!((trials[0].runs, trials[0].violations), (9, 1));
        assert_eq!(trials[0].counts["refused at opening"], 8);
        assert!(read(&serde_json::from_str("{}").unwrap()).is_none());
    }
}
