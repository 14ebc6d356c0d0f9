//! When a delivery is tried again, and when its channel stops: counts and times are exact.

use std::time::Duration;

use refrain_core::port::destination::Delivery;
use refrain_core::{
    ChannelOptions, ChannelState, Command, Delay, RedeliveryPolicy, Signal, StopReason,
};

use crate::world::destination::{
    Script, failed, failed_for, failing, prompt, reply, scripted, silent,
};
use crate::world::worker::{Worker, ask, tell};
use crate::world::{World, second, seconds};

/// A processor with one channel, and what stands at its end.
fn of(channel: &'static str, destination: Script) -> World<Worker> {
    with(RedeliveryPolicy::default(), channel, destination)
}

fn with(policy: RedeliveryPolicy, channel: &'static str, destination: Script) -> World<Worker> {
    let mut world = World::of_one(vec![(channel, policy.into())]);
    world.destination("p", channel, destination);
    world
}

fn stops(world: &World<Worker>) -> Vec<&Signal> {
    let stops = world.signals.iter();
    stops
        .filter(|signal| matches!(signal, Signal::DeliveryStopped { .. }))
        .collect()
}

/// B6.1
#[test]
fn silent_destination_gets_eight_attempts_in_58_seconds() {
    for (channel, message) in [("tell", tell(1)), ("ask", ask(1))] {
        let mut world = of(channel, silent());
        let start = world.now;
        world.tell("p", message);
        world.run_until(start + Duration::from_micros(57_999_999));
        assert_eq!(
            world.attempts_since(start),
            [
                (0, 1, 1),
                (6, 1, 2),
                (12, 1, 3),
                (18, 1, 4),
                (34, 1, 5),
                (40, 1, 6),
                (46, 1, 7),
                (52, 1, 8),
            ]
        );
        assert!(stops(&world).is_empty());
        world.run_until(start + seconds(58));
        let [
            Signal::DeliveryStopped {
                reason, pending, ..
            },
        ] = stops(&world)[..]
        else {
            panic!("one stop: {:?}", world.signals)
        };
        assert_eq!((*reason, *pending), (StopReason::NotResponding, 1));
        world.run(seconds(10_000));
        assert_eq!(world.sent.len(), 8);
        world.check();
    }
}

/// B6.1
#[test]
fn destination_that_refuses_at_once_gets_eight_attempts_in_18_seconds() {
    for (channel, message) in [("tell", tell(1)), ("ask", ask(1))] {
        let mut world = of(channel, failing());
        let start = world.now;
        world.tell("p", message);
        world.run_until(start + Duration::from_micros(17_999_999));
        let times = world.attempts_since(start);
        let times: Vec<u64> = times.into_iter().map(|(at, _, _)| at).collect();
        assert_eq!(times, [0, 1, 2, 3, 14, 15, 16, 17]);
        assert!(stops(&world).is_empty());
        world.run_until(start + seconds(18));
        let state = world.channel("p", channel).state;
        assert_eq!(state, ChannelState::Stopped(StopReason::Failing));
    }
}

/// B6.1
#[test]
fn channel_shows_that_it_restarts_and_when() {
    let mut world = of("tell", failing());
    world.tell("p", tell(1));
    world.run(seconds(7));
    let status = world.channel("p", "tell");
    assert_eq!(status.state, ChannelState::Restarting(seconds(7)));
    assert_eq!(
        (status.restarts, status.attempts, status.pending),
        (1, 4, 1)
    );
}

/// B6.2
#[test]
fn reply_counts_whichever_attempt_it_answers_also_during_delay_and_stop() {
    // During the second attempt; during the delay before it; after the stop.
    for after in [7, 5, 100] {
        for (channel, message) in [("tell", tell(1)), ("ask", ask(1))] {
            let late = vec![(seconds(after), reply(3))];
            let mut world = of(channel, scripted(vec![late, Vec::new()]));
            world.tell("p", message);
            world.run(seconds(300));
            let status = world.channel("p", channel);
            assert_eq!((status.pending, status.in_flight), (0, 0), "after {after}");
            world.check();
        }
    }
}

/// B6.3
#[test]
fn stopped_channel_accepts_and_is_announced_at_every_start() {
    let mut world = of("tell", failing());
    world.tell("p", tell(1));
    world.run(seconds(18));
    assert_eq!(stops(&world).len(), 1);
    world.tell("p", tell(2));
    world.tell("p", tell(3));
    for restart in 2..4 {
        world.restart("p");
        world.run(seconds(100));
        assert_eq!(stops(&world).len(), restart);
    }
    let Some(Signal::DeliveryStopped { pending, .. }) = world.signals.last() else {
        panic!("announced")
    };
    assert_eq!(*pending, 3);
    assert_eq!(world.sent.len(), 8, "nothing is sent while it is stopped");
}

