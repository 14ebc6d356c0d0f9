//! HTTP for Refrain: the way out, the way in, and a server for the way in.
//!
//! * [`HttpDestination`] delivers a channel's requests to an HTTP endpoint, with the delivery's
//!   idempotency key, and reads the reply or the failure from the response.
//! * [`Ingress`] takes CloudEvents and plain JSON for a processor, answers after the append, and
//!   tells in [`Problem`]s what went wrong and whether to repeat.
//! * [`serve`] serves any router with limits on time, size and connections.
//!
//! ```
//! use refrain_http::{HttpDestination, HttpOptions};
//!
//! let options = HttpOptions::default().allow_loopback();
//! let validator = HttpDestination::with("http://127.0.0.1:8081/validations", options)?;
//! # Ok::<(), refrain_http::HttpDestinationError>(())
//! ```

mod body;
mod cloudevents;
mod depth;
mod destination;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod ingress;
mod media_type;
mod serve;

pub use destination::{HttpDestination, HttpDestinationError, HttpOptions, KeyForm};
pub use ingress::{Ingress, Problem, Repeat};
pub use serve::{Drained, ServeLimits, serve};
