//! Short drills with the compiled program: both programs run as real processes, and are killed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed test shows what went wrong"
)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// As large as a drill must be to be sure of what it shows, and no larger.
const SHORT: [&str; 3] = ["--orders=160", "--kills=8", "--seed=7"];

struct Drilled {
    succeeded: bool,
    report: Value,
}

/// Runs a drill with its files in a directory that is removed afterwards.
#[track_caller]
fn drill(arguments: &[&str]) -> Drilled {
    let dir = tempfile::tempdir().unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_orders"))
        .args(["drill", "--json"])
        .args(arguments)
        .arg("--data")
        .arg(dir.path().join("drill"))
        .output()
        .unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    eprintln!("{}\n{stdout}", String::from_utf8_lossy(&stderr));
    assert_eq!(
        stdout.lines().count(),
        1,
        "one JSON object, and nothing else"
    );
    Drilled {
        succeeded: status.success(),
        report: serde_json::from_str(&stdout).unwrap(),
    }
}

#[track_caller]
fn check_all_is_well(drilled: &Drilled) {
    let Drilled { succeeded, report } = drilled;
    assert_eq!(report["complaints"], Value::Array(Vec::new()));
    assert!(succeeded);
    assert_eq!(report["ok"], true);
    assert_eq!(report["orders"], 160);
    let decided = report["accepted"].as_u64().unwrap() + report["declined"].as_u64().unwrap();
    assert_eq!(decided, 160);
    assert_eq!(report["kills"], 8);
    let none = [
        "pending",
        "lost",
        "unknown",
        "decided_twice",
        "verdict_mismatches",
        "calls_during_replay",
        "digest_mismatches",
    ];
    for field in none {
        assert_eq!(report[field], 0, "{field}");
    }
    assert!(report["delivery_stopped"].as_u64().unwrap() > 0);
    assert!(report["stored_while_stopped"].as_u64().unwrap() > 0);
    assert!(report["entries_replayed"].as_u64().unwrap() > 0);
}

/// B8
#[test]
fn every_order_is_decided_exactly_once_however_often_either_program_is_killed() {
    check_all_is_well(&drill(&SHORT));
}

/// The control: without idea 3 of the design ("nothing undurable is ever told") the drill is red.
#[test]
fn journal_that_acknowledges_before_it_writes_is_found_out() {
    let Drilled { succeeded, report } =
        drill(&[&SHORT[..], &["--acknowledge-before-write"]].concat());
    assert!(!succeeded);
    assert_eq!(report["ok"], false);
    // An order that was acknowledged is gone, or, sooner in the drill, a stop that was announced is.
    let broken = report["lost"].as_u64().unwrap() + report["confused"].as_u64().unwrap();
    let complaints = report["complaints"].as_array().unwrap();
    let is_stop = |told: &Value| told.as_str().unwrap().contains("did not outlive");
    assert!(broken > 0 || complaints.iter().any(is_stop), "{report}");
}

/// B8
#[test]
fn validator_in_another_language_can_replace_ours() {
    let validator = Path::new(env!("CARGO_MANIFEST_DIR")).join("validator.py");
    let command = format!("python3 {}", validator.display());
    check_all_is_well(&drill(
        &[&SHORT[..], &["--validator-command", &command]].concat(),
    ));
}

#[test]
fn drill_that_is_too_small_says_so_and_fails() {
    let Drilled { succeeded, report } = drill(&["--orders=3"]);
    assert!(!succeeded);
    let complaint = report["complaints"][0].as_str().unwrap();
    assert!(complaint.contains("at least"), "{complaint}");
}
