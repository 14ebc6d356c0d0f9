//! Looking back: parts of the history, and states of the past, beside a processor that runs.

use refrain::entry::Entry;
use refrain::{
    FileJournal, FileSnapshots, History, Position, RecoverError, Refrain, RetentionPolicy,
    SnapshotPolicy, StartError,
};

use crate::till::{Say, Till};

fn at(number: u64) -> Position {
    Position::new(number).unwrap()
}

/// Two tills and their files. The journal is closed when the runtime is drained.
async fn start(directory: &std::path::Path) -> Refrain {
    Refrain::builder()
        .journal(FileJournal::open(directory.join("journal")).unwrap())
        .snapshots(
            FileSnapshots::open(directory.join("snapshots")).unwrap(),
            SnapshotPolicy::on_request(),
        )
        .processor("one", Till::default())
        .retention(RetentionPolicy::entries(1).letting_answers_go())
        .processor("two", Till::default())
        .start()
        .await
        .unwrap()
}

/// Adds 1, 2, 3 and so on: the entry at position n adds n - 1.
async fn add(refrain: &Refrain, name: &str, count: u64) {
    let till = refrain.processor::<Till>(name);
    let from = till.query(|till| till.amounts.len() as u64).await.unwrap();
    for amount in from + 1..=from + count {
        till.ask(Say::Add(amount)).await.unwrap();
    }
}

/// B2.2
#[tokio::test]
async fn any_part_of_the_history_of_chosen_processors_can_be_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let refrain = start(directory.path()).await;
    add(&refrain, "one", 9).await;
    add(&refrain, "two", 4).await;
    refrain.drain().await;

    let history = History::of(FileJournal::open(directory.path().join("journal")).unwrap());
    let amounts =
        async |name: &str, range: (std::ops::Bound<Position>, std::ops::Bound<Position>)| {
            let till = history.replay(name, Till::default(), range).await.unwrap();
            till.amounts
        };
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let cases: [(_, &[u64]); 7] = [
        ((Unbounded, Unbounded), &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ((Included(at(8)), Unbounded), &[7, 8, 9]),
        ((Unbounded, Included(at(3))), &[1, 2]),
        ((Included(at(4)), Included(at(6))), &[3, 4, 5]),
        ((Included(at(4)), Excluded(at(4))), &[]),
        ((Included(at(7)), Included(at(6))), &[]),
        ((Included(at(50)), Unbounded), &[]),
    ];
    for (range, expected) in cases {
        assert_eq!(amounts("one", range).await, expected, "{range:?}");
    }
    assert_eq!(amounts("two", (Unbounded, Unbounded)).await, [1, 2, 3, 4]);
    assert_eq!(amounts("nobody", (Unbounded, Unbounded)).await, [0; 0]);

    let before = Till {
        total: 100,
        ..Till::default()
    };
    let state = history.replay("one", before, at(10)..).await.unwrap();
    assert_eq!(
        (state.total, state.amounts),
        (109, vec![9]),
        "onto any state"
    );
}

/// B2.2
#[tokio::test]
async fn entries_of_a_part_can_be_read_without_the_processor() {
    let directory = tempfile::tempdir().unwrap();
    let refrain = start(directory.path()).await;
    add(&refrain, "one", 5).await;
    refrain.drain().await;
    let history = History::of(FileJournal::open(directory.path().join("journal")).unwrap());
    let mut entries = history.entries("one", ..=at(3)).await.unwrap();
    let mut positions = Vec::new();
    while let Some(entry) = entries.next().await.unwrap() {
        match entry.decode().unwrap() {
            Entry::Begun(_) => assert_eq!(entry.position, at(1)),
            Entry::Step(_) => assert!(entry.position > at(1)),
            Entry::ChannelMoved(_) | Entry::Watermark(_) => {
                panic!("a till has no channels, and no snapshots here")
            }
        }
        positions.push(entry.position.get());
    }
    assert_eq!(positions, [1, 2, 3]);
    assert!(
        entries.next().await.unwrap().is_none(),
        "also after the end"
    );
}

/// B2.2
#[tokio::test]
async fn state_of_the_past_can_be_looked_at_while_the_processor_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let refrain = start(directory.path()).await;
    add(&refrain, "one", 20).await;
    let till = refrain.processor::<Till>("one");
    let live = add(&refrain, "one", 200);
    let look = async {
        for number in 1..=21 {
            let then = till.state_at(at(number)).await.unwrap();
            assert_eq!(then.amounts, (1..number).collect::<Vec<u64>>());
        }
    };
    tokio::join!(live, look);
    let now = till.query(|till| till.amounts.clone()).await.unwrap();
    assert_eq!(now, (1..=220).collect::<Vec<u64>>(), "nothing came between");
    let (live, past) = (till.digest().await.unwrap(), till.digest_at(at(1000)).await);
    assert_eq!(
        past.unwrap(),
        live,
        "beyond the end, it is the state of now"
    );
    refrain.drain().await;
    let ended = till.state_at(at(1)).await;
    assert!(matches!(ended, Err(RecoverError::Ended { .. })));
}

/// B2.2, B3.4
#[tokio::test]
async fn past_before_the_first_kept_entry_is_refused_and_the_rest_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let refrain = start(directory.path()).await;
    let till = refrain.processor::<Till>("one");
    for _ in 0..2 {
        add(&refrain, "one", 5).await;
        till.snapshot().await.unwrap();
    }
    add(&refrain, "one", 5).await;
    till.retain().await.unwrap();
    // Snapshots are at 6 and 12, each before its watermark, and 7 is the first entry that is kept.
    let Err(RecoverError::Forgotten { wanted, first, .. }) = till.state_at(at(5)).await else {
        panic!("a past that is gone was shown");
    };
    assert_eq!((wanted, first), (at(5), at(7)));
    for number in 6..=18 {
        let then = till.state_at(at(number)).await.unwrap();
        let amounts = number - 1 - u64::from(number > 6) - u64::from(number > 12);
        assert_eq!(then.amounts, (1..=amounts).collect::<Vec<u64>>());
    }
    refrain.drain().await;

    let journal = FileJournal::open(directory.path().join("journal")).unwrap();
    let alone = History::of(journal);
    let without = alone.state_at("one", Till::default(), at(10)).await;
    assert!(matches!(
        without,
        Err(StartError::Recover(RecoverError::NoSnapshot { .. }))
    ));
    assert!(matches!(
        alone.replay("one", Till::default(), at(5)..).await,
        Err(StartError::Recover(RecoverError::Read { .. }))
    ));
    let snapshots = FileSnapshots::open(directory.path().join("snapshots")).unwrap();
    let both = alone.with_snapshots(snapshots);
    let then = both.state_at("one", Till::default(), at(10)).await.unwrap();
    assert_eq!(then.total, 36);
}
