//! The service at the end of each channel: it does what it is asked, fails, or is silent, by the seed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use refrain::port::BoxFuture;
use refrain::{Attempted, Delivery, Destination, Encoding, Failure, Reply};

use super::book::Book;
use super::clerk::Paper;
use super::register::Register;
use crate::chance::Chance;

/// What all services share; it outlives the processes.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    book: Arc<Mutex<Book>>,
    register: Arc<Mutex<Register>>,
    chance: Arc<Mutex<Chance>>,
    /// Every so many attempts go wrong; 0 for none.
    trouble_one_in: u64,
}

impl Outside {
    pub(super) fn new(chance: Chance, trouble_one_in: u64) -> Outside {
        Outside {
            book: Arc::default(),
            register: Arc::default(),
            chance: Arc::new(Mutex::new(chance)),
            trouble_one_in,
        }
    }

    /// The same, where nothing goes wrong any more.
    pub(super) fn calm(&self) -> Outside {
        Outside {
            trouble_one_in: 0,
            ..self.clone()
        }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How an attempt goes: after how long, and what comes of it.
    fn fate(&self) -> (Duration, Fate) {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let after = Duration::from_millis(chance.pick(&[0, 0, 1, 30, 400]));
        let fate = if chance.one_in(self.trouble_one_in) {
            chance.pick(&[Fate::Fails, Fate::Silent, Fate::ReplyLost, Fate::ReplyLost])
        } else {
            Fate::Replies
        };
        (after, fate)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Replies,
    Fails,
    Silent,
    /// It did what it was asked, and its reply is lost.
    ReplyLost,
}

impl Destination for Outside {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'_, Attempted> {
        Box::pin(async move {
            let paper: Paper = match delivery.encoding.decode(&delivery.request) {
                Ok(paper) => paper,
                Err(error) => return failed(&error.to_string()),
            };
            let known = self.register().delivered(*delivery.key.bytes(), &paper);
            self.book().delivered(&delivery, &paper, known);
            let (after, fate) = self.fate();
            tokio::time::sleep(after).await;
            match fate {
                Fate::Fails => failed("by the seed"),
                Fate::Silent | Fate::ReplyLost => Attempted::NotResponding,
                Fate::Replies => {
                    self.book().replied(&paper);
                    reply(&paper)
                }
            }
        })
    }
}

fn reply(paper: &Paper) -> Attempted {
    match Reply::encode(Encoding::Cbor, &paper.number) {
        Ok(reply) => Attempted::Replied(reply),
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(error: &str) -> Attempted {
    Attempted::Failed(Failure {
        error: error.to_owned(),
        retry_after: None,
    })
}
