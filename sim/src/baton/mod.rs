//! One thread at a time: who holds the baton runs, and hands it on where it waits.
//!
//! A thread hands the baton on at each disk operation, where it waits for a lock or a bell, and at
//! its end. Who gets it is a choice of the seed, so a run with several threads is a function of the
//! seed alone. When every thread waits for another, or nothing ends within `STEPS_MAX`, the run
//! is [`Stuck`].

mod turns;

use std::cell::Cell;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use refrain_journal::simulation::{Place, Scheduler, Whom, Woken, enter};

use crate::chance::Chance;
use crate::sometimes::{Sometimes, note};
use turns::{Patience, Runner, State, Status};

/// Times the baton may be handed on in one run.
const STEPS_MAX: u64 = 1_000_000;

/// The number of the thread that drives the run.
const DRIVER: usize = 0;

/// A run in which nothing can go on any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck;

thread_local! {
    static ME: Cell<usize> = const { Cell::new(DRIVER) };
}

/// Who runs.
#[derive(Debug)]
pub struct Baton {
    me: Weak<Baton>,
    state: Mutex<State>,
}

/// How often the baton changes hands.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Once in how many operations another thread may get it; 1 is always.
    pub switch_one_in: u64,
    /// Once in how many changes a thread's patience ends although others could go on.
    pub timeout_one_in: u64,
    /// Once in how many locks another thread may go on before it is taken; 0 is never.
    pub lock_one_in: u64,
}

impl Baton {
    /// A baton in the hands of the calling thread.
    #[must_use]
    pub fn new(chance: Chance, pace: Pace) -> Arc<Baton> {
        ME.set(DRIVER);
        Arc::new_cyclic(|me| Baton {
            me: me.clone(),
            state: Mutex::new(State {
                chance,
                pace,
                runners: vec![Runner::new("driver")],
                holder: DRIVER,
                steps: 0,
                stuck: false,
                panics: Vec::new(),
            }),
        })
    }

    /// The number of the calling thread.
    pub fn me(&self) -> usize {
        ME.get()
    }

    /// Lets another thread go on, if the seed says so.
    pub fn pause(&self) {
        let mut state = self.lock();
        let one_in = state.pace.switch_one_in;
        if state.runners.len() > 1 && state.chance.one_in(one_in) {
            self.hand_on(state);
        }
    }

    /// Lets others go on for `times` turns.
    pub fn stall(&self, times: u64) {
        for _ in 0..times {
            self.hand_on(self.lock());
        }
    }

    /// Whether everything waited for something else.
    pub fn is_stuck(&self) -> bool {
        self.lock().stuck
    }

    /// The threads that panicked.
    pub fn panics(&self) -> Vec<String> {
        self.lock().panics.clone()
    }

    /// Gives the baton to whoever the seed says and comes back when it is the caller's turn again.
    fn hand_on(&self, mut state: MutexGuard<'_, State>) {
        let me = ME.get();
        state.steps += 1;
        match state.choose() {
            Some(next) if state.steps <= STEPS_MAX => state.give(next),
            Some(_) | None => state.give_up(),
        }
        drop(self.await_turn(state, me));
    }

