//! The way in over HTTP: CloudEvents and plain JSON become messages of one processor.
//!
//! A request is answered only after the append, because that is when the processor's answer is
//! there. Every message has an identity, so that a repeat changes nothing and gets the same answer:
//!
//! | Request | Content type | Identity |
//! |---|---|---|
//! | CloudEvent, binary mode | any, with `ce-` headers | source and id |
//! | CloudEvent, structured mode | `application/cloudevents+json` | source and id |
//! | CloudEvents, batched mode | `application/cloudevents-batch+json` | each its own |
//! | plain JSON | `application/json`, `*/*+json` | `Idempotency-Key`, else drawn |
//!
//! Keys and sources are taken as they come: whoever may send under a source can get the answers of
//! that source. Where senders must not see each other's, something in front has to authenticate
//! them. A key that comes with another body gets the first body's answer.
//!
//! What goes wrong is a [`Problem`]. A batch is not all or nothing: each event is answered on its
//! own, in an array, in order. The status of the whole is what a sender needs that looks no further:
//! 200 when every event was answered; 503 when sending the whole batch again helps (those that were
//! handled get their answers again); else 207.

mod exchange;
mod identity;
mod json;
mod kind;
mod mode;
mod problem;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{Request, StatusCode};
use refrain_core::Processor;
use refrain_core::port::asks::Asks;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use self::json::JsonError;
use self::kind::Kind;
pub use self::problem::{Problem, Repeat};

/// Bytes of all bodies that are read or handled at the same time, unless chosen otherwise.
const BODIES_BYTES_DEFAULT: usize = 64 * 1024 * 1024;

/// Makes a message of JSON.
type Reader<M> = Arc<dyn Fn(&[u8]) -> Result<M, JsonError> + Send + Sync>;
type Answering<A> = Arc<dyn Fn(&A) -> Result<(StatusCode, Value), Problem> + Send + Sync>;
type Rejecting<R> = Arc<dyn Fn(&R) -> Problem + Send + Sync>;

/// The way in over HTTP to one processor.
///
/// ```
/// use std::sync::Arc;
/// use http::StatusCode;
/// use refrain_core::{Outbox, Processor};
/// use refrain_core::port::asks::Asks;
/// use refrain_http::{Ingress, Problem};
/// use serde_json::json;
///
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Submit { quantity: u32 }
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Stored { id: u64 }
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Refused { reason: String }
/// # struct Orders;
/// # impl Processor for Orders {
/// #     type Message = Submit;
/// #     type Event = Stored;
/// #     type Answer = Stored;
/// #     type Rejection = Refused;
/// #     fn decide(&self, _: &Submit, out: &mut Outbox<Self>) -> Result<Stored, Refused> {
/// #         out.event(Stored { id: 1 });
/// #         Ok(Stored { id: 1 })
/// #     }
/// #     fn apply(&mut self, _: &Stored) {}
/// # }
/// fn routes(orders: Arc<dyn Asks<Orders>>) -> axum::Router {
///     Ingress::new(orders, "/orders")
///         .event("shop.order.submitted")
///         .answer_with(|stored: &Stored| {
///             (StatusCode::CREATED, json!({ "order_id": stored.id, "status": "stored" }))
///         })
///         .rejection_with(|refused: &Refused| {
///             let kind = "https://shop.example.com/problems/order-refused";
///             Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, "the order was refused")
///                 .detail(refused.reason.as_str())
///         })
///         .into_router()
/// }
/// ```
pub struct Ingress<P: Processor> {
    asks: Arc<dyn Asks<P>>,
    path: String,
    events: BTreeMap<String, Reader<P::Message>>,
    plain: Option<Reader<P::Message>>,
    answering: Answering<P::Answer>,
    rejecting: Rejecting<P::Rejection>,
    draw: Arc<dyn Fn() -> [u8; 16] + Send + Sync>,
    body_bytes_max: usize,
    /// The bytes that bodies may still take.
    bodies_room: Semaphore,
    retry_after: Duration,
}

impl<P: Processor> Ingress<P> {
    /// Takes messages for the processor behind `asks` at `path`.
    ///
    /// Without further choices: plain JSON that is a message, bodies up to 1 MiB, status 200 with
    /// the answer as JSON, and status 422 with the rejection as the member `rejection`.
    #[must_use]
    pub fn new(asks: Arc<dyn Asks<P>>, path: &str) -> Ingress<P> {
        Ingress {
            asks,
            path: path.to_owned(),
            events: BTreeMap::new(),
            plain: Some(Arc::new(json::decode::<P::Message>)),
            answering: Arc::new(|answer| as_json(StatusCode::OK, answer)),
            rejecting: Arc::new(rejected),
            draw: Arc::new(rand::random::<[u8; 16]>),
            body_bytes_max: 1024 * 1024,
            bodies_room: Semaphore::new(BODIES_BYTES_DEFAULT),
            retry_after: Duration::from_secs(1),
        }
    }