/// B6.3
#[test]
fn windowed_channel_stops_when_any_delivery_uses_up_its_activations() {
    let policy = RedeliveryPolicy {
        restart_max: 0,
        ..RedeliveryPolicy::default()
    };
    let options = ChannelOptions::from(policy).unordered(3);
    let mut world: World = World::of_one(vec![("tell", options)]);
    world.destination(
        "p",
        "tell",
        Box::new(|delivery| match delivery.number {
            2 => vec![(Duration::ZERO, failed("no"))],
            _ => vec![(Duration::from_millis(400), reply(1))],
        }),
    );
    for n in 1..100 {
        world.tell("p", tell(n));
    }
    world.run(seconds(6));
    let status = world.channel("p", "tell");
    assert_eq!(status.state, ChannelState::Stopped(StopReason::Failing));
    world.run(seconds(100));
    let after = world.channel("p", "tell");
    assert!(after.pending > 1 && after.in_flight == 0, "{after:?}");
}

/// B6.4
#[test]
fn deliver_goes_on_where_it_stopped_and_a_success_counts_from_the_start() {
    let mut world = of("tell", failing());
    world.tell("p", tell(1));
    world.tell("p", tell(2));
    world.run(seconds(50));
    world.destination("p", "tell", prompt());
    let resumed = world.now;
    world.command("p", "tell", Command::Deliver);
    world.run(seconds(1));
    assert_eq!(world.attempts_since(resumed), [(0, 1, 9), (0, 2, 1)]);
    assert!(matches!(
        world.signals.last(),
        Some(Signal::DeliveryResumed { .. })
    ));
    let status = world.channel("p", "tell");
    assert_eq!((status.restarts, status.state), (0, ChannelState::Active));

    // The next failing delivery has both its activations.
    world.destination("p", "tell", failing());
    let again = world.now;
    world.tell("p", tell(3));
    world.run(seconds(50));
    assert_eq!(world.attempts_since(again).len(), 8);
    world.check();
}

/// B6.4
#[test]
fn deliver_does_not_wait_for_what_was_put_off() {
    let options = ChannelOptions::from(RedeliveryPolicy::default()).unordered(2);
    let mut world: World = World::of_one(vec![("tell", options)]);
    let script = |delivery: &Delivery| match delivery.number {
        1 => vec![(Duration::ZERO, failed_for("busy", seconds(3000)))],
        _ => vec![(Duration::ZERO, failed("no"))],
    };
    world.destination("p", "tell", Box::new(script));
    world.tell("p", tell(1));
    world.tell("p", tell(2));
    world.run(seconds(50));
    world.destination("p", "tell", prompt());
    let resumed = world.now;
    world.command("p", "tell", Command::Deliver);
    world.run(seconds(1));
    let mut delivered = world.attempts_since(resumed);
    delivered.sort_unstable();
    assert_eq!(delivered, [(0, 1, 2), (0, 2, 9)]);
}

/// B6.5
#[test]
fn attempt_that_deliver_brought_forward_and_a_crash_cut_short_is_made_again_at_once() {
    let policy = RedeliveryPolicy {
        redelivery_delay: Delay::Fixed(seconds(100)),
        redelivery_max: 0,
        restart_max: 0,
        ..RedeliveryPolicy::default()
    };
    let options = ChannelOptions::from(policy).unordered(2);
    let mut world: World = World::of_one(vec![("tell", options)]);
    world.destination("p", "tell", failing());
    world.tell("p", tell(1));
    world.run(seconds(90));
    world.tell("p", tell(2));
    // The first stops the channel; the second was to wait for another 90 seconds.
    world.run(seconds(10));
    world.destination("p", "tell", silent());
    world.command("p", "tell", Command::Deliver);
    world.run(seconds(1));
    assert_eq!(world.sent.len(), 4);
    world.restart("p");
    assert_eq!(world.sent.len(), 6);
}

