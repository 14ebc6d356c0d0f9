//! Between the stored encoding and what travels.
//!
//! By default JSON travels, whatever is stored. A reply is recorded as it came, with its own encoding,
//! so it is not translated at all. A request is translated by structure, through `serde_json::Value`:
//! text, whole numbers, lists, maps, truth and null mean the same on both sides. What does not (bytes;
//! types that write themselves differently for people) needs the request's type, which
//! [`HttpOptions::typed`](super::HttpOptions::typed) gives.

use bytes::Bytes;
use refrain_core::Encoding;
use refrain_core::port::destination::Reply;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::depth;

/// Turns bytes of the stored encoding into JSON; the error is for people.
type Translate = fn(Encoding, &Bytes) -> Result<Bytes, String>;

/// What travels in the bodies of requests and replies.
#[derive(Clone, Copy)]
pub(crate) struct Payload {
    form: Form,
    replies: Replies,
}

#[derive(Clone, Copy)]
enum Form {
    /// JSON; requests are translated from the stored encoding.
    Json { request: Translate },
    /// The stored bytes.
    AsStored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replies {
    Read,
    /// Whatever comes is taken as null, unread.
    Ignored,
}

impl Payload {
    /// JSON, translated by structure.
    pub(crate) fn json() -> Payload {
        let form = Form::Json {
            request: request_by::<Value>,
        };
        Payload {
            form,
            replies: Replies::Read,
        }
    }

    pub(crate) fn typed_json<Q>() -> Payload
    where
        Q: Serialize + DeserializeOwned,
    {
        let form = Form::Json {
            request: request_by::<Q>,
        };
        Payload {
            form,
            replies: Replies::Read,
        }
    }

    pub(crate) fn as_stored() -> Payload {
        Payload {
            form: Form::AsStored,
            replies: Replies::Read,
        }
    }

    pub(crate) fn with_replies(self, replies: Replies) -> Payload {
        Payload { replies, ..self }
    }

    pub(crate) fn replies(self) -> Replies {
        self.replies
    }

    /// The media type of requests and of the replies that are wanted.
    pub(crate) fn media_type(self, stored: Encoding) -> &'static str {
        match self.form {
            Form::AsStored if stored == Encoding::Cbor => "application/cbor",
            Form::AsStored | Form::Json { .. } => "application/json",
        }
    }

    /// The body to send for a stored request.
    pub(crate) fn request(self, stored: Encoding, bytes: &Bytes) -> Result<Bytes, String> {
        match self.form {
            Form::Json { request } => request(stored, bytes),
            Form::AsStored => Ok(bytes.clone()),
        }
    }

    /// The reply to hand on for a body that came: JSON stays JSON, and is decoded by the type that
    /// awaits it.
    pub(crate) fn reply(self, stored: Encoding, body: Bytes) -> Result<Reply, String> {
        let encoding = match (self.replies, self.form) {
            (Replies::Ignored, _) => return Ok(Reply::nothing()),
            (Replies::Read, Form::AsStored) => stored,
            (Replies::Read, Form::Json { .. }) if body.is_empty() => return Ok(Reply::nothing()),
            (Replies::Read, Form::Json { .. }) => Encoding::Json,
        };
        depth::check(encoding, &body)?;
        if encoding == Encoding::Json {
            let IgnoredAny = decode(encoding, &body)?;
        }
        Ok(Reply::new(encoding, body))
    }
}

fn request_by<T: Serialize + DeserializeOwned>(
    stored: Encoding,
    bytes: &Bytes,
) -> Result<Bytes, String> {
    if stored == Encoding::Json {
        return Ok(bytes.clone());
    }
    let request: T = decode(stored, bytes)?;
    encode(Encoding::Json, &request)
}

fn decode<T: DeserializeOwned>(encoding: Encoding, bytes: &[u8]) -> Result<T, String> {
    encoding.decode(bytes).map_err(|error| error.to_string())
}

fn encode<T: Serialize>(encoding: Encoding, value: &T) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    let encoded = encoding.encode(value, &mut bytes);
    encoded.map_err(|error| error.to_string())?;
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    fn stored<T: Serialize>(value: &T) -> Bytes {
        encode(Encoding::Cbor, value).unwrap()
    }

    #[test]
    fn a_json_reply_arrives_as_the_type_that_the_handler_decodes() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Quote {
            price: f64,
            rate: f32,
            grade: char,
            from: std::net::Ipv4Addr,
            reason: Option<u32>,
        }
        let text = r#"{"price":1,"rate":0.1,"grade":"a","from":"127.0.0.1","reason":null}"#;
        for stored in [Encoding::Cbor, Encoding::Json] {
            let reply = Payload::json().reply(stored, text.into()).unwrap();
            let quote: Quote = reply.encoding.decode(&reply.bytes).unwrap();
            let expected = Quote {
                price: 1.0,
                rate: 0.1,
                grade: 'a',
                from: [127, 0, 0, 1].into(),
                reason: None,
            };
            assert_eq!(quote, expected);
        }
    }

    #[test]
    fn no_body_is_the_unit_and_an_absent_option() {
        for stored in [Encoding::Cbor, Encoding::Json] {
            let reply = Payload::json().reply(stored, Bytes::new()).unwrap();
            let () = reply.encoding.decode(&reply.bytes).unwrap();
            let absent: Option<u32> = reply.encoding.decode(&reply.bytes).unwrap();
            assert_eq!(absent, None);
        }
    }

    #[test]
    fn typed_translation_keeps_what_structure_alone_would_lose() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Quote {
            price: f64,
            rate: f32,
            grade: char,
            from: std::net::Ipv4Addr,
        }
        let quote = Quote {
            price: 1.0,
            rate: 0.1,
            grade: 'a',
            from: [127, 0, 0, 1].into(),
        };
        let payload = Payload::typed_json::<Quote>();
        let request = payload.request(Encoding::Cbor, &stored(&quote)).unwrap();
        let text = r#"{"price":1.0,"rate":0.1,"grade":"a","from":"127.0.0.1"}"#;
        assert_eq!(request, text);
    }

    #[test]
    fn what_is_not_one_shallow_value_is_refused() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        for body in ["{", "nope", "1 2", deep.as_str()] {
            let body = Bytes::copy_from_slice(body.as_bytes());
            assert!(Payload::json().reply(Encoding::Cbor, body.clone()).is_err());
            assert!(Payload::as_stored().reply(Encoding::Json, body).is_err());
        }
        let deep_cbor = Bytes::from([vec![0x81; 65], vec![0xf6]].concat());
        assert!(
            Payload::as_stored()
                .reply(Encoding::Cbor, deep_cbor)
                .is_err()
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_reply_is_recorded_as_it_came(value in any_json()) {
            let body = Bytes::from(value.to_string());
            for stored in [Encoding::Cbor, Encoding::Json] {
                let reply = Payload::json().reply(stored, body.clone()).unwrap();
                prop_assert_eq!(reply, Reply::new(Encoding::Json, body.clone()));
            }
        }

        #[test]
        fn no_bytes_make_a_reply_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let body = Bytes::from(bytes);
            for payload in [Payload::json(), Payload::as_stored()] {
                for encoding in [Encoding::Cbor, Encoding::Json] {
                    let _ = payload.reply(encoding, body.clone());
                }
            }
        }
    }
}
