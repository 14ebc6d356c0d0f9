//! Between the stored encoding and what travels.
//!
//! By default JSON travels, whatever is stored. Translating by structure goes through
//! `serde_json::Value`: text, whole numbers, lists, maps, truth and null mean the same on both
//! sides. What does not (bytes; `1` where a float is wanted; types that write themselves differently
//! for people) needs the types, which [`HttpOptions::typed`](super::HttpOptions::typed) gives.
//!
//! Nothing is two things: null in JSON is what an `Option` may be, and stays null; a body that is
//! not there at all is the unit type, which CBOR writes as an empty list.

use bytes::Bytes;
use refrain_core::Encoding;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::depth;

/// Turns bytes of the stored encoding into JSON, or back; the error is for people.
type Translate = fn(Encoding, &Bytes) -> Result<Bytes, String>;

/// What travels in the bodies of requests and replies.
#[derive(Clone, Copy)]
pub(crate) struct Payload {
    form: Form,
    replies: Replies,
}

#[derive(Clone, Copy)]
enum Form {
    /// JSON, translated from and to the stored encoding.
    Json {
        request: Translate,
        reply: Translate,
    },
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
            reply: reply_by_structure,
        };
        Payload {
            form,
            replies: Replies::Read,
        }
    }

    pub(crate) fn typed_json<Q, R>() -> Payload
    where
        Q: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let form = Form::Json {
            request: request_by::<Q>,
            reply: reply_by::<R>,
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
            Form::Json { request, .. } => request(stored, bytes),
            Form::AsStored => Ok(bytes.clone()),
        }
    }

    /// The reply to hand on, in the stored encoding, for a body that came.
    pub(crate) fn reply(self, stored: Encoding, body: &Bytes) -> Result<Bytes, String> {
        match (self.replies, self.form) {
            (Replies::Ignored, _) => encode(stored, &()),
            (Replies::Read, Form::AsStored) => {
                depth::check(stored, body)?;
                Ok(body.clone())
            }
            (Replies::Read, Form::Json { reply, .. }) => {
                if !body.is_empty() {
                    depth::check(Encoding::Json, body)?;
                }
                reply(stored, body)
            }
        }
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

fn reply_by<T: Serialize + DeserializeOwned>(
    stored: Encoding,
    body: &Bytes,
) -> Result<Bytes, String> {
    let body: &[u8] = if body.is_empty() { b"null" } else { body };
    let reply: T = decode(Encoding::Json, body)?;
    encode(stored, &reply)
}

fn reply_by_structure(stored: Encoding, body: &Bytes) -> Result<Bytes, String> {
    if body.is_empty() {
        return encode(stored, &());
    }
    if stored == Encoding::Json {
        return Ok(body.clone());
    }
    let reply: Value = decode(Encoding::Json, body)?;
    encode(stored, &Structure(&reply))
}

/// A JSON value whose nulls are absent options. (By itself it writes them as units.)
struct Structure<'a>(&'a Value);

impl Serialize for Structure<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_none(),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Structure)),
            Value::Object(members) => {
                let members = members.iter();
                serializer.collect_map(members.map(|(name, value)| (name, Structure(value))))
            }
            plain @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                plain.serialize(serializer)
            }
        }
    }
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
    use serde_json::json;

    fn stored<T: Serialize>(value: &T) -> Bytes {
        encode(Encoding::Cbor, value).unwrap()
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Verdict {
        Validated,
        Declined { reason: String },
        Held(u32),
    }

    #[test]
    fn an_untyped_reply_arrives_as_the_type_that_the_handler_decodes() {
        let rows = [
            (json!("Validated"), Verdict::Validated),
            (
                json!({"Declined": {"reason": "stolen"}}),
                Verdict::Declined {
                    reason: "stolen".to_owned(),
                },
            ),
            (json!({"Held": 7}), Verdict::Held(7)),
        ];
        for (came, expected) in rows {
            let body = Bytes::from(came.to_string());
            let reply = Payload::json().reply(Encoding::Cbor, &body).unwrap();
            let verdict: Verdict = Encoding::Cbor.decode(&reply).unwrap();
            assert_eq!(verdict, expected);
        }
    }

    #[test]
    fn null_is_an_absent_option_and_no_body_is_the_unit() {
        for stored in [Encoding::Cbor, Encoding::Json] {
            let null = Bytes::from_static(br#"{"reason":null}"#);
            let reply = Payload::json().reply(stored, &null).unwrap();
            let found: std::collections::BTreeMap<String, Option<u32>> =
                stored.decode(&reply).unwrap();
            assert_eq!(found["reason"], None);

            let reply = Payload::json().reply(stored, &Bytes::new()).unwrap();
            let () = stored.decode(&reply).unwrap();
            let typed = Payload::typed_json::<(), Option<u32>>();
            let reply = typed.reply(stored, &Bytes::new()).unwrap();
            assert_eq!(stored.decode::<Option<u32>>(&reply).unwrap(), None);
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
        let payload = Payload::typed_json::<Quote, Quote>();
        let request = payload.request(Encoding::Cbor, &stored(&quote)).unwrap();
        let text = r#"{"price":1.0,"rate":0.1,"grade":"a","from":"127.0.0.1"}"#;
        assert_eq!(request, text);

        let body = Bytes::from_static(br#"{"price":1,"rate":0.1,"grade":"a","from":"127.0.0.1"}"#);
        let reply = payload.reply(Encoding::Cbor, &body).unwrap();
        assert_eq!(Encoding::Cbor.decode::<Quote>(&reply).unwrap(), quote);
    }

    #[test]
    fn what_is_not_one_shallow_value_is_refused() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        for body in ["{", "nope", "1 2", deep.as_str()] {
            let body = Bytes::copy_from_slice(body.as_bytes());
            assert!(Payload::json().reply(Encoding::Cbor, &body).is_err());
            assert!(Payload::as_stored().reply(Encoding::Json, &body).is_err());
        }
        let deep_cbor = Bytes::from([vec![0x81; 65], vec![0xf6]].concat());
        assert!(
            Payload::as_stored()
                .reply(Encoding::Cbor, &deep_cbor)
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
        fn any_json_survives_the_way_to_cbor_and_back(value in any_json()) {
            let body = Bytes::from(value.to_string());
            let cbor = Payload::json().reply(Encoding::Cbor, &body).unwrap();
            let json = Payload::json().request(Encoding::Cbor, &cbor).unwrap();
            let back: Value = serde_json::from_slice(&json).unwrap();
            let whole: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(back, whole);
        }

        #[test]
        fn no_bytes_make_a_reply_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let body = Bytes::from(bytes);
            for payload in [Payload::json(), Payload::as_stored()] {
                for encoding in [Encoding::Cbor, Encoding::Json] {
                    let _ = payload.reply(encoding, &body);
                }
            }
        }
    }
}
