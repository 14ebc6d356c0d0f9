//! A processor with a channel of each kind, and a world of scripted destinations round it.

use std::collections::BTreeMap;
use std::time::Duration;

use refrain::{
    ChannelOptions, ChannelStatus, Channels, Destination, Encoding, MemoryJournal, Never, OneWay,
    Outbox, Outcome, Processor, RedeliveryPolicy, Refrain, Reply, RequestReply, Settlement,
};
use refrain_testkit::{Act, ScriptedDestination};
use serde::{Deserialize, Serialize};

use crate::waiting::pass;

pub(crate) const QUESTIONS: RequestReply<Desk, u64, u64> =
    RequestReply::new("questions", Desk::on_answer);
pub(crate) const LETTERS: OneWay<Desk, u64> = OneWay::reliable("letters");
pub(crate) const NOTES: OneWay<Desk, u64> = OneWay::at_recovery("notes");

/// Asks, sends, and keeps what comes back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Desk {
    pub(crate) answered: BTreeMap<u64, u64>,
    pub(crate) failures: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Job {
    Ask(u64),
    Send(u64),
    Note(u64),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum DeskEvent {
    Answered { question: u64, answer: u64 },
    Unanswered { why: String },
}

impl Processor for Desk {
    type Message = Job;
    type Event = DeskEvent;
    type Answer = ();
    type Rejection = Never;
    const CHANNELS: Channels<Self> = &[&QUESTIONS, &LETTERS, &NOTES];

    fn decide(&self, job: &Job, out: &mut Outbox<Self>) -> Result<(), Never> {
        match job {
            Job::Ask(question) => out.request(&QUESTIONS, question),
            Job::Send(letter) => out.send(&LETTERS, letter),
            Job::Note(note) => out.send(&NOTES, note),
        };
        Ok(())
    }

    fn apply(&mut self, event: &DeskEvent) {
        match event {
            DeskEvent::Answered { question, answer } => {
                self.answered.insert(*question, *answer);
            }
            DeskEvent::Unanswered { why } => self.failures.push(why.clone()),
        }
    }
}

impl Desk {
    fn on_answer(
        &self,
        question: &u64,
        outcome: Outcome<u64>,
        out: &mut Outbox<Self>,
    ) -> Settlement {
        let question = *question;
        let why = match outcome {
            Outcome::Reply(13) => panic!("thirteen is too much"),
            Outcome::Reply(_) if self.answered.contains_key(&question) => {
                return Settlement::Confirm;
            }
            Outcome::Reply(answer) => {
                out.event(DeskEvent::Answered { question, answer });
                return Settlement::Confirm;
            }
            Outcome::DestinationFailure {
                failure_count,
                error,
            } => format!("{failure_count}: {error}"),
            Outcome::DestinationNotResponding { failure_count } => {
                format!("{failure_count}: silence")
            }
        };
        out.event(DeskEvent::Unanswered { why });
        Settlement::Redeliver
    }
}

/// A number as a destination replies it.
pub(crate) fn reply(number: u64) -> Reply {
    Reply::encode(Encoding::Cbor, &number).unwrap()
}

/// The number that a delivery brings.
pub(crate) fn number(delivery: &refrain::Delivery) -> u64 {
    delivery.encoding.decode(&delivery.request).unwrap()
}

/// A journal and destinations that outlive the runtimes that use them.
pub(crate) struct World {
    pub(crate) journal: MemoryJournal,
    pub(crate) questions: ScriptedDestination,
    pub(crate) other: ScriptedDestination,
    pub(crate) letters: ScriptedDestination,
    pub(crate) notes: ScriptedDestination,
    pub(crate) options: ChannelOptions,
}

impl World {
    pub(crate) fn new() -> World {
        World {
            journal: MemoryJournal::new(),
            questions: ScriptedDestination::always(Act::reply(reply(1))),
            other: ScriptedDestination::always(Act::reply(reply(2))),
            letters: ScriptedDestination::always(Act::confirm()),
            notes: ScriptedDestination::always(Act::confirm()),
            options: RedeliveryPolicy::default().into(),
        }
    }

    pub(crate) async fn start(&self) -> Refrain {
        self.start_with_questions(self.questions.clone()).await
    }

    pub(crate) async fn start_with_questions(&self, questions: impl Destination) -> Refrain {
        Refrain::builder()
            .journal(self.journal.clone())
            .processor("desk", Desk::default())
            .destination(&QUESTIONS, questions, self.options.clone())
            .alternative(&QUESTIONS, "other", self.other.clone())
            .destination(&LETTERS, self.letters.clone(), self.options.clone())
            .destination(&NOTES, self.notes.clone(), self.options.clone())
            .start()
            .await
            .unwrap()
    }

    /// Ends the runtime as a crash of its process would.
    pub(crate) fn crash(&mut self, refrain: Refrain) {
        self.journal = self.journal.crash();
        drop(refrain);
    }
}

/// How a channel stands.
pub(crate) async fn channel(refrain: &Refrain, name: &str) -> ChannelStatus {
    let channels = refrain.processor::<Desk>("desk").channels().await.unwrap();
    channels
        .into_iter()
        .find(|channel| channel.name.as_str() == name)
        .unwrap()
}

/// Waits until everything that a channel owes is settled, for at most an hour of the paused clock.
pub(crate) async fn settled(refrain: &Refrain, name: &str) {
    for _ in 0..36_000 {
        if channel(refrain, name).await.pending == 0 {
            return;
        }
        pass(Duration::from_millis(100)).await;
    }
    panic!("{:?}", channel(refrain, name).await);
}
