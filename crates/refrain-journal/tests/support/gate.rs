//! A gate that a test shuts and opens.

use std::sync::{Arc, Condvar, Mutex};

/// Where operations of one kind wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    is_shut: bool,
    waiting: usize,
    passed: usize,
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.0.0.lock().unwrap().is_shut = true;
    }

    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().is_shut = false;
        self.0.1.notify_all();
    }

    /// Returns once somebody waits at the gate.
    pub(crate) fn until_somebody_waits(&self) {
        let mut state = self.0.0.lock().unwrap();
        while state.waiting == 0 {
            state = self.0.1.wait(state).unwrap();
        }
    }

    /// How many went through.
    pub(crate) fn passed(&self) -> usize {
        self.0.0.lock().unwrap().passed
    }

    /// Goes through, once it is open.
    pub(super) fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.waiting += 1;
        self.0.1.notify_all();
        while state.is_shut {
            state = self.0.1.wait(state).unwrap();
        }
        state.waiting -= 1;
        state.passed += 1;
    }
}
