//! A backup of format 1, as it lies in a repository: every later version must restore it.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use refrain_backup::{Repository, Target, restore, silent, verify};
use refrain_core::Name;
use refrain_journal::JournalReader;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v1");

#[tokio::test]
async fn a_backup_of_format_1_is_verified_and_restored() {
    let repository = Repository::open(REPOSITORY).unwrap();
    let id = repository.newest().await.unwrap();
    let verified = verify(&repository, &id, &silent()).await.unwrap();
    assert_eq!(verified.manifest.format, 1);
    assert_eq!(verified.manifest.entries, 77);
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("journal");
    let target = Target::new(&dir);
    restore(&repository, &id, &target, &silent()).await.unwrap();
    let reader = JournalReader::open(&dir).unwrap();
    for stream in &verified.streams {
        let name = Name::new(&stream.stream).unwrap();
        assert_eq!(reader.head(&name).map(|last| last.get()), stream.last);
        assert_eq!(reader.first(&name).map(|first| first.get()), stream.first);
    }
}
