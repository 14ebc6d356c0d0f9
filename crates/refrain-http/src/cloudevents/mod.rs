//! CloudEvents 1.0.2: an event's attributes and data, from each of the HTTP content modes.
//!
//! What the specification says an event MUST be is checked here, once; nothing behind this module
//! looks at an attribute again. Extension attributes are checked and dropped.

mod attributes;
mod binary;
mod structured;
mod syntax;

use std::borrow::Cow;

pub(crate) use self::attributes::is_attribute_header;
use crate::media_type::MediaType;

/// An event that keeps the rules.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CloudEvent<'a> {
    pub(crate) source: String,
    pub(crate) id: String,
    /// Its `type`.
    pub(crate) kind: String,
    /// Its `datacontenttype`, JSON when it gives none.
    pub(crate) content_type: MediaType,
    /// The data's bytes, as the content type says; `None` when there is no data.
    pub(crate) data: Option<Cow<'a, [u8]>>,
}

impl<'a> CloudEvent<'a> {
    /// The event in a request of the binary mode.
    pub(crate) fn from_binary(
        headers: &http::HeaderMap,
        body: &'a [u8],
    ) -> Result<CloudEvent<'a>, EventError> {
        binary::read(headers, body)
    }

    /// The event in the JSON event format, as in a request of the structured mode.
    pub(crate) fn from_json(json: &'a [u8]) -> Result<CloudEvent<'a>, EventError> {
        structured::read(json)
    }
}

/// Why something is no event of this specification. The event must change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    #[error("the event is not a JSON object: {0}")]
    NotAnObject(String),
    #[error("attribute {attribute} is required")]
    Missing { attribute: &'static str },
    #[error("specversion {found:?} is not supported, only \"1.0\" is")]
    Version { found: String },
    #[error("attribute {attribute} {rule}")]
    Attribute {
        attribute: String,
        rule: &'static str,
    },
    #[error("{0}")]
    Data(&'static str),
}

impl EventError {
    fn attribute(attribute: &str, rule: &'static str) -> EventError {
        EventError::Attribute {
            attribute: attribute.escape_default().to_string(),
            rule,
        }
    }
}
