//! `repair`: only with proof, only when told to, and the old bytes are kept.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::run;
use crate::support::{Place, append, fill, flip, open};

/// All files of a directory and what is in them.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    files
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// What was damaged without a backup's help is mended, and what was there is kept.
#[tokio::test]
async fn what_can_be_made_again_is_made_again() {
    let place = Place::new();
    for (index, (file, at)) in [("0000000001.idx", 90), ("mark", 30), ("mark", 2048 + 30)]
        .into_iter()
        .enumerate()
    {
        let dir = place.path(&format!("journal-{index}"));
        fill(&dir, &["orders"], 100).await;
        flip(&dir.join(file), at);
        let damaged = contents(&dir);
        // Without `--apply` nothing happens.
        let ran = run!("repair", &dir);
        ran.assert_exit(1);
        assert!(
            ran.out.contains(file) && ran.out.contains("--apply"),
            "{}",
            ran.out
        );
        assert_eq!(contents(&dir), damaged);
        let ran = run!("repair", &dir, "--apply", "--json");
        let value = ran.assert_exit(0).value();
        assert_eq!(value["sound"], true);
        run!("verify", &dir).assert_exit(0);
        let kept = contents(&dir.join("aside"));
        // Each file that was kept is named.
        let mut named: Vec<String> = serde_json::from_value(value["kept"].clone()).unwrap();
        named.sort_unstable();
        let there = kept.keys().map(|name| dir.join("aside").join(name));
        assert_eq!(
            named.iter().map(Into::into).collect::<Vec<PathBuf>>(),
            there.collect::<Vec<_>>()
        );
        let is_kept = kept.values().any(|bytes| {
            damaged[file].starts_with(bytes) && damaged[file].len() - bytes.len() < 4096
        });
        assert!(is_kept, "{:?}", kept.keys());
    }
}

