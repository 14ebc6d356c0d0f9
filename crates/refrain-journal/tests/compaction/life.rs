//! Lives with compaction that are disturbed at each operation: nothing is lost.

use std::io::ErrorKind;

use refrain_core::port::journal::Journal;

use crate::support::{Fault, FaultDisk, batch, contents, name, position};
use crate::{entry, open};

/// What a life with compaction came to.
#[derive(Debug, Default)]
struct Life {
    acknowledged: u64,
    has_forgotten: bool,
}

/// Compacts, merges and forgets; stops at the first append that fails.
async fn live(disk: &FaultDisk) -> Life {
    let mut life = Life::default();
    let Ok(journal) = open(disk) else {
        return life;
    };
    for round in 0..3 {
        for at in round * 8 + 1..=round * 8 + 8 {
            let entries = [&entry("orders", at)[..], &"y".repeat(1200)];
            let at = position(2 * at - 1);
            if journal
                .append(&name("orders"), at, batch(&entries))
                .await
                .is_err()
            {
                return life;
            }
            life.acknowledged = at.get() + 1;
        }
        let _ = journal.compact().await;
        if round == 1 {
            life.has_forgotten = true;
            let _ = journal.forget(&name("orders"), position(11)).await;
        }
    }
    life
}

async fn check_life(life: &Life, disk: &FaultDisk, context: &str) {
    let journal = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let orders = name("orders");
    let head = journal
        .head(&orders)
        .await
        .unwrap()
        .map_or(0, |head| head.get());
    let allowed = [life.acknowledged, life.acknowledged + 2];
    assert!(allowed.contains(&head), "{context}: {head}, {life:?}");
    let first = journal
        .first(&orders)
        .await
        .unwrap()
        .map_or(1, |first| first.get());
    assert!(
        first == 1 || (first == 11 && life.has_forgotten),
        "{context}: {first}"
    );
    let expected = |at: u64| match at {
        at if at.is_multiple_of(2) => "y".repeat(1200),
        at => entry("orders", at.div_ceil(2)),
    };
    let expected: Vec<_> = (first..=head).map(|at| expected(at).into_bytes()).collect();
    assert!(contents(&journal, &orders).await == expected, "{context}");
    let _ = journal.compact().await;
    assert!(
        contents(&journal, &orders).await == expected,
        "{context}, compacted again"
    );
}

async fn operations() -> usize {
    let disk = FaultDisk::default();
    assert_eq!(live(&disk).await.acknowledged, 48);
    disk.operations().len()
}

/// B2.7
#[tokio::test]
async fn nothing_is_lost_when_any_operation_of_a_life_with_compaction_is_the_last_one() {
    for number in 0..operations().await {
        let disk = FaultDisk::default();
        disk.set_fault(number, Fault::Freeze);
        let life = live(&disk).await;
        check_life(&life, &disk.after_kill(), &format!("killed at {number}")).await;
        let context = format!("power lost at {number}");
        check_life(&life, &disk.after_power_loss(), &context).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_when_any_operation_of_a_life_with_compaction_fails() {
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        for number in 0..operations().await {
            let disk = FaultDisk::default();
            disk.set_fault(number, Fault::Fail(kind));
            let life = live(&disk).await;
            let context = format!("{kind:?} at {number}");
            check_life(&life, &disk.after_kill(), &format!("{context}, killed")).await;
            check_life(&life, &disk.after_power_loss(), &format!("{context}, cut")).await;
        }
    }
}
