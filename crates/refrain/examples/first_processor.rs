//! A processor that remembers: a door that counts how often it was moved, over a restart.
//!
//! Run it with `cargo run -p refrain --example first_processor`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;

use refrain::{FileJournal, Outbox, Processor, Refrain};
use serde::{Deserialize, Serialize};

/// The state. It changes in `apply` and nowhere else.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Door {
    is_open: bool,
    moves: u32,
}

/// What the door can be told.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Move {
    Open,
    Close,
}

/// What happened to it. Names of variants and fields are stored.
#[derive(Serialize, Deserialize)]
enum DoorEvent {
    Opened,
    Closed,
}

/// Why it was not moved.
#[derive(Debug, Serialize, Deserialize)]
struct NotMoved;

impl Processor for Door {
    type Message = Move;
    type Event = DoorEvent;
    type Answer = u32;
    type Rejection = NotMoved;

    fn decide(&self, asked: &Move, out: &mut Outbox<Self>) -> Result<u32, NotMoved> {
        match (asked, self.is_open) {
            (Move::Open, false) => out.event(DoorEvent::Opened),
            (Move::Close, true) => out.event(DoorEvent::Closed),
            (Move::Open, true) | (Move::Close, false) => return Err(NotMoved),
        };
        Ok(self.moves + 1)
    }

    fn apply(&mut self, event: &DoorEvent) {
        self.moves += 1;
        self.is_open = match event {
            DoorEvent::Opened => true,
            DoorEvent::Closed => false,
        };
    }
}

async fn start(directory: &Path) -> Result<Refrain, Box<dyn Error>> {
    let refrain = Refrain::builder()
        .journal(FileJournal::open(directory)?)
        .processor("door", Door::default())
        .start()
        .await?;
    Ok(refrain)
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;

    println!("The first life of the program:");
    let refrain = start(directory.path()).await?;
    let door = refrain.processor::<Door>("door");
    for asked in [Move::Open, Move::Close, Move::Close] {
        // Answered when it is on disk, or rejected and not even there.
        match door.ask(asked).await {
            Ok(times) => println!("  {asked:?}: moved, {times} times by now"),
            Err(error) => println!("  {asked:?}: not moved, {error}"),
        }
    }
    refrain.drain().await;

    println!("The second life:");
    let refrain = start(directory.path()).await?;
    let door = refrain.processor::<Door>("door");
    let replayed = door.recovery().entries;
    println!("  {replayed} entries were replayed");
    let times = door.ask(Move::Open).await?;
    println!("  Open: moved, {times} times by now");
    assert_eq!(times, 3);
    refrain.drain().await;
    Ok(())
}
