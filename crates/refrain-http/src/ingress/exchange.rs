//! One request: from its bytes to messages, and from the processor's word to a response.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, StatusCode};
use refrain_core::{AskError, MessageId, Processor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::SemaphorePermit;

use super::identity::Identity;
use super::json::JsonError;
use super::kind::Kind;
use super::mode::Mode;
use super::{Ingress, Problem, Reader};
use crate::body::{self, BodyError, UntakenError};
use crate::cloudevents::{CloudEvent, EventError};

/// Events of one batch.
const BATCH_EVENTS_MAX: usize = 1024;

/// Bytes of a body that is too large which are still taken, so that its sender reads why.
const DISCARD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A message that can be asked.
struct Submission<M> {
    identity: Identity,
    id: MessageId,
    message: M,
}

/// The status and the body for one message that was answered.
type Answered = (Identity, StatusCode, Value);

impl<P: Processor> Ingress<P> {
    pub(super) async fn respond(&self, request: Request<Body>) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let mode = Mode::of(&head.headers).map_err(|found| self.unsupported(&found))?;
        if let Some(encoding) = head.headers.get(CONTENT_ENCODING) {
            let detail = format!("the content encoding {encoding:?} is not taken");
            return Err(Kind::UnsupportedMediaType.problem().detail(detail));
        }
        // The room of the body is kept until the message is answered.
        let (body, _room) = self.read(body).await?;
        let submission = match mode {
            Mode::Plain => self.plain(&head.headers, &body)?,
            Mode::Binary => self.event_of(CloudEvent::from_binary(&head.headers, &body))?,
            Mode::Structured => self.event_of(CloudEvent::from_json(&body))?,
            Mode::Batched => return self.batch(&body).await,
        };
        let (_, status, answer) = self.ask(submission).await?;
        Ok(json_response(status, &answer))
    }

    async fn read(&self, mut body: Body) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Problem> {
        match body::read_within(&mut body, self.body_bytes_max, &self.bodies_room).await {
            Ok(read) => Ok(read),
            Err(error) => {
                body::discard(&mut body, DISCARD_BYTES_MAX).await;
                Err(match error {
                    UntakenError::Body(error) => unread(error),
                    UntakenError::NoRoom => {
                        Kind::Overloaded.problem().retry_after(self.retry_after)
                    }
                })
            }
        }
    }

    /// A message that a plain request carries.
    fn plain(&self, headers: &HeaderMap, body: &[u8]) -> Result<Submission<P::Message>, Problem> {
        let Some(reader) = &self.plain else {
            return Err(self.unsupported("application/json"));
        };
        let given = Identity::of_request(headers)
            .map_err(|reason| Kind::InvalidKey.problem().detail(reason))?;
        let identity = given.unwrap_or_else(|| Identity::drawn((self.draw)()));
        submission(identity, reader, body, "")
    }

    /// The message that is an event's data.
    fn event_of(
        &self,
        event: Result<CloudEvent<'_>, EventError>,
    ) -> Result<Submission<P::Message>, Problem> {
        let event = event.map_err(|error| not_an_event(&error))?;
        let identity = Identity::Event {
            source: event.source,
            id: event.id,
        };
        let Some(reader) = self.events.get(&event.kind) else {
            let accepted: Vec<&str> = self.events.keys().map(String::as_str).collect();
            return Err(Kind::UnknownEventType
                .problem()
                .about(&identity)
                .detail(format!("the type is {:?}", event.kind))
                .member("accepted", accepted));
        };
        if event.data.is_some() && !event.content_type.is_json() {
            let found = event.content_type.essence();
            let detail = format!("the data is {found}, JSON in UTF-8 is taken");
            return Err(Kind::UnsupportedMediaType
                .problem()
                .about(&identity)
                .detail(detail));
        }
        let data = event.data.as_deref().unwrap_or(b"null");
        submission(identity, reader, data, "data")
    }

    /// Answers each event of a batch on its own, in order.
    async fn batch(&self, body: &[u8]) -> Result<Response, Problem> {
        let events: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| {
            let detail = format!("a batch is a JSON array of events: {error}");
            Kind::InvalidJson.problem().detail(detail)
        })?;
        if events.len() > BATCH_EVENTS_MAX {
            let detail = format!(
                "{} events, at most {BATCH_EVENTS_MAX} are taken",
                events.len()
            );
            return Err(Kind::TooManyEvents.problem().detail(detail));
        }
        // Asked in order and all at once, so that one append can take them together.
        let asked = events.into_iter().map(|event| {
            let submission = self.event_of(CloudEvent::from_json(event.get().as_bytes()));
            async move { self.ask(submission?).await }
        });
        let outcomes = join_all(asked).await;
        let items: Vec<Value> = outcomes.iter().map(item).collect();
        let problems: Vec<&Problem> = outcomes.iter().filter_map(|o| o.as_ref().err()).collect();
        let again = problems.iter().any(|problem| problem.is_worth_repeating());
        let status = match (problems.is_empty(), again) {
            (true, _) => StatusCode::OK,
            (false, true) => StatusCode::SERVICE_UNAVAILABLE,
            (false, false) => StatusCode::MULTI_STATUS,
        };
        let mut response = json_response(status, &Value::from(items));
        let wait = problems
            .iter()
            .find_map(|problem| problem.retry_after_header());
        response.headers_mut().extend(wait);
        Ok(response)
    }

    async fn ask(&self, submission: Submission<P::Message>) -> Result<Answered, Problem> {
        let Submission {
            identity,
            id,
            message,
        } = submission;
        match self.asks.ask(id, message).await {
            Ok(answer) => match (self.answering)(&answer) {
                Ok((status, json)) => Ok((identity, status, json)),
                Err(problem) => Err(problem.about(&identity)),
            },
            Err(error) => Err(self.refusal(&error).about(&identity)),
        }
    }

    /// The problem that tells why a message got no answer. What happened inside goes to the log.
    fn refusal(&self, error: &AskError<P::Rejection>) -> Problem {
        let kind = match error {
            AskError::Rejected(rejection) => return (self.rejecting)(rejection),
            AskError::Panicked(_) => Kind::Panicked,
            AskError::Invalid(_) => Kind::NotRecordable,
            AskError::Overloaded { .. } => Kind::Overloaded,
            AskError::NotRecorded { .. } => Kind::NotRecorded,
            AskError::Unknown { .. } => Kind::OutcomeUnknown,
            AskError::AnswerGone { .. } => return Kind::AnswerGone.problem(),
            AskError::NotRunning { .. } => Kind::NotRunning,
            // A later kind: nothing is known of it, which is what this one says.
            _ => Kind::OutcomeUnknown,
        };
        tracing::warn!(path = %self.path, %error, "a message got no answer");
        let problem = kind.problem();
        if problem.is_worth_repeating() {
            problem.retry_after(self.retry_after)
        } else {
            problem
        }
    }

    fn unsupported(&self, found: &str) -> Problem {
        let mut accepted = Vec::new();
        if self.plain.is_some() {
            accepted.push("application/json");
        }
        if !self.events.is_empty() {
            accepted.push("application/cloudevents+json");
            accepted.push("application/cloudevents-batch+json");
        }
        let detail = if found.is_empty() {
            "the request has no content type".to_owned()
        } else {
            format!("the content type is {found:?}")
        };
        Kind::UnsupportedMediaType
            .problem()
            .detail(detail)
            .member("accepted", accepted)
    }
}

