//! The checker itself: given a real journal and a report that was altered, it must go red.

use super::{OPENING, Patient, Ring, acknowledgements, wait_for};
use crate::findings::{Control, Findings, Trial};
use crate::history::{Found, History};
use crate::line::{Batch, Line};
use crate::order::{Door, Order};
use crate::payload::Digest;
use crate::process::{Worker, Wrap};
use crate::reopening::reopen;

/// Reports of a round; each is altered in every way.
const REPORTS: u64 = 3;

/// One way to alter what the checker is given.
type Alter = fn(&mut Vec<Line>, &mut Vec<Found>);

const WAYS: [(&str, Alter); 6] = [
    ("an acknowledged entry is missing", |_, found| {
        found[0].digests.pop();
        found[0].head -= 1;
    }),
    ("an entry has other bytes", |_, found| {
        if let Some(Digest(digest)) = found[0].digests.last_mut() {
            *digest ^= 1;
        }
    }),
    ("two entries are swapped", |_, found| {
        let last = found[0].digests.len() - 1;
        found[0].digests.swap(last - 1, last);
    }),
    ("an entry was never submitted", |_, found| {
        found[0].digests.push(Digest(1));
        found[0].head += 1;
    }),
    ("a whole stream is missing", |_, found| {
        found.remove(0);
    }),
    (
        "something was acknowledged that was not submitted",
        |lines, _| {
            lines.push(Line::Acknowledged(Batch {
                stream: 0,
                first: 1 << 40,
                digests: vec![Digest(1)],
            }));
        },
    ),
];

pub(super) fn run(ring: &Ring) -> Result<Findings, String> {
    let mut chance = ring.chance("altered");
    let mut trial = Trial::new("clean end");
    let mut controls: Vec<Control> = WAYS.iter().map(|(name, _)| Control::new(name)).collect();
    for number in 0..REPORTS {
        let patient = Patient::new(&ring.scratch.join(format!("altered-{number}")));
        let order = Order {
            keep: None,
            ..Order::draw(patient.dir(), Door::Journal, &mut chance)
        };
        let mut worker = Worker::start(&order, &Wrap::default())?;
        wait_for(&worker, 20)?;
        worker.end();
        let (lines, _) = worker.finish(OPENING)?;
        let found = reopen(&order).map_err(|broken| broken.to_string())?;
        trial.count("acknowledged", acknowledgements(&lines) as u64);
        trial.run(judge(&lines, &found));
        for ((_, alter), control) in WAYS.iter().zip(&mut controls) {
            let (mut lines, mut found) = (lines.clone(), found.clone());
            alter(&mut lines, &mut found);
            control.run(&judge(&lines, &found));
        }
    }
    Ok(Findings {
        trials: vec![trial],
        controls: controls
            .into_iter()
            .map(|control| control.must(100))
            .collect(),
        not_run: Vec::new(),
    })
}

fn judge(lines: &[Line], found: &[Found]) -> Result<(), crate::history::Violation> {
    let mut history = History::default();
    history.take(lines)?;
    history.check(found)
}