    fn await_turn<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        me: usize,
    ) -> MutexGuard<'a, State> {
        let turn = Arc::clone(&state.runners[me].turn);
        while state.holder != me {
            state = turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    fn end(&self, me: usize) {
        let mut state = self.lock();
        if std::thread::panicking() {
            let name = state.runners[me].name.clone();
            state.panics.push(name);
        }
        state.runners[me].status = Status::Ended;
        for runner in &mut state.runners {
            if runner.status == Status::Joins(me) {
                runner.status = Status::Ready;
            }
        }
        match state.choose() {
            Some(next) => state.give(next),
            None => state.give_up(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands the baton on for good, however the thread ends.
struct Ending(Arc<Baton>, usize);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

impl Scheduler for Baton {
    fn spawn(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        let baton = self.me.upgrade().expect("whoever calls holds it");
        let mut state = self.lock();
        let number = state.runners.len();
        let body = move || {
            ME.set(number);
            let _ending = Ending(Arc::clone(&baton), number);
            drop(baton.await_turn(baton.lock(), number));
            let entered = enter(Arc::clone(&baton) as Arc<dyn Scheduler>);
            work();
            drop(entered);
        };
        let thread = Builder::new().name(name.to_owned()).spawn(body)?;
        let mut runner = Runner::new(name);
        runner.thread = Some(thread.thread().id());
        state.runners.push(runner);
        Ok(thread)
    }

    fn join(&self, thread: JoinHandle<()>) -> std::thread::Result<()> {
        let mut state = self.lock();
        let id = Some(thread.thread().id());
        let joined = state.runners.iter().position(|runner| runner.thread == id);
        let joined = joined.expect("it was spawned here");
        if state.stuck {
            // It will never end; the run is over and has failed.
            return Ok(());
        }
        if state.runners[joined].status != Status::Ended {
            state.runners[ME.get()].status = Status::Joins(joined);
            self.hand_on(state);
        } else {
            drop(state);
        }
        if self.is_stuck() {
            return Ok(());
        }
        thread.join()
    }

    fn before_lock(&self) {
        let mut state = self.lock();
        let one_in = state.pace.lock_one_in;
        let is_over = state.stuck || state.runners.len() == 1;
        if !is_over && state.chance.one_in(one_in) {
            self.hand_on(state);
        }
    }

    fn wait(&self, place: Place, patience: Option<Duration>) -> Woken {
        let me = ME.get();
        let mut state = self.lock();
        assert!(!state.stuck, "every thread waits for another");
        let patience = patience.map_or(Patience::Endless, |_| Patience::Ends);
        state.runners[me].status = Status::Waits { place, patience };
        self.hand_on(state);
        let state = self.lock();
        assert!(!state.stuck, "every thread waits for another");
        state.runners[me].woken
    }

    fn wake(&self, place: Place, whom: Whom) {
        let me = ME.get();
        let mut state = self.lock();
        let at_place = |runner: &Runner| matches!(runner.status, Status::Waits { place: at, .. } if at == place);
        loop {
            let Some(woken) = state.any(at_place) else {
                return;
            };
            let waker_keeps = state.runners[me].name == "refrain-keep";
            if waker_keeps && state.runners[woken].name == "refrain-write" {
                note(Sometimes::WriterWokenByKeeper);
            }
            state.runners[woken].status = Status::Ready;
            state.runners[woken].woken = Woken::Rung;
            if whom == Whom::One {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baton(seed: u64) -> Arc<Baton> {
        let pace = Pace {
            switch_one_in: 1,
            timeout_one_in: 0,
            lock_one_in: 0,
        };
        Baton::new(Chance::new(seed, "schedule"), pace)
    }

    fn order(seed: u64) -> Vec<usize> {
        let baton = baton(seed);
        let order = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let (baton, order) = (Arc::clone(&baton), Arc::clone(&order));
                let runner = Arc::clone(&baton);
                let work = move || {
                    for _ in 0..4 {
                        order.lock().unwrap().push(number);
                        runner.pause();
                    }
                };
                baton.spawn("worker", Box::new(work)).unwrap()
            })
            .collect();
        for thread in threads {
            baton.join(thread).unwrap();
        }
        let order = order.lock().unwrap();
        order.clone()
    }

    #[test]
    fn the_same_seed_gives_the_same_order_of_threads() {
        for seed in 0..20 {
            assert_eq!(order(seed), order(seed), "seed {seed}");
        }
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn threads_that_wait_for_each_other_are_found() {
        let baton = baton(1);
        let place = 0u8;
        let waiting = Arc::clone(&baton);
        let at = Place::of(&place);
        let work = move || {
            waiting.wait(at, None);
        };
        let thread = baton.spawn("worker", Box::new(work)).unwrap();
        baton.join(thread).unwrap();
        assert!(baton.is_stuck());
    }

    #[test]
    fn patience_ends_when_nobody_else_can_go_on() {
        let baton = baton(1);
        let place = 0u8;
        let woken = baton.wait(Place::of(&place), Some(Duration::from_secs(1)));
        assert_eq!(woken, Woken::TimedOut);
        assert!(!baton.is_stuck());
    }
}
