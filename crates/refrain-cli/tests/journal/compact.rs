//! `compact`, and everything else on a journal that was compacted.

use refrain::Journal;

use crate::run;
use crate::support::{Place, append, fill, flip, name, open, position};

#[tokio::test]
async fn compaction_gives_back_what_is_forgotten_and_changes_nothing_else() {
    let place = Place::new();
    let dir = place.path("journal");
    fill(&dir, &["orders", "payments"], 200).await;
    {
        let journal = open(&dir);
        let forgotten = journal.forget(&name("payments"), position(190));
        forgotten.await.unwrap();
    }
    let streams = run!("ls", &dir, "--json").value();
    let ran = run!("compact", &dir, "--json");
    let value = ran.assert_exit(0).value();
    assert!(
        value["bytes_after"].as_u64() < value["bytes_before"].as_u64(),
        "{value}"
    );
    assert_eq!(run!("ls", &dir, "--json").value(), streams);
    run!("verify", &dir).assert_exit(0);
    let ran = run!("cat", &dir, "payments", "--json");
    assert_eq!(ran.assert_exit(0).lines().len(), 11);
}

#[tokio::test]
async fn a_compacted_journal_is_backed_up_restored_and_copied() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders", "payments"], 200).await;
    run!("backup", "create", &dir, &backups).assert_exit(0);
    run!("compact", &dir).assert_exit(0);
    append(&open(&dir), "orders", 201, b"after").await;
    let streams = run!("ls", &dir, "--json").value();
    run!("backup", "create", &dir, &backups).assert_exit(0);
    run!("backup", "verify", &backups).assert_exit(0);
    for made in [
        run!("restore", &backups, place.path("again")),
        run!("copy", &dir, place.path("copied")),
    ] {
        made.assert_exit(0);
    }
    for made in ["again", "copied"] {
        run!("verify", place.path(made)).assert_exit(0);
        assert_eq!(run!("ls", place.path(made), "--json").value(), streams);
    }
}

/// The control: a damaged stream segment is named, and comes back from a backup only.
#[tokio::test]
async fn a_damaged_stream_segment_is_replaced_from_a_backup() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders", "payments"], 200).await;
    run!("compact", &dir).assert_exit(0);
    run!("backup", "create", &dir, &backups).assert_exit(0);
    let mut files = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let segment = files
        .find(|path| path.extension().is_some_and(|ending| ending == "seg"))
        .unwrap();
    let sound = std::fs::read(&segment).unwrap();
    assert_eq!(run!("stats", &dir, "--json").value()["stream_segments"], 1);
    let name = segment.file_name().unwrap().to_str().unwrap();
    let cut = |bytes: usize| std::fs::write(&segment, &sound[..bytes]).unwrap();
    let damages: [&dyn Fn(); 4] = [
        &|| flip(&segment, sound.len() / 2),
        &|| cut(sound.len() - 1),
        &|| cut(0),
        &|| std::fs::remove_file(&segment).unwrap(),
    ];
    for damage in damages {
        damage();
        let ran = run!("verify", &dir);
        // A finding names its file once, and is no error of an opening.
        let of_file = ran
            .assert_exit(1)
            .out
            .lines()
            .find(|line| line.contains(name));
        let of_file = of_file.unwrap_or_else(|| panic!("{}", ran.out));
        assert_eq!(of_file.matches(name).count(), 1, "{of_file}");
        assert!(!of_file.contains("R01"), "{of_file}");
        run!("repair", &dir, "--apply").assert_exit(1);
        run!("repair", &dir, "--apply", "--from", &backups).assert_exit(0);
        assert_eq!(std::fs::read(&segment).unwrap(), sound);
        run!("verify", &dir).assert_exit(0);
    }
}

#[tokio::test]
async fn a_journal_that_is_open_is_not_compacted() {
    let place = Place::new();
    let dir = place.path("journal");
    let journal = open(&dir);
    append(&journal, "orders", 1, b"one").await;
    let ran = run!("compact", &dir);
    ran.assert_exit(3);
    assert!(ran.err.contains("R0101"), "{}", ran.err);
    let nothing = place.path("nothing");
    run!("compact", &nothing).assert_exit(4);
    assert!(!nothing.exists());
}