    /// Takes CloudEvents of this type, whose data is a message.
    #[must_use]
    pub fn event(self, kind: &str) -> Ingress<P> {
        self.event_as(kind, |message: P::Message| message)
    }

    /// Takes CloudEvents of this type, whose data is a `T`, from which `message` makes a message.
    #[must_use]
    pub fn event_as<T: DeserializeOwned>(
        mut self,
        kind: &str,
        message: impl Fn(T) -> P::Message + Send + Sync + 'static,
    ) -> Ingress<P> {
        let reader = move |bytes: &[u8]| json::decode::<T>(bytes).map(&message);
        self.events.insert(kind.to_owned(), Arc::new(reader));
        self
    }

    /// Takes plain JSON that is a `T`, from which `message` makes a message.
    #[must_use]
    pub fn json_as<T: DeserializeOwned>(
        mut self,
        message: impl Fn(T) -> P::Message + Send + Sync + 'static,
    ) -> Ingress<P> {
        let reader = move |bytes: &[u8]| json::decode::<T>(bytes).map(&message);
        self.plain = Some(Arc::new(reader));
        self
    }

    /// Takes CloudEvents only.
    #[must_use]
    pub fn events_only(mut self) -> Ingress<P> {
        self.plain = None;
        self
    }

    /// Answers with this status and the answer as JSON.
    #[must_use]
    pub fn answer_status(mut self, status: StatusCode) -> Ingress<P> {
        self.answering = Arc::new(move |answer| as_json(status, answer));
        self
    }

    /// Answers with the status and the JSON that `response` makes of an answer.
    #[must_use]
    pub fn answer_with(
        mut self,
        response: impl Fn(&P::Answer) -> (StatusCode, Value) + Send + Sync + 'static,
    ) -> Ingress<P> {
        self.answering = Arc::new(move |answer| Ok(response(answer)));
        self
    }

    /// Answers a rejection with the problem that `problem` makes of it.
    #[must_use]
    pub fn rejection_with(
        mut self,
        problem: impl Fn(&P::Rejection) -> Problem + Send + Sync + 'static,
    ) -> Ingress<P> {
        self.rejecting = Arc::new(problem);
        self
    }

    /// Draws the keys of senders that give none; the operating system's randomness unless chosen.
    /// Two equal ones would make two messages one.
    #[must_use]
    pub fn draw_keys_with(
        mut self,
        draw: impl Fn() -> [u8; 16] + Send + Sync + 'static,
    ) -> Ingress<P> {
        self.draw = Arc::new(draw);
        self
    }

    /// Bytes of a request's body; 1 MiB unless chosen.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Ingress<P> {
        self.body_bytes_max = bytes;
        self
    }

    /// Bytes of all bodies that are read or handled at the same time; 64 MiB unless chosen. What does
    /// not fit is refused as overloaded, with a 503, before anything happened.
    #[must_use]
    pub fn bodies_bytes_max(mut self, bytes: usize) -> Ingress<P> {
        self.bodies_room = Semaphore::new(bytes.min(Semaphore::MAX_PERMITS));
        self
    }

    /// When senders should come again after a 503; one second unless chosen.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Ingress<P> {
        self.retry_after = wait;
        self
    }

    /// The route of this ingress.
    ///
    /// # Panics
    /// When the path is not one of axum's: it begins with `/`.
    pub fn into_router(self) -> Router {
        let path = self.path.clone();
        let ingress = Arc::new(self);
        let handler = move |request| async move { ingress.handle(request).await };
        Router::new().route(&path, post(handler))
    }

    /// Answers one request, whatever its path and method: for routes of one's own.
    pub async fn handle(&self, request: Request<Body>) -> Response {
        match self.respond(request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    }
}

fn as_json<A: serde::Serialize>(
    status: StatusCode,
    answer: &A,
) -> Result<(StatusCode, Value), Problem> {
    match serde_json::to_value(answer) {
        Ok(json) => Ok((status, json)),
        Err(_) => Err(Kind::AnswerGone
            .problem()
            .detail("the answer has no form in JSON")),
    }
}

fn rejected<R: serde::Serialize>(rejection: &R) -> Problem {
    let problem = Kind::Rejected.problem();
    match serde_json::to_value(rejection) {
        Ok(json) => problem.member("rejection", json),
        Err(_) => problem,
    }
}

impl<P: Processor> fmt::Debug for Ingress<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress")
            .field("path", &self.path)
            .field("events", &self.events.keys())
            .field("body_bytes_max", &self.body_bytes_max)
            .finish_non_exhaustive()
    }
}
