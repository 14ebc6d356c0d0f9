//! `backup` and `restore`: what comes back is what was there, or nothing comes back.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use refrain::port::snapshots::Snapshots;
use refrain::{FileJournal, FileSnapshots, Journal};
use serde_json::Value;

use crate::run;
use crate::support::{
    Place, append, command, fill, flip, lively, name, open, position, take_orders,
};

/// Streams as `ls` lists them: what a journal holds, for people.
fn streams(dir: &Path) -> Value {
    let ran = run!("ls", dir, "--json");
    ran.assert_exit(0).value()["streams"].clone()
}

fn files_in(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    files
}

#[tokio::test]
async fn a_restored_journal_is_the_one_that_was_backed_up_and_goes_on() {
    let place = Place::new();
    let (dir, backups, again) = (place.path("journal"), place.path("b"), place.path("again"));
    take_orders(&dir, &["4242", "1111"]).await;
    let before = streams(&dir);
    let ran = run!("backup", "create", &dir, &backups, "--json");
    assert_eq!(ran.assert_exit(0).value()["new"], true);
    run!("backup", "verify", &backups).assert_exit(0);
    let ran = run!("restore", &backups, &again);
    ran.assert_exit(0);
    assert!(ran.out.starts_with("restored "), "{}", ran.out);
    assert_eq!(streams(&again), before);
    run!("verify", &again).assert_exit(0);
    // It is a journal like any other.
    take_orders(&again, &["4343"]).await;
    assert!(streams(&again)[0]["entries"].as_u64() > before[0]["entries"].as_u64());
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&again), mode(&again.join("mark"))), (0o700, 0o600));
    assert_eq!(mode(&backups), 0o700);
}

#[tokio::test]
async fn a_second_backup_writes_only_what_is_new() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders"], 200).await;
    let first = run!("backup", "create", &dir, &backups, "--json").value();
    let again = run!("backup", "create", &dir, &backups, "--json").value();
    assert_eq!(
        (&again["new"], &again["bytes_written"]),
        (&false.into(), &0.into())
    );
    {
        let journal = open(&dir);
        append(&journal, "orders", 201, b"one more").await;
    }
    let next = run!("backup", "create", &dir, &backups, "--json").value();
    assert_eq!(next["new"], true);
    let (all, new) = (&first["bytes_written"], &next["bytes_written"]);
    assert!(
        new.as_u64().unwrap() * 2 < all.as_u64().unwrap(),
        "{new} of {all}"
    );
    let listed = run!("backup", "ls", &backups, "--json").value();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2);
    // The older one is there as it was.
    let old = place.path("old");
    let id = first["backup"].as_str().unwrap();
    run!("restore", &backups, &old, "--backup", id).assert_exit(0);
    assert_eq!(streams(&old)[0]["last"], 200);
}

/// Consistent while writes go on: a backup is the journal as of one moment.
#[tokio::test]
async fn backups_of_a_journal_that_is_being_written_and_forgotten_are_whole() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    let journal = FileJournal::open_with(&dir, lively()).unwrap();
    append(&journal, "orders", 1, b"one").await;
    let (path, to) = (dir.clone(), backups.clone());
    let backing = tokio::task::spawn_blocking(move || {
        let mut ids = Vec::new();
        // With the control: they are backups of different moments.
        while ids.len() < 12 || ids.first() == ids.last() {
            let ran = run!("backup", "create", &path, &to, "--json");
            ids.push(ran.assert_exit(0).value()["backup"].clone());
        }
        ids
    });
    let mut number = 1;
    while !backing.is_finished() {
        number += 1;
        append(&journal, "orders", number, &[7; 400]).await;
        if number.is_multiple_of(64) {
            let below = position(number - 32);
            journal.forget(&name("orders"), below).await.unwrap();
        }
    }
    let mut ids = backing.await.unwrap();
    ids.dedup();
    for id in ids {
        let id = id.as_str().unwrap();
        run!("backup", "verify", &backups, "--backup", id).assert_exit(0);
    }
    run!("restore", &backups, place.path("again")).assert_exit(0);
    run!("verify", place.path("again")).assert_exit(0);
}

#[tokio::test]
async fn a_damaged_journal_is_not_backed_up() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders"], 100).await;
    flip(&dir.join("0000000001.log"), 4096 + 40 + 24 + 3);
    let ran = run!("backup", "create", &dir, &backups);
    ran.assert_exit(1);
    assert!(
        ran.err.contains("R0120") && ran.err.contains("0000000001.log"),
        "{}",
        ran.err
    );
    assert!(files_in(&backups.join("backups")).is_empty());
}

