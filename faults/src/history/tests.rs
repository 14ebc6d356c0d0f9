//! A checker that cannot go red proves nothing: each kind of broken promise, by itself.

use super::*;

fn batch(first: u64, digests: &[u64]) -> Batch {
    Batch {
        stream: 0,
        first,
        digests: digests.iter().copied().map(Digest).collect(),
    }
}

fn found(first: u64, digests: &[u64]) -> Vec<Found> {
    vec![Found {
        stream: 0,
        first,
        head: first + digests.len() as u64 - 1,
        digests: digests.iter().copied().map(Digest).collect(),
    }]
}

/// Two batches submitted, the first one acknowledged.
fn lines() -> Vec<Line> {
    vec![
        Line::Head { stream: 0, head: 0 },
        Line::Submitted(batch(1, &[11, 12])),
        Line::Submitted(batch(3, &[13, 14])),
        Line::Acknowledged(batch(1, &[11, 12])),
    ]
}

fn after(lines: &[Line]) -> History {
    let mut history = History::default();
    history.take(lines).unwrap();
    history
}

#[test]
fn what_was_acknowledged_alone_or_with_what_was_submitted_is_right() {
    assert_eq!(after(&lines()).check(&found(1, &[11, 12])), Ok(()));
    assert_eq!(after(&lines()).check(&found(1, &[11, 12, 13, 14])), Ok(()));
}

#[test]
fn every_kind_of_loss_invention_and_disorder_is_found() {
    let cases: [(&str, Vec<Found>); 8] = [
        ("all lost", vec![]),
        ("one lost", found(1, &[11])),
        ("other bytes", found(1, &[11, 99])),
        ("swapped", found(1, &[12, 11])),
        ("half a batch", found(1, &[11, 12, 13])),
        ("never submitted", found(1, &[11, 12, 98, 97])),
        ("one more", found(1, &[11, 12, 13, 14, 15])),
        ("forgotten by itself", found(2, &[12])),
    ];
    for (name, found) in cases {
        assert!(after(&lines()).check(&found).is_err(), "{name}");
    }
    let mut stranger = found(1, &[11, 12]);
    stranger.push(Found {
        stream: 7,
        ..stranger[0].clone()
    });
    assert!(after(&lines()).check(&stranger).is_err(), "a new stream");
}

#[test]
fn what_a_check_has_shown_must_stay_although_it_was_never_acknowledged() {
    let mut history = after(&lines());
    history.check(&found(1, &[11, 12, 13, 14])).unwrap();
    assert!(history.clone().check(&found(1, &[11, 12])).is_err());
    assert!(history.clone().check(&found(1, &[11, 12, 13, 15])).is_err());
    assert_eq!(history.check(&found(1, &[11, 12, 13, 14])), Ok(()));
}

#[test]
fn rejected_batch_may_not_be_found() {
    let mut lines = lines();
    lines.push(Line::Rejected {
        stream: 0,
        first: 3,
        reason: String::new(),
    });
    assert!(after(&lines).check(&found(1, &[11, 12, 13, 14])).is_err());
    assert_eq!(after(&lines).check(&found(1, &[11, 12])), Ok(()));
}

#[test]
fn position_given_out_again_and_head_that_goes_back_are_found() {
    let mut history = after(&lines());
    let again = Line::Submitted(batch(2, &[1]));
    assert!(history.clone().take(&[again]).is_err());
    let back = Line::Head { stream: 0, head: 1 };
    assert!(history.take(&[back]).is_err());
}

#[test]
fn acknowledgement_out_of_order_or_of_nothing_is_found() {
    let early = [
        Line::Submitted(batch(1, &[1])),
        Line::Submitted(batch(2, &[2])),
        Line::Acknowledged(batch(2, &[2])),
        Line::Acknowledged(batch(1, &[1])),
    ];
    assert!(History::default().take(&early).is_err());
    let invented = [Line::Acknowledged(batch(1, &[1]))];
    assert!(History::default().take(&invented).is_err());
}

#[test]
fn forgotten_entries_stay_so_and_only_those_asked_for_go() {
    let mut lines = lines();
    lines.push(Line::Forgetting {
        stream: 0,
        below: 2,
    });
    assert_eq!(after(&lines).check(&found(1, &[11, 12])), Ok(()));
    assert_eq!(after(&lines).check(&found(2, &[12])), Ok(()));
    assert!(after(&lines).check(&found(3, &[13, 14])).is_err());
    lines.push(Line::Forgotten {
        stream: 0,
        below: 2,
    });
    assert!(after(&lines).check(&found(1, &[11, 12])).is_err());
}
