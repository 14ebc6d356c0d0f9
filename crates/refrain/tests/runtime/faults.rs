//! Snapshots and retention on a disk that fails: the whole of a life, stopped at every operation.

use std::path::Path;
use std::sync::Arc;

use refrain::{
    FileJournal, FileSnapshots, Journal, JournalOptions, Position, RedeliveryPolicy, Refrain,
    RetentionPolicy, SnapshotPolicy, Snapshots, StartError,
};
use refrain_testkit::{Act, ScriptedDestination};

use crate::desk::{Desk, Job, LETTERS, NOTES, QUESTIONS, channel, number, reply};
use crate::support::{Fault, FaultDisk};
use crate::till::{Say, Till, name};

fn at(number: u64) -> Position {
    Position::new(number).unwrap()
}

fn journal(disk: &FaultDisk) -> Option<FileJournal> {
    let options = JournalOptions::default()
        .segment_bytes(8192)
        .identity(7)
        .reader_threads(1);
    FileJournal::open_on(Arc::new(disk.clone()), "/journal", options).ok()
}

fn snapshots(disk: &FaultDisk) -> Option<FileSnapshots> {
    FileSnapshots::open_on(Arc::new(disk.clone()), "/snapshots").ok()
}

async fn start_till(disk: &FaultDisk) -> Option<Result<Refrain, StartError>> {
    let builder = Refrain::builder()
        .journal(journal(disk)?)
        .snapshots(snapshots(disk)?, SnapshotPolicy::on_request());
    Some(builder.processor("till", Till::default()).start().await)
}

/// Adds twice and takes a snapshot, three times. Gives what was acknowledged, until the first error.
async fn till_life(disk: &FaultDisk) -> u64 {
    let mut acknowledged = 0;
    let Some(Ok(refrain)) = start_till(disk).await else {
        return acknowledged;
    };
    let till = refrain.processor::<Till>("till");
    for _ in 0..3 {
        for _ in 0..2 {
            if till.ask(Say::Add(1)).await.is_err() {
                return acknowledged;
            }
            acknowledged += 1;
        }
        let _ = till.snapshot().await;
    }
    refrain.drain().await;
    acknowledged
}

/// B3.3: whatever is left of snapshots that were being stored and deleted, the state is right.
#[tokio::test]
async fn snapshotting_that_is_stopped_at_any_operation_leaves_the_right_state() {
    let disk = FaultDisk::default();
    assert_eq!(till_life(&disk).await, 6);
    let operations = disk.operations().len();
    let mut from_snapshot = 0;
    for operation in 0..operations {
        let disk = FaultDisk::default();
        disk.set_fault(operation, Fault::Freeze);
        let acknowledged = till_life(&disk).await;
        for disk in [disk.after_kill(), disk.after_power_loss()] {
            let refrain = start_till(&disk).await.expect("the journal opens");
            let refrain = refrain.unwrap_or_else(|error| panic!("{operation}: {error}"));
            let till = refrain.processor::<Till>("till");
            from_snapshot += u32::from(till.recovery().snapshot.is_some());
            let (total, position) = till.query_at(|till, at| (till.total, at)).await.unwrap();
            assert!(
                (acknowledged..=acknowledged + 1).contains(&total),
                "{operation}"
            );
            // The control of every snapshot: the journal alone says the same.
            let replayed = replayed(&disk, position).await;
            assert_eq!(replayed.total, total, "{operation}");
            refrain.drain().await;
        }
    }
    assert!(
        from_snapshot > 20,
        "{from_snapshot} of {operations} used one"
    );
}

/// The till as a replay of the whole journal gives it.
async fn replayed(disk: &FaultDisk, position: Position) -> Till {
    let copy = disk.after_kill();
    let history = refrain::History::of(journal(&copy).unwrap());
    let till = history.state_at("till", Till::default(), position).await;
    till.unwrap()
}

/// What can be wrong with a snapshot's file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Bit(usize),
    Cut(usize),
    FileVersion,
    ContentVersion,
    OfAnotherPosition,
}

const SNAPSHOT: &str = "/snapshots/till@00000000000000000006.snap";
const OLDER: &str = "/snapshots/till@00000000000000000003.snap";

