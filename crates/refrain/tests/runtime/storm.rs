//! Many clients, a journal that fails at random, and threads: nobody waits for ever, nothing is lost,
//! and nothing is done twice.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use refrain::{AskError, Handle, MemoryJournal, MessageId};
use refrain_core::port::journal::RejectReason;
use refrain_journal::AppendFault;

use crate::till::{Refused, Say, Till, epochs, open, start};

const CLIENTS: u64 = 8;
const MESSAGES: u64 = 150;
const SEEDS: u64 = 10;

/// Asks until there is an answer, always under the same identity.
async fn insist(till: &Handle<Till>, id: MessageId, say: Say) -> Result<u64, AskError<Refused>> {
    loop {
        match till.ask_as(id.clone(), say.clone()).await {
            Err(
                AskError::Unknown { .. }
                | AskError::NotRecorded { .. }
                | AskError::Overloaded { .. },
            ) => {}
            told => return told,
        }
    }
}

async fn client(till: Handle<Till>, number: u64) {
    let mut chance = SmallRng::seed_from_u64(number);
    for message in 0..MESSAGES {
        let id = MessageId::given(&format!("client-{number}"), &message.to_string()).unwrap();
        let told = match chance.random_range(0..20) {
            0 => insist(&till, id, Say::PanicApplying).await.err(),
            1 => insist(&till, id, Say::PanicDeciding).await.err(),
            2 => insist(&till, id, Say::Refuse).await.err(),
            3 => {
                // Whoever looks is told, or told that it was nothing.
                let _ = till.query(|till| till.total).await;
                None
            }
            _ => {
                insist(&till, id, Say::Add(1)).await.unwrap();
                None
            }
        };
        assert!(
            matches!(
                told,
                None | Some(AskError::Panicked(_) | AskError::Rejected(_))
            ),
            "{told:?}"
        );
    }
}

/// Added by all clients together.
fn expected() -> u64 {
    let adds = |number| {
        let mut chance = SmallRng::seed_from_u64(number);
        (0..MESSAGES)
            .filter(|_| chance.random_range(0..20) > 3)
            .count() as u64
    };
    (0..CLIENTS).map(adds).sum()
}

async fn sabotage(journal: MemoryJournal, seed: u64) {
    let mut chance = SmallRng::seed_from_u64(seed);
    loop {
        match chance.random_range(0..30) {
            0 => journal.fail_next(AppendFault::UnknownKept),
            1 => journal.fail_next(AppendFault::UnknownLost),
            2 => journal.fail_next(AppendFault::UnknownLate),
            3 => journal.fail_next(AppendFault::Rejected(RejectReason::Overloaded)),
            4 => _ = journal.arrive_late(),
            5 => journal.hold(),
            _ => journal.resume(),
        }
        for _ in 0..chance.random_range(0..20) {
            tokio::task::yield_now().await;
        }
        journal.release(chance.random_range(0..3));
        // Waits for the journal end sooner than new faults come.
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

/// B1.1, B1.3, B1.4, B1.5
#[tokio::test(start_paused = true)]
async fn every_message_is_handled_once_however_often_the_journal_fails() {
    for seed in 0..SEEDS {
        storm(seed).await;
    }
}

async fn storm(seed: u64) {
    let (journal, refrain, till) = open().await;
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(till.clone(), number));
    }
    let all = async {
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
    };
    tokio::select! {
        () = all => {}
        () = sabotage(journal.clone(), seed) => unreachable!("it never ends"),
    }
    journal.resume();
    // What is left of the faults may still meet the first looks.
    let total = loop {
        if let Ok(total) = till.query(|till| till.total).await {
            break total;
        }
    };
    assert_eq!(total, expected(), "seed {seed}");
    refrain.drain().await;
    let epochs = epochs(&journal, "till").await;
    assert!(epochs > 5, "seed {seed}: only {epochs} rebuilds");

    let again = start(&journal).await;
    let replayed = again.processor::<Till>("till");
    let total = replayed.query(|till| till.total).await.unwrap();
    assert_eq!(total, expected(), "seed {seed}");
}

/// The same with threads, so that nothing rests on the order of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_ever_among_threads_over_files() {
    let directory = tempfile::tempdir().unwrap();
    for life in 0..3 {
        let journal = refrain::FileJournal::open(directory.path()).unwrap();
        let refrain = refrain::Refrain::builder()
            .journal(journal)
            .snapshots(
                refrain::FileSnapshots::open(directory.path().join("snapshots")).unwrap(),
                refrain::SnapshotPolicy::every_entries(100),
            )
            .processor("till", Till::default())
            .inbox(16)
            .start()
            .await
            .unwrap();
        let till = refrain.processor::<Till>("till");
        assert_eq!(
            till.query(|till| till.total).await.unwrap(),
            if life == 0 { 0 } else { expected() },
            "the same identities change nothing"
        );
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(client(till.clone(), number));
        }
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
        assert_eq!(till.query(|till| till.total).await.unwrap(), expected());
        refrain.drain().await;
    }
}