/// Altered, incomplete and mixed backups are refused by name, and nothing is put back of them.
#[tokio::test]
async fn a_backup_that_is_not_what_was_stored_is_refused_by_name() {
    let place = Place::new();
    let (dir, other, backups) = (place.path("j"), place.path("o"), place.path("backups"));
    fill(&dir, &["orders"], 100).await;
    fill(&other, &["orders"], 100).await;
    run!("backup", "create", &dir, &backups).assert_exit(0);
    let pieces = files_in(&backups.join("pieces"));
    let manifest = files_in(&backups.join("backups")).remove(0);
    let refused = |what: &str| {
        let target = place.path("again");
        for ran in [
            run!("backup", "verify", &backups),
            run!("restore", &backups, &target),
        ] {
            ran.assert_exit(1);
            assert!(
                ran.err.contains("R0121") && ran.err.contains(what),
                "{what}: {}",
                ran.err
            );
        }
        assert!(!target.exists());
        assert!(!place.path("again.restoring").exists());
    };
    for piece in &pieces {
        let name = piece.file_name().unwrap().to_str().unwrap().to_owned();
        let kept = std::fs::read(piece).unwrap();
        flip(piece, kept.len() / 2);
        refused(&name);
        std::fs::write(piece, &kept[..kept.len() - 1]).unwrap();
        refused(&name);
        std::fs::remove_file(piece).unwrap();
        refused(&name);
        std::fs::write(piece, kept).unwrap();
    }
    let kept = std::fs::read_to_string(&manifest).unwrap();
    let mine = manifest.file_name().unwrap().to_str().unwrap();
    std::fs::write(
        &manifest,
        kept.replace("\"end_frame\": 1", "\"end_frame\": 2"),
    )
    .unwrap();
    refused(mine);
    std::fs::write(&manifest, &kept[..kept.len() / 2]).unwrap();
    refused(mine);
    // The manifest of another journal under this one's name.
    run!("backup", "create", &other, place.path("others")).assert_exit(0);
    let foreign = files_in(&place.path("others/backups")).remove(0);
    std::fs::copy(foreign, &manifest).unwrap();
    refused(mine);
    std::fs::write(&manifest, kept).unwrap();
    run!("backup", "verify", &backups).assert_exit(0);
}

#[tokio::test]
async fn a_manifest_that_names_other_files_is_refused_even_with_a_right_digest() {
    use sha2::{Digest, Sha256};
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders"], 100).await;
    run!("backup", "create", &dir, &backups).assert_exit(0);
    let manifest = files_in(&backups.join("backups")).remove(0);
    let mut stored: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let mut parsed: refrain_backup::Manifest =
        serde_json::from_value(stored["backup"].clone()).unwrap();
    // The first and the second segment change places.
    let (first, second) = (
        parsed.files[1].pieces.clone(),
        parsed.files[3].pieces.clone(),
    );
    parsed.files[1].pieces = second;
    parsed.files[3].pieces = first;
    parsed.files.push(refrain_backup::FileRecord {
        is: refrain_backup::FileSort::Snapshot {
            stream: "../../outside".to_owned(),
            position: 1,
        },
        bytes: 1,
        pieces: Vec::new(),
    });
    let digest = Sha256::digest(serde_json::to_vec(&parsed).unwrap());
    stored["backup"] = serde_json::to_value(&parsed).unwrap();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    stored["sha256"] = digest.into();
    std::fs::write(&manifest, stored.to_string()).unwrap();
    let ran = run!(
        "restore",
        &backups,
        place.path("again"),
        "--snapshots",
        place.path("s")
    );
    ran.assert_exit(1);
    assert!(ran.err.contains("0000000001.log"), "{}", ran.err);
    assert!(!place.path("again").exists() && !place.path("outside").exists());
}

#[tokio::test]
async fn nothing_is_restored_over_something() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders"], 10).await;
    run!("backup", "create", &dir, &backups).assert_exit(0);
    let before = files_in(&dir);
    let ran = run!("restore", &backups, &dir);
    ran.assert_exit(6);
    assert!(
        ran.err.contains("R0122") && ran.err.contains("not empty"),
        "{}",
        ran.err
    );
    assert_eq!(files_in(&dir), before);
    // A link is not followed, wherever it leads.
    let elsewhere = place.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    for link in [place.path("link"), place.path("fresh.restoring")] {
        std::os::unix::fs::symlink(&elsewhere, link).unwrap();
    }
    run!("restore", &backups, place.path("link")).assert_exit(6);
    run!("restore", &backups, place.path("fresh")).assert_exit(6);
    assert!(files_in(&elsewhere).is_empty());
    // An empty directory is what one mounts a new disk at.
    let empty = place.path("empty");
    std::fs::create_dir(&empty).unwrap();
    run!("restore", &backups, &empty).assert_exit(0);
}

/// Kills a program once it is `time` for that, if it has not ended before.
fn kill_when(child: &mut Child, time: impl Fn() -> bool) {
    while !time() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn what_a_killed_restore_left_is_no_journal_and_the_next_one_clears_it_up() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders", "payments"], 2000).await;
    run!("backup", "create", &dir, &backups).assert_exit(0);
    let (target, aside) = (place.path("again"), place.path("again.restoring"));
    let files = files_in(&dir).len();
    let mut cut_short = 0;
    // Which of them comes to its end before it is killed is up to the machine: some must not.
    while cut_short <= 3 {
        for wanted in (0..files).step_by(files / 16) {
            let mut child = command()
                .arg("restore")
                .args([&backups, &target])
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // Killed once it has made so many files.
            kill_when(&mut child, || files_in(&aside).len() > wanted);
            if target.exists() {
                // It was faster: then all of it is there.
                run!("verify", &target).assert_exit(0);
                std::fs::remove_dir_all(&target).unwrap();
            } else {
                cut_short += 1;
            }
        }
    }
    run!("restore", &backups, &target).assert_exit(0);
    assert!(!aside.exists());
    assert_eq!(streams(&target), streams(&dir));
}

