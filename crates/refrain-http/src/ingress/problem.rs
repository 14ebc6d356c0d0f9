//! Problem responses (RFC 9457): what is wrong, with which message, and whether to repeat it.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

use super::identity::Identity;

/// Why a message got no answer, as a response of the type `application/problem+json`.
///
/// ```
/// use http::StatusCode;
/// use refrain_http::Problem;
///
/// let problem = Problem::new(
///     StatusCode::CONFLICT,
///     "https://shop.example.com/problems/sold-out",
///     "the product is sold out",
/// )
/// .detail("jelly beans come back on Monday")
/// .member("product", "jelly beans");
/// assert_eq!(problem.status(), StatusCode::CONFLICT);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Boxed: problems are returned as errors all the way up.
    parts: Box<Parts>,
}

#[derive(Debug, Clone, PartialEq)]
struct Parts {
    status: StatusCode,
    kind: String,
    title: String,
    detail: Option<String>,
    message: Option<Value>,
    repeat: Repeat,
    retry_after: Option<Duration>,
    members: Map<String, Value>,
}

/// Whether the sender should send the message again. The member `repeat` of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Repeat {
    /// Nothing was recorded; the same message may be sent again as it is.
    Safe,
    /// The message may have been handled: send it again only with the same identity, which gives the
    /// stored answer if it was.
    SameIdentity,
    /// The same message would fail the same way.
    Useless,
}

/// The problem's members in the order in which people read them.
#[derive(Serialize)]
struct View<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Value>,
    repeat: Repeat,
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

impl Problem {
    /// A problem of the type that the URI `kind` names, which repeating does not help.
    #[must_use]
    pub fn new(status: StatusCode, kind: &str, title: &str) -> Problem {
        let parts = Parts {
            status,
            kind: kind.to_owned(),
            title: title.to_owned(),
            detail: None,
            message: None,
            repeat: Repeat::Useless,
            retry_after: None,
            members: Map::new(),
        };
        Problem {
            parts: Box::new(parts),
        }
    }

    /// Says what is special about this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.parts.detail = Some(detail.into());
        self
    }

    /// Says whether to repeat the message.
    #[must_use]
    pub fn repeat(mut self, repeat: Repeat) -> Problem {
        self.parts.repeat = repeat;
        self
    }

    /// Adds an extension member. The names of the standard and `message` and `repeat` are taken.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Problem {
        let taken = ["type", "title", "status", "detail", "message", "repeat"];
        if !taken.contains(&name) {
            self.parts.members.insert(name.to_owned(), value.into());
        }
        self
    }

    /// When to repeat, told as `Retry-After` in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Problem {
        self.parts.retry_after = Some(wait);
        self
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.parts.status
    }

    pub(super) fn about(mut self, identity: &Identity) -> Problem {
        self.parts.message = Some(identity.to_json());
        self
    }

    pub(super) fn is_worth_repeating(&self) -> bool {
        match self.parts.repeat {
            Repeat::Safe | Repeat::SameIdentity => true,
            Repeat::Useless => false,
        }
    }

    /// The value of `Retry-After`, if there is one.
    pub(super) fn retry_after_header(&self) -> Option<(HeaderName, HeaderValue)> {
        let wait = self.parts.retry_after?;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Some((RETRY_AFTER, HeaderValue::from(seconds)))
    }

    pub(super) fn to_json(&self) -> Value {
        serde_json::to_value(self.view()).unwrap_or(Value::Null)
    }

    fn view(&self) -> View<'_> {
        View {
            r#type: &self.parts.kind,
            title: &self.parts.title,
            status: self.parts.status.as_u16(),
            detail: self.parts.detail.as_deref(),
            message: self.parts.message.as_ref(),
            repeat: self.parts.repeat,
            members: &self.parts.members,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let json = serde_json::to_vec(&self.view()).unwrap_or_default();
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = self.parts.status;
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, json);
        headers.extend(self.retry_after_header());
        response
    }
}
