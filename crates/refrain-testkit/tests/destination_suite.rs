//! The destination suite and its negative control: a sound destination passes, and each check catches
//! one that breaks its promise.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use refrain_core::Key;
use refrain_core::port::BoxFuture;
use refrain_core::port::destination::{Attempted, Delivery, Destination, Failure, Reply};
use refrain_testkit::conformance::destination::{Arrived, CHECKS, Instance, Service, run_all};
use tokio::task::yield_now;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Nothing,
    ClipsReplies,
    DrawsAKeyPerAttempt,
    TellsFailureAsSilence,
    GivesTheLatestReply,
    StaysLockedWhenDropped,
}

const FLAWS: [(Flaw, &str); 5] = [
    (Flaw::ClipsReplies, "request_and_reply_pass_unchanged"),
    (
        Flaw::DrawsAKeyPerAttempt,
        "every_attempt_carries_the_same_key",
    ),
    (Flaw::TellsFailureAsSilence, "failure_is_told"),
    (Flaw::GivesTheLatestReply, "deliveries_at_once_are_apart"),
    (
        Flaw::StaysLockedWhenDropped,
        "dropped_delivery_harms_no_other",
    ),
];

/// A destination with the service in the same process.
#[derive(Clone)]
struct InProcess {
    flaw: Flaw,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    acts: VecDeque<Service>,
    arrived: Vec<Arrived>,
    locked: bool,
}

impl InProcess {
    fn with(flaw: Flaw) -> InProcess {
        let state = Arc::default();
        InProcess { flaw, state }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("one test, one thread")
    }

    async fn exchange(&self, delivery: Delivery) -> Attempted {
        if self.flaw == Flaw::StaysLockedWhenDropped {
            if std::mem::replace(&mut self.lock().locked, true) {
                std::future::pending::<()>().await;
            }
            yield_now().await;
        }
        let key = match self.flaw {
            Flaw::DrawsAKeyPerAttempt => Key::new([delivery.attempt.to_le_bytes()[0]; 16]),
            Flaw::Nothing
            | Flaw::ClipsReplies
            | Flaw::TellsFailureAsSilence
            | Flaw::GivesTheLatestReply
            | Flaw::StaysLockedWhenDropped => delivery.key,
        };
        let act = {
            let mut state = self.lock();
            let request = delivery.request.clone();
            state.arrived.push(Arrived { key, request });
            state.acts.pop_front().unwrap_or(Service::Echo)
        };
        yield_now().await;
        let attempted = match act {
            Service::Echo => self.reply(delivery),
            Service::Fail if self.flaw == Flaw::TellsFailureAsSilence => Attempted::NotResponding,
            Service::Fail => Attempted::Failed(Failure {
                error: "the service failed".to_owned(),
                retry_after: None,
            }),
            Service::Silence => std::future::pending().await,
        };
        self.lock().locked = false;
        attempted
    }

    fn reply(&self, delivery: Delivery) -> Attempted {
        let latest = self.lock().arrived.last().map(|last| last.request.clone());
        let request = delivery.request;
        let bytes = match self.flaw {
            Flaw::ClipsReplies => request.slice(..request.len().min(4096)),
            Flaw::GivesTheLatestReply => latest.unwrap_or(request),
            Flaw::Nothing
            | Flaw::DrawsAKeyPerAttempt
            | Flaw::TellsFailureAsSilence
            | Flaw::StaysLockedWhenDropped => request,
        };
        Attempted::Replied(Reply::new(delivery.encoding, bytes))
    }
}

impl Destination for InProcess {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'_, Attempted> {
        Box::pin(self.exchange(delivery))
    }
}

impl Instance for InProcess {
    fn destination(&self) -> Arc<dyn Destination> {
        Arc::new(self.clone())
    }

    fn direct(&mut self, acts: Vec<Service>) {
        self.lock().acts = acts.into();
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.lock().arrived.clone()
    }
}

#[tokio::test]
async fn destination_without_a_flaw_keeps_every_promise() {
    run_all(async || InProcess::with(Flaw::Nothing)).await;
}

#[tokio::test]
async fn every_broken_promise_is_caught_by_its_check() {
    for (flaw, name) in FLAWS {
        let check = CHECKS.iter().find(|check| check.name() == name);
        let check = check.unwrap_or_else(|| panic!("there is no check {name}"));
        let mut flawed = InProcess::with(flaw);
        let broken = check.run(&mut flawed, Duration::from_secs(2)).await;
        let broken = broken.expect_err(&format!("{name} did not catch {flaw:?}"));
        assert!(broken.to_string().contains(check.promise()), "{broken}");
    }
}

#[test]
fn every_check_catches_a_broken_destination() {
    let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.name()).collect();
    let catching: BTreeSet<&str> = FLAWS.iter().map(|(_, name)| *name).collect();
    assert_eq!(all, catching);
    assert_eq!(all.len(), CHECKS.len(), "names are unique");
}
