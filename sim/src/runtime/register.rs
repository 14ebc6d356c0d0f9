//! What is remembered outside for ever, also when the journal is put back to an earlier time: what was
//! ever asked for, and which key stood for what.
//!
//! Who asks keeps the identities of its messages, and a destination keeps the keys of what it did. So a
//! request that is sent again by another line of the journal must have its key again, or it is done
//! twice; and no other request may have that key, or it is never done.

use std::collections::BTreeMap;

use super::clerk::{Job, Paper};
use crate::model::Violation;

const KEYS: &str = "a request has one key for ever, and a key one request";

/// Outlives all lines of the journal.
#[derive(Debug, Default)]
pub(super) struct Register {
    jobs: Vec<Job>,
    requests: BTreeMap<[u8; 16], u64>,
    keys: BTreeMap<u64, [u8; 16]>,
}

impl Register {
    /// The number of the next new job.
    pub(super) fn next_job(&self) -> u64 {
        self.jobs.len() as u64 + 1
    }

    /// A new job, with the next number.
    pub(super) fn add(&mut self, job: Job) {
        assert_eq!(job.number, self.next_job(), "jobs are numbered in order");
        self.jobs.push(job);
    }

    /// The job in this place, if there ever was one.
    pub(super) fn job(&self, place: usize) -> Option<Job> {
        self.jobs.get(place).cloned()
    }

    /// How many jobs there ever were.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// A request came with `key`.
    pub(super) fn delivered(&mut self, key: [u8; 16], paper: &Paper) -> Result<(), Violation> {
        let number = paper.number;
        let (owner, known) = (
            *self.requests.entry(key).or_insert(number),
            *self.keys.entry(number).or_insert(key),
        );
        if owner == number && known == key {
            return Ok(());
        }
        let detail = format!("request {number} with a key of {owner}, its own known: {known:x?}");
        Err(Violation::new(KEYS, detail))
    }

    /// The journal was put back to a time when it may have had no secret yet: it draws another one, and
    /// all keys are others.
    pub(super) fn forget_keys(&mut self) {
        self.requests.clear();
        self.keys.clear();
    }
}
