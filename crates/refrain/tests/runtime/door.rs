//! Behaviour that changes with the state is plain state: a door.

use refrain::{Journal, MemoryJournal, Outbox, Processor, Refrain};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    Open,
    Closed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Door {
    place: Place,
    moves: u32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct MoveTo(Place);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct DoorMoved(Place, u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct DoorNotMoved;

impl Processor for Door {
    type Message = MoveTo;
    type Event = DoorMoved;
    type Answer = DoorMoved;
    type Rejection = DoorNotMoved;

    fn decide(
        &self,
        MoveTo(to): &MoveTo,
        out: &mut Outbox<Self>,
    ) -> Result<DoorMoved, DoorNotMoved> {
        if *to == self.place {
            return Err(DoorNotMoved);
        }
        let moved = DoorMoved(*to, self.moves + 1);
        out.event(moved);
        Ok(moved)
    }

    fn apply(&mut self, DoorMoved(place, moves): &DoorMoved) {
        self.place = *place;
        self.moves = *moves;
    }
}

async fn start(journal: impl Journal) -> Refrain {
    let door = Door {
        place: Place::Closed,
        moves: 0,
    };
    Refrain::builder()
        .journal(journal)
        .processor("door", door)
        .start()
        .await
        .unwrap()
}

/// B1.9
#[tokio::test(start_paused = true)]
async fn door_counts_its_moves_and_goes_on_counting_after_a_restart() {
    let journal = MemoryJournal::new();
    let refrain = start(journal.clone()).await;
    let door = refrain.processor::<Door>("door");
    let told = [Place::Open, Place::Closed, Place::Closed].map(|place| door.ask(MoveTo(place)));
    let [opened, closed, again] = told.map(async |told| told.await.ok());
    assert_eq!(opened.await, Some(DoorMoved(Place::Open, 1)));
    assert_eq!(closed.await, Some(DoorMoved(Place::Closed, 2)));
    assert_eq!(again.await, None);
    drop(refrain);

    let refrain = start(journal.crash()).await;
    let door = refrain.processor::<Door>("door");
    let opened = door.ask(MoveTo(Place::Open)).await.unwrap();
    assert_eq!(opened, DoorMoved(Place::Open, 3));
}

/// B1.7, B1.9: the same over files.
#[tokio::test]
async fn door_goes_on_counting_after_a_restart_from_files() {
    let directory = tempfile::tempdir().unwrap();
    for count in 1..=3 {
        let journal = refrain::FileJournal::open(directory.path()).unwrap();
        let refrain = start(journal).await;
        let door = refrain.processor::<Door>("door");
        let place = if count % 2 == 1 {
            Place::Open
        } else {
            Place::Closed
        };
        let moved = door.ask(MoveTo(place)).await.unwrap();
        assert_eq!(moved, DoorMoved(place, count));
        let digest = door.digest().await.unwrap();
        assert_eq!(digest.position.get(), u64::from(2 * count));
        refrain.drain().await;
    }
}
