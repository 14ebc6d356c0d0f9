//! Payloads as JSON, without the types that they were made from.
//!
//! CBOR and JSON describe themselves, so a payload can be shown by whoever meets it. What JSON has
//! no form for is shown as an object with one key: bytes as `{"$hex": ..}` or `{"$base64": ..}`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use refrain_core::Encoding;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How deep a payload may nest.
const DEPTH_MAX: usize = 64;

/// Bytes up to which hexadecimal digits are easier to read.
const HEX_BYTES_MAX: usize = 32;

/// The payload in `bytes`, or the bytes themselves when they are not one whole value of `encoding`.
pub(crate) fn payload_value(encoding: Encoding, bytes: &[u8]) -> Value {
    match encoding.decode::<Shown>(bytes) {
        Ok(Shown(value)) => value,
        Err(_) => bytes_value(bytes),
    }
}

/// Bytes that mean nothing to us.
pub(crate) fn bytes_value(bytes: &[u8]) -> Value {
    if bytes.len() <= HEX_BYTES_MAX {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        return json!({ "$hex": digits });
    }
    json!({ "$base64": STANDARD.encode(bytes) })
}

/// Any value, as JSON.
#[derive(Debug, Serialize)]
struct Shown(Value);

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shown, D::Error> {
        Depth(DEPTH_MAX).deserialize(deserializer).map(Shown)
    }
}

/// How much deeper it may go.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn deeper<E: Error>(self) -> Result<Depth, E> {
        let left = self.0.checked_sub(1);
        left.map(Depth)
            .ok_or_else(|| E::custom(format_args!("it nests deeper than {DEPTH_MAX}")))
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(json!({ "$integer": value.to_string() }))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(json!({ "$integer": value.to_string() }))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        if value.is_finite() {
            return Ok(value.into());
        }
        Ok(json!({ "$float": value.to_string() }))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(bytes_value(value))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deeper()?.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Value, D::Error> {
        self.deeper()?.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(deeper)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Map::new();
        let mut pairs = Vec::new();
        while let Some(key) = items.next_key_seed(deeper)? {
            let value = items.next_value_seed(deeper)?;
            match key.as_str() {
                Some(name) if pairs.is_empty() && !values.contains_key(name) => {
                    values.insert(name.to_owned(), value);
                }
                Some(_) | None => pairs.push(json!([key, value])),
            }
        }
        if pairs.is_empty() {
            return Ok(Value::Object(values));
        }
        // Keys that are not texts, or come twice, have no place in a JSON object.
        let named = values.into_iter().map(|(key, value)| json!([key, value]));
        let all: Vec<Value> = named.chain(pairs).collect();
        Ok(json!({ "$map": all }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(cbor: &[u8], shown: Value) {
        assert_eq!(payload_value(Encoding::Cbor, cbor), shown);
    }

    #[test]
    fn cbor_is_shown_as_json() {
        // {"id": 7, "good": true, "by": null, "at": [-1, 1.5]}
        let cbor = b"\xa4\x62id\x07\x64good\xf5\x62by\xf6\x62at\x82\x20\xfa\x3f\xc0\x00\x00";
        check(
            cbor,
            json!({"id": 7, "good": true, "by": null, "at": [-1, 1.5]}),
        );
    }

    #[test]
    fn what_json_has_no_form_for_is_marked() {
        check(b"\x42\x01\xff", json!({"$hex": "01ff"}));
        check(b"\xa1\x01\x02", json!({"$map": [[1, 2]]}));
        check(
            b"\xa2\x61a\x01\x61a\x02",
            json!({"$map": [["a", 1], ["a", 2]]}),
        );
        check(b"\xfa\x7f\xc0\x00\x00", json!({"$float": "NaN"}));
    }

    #[test]
    fn bytes_that_are_no_payload_are_shown_as_bytes() {
        check(b"\xff\x00", json!({"$hex": "ff00"}));
        check(&[0xff; 33], json!({"$base64": STANDARD.encode([0xff; 33])}));
        let json = payload_value(Encoding::Json, b"{\"a\":1");
        assert_eq!(json, json!({"$hex": "7b2261223a31"}));
    }

    #[test]
    fn a_payload_that_nests_without_end_is_shown_as_bytes() {
        let nested = [0x81; 100_000];
        let shown = payload_value(Encoding::Cbor, &nested);
        assert!(shown.get("$base64").is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_shown(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            payload_value(Encoding::Cbor, &bytes);
            payload_value(Encoding::Json, &bytes);
        }
    }
}
