//! The destination against real servers, well-behaved and not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod addresses;
mod conformance;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use refrain_core::port::destination::{Attempted, Delivery, Destination, Failure, Reply};
use refrain_core::{Encoding, Key};
use refrain_http::{HttpDestination, HttpOptions, KeyForm};
use serde_json::{Value, json};

use support::{Act, Server, body_of, delivery, response};

/// Short enough to wait for what does not come.
const SOON: Duration = Duration::from_millis(500);

fn local() -> HttpOptions {
    HttpOptions::default().allow_loopback()
}

fn destination(server: &Server) -> HttpDestination {
    HttpDestination::with(&server.url("/validations"), local()).unwrap()
}

fn failed(error: &str, retry_after: Option<u64>) -> Attempted {
    Attempted::Failed(Failure {
        error: error.to_owned(),
        retry_after: retry_after.map(Duration::from_secs),
    })
}

fn replied(value: &Value) -> Attempted {
    Attempted::Replied(Reply::encode(Encoding::Json, value).unwrap())
}

/// B5.4
#[tokio::test]
async fn an_attempt_is_one_request_that_names_its_delivery() {
    let server = Server::answering("200 OK", "", r#"{"verdict":"validated"}"#).await;
    let options = local().header("authorization", "Bearer 0123").unwrap();
    let url = server.url("/validations?dry=1");
    let destination = HttpDestination::with(&url, options).unwrap();

    let outcome = destination.deliver(delivery(&json!({"order_id": 7}))).await;

    assert_eq!(outcome, replied(&json!({"verdict": "validated"})));
    let expected = [
        "POST /validations?dry=1 HTTP/1.1",
        "accept-encoding: identity",
        "accept: application/json",
        "authorization: Bearer 0123",
        "content-length: 14",
        "content-type: application/json",
        &format!("host: {}", server.address),
        "idempotency-key: abababababababababababababababab",
        "refrain-attempt: 2",
        "refrain-causation: cacacacacacacacacacacacacacacaca",
        "refrain-channel: card-validation",
        "refrain-correlation: c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0",
        "refrain-deadline-ms: 60000",
        "refrain-delivery: 17",
        "refrain-epoch: 3",
        "refrain-sender: orders",
        "traceparent: 00-c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0-abababababababad-01",
        concat!("user-agent: refrain-http/", env!("CARGO_PKG_VERSION")),
    ];
    let requests = server.requests();
    let head = requests[0].split("\r\n\r\n").next().unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(body_of(&requests[0]), r#"{"order_id":7}"#);
}

#[tokio::test]
async fn a_repeat_changes_only_what_tells_the_attempts_apart() {
    let server = Server::answering("200 OK", "", "null").await;
    let destination = destination(&server);
    for attempt in [1, 2] {
        let delivery = Delivery {
            attempt,
            ..delivery(&json!(1))
        };
        destination.deliver(delivery).await;
    }
    let requests = server.requests();
    let differ: Vec<(&str, &str)> = requests[0]
        .lines()
        .zip(requests[1].lines())
        .filter(|(first, second)| first != second)
        .collect();
    let trace = "traceparent: 00-c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0";
    assert_eq!(
        differ,
        [
            ("refrain-attempt: 1", "refrain-attempt: 2"),
            (
                format!("{trace}-abababababababac-01").as_str(),
                format!("{trace}-abababababababad-01").as_str()
            ),
        ]
    );
}

#[tokio::test]
async fn a_trace_context_never_holds_an_id_of_zeros() {
    let server = Server::answering("200 OK", "", "null").await;
    let destination = destination(&server);
    let before_zero = Key::new([0xff; 16]);
    let zero = Key::new([0; 16]);
    for (key, correlation) in [(before_zero, before_zero), (before_zero, zero)] {
        let delivery = Delivery {
            key,
            correlation,
            attempt: 1,
            ..delivery(&json!(1))
        };
        destination.deliver(delivery).await;
    }
    let requests = server.requests();
    let trace = format!("traceparent: 00-{}-{}-01", "f".repeat(32), "f".repeat(16));
    assert!(requests[0].contains(&trace), "{}", requests[0]);
    assert!(!requests[1].contains("traceparent"), "{}", requests[1]);
}

#[tokio::test]
async fn options_choose_method_key_form_and_encoding() {
    let reply = Reply::encode(Encoding::Cbor, &json!({"ok": true})).unwrap();
    let length = reply.bytes.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    let response = [head.as_bytes(), &reply.bytes].concat();
    let server = Server::start(vec![Act::Send(response)]).await;
    let options = local()
        .method(http::Method::PUT)
        .key_form(KeyForm::Quoted)
        .as_stored();
    let destination = HttpDestination::with(&server.url("/"), options).unwrap();

    let outcome = destination.deliver(delivery(&json!("a"))).await;

    assert_eq!(outcome, Attempted::Replied(reply));
    let request = &server.requests()[0];
    assert!(request.starts_with("PUT / HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("idempotency-key: \"abababababababababababababababab\"\r\n"));
    assert!(request.contains("content-type: application/cbor\r\n"));
    assert!(
        request.ends_with("\r\n\r\naa"),
        "the CBOR of \"a\" is 61 61: {request}"
    );
}

async fn check_status(status: &str, headers: &str, body: &str, expected: Attempted) {
    let server = Server::answering(status, headers, body).await;
    let outcome = destination(&server).deliver(delivery(&json!(1))).await;
    assert_eq!(outcome, expected, "{status} {headers}");
}

#[tokio::test]
async fn every_success_is_a_reply() {
    for status in ["200 OK", "201 Created", "202 Accepted", "299 Fine"] {
        check_status(status, "", "7", replied(&json!(7))).await;
    }
}

#[tokio::test]
async fn every_other_status_is_a_failure_in_words() {
    let rows = [
        (
            "302 Found",
            "location: /\r\n",
            "",
            "302 Found: redirects are not followed",
        ),
        (
            "304 Not Modified",
            "",
            "",
            "304 Not Modified: redirects are not followed",
        ),
        (
            "400 Bad Request",
            "",
            "no card",
            "permanent: 400 Bad Request: no card",
        ),
        (
            "404 Not Found",
            "retry-after: 9\r\n",
            "",
            "permanent: 404 Not Found",
        ),
        ("408 Request Timeout", "", "", "408 Request Timeout"),
        ("425 Too Early", "", "", "425 Too Early"),
        (
            "500 Internal Server Error",
            "",
            "oops\r\n",
            "500 Internal Server Error: oops",
        ),
    ];
    for (status, headers, body, words) in rows {
        check_status(status, headers, body, failed(words, None)).await;
    }
}

/// B6.6
#[tokio::test]
async fn a_failure_for_now_says_when_to_come_again() {
    let unavailable = "503 Service Unavailable";
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let rows = [
        ("429 Too Many Requests", "9", "429 Too Many Requests", 9),
        (unavailable, "0", unavailable, 0),
        (unavailable, date, unavailable, 37),
        ("599 Odd", "999999", "599 <unknown status code>", 3600),
    ];
    for (status, asked, words, wait) in rows {
        let headers = format!("retry-after: {asked}\r\n");
        check_status(status, &headers, "", failed(words, Some(wait))).await;
    }
}

#[tokio::test]
async fn a_reply_that_cannot_be_used_is_a_failure() {
    let deep = "[".repeat(65) + &"]".repeat(65);
    let rows = [
        ("", "not JSON".to_owned(), "the reply cannot be read: "),
        (
            "",
            deep,
            "the reply cannot be read: it nests more than 64 levels deep",
        ),
        (
            "content-encoding: gzip\r\n",
            "7".to_owned(),
            "the reply is compressed",
        ),
        (
            "",
            format!("\"{}\"", "x".repeat(100)),
            "the reply has more than 100 bytes",
        ),
    ];
    for (headers, body, expected) in rows {
        let server = Server::answering("200 OK", headers, &body).await;
        let options = local().reply_bytes_max(if expected.contains("100") { 100 } else { 1000 });
        let destination = HttpDestination::with(&server.url("/"), options).unwrap();
        let outcome = destination.deliver(delivery(&json!(1))).await;
        let Attempted::Failed(failure) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(failure.error.starts_with(expected), "{}", failure.error);
    }
}

#[tokio::test]
async fn a_reply_without_end_is_a_failure_at_the_bound() {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
    let server = Server::start(vec![Act::Flood(head, chunk)]).await;
    let outcome = destination(&server).deliver(delivery(&json!(1))).await;
    assert_eq!(
        outcome,
        failed("the reply has more than 1048576 bytes", None)
    );
}

#[tokio::test]
async fn a_head_without_end_is_a_failure_at_the_bound() {
    let start = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    let server = Server::start(vec![Act::Flood(start, vec![b'x'; 4096])]).await;
    let outcome = destination(&server).deliver(delivery(&json!(1))).await;
    assert_eq!(
        outcome,
        failed("the response's head is larger than 65536 bytes", None)
    );
}

/// Whatever part of a reply comes, it is either heard whole or not at all.
#[tokio::test]
async fn a_reply_cut_at_any_byte_is_not_responding() {
    let whole = response("200 OK", "", r#"{"verdict":"validated"}"#);
    let expected = replied(&json!({"verdict": "validated"}));
    for cut in 0..=whole.len() {
        let part = whole[..cut].to_vec();
        let server = Server::start(vec![Act::SendAndClose(part.clone())]).await;
        let closed = destination(&server).deliver(delivery(&json!(1))).await;
        let server = Server::start(vec![Act::SendAndReset(part)]).await;
        let reset = destination(&server).deliver(delivery(&json!(1))).await;
        if cut < whole.len() {
            assert_eq!(closed, Attempted::NotResponding, "closed after {cut} bytes");
            assert_eq!(reset, Attempted::NotResponding, "reset after {cut} bytes");
        } else {
            assert_eq!(closed, expected);
            // A reset may overtake the bytes before it.
            assert!([expected.clone(), Attempted::NotResponding].contains(&reset));
        }
    }
}

#[tokio::test]
async fn silence_and_garbage_are_not_responding() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec();
    let rows = [
        ("silence", Act::SendAndHang(Vec::new())),
        ("half a head", Act::SendAndHang(head[..20].to_vec())),
        (
            "half a body",
            Act::SendAndHang([head, b"{".to_vec()].concat()),
        ),
        (
            "garbage",
            Act::SendAndHang(b"\x00\xff\x16\x03\r\n\r\n".to_vec()),
        ),
        (
            "another protocol",
            Act::SendAndClose(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ),
        (
            "interim responses only",
            Act::SendAndHang(b"HTTP/1.1 102 Processing\r\n\r\n".to_vec()),
        ),
    ];
    let checks = rows.map(|(what, act)| async move {
        for timeout in (0..).map(|tries| SOON * (1 << tries)) {
            let server = Server::start(vec![act.clone()]).await;
            let delivery = Delivery {
                timeout,
                ..delivery(&json!(1))
            };
            let outcome = destination(&server).deliver(delivery).await;
            assert_eq!(outcome, Attempted::NotResponding, "{what}");
            match server.requests().len() {
                // On a busy machine the time was up before the server heard of it.
                0 => {}
                count => return assert_eq!(count, 1, "{what}"),
            }
        }
    });
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn nobody_listening_is_not_responding() {
    let server = Server::answering("200 OK", "", "7").await;
    let destination = destination(&server);
    drop(server);
    let outcome = destination.deliver(delivery(&json!(1))).await;
    assert_eq!(outcome, Attempted::NotResponding);
}

/// The status says enough: a failure's words are not waited for until the deadline.
#[tokio::test]
async fn a_failure_whose_words_do_not_come_is_still_a_failure() {
    let head =
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 9\r\n\r\nclos";
    let server = Server::start(vec![Act::SendAndHang(head.as_bytes().to_vec())]).await;
    let outcome = destination(&server).deliver(delivery(&json!(1))).await;
    assert_eq!(outcome, failed("503 Service Unavailable", Some(2)));
}

#[tokio::test]
async fn a_request_that_can_never_be_sent_is_a_failure_and_is_not_sent() {
    let server = Server::answering("200 OK", "", "7").await;
    let options = local().request_bytes_max(10);
    let destination = HttpDestination::with(&server.url("/"), options).unwrap();
    let outcome = destination.deliver(delivery(&"x".repeat(9))).await;
    let words = "permanent: not sent: its body has 11 bytes of at most 10";
    assert_eq!(outcome, failed(words, None));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn one_connection_serves_many_deliveries() {
    let server = Server::answering("200 OK", "", "7").await;
    let destination = destination(&server);
    for _ in 0..20 {
        let outcome = destination.deliver(delivery(&json!(1))).await;
        assert_eq!(outcome, replied(&json!(7)));
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 20));
}

#[tokio::test]
async fn an_attempt_that_is_dropped_does_not_disturb_the_next() {
    let answer = Act::Send(response("200 OK", "", "7"));
    let server = Server::start(vec![Act::SendAndHang(Vec::new()), answer]).await;
    let destination = destination(&server);
    tokio::select! {
        ended = destination.deliver(delivery(&json!(1))) => panic!("{ended:?}"),
        () = server.requested() => {}
    }
    let outcome = destination.deliver(delivery(&json!(2))).await;
    assert_eq!(outcome, replied(&json!(7)));
}

#[tokio::test]
async fn a_one_way_destination_may_answer_with_anything() {
    let server = Server::answering("200 OK", "content-type: text/plain\r\n", "OK").await;
    let options = local().ignore_reply();
    let destination = HttpDestination::with(&server.url("/"), options).unwrap();
    let outcome = destination.deliver(delivery(&json!(1))).await;
    let Attempted::Replied(reply) = outcome else {
        panic!("{outcome:?}")
    };
    let () = reply.encoding.decode(&reply.bytes).unwrap();
}

/// JSON has one sort of numbers, and a reply is decoded by the type that awaits it.
#[tokio::test]
async fn a_reply_keeps_its_own_encoding_and_so_its_types() {
    let server = Server::answering("200 OK", "", r#"{"rate":1}"#).await;
    let destination = HttpDestination::with(&server.url("/"), local()).unwrap();
    let Attempted::Replied(reply) = destination.deliver(delivery(&json!(1))).await else {
        panic!("no reply")
    };
    let rates: BTreeMap<String, f64> = reply.encoding.decode(&reply.bytes).unwrap();
    assert_eq!(rates["rate"], 1.0);
}
