//! The server against clients that are slow, silent, greedy or many.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use refrain_http::{Drained, ServeLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinSet<Drained>,
    /// Told when a request has reached the handler of `/held`.
    held: Arc<Notify>,
    /// Lets the request at `/held` end.
    release: Arc<Notify>,
}

impl Running {
    async fn start(limits: ServeLimits) -> Running {
        let (held, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (reached, let_go) = (Arc::clone(&held), Arc::clone(&release));
        let router = Router::new()
            .route("/", get(|| async { "fine" }))
            .route("/echo", post(|body: String| async move { body }))
            .route("/large", get(|| async { "x".repeat(64 * 1024 * 1024) }))
            .route("/panics", get(|| async { panic!("by order") as () }))
            .route(
                "/held",
                get(|| async move {
                    reached.notify_one();
                    let_go.notified().await;
                    "released"
                }),
            );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            serve(listener, router, limits, shutdown).await
        });
        Running {
            address,
            stop,
            serving,
            held,
            release,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `request` on a connection of its own and gives all that comes until it is closed.
    async fn send(&self, request: &str) -> String {
        let mut tcp = self.connect().await;
        tcp.write_all(request.as_bytes()).await.unwrap();
        read_all(tcp).await
    }

    async fn stop(mut self) -> Drained {
        let _ = self.stop.send(());
        self.serving.join_next().await.unwrap().unwrap()
    }
}

async fn read_all(mut tcp: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A server may reset a connection whose request it did not read.
    let _ = tcp.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

fn status(response: &str) -> &str {
    response.split("\r\n").next().unwrap()
}

const CLOSE: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_request_is_answered() {
    let server = Running::start(ServeLimits::default()).await;
    let response = server.send(CLOSE).await;
    assert_eq!(status(&response), "HTTP/1.1 200 OK");
    assert!(response.ends_with("\r\n\r\nfine"));
    assert_eq!(server.stop().await, Drained::Whole);
}

#[tokio::test]
async fn a_head_that_does_not_come_closes_the_connection() {
    let limits = ServeLimits {
        head_time_max: SHORT,
        ..ServeLimits::default()
    };
    let server = Running::start(limits).await;
    for part in ["", "GET / HTTP/1.1\r\nhost:"] {
        assert_eq!(server.send(part).await, "", "{part:?}");
    }
    // Idle after a request that was answered. On a busy machine even its head may come too late.
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut response = String::new();
    while response.is_empty() {
        response = server.send(request).await;
    }
    assert_eq!(status(&response), "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let limits = ServeLimits::default();
    let server = Running::start(limits.clone()).await;
    let head = |bytes| {
        format!(
            "GET / HTTP/1.1\r\nx: {}\r\nconnection: close\r\n\r\n",
            "x".repeat(bytes)
        )
    };
    let refused = server.send(&head(limits.head_bytes_max)).await;
    assert_eq!(
        status(&refused),
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    let taken = server.send(&head(limits.head_bytes_max / 2)).await;
    assert_eq!(status(&taken), "HTTP/1.1 200 OK");
    let many = "x: y\r\n".repeat(101);
    let refused = server.send(&format!("GET / HTTP/1.1\r\n{many}\r\n")).await;
    assert_eq!(
        status(&refused),
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_the_request() {
    let limits = ServeLimits {
        body_time_max: SHORT,
        ..ServeLimits::default()
    };
    let server = Running::start(limits).await;
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n";
    let response = server.send(&format!("{head}hal")).await;
    assert_eq!(status(&response), "HTTP/1.1 400 Bad Request");
    assert!(
        response.contains("the body took longer than 300ms"),
        "{response}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let limits = ServeLimits {
        stall_time_max: SHORT,
        connections_max: 1,
        ..ServeLimits::default()
    };
    let server = Running::start(limits).await;
    let mut stalled = server.connect().await;
    let request = b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n";
    stalled.write_all(request).await.unwrap();
    // The only place is free again once the stalled client is gone.
    assert_eq!(status(&server.send(CLOSE).await), "HTTP/1.1 200 OK");
    drop(stalled);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let limits = ServeLimits {
        connections_max: 2,
        ..ServeLimits::default()
    };
    let server = Running::start(limits).await;
    let mut places = Vec::new();
    for _ in 0..2 {
        let mut tcp = server.connect().await;
        tcp.write_all(b"GET /held HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        server.held.notified().await;
        places.push(tcp);
    }
    let mut third = server.connect().await;
    third.write_all(CLOSE.as_bytes()).await.unwrap();
    let early = tokio::time::timeout(SHORT, third.read_u8()).await;
    assert!(early.is_err(), "it was answered before there was a place");
    server.release.notify_one();
    assert!(
        read_all(third).await.ends_with("ine"),
        "it was not answered"
    );
}

#[tokio::test]
async fn a_handler_that_panics_takes_only_its_connection_with_it() {
    let server = Running::start(ServeLimits::default()).await;
    let request = "GET /panics HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(server.send(request).await, "");
    assert_eq!(status(&server.send(CLOSE).await), "HTTP/1.1 200 OK");
    assert_eq!(server.stop().await, Drained::Whole);
}

#[tokio::test]
async fn requests_under_way_end_before_the_server_does() {
    let server = Running::start(ServeLimits::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut under_way = server.connect().await;
    under_way
        .write_all(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    server.held.notified().await;
    let (address, release) = (server.address, Arc::clone(&server.release));

    let (drained, response) = tokio::join!(server.stop(), async {
        // Once the idle connection is closed, the server is stopping.
        assert_eq!(status(&read_all(idle).await), "HTTP/1.1 200 OK");
        release.notify_one();
        read_all(under_way).await
    });

    assert_eq!(drained, Drained::Whole);
    assert!(response.ends_with("released"), "{response}");
    assert!(
        TcpStream::connect(address).await.is_err(),
        "it still listens"
    );
}

#[tokio::test]
async fn requests_that_do_not_end_are_cut_off() {
    let limits = ServeLimits {
        drain_time_max: SHORT,
        ..ServeLimits::default()
    };
    let server = Running::start(limits).await;
    let mut under_way = server.connect().await;
    under_way
        .write_all(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    server.held.notified().await;
    assert_eq!(server.stop().await, Drained::CutOff { connections: 1 });
    assert_eq!(read_all(under_way).await, "");
}

/// Reliability requirement S6, in small.
#[tokio::test]
async fn silent_and_dribbling_clients_do_not_keep_others_out() {
    let server = Running::start(ServeLimits::default()).await;
    let mut hostile = Vec::new();
    for number in 0..200 {
        let mut tcp = server.connect().await;
        if number % 2 == 0 {
            tcp.write_all(b"GET / HT").await.unwrap();
        }
        hostile.push(tcp);
    }
    for _ in 0..50 {
        assert_eq!(status(&server.send(CLOSE).await), "HTTP/1.1 200 OK");
    }
}
