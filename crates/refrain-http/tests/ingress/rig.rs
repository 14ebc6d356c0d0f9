//! A shop behind an ingress, and what a sender sees of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use refrain_core::port::BoxFuture;
use refrain_core::port::asks::Asks;
use refrain_core::port::journal::{AppendError, RejectReason};
use refrain_core::{AskError, MessageId, Outbox, Position, Processor};
use refrain_http::Ingress;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Submit {
    pub(super) product: String,
    pub(super) quantity: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) order_id: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) reason: String,
}

#[derive(Debug, Default)]
pub(super) struct Shop {
    orders: u64,
}

impl Processor for Shop {
    type Message = Submit;
    type Event = Stored;
    type Answer = Stored;
    type Rejection = Refused;

    fn decide(&self, new: &Submit, out: &mut Outbox<Self>) -> Result<Stored, Refused> {
        let stored = self.stored(new)?;
        out.event(stored.clone());
        Ok(stored)
    }

    fn apply(&mut self, _: &Stored) {
        self.orders += 1;
    }
}

impl Shop {
    fn stored(&self, new: &Submit) -> Result<Stored, Refused> {
        if new.quantity == 0 {
            let reason = "nothing was ordered".to_owned();
            return Err(Refused { reason });
        }
        Ok(Stored {
            order_id: self.orders + 1,
        })
    }
}

/// A shop behind a counter that knows each message again; some products stand for what can go wrong.
#[derive(Debug, Default)]
pub(super) struct Counter {
    state: Mutex<(Shop, HashMap<MessageId, Stored>)>,
    pub(super) asked: Mutex<Vec<MessageId>>,
}

impl Asks<Shop> for Counter {
    fn ask(&self, id: MessageId, new: Submit) -> BoxFuture<'_, Result<Stored, AskError<Refused>>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(id.clone());
            if let Some(error) = trouble(&id, &new.product) {
                return Err(error);
            }
            let (shop, handled) = &mut *self.state.lock().unwrap();
            if let Some(stored) = handled.get(&id) {
                return Ok(stored.clone());
            }
            let stored = shop.stored(&new).map_err(AskError::Rejected)?;
            shop.apply(&stored);
            handled.insert(id, stored.clone());
            Ok(stored)
        })
    }
}

pub(super) fn trouble(id: &MessageId, product: &str) -> Option<AskError<Refused>> {
    let processor: refrain_core::Name = "shop".parse().unwrap();
    let (stream, at, id) = (processor.clone(), Position::FIRST, id.clone());
    Some(match product {
        "panic" => AskError::Panicked("secret of the house".to_owned()),
        "invalid" => AskError::Invalid("secret of the house".to_owned()),
        "overloaded" => AskError::Overloaded { processor },
        "not recorded" => AskError::NotRecorded {
            id,
            cause: Box::new(AppendError::Rejected {
                stream,
                at,
                reason: RejectReason::TooLarge {
                    bytes: 2,
                    bytes_max: 1,
                },
            }),
        },
        "unknown" => AskError::Unknown {
            id,
            cause: Box::new(AppendError::Unknown {
                stream,
                at,
                reason: "the disk went away".to_owned(),
            }),
        },
        "answer gone" => AskError::AnswerGone { id },
        "not running" => AskError::NotRunning {
            processor,
            reason: "secret of the house".to_owned(),
        },
        _ => return None,
    })
}

/// What a sender saw.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) retry_after: Option<String>,
    pub(super) body: Value,
}

pub(super) struct Rig {
    pub(super) counter: Arc<Counter>,
    pub(super) ingress: Ingress<Shop>,
}

impl Rig {
    pub(super) fn new() -> Rig {
        let counter = Arc::new(Counter::default());
        let ingress = Ingress::new(Arc::clone(&counter) as Arc<dyn Asks<Shop>>, "/orders")
            .event("shop.order.submitted")
            .answer_status(StatusCode::CREATED)
            .body_bytes_max(2000)
            .draw_keys_with(|| [0xab; 16]);
        Rig { counter, ingress }
    }

    pub(super) async fn send(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> Seen {
        let mut request = Request::post("/orders");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self
            .ingress
            .handle(request.body(body.into()).unwrap())
            .await;
        let (head, body) = response.into_parts();
        let text = |name| {
            let value = head.headers.get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let body = body.collect().await.unwrap().to_bytes();
        Seen {
            status: head.status.as_u16(),
            content_type: text("content-type").unwrap(),
            retry_after: text("retry-after"),
            body: serde_json::from_slice(&body).unwrap(),
        }
    }

    /// Plain JSON, with a key where one is given.
    pub(super) async fn plain(&self, key: Option<&str>, body: &str) -> Seen {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        self.send(&headers, body.to_owned()).await
    }

    pub(super) async fn structured(&self, event: &Value) -> Seen {
        let headers = [(
            "content-type",
            "application/cloudevents+json; charset=utf-8",
        )];
        self.send(&headers, event.to_string()).await
    }

    pub(super) async fn batched(&self, events: &Value) -> Seen {
        let headers = [("content-type", "application/cloudevents-batch+json")];
        self.send(&headers, events.to_string()).await
    }

    pub(super) fn asked(&self) -> Vec<String> {
        let asked = self.counter.asked.lock().unwrap();
        asked.iter().map(ToString::to_string).collect()
    }
}

pub(super) fn answered(order_id: u64) -> Seen {
    Seen {
        status: 201,
        content_type: "application/json".to_owned(),
        retry_after: None,
        body: json!({ "order_id": order_id }),
    }
}

/// A problem response: its members are exactly `body` and those that every problem has.
pub(super) fn problem(status: u16, kind: &str, retry_after: Option<&str>, mut body: Value) -> Seen {
    body["status"] = json!(status);
    body["type"] = json!(format!("urn:refrain:problem:{kind}"));
    Seen {
        status,
        content_type: "application/problem+json".to_owned(),
        retry_after: retry_after.map(str::to_owned),
        body,
    }
}

pub(super) fn order(product: &str) -> String {
    json!({ "product": product, "quantity": 1 }).to_string()
}

pub(super) fn event(id: &str, product: &str) -> Value {
    json!({
        "specversion": "1.0",
        "type": "shop.order.submitted",
        "source": "/tills/1",
        "id": id,
        "data": { "product": product, "quantity": 1 },
    })
}

pub(super) const BINARY: [(&str, &str); 5] = [
    ("ce-specversion", "1.0"),
    ("ce-type", "shop.order.submitted"),
    ("ce-source", "/tills/1"),
    ("ce-id", "order%20%E2%82%AC"),
    ("content-type", "application/json"),
];
