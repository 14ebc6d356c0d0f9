//! A processor that does as it is told: each message is a list of what to do. One type serves all
//! tests, so that several processors can live in one world.

use std::time::Duration;

use refrain_core::{Channels, OneWay, Outbox, Outcome, Processor, RequestReply, Settlement, Timer};
use serde::{Deserialize, Serialize};

pub(crate) type Requests = RequestReply<Worker, Ask, u64>;
pub(crate) type Sends = OneWay<Worker, Do>;

pub(crate) const ASK: Requests = RequestReply::new("ask", Worker::on_outcome);
pub(crate) const ASK_TOO: Requests = RequestReply::new("ask-too", Worker::on_outcome);
pub(crate) const TELL: Sends = OneWay::reliable("tell");
pub(crate) const TELL_TOO: Sends = OneWay::reliable("tell-too");
pub(crate) const REST: Sends = OneWay::at_recovery("rest");
pub(crate) const LATER: Timer<Worker, Do> = Timer::new("later", Worker::on_later);

pub(crate) const TOLD_TO: &str = "told to";

/// Panics that a test asks for are not worth a line each.
pub(crate) fn silence_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some(TOLD_TO) {
                hook(info);
            }
        }));
    });
}

/// A message: what to do, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Do(pub Vec<Act>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Decide an event.
    Note(u64),
    /// Decide an event with the time and a random number.
    Draw,
    /// Send a request through [`ASK`] or [`ASK_TOO`].
    Ask(Ask),
    AskToo(Ask),
    /// Send a message through a one-way channel.
    Tell(Option<u64>, Do),
    TellToo(Option<u64>, Do),
    Rest(Do),
    /// Do something later.
    After(Duration, Do),
    /// Take up room.
    Bulk(usize),
    Reject,
    Panic,
    /// Panic as long as there are fewer events.
    PanicBelow(usize),
    /// Decide an event that `apply` panics on as long as there are fewer events.
    BombBelow(usize),
}

/// A request, and what its outcome leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) what: u64,
    pub(crate) order_key: Option<u64>,
    pub(crate) padding: String,
    /// Replies below this number are not accepted.
    pub(crate) least: u64,
    /// Failures after which the handler gives up; it never does when there is none.
    pub(crate) failures_max: Option<u32>,
    /// What to do when the outcome is accepted.
    pub(crate) then: Do,
    /// What to do when it is not.
    pub(crate) again: Do,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    Noted(u64),
    Drew { micros: u64, random: u64 },
    Replied { what: u64, reply: u64 },
    GaveUp { what: u64, failure_count: u32 },
    Failing { what: u64, failure_count: u32 },
    Silent { what: u64, failure_count: u32 },
    Bulk(String),
    BombBelow(usize),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Worker {
    pub(crate) log: Vec<Event>,
}

impl Processor for Worker {
    type Message = Do;
    type Event = Event;
    type Answer = u64;
    type Rejection = String;
    const CHANNELS: Channels<Worker> = &[&ASK, &ASK_TOO, &TELL, &TELL_TOO, &REST, &LATER];

    /// Answers with the number of events before.
    fn decide(&self, message: &Do, out: &mut Outbox<Worker>) -> Result<u64, String> {
        message.run(self, out)?;
        Ok(self.log.len() as u64)
    }

    fn apply(&mut self, event: &Event) {
        if let Event::BombBelow(events) = event {
            assert!(self.log.len() >= *events, "{TOLD_TO}");
        }
        self.log.push(event.clone());
    }
}

