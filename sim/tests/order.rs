//! Orders of events that seeds seldom give; in most of them the simulation found a bug.

use sim::order::Order;
use sim::world::{Manner, run};

fn check(order: Order) {
    for plan in order.plans() {
        let outcome = run(&plan, Manner::default());
        assert_eq!(outcome.violation, None, "{plan:?}");
    }
}

#[test]
fn a_segment_named_by_a_process_that_was_killed_outlives_a_loss_of_power() {
    check(Order::NameOfKilled);
}

#[test]
fn a_crash_while_recovery_removes_segments_leaves_no_gap() {
    check(Order::GapOfRecovery);
}

#[test]
fn an_index_is_not_older_than_its_segment() {
    check(Order::StaleIndex);
}

#[test]
fn a_log_does_not_outlive_its_mark() {
    check(Order::LogWithoutMark);
}

#[test]
fn a_loss_of_power_that_tears_sectors_leaves_a_mark() {
    check(Order::NoWholeSlot);
}

#[test]
fn appends_that_wait_when_the_disk_fills_are_rejected_and_taken_when_there_is_room() {
    check(Order::FullThenRoom);
}

/// B2.7
#[test]
fn damage_that_a_later_frame_proves_is_refused_wherever_the_mark_stands() {
    check(Order::DamageBeforeLater);
}

/// B2.7
#[test]
fn damage_to_the_last_frame_is_refused_when_the_mark_covers_it() {
    check(Order::DamageBelowMark);
}
