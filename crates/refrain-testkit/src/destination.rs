//! A destination that does what a test tells it, call by call, and remembers what it was told.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use refrain_core::port::BoxFuture;
use refrain_core::port::destination::{Attempted, Delivery, Destination, Failure, Reply};
use tokio::sync::{oneshot, watch};

/// What a [`ScriptedDestination`] does with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It ends the call at once, like this.
    End(Attempted),
    /// It says nothing until the test calls [`ScriptedDestination::end`] or the caller gives up.
    Silence,
}

impl Act {
    /// It replies at once.
    #[must_use]
    pub fn reply(reply: Reply) -> Act {
        Act::End(Attempted::Replied(reply))
    }

    /// It takes the delivery at once, and has nothing to say.
    #[must_use]
    pub fn confirm() -> Act {
        Act::reply(Reply::nothing())
    }

    /// It fails at once, with these words.
    pub fn fail(error: impl Into<String>) -> Act {
        Act::End(Attempted::Failed(Failure {
            error: error.into(),
            retry_after: None,
        }))
    }
}

/// A destination for tests: scripted call by call, and recording. Clones share everything.
///
/// A call counts, and is recorded, when `deliver` is called. Works in any async runtime.
///
/// ```
/// use std::time::Duration;
///
/// use refrain_core::port::destination::{Attempted, Delivery, Destination, Reply};
/// use refrain_core::{Encoding, Epoch, Key, Timestamp};
/// use refrain_testkit::{Act, ScriptedDestination};
///
/// # fn delivery(attempt: u32) -> Delivery {
/// #     Delivery {
/// #         sender: "orders".parse().expect("a valid name"),
/// #         channel: "card-validation",
/// #         number: 1,
/// #         settled_below: 1,
/// #         key: Key::new([1; 16]),
/// #         attempt,
/// #         epoch: Epoch::FIRST,
/// #         deadline: Timestamp::from_micros(5_000_000),
/// #         timeout: Duration::from_secs(5),
/// #         correlation: Key::new([2; 16]),
/// #         causation: Key::new([3; 16]),
/// #         encoding: Encoding::Json,
/// #         request: "{}".into(),
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // Fails once, then says nothing, and takes whatever comes after that.
/// let validator = ScriptedDestination::scripted([Act::fail("busy"), Act::Silence], Act::confirm());
///
/// // What a channel does:
/// let failed = validator.deliver(delivery(1)).await;
/// let unanswered = validator.deliver(delivery(2));
/// assert!(matches!(failed, Attempted::Failed(_)));
///
/// // What the test sees and does:
/// assert_eq!(validator.call(2).await.attempt, 2);
/// validator.end(2, Attempted::Replied(Reply::nothing()));
/// assert_eq!(unanswered.await, Attempted::Replied(Reply::nothing()));
/// # }
/// ```
#[derive(Clone)]
pub struct ScriptedDestination {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Told after every change; waiting tests look again.
    changed: watch::Sender<()>,
}

struct State {
    script: VecDeque<Act>,
    afterwards: Act,
    calls: Vec<Call>,
    under_way: usize,
    under_way_max: usize,
}

struct Call {
    delivery: Delivery,
    /// How to end the call, as long as it is silent.
    silent: Option<oneshot::Sender<Attempted>>,
}

impl ScriptedDestination {
    /// Does the same with every call.
    #[must_use]
    pub fn always(act: Act) -> ScriptedDestination {
        ScriptedDestination::scripted([], act)
    }

    /// Does one act of `script` per call, and `afterwards` with every call after those.
    #[must_use]
    pub fn scripted(script: impl IntoIterator<Item = Act>, afterwards: Act) -> ScriptedDestination {
        let state = State {
            script: script.into_iter().collect(),
            afterwards,
            calls: Vec::new(),
            under_way: 0,
            under_way_max: 0,
        };
        ScriptedDestination {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: watch::Sender::new(()),
            }),
        }
    }

    /// From the next call on, does one act of `script` per call and then `afterwards`, instead of
    /// what is left of the script before.
    pub fn change_script(&self, script: impl IntoIterator<Item = Act>, afterwards: Act) {
        let mut state = self.shared.lock();
        state.script = script.into_iter().collect();
        state.afterwards = afterwards;
    }

    /// Ends the silent call with this number, counted from 1. Nobody hears it when the caller gave up
    /// before.
    ///
    /// # Panics
    /// When there was no such call, or it was not silent or is ended already: a mistake of the test.
    pub fn end(&self, number: usize, attempted: Attempted) {
        let silent = {
            let mut state = self.shared.lock();
            let call = number
                .checked_sub(1)
                .and_then(|index| state.calls.get_mut(index));
            call.and_then(|call| call.silent.take())
        };
        let silent = silent.unwrap_or_else(|| panic!("call {number} does not wait for its end"));
        // A caller that gave up is no mistake: replies do come late.
        drop(silent.send(attempted));
    }

    /// Waits for the call with this number, counted from 1, and gives what was delivered.
    ///
    /// # Panics
    /// When the number is 0.
    pub async fn call(&self, number: usize) -> Delivery {
        let index = number.checked_sub(1).expect("calls count from 1");
        let mut changed = self.shared.changed.subscribe();
        loop {
            if let Some(call) = self.shared.lock().calls.get(index) {
                return call.delivery.clone();
            }
            changed
                .changed()
                .await
                .expect("the destination keeps the sender alive");
        }
    }

    /// Waits until no call is under way: each has ended, or its caller gave up.
    pub async fn idle(&self) {
        let mut changed = self.shared.changed.subscribe();
        while self.shared.lock().under_way > 0 {
            changed
                .changed()
                .await
                .expect("the destination keeps the sender alive");
        }
    }

    /// Everything that was delivered, in the order of the calls.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        let state = self.shared.lock();
        state
            .calls
            .iter()
            .map(|call| call.delivery.clone())
            .collect()
    }

    /// The number of calls so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.shared.lock().calls.len()
    }

    /// The most calls that were under way at once: what a channel's window bounds.
    #[must_use]
    pub fn under_way_max(&self) -> usize {
        self.shared.lock().under_way_max
    }
}

impl Destination for ScriptedDestination {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'_, Attempted> {
        let mut state = self.shared.lock();
        let act = match state.script.pop_front() {
            Some(act) => act,
            None => state.afterwards.clone(),
        };
        let (end, ended) = oneshot::channel();
        let silent = match act {
            Act::End(attempted) => {
                end.send(attempted).expect("the other end is in this scope");
                None
            }
            Act::Silence => Some(end),
        };
        state.calls.push(Call { delivery, silent });
        state.under_way += 1;
        state.under_way_max = state.under_way_max.max(state.under_way);
        drop(state);
        self.shared.changed.send_replace(());

        let under_way = UnderWay(Arc::clone(&self.shared));
        Box::pin(async move {
            let _under_way = under_way;
            // The sender lives with the call, and goes away only when it is used.
            ended.await.unwrap_or(Attempted::NotResponding)
        })
    }
}

/// One call, until it ends or its caller gives up.
struct UnderWay(Arc<Shared>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
        self.0.changed.send_replace(());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl fmt::Debug for ScriptedDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("ScriptedDestination")
            .field("calls", &state.calls.len())
            .field("under_way", &state.under_way)
            .finish_non_exhaustive()
    }
}
