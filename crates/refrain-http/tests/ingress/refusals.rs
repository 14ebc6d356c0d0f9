//! What a sender is told whose message is not taken: why, to the byte, and whether to come again.

use axum::body::Body;
use refrain_http::{Drained, ServeLimits};
use serde_json::json;

use crate::rig::{Rig, Seen, answered, event, order, problem};

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
