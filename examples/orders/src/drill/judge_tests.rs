//! The judge against evidence that is wrong in one way at a time.

use super::*;
use crate::ledger::Answer;

/// Two orders, one accepted and one declined; the processor started twice.
fn good() -> Evidence {
    let told = |submission, order_id| Acknowledged {
        submission,
        order_id: OrderId(order_id),
    };
    let call = |at_micros, order_id, epoch, verdict: Option<Verdict>| Call {
        at_micros,
        key: format!("key-{order_id}"),
        order_id,
        epoch: Some(epoch),
        answer: match verdict {
            Some(_) => Answer::Verdict,
            None => Answer::Failure,
        },
        verdict,
    };
    let start = |position, digest: &str, micros| Recovered {
        entries: position,
        position,
        digest: digest.to_owned(),
        digest_position: position,
        began_micros: micros,
        ended_micros: micros + 10,
    };
    let reason = || "limit exceeded".to_owned();
    let orders = BTreeMap::from([
        (OrderId(1), OrderStatus::Accepted),
        (OrderId(2), OrderStatus::Declined { reason: reason() }),
    ]);
    Evidence {
        submitted: 2,
        acknowledged: vec![told(0, 1), told(1, 2), told(0, 1)],
        orders: orders.clone(),
        journaled: orders,
        begun: BTreeMap::from([(1, 1), (2, 5)]),
        decisions: BTreeMap::from([(OrderId(1), vec![3]), (OrderId(2), vec![6])]),
        calls: vec![
            call(120, 1, 1, Some(Verdict::Validated)),
            call(130, 2, 1, None),
            call(220, 2, 2, Some(Verdict::Declined { reason: reason() })),
        ],
        recoveries: vec![start(0, "empty", 100), start(4, "one", 200)],
        digests: vec![Some("empty".to_owned()), Some("one".to_owned())],
    }
}

impl Evidence {
    /// Makes processor and journal agree on what became of an order.
    fn became(&mut self, id: u64, status: Option<OrderStatus>) {
        for orders in [&mut self.orders, &mut self.journaled] {
            match &status {
                Some(status) => orders.insert(OrderId(id), status.clone()),
                None => orders.remove(&OrderId(id)),
            };
        }
    }
}

#[track_caller]
fn check(wrong: impl FnOnce(&mut Evidence), complaint: &str) {
    let mut evidence = good();
    wrong(&mut evidence);
    assert_eq!(evidence.judge().complaints(), [complaint]);
}

#[test]
fn good_evidence_has_no_complaint() {
    let findings = good().judge();
    let expected = Findings {
        orders: 2,
        accepted: 1,
        declined: 1,
        validator_calls: 3,
        validator_distinct_keys: 2,
        recoveries: 2,
        entries_replayed: 4,
        ..Findings::default()
    };
    assert_eq!(findings, expected);
    assert_eq!(findings.complaints(), [""; 0]);
}

#[test]
fn order_that_is_still_pending_is_found() {
    check(
        |evidence| {
            evidence.became(2, Some(OrderStatus::Pending));
        },
        "1 orders are still pending",
    );
}

#[test]
fn acknowledged_order_that_is_gone_is_lost() {
    check(
        |evidence| {
            evidence.became(2, None);
        },
        "1 acknowledged orders are lost",
    );
}

#[test]
fn submission_without_an_answer_is_found() {
    check(
        |evidence| evidence.submitted = 3,
        "1 submissions were never acknowledged",
    );
}

#[test]
fn order_that_nobody_was_told_of_is_unknown() {
    check(
        |evidence| {
            evidence.became(3, Some(OrderStatus::Accepted));
            evidence.calls.push(Call {
                order_id: 3,
                key: "key-3".to_owned(),
                ..evidence.calls[0].clone()
            });
        },
        "1 orders are there that nobody was told of",
    );
}

#[test]
fn order_number_given_to_two_submissions_is_found() {
    check(
        |evidence| {
            evidence.submitted = 3;
            evidence.acknowledged.push(Acknowledged {
                submission: 2,
                order_id: OrderId(2),
            });
        },
        "1 order numbers and submissions do not match one to one",
    );
}

#[test]
fn submission_that_became_two_orders_is_found() {
    check(
        |evidence| evidence.acknowledged[2].order_id = OrderId(2),
        "1 order numbers and submissions do not match one to one",
    );
}

#[test]
fn order_that_the_processor_decided_twice_is_found() {
    check(
        |evidence| {
            evidence.decisions.insert(OrderId(1), vec![3, 5]);
        },
        "1 orders were decided twice",
    );
}

#[test]
fn order_with_verdicts_under_two_keys_is_found() {
    check(
        |evidence| {
            evidence.calls.push(Call {
                key: "another-key".to_owned(),
                ..evidence.calls[0].clone()
            });
        },
        "1 orders were decided twice",
    );
}

#[test]
fn status_that_is_not_the_verdict_is_found() {
    check(
        |evidence| {
            evidence.became(2, Some(OrderStatus::Accepted));
        },
        "1 orders differ from the validator's verdict",
    );
}

#[test]
fn declined_for_another_reason_than_the_verdicts_is_found() {
    check(
        |evidence| {
            let reason = "another".to_owned();
            evidence.became(2, Some(OrderStatus::Declined { reason }));
        },
        "1 orders differ from the validator's verdict",
    );
}

#[test]
fn decision_without_any_verdict_is_found() {
    check(
        |evidence| evidence.calls.truncate(2),
        "1 orders differ from the validator's verdict",
    );
}

#[test]
fn call_of_a_start_that_still_replayed_is_found() {
    check(
        |evidence| evidence.calls[2].at_micros = 205,
        "1 calls were made by a replay",
    );
}

#[test]
fn call_for_an_order_that_the_replayed_history_had_decided_is_found() {
    check(
        |evidence| {
            evidence.calls.push(Call {
                at_micros: 300,
                epoch: Some(2),
                ..evidence.calls[0].clone()
            });
        },
        "1 calls were made by a replay",
    );
}

#[test]
fn call_of_a_run_that_never_reported_its_recovery_is_judged_by_the_journal() {
    check(
        |evidence| {
            evidence.begun.insert(3, 8);
            evidence.calls.push(Call {
                at_micros: 300,
                epoch: Some(3),
                ..evidence.calls[0].clone()
            });
        },
        "1 calls were made by a replay",
    );
}

#[test]
fn late_call_of_the_run_before_is_no_call_of_the_replay() {
    let mut evidence = good();
    evidence.calls[1].at_micros = 205;
    assert_eq!(evidence.judge().complaints(), [""; 0]);
}

#[test]
fn restart_with_another_state_than_the_journals_is_found() {
    check(
        |evidence| evidence.recoveries[1].digest = "two".to_owned(),
        "1 restarts came to another state than the journal's",
    );
}

#[test]
fn restart_beyond_the_end_of_the_journal_is_found() {
    check(
        |evidence| evidence.digests[1] = None,
        "1 restarts came to another state than the journal's",
    );
}

#[test]
fn answer_that_the_journal_does_not_lead_to_is_found() {
    check(
        |evidence| {
            evidence.journaled.insert(OrderId(1), OrderStatus::Pending);
        },
        "1 orders differ from what the journal leads to",
    );
}
