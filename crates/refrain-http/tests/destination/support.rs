//! What the tests of the destination share: deliveries, and a server that misbehaves by script.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use refrain_core::port::destination::Delivery;
use refrain_core::{Encoding, Epoch, Key, Timestamp};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// A delivery of `request`, as CBOR.
pub(crate) fn delivery(request: &impl Serialize) -> Delivery {
    let mut bytes = Vec::new();
    Encoding::Cbor.encode(request, &mut bytes).unwrap();
    Delivery {
        sender: "orders".parse().unwrap(),
        channel: "card-validation",
        number: 17,
        settled_below: 16,
        key: Key::new([0xab; 16]),
        attempt: 2,
        epoch: Epoch::new(3),
        // Sun, 06 Nov 1994 08:50:00 GMT, a minute after the attempt began: longer than any test
        // waits for what does come, on a machine that does much else.
        deadline: Timestamp::from_micros(784_111_800_000_000),
        timeout: Duration::from_secs(60),
        correlation: Key::new([0xc0; 16]),
        causation: Key::new([0xca; 16]),
        encoding: Encoding::Cbor,
        request: Bytes::from(bytes),
    }
}

/// What the server does once it has read a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Replies with the request's body and waits for the next request.
    Echo,
    /// Sends these bytes and waits for the next request.
    Send(Vec<u8>),
    /// Sends these bytes and closes in good order.
    SendAndClose(Vec<u8>),
    /// Sends these bytes and resets the connection.
    SendAndReset(Vec<u8>),
    /// Sends these bytes and nothing more, while the connection stays open.
    SendAndHang(Vec<u8>),
    /// Sends the first bytes, and then the others again and again for as long as they are taken.
    Flood(Vec<u8>, Vec<u8>),
}

/// A server on loopback that follows a script: one act a request, the last one for all that follow.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    script: Script,
    seen: Arc<Mutex<Seen>>,
    _serving: JoinSet<()>,
}

type Script = Arc<Mutex<VecDeque<Act>>>;

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
    /// Rung with each request.
    bell: Arc<Notify>,
}

impl Server {
    pub(crate) async fn start(script: Vec<Act>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut serving = JoinSet::new();
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let (acts, witness) = (Arc::clone(&script), Arc::clone(&seen));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                witness.lock().unwrap().connections += 1;
                connections.spawn(converse(tcp, Arc::clone(&acts), Arc::clone(&witness)));
            }
        });
        Server {
            address,
            script,
            seen,
            _serving: serving,
        }
    }

    /// A server that answers each request with this status, these headers and this body.
    pub(crate) async fn answering(status: &str, headers: &str, body: &str) -> Server {
        Server::start(vec![Act::Send(response(status, headers, body))]).await
    }

    /// Follows this script from now on.
    pub(crate) fn direct(&self, script: Vec<Act>) {
        *self.script.lock().unwrap() = VecDeque::from(script);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// Waits until a request has come.
    pub(crate) async fn requested(&self) {
        let bell = Arc::clone(&self.seen.lock().unwrap().bell);
        while self.requests().is_empty() {
            bell.notified().await;
        }
    }
}

/// A whole response.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

async fn converse(mut tcp: TcpStream, script: Script, seen: Arc<Mutex<Seen>>) {
    while let Some(request) = read_request(&mut tcp).await {
        let body = body_of(&request).to_owned();
        let bell = {
            let mut seen = seen.lock().unwrap();
            seen.requests.push(request);
            Arc::clone(&seen.bell)
        };
        bell.notify_one();
        let act = {
            let mut script = script.lock().unwrap();
            let act = script.front().cloned().expect("a script has an act");
            if script.len() > 1 {
                script.pop_front();
            }
            act
        };
        match act {
            Act::Echo => {
                // The client may be gone: a delivery can be dropped at any moment.
                if tcp.write_all(&response("200 OK", "", &body)).await.is_err() {
                    return;
                }
            }
            Act::Send(bytes) => tcp.write_all(&bytes).await.unwrap(),
            Act::SendAndClose(bytes) => {
                let _ = tcp.write_all(&bytes).await;
                return;
            }
            Act::SendAndReset(bytes) => {
                tcp.write_all(&bytes).await.unwrap();
                tcp.set_zero_linger().unwrap();
                return;
            }
            Act::SendAndHang(bytes) => {
                tcp.write_all(&bytes).await.unwrap();
                std::future::pending::<()>().await;
            }
            Act::Flood(first, then) => {
                tcp.write_all(&first).await.unwrap();
                while tcp.write_all(&then).await.is_ok() {}
            }
        }
    }
}

/// The body of a request as text.
pub(crate) fn body_of(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

/// One request as text, its length taken from `content-length`.
pub(crate) async fn read_request(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        if io.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
