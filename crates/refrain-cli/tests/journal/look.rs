//! `ls`, `cat` and `stats`.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::run;
use crate::support::{HOSTILE, Place, append, command, fill, open, take_orders};

#[tokio::test]
async fn ls_lists_every_stream_with_its_bounds_and_times() {
    let place = Place::new();
    let dir = place.path("journal");
    take_orders(&dir, &["4242", "1111"]).await;
    {
        let journal = open(&dir);
        append(&journal, "notes", 1, b"plain bytes").await;
    }
    let ran = run!("ls", &dir, "--json");
    ran.assert_exit(0);
    let streams = ran.value()["streams"].clone();
    assert_eq!(streams[0]["stream"], "notes");
    assert_eq!(streams[0]["entries"], 1);
    assert_eq!(streams[0]["bytes"], 11);
    assert!(streams[0]["first_time"].is_null());
    assert_eq!(streams[1]["stream"], "orders");
    // Who writes, two orders, two verdicts.
    assert_eq!(streams[1]["first"], 1);
    assert_eq!(streams[1]["entries"], streams[1]["last"]);
    assert!(streams[1]["entries"].as_u64().unwrap() >= 5);
    assert!(streams[1]["first_time"].as_str().unwrap().ends_with('Z'));

    let ran = run!("ls", &dir, "--prefix", "ord");
    ran.assert_exit(0);
    assert!(ran.out.contains("orders") && !ran.out.contains("notes"));
}

/// Numbers stand below each other however long a name is, and fit on a narrow terminal.
#[tokio::test]
async fn ls_has_columns_that_no_name_pushes_apart() {
    let place = Place::new();
    let dir = place.path("journal");
    let long = "n".repeat(128);
    take_orders(&dir, &["4242"]).await;
    append(&open(&dir), &long, 1, b"plain bytes").await;
    let ran = run!("ls", &dir);
    let lines: Vec<&str> = ran.assert_exit(0).out.lines().collect();
    let names = lines[0].find("STREAM").unwrap();
    assert!(names <= 80, "{}", ran.out);
    assert_eq!(&lines[1][names..], long);
    assert_eq!(&lines[2][names..], "orders");
}

/// S10: whatever is stored, a terminal is not told to do anything.
#[tokio::test]
async fn cat_shows_steps_as_json_and_no_control_character_of_them() {
    let place = Place::new();
    let dir = place.path("journal");
    take_orders(&dir, &["4242", HOSTILE]).await;
    {
        let journal = open(&dir);
        append(&journal, "notes", 1, HOSTILE.as_bytes()).await;
    }
    let ran = run!("cat", &dir, "orders", "--json");
    ran.assert_exit(0);
    let lines = ran.lines();
    assert_eq!(lines[0]["kind"], "begun");
    assert_eq!(lines[0]["channels"][0]["name"], "validation");
    assert!(lines[0].get("secret").is_none());
    let first = &lines[1];
    assert_eq!(
        (&first["position"], &first["kind"]),
        (&2.into(), &"step".into())
    );
    assert_eq!(first["events"][0]["Stored"]["card"], "4242");
    assert_eq!(first["envelopes"][0]["payload"], "4242");
    assert_eq!(first["envelopes"][0]["delivery"]["channel"], "validation");
    let decided = lines
        .iter()
        .find(|line| line["events"][0].get("Decided").is_some());
    assert_eq!(decided.unwrap()["settled"]["settlement"], "confirm");
    assert!(
        lines
            .iter()
            .any(|line| line["events"][0]["Stored"]["card"] == HOSTILE)
    );

    for stream in ["orders", "notes"] {
        for ran in [
            run!("cat", &dir, stream),
            run!("cat", &dir, stream, "--json"),
        ] {
            ran.assert_exit(0);
            let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!ran.out.chars().any(hidden), "{:?}", ran.out);
        }
    }
}

#[tokio::test]
async fn cat_shows_a_range_of_positions_and_bytes_of_others_as_bytes() {
    let place = Place::new();
    let dir = place.path("journal");
    fill(&dir, &["notes"], 30).await;
    let ran = run!("cat", &dir, "notes", "--from", "10", "--to", "12", "--json");
    ran.assert_exit(0);
    let lines = ran.lines();
    let positions: Vec<_> = lines.iter().map(|line| line["position"].as_u64()).collect();
    assert_eq!(positions, [Some(10), Some(11), Some(12)]);
    assert_eq!(lines[0]["kind"], "unknown");
    assert!(lines[0]["bytes"]["$base64"].is_string());
}

/// A stream that is printed in part because somebody interrupts it is not printed.
#[tokio::test]
async fn an_interrupted_cat_says_that_it_is_not_done() {
    let place = Place::new();
    let dir = place.path("journal");
    fill(&dir, &["notes"], 3_000).await;
    let mut child = command()
        .arg("cat")
        .args([dir.as_os_str(), "notes".as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // More than a pipe holds: the command waits for its reader when it is interrupted.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    let kill = format!("kill -INT {}", child.id());
    let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(killed.success());
    let printed = 1 + lines.map_while(Result::ok).count();
    assert_eq!(child.wait().unwrap().signal(), Some(2), "after {printed}");
    assert!(printed < 3_000);
}

/// Reading works while another process writes, and goes on with it.
#[tokio::test]
async fn cat_follows_what_another_process_writes() {
    let place = Place::new();
    let dir = place.path("journal");
    let journal = open(&dir);
    append(&journal, "notes", 1, b"one").await;
    let mut child = command()
        .args(["cat", "--json", "--follow", "--from", "1"])
        .arg(&dir)
        .arg("notes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in 1..=200_u64 {
        if number > 1 {
            append(&journal, "notes", number, &vec![7; 300]).await;
        }
        let line: serde_json::Value =
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["position"], number);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn stats_adds_up() {
    let place = Place::new();
    let dir = place.path("journal");
    fill(&dir, &["orders", "payments"], 100).await;
    let ran = run!("stats", &dir, "--json");
    ran.assert_exit(0);
    let value = ran.value();
    assert_eq!(value["entries"], 200);
    assert_eq!(value["streams"], 2);
    assert!(value["segments"].as_u64().unwrap() >= 3);
    let on_disk: u64 = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(value["file_bytes"], on_disk);
    assert!(value["amplification"].as_f64().unwrap() > 1.0);
    assert_eq!(value["sound"], true);
    let text = run!("stats", &dir);
    text.assert_exit(0);
    assert!(text.out.contains("durable mark"), "{}", text.out);
}

#[test]
fn what_is_not_there_is_said_and_has_an_exit_code() {
    let place = Place::new();
    for command in ["ls", "stats", "verify"] {
        let ran = run!(command, place.path("nothing"));
        ran.assert_exit(4);
        assert!(
            ran.err.contains("R0105") && ran.err.contains("what to do"),
            "{}",
            ran.err
        );
        let ran = run!(command, place.path("nothing"), "--json");
        ran.assert_exit(4);
        let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!(error["error"]["code"], "R0105");
    }
    run!("cat", place.path("nothing"), "orders").assert_exit(4);
    run!("cat", place.path("nothing"), "no/name").assert_exit(2);
    run!("cat", place.path("nothing"), "orders", "--from", "0").assert_exit(2);
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_said() {
    let place = Place::new();
    let dir = place.path("journal");
    fill(&dir, &["notes"], 1).await;
    let ran = run!("cat", &dir, "orders");
    ran.assert_exit(4);
    assert!(ran.err.contains("there is no stream orders"));
}
