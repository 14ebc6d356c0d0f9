//! Callers that wait for each call before they make the next: so many operations are in flight.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::Stopwatch;
use crate::stats::Latencies;

/// Callers whose calls are timed. The clock costs something, so the others are only counted.
const TIMED_CALLERS: usize = 16;

/// Calls of one run. They bound what it writes: 4 GB of the largest payload there is.
const CALLS_MAX: u64 = 4_000_000;

/// Somebody who calls again and again.
pub(crate) trait Caller: Send + 'static {
    /// Makes one call and says for how many operations it stood.
    ///
    /// A call that fails panics: figures of a failing system mean nothing.
    fn call(&mut self) -> impl Future<Output = u64> + Send;
}

/// What one run counted.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) operations: u64,
    pub(crate) per_second: f64,
    /// `None` where single operations are too short to be timed.
    pub(crate) latencies: Option<Latencies>,
    /// What one operation took of a processor, where one thread did it all.
    pub(crate) processor_ns: Option<f64>,
}

/// Lets every caller call, one task each, until `span` is over and the calls under way have ended. Each
/// calls at least once, however late a busy machine lets it begin.
///
/// # Panics
/// When a caller does.
pub(crate) async fn run<C: Caller>(callers: Vec<C>, span: Duration) -> Run {
    let is_over = Arc::new(AtomicBool::new(false));
    let calls_max = CALLS_MAX / callers.len() as u64;
    let mut tasks = JoinSet::new();
    let stopwatch = Stopwatch::start();
    for (place, caller) in callers.into_iter().enumerate() {
        let is_over = Arc::clone(&is_over);
        if place < TIMED_CALLERS {
            tasks.spawn(timed(caller, is_over, calls_max));
        } else {
            tasks.spawn(counted(caller, is_over, calls_max));
        }
    }
    let timer = async {
        tokio::time::sleep(span).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let ending = async {
        let (mut operations, mut latencies) = (0, Latencies::new());
        while let Some(ended) = tasks.join_next().await {
            let (count, timed) = ended.expect("callers end well");
            operations += count;
            if let Some(timed) = timed {
                latencies.add(&timed);
            }
        }
        Run {
            operations,
            per_second: operations as f64 / stopwatch.elapsed().as_secs_f64(),
            latencies: Some(latencies),
            processor_ns: None,
        }
    };
    tokio::join!(ending, timer).0
}

async fn timed<C: Caller>(
    mut caller: C,
    is_over: Arc<AtomicBool>,
    calls_max: u64,
) -> (u64, Option<Latencies>) {
    let (mut operations, mut latencies) = (0, Latencies::new());
    for _ in 0..calls_max {
        let stopwatch = Stopwatch::start();
        operations += caller.call().await;
        latencies.record(stopwatch.elapsed());
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
    (operations, Some(latencies))
}

async fn counted<C: Caller>(
    mut caller: C,
    is_over: Arc<AtomicBool>,
    calls_max: u64,
) -> (u64, Option<Latencies>) {
    let mut operations = 0;
    for _ in 0..calls_max {
        operations += caller.call().await;
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
    (operations, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Seven;

    impl Caller for Seven {
        async fn call(&mut self) -> u64 {
            7
        }
    }

    #[tokio::test]
    async fn callers_call_at_least_once_though_the_time_is_over() {
        let over = || Arc::new(AtomicBool::new(true));
        assert_eq!(timed(Seven, over(), 9).await.0, 7);
        assert_eq!(counted(Seven, over(), 9).await.0, 7);
    }
}
