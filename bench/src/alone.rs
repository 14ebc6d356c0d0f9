//! One thread that waits for nobody.

use std::time::Duration;

use crate::callers::Run;
use crate::clock::{Stopwatch, processor_ns};

/// Does `some` again until `span` is over; each time says for how many operations it stood.
pub(crate) fn repeat(span: Duration, mut some: impl FnMut() -> u64) -> Run {
    let started_ns = processor_ns();
    let stopwatch = Stopwatch::start();
    let mut operations = 0;
    let elapsed = loop {
        operations += some();
        let elapsed = stopwatch.elapsed();
        if elapsed >= span {
            break elapsed;
        }
    };
    let ended_ns = processor_ns();
    let spent_ns = ended_ns.zip(started_ns).map(|(end, start)| end - start);
    Run {
        operations,
        per_second: operations as f64 / elapsed.as_secs_f64(),
        latencies: None,
        processor_ns: spent_ns.map(|spent| spent as f64 / operations as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_at_least_once_and_every_operation_is_counted() {
        let mut calls = 0;
        let run = repeat(Duration::ZERO, || {
            calls += 1;
            7
        });
        assert_eq!((calls, run.operations), (1, 7));
    }
}