#[tokio::test]
async fn a_killed_backup_is_none_and_the_next_one_is_whole() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders", "payments"], 2000).await;
    let pieces = backups.join("pieces");
    let mut cut_short = 0;
    // Which of them comes to its end before it is killed is up to the machine: some must not.
    while cut_short <= 3 {
        for wanted in (1..40).step_by(3) {
            let mut child = command()
                .args(["backup", "create"])
                .args([&dir, &backups])
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            kill_when(&mut child, || files_in(&pieces).len() > wanted);
            if files_in(&backups.join("backups")).is_empty() {
                cut_short += 1;
                run!("backup", "verify", &backups).assert_exit(4);
            } else {
                // It was faster: then it is whole, and the next one begins with nothing.
                run!("backup", "verify", &backups).assert_exit(0);
                std::fs::remove_dir_all(&backups).unwrap();
            }
        }
    }
    run!("backup", "create", &dir, &backups).assert_exit(0);
    run!("backup", "verify", &backups).assert_exit(0);
}

#[tokio::test]
async fn snapshots_come_along_when_asked_for() {
    let place = Place::new();
    let (dir, kept, backups) = (place.path("j"), place.path("s"), place.path("b"));
    fill(&dir, &["orders"], 5).await;
    let snapshots = FileSnapshots::open(&kept).unwrap();
    for (at, state) in [(3, "three"), (9, "ahead of the journal")] {
        let put = snapshots.put(&name("orders"), position(at), state.into());
        put.await.unwrap();
    }
    run!("backup", "create", &dir, &backups, "--snapshots", &kept).assert_exit(0);
    run!("backup", "verify", &backups).assert_exit(0);
    let again = place.path("snapshots-again");
    let ran = run!(
        "restore",
        &backups,
        place.path("again"),
        "--snapshots",
        &again,
        "--json"
    );
    assert_eq!(ran.assert_exit(0).value()["snapshots"], 1);
    let snapshots = FileSnapshots::open(&again).unwrap();
    let three = snapshots.get(&name("orders"), position(3)).await.unwrap();
    assert_eq!(three, "three");
}

#[tokio::test]
async fn more_snapshots_come_along_than_files_are_allowed_at_first() {
    let place = Place::new();
    let (dir, kept, backups) = (place.path("j"), place.path("s"), place.path("b"));
    fill(&dir, &["orders"], 100).await;
    let snapshots = FileSnapshots::open(&kept).unwrap();
    for at in 1..=100 {
        let put = snapshots.put(&name("orders"), position(at), "state".into());
        put.await.unwrap();
    }
    // Its own limit, which it may raise as far as the system lets it.
    let ended = Command::new("sh")
        .args(["-c", "ulimit -S -n 64 && exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_refrain"))
        .args(["journal", "backup", "create", "--json"])
        .args([&dir, &backups])
        .arg("--snapshots")
        .arg(&kept)
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let again = place.path("again");
    run!(
        "restore",
        &backups,
        place.path("restored"),
        "--snapshots",
        &again
    )
    .assert_exit(0);
    assert_eq!(files_in(&again).len(), 100);
}

#[tokio::test]
async fn two_histories_of_one_journal_do_not_share_a_backup() {
    let place = Place::new();
    let (dir, backups, again) = (place.path("j"), place.path("b"), place.path("again"));
    fill(&dir, &["orders"], 5).await;
    run!("backup", "create", &dir, &backups).assert_exit(0);
    run!("restore", &backups, &again).assert_exit(0);
    // Both the old journal and the restored one are opened as often, and go on differently.
    for (path, entry) in [(&dir, "old"), (&again, "new")] {
        drop(open(path));
        if path == &dir {
            drop(open(path));
        }
        let journal = open(path);
        append(&journal, "orders", 6, entry.as_bytes()).await;
    }
    run!("backup", "create", &dir, &backups).assert_exit(0);
    let ran = run!("backup", "create", &again, &backups);
    ran.assert_exit(6);
    assert!(ran.err.contains("R0125"), "{}", ran.err);
}

#[test]
fn what_is_not_there_is_said() {
    let place = Place::new();
    let nothing = place.path("nothing");
    run!("backup", "verify", &nothing).assert_exit(4);
    run!("restore", &nothing, place.path("again")).assert_exit(4);
    run!("backup", "create", &nothing, place.path("backups")).assert_exit(4);
    std::fs::create_dir(&nothing).unwrap();
    let ran = run!("backup", "verify", &nothing);
    ran.assert_exit(4);
    assert!(ran.err.contains("R0123"), "{}", ran.err);
    run!("backup", "verify", "ftp://host/path").assert_exit(5);
    run!("backup", "verify", &nothing, "--backup", "latest").assert_exit(2);
}
