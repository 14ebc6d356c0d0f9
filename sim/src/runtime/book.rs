//! What everybody outside of the runtime knows: who was answered what, what was shown, what came to
//! the destinations. Its checks are the promises.

use std::collections::{BTreeMap, BTreeSet};

use refrain::Delivery;

use super::clerk::{Clerk, Job, Paper};
use crate::model::Violation;
use crate::sometimes::{Sometimes, note};

const ANSWERED: &str = "an answered message is kept, and its answer is always the same";
const ONCE: &str = "a message is handled once";
const SHOWN: &str = "what was shown stays";
const REPLY: &str = "a reply is applied once, and only one that was given";
const INTENT: &str = "nothing is sent before its intent is durable";
const SETTLED: &str = "nothing is sent after its settlement";
const ATTEMPTS: &str = "attempts are counted on, also by the next process";
const ORDER: &str = "order holds per key, and in strict channels";
const EPOCHS: &str = "an epoch belongs to one process";
const REFUSED: &str = "what was said not to be recorded is not there";

/// A job that was told.
#[derive(Debug, Clone)]
struct Told {
    job: Job,
    answer: Option<u64>,
    /// Tries that have not ended.
    open: u32,
    /// A try ended in a way that says nothing.
    may_be: bool,
}

/// A request that reached its destination.
#[derive(Debug, Clone)]
struct Sent {
    paper: Paper,
    attempt: u32,
    has_reply: bool,
}

/// What is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    told: BTreeMap<u64, Told>,
    shown: Clerk,
    sent: BTreeMap<u64, Sent>,
    /// Per channel and order key, the number of the delivery that came last, and of its request.
    last: BTreeMap<(&'static str, u64), (u64, u64)>,
    /// Which process delivered in which epoch.
    epochs: BTreeMap<u64, u64>,
    life: u64,
    /// What a destination found.
    pub(super) broken: Option<Violation>,
}

impl Book {
    /// Another process begins; what nobody was told of the last one may have happened.
    pub(super) fn begin_life(&mut self) {
        self.life += 1;
        for told in self.told.values_mut() {
            told.may_be |= told.open > 0;
            told.open = 0;
        }
    }

    /// All jobs that were told.
    pub(super) fn jobs(&self) -> Vec<Job> {
        self.told.values().map(|told| told.job.clone()).collect()
    }

    /// Whether nothing of a state was shown yet.
    pub(super) fn has_shown_nothing(&self) -> bool {
        self.shown.jobs.is_empty()
    }

    pub(super) fn tell(&mut self, job: &Job) {
        let told = self.told.entry(job.number).or_insert_with(|| Told {
            job: job.clone(),
            answer: None,
            open: 0,
            may_be: false,
        });
        told.open += 1;
    }

    fn told_mut(&mut self, number: u64) -> &mut Told {
        self.told.get_mut(&number).expect("it was told")
    }

