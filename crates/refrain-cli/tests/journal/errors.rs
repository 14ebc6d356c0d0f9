//! What a failed command says: what is wrong, where, what to do, and an exit code that means one thing.

use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;

use crate::run;
use crate::support::{Place, Ran, append, fill, flip, name, open, position, refrain};

use refrain::Journal;

/// A command that fails, and how.
struct Row {
    words: Vec<OsString>,
    exit: i32,
    /// The code of the error's page; `None` where there is none.
    code: Option<&'static str>,
    /// Parts of what is said: what is wrong, and where.
    what: Vec<String>,
    /// Part of what is to be done.
    remedy: &'static str,
}

macro_rules! row {
    ([$($word:expr),+ $(,)?], $exit:expr, $code:expr, [$($what:expr),+ $(,)?], $remedy:expr) => {
        Row {
            words: vec![$(OsString::from($word)),+],
            exit: $exit,
            code: $code,
            what: vec![$($what.to_string()),+],
            remedy: $remedy,
        }
    };
}

/// Each row fails as it says, as text and as JSON.
fn check(rows: Vec<Row>) {
    for mut row in rows {
        let text = refrain(&row.words);
        text.assert_exit(row.exit);
        assert!(!text.err.is_empty(), "{:?}: {text:?}", row.words);
        let words = row.words.clone();
        row.words.push("--json".into());
        let ran = refrain(&row.words);
        ran.assert_exit(row.exit);
        let error = &error_of(&ran)["error"];
        let what = error["message"].as_str().unwrap();
        let remedy = error["remedy"].as_str().unwrap_or_default();
        assert_eq!(error["code"].as_str(), row.code, "{words:?}: {error}");
        for part in &row.what {
            assert!(what.contains(part), "{words:?} says {part}: {what}");
            assert!(
                text.err.contains(part),
                "{words:?} says {part}: {}",
                text.err
            );
        }
        assert!(remedy.contains(row.remedy), "{words:?}: {remedy}");
        assert!(text.err.contains(row.remedy), "{words:?}: {}", text.err);
        // A cause is named once.
        if let Some(code) = row.code {
            assert_eq!(what.matches(code).count(), 1, "{what}");
        }
    }
}

