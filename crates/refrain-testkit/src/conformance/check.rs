//! One promise of a port, as code that can find it broken.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use refrain_core::port::BoxFuture;

use super::failure::Verdict;
use crate::alarm::within;

/// How long a check may take before the promise counts as broken, in [`run_all`].
const PATIENCE: Duration = Duration::from_secs(60);

/// One promise of a port. `I` is what the check gets to look at: one instance of a backend, which
/// holds nothing yet.
#[must_use]
pub struct Check<I: ?Sized + 'static> {
    name: &'static str,
    promise: &'static str,
    run: for<'a> fn(&'a mut I) -> BoxFuture<'a, Verdict>,
}

/// A promise that a backend broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {promise}. Not so: {seen}")]
pub struct Broken {
    name: &'static str,
    promise: &'static str,
    seen: String,
}

impl<I: ?Sized + 'static> Check<I> {
    pub(super) const fn new(
        name: &'static str,
        promise: &'static str,
        run: for<'a> fn(&'a mut I) -> BoxFuture<'a, Verdict>,
    ) -> Check<I> {
        Check { name, promise, run }
    }

    /// The check's short name, which is a Rust identifier.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The promise, as a sentence without its full stop.
    #[must_use]
    pub const fn promise(&self) -> &'static str {
        self.promise
    }

    /// Asks `instance`, which holds nothing, for the promise. An answer that does not come within
    /// `patience`, or a panic, breaks it as well.
    ///
    /// # Errors
    /// [`Broken`] says what was seen instead.
    pub async fn run(&self, instance: &mut I, patience: Duration) -> Result<(), Broken> {
        let checked = AssertUnwindSafe((self.run)(instance)).catch_unwind();
        let seen = match within(patience, checked).await {
            Some(Ok(Ok(()))) => return Ok(()),
            Some(Ok(Err(failure))) => failure.to_string(),
            Some(Err(panic)) => format!("it panicked: {}", panic_text(panic.as_ref())),
            None => format!("it had not ended after {patience:?}"),
        };
        Err(Broken {
            name: self.name,
            promise: self.promise,
            seen,
        })
    }
}

/// Runs every check on an instance of its own.
///
/// # Panics
/// When a promise is broken, with all that are.
pub(super) async fn run_all<I: ?Sized + 'static>(
    port: &str,
    checks: &[Check<I>],
    open: impl AsyncFn() -> Box<I>,
) {
    let mut broken = Vec::new();
    for check in checks {
        let mut instance = open().await;
        broken.extend(check.run(&mut *instance, PATIENCE).await.err());
    }
    let told: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(
        broken.is_empty(),
        "{} of {} promises of the {port} port are broken:\n{}",
        broken.len(),
        checks.len(),
        told.join("\n"),
    );
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a text")
}

impl Broken {
    /// The name of the check that found it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<I: ?Sized + 'static> fmt::Debug for Check<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("promise", &self.promise)
            .finish_non_exhaustive()
    }
}
