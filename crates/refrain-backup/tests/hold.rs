//! What verified backups hold of a journal, and what does not count as one.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::path::{Path, PathBuf};

use refrain_backup::{
    BackupHold, BackupId, Repository, Source, Standing, create, note, silent, verify,
};
use refrain_core::port::hold::{Hold, Need};
use refrain_core::port::journal::{Batch, Journal};
use refrain_core::{Name, Position};
use refrain_journal::{FileJournal, JournalOptions};
use serde_json::Value;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn from(position: u64) -> Need {
    Need::From(Position::new(position).unwrap())
}

/// A journal, a repository in a directory, and the hold of the one for the other.
struct Desk {
    _place: tempfile::TempDir,
    journal: FileJournal,
    dir: PathBuf,
    backups: PathBuf,
    repository: Repository,
    hold: BackupHold,
}

impl Desk {
    fn new() -> Desk {
        let place = tempfile::tempdir().unwrap();
        let (dir, backups) = (place.path().join("journal"), place.path().join("backups"));
        let options = JournalOptions::default().segment_bytes(16 * 1024);
        let journal = FileJournal::open_with(&dir, options).unwrap();
        let repository = Repository::make(backups.to_str().unwrap()).unwrap();
        let hold = BackupHold::new(&repository, journal.identity());
        Desk {
            _place: place,
            journal,
            dir,
            backups,
            repository,
            hold,
        }
    }

    async fn append(&self, stream: &str, count: u64) {
        let head = self.journal.head(&name(stream)).await.unwrap();
        let mut batch = Batch::default();
        for _ in 0..count {
            batch.push(b"an entry");
        }
        let at = Position::after(head);
        self.journal.append(&name(stream), at, batch).await.unwrap();
    }

    async fn back_up(&self) -> BackupId {
        let source = Source::new(&self.dir, 0);
        let created = create(&source, &self.repository, &silent()).await.unwrap();
        assert!(created.is_new);
        created.id
    }

    async fn verify(&self, id: &BackupId) {
        let verified = verify(&self.repository, id, &silent()).await.unwrap();
        note(&self.repository, &verified, 7).await.unwrap();
    }

    /// A backup of what there is now, verified.
    async fn back_up_and_verify(&self) -> BackupId {
        let id = self.back_up().await;
        self.verify(&id).await;
        id
    }

    async fn standing(&self, id: &BackupId) -> Standing {
        let manifest = self.repository.manifest(id).await.unwrap();
        self.repository.standing(&manifest).await.unwrap()
    }

    /// Why the note of `id` is not believed.
    async fn doubt(&self, id: &BackupId) -> String {
        let standing = self.standing(id).await;
        let Standing::InDoubt(why) = standing else {
            panic!("{standing:?}");
        };
        why
    }

    async fn needs(&self, stream: &str) -> Need {
        self.hold.needs(&name(stream)).await.unwrap()
    }

    fn manifest(&self, id: &BackupId) -> PathBuf {
        self.backups.join(format!("backups/{id}.json"))
    }

    fn note(&self, id: &BackupId) -> PathBuf {
        self.backups.join(format!("verified/{id}.json"))
    }
}

/// B3.4
#[tokio::test]
async fn the_oldest_verified_backup_holds_all_that_it_has_not_got() {
    let desk = Desk::new();
    desk.append("orders", 10).await;
    assert_eq!(desk.needs("orders").await, Need::Everything, "no backup");
    let first = desk.back_up().await;
    assert_eq!(desk.needs("orders").await, Need::Everything, "not verified");
    desk.append("orders", 10).await;
    desk.append("payments", 3).await;
    let second = desk.back_up_and_verify().await;
    assert_eq!(desk.needs("orders").await, from(21), "the first holds none");
    assert_eq!(desk.needs("payments").await, from(4));
    desk.verify(&first).await;
    assert_eq!(desk.needs("orders").await, from(11));
    assert_eq!(
        desk.needs("payments").await,
        Need::Everything,
        "the older backup knows nothing of this stream"
    );
    // Whoever tidies up removes the manifest; a note that is left speaks for nobody.
    std::fs::remove_file(desk.manifest(&first)).unwrap();
    assert_eq!(desk.needs("orders").await, from(21));
    std::fs::remove_file(desk.manifest(&second)).unwrap();
    assert_eq!(desk.needs("orders").await, Need::Everything);
}

/// B3.4: those of other journals in the same repository play no part.
#[tokio::test]
async fn backups_of_another_journal_hold_nothing_here() {
    let (desk, other) = (Desk::new(), Desk::new());
    desk.append("orders", 10).await;
    other.append("orders", 2).await;
    let id = other.back_up_and_verify().await;
    copy_all(&other.backups, &desk.backups);
    assert!(desk.manifest(&id).exists() && desk.note(&id).exists());
    assert_eq!(desk.needs("orders").await, Need::Everything);
    desk.back_up_and_verify().await;
    assert_eq!(desk.needs("orders").await, from(11));
}

fn copy_all(from: &Path, to: &Path) {
    for folder in ["pieces", "backups", "verified"] {
        std::fs::create_dir_all(to.join(folder)).unwrap();
        for file in std::fs::read_dir(from.join(folder)).unwrap() {
            let file = file.unwrap();
            let there = to.join(folder).join(file.file_name());
            std::fs::copy(file.path(), there).unwrap();
        }
    }
}

