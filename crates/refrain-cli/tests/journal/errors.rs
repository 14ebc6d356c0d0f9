//! What a failed command says: what is wrong, where, what to do, and an exit code that means one thing.

use std::process::Output;

use refrain::Journal;
use serde_json::Value;

use crate::run;
use crate::support::{Place, append, command, fill, flip, name, open, position};

/// A command that fails, and how: its words, its exit code, the code of the error's page (or nothing),
/// what it says of the cause and the place, and of what is to be done.
type Row<'a> = (&'a str, i32, &'a str, &'a str, &'a str);

/// Runs a command in the directory `place`; how it ended, and what it said.
fn ran(place: &Place, words: &[&str]) -> (Option<i32>, String) {
    let mut command = command();
    let Output { status, stderr, .. } = command
        .args(words)
        .current_dir(place.path(""))
        .output()
        .unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// Each row fails as it says, as text and as JSON.
fn check(place: &Place, rows: &[Row<'_>]) {
    for &(words, exit, code, what, remedy) in rows {
        let mut split: Vec<&str> = words.split(' ').collect();
        let (ended, text) = ran(place, &split);
        assert_eq!(ended, Some(exit), "{words}: {text}");
        for said in [code, what, remedy] {
            assert!(text.contains(said), "{words} says {said}: {text}");
        }
        split.push("--json");
        let (ended, json) = ran(place, &split);
        assert_eq!(ended, Some(exit), "{words}: {json}");
        let value: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
        let field = |field: &str| value["error"][field].as_str().unwrap_or_default();
        assert_eq!(field("code"), code, "{words}: {json}");
        assert!(field("message").contains(what), "{words}: {json}");
        assert!(field("remedy").contains(remedy), "{words}: {json}");
        assert_eq!(value["error"]["exit"], exit, "{words}: {json}");
    }
}

const LOOK: &str = "`refrain journal verify`";

async fn damaged(place: &Place) {
    let dir = place.path("damaged");
    fill(&dir, &["orders"], 100).await;
    flip(&dir.join("0000000001.log"), 4096 + 40 + 24 + 3);
}

#[tokio::test]
async fn a_journal_that_cannot_be_used_is_said() {
    let place = Place::new();
    damaged(&place).await;
    fill(&place.path("open"), &["orders"], 100).await;
    std::fs::write(place.path("file"), "no directory").unwrap();
    let journal = open(&place.path("open"));
    journal.forget(&name("orders"), position(50)).await.unwrap();
    for command in ["ls", "stats", "verify", "repair", "compact"] {
        let (gone, file) = (format!("{command} none"), format!("{command} file"));
        check(
            &place,
            &[
                (&gone, 4, "R0105", "none", "check the path"),
                (&file, 5, "R0104", "file", "name a directory"),
            ],
        );
    }
    check(
        &place,
        &[
            ("repair none --apply", 4, "R0105", "none", "check the path"),
            (
                "repair file --apply",
                5,
                "R0104",
                "file",
                "name a directory",
            ),
            ("cat none orders", 4, "R0105", "none", "check the path"),
            ("copy none to", 4, "R0105", "none", "check the path"),
            (
                "repair open --apply",
                3,
                "R0101",
                "open",
                "stop the program",
            ),
            ("compact open", 3, "R0101", "open", "stop the program"),
            (
                "cat open payments",
                4,
                "",
                "no stream payments",
                "`refrain journal ls`",
            ),
            (
                "cat open orders --from 7",
                4,
                "",
                "50",
                "position 50 or later",
            ),
            ("compact damaged", 1, "R0108", "0000000001.log", LOOK),
            ("copy damaged to", 1, "R0120", "0000000001.log", LOOK),
            ("cat open no/name", 2, "", "no/name", "--help"),
            ("cat open orders --from 0", 2, "", "--from", "--help"),
        ],
    );
    drop(journal);
}

/// A journal in `journal`, backed up to `backups`; what the backup is called.
async fn backed_up(place: &Place) -> String {
    let (journal, backups) = (place.path("journal"), place.path("backups"));
    fill(&journal, &["orders"], 100).await;
    let created = run!("backup", "create", journal, backups, "--json").value();
    created["backup"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_backup_that_cannot_be_used_is_said() {
    let place = Place::new();
    backed_up(&place).await;
    std::fs::create_dir(place.path("empty")).unwrap();
    let unknown = "0000000000000000-0000000001-00000000000000000001";
    let restore_unknown = format!("restore backups again --backup {unknown}");
    check(
        &place,
        &[
            ("backup verify none", 4, "R0123", "none", "check the place"),
            (
                "backup verify empty",
                4,
                "R0123",
                "empty",
                "check the place",
            ),
            ("backup ls none", 4, "R0123", "none", "check the place"),
            (
                "restore empty again",
                4,
                "R0123",
                "empty",
                "check the place",
            ),
            (
                "ls journal --backups none",
                4,
                "R0123",
                "none",
                "check the place",
            ),
            (&restore_unknown, 4, "R0123", unknown, "backup ls"),
            (
                "backup verify ftp://host/path",
                5,
                "R0124",
                "ftp://host/path",
                "its keys",
            ),
            (
                "restore backups journal",
                6,
                "R0122",
                "journal cannot become a journal: it is not empty",
                "of its own",
            ),
            (
                "backup verify backups --backup latest",
                2,
                "",
                "latest",
                "--help",
            ),
        ],
    );
}

#[tokio::test]
async fn a_journal_that_cannot_be_backed_up_is_said() {
    let place = Place::new();
    damaged(&place).await;
    check(
        &place,
        &[
            (
                "backup create none backups",
                4,
                "R0105",
                "none",
                "check the path",
            ),
            (
                "backup create damaged backups",
                1,
                "R0120",
                "0000000001.log",
                LOOK,
            ),
        ],
    );
}

#[tokio::test]
async fn a_backup_of_a_later_version_and_a_damaged_one_are_said() {
    let place = Place::new();
    let id = &backed_up(&place).await;
    let manifest = place.path("backups").join(format!("backups/{id}.json"));
    let kept = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, kept.replace("\"format\": 1", "\"format\": 2")).unwrap();
    check(
        &place,
        &[("backup verify backups", 6, "R0126", id, "a later one")],
    );
    std::fs::write(&manifest, &kept[..kept.len() / 2]).unwrap();
    check(
        &place,
        &[(
            "backup verify backups",
            1,
            "R0121",
            id,
            "use another backup",
        )],
    );
}

/// Snapshots become a directory of their own, so they cannot go where the journal goes.
#[tokio::test]
async fn snapshots_are_not_restored_into_the_directory_of_the_journal() {
    let place = Place::new();
    fill(&place.path("journal"), &["orders"], 10).await;
    run!(
        "backup",
        "create",
        place.path("journal"),
        place.path("backups")
    )
    .assert_exit(0);
    std::os::unix::fs::symlink(place.path(""), place.path("linked")).unwrap();
    let own = "the journal's own directory";
    let nested = "lie in each other";
    for (snapshots, detail) in [
        ("again", own),
        ("linked/again", own),
        ("again/snapshots", nested),
        (".", nested),
        ("linked/.", nested),
    ] {
        let words = format!("restore backups again --snapshots {snapshots}");
        check(
            &place,
            &[(&words, 6, "R0122", detail, "a directory of its own")],
        );
    }
    assert!(!place.path("again").exists() && !place.path("again.restoring").exists());
    // The control: beside each other they may lie.
    let (ended, text) = ran(
        &place,
        &["restore", "backups", "again", "--snapshots", "snapshots"],
    );
    assert_eq!(ended, Some(0), "{text}");
}

/// A directory of somebody else is left as it is.
#[tokio::test]
async fn a_repair_leaves_nothing_in_a_directory_that_is_no_journal() {
    let place = Place::new();
    let foreign = place.path("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("letter.txt"), "mine").unwrap();
    run!("repair", &foreign, "--apply").assert_exit(4);
    let names: Vec<_> = std::fs::read_dir(&foreign)
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(names, ["letter.txt"]);
    // The control: a journal is locked, also one whose mark is gone.
    let dir = place.path("journal");
    append(&open(&dir), "orders", 1, b"one").await;
    std::fs::remove_file(dir.join("mark")).unwrap();
    std::fs::remove_file(dir.join("lock")).unwrap();
    run!("repair", &dir, "--apply").assert_exit(1);
    assert!(dir.join("lock").exists());
}