/// B6.4
#[test]
fn success_counts_activations_from_the_start() {
    let no = || vec![(Duration::ZERO, failed("no"))];
    let mut script = vec![no(); 5];
    script.push(vec![(Duration::ZERO, reply(1))]);
    script.push(no());
    let mut world = of("tell", scripted(script));
    world.tell("p", tell(1));
    world.tell("p", tell(2));
    world.run(seconds(100));
    let of_second = world.sent.iter().filter(|s| s.delivery.number == 2);
    assert_eq!(of_second.count(), 8);
}

/// B6.5
#[test]
fn attempts_and_the_stop_survive_a_crash_at_any_time() {
    // One attempt is cut short by the crash, so it is numbered and not charged: the destination may
    // see one more than eight.
    for crash_at in 0..20 {
        let mut world = of("tell", failing());
        let start = world.now;
        world.tell("p", tell(1));
        world.run_until(start + seconds(crash_at));
        world.restart("p");
        world.run_until(start + seconds(100));
        let attempts: Vec<u32> = world.sent.iter().map(|s| s.delivery.attempt).collect();
        assert_eq!(attempts, [1, 2, 3, 4, 5, 6, 7, 8], "crash at {crash_at}");
        let state = world.channel("p", "tell").state;
        assert_eq!(state, ChannelState::Stopped(StopReason::Failing));
    }
}

/// B6.5
#[test]
fn attempt_cut_short_by_a_crash_is_numbered_and_not_charged() {
    let mut world = of("tell", silent());
    let start = world.now;
    world.tell("p", tell(1));
    for crash in 1..4 {
        world.run_until(start + seconds(crash));
        world.restart("p");
    }
    world.run(seconds(300));
    let attempts: Vec<u32> = world.sent.iter().map(|s| s.delivery.attempt).collect();
    let expected: Vec<u32> = (1..=3 + 8).collect();
    assert_eq!(
        attempts, expected,
        "three were cut short, eight were charged"
    );
}

/// B6.6
#[test]
fn delay_grows_exponentially_up_to_its_longest() {
    let policy = RedeliveryPolicy {
        redelivery_delay: Delay::Exponential {
            first: seconds(1),
            longest: seconds(5),
            jitter: 0.0,
        },
        redelivery_max: 4,
        restart_max: 0,
        ..RedeliveryPolicy::default()
    };
    let mut world = with(policy, "tell", failing());
    let start = world.now;
    world.tell("p", tell(1));
    world.run(seconds(100));
    let times = world.attempts_since(start);
    let times: Vec<u64> = times.into_iter().map(|(at, _, _)| at).collect();
    assert_eq!(times, [0, 1, 3, 7, 12]);
}

/// B6.6
#[test]
fn jitter_sends_deliveries_that_failed_together_back_at_different_times() {
    let policy = RedeliveryPolicy {
        redelivery_delay: Delay::Exponential {
            first: seconds(10),
            longest: seconds(10),
            jitter: 0.5,
        },
        ..RedeliveryPolicy::default()
    };
    let options = ChannelOptions::from(policy).unordered(8);
    let mut world: World = World::of_one(vec![("tell", options)]);
    world.destination("p", "tell", failing());
    for n in 0..8 {
        world.tell("p", tell(n));
    }
    world.run(seconds(3));
    world.restart("p");
    let start = world.now;
    world.run(seconds(8));
    let second = world.sent.iter().filter(|s| s.delivery.attempt == 2);
    let mut times: Vec<_> = second.map(|s| s.at.since(start)).collect();
    assert!(times.iter().all(|time| *time >= seconds(2)), "{times:?}");
    times.dedup();
    assert_eq!(times.len(), 8, "{times:?}");
}

/// B6.6
#[test]
fn retry_after_of_a_destination_is_honoured_and_capped() {
    for (asked, waited) in [(0, 1), (30, 30), (1_000_000, 3600)] {
        let busy = vec![(Duration::ZERO, failed_for("busy", seconds(asked)))];
        let taken = vec![(Duration::ZERO, reply(1))];
        let mut world = of("tell", scripted(vec![busy, taken]));
        let start = world.now;
        world.tell("p", tell(1));
        world.run(seconds(4000));
        assert_eq!(world.attempts_since(start), [(0, 1, 1), (waited, 1, 2)]);
    }
}

#[test]
fn clock_that_goes_back_does_not_bring_an_attempt_forward() {
    let mut world = of("tell", failing());
    world.tell("p", tell(1));
    world.now = second(1);
    world.input("p", refrain_core::Input::Tick);
    assert_eq!(world.sent.len(), 1);
    world.run(seconds(2000));
    assert_eq!(world.sent.len(), 8);
}