impl Worker {
    fn on_outcome(
        &self,
        asked: &Ask,
        outcome: Outcome<u64>,
        out: &mut Outbox<Worker>,
    ) -> Settlement {
        let what = asked.what;
        let gives_up = |count| asked.failures_max.is_some_and(|max| count > max);
        let (event, settlement) = match outcome {
            Outcome::Reply(reply) if reply >= asked.least => {
                (Event::Replied { what, reply }, Settlement::Confirm)
            }
            Outcome::Reply(_) => (Event::Noted(what), Settlement::Redeliver),
            Outcome::DestinationFailure { failure_count, .. }
            | Outcome::DestinationNotResponding { failure_count }
                if gives_up(failure_count) =>
            {
                let event = Event::GaveUp {
                    what,
                    failure_count,
                };
                (event, Settlement::Confirm)
            }
            Outcome::DestinationFailure { failure_count, .. } => {
                let event = Event::Failing {
                    what,
                    failure_count,
                };
                (event, Settlement::Redeliver)
            }
            Outcome::DestinationNotResponding { failure_count } => {
                let event = Event::Silent {
                    what,
                    failure_count,
                };
                (event, Settlement::Redeliver)
            }
        };
        out.event(event);
        let next = match settlement {
            Settlement::Confirm => &asked.then,
            Settlement::Redeliver => &asked.again,
        };
        next.run(self, out).expect("handlers cannot reject");
        settlement
    }

    fn on_later(&self, put_aside: &Do, out: &mut Outbox<Worker>) {
        put_aside.run(self, out).expect("handlers cannot reject");
    }

    /// What was noted, without the rest.
    pub(crate) fn notes(&self) -> Vec<u64> {
        let noted = |event: &Event| match event {
            Event::Noted(what) => Some(*what),
            Event::Drew { .. }
            | Event::Replied { .. }
            | Event::GaveUp { .. }
            | Event::Failing { .. }
            | Event::Silent { .. }
            | Event::Bulk(_)
            | Event::BombBelow(_) => None,
        };
        self.log.iter().filter_map(noted).collect()
    }
}

impl Do {
    fn run(&self, state: &Worker, out: &mut Outbox<Worker>) -> Result<(), String> {
        for act in &self.0 {
            match act {
                Act::Note(what) => _ = out.event(Event::Noted(*what)),
                Act::Draw => {
                    let micros = out.now().as_micros();
                    let random = out.random();
                    out.event(Event::Drew { micros, random });
                }
                Act::Ask(ask) => request(out, &ASK, ask),
                Act::AskToo(ask) => request(out, &ASK_TOO, ask),
                Act::Tell(key, what) => send(out, &TELL, *key, what),
                Act::TellToo(key, what) => send(out, &TELL_TOO, *key, what),
                Act::Rest(what) => send(out, &REST, None, what),
                Act::After(delay, what) => _ = out.after(*delay, &LATER, what),
                Act::Bulk(bytes) => _ = out.event(Event::Bulk("x".repeat(*bytes))),
                Act::Reject => return Err(TOLD_TO.to_owned()),
                Act::Panic => panic!("{TOLD_TO}"),
                Act::PanicBelow(events) => {
                    assert!(state.log.len() >= *events, "{TOLD_TO}");
                }
                Act::BombBelow(events) => _ = out.event(Event::BombBelow(*events)),
            }
        }
        Ok(())
    }
}

fn request(out: &mut Outbox<Worker>, channel: &Requests, ask: &Ask) {
    match ask.order_key {
        Some(key) => out.request_in_order_of(channel, key, ask),
        None => out.request(channel, ask),
    };
}

fn send(out: &mut Outbox<Worker>, channel: &Sends, key: Option<u64>, what: &Do) {
    match key {
        Some(key) => out.send_in_order_of(channel, key, what),
        None => out.send(channel, what),
    };
}

pub(crate) fn note(what: u64) -> Do {
    Do(vec![Act::Note(what)])
}

pub(crate) fn ask(what: u64) -> Do {
    Do(vec![Act::Ask(Ask {
        what,
        ..Ask::default()
    })])
}

pub(crate) fn tell(what: u64) -> Do {
    Do(vec![Act::Tell(None, note(what))])
}

pub(crate) fn rest(what: u64) -> Do {
    Do(vec![Act::Rest(note(what))])
}
