//! A second process on the same directory: it refuses at once, and the first one goes on.

use std::time::Duration;

use rustix::process::Signal;

use super::{OPENING, Patient, Ring, acknowledgements, wait_for};
use crate::clock::Clock;
use crate::findings::{Control, Findings, Trial};
use crate::history::Violation;
use crate::line::Line;
use crate::order::{Door, Lie, Order};
use crate::process::{Worker, Wrap};

/// Second processes of a round; every other one meets a first one that is stopped.
const COUNT: u64 = 20;

/// How long the second one may take to refuse, from its start. A busy machine may start one of them
/// late; whoever waits for the first one before it refuses does so each time.
const REFUSAL: Duration = Duration::from_secs(1);

pub(super) fn run(ring: &Ring) -> Result<Findings, String> {
    let mut chance = ring.chance("neighbours");
    let mut trial = Trial::new("a second process on the directory");
    let mut patient = Patient::new(&ring.scratch.join("neighbours"));
    let order = Order::draw(patient.dir(), Door::Journal, &mut chance);
    let first = Worker::start(&order, &Wrap::default())?;
    wait_for(&first, 1)?;
    let (mut beside_running, mut beside_stopped) = (Duration::MAX, Duration::MAX);
    for number in 0..COUNT {
        let is_stopped = number % 2 == 1;
        let quickest = if is_stopped {
            first.signal(Signal::STOP);
            &mut beside_stopped
        } else {
            &mut beside_running
        };
        let came = second_refuses(&order);
        if is_stopped {
            first.signal(Signal::CONT);
        }
        trial.run(came?.and_then(|took| {
            *quickest = took.min(*quickest);
            goes_on(&first)
        }));
    }
    for quickest in [beside_running, beside_stopped] {
        trial.broken_by(in_time(quickest));
    }
    let lines = first.kill()?;
    // Nothing holds the directory any more: the check opens it.
    trial.broken_by(patient.judge(&lines, &order));
    trial.count("acknowledged", patient.history.acknowledged);
    Ok(Findings {
        trials: vec![trial],
        controls: vec![unlocked(ring)?],
        not_run: Vec::new(),
    })
}

/// A second one that gets the lock although the first one holds it.
fn unlocked(ring: &Ring) -> Result<Control, String> {
    let mut control = Control::new("a second process, and a lock that holds nobody");
    let patient = Patient::new(&ring.scratch.join("unlocked"));
    let order = Order {
        appends: 10,
        ..Order::draw(patient.dir(), Door::Journal, &mut ring.chance("unlocked"))
    };
    let first = Worker::start(&order, &Wrap::default())?;
    wait_for(&first, 1)?;
    let order = Order {
        lie: Some(Lie::NoLock),
        ..order
    };
    control.run(&second_refuses(&order)?);
    Ok(control.must(100))
}

fn in_time(quickest: Duration) -> Result<(), Violation> {
    if quickest <= REFUSAL {
        Ok(())
    } else {
        let detail = format!("the quickest of those that refused took {quickest:?}");
        Err(Violation(detail))
    }
}

/// How long the second one took to refuse.
fn second_refuses(order: &Order) -> Result<Result<Duration, Violation>, String> {
    let started = Clock::start();
    let second = Worker::start(order, &Wrap::default())?;
    let (lines, _) = second.finish(OPENING)?;
    let took = started.elapsed();
    let is_refused = lines
        .iter()
        .any(|line| matches!(line, Line::NotOpened(reason) if reason.contains("R0101")));
    Ok(if is_refused {
        Ok(took)
    } else {
        let said = lines.last().map(Line::to_string);
        Err(Violation(format!(
            "the second one did not refuse: {said:?}"
        )))
    })
}

fn goes_on(first: &Worker) -> Result<(), Violation> {
    let before = first.line_count();
    if first.wait_until(OPENING, |lines| acknowledgements(&lines[before..]) > 0) {
        Ok(())
    } else {
        Err(Violation("the first one did not go on".into()))
    }
}
