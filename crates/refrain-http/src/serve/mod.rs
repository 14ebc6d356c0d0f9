//! A server with limits: what a public accept loop must not leave out.
//!
//! A client may be slow, silent or hostile; none of that may cost more than one bounded connection
//! for a bounded time. HTTP/1.1 only. There is no TLS and no authentication here: bind to loopback,
//! or put a proxy in front.

mod body;
mod limits;
mod stream;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use self::body::TimedBody;
pub use self::limits::ServeLimits;
use self::stream::PatientStream;

/// The least that the connection's buffer can be.
const HEAD_BYTES_MIN: usize = 8 * 1024;

/// How long to wait when no connection can be accepted: files are short, and trying at once would
/// only take the time of those who could close some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request that was under way got its response.
    Whole,
    /// Some did not end in time and were cut off.
    CutOff {
        /// How many connections.
        connections: usize,
    },
}

/// Serves `router` on `listener` until `shutdown` is ready, then lets requests under way end.
///
/// The future owns every connection: dropping it closes them.
///
/// ```
/// use refrain_http::{Drained, ServeLimits, serve};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let router = axum::Router::new();
/// let shutdown = std::future::ready(());
/// let drained = serve(listener, router, ServeLimits::default(), shutdown).await;
/// assert_eq!(drained, Drained::Whole);
/// # Ok(())
/// # }
/// ```
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let room = Arc::new(Semaphore::new(limits.connections_max));
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &room) => accepted,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
        };
        let serving = connection(accepted.0, router.clone(), limits.clone(), stopping.clone());
        let permit = accepted.1;
        connections.spawn(async move {
            serving.await;
            drop(permit);
        });
    }
    drop(listener);
    drop(stop);
    drain(connections, limits.drain_time_max).await
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(room)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => return (tcp, permit),
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends; after the server began to stop, until its request ends.
async fn connection(
    tcp: TcpStream,
    router: Router,
    limits: ServeLimits,
    mut stopping: watch::Receiver<()>,
) {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it was served");
        return;
    }
    let body_time_max = limits.body_time_max;
    let service = service_fn(move |request: http::Request<Incoming>| {
        let request = request.map(|body| Body::new(TimedBody::new(body, body_time_max)));
        router.clone().call(request)
    });
    let io = TokioIo::new(PatientStream::new(tcp, limits.stall_time_max));
    let head_bytes_max = limits.head_bytes_max.max(HEAD_BYTES_MIN);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time_max)
        .max_header_size(head_bytes_max)
        .max_buf_size(head_bytes_max)
        .serve_connection(io, service);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        _ = stopping.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn drain(mut connections: JoinSet<()>, drain_time_max: Duration) -> Drained {
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(drain_time_max, all_ended)
        .await
        .is_ok()
    {
        return Drained::Whole;
    }
    let cut_off = connections.len();
    connections.shutdown().await;
    Drained::CutOff {
        connections: cut_off,
    }
}

/// A handler that panicked took its connection with it, and nothing else.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a handler panicked");
    }
}
