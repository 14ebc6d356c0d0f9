//! Snapshots through failures and damage.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use refrain_core::port::snapshots::{SnapshotError, Snapshots};
use refrain_journal::FileSnapshots;
use support::{Fault, FaultDisk, Kind, name, position};

fn open(disk: &FaultDisk) -> FileSnapshots {
    FileSnapshots::open_on(Arc::new(disk.clone()), "/snapshots").unwrap()
}

/// B3.3
#[tokio::test]
async fn a_snapshot_is_there_whole_or_not_at_all_whichever_operation_is_the_last_one() {
    let orders = name("orders");
    let mut acknowledged = 0;
    for number in 0..8 {
        let disk = FaultDisk::default();
        let snapshots = open(&disk);
        let old = Bytes::from_static(b"the state before");
        snapshots
            .put(&orders, position(3), old.clone())
            .await
            .unwrap();
        let new = Bytes::from_static(b"the state after");
        disk.set_fault(disk.operations().len() + number, Fault::Freeze);
        let put = snapshots.put(&orders, position(7), new.clone()).await;
        acknowledged += usize::from(put.is_ok());
        for disk in [disk.after_kill(), disk.after_power_loss()] {
            let snapshots = open(&disk);
            assert_eq!(snapshots.get(&orders, position(3)).await.unwrap(), old);
            let kept = snapshots.list(&orders).await.unwrap();
            match snapshots.get(&orders, position(7)).await {
                Ok(bytes) => {
                    assert_eq!(bytes, new);
                    assert_eq!(kept, [position(7), position(3)]);
                }
                Err(SnapshotError::Missing { .. }) => {
                    assert!(put.is_err(), "an acknowledged snapshot is kept");
                    assert_eq!(kept, [position(3)]);
                }
                Err(error) => panic!("operation {number}: {error}"),
            }
        }
    }
    assert!(
        (1..8).contains(&acknowledged),
        "some puts ended before the fault, some did not"
    );
}

/// B3.3, B3.4
#[tokio::test]
async fn a_snapshot_that_is_listed_outlives_a_loss_of_power_also_one_whose_put_failed() {
    let orders = name("orders");
    for is_opened_again in [false, true] {
        let disk = FaultDisk::default();
        let mut snapshots = open(&disk);
        // Its name is there, and nobody knows whether it lasts.
        disk.fail_next(Kind::SyncDir);
        let state = Bytes::from_static(b"state");
        let put = snapshots.put(&orders, position(7), state.clone()).await;
        put.unwrap_err();
        if is_opened_again {
            drop(snapshots);
            snapshots = open(&disk);
        }
        // Whoever sees it may have the entries forgotten that it covers.
        assert_eq!(snapshots.list(&orders).await.unwrap(), [position(7)]);
        let after = open(&disk.after_power_loss());
        assert_eq!(after.get(&orders, position(7)).await.unwrap(), state);
    }
}

#[tokio::test]
async fn what_a_kill_left_of_a_snapshot_goes_with_the_next_one_of_its_stream() {
    let (orders, cards) = (name("orders"), name("cards"));
    let disk = FaultDisk::default();
    for stream in ["orders", "cards"] {
        let unfinished = format!("/snapshots/{stream}@00000000000000000007.snap.new");
        disk.put(Path::new(&unfinished), vec![1; 100]);
    }
    let snapshots = open(&disk);
    let put = snapshots.put(&orders, position(9), Bytes::from_static(b"state"));
    put.await.unwrap();
    assert_eq!(snapshots.list(&orders).await.unwrap(), [position(9)]);
    assert_eq!(
        disk.paths().len(),
        2,
        "that of another stream may be under way"
    );
    let put = snapshots.put(&cards, position(9), Bytes::from_static(b"state"));
    put.await.unwrap();
    assert_eq!(disk.paths().len(), 2);
}

/// B3.3
#[tokio::test]
async fn every_flipped_bit_of_a_snapshot_is_an_error_and_so_is_a_wrong_name() {
    let orders = name("orders");
    let disk = FaultDisk::default();
    let snapshots = open(&disk);
    snapshots
        .put(&orders, position(7), Bytes::from_static(b"state"))
        .await
        .unwrap();
    let path = disk.paths().remove(0);
    let whole = disk.get(&path);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        disk.put(&path, flipped);
        let error = snapshots.get(&orders, position(7)).await.unwrap_err();
        assert!(
            matches!(error, SnapshotError::Damaged { .. }),
            "bit {bit}: {error}"
        );
    }
    let other = path.to_str().unwrap().replace('7', "8");
    disk.put(Path::new(&other), whole);
    let error = snapshots.get(&orders, position(8)).await.unwrap_err();
    assert!(matches!(error, SnapshotError::Damaged { .. }), "{error}");
}
