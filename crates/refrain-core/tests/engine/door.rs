//! Behaviour that changes with state is plain state.

use refrain_core::{Outbox, Processor};
use serde::{Deserialize, Serialize};

use crate::world::{Told, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Move {
    Open,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum DoorEvent {
    DoorMoved(Position, u32),
    DoorNotMoved(Position),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Position {
    Open,
    #[default]
    Closed,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Door {
    position: Position,
    moves: u32,
}

impl Processor for Door {
    type Message = Move;
    type Event = DoorEvent;
    type Answer = DoorEvent;
    type Rejection = ();

    fn decide(&self, message: &Move, out: &mut Outbox<Door>) -> Result<DoorEvent, ()> {
        let event = match (self.position, message) {
            (Position::Closed, Move::Open) => DoorEvent::DoorMoved(Position::Open, self.moves + 1),
            (Position::Open, Move::Close) => DoorEvent::DoorMoved(Position::Closed, self.moves + 1),
            (position, _) => DoorEvent::DoorNotMoved(position),
        };
        out.event(event);
        Ok(event)
    }

    fn apply(&mut self, event: &DoorEvent) {
        if let DoorEvent::DoorMoved(position, moves) = *event {
            self.position = position;
            self.moves = moves;
        }
    }
}

/// B1.9
#[test]
fn door_counts_its_moves_over_a_restart() {
    let mut world = World::<Door>::of_one(Vec::new());
    let mut ask = |message| {
        let ticket = world.tell("p", message);
        match &world.told[&ticket] {
            Told::Answer(event) => *event,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(Move::Open), DoorEvent::DoorMoved(Position::Open, 1));
    assert_eq!(ask(Move::Close), DoorEvent::DoorMoved(Position::Closed, 2));
    assert_eq!(ask(Move::Close), DoorEvent::DoorNotMoved(Position::Closed));
    world.restart("p");
    let ticket = world.tell("p", Move::Open);
    let moved = DoorEvent::DoorMoved(Position::Open, 3);
    assert!(matches!(&world.told[&ticket], Told::Answer(event) if *event == moved));
}
