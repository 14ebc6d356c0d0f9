//! The judge: compares what the clients were told, what the processor has, what the validator said
//! and what the journal replays to. Pure, so that it can be tried on wrong evidence.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::announcement::Recovered;
use crate::domain::{OrderId, OrderStatus};
use crate::ledger::{Call, Verdict};

/// All that is known at the end of a drill.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// How many orders were to be submitted.
    pub submitted: usize,
    /// For each submission that was answered with 201, the order's number in that answer; one more
    /// for each time that it was answered again.
    pub acknowledged: Vec<Acknowledged>,
    /// The orders that the processor has, with what became of them.
    pub orders: BTreeMap<OrderId, OrderStatus>,
    /// Where in the journal each order was decided: the positions, which should be one.
    pub decisions: BTreeMap<OrderId, Vec<u64>>,
    /// What became of the orders, as the journal leads to it at its end.
    pub journaled: BTreeMap<OrderId, OrderStatus>,
    /// Where in the journal each run of the processor began to write, by its epoch.
    pub begun: BTreeMap<u64, u64>,
    /// The validator's ledger, in order.
    pub calls: Vec<Call>,
    /// Each start of the processor that got as far as to report its recovery, in order.
    pub recoveries: Vec<Recovered>,
    /// The digest of the state that a replay of the whole journal, from its first entry and without
    /// snapshots, comes to where each of `recoveries` took its own; `None` beyond the journal's end.
    pub digests: Vec<Option<String>>,
}

/// An order that a client was told is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// Which submission this was.
    pub submission: usize,
    /// The number that the answer gave.
    pub order_id: OrderId,
}

/// What the judge finds. Each number is a count of orders, calls or starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Orders that the processor has.
    pub orders: usize,
    /// Of them, accepted.
    pub accepted: usize,
    /// Of them, declined.
    pub declined: usize,
    /// Of them, not decided: must be none.
    pub pending: usize,
    /// Submissions never acknowledged: must be none.
    pub unacknowledged: usize,
    /// Acknowledged orders that the processor does not have: must be none.
    pub lost: usize,
    /// Orders that the processor has and no client was told of: must be none.
    pub unknown: usize,
    /// Orders whose number was given to two submissions, or submissions with two orders: must be none.
    pub confused: usize,
    /// Orders decided more than once by the processor, or by the validator under several keys: must
    /// be none.
    pub decided_twice: usize,
    /// Decided orders whose status is not the validator's verdict: must be none.
    pub verdict_mismatches: usize,
    /// Calls that the validator got.
    pub validator_calls: usize,
    /// Different keys among them.
    pub validator_distinct_keys: usize,
    /// Calls made while a start replayed, or for orders that it had found decided: must be none.
    pub calls_during_replay: usize,
    /// Starts of the processor that reported their recovery.
    pub recoveries: usize,
    /// Of them, those whose state differs from a replay of the whole journal: must be none.
    pub digest_mismatches: usize,
    /// Orders that the journal leads to in another status than the processor's answer: must be none.
    pub journal_mismatches: usize,
    /// Entries replayed by all of them together.
    pub entries_replayed: u64,
}