/// Reads the message of a sender whose identity is known; `member` is where its JSON stood.
fn submission<M>(
    identity: Identity,
    reader: &Reader<M>,
    json: &[u8],
    member: &str,
) -> Result<Submission<M>, Problem> {
    let id = identity.message_id().map_err(|error| {
        let problem = Kind::InvalidIdentity.problem().about(&identity);
        problem.detail(error.to_string())
    })?;
    match reader(json) {
        Ok(message) => Ok(Submission {
            identity,
            id,
            message,
        }),
        Err(error) => Err(unreadable(&error, member).about(&identity)),
    }
}

fn unreadable(error: &JsonError, member: &str) -> Problem {
    let field = match (&error.field, member) {
        (Some(field), "") => Some(field.clone()),
        (Some(field), member) => Some(format!("{member}.{field}")),
        (None, "") => None,
        (None, member) => Some(member.to_owned()),
    };
    let problem = Kind::InvalidJson
        .problem()
        .detail(error.reason.as_str())
        .member("line", error.line)
        .member("column", error.column);
    match field {
        Some(field) => problem.member("field", field),
        None => problem,
    }
}

fn unread(error: BodyError) -> Problem {
    match error {
        BodyError::TooLarge { limit } => Kind::BodyTooLarge
            .problem()
            .detail(format!("at most {limit} bytes are taken"))
            .member("body_bytes_max", limit),
        BodyError::Broken(error) => Kind::BodyIncomplete.problem().detail(error.to_string()),
    }
}

fn not_an_event(error: &EventError) -> Problem {
    let kind = match error {
        EventError::Missing { .. } => Kind::MissingAttribute,
        EventError::Version { .. } => Kind::UnsupportedVersion,
        EventError::NotAnObject(_) | EventError::Attribute { .. } | EventError::Data(_) => {
            Kind::InvalidEvent
        }
    };
    let problem = kind.problem().detail(error.to_string());
    match error {
        EventError::Missing { attribute } => problem.member("attribute", *attribute),
        EventError::Attribute { attribute, .. } => problem.member("attribute", attribute.as_str()),
        EventError::Version { .. } => problem.member("attribute", "specversion"),
        EventError::NotAnObject(_) | EventError::Data(_) => problem,
    }
}

/// What the response to a batch says of one event.
fn item(outcome: &Result<Answered, Problem>) -> Value {
    match outcome {
        Ok((identity, status, answer)) => json!({
            "status": status.as_u16(),
            "message": identity.to_json(),
            "answer": answer,
        }),
        Err(problem) => json!({
            "status": problem.status().as_u16(),
            "problem": problem.to_json(),
        }),
    }
}

fn json_response(status: StatusCode, json: &Value) -> Response {
    let mut response = Response::new(Body::from(json.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
