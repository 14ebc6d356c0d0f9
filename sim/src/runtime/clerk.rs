//! The processor that the simulated runtime runs: it takes jobs, asks questions, sends letters, and
//! counts what it hears.

use std::collections::BTreeMap;

use refrain::{Channels, Never, OneWay, Outbox, Outcome, Processor, RequestReply, Settlement};
use serde::{Deserialize, Serialize};

/// Questions that one job may ask.
pub(super) const QUESTIONS_MAX: u64 = 4;

/// Numbers that one job has for its questions and its letter.
const NUMBERS: u64 = QUESTIONS_MAX + 1;

pub(super) const QUESTIONS: RequestReply<Clerk, Paper, u64> =
    RequestReply::new("questions", Clerk::on_reply);
pub(super) const LETTERS: OneWay<Clerk, Paper> = OneWay::reliable("letters");

/// What was done, as the events say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clerk {
    /// Jobs in the order in which they were decided.
    pub(super) jobs: Vec<u64>,
    /// How often the reply to each question was applied.
    pub(super) heard: BTreeMap<u64, u32>,
}

/// What the clerk is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) number: u64,
    /// What its questions are ordered by.
    pub(super) key: u64,
    pub(super) questions: u64,
    pub(super) has_letter: bool,
    pub(super) padding: String,
}

/// What a destination is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Paper {
    pub(super) number: u64,
    pub(super) key: u64,
    /// The number of the letter that follows from the reply.
    pub(super) letter: Option<u64>,
}

impl Paper {
    fn letter(number: u64) -> Paper {
        Paper {
            number,
            key: 0,
            letter: None,
        }
    }

    pub(super) fn job(&self) -> u64 {
        self.number / NUMBERS
    }
}

impl Job {
    /// The numbers of its questions.
    pub(super) fn questions(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.number * NUMBERS;
        first..first + self.questions
    }

    /// The number of its letter: sent at once, or once the first question has its reply.
    pub(super) fn letter(&self) -> Option<u64> {
        self.has_letter
            .then_some(self.number * NUMBERS + QUESTIONS_MAX)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Happened {
    Took(u64),
    Heard(u64),
}

impl Processor for Clerk {
    type Message = Job;
    type Event = Happened;
    type Answer = u64;
    type Rejection = Never;
    const CHANNELS: Channels<Self> = &[&QUESTIONS, &LETTERS];

    /// Answers how many jobs there were before.
    fn decide(&self, job: &Job, out: &mut Outbox<Self>) -> Result<u64, Never> {
        out.event(Happened::Took(job.number));
        let mut letter = job.letter();
        for number in job.questions() {
            let key = job.key;
            let letter = letter.take();
            let paper = Paper {
                number,
                key,
                letter,
            };
            out.request_in_order_of(&QUESTIONS, key, &paper);
        }
        if let Some(number) = letter {
            out.send(&LETTERS, &Paper::letter(number));
        }
        Ok(self.jobs.len() as u64)
    }

    fn apply(&mut self, event: &Happened) {
        match event {
            Happened::Took(number) => self.jobs.push(*number),
            Happened::Heard(number) => *self.heard.entry(*number).or_default() += 1,
        }
    }
}

impl Clerk {
    fn on_reply(&self, asked: &Paper, outcome: Outcome<u64>, out: &mut Outbox<Self>) -> Settlement {
        match outcome {
            Outcome::Reply(number) if number == asked.number => {
                out.event(Happened::Heard(number));
                if let Some(number) = asked.letter {
                    out.send(&LETTERS, &Paper::letter(number));
                }
                Settlement::Confirm
            }
            Outcome::Reply(_)
            | Outcome::DestinationFailure { .. }
            | Outcome::DestinationNotResponding { .. } => Settlement::Redeliver,
        }
    }
}