#[tokio::test]
async fn what_an_opening_would_clear_up_is_settled_and_kept() {
    let place = Place::new();
    let dir = place.path("journal");
    fill(&dir, &["orders"], 100).await;
    std::fs::write(dir.join("0000000099.log.new"), b"never finished").unwrap();
    let ran = run!("repair", &dir, "--apply");
    ran.assert_exit(0);
    assert!(ran.out.contains("set aside:"), "{}", ran.out);
    let kept = std::fs::read(dir.join("aside/0000000099.log.new.1")).unwrap();
    assert_eq!(kept, b"never finished");
    assert!(
        run!("verify", &dir, "--json").value()["findings"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

/// A damaged snapshot is kept as it was, also when it lies on another file system than the journal.
#[tokio::test]
async fn a_damaged_snapshot_of_another_file_system_is_kept() {
    let device = |path: &Path| std::fs::metadata(path).unwrap().dev();
    let place = Place::new();
    let dir = place.path("journal");
    fill(&dir, &["orders"], 1).await;
    let elsewhere = ["/dev/shm", env!("CARGO_TARGET_TMPDIR")];
    let elsewhere = elsewhere.iter().map(Path::new);
    let mut others = elsewhere.filter(|path| path.exists() && device(path) != device(&dir));
    let other = others.next().expect("this test needs two file systems");
    let other = tempfile::tempdir_in(other).unwrap();
    let snapshot = other.path().join("orders@00000000000000000001.snap");
    let damaged = [[7; 5000], [0; 5000]].concat();
    std::fs::write(&snapshot, &damaged).unwrap();
    let ran = run!("repair", &dir, "--snapshots", other.path(), "--apply");
    ran.assert_exit(0);
    let kept = dir.join("aside/orders@00000000000000000001.snap.1");
    assert!(std::fs::read(kept).unwrap() == damaged);
    assert!(!snapshot.exists());
}

/// A damaged or missing segment comes back from a backup, also when the journal went on since.
#[tokio::test]
async fn a_damaged_segment_is_replaced_by_the_right_bytes_of_a_backup() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders", "payments"], 60).await;
    run!("backup", "create", &dir, &backups).assert_exit(0);
    cut_off_and_gone(&dir, &backups);
    {
        let journal = open(&dir);
        for number in 61..=120 {
            append(&journal, "orders", number, &[7; 300]).await;
        }
    }
    let sound = contents(&dir);
    let marked = run!("stats", &dir, "--json").value()["mark"].clone();
    let segments = marked["segment"].as_u64().unwrap();
    assert!(segments > 3);
    let half_full = format!("{:010}.log", 2);
    for damage in [
        |path: &Path| flip(path, 4096 + 40 + 24 + 3),
        |path: &Path| flip(path, 20),
        |path: &Path| std::fs::remove_file(path).unwrap(),
    ] {
        damage(&dir.join(&half_full));
        let damaged = contents(&dir);
        run!("repair", &dir, "--apply").assert_exit(1);
        let ran = run!("repair", &dir, "--from", &backups);
        ran.assert_exit(1);
        assert!(
            ran.out.contains("replace:") && ran.out.contains(&half_full),
            "{}",
            ran.out
        );
        assert_eq!(contents(&dir), damaged);
        let ran = run!("repair", &dir, "--from", &backups, "--apply");
        ran.assert_exit(0);
        assert_eq!(contents(&dir)[&half_full], sound[&half_full]);
        run!("verify", &dir).assert_exit(0);
        let last = run!("ls", &dir, "--json").value()["streams"][0]["last"].clone();
        assert_eq!(last, 120);
    }
}

/// A segment that is cut off, or not there at all, has nothing of its own to keep.
fn cut_off_and_gone(dir: &Path, backups: &Path) {
    let path = dir.join("0000000001.log");
    let sound = std::fs::read(&path).unwrap();
    let cut = |bytes: usize| std::fs::write(&path, &sound[..bytes]).unwrap();
    let gone = || std::fs::remove_file(&path).unwrap();
    let damages: [&dyn Fn(); 4] = [&gone, &|| cut(0), &|| cut(1000), &|| cut(6000)];
    for damage in damages {
        damage();
        run!("repair", dir, "--from", backups, "--apply").assert_exit(0);
        assert!(std::fs::read(&path).unwrap() == sound);
        run!("verify", dir).assert_exit(0);
    }
}

/// An index that is empty is made again as one that is damaged.
#[tokio::test]
async fn an_index_that_is_cut_short_is_made_again() {
    let place = Place::new();
    let dir = place.path("journal");
    fill(&dir, &["orders"], 100).await;
    let index = dir.join("0000000001.idx");
    let sound = std::fs::read(&index).unwrap();
    for bytes in [0, 10, sound.len() - 1] {
        std::fs::write(&index, &sound[..bytes]).unwrap();
        run!("verify", &dir).assert_exit(1);
        run!("repair", &dir, "--apply").assert_exit(0);
        run!("verify", &dir).assert_exit(0);
    }
}

/// The control of the proof: bytes of another history do not pass.
#[tokio::test]
async fn a_backup_of_another_history_mends_nothing() {
    let place = Place::new();
    let (dir, other, backups) = (place.path("j"), place.path("o"), place.path("backups"));
    fill(&dir, &["orders"], 100).await;
    fill(&other, &["orders"], 100).await;
    run!("backup", "create", &other, &backups).assert_exit(0);
    flip(&dir.join("0000000001.log"), 4096 + 40 + 24 + 3);
    let damaged = contents(&dir);
    let ran = run!("repair", &dir, "--from", &backups, "--apply");
    ran.assert_exit(1);
    assert!(ran.out.contains("cannot replace:"), "{}", ran.out);
    assert_eq!(contents(&dir), damaged);
}

/// The same journal, gone on otherwise: every byte of its backup is right, and only the chain tells.
#[tokio::test]
async fn a_backup_of_a_fork_mends_nothing() {
    let place = Place::new();
    let (dir, fork) = (place.path("journal"), place.path("fork"));
    let (backups, others) = (place.path("backups"), place.path("others"));
    fill(&dir, &["orders"], 20).await;
    run!("backup", "create", &dir, &backups).assert_exit(0);
    run!("restore", &backups, &fork).assert_exit(0);
    for (path, byte) in [(&dir, 7), (&fork, 8)] {
        let journal = open(path);
        for number in 21..=220 {
            append(&journal, "orders", number, &[byte; 300]).await;
        }
    }
    run!("backup", "create", &fork, &others).assert_exit(0);
    flip(&dir.join("0000000003.log"), 4096 + 40 + 24 + 3);
    let ran = run!("repair", &dir, "--from", &others);
    ran.assert_exit(1);
    assert!(ran.out.contains("cannot replace:"), "{}", ran.out);
}

/// What was acknowledged after the backup and is damaged is not papered over.
#[tokio::test]
async fn damage_that_no_backup_covers_stays() {
    let place = Place::new();
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    fill(&dir, &["orders"], 20).await;
    run!("backup", "create", &dir, &backups).assert_exit(0);
    {
        let journal = open(&dir);
        for number in 21..=30 {
            append(&journal, "orders", number, &[7; 300]).await;
        }
    }
    let stats = run!("stats", &dir, "--json").value();
    assert_eq!(stats["mark"]["segment"], 1);
    let end = usize::try_from(stats["mark"]["offset"].as_u64().unwrap()).unwrap();
    flip(&dir.join("0000000001.log"), end - 10);
    run!("repair", &dir, "--from", &backups, "--apply").assert_exit(1);
    let ran = run!("verify", &dir);
    assert!(ran.assert_exit(1).out.contains("0000000001.log"));
}

#[tokio::test]
async fn a_journal_that_is_open_is_not_repaired() {
    let place = Place::new();
    let dir = place.path("journal");
    let journal = open(&dir);
    append(&journal, "orders", 1, b"one").await;
    let ran = run!("repair", &dir, "--apply");
    ran.assert_exit(3);
    assert!(
        ran.err.contains("R0101") && ran.err.contains("what to do"),
        "{}",
        ran.err
    );
    // Looking is allowed.
    run!("repair", &dir).assert_exit(0);
}

#[tokio::test]
async fn without_a_mark_nothing_is_guessed() {
    let place = Place::new();
    let dir = place.path("journal");
    fill(&dir, &["orders"], 20).await;
    std::fs::remove_file(dir.join("mark")).unwrap();
    let ran = run!("repair", &dir, "--apply");
    ran.assert_exit(1);
    assert!(ran.out.contains("cannot repair:"), "{}", ran.out);
    assert!(!dir.join("mark").exists());
}
