//! Timers: durable, never early, each once.

use std::time::Duration;

use refrain_core::limit::TIMERS_MAX;
use refrain_core::{AskError, Command, InDoubt, Name};

use crate::world::worker::{Act, Do, Event, note};
use crate::world::{Sync, Told, World, seconds};

fn after(delay: Duration, what: Do) -> Do {
    Do(vec![Act::After(delay, what)])
}

#[test]
fn timers_come_due_in_the_order_of_their_time_over_restarts() {
    for restarts in 0..4 {
        let mut world: World = World::of_one(Vec::new());
        for delay in [30, 10, 20, 10] {
            world.tell("p", after(seconds(delay), note(delay)));
        }
        for _ in 0..restarts {
            world.run(seconds(8));
            world.restart("p");
        }
        world.run_until(world.now + seconds(40));
        assert_eq!(world.state("p").notes(), [10, 10, 20, 30]);
        world.check();
        world.node("p").check_done();
    }
}

#[test]
fn timer_is_never_early_and_is_late_by_as_long_as_the_processor_does_not_run() {
    let mut world: World = World::of_one(Vec::new());
    let start = world.now;
    world.tell("p", after(seconds(10), Do(vec![Act::Draw])));
    world.run(seconds(5));
    world.crash("p", 0);
    world.run(seconds(60));
    world.start("p");
    let Some(Event::Drew { micros, .. }) = world.state("p").log.last() else {
        panic!("it came due")
    };
    assert_eq!(*micros, (start + seconds(65)).as_micros());

    world.tell("p", after(seconds(10), Do(vec![Act::Draw])));
    let start = world.now;
    // Neither activates nor redirects a timer.
    world.command("p", "later", Command::Deliver);
    let redirect = Command::Redirect {
        destination: Name::new("other").unwrap(),
        in_doubt: InDoubt::Wait,
    };
    world.command("p", "later", redirect);
    world.run(seconds(20));
    let Some(Event::Drew { micros, .. }) = world.state("p").log.last() else {
        panic!("it came due")
    };
    assert_eq!(*micros, (start + seconds(10)).as_micros());
}

#[test]
fn timer_does_not_come_due_before_the_step_that_set_it_is_durable() {
    let mut world: World = World::of_one(Vec::new());
    world.sync = Sync::ByHand;
    world.tell("p", after(Duration::ZERO, note(1)));
    world.run(seconds(1));
    assert!(world.state("p").notes().is_empty());
    world.make_durable("p", 1);
    assert_eq!(world.state("p").notes(), [1]);
}

/// B9.2
#[test]
fn processor_sends_to_itself_for_as_long_as_it_likes_without_standing_still() {
    let mut world: World = World::of_one(Vec::new());
    let chain = (0..50).fold(note(1), |what, _| after(Duration::ZERO, what));
    world.tell("p", chain);
    world.run(Duration::ZERO);
    assert_eq!(world.state("p").notes(), [1]);
    world.node("p").check_done();
}

#[test]
fn timers_of_one_moment_draw_different_random_numbers() {
    let mut world: World = World::of_one(Vec::new());
    let draw = || Act::After(seconds(1), Do(vec![Act::Draw]));
    world.tell("p", Do(vec![draw(), draw(), draw()]));
    world.run(seconds(1));
    let mut drawn: Vec<_> = world.state("p").log.clone();
    assert_eq!(drawn.len(), 3);
    drawn.dedup();
    assert_eq!(drawn.len(), 3);
}

#[test]
fn timer_whose_handler_panics_is_parked_and_comes_again_when_released() {
    let mut world: World = World::of_one(Vec::new());
    for poison in [Act::PanicBelow(2), Act::BombBelow(2)] {
        world.tell("p", after(seconds(1), Do(vec![poison])));
    }
    world.run(seconds(2));
    assert_eq!(world.channel("p", "later").parked, 2);
    world.restart("p");
    world.run(seconds(2));
    assert_eq!(world.channel("p", "later").parked, 2);
    world.tell("p", Do(vec![Act::Note(1), Act::Note(2)]));
    world.command("p", "later", Command::Deliver);
    world.run(seconds(2));
    world.node("p").check_done();
    world.check();
}

#[test]
fn timers_have_an_end() {
    let mut world: World = World::of_one(Vec::new());
    let many = Do(vec![Act::After(seconds(60), Do::default()); 4096]);
    let mut refused = 0;
    for _ in 0..=TIMERS_MAX / 4096 {
        let ticket = world.tell("p", many.clone());
        if let Told::Refused(AskError::Invalid(_)) = world.told[&ticket] {
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
    assert_eq!(world.channel("p", "later").pending, TIMERS_MAX as u64);
    // All come due at once, a batch at a time.
    world.now = world.now + seconds(60);
    world.input("p", refrain_core::Input::Tick);
    world.run(Duration::ZERO);
    world.node("p").check_done();
}
