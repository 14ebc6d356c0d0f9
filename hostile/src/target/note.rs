//! The note of a check of a backup: what a repository makes of it, and what a hold keeps for it.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use refrain_backup::{BackupHold, Repository, Standing, note};
use refrain_core::port::hold::Need;
use refrain_core::{Name, Position};
use serde::Serialize;
use serde_json::Value;

use super::backup::{BACKUP, RUNTIME, change_some, digest_text};
use crate::script::Script;

/// When the backup was checked.
const VERIFIED_AT: u64 = 1_700_000_000_000_000;

/// The right note, as JSON.
static NOTE: LazyLock<Value> = LazyLock::new(|| {
    let store = Arc::new(BACKUP.store.fork());
    let repository = Repository::on(Arc::clone(&store) as Arc<dyn ObjectStore>, "", "memory");
    let bytes = RUNTIME.block_on(async {
        let noted = note(&repository, &BACKUP.verified, VERIFIED_AT).await;
        noted.expect("memory takes it");
        let found = store.get(&right_place()).await.expect("it was noted");
        found.bytes().await.expect("memory gives it")
    });
    json(&bytes)
});

fn right_place() -> ObjectPath {
    ObjectPath::from(format!("verified/{}.json", BACKUP.verified.manifest.id()))
}

/// The first byte says whether the rest is a note, a script of changes to the right one, or the name that
/// the right one has.
pub(super) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    match script.u8() % 3 {
        0 => check(right_place(), script.rest().to_vec().into()),
        1 => {
            let mut note = NOTE["note"].clone();
            change_some(&mut note, &mut script);
            check(right_place(), sealed(&note));
        }
        _ => {
            let name = String::from_utf8_lossy(script.rest());
            check(
                ObjectPath::from(format!("verified/{name}")),
                sealed(&NOTE["note"]),
            );
        }
    }
}

/// The right note in an input, and its name.
pub(crate) fn seeds() -> [Vec<u8>; 2] {
    let name = right_place();
    let name = name.filename().expect("it has one");
    [
        [&[0], &sealed(&NOTE["note"])[..]].concat(),
        [&[2], name.as_bytes()].concat(),
    ]
}

/// A note's fields in the order in which they are digested.
#[derive(Serialize)]
struct Digested<'a> {
    format: &'a Value,
    backup: &'a Value,
    manifest: &'a Value,
    verification: Verification<'a>,
}

#[derive(Serialize)]
struct Verification<'a> {
    verified_at: &'a Value,
    check: &'a Value,
}

/// The note as it is stored, with the digest of what it says.
fn sealed(note: &Value) -> Bytes {
    let digested = Digested {
        format: &note["format"],
        backup: &note["backup"],
        manifest: &note["manifest"],
        verification: Verification {
            verified_at: &note["verification"]["verified_at"],
            check: &note["verification"]["check"],
        },
    };
    let digested = serde_json::to_vec(&digested).expect("it is JSON");
    let stored = serde_json::json!({ "sha256": digest_text(&digested), "note": note });
    serde_json::to_vec(&stored).expect("it is JSON").into()
}

/// A note that is believed is the right one, but for its time; any other one holds no less than none at
/// all.
fn check(place: ObjectPath, bytes: Bytes) {
    let store = Arc::new(BACKUP.store.fork());
    let repository = Repository::on(Arc::clone(&store) as Arc<dyn ObjectStore>, "", "memory");
    let standing = RUNTIME.block_on(async {
        let put = store.put(&place, bytes.clone().into()).await;
        put.expect("memory takes it");
        standing(&repository).await
    });
    let is_believed = match standing {
        Standing::Verified(said) => {
            let mut right = NOTE["note"].clone();
            right["verification"]["verified_at"] = said.verified_at.into();
            assert_eq!(json(&bytes), json(&sealed(&right)), "of another check");
            true
        }
        Standing::InDoubt(reason) => {
            assert!(reason.contains("verified/"), "{reason} names no object");
            false
        }
        Standing::Unverified => {
            assert_ne!(place, right_place(), "there is a note");
            false
        }
        other => panic!("nobody knows {other:?}"),
    };
    held(&repository, is_believed);
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("it is JSON")
}

async fn standing(repository: &Repository) -> Standing {
    let standing = repository.standing(&BACKUP.verified.manifest).await;
    standing.expect("memory does not fail")
}

/// Entries behind the backup's last ones are held for a backup with a note that is believed; without one,
/// all of them.
fn held(repository: &Repository, is_believed: bool) {
    let manifest = &BACKUP.verified.manifest;
    let identity = u64::from_str_radix(&manifest.identity, 16).expect("it is a number");
    let hold = BackupHold::new(repository, identity);
    for stream in &BACKUP.verified.streams {
        let name = Name::new(&stream.stream).expect("it is a name");
        let next = stream.last.and_then(|last| Position::new(last + 1));
        let due = match next {
            Some(next) if is_believed => Need::From(next),
            Some(_) | None => Need::Everything,
        };
        let need = RUNTIME.block_on(hold.held(&name));
        assert_eq!(need.expect("the backup is whole"), due, "of {name}");
    }
}
