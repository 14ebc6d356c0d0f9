//! The way for fuzzers to what a destination makes of a response, without a network.
//!
//! Compiled with the feature `fuzzing` only, hidden, and no part of what this crate promises.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use refrain_core::limit::ERROR_TEXT_BYTES_MAX;
use refrain_core::{Encoding, Timestamp};
use serde::de::IgnoredAny;

use crate::destination::{Payload, Verdict, read_retry_after};

/// The longest that a destination may ask to wait.
const LONGEST: Duration = Duration::from_secs(3600);

/// What a destination does with a response, whatever it says: a wait within its bound, a line without
/// control characters, and a reply that can be read or a refusal.
///
/// # Panics
/// When one of them is not so.
pub fn response(status: StatusCode, headers: &HeaderMap, body: &Bytes) {
    let wait = read_retry_after(headers, Timestamp::from_micros(1 << 50), LONGEST);
    assert!(wait.is_none_or(|wait| wait <= LONGEST));
    let words = Verdict::of(status).words(status, body);
    assert!(words.len() <= ERROR_TEXT_BYTES_MAX);
    assert!(!words.contains(char::is_control), "{words:?}");
    for stored in [Encoding::Cbor, Encoding::Json] {
        for payload in [Payload::json(), Payload::as_stored()] {
            let _ = payload.request(stored, body);
            let reply = payload.reply(stored, body.clone());
            assert!(reply.is_ok() || reply.is_err_and(|reason| !reason.is_empty()));
        }
        if let Ok(reply) = Payload::json().reply(stored, body.clone()) {
            let again = reply.encoding.decode::<IgnoredAny>(&reply.bytes);
            assert!(again.is_ok(), "{again:?}");
        }
    }
}
