//! A channel gets another destination at run time: what cannot have been sent goes there, what is
//! in doubt waits.

use refrain_core::{Actor, ChannelOptions, Command, InDoubt, Input, Moment, Name};

use crate::world::destination::{prompt, reply, silent};
use crate::world::worker::{Act, Ask, Do, Worker, ask};
use crate::world::{World, seconds};

fn redirect(in_doubt: InDoubt) -> Command {
    Command::Redirect {
        destination: Name::new("other").unwrap(),
        in_doubt,
    }
}

/// Five requests, the first of which is under way to a destination that is silent.
fn world_in_doubt(options: ChannelOptions) -> World<Worker> {
    let mut world: World = World::of_one(vec![("ask", options)]);
    world.destination("p", "ask", silent());
    world.other_destination("p", "other", prompt());
    for n in 1..6 {
        world.tell("p", ask(n));
    }
    world.run(seconds(2));
    world
}

fn at_other(world: &World<Worker>) -> Vec<u64> {
    let sent = world.sent.iter().filter(|s| s.destination.is_some());
    sent.map(|s| s.delivery.number).collect()
}

/// B7.7
#[test]
fn requests_that_cannot_have_been_sent_go_to_the_new_destination_and_those_in_doubt_wait() {
    for restart in [false, true] {
        let mut world = world_in_doubt(ChannelOptions::default());
        world.command("p", "ask", redirect(InDoubt::Wait));
        if restart {
            world.restart("p");
        }
        world.run(seconds(100));
        assert_eq!(at_other(&world), [2, 3, 4, 5]);
        let status = world.channel("p", "ask");
        assert_eq!((status.in_doubt, status.pending), (1, 1));
        assert_eq!(status.destination, Name::new("other").ok());
        world.check();

        world.restart("p");
        world.run(seconds(100));
        assert_eq!(world.channel("p", "ask").in_doubt, 1, "it waits");

        world.command("p", "ask", redirect(InDoubt::Move));
        world.run(seconds(100));
        assert_eq!(at_other(&world), [2, 3, 4, 5, 1]);
        world.node("p").check_done();
    }
}

/// B7.7
#[test]
fn outcome_that_comes_from_the_old_destination_settles_what_was_in_doubt() {
    let mut world = world_in_doubt(ChannelOptions::default());
    world.command("p", "ask", redirect(InDoubt::Wait));
    world.run(seconds(1));
    let delivery = world.sent[0].delivery.clone();
    world.outcome("p", &delivery, 0, reply(1));
    world.run(seconds(100));
    world.node("p").check_done();
    assert_eq!(at_other(&world), [2, 3, 4, 5]);
}

/// B7.7
#[test]
fn requests_without_side_effects_move_although_they_are_in_doubt() {
    let options = ChannelOptions::default().without_side_effects();
    let mut world = world_in_doubt(options);
    world.command("p", "ask", redirect(InDoubt::Wait));
    world.run(seconds(100));
    assert_eq!(at_other(&world), [1, 2, 3, 4, 5]);
    world.node("p").check_done();
}

/// B7.7
#[test]
fn second_switch_does_not_forget_what_the_first_destination_may_have_got() {
    let mut world = world_in_doubt(ChannelOptions::default());
    world.other_destination("p", "other", silent());
    world.command("p", "ask", redirect(InDoubt::Wait));
    // The attempt at the first destination occupies the channel until its time is up.
    world.run(seconds(4));
    assert_eq!(at_other(&world), [2]);
    // A writer that crashed here would leave 1 and 2 in doubt, however the next one is redirected.
    world.restart("p");
    world.other_destination("p", "third", prompt());
    let third = Command::Redirect {
        destination: Name::new("third").unwrap(),
        in_doubt: InDoubt::Wait,
    };
    world.command("p", "ask", third);
    world.run(seconds(100));
    assert_eq!(world.channel("p", "ask").in_doubt, 2);
    let at_third = world.sent.iter().filter(|s| {
        s.destination
            .as_ref()
            .is_some_and(|name| name.as_str() == "third")
    });
    let at_third: Vec<_> = at_third
        .map(|s| (s.delivery.number, s.delivery.attempt))
        .collect();
    assert_eq!(at_third, [(3, 1), (4, 1), (5, 1)]);
    world.check();
}

/// B7.7
#[test]
fn wide_window_is_in_doubt_as_far_as_the_writer_may_have_run_ahead() {
    let options = ChannelOptions::default().unordered(2);
    let mut world: World = World::of_one(vec![("ask", options)]);
    world.destination("p", "ask", silent());
    world.other_destination("p", "other", prompt());
    for n in 1..10 {
        world.tell("p", ask(n));
    }
    world.command("p", "ask", redirect(InDoubt::Wait));
    world.run(seconds(100));
    assert_eq!(at_other(&world), [5, 6, 7, 8, 9]);
    assert_eq!(world.channel("p", "ask").in_doubt, 4);
}

/// B7.7
#[test]
fn switch_keeps_the_order_of_a_key_whose_settlement_is_not_recorded_yet() {
    let options = ChannelOptions::default().per_key(4).without_side_effects();
    let mut world: World = World::of_one(vec![("tell", options)]);
    world.destination("p", "tell", silent());
    world.other_destination("p", "other", prompt());
    for _ in 0..2 {
        world.tell("p", Do(vec![Act::Tell(Some(1), Do::default())]));
    }
    let delivery = world.sent[0].delivery.clone();
    let moment = Moment {
        now: world.now,
        seed: 0,
    };
    // Both happen before the driver asks for what is to be appended.
    let confirmed = Input::Attempted {
        channel: 2,
        number: delivery.number,
        attempt: delivery.attempt,
        ended: reply(1),
    };
    let redirected = Input::Command {
        channel: Name::new("tell").unwrap(),
        by: Actor::Operator,
        command: redirect(InDoubt::Wait),
    };
    world.node("p").under_way.clear();
    for input in [confirmed, redirected] {
        world.node("p").engine().step(moment, input);
    }
    assert_eq!(world.node("p").engine().drain_effects().len(), 0);
    world.input("p", Input::Tick);
    world.run(seconds(1));
    assert_eq!(at_other(&world), [2]);
    let announced = &world.nodes["p"].stream.facts().announced;
    assert!(announced.keys().all(|(which, _)| *which == (2, 2)));
    world.node("p").check_done();
}

/// B7.7
#[test]
fn key_of_a_request_in_doubt_is_free_for_the_others() {
    let options = ChannelOptions::default().per_key(1);
    let mut world: World = World::of_one(vec![("ask", options)]);
    world.destination("p", "ask", silent());
    world.other_destination("p", "other", prompt());
    for what in 1..6 {
        world.tell(
            "p",
            Do(vec![Act::Ask(Ask {
                what,
                order_key: Some(1),
                ..Ask::default()
            })]),
        );
    }
    world.run(seconds(1));
    world.command("p", "ask", redirect(InDoubt::Wait));
    world.run(seconds(100));
    assert_eq!(at_other(&world), [3, 4, 5]);
    world.restart("p");
    world.command("p", "ask", redirect(InDoubt::Move));
    world.run(seconds(100));
    world.node("p").check_done();
    world.check();
}
