//! The ingress: what comes in, by which identity, and what the sender is told, to the byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use refrain_core::port::BoxFuture;
use refrain_core::port::asks::Asks;
use refrain_core::port::journal::{AppendError, RejectReason};
use refrain_core::{AskError, MessageId, Outbox, Position, Processor};
use refrain_http::{Drained, Ingress, Problem, ServeLimits};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Serialize, Deserialize)]
struct Submit {
    product: String,
    quantity: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    order_id: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Refused {
    reason: String,
}

#[derive(Debug, Default)]
struct Shop {
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
struct Counter {
    state: Mutex<(Shop, HashMap<MessageId, Stored>)>,
    asked: Mutex<Vec<MessageId>>,
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

fn trouble(id: &MessageId, product: &str) -> Option<AskError<Refused>> {
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
struct Seen {
    status: u16,
    content_type: String,
    retry_after: Option<String>,
    body: Value,
}

struct Rig {
    counter: Arc<Counter>,
    ingress: Ingress<Shop>,
}

impl Rig {
    fn new() -> Rig {
        let counter = Arc::new(Counter::default());
        let ingress = Ingress::new(Arc::clone(&counter) as Arc<dyn Asks<Shop>>, "/orders")
            .event("shop.order.submitted")
            .answer_status(StatusCode::CREATED)
            .body_bytes_max(2000)
            .draw_keys_with(|| [0xab; 16]);
        Rig { counter, ingress }
    }

    async fn send(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> Seen {
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
    async fn plain(&self, key: Option<&str>, body: &str) -> Seen {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        self.send(&headers, body.to_owned()).await
    }

    async fn structured(&self, event: &Value) -> Seen {
        let headers = [(
            "content-type",
            "application/cloudevents+json; charset=utf-8",
        )];
        self.send(&headers, event.to_string()).await
    }

    async fn batched(&self, events: &Value) -> Seen {
        let headers = [("content-type", "application/cloudevents-batch+json")];
        self.send(&headers, events.to_string()).await
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.counter.asked.lock().unwrap();
        asked.iter().map(ToString::to_string).collect()
    }
}

fn answered(order_id: u64) -> Seen {
    Seen {
        status: 201,
        content_type: "application/json".to_owned(),
        retry_after: None,
        body: json!({ "order_id": order_id }),
    }
}

/// A problem response: its members are exactly `body` and those that every problem has.
fn problem(status: u16, kind: &str, retry_after: Option<&str>, mut body: Value) -> Seen {
    body["status"] = json!(status);
    body["type"] = json!(format!("urn:refrain:problem:{kind}"));
    Seen {
        status,
        content_type: "application/problem+json".to_owned(),
        retry_after: retry_after.map(str::to_owned),
        body,
    }
}

fn order(product: &str) -> String {
    json!({ "product": product, "quantity": 1 }).to_string()
}

fn event(id: &str, product: &str) -> Value {
    json!({
        "specversion": "1.0",
        "type": "shop.order.submitted",
        "source": "/tills/1",
        "id": id,
        "data": { "product": product, "quantity": 1 },
    })
}

const BINARY: [(&str, &str); 5] = [
    ("ce-specversion", "1.0"),
    ("ce-type", "shop.order.submitted"),
    ("ce-source", "/tills/1"),
    ("ce-id", "order%20%E2%82%AC"),
    ("content-type", "application/json"),
];

/// B1.4
#[tokio::test]
async fn the_same_identity_gets_the_same_answer_in_whatever_mode_it_comes() {
    let rig = Rig::new();
    let jelly = order("jelly beans");
    assert_eq!(rig.plain(Some("order-17"), &jelly).await, answered(1));
    assert_eq!(rig.plain(Some("\"order-17\""), &jelly).await, answered(1));
    assert_eq!(rig.plain(Some("order-18"), &jelly).await, answered(2));

    assert_eq!(rig.send(&BINARY, jelly.clone()).await, answered(3));
    let same = event("order \u{20ac}", "jelly beans");
    assert_eq!(rig.structured(&same).await, answered(3));
    let batch = rig.batched(&json!([same])).await;
    let message = json!({ "source": "/tills/1", "id": "order \u{20ac}" });
    let item = json!({ "status": 201, "message": message, "answer": { "order_id": 3 } });
    assert_eq!((batch.status, batch.body), (200, json!([item])));

    let ids = rig.asked();
    assert_eq!(ids[0], "<http>/order-17");
    assert_eq!(ids[3], "/tills/1/order \\u{20ac}");
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn a_key_and_an_event_of_the_source_http_are_different_messages() {
    let rig = Rig::new();
    let jelly = order("jelly beans");
    assert_eq!(rig.plain(Some("1"), &jelly).await, answered(1));
    let mut other = event("1", "jelly beans");
    other["source"] = json!("http");
    assert_eq!(rig.structured(&other).await, answered(2));
}

#[tokio::test]
async fn data_may_come_as_base64() {
    let rig = Rig::new();
    let mut encoded = event("1", "");
    encoded.as_object_mut().unwrap().remove("data");
    // {"product":"a","quantity":1}
    encoded["data_base64"] = json!("eyJwcm9kdWN0IjoiYSIsInF1YW50aXR5IjoxfQ==");
    encoded["datacontenttype"] = json!("application/json");
    assert_eq!(rig.structured(&encoded).await, answered(1));
}

/// The key that a sender without one is told works as its own.
#[tokio::test]
async fn a_sender_without_a_key_is_told_the_one_that_was_drawn() {
    let rig = Rig::new();
    let seen = rig.plain(None, &order("unknown")).await;
    let drawn = "ab".repeat(16);
    assert_eq!(seen.body["message"], json!({ "idempotency_key": drawn }));
    rig.plain(Some(&drawn), &order("jelly beans")).await;
    let asked = rig.asked();
    assert_eq!(asked[0], asked[1]);
}

#[tokio::test]
async fn drawn_keys_differ() {
    let counter = Arc::new(Counter::default());
    let ingress = Ingress::new(Arc::clone(&counter) as Arc<dyn Asks<Shop>>, "/");
    let rig = Rig { counter, ingress };
    for _ in 0..100 {
        rig.plain(None, &order("jelly beans")).await;
    }
    let distinct: std::collections::HashSet<String> = rig.asked().into_iter().collect();
    assert_eq!(distinct.len(), 100);
}

/// A problem of an order with the key `k`, which holds nothing beside the standard's members.
fn refusal(status: u16, kind: &str, wait: Option<&str>, title: &str, repeat: &str) -> Seen {
    let message = json!({ "idempotency_key": "k" });
    let body = json!({ "title": title, "message": message, "repeat": repeat });
    problem(status, kind, wait, body)
}

/// B1.3, B1.10
#[tokio::test]
async fn a_message_that_may_succeed_later_is_told_to_come_again() {
    let rig = Rig::new();
    let (kind, title) = ("not-recorded", "the message was not recorded");
    let not_recorded = refusal(503, kind, Some("1"), title, "safe");
    let (kind, title) = ("outcome-unknown", "the message may have been handled");
    let unknown = refusal(503, kind, Some("1"), title, "same-identity");
    let (kind, title) = ("not-running", "the processor does not run");
    let not_running = refusal(503, kind, Some("1"), title, "same-identity");
    let rows = [
        (
            "overloaded",
            refusal(503, "overloaded", Some("1"), "too busy", "safe"),
        ),
        ("not recorded", not_recorded),
        ("unknown", unknown),
        ("not running", not_running),
    ];
    for (product, expected) in rows {
        assert_eq!(rig.plain(Some("k"), &order(product)).await, expected);
    }
}

/// B1.5
#[tokio::test]
async fn a_message_that_will_never_succeed_is_told_so() {
    let rig = Rig::new();
    let (kind, title) = (
        "not-recordable",
        "what follows from the message cannot be recorded",
    );
    let invalid = refusal(500, kind, None, title, "useless");
    let (kind, title) = (
        "answer-gone",
        "handled before; the answer is no longer kept",
    );
    let answer_gone = refusal(410, kind, None, title, "useless");
    let rows = [
        (
            "panic",
            refusal(
                500,
                "panicked",
                None,
                "handling the message failed",
                "useless",
            ),
        ),
        ("invalid", invalid),
        ("answer gone", answer_gone),
    ];
    for (product, expected) in rows {
        assert_eq!(rig.plain(Some("k"), &order(product)).await, expected);
    }
    let nothing = json!({ "product": "a", "quantity": 0 }).to_string();
    let mut expected = refusal(422, "rejected", None, "the message was rejected", "useless");
    expected.body["rejection"] = json!({ "reason": "nothing was ordered" });
    assert_eq!(rig.plain(Some("k"), &nothing).await, expected);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_told_by_field_line_and_column() {
    let rig = Rig::new();
    let title = "the message cannot be read";
    let message = json!({ "idempotency_key": "k" });
    let rows = [
        (
            "{\n \"product\": \"a\",\n \"quantity\": \"many\"\n}",
            json!({
                "title": title, "repeat": "useless", "message": message,
                "detail": "invalid type: string \"many\", expected u32",
                "field": "quantity", "line": 3, "column": 19,
            }),
        ),
        (
            "{\"product\": \"a\"}",
            json!({
                "title": title, "repeat": "useless", "message": message,
                "detail": "missing field `quantity`", "line": 1, "column": 16,
            }),
        ),
        (
            "{\"product\": ",
            json!({
                "title": title, "repeat": "useless", "message": message,
                "detail": "EOF while parsing a value",
                "field": "product", "line": 1, "column": 12,
            }),
        ),
        (
            "",
            json!({
                "title": title, "repeat": "useless", "message": message,
                "detail": "EOF while parsing a value", "line": 1, "column": 0,
            }),
        ),
    ];
    for (text, body) in rows {
        let expected = problem(400, "invalid-json", None, body);
        assert_eq!(rig.plain(Some("k"), text).await, expected);
    }
    let mut wrong = event("1", "a");
    wrong["data"]["quantity"] = json!(-1);
    let seen = rig.structured(&wrong).await;
    assert_eq!(seen.body["field"], "data.quantity");
    assert_eq!(
        seen.body["message"],
        json!({ "source": "/tills/1", "id": "1" })
    );
    let mut without = event("1", "a");
    without.as_object_mut().unwrap().remove("data");
    let seen = rig.structured(&without).await;
    assert_eq!((seen.status, &seen.body["field"]), (400, &json!("data")));
    assert_eq!(rig.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn what_breaks_the_rules_is_refused_before_anything_is_asked() {
    let rig = Rig::new();
    let accepted = json!([
        "application/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json"
    ]);
    let unsupported = |detail: &str| {
        let body = json!({
            "title": "the content type is not supported", "repeat": "useless",
            "detail": detail, "accepted": accepted,
        });
        problem(415, "unsupported-media-type", None, body)
    };
    let jelly = order("jelly beans");
    let text = [("content-type", "text/plain")];
    let seen = rig.send(&text, jelly.clone()).await;
    assert_eq!(seen, unsupported("the content type is \"text/plain\""));
    let seen = rig.send(&[], jelly.clone()).await;
    assert_eq!(seen, unsupported("the request has no content type"));
    let avro = [("content-type", "application/cloudevents+avro")];
    let seen = rig.send(&avro, "").await;
    assert_eq!(
        seen,
        unsupported("the content type is \"application/cloudevents+avro\"")
    );

    let packed = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    assert_eq!(rig.send(&packed, jelly.clone()).await.status, 415);

    let body = json!({
        "title": "the Idempotency-Key cannot be used", "repeat": "useless", "detail": "it is empty",
    });
    assert_eq!(
        rig.plain(Some(""), &jelly).await,
        problem(400, "invalid-key", None, body)
    );

    let long = "k".repeat(251);
    let body = json!({
        "title": "the identity cannot be used", "repeat": "useless",
        "message": { "idempotency_key": long },
        "detail": "source and id have at most 256 bytes together, these have 257",
    });
    assert_eq!(
        rig.plain(Some(&long), &jelly).await,
        problem(400, "invalid-identity", None, body)
    );
    assert_eq!(rig.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let rig = Rig::new();
    let body = json!({
        "title": "the body is too large", "repeat": "useless",
        "detail": "at most 2000 bytes are taken", "body_bytes_max": 2000,
    });
    let expected = problem(413, "body-too-large", None, body);
    let json = [("content-type", "application/json")];
    assert_eq!(rig.send(&json, "x".repeat(2001)).await, expected);
    // A body that does not announce its length is counted as it comes.
    let chunks = futures_util::stream::repeat(Ok::<_, std::convert::Infallible>("xxxxxxxxxx"));
    assert_eq!(rig.send(&json, Body::from_stream(chunks)).await, expected);
    let fits = format!("{}{}", order("a"), " ".repeat(2000 - order("a").len()));
    assert_eq!(rig.plain(None, &fits).await, answered(1));
}

/// The sender writes all of its body before it reads, as most do, and more than buffers hold.
#[tokio::test]
async fn the_sender_of_a_body_beyond_the_limit_reads_the_refusal() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let small = || {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket
    };
    let accepting = small();
    accepting.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = accepting.listen(8).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let router = Rig::new().ingress.into_router();
    let serving = refrain_http::serve(listener, router, ServeLimits::default(), async {
        let _ = stopped.await;
    });
    let sending = async {
        let mut tcp = small().connect(address).await.unwrap();
        let head = "POST /orders HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
        let body = vec![b' '; 3 * 1024 * 1024];
        let length = body.len();
        let head = format!("{head}connection: close\r\ncontent-length: {length}\r\n\r\n");
        tcp.write_all(head.as_bytes()).await.unwrap();
        tcp.write_all(&body).await.unwrap();
        let mut response = String::new();
        tcp.read_to_string(&mut response).await.unwrap();
        assert!(
            response.starts_with("HTTP/1.1 413 Payload Too Large\r\n"),
            "{response}"
        );
        stop.send(()).unwrap();
    };
    let (drained, ()) = tokio::join!(serving, sending);
    assert_eq!(drained, Drained::Whole);
}

#[tokio::test]
async fn an_event_that_breaks_the_specification_is_told_how() {
    let rig = Rig::new();
    let with = |change: fn(&mut Value)| {
        let mut event = event("1", "a");
        change(&mut event);
        event
    };
    let missing = with(|event| event["id"] = Value::Null);
    let body = json!({
        "title": "the CloudEvent lacks an attribute", "repeat": "useless",
        "detail": "attribute id is required", "attribute": "id",
    });
    assert_eq!(
        rig.structured(&missing).await,
        problem(400, "missing-attribute", None, body)
    );

    let old = with(|event| event["specversion"] = json!("0.3"));
    let body = json!({
        "title": "this version of CloudEvents is not supported", "repeat": "useless",
        "detail": "specversion \"0.3\" is not supported, only \"1.0\" is",
        "attribute": "specversion",
    });
    assert_eq!(
        rig.structured(&old).await,
        problem(400, "unsupported-specversion", None, body)
    );

    let source = with(|event| event["source"] = json!("a b"));
    let body = json!({
        "title": "this is not a CloudEvent", "repeat": "useless",
        "detail": "attribute source is not a URI-reference", "attribute": "source",
    });
    assert_eq!(
        rig.structured(&source).await,
        problem(400, "invalid-event", None, body)
    );

    let unknown = with(|event| event["type"] = json!("shop.order.cancelled"));
    let body = json!({
        "title": "events of this type are not taken here", "repeat": "useless",
        "detail": "the type is \"shop.order.cancelled\"", "accepted": ["shop.order.submitted"],
        "message": { "source": "/tills/1", "id": "1" },
    });
    assert_eq!(
        rig.structured(&unknown).await,
        problem(422, "unknown-event-type", None, body)
    );

    let xml = with(|event| {
        event["datacontenttype"] = json!("text/xml");
        event["data"] = json!("<a/>");
    });
    let body = json!({
        "title": "the content type is not supported", "repeat": "useless",
        "detail": "the data is text/xml, JSON in UTF-8 is taken",
        "message": { "source": "/tills/1", "id": "1" },
    });
    assert_eq!(
        rig.structured(&xml).await,
        problem(415, "unsupported-media-type", None, body)
    );
    assert_eq!(rig.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn each_event_of_a_batch_is_answered_on_its_own_and_in_order() {
    let rig = Rig::new();
    let bad = json!({ "specversion": "1.0" });
    let rows = [
        (json!([]), 200, vec![]),
        (
            json!([event("1", "a"), event("2", "a"), event("1", "a")]),
            200,
            vec![201, 201, 201],
        ),
        (
            json!([event("3", "a"), bad, event("4", "panic")]),
            207,
            vec![201, 400, 500],
        ),
        (
            json!([event("5", "overloaded"), bad, event("6", "a")]),
            503,
            vec![503, 400, 201],
        ),
    ];
    for (events, status, statuses) in rows {
        let seen = rig.batched(&events).await;
        let items = seen.body.as_array().unwrap();
        let found: Vec<u64> = items
            .iter()
            .map(|item| item["status"].as_u64().unwrap())
            .collect();
        assert_eq!((seen.status, found), (status, statuses), "{events}");
        assert_eq!(seen.retry_after.is_some(), status == 503);
    }
    let asked = ["1", "2", "1", "3", "4", "5", "6"].map(|id| format!("/tills/1/{id}"));
    assert_eq!(rig.asked(), asked);

    let seen = rig.batched(&json!([event("7", "overloaded")])).await;
    let message = json!({ "source": "/tills/1", "id": "7" });
    let body = json!({ "title": "too busy", "message": message, "repeat": "safe" });
    let inner = problem(503, "overloaded", None, body).body;
    assert_eq!(seen.body, json!([{ "status": 503, "problem": inner }]));
}

/// B1.2
#[tokio::test]
async fn a_large_batch_is_asked_in_order_and_a_larger_one_not_at_all() {
    let rig = Rig::new();
    let rig = Rig {
        ingress: rig.ingress.body_bytes_max(200_000),
        ..rig
    };
    let many: Vec<Value> = (0..1024).map(|id| event(&id.to_string(), "a")).collect();
    assert_eq!(rig.batched(&Value::from(many)).await.status, 200);
    let expected: Vec<String> = (0..1024).map(|id| format!("/tills/1/{id}")).collect();
    assert_eq!(rig.asked(), expected);

    let more = Value::from(vec![json!(0); 1025]);
    let body = json!({
        "title": "the batch has too many events", "repeat": "useless",
        "detail": "1025 events, at most 1024 are taken",
    });
    assert_eq!(
        rig.batched(&more).await,
        problem(413, "too-many-events", None, body)
    );
    assert_eq!(rig.batched(&json!({})).await.status, 400);
}

#[tokio::test]
async fn answers_rejections_and_messages_take_the_form_that_was_chosen() {
    #[derive(Deserialize)]
    struct Line(String, u32);
    let counter = Arc::new(Counter::default());
    let ingress = Ingress::new(Arc::clone(&counter) as Arc<dyn Asks<Shop>>, "/orders")
        .event_as("shop.line", |Line(product, quantity)| Submit {
            product,
            quantity,
        })
        .json_as(|Line(product, quantity)| Submit { product, quantity })
        .answer_with(|stored| {
            let body = json!({ "order_id": stored.order_id, "status": "stored" });
            (StatusCode::CREATED, body)
        })
        .rejection_with(|refused| {
            let kind = "https://shop.example.com/problems/refused";
            Problem::new(StatusCode::CONFLICT, kind, "refused")
                .detail(refused.reason.as_str())
                .member("status", 200)
                .member("help", "https://shop.example.com/help")
        });
    let rig = Rig { counter, ingress };
    let seen = rig.plain(Some("1"), r#"["a", 1]"#).await;
    assert_eq!(
        (seen.status, seen.body),
        (201, json!({ "order_id": 1, "status": "stored" }))
    );
    let mut line = event("1", "");
    line["type"] = json!("shop.line");
    line["data"] = json!(["a", 1]);
    assert_eq!(rig.structured(&line).await.body["order_id"], 2);
    let seen = rig.plain(Some("2"), r#"["a", 0]"#).await;
    let expected = json!({
        "type": "https://shop.example.com/problems/refused", "title": "refused", "status": 409,
        "detail": "nothing was ordered", "repeat": "useless",
        "message": { "idempotency_key": "2" }, "help": "https://shop.example.com/help",
    });
    assert_eq!((seen.status, seen.body), (409, expected));

    let rig = Rig {
        ingress: rig.ingress.events_only(),
        ..rig
    };
    assert_eq!(rig.plain(Some("3"), r#"["a", 1]"#).await.status, 415);
}

#[tokio::test]
async fn members_of_a_problem_come_in_the_order_of_the_standard() {
    let rig = Rig::new();
    let request = Request::post("/orders")
        .header("content-type", "application/json")
        .header("idempotency-key", "k")
        .body(Body::from("{"))
        .unwrap();
    let response = rig.ingress.handle(request).await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let expected = concat!(
        r#"{"type":"urn:refrain:problem:invalid-json","title":"the message cannot be read","#,
        r#""status":400,"detail":"EOF while parsing an object","#,
        r#""message":{"idempotency_key":"k"},"repeat":"useless","column":1,"line":1}"#
    );
    assert_eq!(body, expected);
}
