//! The scripted destination: what a test can make it do, and what it remembers.

use std::time::Duration;

use futures_util::FutureExt;
use refrain_core::port::destination::{Attempted, Delivery, Destination, Reply};
use refrain_core::{Encoding, Epoch, Key, Name, Timestamp};
use refrain_testkit::{Act, ScriptedDestination};

fn delivery(number: u64) -> Delivery {
    Delivery {
        sender: Name::new("orders").expect("a valid name"),
        channel: "card-validation",
        number,
        settled_below: 1,
        key: Key::new([1; 16]),
        attempt: 1,
        epoch: Epoch::FIRST,
        deadline: Timestamp::from_micros(5_000_000),
        timeout: Duration::from_secs(5),
        correlation: Key::new([2; 16]),
        causation: Key::new([3; 16]),
        encoding: Encoding::Json,
        request: "{}".into(),
    }
}

fn reply(text: &'static str) -> Reply {
    Reply::new(Encoding::Json, text)
}

fn replied(text: &'static str) -> Attempted {
    Attempted::Replied(reply(text))
}

#[tokio::test]
async fn script_is_played_call_by_call_and_then_the_act_afterwards() {
    let validator = ScriptedDestination::scripted(
        [
            Act::reply(reply("first")),
            Act::End(Attempted::NotResponding),
        ],
        Act::reply(reply("afterwards")),
    );
    assert_eq!(validator.deliver(delivery(1)).await, replied("first"));
    assert_eq!(
        validator.deliver(delivery(2)).await,
        Attempted::NotResponding
    );
    for number in 3..=4 {
        assert_eq!(
            validator.deliver(delivery(number)).await,
            replied("afterwards")
        );
    }
    let delivered: Vec<u64> = validator.deliveries().iter().map(|d| d.number).collect();
    assert_eq!(delivered, [1, 2, 3, 4]);
}

#[tokio::test]
async fn changed_script_takes_the_place_of_the_rest() {
    let validator =
        ScriptedDestination::scripted([Act::reply(reply("old"))], Act::reply(reply("old")));
    validator.change_script([Act::reply(reply("new"))], Act::fail("gone"));
    assert_eq!(validator.deliver(delivery(1)).await, replied("new"));
    assert!(matches!(
        validator.deliver(delivery(2)).await,
        Attempted::Failed(_)
    ));
}

#[tokio::test]
async fn silent_calls_end_when_the_test_says_so_in_any_order() {
    let validator = ScriptedDestination::always(Act::Silence);
    let mut first = validator.deliver(delivery(1));
    let mut second = validator.deliver(delivery(2));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(validator.under_way_max(), 2);

    validator.end(2, replied("second"));
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(second.await, replied("second"));
    validator.end(1, replied("first"));
    assert_eq!(first.await, replied("first"));
    validator.idle().await;
}

#[tokio::test]
async fn test_waits_for_a_call_that_is_still_to_come() {
    let validator = ScriptedDestination::always(Act::reply(reply("{}")));
    let calling = async {
        for number in 1..=3 {
            tokio::task::yield_now().await;
            let _ = validator.deliver(delivery(number)).await;
        }
    };
    let (third, ()) = tokio::join!(validator.call(3), calling);
    assert_eq!(third.number, 3);
    assert_eq!(validator.calls(), 3);
    assert_eq!(validator.under_way_max(), 1);
}

#[tokio::test]
async fn caller_that_gives_up_is_no_longer_under_way_and_hears_nothing() {
    let validator = ScriptedDestination::always(Act::Silence);
    drop(validator.deliver(delivery(1)));
    validator.idle().await;
    validator.end(1, replied("too late"));
    assert_eq!(validator.calls(), 1);
}

#[test]
#[should_panic(expected = "call 1 does not wait for its end")]
fn ending_a_call_that_was_not_made_is_a_mistake() {
    ScriptedDestination::always(Act::Silence).end(1, Attempted::NotResponding);
}