fn error_of(ran: &Ran) -> Value {
    let last = ran.err.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[tokio::test]
async fn a_journal_that_cannot_be_used_is_said() {
    let place = Place::new();
    let [whole, damaged, file] = ["whole", "damaged", "file"].map(|name| place.path(name));
    for dir in [&whole, &damaged] {
        fill(dir, &["orders"], 100).await;
    }
    flip(&damaged.join("0000000001.log"), 4096 + 40 + 24 + 3);
    std::fs::write(&file, "no directory").unwrap();
    let journal = open(&whole);
    journal.forget(&name("orders"), position(50)).await.unwrap();
    let nothing = place.path("nothing");
    let gone = nothing.display();
    let open_one = whole.display();
    let mut rows = Vec::new();
    for command in ["ls", "stats", "verify", "repair", "compact"] {
        rows.push(row!(
            [command, &nothing],
            4,
            Some("R0105"),
            [gone],
            "check the path"
        ));
        rows.push(row!(
            [command, &file],
            5,
            Some("R0104"),
            [file.display()],
            "name a directory"
        ));
    }
    rows.extend([
        row!(
            ["repair", &nothing, "--apply"],
            4,
            Some("R0105"),
            [gone],
            "check the path"
        ),
        row!(
            ["cat", &nothing, "orders"],
            4,
            Some("R0105"),
            [gone],
            "check the path"
        ),
        row!(
            ["copy", &nothing, place.path("to")],
            4,
            Some("R0105"),
            [gone],
            "check the path"
        ),
        row!(
            ["repair", &whole, "--apply"],
            3,
            Some("R0101"),
            [open_one],
            "stop the program"
        ),
        row!(
            ["compact", &whole],
            3,
            Some("R0101"),
            [open_one],
            "stop the program"
        ),
        row!(
            ["cat", &whole, "payments"],
            4,
            None,
            ["there is no stream payments"],
            "`refrain journal ls`"
        ),
        row!(
            ["cat", &whole, "orders", "--from", "7"],
            4,
            None,
            ["50"],
            "position 50 or later"
        ),
        row!(
            ["compact", &damaged],
            1,
            Some("R0108"),
            ["0000000001.log"],
            "`refrain journal verify`"
        ),
        row!(
            ["copy", &damaged, place.path("to")],
            1,
            Some("R0120"),
            ["0000000001.log"],
            "`refrain journal verify`"
        ),
        row!(["cat", &whole, "no/name"], 2, None, ["no/name"], "--help"),
        row!(
            ["cat", &whole, "orders", "--from", "0"],
            2,
            None,
            ["--from"],
            "--help"
        ),
    ]);
    check(rows);
    drop(journal);
}

#[tokio::test]
async fn a_backup_that_cannot_be_used_is_said() {
    let place = Place::new();
    let [dir, damaged, backups] = ["journal", "damaged", "backups"].map(|name| place.path(name));
    fill(&dir, &["orders"], 100).await;
    fill(&damaged, &["orders"], 100).await;
    flip(&damaged.join("0000000001.log"), 4096 + 40 + 24 + 3);
    let created = run!("backup", "create", &dir, &backups, "--json").value();
    let first = created["backup"].as_str().unwrap().to_owned();
    let [nothing, empty, again] = ["nothing", "empty", "again"].map(|name| place.path(name));
    std::fs::create_dir(&empty).unwrap();
    let in_use = dir.display();
    let unknown = "0000000000000000-0000000001-00000000000000000001";
    check(vec![
        row!(
            ["backup", "verify", &nothing],
            4,
            Some("R0123"),
            [nothing.display()],
            "check the place"
        ),
        row!(
            ["backup", "verify", &empty],
            4,
            Some("R0123"),
            [empty.display()],
            "check the place"
        ),
        row!(
            ["backup", "ls", &nothing],
            4,
            Some("R0123"),
            [nothing.display()],
            "check the place"
        ),
        row!(
            ["restore", &empty, &again],
            4,
            Some("R0123"),
            [empty.display()],
            "check the place"
        ),
        row!(
            [
                "restore",
                &backups,
                &again,
                OsString::from("--backup"),
                OsString::from(unknown)
            ],
            4,
            Some("R0123"),
            [unknown],
            "backup ls"
        ),
        row!(
            ["backup", "verify", "ftp://host/path"],
            5,
            Some("R0124"),
            ["ftp://host/path"],
            "its keys"
        ),
        row!(
            [
                "ls",
                &dir,
                OsString::from("--backups"),
                OsString::from(&nothing)
            ],
            4,
            Some("R0123"),
            [nothing.display()],
            "check the place"
        ),
        row!(
            ["backup", "create", &nothing, &backups],
            4,
            Some("R0105"),
            [nothing.display()],
            "check the path"
        ),
        row!(
            ["backup", "create", &damaged, &backups],
            1,
            Some("R0120"),
            ["0000000001.log"],
            "`refrain journal verify`"
        ),
        row!(
            ["restore", &backups, &dir],
            6,
            Some("R0122"),
            [in_use, "not empty"],
            "empty or not there"
        ),
        row!(
            [
                "backup",
                "verify",
                &backups,
                OsString::from("--backup"),
                OsString::from("latest")
            ],
            2,
            None,
            ["latest"],
            "--help"
        ),
    ]);

    let manifest = backups.join(format!("backups/{first}.json"));
    let kept = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, kept.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let later = row!(
        ["backup", "verify", &backups],
        6,
        Some("R0126"),
        [first, "format 2"],
        "a later one"
    );
    check(vec![later]);
    std::fs::write(&manifest, &kept[..kept.len() / 2]).unwrap();
    let damaged = row!(
        ["backup", "verify", &backups],
        1,
        Some("R0121"),
        [first],
        "use another backup"
    );
    check(vec![damaged]);
}

/// Snapshots become a directory of their own, so they cannot go where the journal goes.
#[tokio::test]
async fn snapshots_are_not_restored_into_the_directory_of_the_journal() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders"], 10).await;
    run!("backup", "create", &dir, &backups).assert_exit(0);
    let again = place.path("again");
    let around = place.path("linked/..");
    std::os::unix::fs::symlink(place.path(""), place.path("linked")).unwrap();
    let restore = |snapshots: &Path| {
        let words = [
            "restore".into(),
            backups.clone(),
            again.clone(),
            "--snapshots".into(),
        ];
        let mut words = words.map(OsString::from).to_vec();
        words.push(snapshots.into());
        words
    };
    let own = "the journal's own directory";
    let nested = "lie in each other";
    let rows = [
        (again.clone(), own),
        (place.path("linked").join("again"), own),
        (again.join("snapshots"), nested),
        (place.path(""), nested),
        (around, nested),
    ];
    let rows = rows.map(|(snapshots, detail)| Row {
        words: restore(&snapshots),
        exit: 6,
        code: Some("R0122"),
        what: vec![snapshots.display().to_string(), detail.to_owned()],
        remedy: "a directory of its own",
    });
    check(rows.into());
    assert!(!again.exists() && !place.path("again.restoring").exists());
    // The control: beside each other they may lie.
    refrain(&restore(&place.path("again-snapshots"))).assert_exit(0);
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
