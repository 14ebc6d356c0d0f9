//! A row and what it is compared with take turns, so that both meet the same moods of a machine.

use std::time::Duration;

use crate::callers::Run;
use crate::effort::Effort;
use crate::report::{Measured, Row};
use crate::stats::{Latencies, Spread};

/// Makes one run of the given length.
pub(crate) type Side<'a> = Box<dyn FnMut(Duration) -> Run + 'a>;

/// Measures a row and its references, one run of each after the other. A first run of each, of a
/// quarter of the length, warms it up and is not counted.
pub(crate) fn row(
    effort: &Effort,
    (name, unit): (&str, &'static str),
    mut measured: Side<'_>,
    references: Vec<(&'static str, Side<'_>)>,
) -> Row {
    let (names, mut sides): (Vec<_>, Vec<_>) = references.into_iter().unzip();
    measured(effort.run() / 4);
    for side in &mut sides {
        side(effort.run() / 4);
    }
    let mut row_runs = Runs::default();
    let mut reference_runs: Vec<Runs> = names.iter().map(|_| Runs::default()).collect();
    for _ in 0..effort.runs {
        for (side, runs) in sides.iter_mut().zip(&mut reference_runs) {
            runs.add(&side(effort.run()));
        }
        row_runs.add(&measured(effort.run()));
    }
    names.into_iter().zip(reference_runs).fold(
        Row::new(name, unit, row_runs.measured()),
        |row, (name, runs)| row.against(name, runs.measured()),
    )
}

/// The runs of one side.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    rates: Vec<f64>,
    processor_ns: Vec<f64>,
    latencies: Option<Latencies>,
}

impl Runs {
    pub(crate) fn add(&mut self, run: &Run) {
        self.rates.push(run.per_second);
        self.processor_ns.extend(run.processor_ns);
        match (&mut self.latencies, &run.latencies) {
            (Some(all), Some(latencies)) => all.add(latencies),
            (all, Some(latencies)) => *all = Some(latencies.clone()),
            (_, None) => {}
        }
    }

    /// # Panics
    /// When there is none.
    pub(crate) fn measured(self) -> Measured {
        let processor_ns = &self.processor_ns;
        Measured {
            per_second: Spread::of(&self.rates),
            processor_ns: (!processor_ns.is_empty()).then(|| Spread::of(processor_ns)),
            latency: self.latencies.map(|latencies| latencies.percentiles()),
            runs: self.rates,
        }
    }
}
