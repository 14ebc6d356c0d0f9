//! Retention keeps what the oldest verified backup has not got, so that what is restored from it can be
//! brought up to date.

use std::path::Path;

use refrain::{
    FileSnapshots, Journal, KeptFor, Position, Processor, Refrain, Retained, RetentionPolicy,
    SnapshotPolicy,
};
use refrain_backup::{BackupHold, Repository};
use refrain_core::port::journal::ReadError;
use serde_json::Value;

use crate::run;
use crate::support::{Place, append, name, open, position};

/// Whether the program gives its backups' hold to its retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backups {
    Held,
    Ignored,
}

#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
struct Till(u64);

impl Processor for Till {
    type Message = u64;
    type Event = u64;
    type Answer = u64;
    type Rejection = refrain::Never;

    fn decide(&self, amount: &u64, out: &mut refrain::Outbox<Self>) -> Result<u64, refrain::Never> {
        out.event(*amount);
        Ok(self.0 + amount)
    }

    fn apply(&mut self, amount: &u64) {
        self.0 += amount;
    }
}

/// A program that keeps little: one entry, two snapshots, and what its backups need.
async fn start(place: &Place, backups: Backups) -> Refrain {
    let journal = open(&place.path("journal"));
    let repository = Repository::make(place.path("backups").to_str().unwrap()).unwrap();
    let hold = BackupHold::new(&repository, journal.identity());
    let snapshots = FileSnapshots::open(place.path("snapshots")).unwrap();
    let builder = Refrain::builder()
        .journal(journal)
        .snapshots(snapshots, SnapshotPolicy::on_request());
    let builder = match backups {
        Backups::Held => builder.hold(hold),
        Backups::Ignored => builder,
    };
    let policy = RetentionPolicy::entries(1).letting_answers_go();
    let builder = builder.processor("till", Till::default()).retention(policy);
    builder.start().await.unwrap()
}

/// Ten more entries and a snapshot with its watermark, twice: the older ones are of no use to the program itself.
async fn go_on(refrain: &Refrain) -> Retained {
    let till = refrain.processor::<Till>("till");
    for _ in 0..2 {
        for _ in 0..10 {
            till.ask(1).await.unwrap();
        }
        till.snapshot().await.unwrap();
    }
    till.retain().await.unwrap()
}

fn create(place: &Place) -> String {
    let (dir, to) = (place.path("journal"), place.path("backups"));
    let ran = run!("backup", "create", dir, to, "--json");
    let id = ran.assert_exit(0).value()["backup"].clone();
    id.as_str().unwrap().to_owned()
}

fn verify(place: &Place, id: &str) {
    let from = place.path("backups");
    run!("backup", "verify", from, "--backup", id).assert_exit(0);
}

/// The one stream, as `ls` lists it with what backups hold.
fn listed(place: &Place) -> Value {
    let (dir, backups) = (place.path("journal"), place.path("backups"));
    let ran = run!("ls", dir, "--backups", backups, "--json");
    ran.assert_exit(0).value()["streams"][0].clone()
}

/// Brings a restored journal up to date from the one that went on.
async fn bring_up_to_date(restored: &Path, from: &Path) -> Result<(), ReadError> {
    let restored = open(restored);
    let mut next = restored.head(&name("till")).await?.unwrap().next();
    for entry in entries(from, next).await? {
        append(&restored, "till", next.get(), &entry).await;
        next = next.next();
    }
    Ok(())
}

/// The till's entries from `at` on.
async fn entries(dir: &Path, mut at: Position) -> Result<Vec<Vec<u8>>, ReadError> {
    let journal = open(dir);
    let till = name("till");
    let last = journal.head(&till).await?.unwrap();
    let mut cursor = journal.read(&till, at).await?;
    let mut entries = Vec::new();
    while at <= last {
        let chunk = cursor.next().await?.unwrap();
        while let Some(entry) = chunk.entry(at) {
            entries.push(entry.to_vec());
            at = at.next();
        }
    }
    Ok(entries)
}