    /// A job was answered.
    pub(super) fn answered(&mut self, number: u64, answer: u64) -> Result<(), Violation> {
        let told = self.told_mut(number);
        told.open -= 1;
        match told.answer.replace(answer) {
            Some(before) if before != answer => {
                let detail = format!("job {number}: {before}, then {answer}");
                Err(Violation::new(ANSWERED, detail))
            }
            Some(_) => {
                note(Sometimes::AnsweredAgain);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A job was not recorded by this try.
    pub(super) fn refused(&mut self, number: u64) {
        note(Sometimes::ToldNotRecorded);
        self.told_mut(number).open -= 1;
    }

    /// Nothing is known of what became of a try.
    pub(super) fn unknown(&mut self, number: u64) {
        let told = self.told_mut(number);
        told.open -= 1;
        told.may_be = true;
    }

    /// Checks a state that was shown, which is durable then.
    pub(super) fn saw(&mut self, state: &Clerk) -> Result<(), Violation> {
        let unique: BTreeSet<u64> = state.jobs.iter().copied().collect();
        if unique.len() != state.jobs.len() {
            return Err(Violation::new(ONCE, format!("{:?}", state.jobs)));
        }
        if !state.jobs.starts_with(&self.shown.jobs) {
            let detail = format!("{:?}, before {:?}", state.jobs, self.shown.jobs);
            return Err(Violation::new(SHOWN, detail));
        }
        for (number, told) in &self.told {
            self.check_told(*number, told, state, unique.contains(number))?;
        }
        self.check_heard(state)?;
        let intents = self.sent.values().map(|sent| sent.paper.job());
        if let Some(job) = intents.into_iter().find(|job| !unique.contains(job)) {
            return Err(Violation::new(INTENT, format!("job {job} is not there")));
        }
        self.shown.clone_from(state);
        Ok(())
    }

    fn check_told(
        &self,
        number: u64,
        told: &Told,
        state: &Clerk,
        is_there: bool,
    ) -> Result<(), Violation> {
        if let Some(answer) = told.answer {
            let place = usize::try_from(answer).unwrap_or(usize::MAX);
            if state.jobs.get(place) != Some(&number) {
                let detail = format!("job {number} was answered {answer}: {:?}", state.jobs);
                return Err(Violation::new(ANSWERED, detail));
            }
        } else if is_there && told.open == 0 && !told.may_be {
            return Err(Violation::new(REFUSED, format!("job {number}")));
        }
        Ok(())
    }

    fn check_heard(&self, state: &Clerk) -> Result<(), Violation> {
        for (number, count) in &state.heard {
            let was_given = self.sent.get(number).is_some_and(|sent| sent.has_reply);
            if *count != 1 || !was_given {
                let detail = format!("reply {number} {count} times, given: {was_given}");
                return Err(Violation::new(REPLY, detail));
            }
        }
        let mut shown = self.shown.heard.keys();
        if let Some(lost) = shown.find(|number| !state.heard.contains_key(number)) {
            return Err(Violation::new(SHOWN, format!("reply {lost} is gone")));
        }
        Ok(())
    }

    /// Whether all that was told and recorded is settled.
    pub(super) fn is_settled(&self, state: &Clerk) -> bool {
        let jobs = state.jobs.iter().filter_map(|number| self.told.get(number));
        jobs.into_iter().all(|told| {
            let mut questions = told.job.questions();
            let letter = told.job.letter();
            let has_reply = |number: &u64| self.sent.get(number).is_some_and(|one| one.has_reply);
            questions.all(|number| state.heard.contains_key(&number))
                && letter.iter().all(has_reply)
        })
    }

    /// A destination notes what came to it; `known` is what it says of the key.
    pub(super) fn delivered(
        &mut self,
        delivery: &Delivery,
        paper: &Paper,
        known: Result<(), Violation>,
    ) {
        if let Err(violation) = known.and_then(|()| self.check_delivery(delivery, paper)) {
            self.broken.get_or_insert(violation);
        }
    }

    fn check_delivery(&mut self, delivery: &Delivery, paper: &Paper) -> Result<(), Violation> {
        let number = paper.number;
        let what = || {
            format!(
                "{} {number}, attempt {}",
                delivery.channel, delivery.attempt
            )
        };
        let life = *self.epochs.entry(delivery.epoch.get()).or_insert(self.life);
        if life != self.life {
            return Err(Violation::new(EPOCHS, what()));
        }
        if self.shown.heard.contains_key(&number) {
            return Err(Violation::new(SETTLED, what()));
        }
        let sent = self.sent.entry(number).or_insert_with(|| Sent {
            paper: paper.clone(),
            attempt: 0,
            has_reply: false,
        });
        if delivery.attempt <= sent.attempt {
            let detail = format!("{} after {}", what(), sent.attempt);
            return Err(Violation::new(ATTEMPTS, detail));
        }
        if sent.has_reply {
            note(Sometimes::DeliveredAfterReply);
        }
        if delivery.attempt > 1 {
            note(Sometimes::Redelivered);
        }
        sent.attempt = delivery.attempt;
        self.check_order(delivery, paper)
    }

    fn check_order(&mut self, delivery: &Delivery, paper: &Paper) -> Result<(), Violation> {
        let line = (delivery.channel, paper.key);
        let before = self.last.insert(line, (delivery.number, paper.number));
        let Some((number, request)) = before else {
            return Ok(());
        };
        let is_late = delivery.number < number;
        let is_early = delivery.number > number && !self.sent[&request].has_reply;
        if is_late || is_early {
            let detail = format!("{line:?}: {} after {number}", delivery.number);
            return Err(Violation::new(ORDER, detail));
        }
        Ok(())
    }

    /// A destination gives a reply.
    pub(super) fn replied(&mut self, paper: &Paper) {
        if let Some(sent) = self.sent.get_mut(&paper.number) {
            sent.has_reply = true;
        }
    }
}
