//! The benchmarks still run, and their JSON has its rows. What they measure here means nothing.

use std::process::Command;

use serde_json::Value;

/// The names and numbers in flight of a table's rows.
fn rows<'a>(report: &'a Value, table: &str) -> Option<Vec<(&'a str, Option<u64>)>> {
    let mut tables = report["tables"].as_array()?.iter();
    let found = tables.find(|found| found["name"] == table)?;
    let row = |row: &'a Value| Some((row["name"].as_str()?, row["in_flight"].as_u64()));
    found["rows"].as_array()?.iter().map(row).collect()
}

#[test]
fn a_short_run_of_all_tables_writes_every_row_and_leaves_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .current_dir(dir.path())
        .args([
            "--quick",
            "--runs",
            "2",
            "--run-ms",
            "2",
            "--history",
            "600",
        ])
        .args(["--in-flight", "1,16", "--out", "copy.json"])
        .args([
            "--only",
            "memory,durable,request-reply,replay,journal,streams",
        ])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("over bare leader"), "{shown}");

    let json = std::fs::read(dir.path().join("bench/results/latest.json")).unwrap();
    assert_eq!(std::fs::read(dir.path().join("copy.json")).unwrap(), json);
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 2, "only the results are left");

    let report: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(rows(&report, "memory").unwrap().len(), 7);
    let durable = rows(&report, "durable").unwrap();
    assert_eq!(
        durable,
        [
            ("tell_durable", Some(1)),
            ("ask", Some(1)),
            ("tell_durable", Some(16)),
            ("ask", Some(16)),
            ("ask_all", Some(16)),
        ]
    );
    assert_eq!(rows(&report, "request-reply").unwrap().len(), 3);
    assert_eq!(rows(&report, "replay").unwrap().len(), 6);
    assert_eq!(rows(&report, "journal").unwrap().len(), 6);
    let streams = report["tables"].as_array().unwrap().last().unwrap();
    assert_eq!(
        streams["verdicts"].as_array().unwrap().len(),
        1,
        "{streams}"
    );

    let lone = &report["tables"][1]["rows"][0];
    assert_eq!(lone["measured"]["runs"].as_array().unwrap().len(), 2);
    assert!(lone["measured"]["latency"]["p99_us"].as_f64().unwrap() > 0.0);
    assert_eq!(lone["references"][1]["name"], "bare leader");
    assert!(lone["references"][1]["ratio"]["median"].as_f64().unwrap() > 0.0);
    assert!(lone["bytes"]["amplification"].as_f64().unwrap() > 1.0);
}

#[test]
fn a_table_that_does_not_exist_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--only", "nothing"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no table nothing"));
}
