//! `verify`: sound journals pass, and each damage is named with its file and offset.

use std::path::Path;

use refrain::port::snapshots::Snapshots;
use refrain::{FileJournal, FileSnapshots};

use crate::run;
use crate::support::{Place, append, fill, flip, lively, name, position};

/// The damages that are named, as file name, offset and kind.
fn damages(dir: &Path) -> Vec<(String, u64, String)> {
    let ran = run!("verify", dir, "--json");
    let value = ran.value();
    let findings = value["findings"].as_array().unwrap();
    let damages: Vec<_> = findings
        .iter()
        .filter(|finding| finding["severity"] == "damage")
        .map(|finding| {
            let file = Path::new(finding["file"].as_str().unwrap());
            (
                file.file_name().unwrap().to_str().unwrap().to_owned(),
                finding["offset"].as_u64().unwrap_or_default(),
                finding["kind"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    ran.assert_exit(i32::from(!damages.is_empty()));
    assert_eq!(value["sound"], damages.is_empty());
    damages
}

#[tokio::test]
async fn a_sound_journal_passes() {
    let place = Place::new();
    let dir = place.path("journal");
    fill(&dir, &["orders", "payments"], 100).await;
    assert_eq!(damages(&dir), []);
    let ran = run!("verify", &dir);
    ran.assert_exit(0);
    assert!(
        ran.out.starts_with("sound: 200 entries of 2 streams"),
        "{}",
        ran.out
    );
}

/// B2.7: the control of each check.
#[tokio::test]
async fn each_damage_is_named_with_its_file_and_offset() {
    let place = Place::new();
    let cases = [
        ("0000000001.log", 4096 + 40 + 24 + 3, 4096 + 40, "record"),
        ("0000000002.log", 4096 + 8, 4096, "frame"),
        ("0000000002.log", 20, 0, "segment"),
        ("0000000001.idx", 30, 0, "index"),
        ("0000000001.idx", 90, 32, "index"),
        ("mark", 30, 0, "mark-slot"),
        ("mark", 2048 + 30, 2048, "mark-slot"),
    ];
    for (index, (file, at, named, kind)) in cases.into_iter().enumerate() {
        let dir = place.path(&format!("journal-{index}"));
        fill(&dir, &["orders", "payments"], 60).await;
        flip(&dir.join(file), at);
        let found = damages(&dir);
        assert!(
            found.contains(&(file.to_owned(), named, kind.to_owned())),
            "{file} at {at}: {found:?}"
        );
        let text = run!("verify", &dir);
        text.assert_exit(1);
        assert!(
            text.out.contains(&format!("{file} at offset {named}")),
            "{}",
            text.out
        );
    }
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let place = Place::new();
    for missing in ["mark", "0000000002.log"] {
        let dir = place.path(missing);
        fill(&dir, &["orders"], 100).await;
        std::fs::remove_file(dir.join(missing)).unwrap();
        let found = damages(&dir);
        assert!(
            found.iter().any(|(file, _, _)| file == missing),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_damaged_snapshot_is_named() {
    let place = Place::new();
    let (dir, kept) = (place.path("journal"), place.path("snapshots"));
    fill(&dir, &["orders"], 1).await;
    let snapshots = FileSnapshots::open(&kept).unwrap();
    let bytes = vec![7; 3_000_000];
    snapshots
        .put(&name("orders"), position(1), bytes.into())
        .await
        .unwrap();
    drop(snapshots);
    let file = kept.join("orders@00000000000000000001.snap");
    let ran = run!("verify", &dir, "--snapshots", &kept, "--json");
    assert_eq!(ran.assert_exit(0).value()["snapshots"], 1);
    flip(&file, 2_000_000);
    let ran = run!("verify", &dir, "--snapshots", &kept);
    ran.assert_exit(1);
    assert!(
        ran.out.contains("orders@00000000000000000001.snap"),
        "{}",
        ran.out
    );
}

/// What a writer does meanwhile is never taken for damage.
#[tokio::test]
async fn a_journal_that_is_being_written_is_sound_at_every_moment() {
    let place = Place::new();
    let dir = place.path("journal");
    let journal = FileJournal::open_with(&dir, lively()).unwrap();
    append(&journal, "orders", 1, b"one").await;
    let path = dir.clone();
    let verifying = tokio::task::spawn_blocking(move || {
        let (mut looks, mut has_moved) = (0, false);
        // With the control: the journal did move during one of the looks.
        while looks < 30 || !has_moved {
            let ran = run!("verify", &path, "--json");
            ran.assert_exit(0);
            looks += 1;
            has_moved |= ran.value()["moving"] == true;
        }
    });
    let mut number = 1;
    while !verifying.is_finished() {
        number += 1;
        append(&journal, "orders", number, &[7; 400]).await;
        if number.is_multiple_of(64) {
            use refrain::Journal;
            let forgotten = journal.forget(&name("orders"), position(number - 32));
            forgotten.await.unwrap();
        }
    }
    verifying.await.unwrap();
}
