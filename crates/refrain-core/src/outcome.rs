//! How a request ended, and what a handler says of it.

/// How one attempt of a request ended, as the channel's handler gets it.
///
/// ```
/// use refrain_core::{Outcome, Settlement};
///
/// /// Tries until there is a reply, or three failures.
/// fn settle(outcome: &Outcome<String>) -> Settlement {
///     match outcome {
///         Outcome::Reply(_) => Settlement::Confirm,
///         Outcome::DestinationFailure { failure_count, .. } if *failure_count > 2 => {
///             Settlement::Confirm
///         }
///         Outcome::DestinationFailure { .. } | Outcome::DestinationNotResponding { .. } => {
///             Settlement::Redeliver
///         }
///     }
/// }
/// # assert_eq!(settle(&Outcome::Reply(String::new())), Settlement::Confirm);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<R> {
    /// The destination's reply.
    Reply(R),
    /// The destination said that it failed.
    DestinationFailure {
        /// The failure outcomes recorded for this request, this one included.
        failure_count: u32,
        /// The destination's words.
        error: String,
    },
    /// No reply came in time. The request may have reached the destination.
    DestinationNotResponding {
        /// The failure outcomes recorded for this request, this one included.
        failure_count: u32,
    },
}

/// What a handler says of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Settlement {
    /// The exchange is complete.
    Confirm,
    /// Deliver the request again, with the same key, as the policy says.
    Redeliver,
}
