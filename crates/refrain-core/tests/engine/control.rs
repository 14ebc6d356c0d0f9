//! The world's checks bite: a driver or journal that breaks a promise is found out.

use std::panic::catch_unwind;

use crate::random::run;
use crate::world::Fault;

/// How many schedules a fault may survive.
const SCHEDULES: u64 = 60;

/// What the check says that finds the fault.
fn found(fault: Fault) -> String {
    let panics = (0..SCHEDULES).filter_map(|seed| catch_unwind(|| run(seed, Some(fault))).err());
    let mut texts = panics.map(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .expect("panics have a text")
    });
    texts.next().expect("the fault is found")
}

fn check(fault: Fault, expected: &[&str]) {
    let text = found(fault);
    let is_expected = expected.iter().any(|expected| text.contains(expected));
    assert!(is_expected, "found for another reason: {text}");
}

#[test]
fn effects_before_their_entry_is_durable_are_noticed() {
    check(
        Fault::EffectsBeforeDurable,
        &["left before its step", "told before it was durable"],
    );
}

#[test]
fn entry_that_is_left_out_of_a_replay_is_noticed() {
    check(Fault::DropEntry, &["a replay gives another", "replays: "]);
}

#[test]
fn entry_that_is_replayed_twice_is_noticed() {
    check(Fault::ReplayTwice, &["a replay gives another", "replays: "]);
}

#[test]
fn forgotten_inbox_is_noticed() {
    check(
        Fault::ForgetInbox,
        &["was handled twice", "a replay gives another ledger"],
    );
}

#[test]
fn key_that_changes_between_attempts_is_noticed() {
    check(Fault::ChangeKey, &["changed its key"]);
}

#[test]
fn attempts_that_are_counted_anew_are_noticed() {
    check(Fault::CountAttemptsAnew, &[" after "]);
}

#[test]
fn acknowledged_entry_that_is_lost_is_noticed() {
    check(Fault::LoseAcknowledged, &["told that is lost", "recorded"]);
}

#[test]
fn window_that_is_wider_than_agreed_is_noticed() {
    check(
        Fault::WiderWindow,
        &["more than a window", "overtook another"],
    );
}