impl Findings {
    /// What must not be and is, in words; nothing when all is well.
    pub fn complaints(&self) -> Vec<String> {
        let must_be_none = [
            (self.unacknowledged, "submissions were never acknowledged"),
            (self.lost, "acknowledged orders are lost"),
            (self.unknown, "orders are there that nobody was told of"),
            (
                self.confused,
                "order numbers and submissions do not match one to one",
            ),
            (self.pending, "orders are still pending"),
            (self.decided_twice, "orders were decided twice"),
            (
                self.verdict_mismatches,
                "orders differ from the validator's verdict",
            ),
            (self.calls_during_replay, "calls were made by a replay"),
            (
                self.journal_mismatches,
                "orders differ from what the journal leads to",
            ),
            (
                self.digest_mismatches,
                "restarts came to another state than the journal's",
            ),
        ];
        must_be_none
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

impl Evidence {
    /// Judges.
    pub fn judge(&self) -> Findings {
        let told: HashSet<OrderId> = self.acknowledged.iter().map(|told| told.order_id).collect();
        let with = |wanted: fn(&OrderStatus) -> bool| {
            self.orders.values().filter(|status| wanted(status)).count()
        };
        let keys: HashSet<&str> = self.calls.iter().map(|call| call.key.as_str()).collect();
        Findings {
            orders: self.orders.len(),
            accepted: with(|status| *status == OrderStatus::Accepted),
            declined: with(|status| matches!(status, OrderStatus::Declined { .. })),
            pending: with(|status| *status == OrderStatus::Pending),
            unacknowledged: self.unacknowledged(),
            lost: told
                .iter()
                .filter(|id| !self.orders.contains_key(id))
                .count(),
            unknown: self.orders.keys().filter(|id| !told.contains(id)).count(),
            confused: self.confused(),
            decided_twice: self.decided_twice(),
            verdict_mismatches: self.verdict_mismatches(),
            validator_calls: self.calls.len(),
            validator_distinct_keys: keys.len(),
            calls_during_replay: self.calls_during_replay(),
            recoveries: self.recoveries.len(),
            digest_mismatches: self.digest_mismatches(),
            journal_mismatches: self.journal_mismatches(),
            entries_replayed: self.recoveries.iter().map(|start| start.entries).sum(),
        }
    }

    fn unacknowledged(&self) -> usize {
        let told: HashSet<usize> = self
            .acknowledged
            .iter()
            .map(|told| told.submission)
            .collect();
        self.submitted - told.len()
    }

    fn confused(&self) -> usize {
        let mut order_of: HashMap<usize, OrderId> = HashMap::new();
        let mut submission_of: HashMap<OrderId, usize> = HashMap::new();
        let confused = self.acknowledged.iter().filter(|told| {
            let order_id = *order_of.entry(told.submission).or_insert(told.order_id);
            let submission = *submission_of
                .entry(told.order_id)
                .or_insert(told.submission);
            order_id != told.order_id || submission != told.submission
        });
        confused.count()
    }

    /// The verdicts for each order: one for each key that got one.
    fn verdicts(&self) -> HashMap<OrderId, Vec<&Verdict>> {
        let mut seen = HashSet::new();
        let mut verdicts: HashMap<OrderId, Vec<&Verdict>> = HashMap::new();
        for call in &self.calls {
            if let Some(verdict) = &call.verdict
                && seen.insert(call.key.as_str())
            {
                verdicts
                    .entry(OrderId(call.order_id))
                    .or_default()
                    .push(verdict);
            }
        }
        verdicts
    }

    fn decided_twice(&self) -> usize {
        let by_processor = self.decisions.iter().filter(|(_, at)| at.len() > 1);
        let verdicts = self.verdicts();
        let by_validator = verdicts.iter().filter(|(_, verdicts)| verdicts.len() > 1);
        let twice: BTreeSet<&OrderId> = by_processor
            .map(|(id, _)| id)
            .chain(by_validator.map(|(id, _)| id))
            .collect();
        twice.len()
    }

    fn verdict_mismatches(&self) -> usize {
        let verdicts = self.verdicts();
        let said = |id: &OrderId, wanted: &Verdict| {
            let verdicts = verdicts.get(id).map_or(&[][..], Vec::as_slice);
            verdicts.contains(&wanted)
        };
        let mismatches = self.orders.iter().filter(|(id, status)| match status {
            OrderStatus::Pending => false,
            OrderStatus::Accepted => !said(id, &Verdict::Validated),
            OrderStatus::Declined { reason } => {
                let reason = reason.clone();
                !said(id, &Verdict::Declined { reason })
            }
        });
        mismatches.count()
    }

    /// A call counts when the run that made it was still replaying, by its own account, or when the
    /// history before that run had already decided the order. The second needs no clock.
    fn calls_during_replay(&self) -> usize {
        let ends = self.recoveries.iter();
        // Of several starts from the same position, only the last one lived to write there.
        let ends: HashMap<u64, u64> = ends
            .map(|start| (start.position + 1, start.ended_micros))
            .collect();
        let made_by_replay = self.calls.iter().filter(|call| {
            let begun = call.epoch.and_then(|epoch| self.begun.get(&epoch));
            begun.is_some_and(|begun| {
                ends.get(begun).is_some_and(|ended| call.at_micros < *ended)
                    || self.is_decided_before(OrderId(call.order_id), *begun)
            })
        });
        made_by_replay.count()
    }

    fn is_decided_before(&self, id: OrderId, position: u64) -> bool {
        let decided = self.decisions.get(&id).and_then(|at| at.first());
        decided.is_some_and(|decided| *decided < position)
    }

    fn journal_mismatches(&self) -> usize {
        let ids: BTreeSet<&OrderId> = self.orders.keys().chain(self.journaled.keys()).collect();
        ids.iter()
            .filter(|id| self.orders.get(id) != self.journaled.get(id))
            .count()
    }

    fn digest_mismatches(&self) -> usize {
        assert_eq!(
            self.recoveries.len(),
            self.digests.len(),
            "each start is compared"
        );
        let compared = self.recoveries.iter().zip(&self.digests);
        compared
            .filter(|(start, digest)| digest.as_ref() != Some(&start.digest))
            .count()
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
