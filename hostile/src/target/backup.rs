//! A repository of backups that somebody made: its manifest says anything, with a right digest.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use refrain_backup::{BackupError, BackupId, Repository, Source, Verified, create, silent, verify};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use crate::script::Script;

/// Changes in one run.
const CHANGES_MAX: usize = 8;

/// Where the backed-up journal is: one that every version must open.
const JOURNAL: &str = "../crates/refrain-journal/tests/fixtures/v1/closed";

pub(super) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers is there")
});

pub(super) static BACKUP: LazyLock<Backup> = LazyLock::new(Backup::take);

/// A backup as it should be.
pub(super) struct Backup {
    pub(super) store: Arc<InMemory>,
    /// What it is when it is checked.
    pub(super) verified: Verified,
    manifest: Value,
}

impl Backup {
    fn take() -> Backup {
        let store = Arc::new(InMemory::new());
        let source = Source::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(JOURNAL), 0);
        let repository = Repository::on(Arc::clone(&store) as Arc<dyn ObjectStore>, "", "memory");
        let verified = RUNTIME.block_on(async {
            let created = create(&source, &repository, &silent()).await;
            let created = created.expect("the journal is sound");
            verify(&repository, &created.id, &silent()).await
        });
        let verified = verified.expect("it was just taken");
        Backup {
            store,
            manifest: serde_json::to_value(&verified.manifest).expect("it is JSON"),
            verified,
        }
    }
}

/// The first byte says whether the rest is a manifest or a script of changes to the right one.
pub(super) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    if script.u8().is_multiple_of(2) {
        check(script.rest().to_vec());
        return;
    }
    let mut manifest = BACKUP.manifest.clone();
    change_some(&mut manifest, &mut script);
    check(sealed(manifest));
}

/// Makes the changes that `script` has.
pub(super) fn change_some(value: &mut Value, script: &mut Script<'_>) {
    for _ in 0..CHANGES_MAX {
        if script.is_over() {
            break;
        }
        change(value, script);
    }
}

/// The backup that the fuzzer starts from, as a manifest in an input.
pub(crate) fn seed() -> Vec<u8> {
    [vec![0], sealed(BACKUP.manifest.clone())].concat()
}

/// Makes one change, to a value that the script finds on its way down.
fn change(value: &mut Value, script: &mut Script<'_>) {
    let choice = usize::from(script.u8());
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let count = fields.len();
            let (_, field) = fields.iter_mut().nth(choice % count).expect("it is there");
            change(field, script);
        }
        Value::Array(items) if !items.is_empty() => {
            let count = items.len();
            match script.u8() % 8 {
                0 => _ = items.remove(choice % count),
                1 => items.push(items[choice % count].clone()),
                2 => items.swap(0, choice % count),
                _ => change(&mut items[choice % count], script),
            }
        }
        Value::Number(_) => *value = script.u64().into(),
        Value::String(text) => {
            let at = text.floor_char_boundary(choice.min(text.len()));
            text.truncate(at);
            text.push_str(&String::from_utf8_lossy(script.bytes(8)));
        }
        Value::Null | Value::Bool(_) | Value::Object(_) | Value::Array(_) => {
            *value = script.u32().into();
        }
    }
}

/// The manifest as it is stored, with the digest of what it says.
fn sealed(manifest: Value) -> Vec<u8> {
    // In the order of its fields, as the digest wants them, if it still is one.
    let digested = match serde_json::from_value::<refrain_backup::Manifest>(manifest.clone()) {
        Ok(manifest) => serde_json::to_vec(&manifest),
        Err(_) => serde_json::to_vec(&manifest),
    };
    let digest = digest_text(&digested.expect("it is JSON"));
    let stored = serde_json::json!({ "sha256": digest, "backup": manifest });
    serde_json::to_vec(&stored).expect("it is JSON")
}

/// The SHA-256 digest of `bytes`, in hexadecimal digits.
pub(super) fn digest_text(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A manifest is refused with a reason, or its backup is the one that was taken.
fn check(manifest: Vec<u8>) {
    let id = named(&manifest).unwrap_or_else(|| BACKUP.verified.manifest.id());
    let store = Arc::new(BACKUP.store.fork());
    let repository = Repository::on(Arc::clone(&store) as Arc<dyn ObjectStore>, "", "memory");
    let verified = RUNTIME.block_on(async {
        let place = ObjectPath::from(format!("backups/{id}.json"));
        let put = store.put(&place, manifest.into()).await;
        put.expect("memory takes it");
        verify(&repository, &id, &silent()).await
    });
    match verified {
        Ok(verified) => {
            let right = BACKUP.manifest["streams"].as_u64();
            assert_eq!(right, Some(verified.streams.len() as u64));
        }
        Err(BackupError::Store { reason, .. }) => panic!("memory does not fail: {reason}"),
        Err(_) => {}
    }
}

/// The name of the backup that a manifest says it is.
fn named(manifest: &[u8]) -> Option<BackupId> {
    let stored: Value = serde_json::from_slice(manifest).ok()?;
    let said: refrain_backup::Manifest = serde_json::from_value(stored["backup"].clone()).ok()?;
    Some(said.id())
}