/// B3.4: a note that is not what was written proves nothing, and lets nothing go.
#[tokio::test]
async fn a_note_that_is_damaged_or_of_another_backup_is_not_believed() {
    let desk = Desk::new();
    desk.append("orders", 10).await;
    let first = desk.back_up_and_verify().await;
    desk.append("orders", 10).await;
    let second = desk.back_up_and_verify().await;
    let right = std::fs::read_to_string(desk.note(&first)).unwrap();
    let of_second = std::fs::read_to_string(desk.note(&second)).unwrap();
    let later = resealed(&right, |note| note["format"] = 2.into());
    let unknown = resealed(&right, |note| {
        note["verification"]["check"] = "glance".into()
    });
    let more = right.replace("\"format\": 1", "\"until\": 1, \"format\": 1");
    let same = resealed(&right, |_| ());
    std::fs::write(desk.note(&first), same).unwrap();
    assert!(
        matches!(desk.standing(&first).await, Standing::Verified(_)),
        "the control: it is what was changed that is not believed"
    );
    let rows = [
        (String::new(), "EOF"),
        (right[..right.len() / 2].to_owned(), "EOF"),
        (
            right.replace("\"verified_at\": 7", "\"verified_at\": 8"),
            "digest",
        ),
        (of_second, "it is of backup"),
        (later, "format 2"),
        (unknown, "glance"),
        (more, "until"),
        ("[".repeat(1 << 16), "invalid type"),
        (" ".repeat((1 << 16) + 1), "larger than any note"),
    ];
    for (bytes, reason) in rows {
        std::fs::write(desk.note(&first), bytes).unwrap();
        let why = desk.doubt(&first).await;
        assert!(why.contains(reason), "{reason}: {why}");
        assert!(why.contains(&first.to_string()), "{why}");
        assert_eq!(desk.needs("orders").await, from(11), "in doubt it is kept");
        // Alone it is no proof that there is any verified backup.
        let aside = desk.backups.join("aside");
        std::fs::rename(desk.manifest(&second), &aside).unwrap();
        assert_eq!(desk.needs("orders").await, Need::Everything, "{reason}");
        std::fs::rename(&aside, desk.manifest(&second)).unwrap();
    }
    // The next check writes it anew.
    desk.verify(&first).await;
    assert!(matches!(desk.standing(&first).await, Standing::Verified(_)));
}

/// A note that says something else, with a right digest.
fn resealed(note: &str, change: impl FnOnce(&mut Value)) -> String {
    use sha2::{Digest, Sha256};
    let stored: Value = serde_json::from_str(note).unwrap();
    let mut note = stored["note"].clone();
    change(&mut note);
    // In the order of its fields, as the digest wants them.
    let verification = &note["verification"];
    let note = format!(
        r#"{{"format":{},"backup":{},"manifest":{},"verification":{{"verified_at":{},"check":{}}}}}"#,
        note["format"],
        note["backup"],
        note["manifest"],
        verification["verified_at"],
        verification["check"],
    );
    let digest = Sha256::digest(&note);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(r#"{{"sha256":"{digest}","note":{note}}}"#)
}

/// B3.4: a backup that was removed and taken again has to be verified again.
#[tokio::test]
async fn a_note_does_not_speak_for_a_backup_that_was_taken_again() {
    let desk = Desk::new();
    desk.append("orders", 10).await;
    let id = desk.back_up_and_verify().await;
    std::fs::remove_file(desk.manifest(&id)).unwrap();
    let source = Source::new(&desk.dir, 99);
    let again = create(&source, &desk.repository, &silent()).await.unwrap();
    assert_eq!(again.id, id);
    let why = desk.doubt(&id).await;
    assert!(why.contains("another backup"), "{why}");
    assert_eq!(desk.needs("orders").await, Need::Everything);
    desk.verify(&id).await;
    assert_eq!(desk.needs("orders").await, from(11));
}

/// B3.4: what cannot be found out keeps everything.
#[tokio::test]
async fn a_verified_backup_that_cannot_be_read_is_an_error_and_lets_nothing_go() {
    let desk = Desk::new();
    desk.append("orders", 10).await;
    let id = desk.back_up_and_verify().await;
    let kept = std::fs::read(desk.manifest(&id)).unwrap();
    std::fs::write(desk.manifest(&id), &kept[..kept.len() / 2]).unwrap();
    let error = desk.hold.needs(&name("orders")).await.unwrap_err();
    assert!(error.to_string().contains("R0121"), "{error}");
    std::fs::write(desk.manifest(&id), kept).unwrap();
    assert_eq!(desk.needs("orders").await, from(11));

    // What it has of each stream cannot be read.
    let manifest = desk.repository.manifest(&id).await.unwrap();
    let list = &manifest.stream_list[0].sha256;
    std::fs::remove_file(desk.backups.join("pieces").join(list)).unwrap();
    let fresh = BackupHold::new(&desk.repository, desk.journal.identity());
    let error = fresh.needs(&name("orders")).await.unwrap_err();
    assert!(error.to_string().contains(list), "{error}");
    // All of it is gone, as with a disk that is not mounted.
    std::fs::remove_dir_all(&desk.backups).unwrap();
    assert_eq!(desk.needs("orders").await, Need::Everything);
}
