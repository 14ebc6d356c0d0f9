//! The problems that the ingress itself finds, with all that is the same for each.

use http::StatusCode;

use super::problem::{Problem, Repeat};

/// Where the types of problems are named.
const TYPES: &str = "urn:refrain:problem:";

/// A problem that the ingress finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    BodyTooLarge,
    BodyIncomplete,
    UnsupportedMediaType,
    InvalidJson,
    InvalidKey,
    InvalidIdentity,
    InvalidEvent,
    MissingAttribute,
    UnsupportedVersion,
    UnknownEventType,
    TooManyEvents,
    Rejected,
    AnswerGone,
    Panicked,
    NotRecordable,
    Overloaded,
    NotRecorded,
    OutcomeUnknown,
    NotRunning,
}

impl Kind {
    /// A problem of this kind, without its occurrence.
    pub(super) fn problem(self) -> Problem {
        let kind = format!("{TYPES}{}", self.name());
        Problem::new(self.status(), &kind, self.title()).repeat(self.repeat())
    }

    fn status(self) -> StatusCode {
        match self {
            Kind::BodyIncomplete
            | Kind::InvalidJson
            | Kind::InvalidKey
            | Kind::InvalidIdentity
            | Kind::InvalidEvent
            | Kind::MissingAttribute
            | Kind::UnsupportedVersion => StatusCode::BAD_REQUEST,
            Kind::AnswerGone => StatusCode::GONE,
            Kind::BodyTooLarge | Kind::TooManyEvents => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::UnknownEventType | Kind::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Panicked | Kind::NotRecordable => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Overloaded | Kind::NotRecorded | Kind::OutcomeUnknown | Kind::NotRunning => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn repeat(self) -> Repeat {
        match self {
            Kind::BodyIncomplete | Kind::Overloaded | Kind::NotRecorded => Repeat::Safe,
            Kind::OutcomeUnknown | Kind::NotRunning => Repeat::SameIdentity,
            Kind::BodyTooLarge
            | Kind::UnsupportedMediaType
            | Kind::InvalidJson
            | Kind::InvalidKey
            | Kind::InvalidIdentity
            | Kind::InvalidEvent
            | Kind::MissingAttribute
            | Kind::UnsupportedVersion
            | Kind::UnknownEventType
            | Kind::TooManyEvents
            | Kind::Rejected
            | Kind::AnswerGone
            | Kind::Panicked
            | Kind::NotRecordable => Repeat::Useless,
        }
    }

    /// The end of the problem's type: senders' code may depend on it, so it never changes.
    fn name(self) -> &'static str {
        match self {
            Kind::BodyTooLarge => "body-too-large",
            Kind::BodyIncomplete => "body-incomplete",
            Kind::UnsupportedMediaType => "unsupported-media-type",
            Kind::InvalidJson => "invalid-json",
            Kind::InvalidKey => "invalid-key",
            Kind::InvalidIdentity => "invalid-identity",
            Kind::InvalidEvent => "invalid-event",
            Kind::MissingAttribute => "missing-attribute",
            Kind::UnsupportedVersion => "unsupported-specversion",
            Kind::UnknownEventType => "unknown-event-type",
            Kind::TooManyEvents => "too-many-events",
            Kind::Rejected => "rejected",
            Kind::AnswerGone => "answer-gone",
            Kind::Panicked => "panicked",
            Kind::NotRecordable => "not-recordable",
            Kind::Overloaded => "overloaded",
            Kind::NotRecorded => "not-recorded",
            Kind::OutcomeUnknown => "outcome-unknown",
            Kind::NotRunning => "not-running",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Kind::BodyTooLarge => "the body is too large",
            Kind::BodyIncomplete => "the body did not come whole",
            Kind::UnsupportedMediaType => "the content type is not supported",
            Kind::InvalidJson => "the message cannot be read",
            Kind::InvalidKey => "the Idempotency-Key cannot be used",
            Kind::InvalidIdentity => "the identity cannot be used",
            Kind::InvalidEvent => "this is not a CloudEvent",
            Kind::MissingAttribute => "the CloudEvent lacks an attribute",
            Kind::UnsupportedVersion => "this version of CloudEvents is not supported",
            Kind::UnknownEventType => "events of this type are not taken here",
            Kind::TooManyEvents => "the batch has too many events",
            Kind::Rejected => "the message was rejected",
            Kind::AnswerGone => "handled before; the answer is no longer kept",
            Kind::Panicked => "handling the message failed",
            Kind::NotRecordable => "what follows from the message cannot be recorded",
            Kind::Overloaded => "too busy",
            Kind::NotRecorded => "the message was not recorded",
            Kind::OutcomeUnknown => "the message may have been handled",
            Kind::NotRunning => "the processor does not run",
        }
    }
}
