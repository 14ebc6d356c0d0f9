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
        let (status, name, title, repeat) = self.row();
        Problem::new(status, &format!("{TYPES}{name}"), title).repeat(repeat)
    }

    fn row(self) -> (StatusCode, &'static str, &'static str, Repeat) {
        use Repeat::{Safe, SameIdentity, Useless};
        use StatusCode as S;
        match self {
            Kind::BodyTooLarge => (
                S::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "the body is too large",
                Useless,
            ),
            Kind::BodyIncomplete => (
                S::BAD_REQUEST,
                "body-incomplete",
                "the body did not come whole",
                Safe,
            ),
            Kind::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "the content type is not supported",
                Useless,
            ),
            Kind::InvalidJson => (
                S::BAD_REQUEST,
                "invalid-json",
                "the message cannot be read",
                Useless,
            ),
            Kind::InvalidKey => (
                S::BAD_REQUEST,
                "invalid-key",
                "the Idempotency-Key cannot be used",
                Useless,
            ),
            Kind::InvalidIdentity => (
                S::BAD_REQUEST,
                "invalid-identity",
                "the identity cannot be used",
                Useless,
            ),
            Kind::InvalidEvent => (
                S::BAD_REQUEST,
                "invalid-event",
                "this is not a CloudEvent",
                Useless,
            ),
            Kind::MissingAttribute => (
                S::BAD_REQUEST,
                "missing-attribute",
                "the CloudEvent lacks an attribute",
                Useless,
            ),
            Kind::UnsupportedVersion => (
                S::BAD_REQUEST,
                "unsupported-specversion",
                "this version of CloudEvents is not supported",
                Useless,
            ),
            Kind::UnknownEventType => (
                S::UNPROCESSABLE_ENTITY,
                "unknown-event-type",
                "events of this type are not taken here",
                Useless,
            ),
            Kind::TooManyEvents => (
                S::PAYLOAD_TOO_LARGE,
                "too-many-events",
                "the batch has too many events",
                Useless,
            ),
            Kind::Rejected => (
                S::UNPROCESSABLE_ENTITY,
                "rejected",
                "the message was rejected",
                Useless,
            ),
            Kind::AnswerGone => (
                S::GONE,
                "answer-gone",
                "handled before; the answer is no longer kept",
                Useless,
            ),
            Kind::Panicked => (
                S::INTERNAL_SERVER_ERROR,
                "panicked",
                "handling the message failed",
                Useless,
            ),
            Kind::NotRecordable => (
                S::INTERNAL_SERVER_ERROR,
                "not-recordable",
                "what follows from the message cannot be recorded",
                Useless,
            ),
            Kind::Overloaded => (S::SERVICE_UNAVAILABLE, "overloaded", "too busy", Safe),
            Kind::NotRecorded => (
                S::SERVICE_UNAVAILABLE,
                "not-recorded",
                "the message was not recorded",
                Safe,
            ),
            Kind::OutcomeUnknown => (
                S::SERVICE_UNAVAILABLE,
                "outcome-unknown",
                "the message may have been handled",
                SameIdentity,
            ),
            Kind::NotRunning => (
                S::SERVICE_UNAVAILABLE,
                "not-running",
                "the processor does not run",
                SameIdentity,
            ),
        }
    }
}