async fn damage(disk: &FaultDisk, path: &str, damage: Damage) {
    let path = Path::new(path);
    let mut file = disk.get(path);
    match damage {
        Damage::Bit(bit) => {
            let byte = bit / 8 % file.len();
            file[byte] ^= 1 << (bit % 8);
        }
        Damage::Cut(bytes) => file.truncate(bytes.min(file.len() - 1)),
        Damage::FileVersion => {
            file[8..12].copy_from_slice(&77_u32.to_le_bytes());
            let checksum = crc32c::crc32c_append(crc32c::crc32c(&file[..12]), &file[16..]);
            file[12..16].copy_from_slice(&checksum.to_le_bytes());
        }
        Damage::ContentVersion => {
            let (snapshots, till) = (snapshots(disk).unwrap(), name("till"));
            let position = at(file[16].into());
            let mut content = snapshots.get(&till, position).await.unwrap().to_vec();
            content[0] = 77;
            snapshots
                .put(&till, position, content.into())
                .await
                .unwrap();
            return;
        }
        Damage::OfAnotherPosition => {
            let (snapshots, till) = (snapshots(disk).unwrap(), name("till"));
            let position = at(file[16].into());
            let content = snapshots.get(&till, position).await.unwrap();
            snapshots
                .put(&till, at(position.get() + 1), content)
                .await
                .unwrap();
            snapshots.delete(&till, position).await.unwrap();
            return;
        }
    }
    disk.put(path, file);
}

/// A till with entries up to 9 and snapshots at 3 and 6, closed.
async fn two_snapshots() -> FaultDisk {
    let disk = FaultDisk::default();
    let refrain = start_till(&disk).await.unwrap().unwrap();
    let till = refrain.processor::<Till>("till");
    for _ in 0..2 {
        till.ask_all(vec![Say::Add(1), Say::Add(10)]).await.unwrap();
        till.snapshot().await.unwrap();
    }
    till.ask_all(vec![Say::Add(1), Say::Add(10)]).await.unwrap();
    refrain.drain().await;
    disk
}

/// B3.3: the catalogue of snapshot faults, on a journal that is whole and on one that is not.
#[tokio::test]
async fn bad_snapshot_is_passed_over_and_without_its_entries_recovery_refuses() {
    let disk = two_snapshots().await;
    let file_bits = disk.get(Path::new(SNAPSHOT)).len() * 8;
    let flips = (0..file_bits).step_by(61).map(Damage::Bit);
    let cuts = [0, 10, 31, 32, 60, file_bits / 8 - 1].map(Damage::Cut);
    let others = [
        Damage::FileVersion,
        Damage::ContentVersion,
        Damage::OfAnotherPosition,
    ];
    for kind in flips.chain(cuts).chain(others) {
        let copy = disk.after_kill();
        damage(&copy, SNAPSHOT, kind).await;
        check_recovery(&copy, Some(3), kind).await;
        let copy = disk.after_kill();
        damage(&copy, SNAPSHOT, kind).await;
        damage(&copy, OLDER, kind).await;
        check_recovery(&copy, None, kind).await;

        // Both are bad, and the journal does not have what they stood for.
        let copy = disk.after_kill();
        let without = journal(&copy).unwrap();
        without.forget(&name("till"), at(4)).await.unwrap();
        drop(without);
        damage(&copy, SNAPSHOT, kind).await;
        damage(&copy, OLDER, kind).await;
        let refused = start_till(&copy).await.unwrap();
        let Err(StartError::Halted { reason, .. }) = refused else {
            panic!("{kind:?}: a state without its beginning was taken");
        };
        assert!(reason.contains("no snapshot"), "{kind:?}: {reason}");
    }
    // The control: with the good ones, the journal without its beginning is enough.
    let without = journal(&disk).unwrap();
    without.forget(&name("till"), at(4)).await.unwrap();
    drop(without);
    check_recovery(&disk, Some(6), Damage::Cut(0)).await;
}

async fn check_recovery(disk: &FaultDisk, snapshot: Option<u64>, kind: Damage) {
    let refrain = start_till(disk).await.unwrap();
    let refrain = refrain.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    let till = refrain.processor::<Till>("till");
    let used = till.recovery().snapshot.map(Position::get);
    assert_eq!(used, snapshot, "{kind:?}");
    assert_eq!(till.query(|till| till.total).await.unwrap(), 33, "{kind:?}");
    refrain.drain().await;
}

