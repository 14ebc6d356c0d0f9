//! The ingress: what comes in, by which identity, and what the sender is told, to the byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod refusals;
mod rig;

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use refrain_core::port::asks::Asks;
use refrain_http::{Ingress, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use rig::{BINARY, Counter, Rig, Shop, Submit, answered, event, order, problem};

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