/// B3.4: with the control in which nobody holds anything for the backup.
#[tokio::test]
async fn what_is_restored_from_the_oldest_verified_backup_can_be_brought_up_to_date() {
    for backups in [Backups::Held, Backups::Ignored] {
        let place = Place::new();
        let refrain = start(&place, backups).await;
        go_on(&refrain).await;
        let id = create(&place);
        verify(&place, &id);
        let retained = go_on(&refrain).await;
        refrain.drain().await;
        drop(refrain);

        let (journal, again) = (place.path("journal"), place.path("again"));
        let from = place.path("backups");
        run!("restore", from, &again, "--backup", &id).assert_exit(0);
        let ended = bring_up_to_date(&again, &journal).await;
        let seen = listed(&place);
        match backups {
            Backups::Held => {
                assert!(
                    matches!(retained.kept_for, KeptFor::Hold(_)),
                    "{retained:?}"
                );
                assert_eq!(seen["held_from"], retained.first.unwrap().get());
                assert_eq!(seen["held_entries_gone"], 0);
                ended.unwrap();
                let first = retained.first.unwrap();
                let brought = entries(&again, first).await.unwrap();
                assert!(!brought.is_empty());
                assert_eq!(brought, entries(&journal, first).await.unwrap());
            }
            Backups::Ignored => {
                assert!(
                    matches!(ended, Err(ReadError::Forgotten { .. })),
                    "{ended:?}"
                );
                assert!(seen["held_entries_gone"].as_u64() > Some(0), "{seen}");
            }
        }
    }
}

/// B3.4
#[tokio::test]
async fn retention_goes_on_when_a_newer_backup_is_verified_and_the_older_one_removed() {
    let place = Place::new();
    let refrain = start(&place, Backups::Held).await;
    let retained = go_on(&refrain).await;
    assert_eq!(retained.forgotten, 0, "no backup is verified: {retained:?}");
    let first = create(&place);
    assert_eq!(go_on(&refrain).await.forgotten, 0, "still none");
    verify(&place, &first);
    let with_first = go_on(&refrain).await;
    assert_eq!(with_first.first, Some(position(24)));
    let second = create(&place);
    verify(&place, &second);
    let till = refrain.processor::<Till>("till");
    assert_eq!(till.retain().await.unwrap().first, Some(position(24)));
    let manifest = place.path("backups").join(format!("backups/{first}.json"));
    std::fs::remove_file(manifest).unwrap();
    let retained = go_on(&refrain).await;
    assert!(retained.first > with_first.first, "{retained:?}");
    refrain.drain().await;
}

#[tokio::test]
async fn backups_are_listed_with_when_they_were_verified() {
    let place = Place::new();
    let refrain = start(&place, Backups::Held).await;
    go_on(&refrain).await;
    refrain.drain().await;
    drop(refrain);
    let id = create(&place);
    let backups = place.path("backups");
    let row = || run!("backup", "ls", &backups, "--json");
    let verified = || row().assert_exit(0).value()["backups"][0]["verified"].clone();
    assert_eq!(verified(), Value::Null);
    assert_eq!(listed(&place)["held_from"], 1);
    verify(&place, &id);
    assert_eq!(verified()["check"], "every-byte");
    assert_eq!(listed(&place)["held_from"], 24);
    let ran = run!("ls", place.path("journal"), "--backups", &backups);
    assert!(ran.assert_exit(0).out.contains("from 24"), "{}", ran.out);

    let note = backups.join(format!("verified/{id}.json"));
    std::fs::write(&note, "{").unwrap();
    let ran = run!("backup", "ls", &backups);
    ran.assert_exit(1);
    let place_of_note = format!("not believed: verified/{id}.json");
    assert!(
        ran.out.contains("in doubt") && ran.out.contains(&place_of_note),
        "{}",
        ran.out
    );
    verify(&place, &id);
    run!("backup", "ls", &backups).assert_exit(0);
}

/// Who may only read a repository can check it, and is told that nothing was noted.
#[tokio::test]
async fn a_check_that_cannot_be_noted_says_so() {
    let place = Place::new();
    let refrain = start(&place, Backups::Held).await;
    refrain.drain().await;
    drop(refrain);
    create(&place);
    let backups = place.path("backups");
    // Where notes go there is something else.
    std::fs::write(backups.join("verified"), "").unwrap();
    let ran = run!("backup", "verify", &backups);
    ran.assert_exit(0);
    assert!(ran.out.starts_with("sound:"), "{}", ran.out);
    assert_eq!(ran.err, "");
    for said in ["not noted:", "R0124", "keep nothing", "may write"] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    let value = run!("backup", "verify", &backups, "--json").value();
    assert_eq!(
        (&value["sound"], &value["noted"]),
        (&true.into(), &false.into())
    );
    assert_eq!(value["not_noted"]["code"], "R0124");
    // What follows is true: nothing is noted of it.
    std::fs::remove_file(backups.join("verified")).unwrap();
    let listed = run!("backup", "ls", &backups, "--json").value();
    assert_eq!(listed["backups"][0]["verified"], serde_json::Value::Null);
}
