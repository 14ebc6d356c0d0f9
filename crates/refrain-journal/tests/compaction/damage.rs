//! Damaged stream segments: refused by name, or without meaning.

use std::sync::Arc;

use refrain_core::port::journal::Journal;
use refrain_journal::{FileJournal, OpenError};

use crate::support::{FaultDisk, name, position, small_segments};
use crate::{DIR, STREAMS, append_to_all, check, entry, names, open, path};

/// B2.7
#[tokio::test]
async fn every_flipped_bit_of_a_stream_segment_is_refused_or_without_meaning() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    append_to_all(&journal, 1, 16).await;
    journal.compact().await.unwrap();
    check(&journal, [1; 3], 16, "before").await;
    drop(journal);
    let file = path(&names(&disk, ".seg")[0]);
    let whole = disk.get(&file);
    let mut refused = 0;
    for byte in 0..whole.len() {
        let disk = disk.after_kill();
        let mut bytes = whole.clone();
        bytes[byte] ^= 1 << (byte % 8);
        disk.put(&file, bytes);
        let Ok(journal) = open(&disk) else {
            refused += 1;
            continue;
        };
        let mut is_refused = false;
        for stream in STREAMS {
            let mut cursor = journal.read(&name(stream), position(1)).await.unwrap();
            let mut next = 1;
            loop {
                match cursor.next().await {
                    Ok(Some(chunk)) => {
                        for (at, found) in chunk.entries() {
                            let expected = entry(stream, next);
                            assert_eq!((at.get(), found), (next, expected.as_bytes()));
                            next += 1;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        assert!(error.to_string().contains(".seg"), "byte {byte}: {error}");
                        is_refused = true;
                        break;
                    }
                }
            }
        }
        refused += usize::from(is_refused);
    }
    // Declarations are read when there is no directory.
    assert!(refused + 200 > whole.len(), "{refused} of {}", whole.len());
}

/// B2.7
#[tokio::test]
async fn a_missing_swapped_or_foreign_stream_segment_is_refused_by_name() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    append_to_all(&journal, 1, 30).await;
    journal.compact().await.unwrap();
    drop(journal);
    let file = names(&disk, ".seg").remove(0);
    let refused = |disk: FaultDisk, why: &str| {
        let error = open(&disk).unwrap_err();
        let OpenError::Corrupt { place, .. } = &error else {
            panic!("{why}: {error}");
        };
        assert!(place.contains(&file), "{why}: {place}");
    };
    let missing = disk.after_kill();
    missing.delete(&path(&file));
    refused(missing, "missing");
    let other = FaultDisk::default();
    let options = small_segments().identity(8);
    let journal = FileJournal::open_on(Arc::new(other.clone()), DIR, options).unwrap();
    append_to_all(&journal, 1, 30).await;
    journal.compact().await.unwrap();
    drop(journal);
    let foreign = disk.after_kill();
    foreign.put(&path(&file), other.get(&path(&file)));
    refused(foreign, "foreign");
    let cut = disk.after_kill();
    let bytes = cut.get(&path(&file));
    cut.put(&path(&file), bytes[..bytes.len() - 1].to_vec());
    refused(cut, "cut");
}
