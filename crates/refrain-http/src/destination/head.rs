//! The headers of one attempt.
//!
//! | Header | Holds |
//! |---|---|
//! | `Idempotency-Key` | the delivery's key: the same for ever |
//! | `Refrain-Attempt` | which try this is, from 1 |
//! | `Refrain-Deadline-Ms` | milliseconds from the start of the attempt until nobody waits any more |
//! | `Refrain-Epoch` | the writer that makes the attempt; an older one than seen before is stale |
//! | `Refrain-Sender`, `Refrain-Channel`, `Refrain-Delivery` | who sends, through what, which one |
//! | `Refrain-Correlation`, `Refrain-Causation` | what it belongs to, and what led to it |
//! | `traceparent` | W3C Trace Context: the correlation as trace, key and attempt as parent |

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use refrain_core::port::destination::Delivery;

use super::options::{HttpOptions, KeyForm};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const OWN_PREFIX: &str = "refrain-";

/// Whether this header is one that an attempt sets itself.
pub(crate) fn is_own(name: &HeaderName) -> bool {
    [
        IDEMPOTENCY_KEY,
        TRACEPARENT,
        CONTENT_TYPE,
        ACCEPT,
        ACCEPT_ENCODING,
    ]
    .contains(name)
        || name.as_str().starts_with(OWN_PREFIX)
}

/// The headers of this attempt, the user's own included.
pub(crate) fn of(delivery: &Delivery, options: &HttpOptions) -> HeaderMap {
    let mut headers = options.headers.clone();
    let media_type = options.payload.media_type(delivery.encoding);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(ACCEPT, HeaderValue::from_static(media_type));
    // A compressed reply would have to be unpacked before its size is known.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
        .entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!(
            "refrain-http/",
            env!("CARGO_PKG_VERSION")
        )));
    let key = match options.key_form {
        KeyForm::Plain => delivery.key.to_string(),
        KeyForm::Quoted => format!("\"{}\"", delivery.key),
    };
    let texts = [
        ("idempotency-key", Some(key)),
        ("refrain-attempt", Some(delivery.attempt.to_string())),
        (
            "refrain-deadline-ms",
            Some(delivery.timeout.as_millis().to_string()),
        ),
        ("refrain-epoch", Some(delivery.epoch.to_string())),
        ("refrain-sender", Some(delivery.sender.to_string())),
        ("refrain-channel", Some(delivery.channel.to_owned())),
        ("refrain-delivery", Some(delivery.number.to_string())),
        (
            "refrain-correlation",
            Some(delivery.correlation.to_string()),
        ),
        ("refrain-causation", Some(delivery.causation.to_string())),
        ("traceparent", traceparent(delivery)),
    ];
    for (name, text) in texts {
        // Only a channel's name, which is the user's constant, could hold other characters.
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// The trace context, or nothing for a correlation of zeros, which the standard forbids.
///
/// The parent names the attempt, and is the same when the attempt is looked at again in the journal.
/// The sampled flag is set: the sender's side of the trace is the journal, which keeps everything.
fn traceparent(delivery: &Delivery) -> Option<String> {
    if delivery.correlation.bytes() == &[0; 16] {
        return None;
    }
    let [a, b, c, d, e, f, g, h, ..] = *delivery.key.bytes();
    let start = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let parent = match start.wrapping_add(u64::from(delivery.attempt)) {
        0 => u64::MAX,
        parent => parent,
    };
    Some(format!("00-{}-{parent:016x}-01", delivery.correlation))
}
