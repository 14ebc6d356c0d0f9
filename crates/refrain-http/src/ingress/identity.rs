//! By what a message is recognised when it comes again.

use http::HeaderMap;
use http::header::HeaderName;
use refrain_core::{MessageId, MessageIdError};
use serde_json::{Value, json};

use crate::media_type::unquote;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The source under which keys of plain requests are remembered. No CloudEvent can have it: a source
/// is a URI-reference, and those hold no angle brackets.
const KEY_SOURCE: &str = "<http>";

/// The identity of one message from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// A CloudEvent's source and id.
    Event { source: String, id: String },
    /// A plain request's `Idempotency-Key`, or the one that was drawn for it.
    Key(String),
}

impl Identity {
    pub(super) fn message_id(&self) -> Result<MessageId, MessageIdError> {
        match self {
            Identity::Event { source, id } => MessageId::given(source, id),
            Identity::Key(key) => MessageId::given(KEY_SOURCE, key),
        }
    }

    /// As senders know it.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Identity::Event { source, id } => json!({ "source": source, "id": id }),
            Identity::Key(key) => json!({ "idempotency_key": key }),
        }
    }

    /// The identity that a plain request gives.
    ///
    /// Both forms that are in use mean the same key: the string of the IETF draft, in quotes, and
    /// the bare one.
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Option<Identity>, &'static str> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err("there is more than one");
        }
        let text = value
            .to_str()
            .map_err(|_| "it is not printable ASCII")?
            .trim();
        let key = match text.strip_prefix('"') {
            None => text.to_owned(),
            Some(quoted) => match unquote(quoted) {
                Some((key, "")) => key,
                Some(_) | None => return Err("its quotes are not closed at its end"),
            },
        };
        if key.is_empty() {
            return Err("it is empty");
        }
        Ok(Some(Identity::Key(key)))
    }

    /// An identity for a sender that gave none, as if it had sent these bits as its key.
    ///
    /// A problem tells it, so a sender that is told to repeat can do so with this key.
    pub(super) fn drawn(bits: [u8; 16]) -> Identity {
        Identity::Key(format!("{:032x}", u128::from_be_bytes(bits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn both_forms_of_a_key_are_read_and_others_refused() {
        let rows: [(&[u8], Result<&str, ()>); 11] = [
            (b"order-17", Ok("order-17")),
            (b"\"order-17\"", Ok("order-17")),
            (b" order 17 ", Ok("order 17")),
            (br#""a \"b\" \\""#, Ok(r#"a "b" \"#)),
            (b"a, b", Ok("a, b")),
            (b"", Err(())),
            (b"\"\"", Err(())),
            (b"\"open", Err(())),
            (b"\"a\"; p=1", Err(())),
            (b"\xc3\xa9", Err(())),
            (b"a\tb", Ok("a\tb")),
        ];
        for (value, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
            let found = Identity::of_request(&headers).map_err(|_| ());
            let expected = expected.map(|key| Some(Identity::Key(key.to_owned())));
            assert_eq!(found, expected, "{value:?}");
        }
        assert_eq!(Identity::of_request(&HeaderMap::new()), Ok(None));
        let mut twice = HeaderMap::new();
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("b"));
        assert!(Identity::of_request(&twice).is_err());
    }

    #[test]
    fn an_event_cannot_have_the_identity_of_a_key() {
        let event = Identity::Event {
            source: "http".to_owned(),
            id: "1".to_owned(),
        };
        let key = Identity::Key("1".to_owned());
        assert_ne!(event.message_id(), key.message_id());
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-type", "t"),
            ("ce-id", "1"),
            ("ce-source", KEY_SOURCE),
        ];
        let headers = headers.map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let headers: HeaderMap = headers.into_iter().collect();
        assert!(crate::cloudevents::CloudEvent::from_binary(&headers, b"").is_err());
    }

    #[test]
    fn a_drawn_identity_can_be_given_back_as_a_key() {
        let drawn = Identity::drawn([0xab; 16]);
        let mut headers = HeaderMap::new();
        let key = HeaderValue::from_static("abababababababababababababababab");
        headers.insert(IDEMPOTENCY_KEY, key);
        assert_eq!(Identity::of_request(&headers), Ok(Some(drawn)));
    }
}
