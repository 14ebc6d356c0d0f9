//! Destinations that answer from a script.

use std::time::Duration;

use refrain_core::Encoding;
use refrain_core::port::destination::{Attempted, Delivery, Failure, Reply};

/// What a destination does with an attempt: what is heard of it, and how much later. What comes
/// after the attempt's time is up comes late.
pub(crate) type Script = Box<dyn FnMut(&Delivery) -> Vec<(Duration, Attempted)>>;

/// Takes or answers each delivery at once, with the number 1.
pub(crate) fn prompt() -> Script {
    Box::new(|_| vec![(Duration::ZERO, reply(1))])
}

/// Is never heard of.
pub(crate) fn silent() -> Script {
    Box::new(|_| Vec::new())
}

/// Fails at once.
pub(crate) fn failing() -> Script {
    Box::new(|_| vec![(Duration::ZERO, failed("no"))])
}

/// Does with the n-th attempt what stands at place n, and goes on with the last.
pub(crate) fn scripted(mut what: Vec<Vec<(Duration, Attempted)>>) -> Script {
    what.reverse();
    Box::new(move |_| match what.len() {
        1 => what[0].clone(),
        _ => what.pop().expect("not empty"),
    })
}

pub(crate) fn reply(number: u64) -> Attempted {
    Attempted::Replied(Reply::encode(Encoding::Cbor, &number).unwrap())
}

pub(crate) fn failed(error: &str) -> Attempted {
    Attempted::Failed(Failure {
        error: error.to_owned(),
        retry_after: None,
    })
}

pub(crate) fn failed_for(error: &str, retry_after: Duration) -> Attempted {
    Attempted::Failed(Failure {
        error: error.to_owned(),
        retry_after: Some(retry_after),
    })
}
