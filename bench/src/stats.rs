//! What several runs of one row come to: the median with its spread, and latencies.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The median of some runs, between the smallest and the largest of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of `runs`.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn of(runs: &[f64]) -> Spread {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Spread {
            median,
            min: sorted[0],
            max: sorted[sorted.len() - 1],
        }
    }
}

/// How long single operations took.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

/// The two figures of some latencies that a table shows, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Latencies are kept in nanoseconds with three digits, up to a minute.
const LONGEST_NS: u64 = 60_000_000_000;

impl Latencies {
    /// No latencies yet.
    pub(crate) fn new() -> Latencies {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3);
        Latencies(histogram.expect("the bounds are in order and the digits below five"))
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(LONGEST_NS);
        self.0.saturating_record(nanos);
    }

    pub(crate) fn add(&mut self, others: &Latencies) {
        self.0
            .add(&others.0)
            .expect("all latencies have the same bounds");
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let micros = |percentile| self.0.value_at_percentile(percentile) as f64 / 1000.0;
        Percentiles {
            p50_us: micros(50.0),
            p99_us: micros(99.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_run_or_the_mean_of_the_two_in_the_middle() {
        let odd = Spread::of(&[3.0, 1.0, 2.0]);
        assert_eq!((odd.min, odd.median, odd.max), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }

    #[test]
    fn percentiles_are_those_of_all_that_were_added() {
        let mut all = Latencies::new();
        for micros in 1..=99 {
            all.record(Duration::from_micros(micros));
        }
        let mut slow = Latencies::new();
        slow.record(Duration::from_millis(5));
        all.add(&slow);
        let Percentiles { p50_us, p99_us } = all.percentiles();
        assert!((p50_us - 50.0).abs() < 0.1, "{p50_us}");
        assert!((p99_us - 99.0).abs() < 0.1, "{p99_us}");
    }
}