/// B3.3
#[tokio::test]
async fn snapshot_that_is_newer_than_the_journal_is_passed_over() {
    let older = FaultDisk::default();
    let refrain = start_till(&older).await.unwrap().unwrap();
    let till = refrain.processor::<Till>("till");
    till.ask(Say::Add(7)).await.unwrap();
    refrain.drain().await;
    let newer = two_snapshots().await;
    for path in [SNAPSHOT, OLDER].map(Path::new) {
        older.put(path, newer.get(path));
    }
    let refrain = start_till(&older).await.unwrap().unwrap();
    let till = refrain.processor::<Till>("till");
    assert_eq!(till.recovery().snapshot, None);
    assert_eq!(till.query(|till| till.total).await.unwrap(), 7);
    refrain.drain().await;
}

async fn start_desk(disk: &FaultDisk, letters: &ScriptedDestination) -> Option<Refrain> {
    let policy = RedeliveryPolicy::default;
    let nobody = || ScriptedDestination::always(Act::reply(reply(1)));
    let builder = Refrain::builder()
        .journal(journal(disk)?)
        .snapshots(snapshots(disk)?, SnapshotPolicy::on_request());
    let started = builder
        .processor("desk", Desk::default())
        .retention(RetentionPolicy::entries(1).letting_answers_go())
        .destination(&QUESTIONS, nobody(), policy())
        .destination(&LETTERS, letters.clone(), policy())
        .destination(&NOTES, nobody(), policy())
        .start();
    started.await.ok()
}

/// Sends letters that nobody takes, with snapshots and retention in between. Gives how many were
/// acknowledged, and whether anything was forgotten.
async fn desk_life(disk: &FaultDisk) -> (u64, bool) {
    let (mut acknowledged, mut is_forgotten) = (0, false);
    let silent = ScriptedDestination::always(Act::Silence);
    let Some(refrain) = start_desk(disk, &silent).await else {
        return (acknowledged, is_forgotten);
    };
    let desk = refrain.processor::<Desk>("desk");
    for _ in 0..4 {
        for _ in 0..2 {
            if desk.ask(Job::Send(acknowledged + 1)).await.is_err() {
                return (acknowledged, is_forgotten);
            }
            acknowledged += 1;
        }
        let _ = desk.snapshot().await;
        is_forgotten |= desk
            .retain()
            .await
            .is_ok_and(|kept| kept.first > Some(at(1)));
    }
    (acknowledged, is_forgotten)
}

/// B3.4: whatever was forgotten when, the state, the positions and what is owed are the same.
#[tokio::test]
async fn retention_that_is_stopped_at_any_operation_loses_nothing_that_is_owed() {
    let disk = FaultDisk::default();
    assert_eq!(desk_life(&disk).await, (8, true));
    let operations = disk.operations().len();
    let mut shorter = 0;
    for operation in 0..operations {
        let disk = FaultDisk::default();
        disk.set_fault(operation, Fault::Freeze);
        let (acknowledged, _) = desk_life(&disk).await;
        for disk in [disk.after_kill(), disk.after_power_loss()] {
            let letters = ScriptedDestination::always(Act::Silence);
            let refrain = start_desk(&disk, &letters).await;
            let refrain = refrain.unwrap_or_else(|| panic!("{operation}: it does not start"));
            let owed = channel(&refrain, "letters").await.pending;
            assert!(
                (acknowledged..=acknowledged + 1).contains(&owed),
                "{operation}: {owed}"
            );
            let calls = usize::try_from(owed).unwrap().min(1);
            if calls > 0 {
                assert_eq!(number(&letters.call(1).await), 1, "the first is still owed");
            }
            let desk = refrain.processor::<Desk>("desk");
            let position = desk.query_at(|_, at| at).await.unwrap();
            assert!(position.get() > acknowledged, "positions go on");
            desk.ask(Job::Send(100)).await.unwrap();
            let kept = desk.retain().await.unwrap();
            shorter += u32::from(kept.first > Some(at(1)));
        }
    }
    assert!(
        shorter > 20,
        "{shorter} of {operations} had forgotten something"
    );
}
