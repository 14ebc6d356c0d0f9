//! Those who wait to be told something, in the order in which they will be.
//!
//! Everything that an engine tells waits for a position, and positions become durable in order: so
//! callers are a queue, and the engine's ticket is a place in it.

use std::collections::VecDeque;

use refrain_core::{AskError, MessageId, Processor, Ticket};
use tokio::sync::oneshot;

use super::inbox::{TellSeen, Told};

/// Who waits.
pub(crate) enum Waiting<P: Processor> {
    /// The sender of one message.
    One(oneshot::Sender<Told<P>>),
    /// The sender of several: the place of the message among them.
    OneOf { group: u64, place: usize },
}

enum Caller<P: Processor> {
    Asked { id: MessageId, waiting: Waiting<P> },
    Looked(TellSeen),
}

/// Several messages that were sent together and are answered together.
struct Group<P: Processor> {
    told: Vec<Option<Told<P>>>,
    left: usize,
    reply: oneshot::Sender<Vec<Told<P>>>,
}

pub(crate) struct Callers<P: Processor> {
    /// In the order of their tickets.
    queue: VecDeque<Caller<P>>,
    /// The ticket of the first caller in the queue.
    first: Ticket,
    groups: VecDeque<Option<Group<P>>>,
    first_group: u64,
}

impl<P: Processor> Callers<P> {
    pub(crate) fn new() -> Callers<P> {
        Callers {
            queue: VecDeque::new(),
            first: 0,
            groups: VecDeque::new(),
            first_group: 0,
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    fn enter(&mut self, caller: Caller<P>) -> Ticket {
        self.queue.push_back(caller);
        self.first + self.queue.len() as u64 - 1
    }

    pub(crate) fn asked(&mut self, id: &MessageId, waiting: Waiting<P>) -> Ticket {
        self.enter(Caller::Asked {
            id: id.clone(),
            waiting,
        })
    }

    pub(crate) fn looked(&mut self, tell: TellSeen) -> Ticket {
        self.enter(Caller::Looked(tell))
    }

    /// Opens a group of `count` messages, at least one, and returns its number.
    pub(crate) fn group(&mut self, count: usize, reply: oneshot::Sender<Vec<Told<P>>>) -> u64 {
        assert!(count > 0, "a group without messages would never be told");
        let told = std::iter::repeat_with(|| None).take(count).collect();
        self.groups.push_back(Some(Group {
            told,
            left: count,
            reply,
        }));
        self.first_group + self.groups.len() as u64 - 1
    }

    fn leave(&mut self, ticket: Ticket) -> Caller<P> {
        assert_eq!(
            ticket, self.first,
            "callers are told in the order in which they came"
        );
        self.first += 1;
        self.queue
            .pop_front()
            .expect("a ticket is a place in the queue")
    }

    pub(crate) fn seen(&mut self, ticket: Ticket) {
        match self.leave(ticket) {
            Caller::Looked(tell) => tell(),
            Caller::Asked { .. } => unreachable!("a message is answered, not seen"),
        }
    }

    pub(crate) fn answer(&mut self, ticket: Ticket, told: Told<P>) {
        let waiting = self.recall(ticket);
        self.tell(waiting, told);
    }

    /// Takes a caller out whose answer must be read first.
    pub(crate) fn recall(&mut self, ticket: Ticket) -> Waiting<P> {
        match self.leave(ticket) {
            Caller::Asked { waiting, .. } => waiting,
            Caller::Looked(_) => unreachable!("a look has no answer"),
        }
    }

    pub(crate) fn tell(&mut self, waiting: Waiting<P>, told: Told<P>) {
        match waiting {
            // Nobody waits any more: the answer is stored and can be asked for again.
            Waiting::One(reply) => _ = reply.send(told),
            Waiting::OneOf { group, place } => self.tell_one_of(group, place, told),
        }
    }

    fn tell_one_of(&mut self, group: u64, place: usize, told: Told<P>) {
        let index = usize::try_from(group - self.first_group).expect("groups fit memory");
        let slot = &mut self.groups[index];
        let open = slot
            .as_mut()
            .expect("a group is open until all of it is told");
        open.told[place] = Some(told);
        open.left -= 1;
        if open.left > 0 {
            return;
        }
        if let Some(Group { told, reply, .. }) = slot.take() {
            let told = told
                .into_iter()
                .map(|told| told.expect("nothing is left"))
                .collect();
            let _ = reply.send(told);
        }
        while let Some(None) = self.groups.front() {
            self.groups.pop_front();
            self.first_group += 1;
        }
    }

    /// Tells everybody who waits that what they wait for did not become durable, as far as known.
    pub(crate) fn fail(&mut self, mut why: impl FnMut(MessageId) -> AskError<P::Rejection>) {
        while let Some(caller) = self.queue.pop_front() {
            self.first += 1;
            match caller {
                Caller::Asked { id, waiting } => self.tell(waiting, Err(why(id))),
                // Dropped: what was seen may never have been.
                Caller::Looked(_) => {}
            }
        }
    }
}
