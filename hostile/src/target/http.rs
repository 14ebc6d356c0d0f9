//! What comes over HTTP: requests to an ingress, and responses to a destination.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use refrain_core::port::BoxFuture;
use refrain_core::port::asks::Asks;
use refrain_core::{AskError, MessageId, Outbox, Processor};
use refrain_http::{Ingress, fuzzing};
use serde_json::Value;

use crate::script::Script;
use crate::specimen::wait;

/// Headers of a request or response at most.
const HEADERS_MAX: usize = 8;

/// Bytes of a body that is taken.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Headers that mean something to either side.
const NAMES: [&str; 12] = [
    "content-type",
    "content-encoding",
    "idempotency-key",
    "ce-specversion",
    "ce-id",
    "ce-source",
    "ce-type",
    "ce-time",
    "ce-datacontenttype",
    "retry-after",
    "date",
    "content-length",
];

/// Values that lead on; others come from the script.
const VALUES: [&str; 10] = [
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/cloudevents+json; charset=\"utf-8\"",
    "1.0",
    "/shops/1",
    "shop.order.submitted",
    "2026-01-01T00:00:00Z",
    "120",
    "Sun, 06 Nov 1994 08:49:37 GMT",
];

static INGRESS: LazyLock<Ingress<Echo>> = LazyLock::new(|| {
    Ingress::new(Arc::new(Echo), "/orders")
        .event("shop.order.submitted")
        .body_bytes_max(BODY_BYTES_MAX)
        .draw_keys_with(|| [7; 16])
});

/// Answers with what it was asked.
#[derive(Debug)]
struct Echo;

impl Processor for Echo {
    type Message = Value;
    type Event = Value;
    type Answer = Value;
    type Rejection = Value;

    fn decide(&self, message: &Value, _: &mut Outbox<Echo>) -> Result<Value, Value> {
        Ok(message.clone())
    }

    fn apply(&mut self, _: &Value) {}
}

impl Asks<Echo> for Echo {
    fn ask(&self, _: MessageId, message: Value) -> BoxFuture<'_, Result<Value, AskError<Value>>> {
        Box::pin(async move { Ok(message) })
    }
}

/// A request: it is answered with JSON, and a batch with as many answers as it has events.
pub(super) fn request(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers(&mut script);
    let is_batch = request.headers().get("content-type").is_some_and(|kind| {
        kind.as_bytes()
            .starts_with(b"application/cloudevents-batch")
    });
    let body = script.rest();
    *request.body_mut() = Body::from(body.to_vec());
    let response = wait(INGRESS.handle(request));
    let status = response.status();
    assert!(status.as_u16() < 600 && !status.is_informational());
    let answer = answer(response);
    if is_batch && matches!(status, StatusCode::OK | StatusCode::MULTI_STATUS) {
        let events: Vec<Value> = serde_json::from_slice(body).expect("it was read");
        let answers = answer.as_array().expect("a batch is answered in an array");
        assert_eq!(answers.len(), events.len());
    }
}

fn answer(response: Response<Body>) -> Value {
    let body = wait(response.into_body().collect());
    let body = body.expect("it is in memory").to_bytes();
    serde_json::from_slice(&body).expect("every answer is JSON")
}

/// A response to a destination.
pub(super) fn response(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let status = StatusCode::from_u16(100 + script.u16() % 900).expect("it has three digits");
    let headers = headers(&mut script);
    fuzzing::response(status, &headers, &Bytes::copy_from_slice(script.rest()));
}

fn headers(script: &mut Script<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for _ in 0..usize::from(script.u8()) % HEADERS_MAX {
        let name = NAMES[usize::from(script.u8()) % NAMES.len()];
        let choice = usize::from(script.u8());
        let value = match VALUES.get(choice) {
            Some(value) => HeaderValue::from_static(value),
            None => match HeaderValue::from_bytes(script.bytes(choice % 64)) {
                Ok(value) => value,
                // No server lets it in.
                Err(_) => continue,
            },
        };
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

/// Inputs to start from: one request of each kind.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let event = br#"{"specversion":"1.0","id":"1","source":"/shops/1","type":"shop.order.submitted","data":{"quantity":1}}"#;
    let batch = [b"[".as_slice(), event, b",", event, b"]"].concat();
    vec![
        [&[1, 0, 0][..], b"{\"quantity\":1}"].concat(),
        [&[1, 0, 1][..], event].concat(),
        [&[1, 0, 2][..], &batch].concat(),
        [&[5, 0, 0, 3, 4, 4, 8, 5, 5, 6, 6][..], b"{\"quantity\":1}"].concat(),
    ]
}

/// Inputs to start from: an answer, and a problem that says when to come again.
pub(crate) fn response_seeds() -> Vec<Vec<u8>> {
    vec![
        [&[100, 0, 1, 0, 0][..], b"{\"status\":\"validated\"}"].concat(),
        [
            &[147, 1, 3, 0, 0, 9, 8, 10, 9][..],
            b"{\"title\":\"later\"}",
        ]
        .concat(),
    ]
}
