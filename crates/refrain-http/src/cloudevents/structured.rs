//! The JSON event format (1.0.2): attributes and data as members of one JSON object.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::attributes::Attributes;
use super::{CloudEvent, EventError};

pub(super) fn read(json: &[u8]) -> Result<CloudEvent<'_>, EventError> {
    let members: Members<'_> =
        serde_json::from_slice(json).map_err(|error| EventError::NotAnObject(error.to_string()))?;
    let mut attributes = Attributes::default();
    let mut data = None;
    let mut data_base64 = None;
    for (name, value) in members.0 {
        let twice = match name.as_str() {
            "data" => data.replace(value).is_some(),
            "data_base64" => data_base64.replace(value).is_some(),
            _ => {
                if let Some(text) = attribute_text(&name, value)? {
                    attributes.insert(&name, text)?;
                }
                false
            }
        };
        if twice {
            return Err(EventError::Data("data is given twice"));
        }
    }
    let data_base64 = data_base64.filter(|value| value.get() != "null");
    let data = match (data, data_base64) {
        (Some(_), Some(_)) => {
            return Err(EventError::Data("data and data_base64 exclude each other"));
        }
        (None, Some(encoded)) => Some(binary_data(encoded)?),
        (Some(value), None) => Some(data_of(value, &attributes)?),
        (None, None) => None,
    };
    attributes.with_data(data)
}

/// The attribute's canonical string; nothing for null, which means that it is not set.
fn attribute_text(name: &str, value: &RawValue) -> Result<Option<String>, EventError> {
    let is_core = matches!(
        name,
        "id" | "source"
            | "type"
            | "specversion"
            | "subject"
            | "time"
            | "dataschema"
            | "datacontenttype"
    );
    let parsed = serde_json::from_str(value.get());
    match parsed.map_err(|_| EventError::attribute(name, "is not a string of Unicode"))? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(_) | Value::Number(_) if is_core => {
            Err(EventError::attribute(name, "is not a string"))
        }
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Number(number) => {
            let whole = number.as_i64().and_then(|whole| i32::try_from(whole).ok());
            let whole = whole.ok_or_else(|| {
                EventError::attribute(name, "is a number that is not a 32-bit integer")
            })?;
            Ok(Some(whole.to_string()))
        }
        Value::Array(_) | Value::Object(_) => Err(EventError::attribute(
            name,
            "is not a string, a number or a truth value",
        )),
    }
}

/// What `data` holds: a JSON value, or the text of another content type in a string.
fn data_of<'a>(value: &'a RawValue, attributes: &Attributes) -> Result<Cow<'a, [u8]>, EventError> {
    if attributes.content_type()?.is_json() {
        return Ok(Cow::Borrowed(value.get().as_bytes()));
    }
    let text: String = serde_json::from_str(value.get())
        .map_err(|_| EventError::Data("data of a content type that is not JSON is not a string"))?;
    Ok(Cow::Owned(text.into_bytes()))
}

fn binary_data(encoded: &RawValue) -> Result<Cow<'_, [u8]>, EventError> {
    let text: Cow<'_, str> = serde_json::from_str(encoded.get())
        .map_err(|_| EventError::Data("data_base64 is not a string"))?;
    let bytes = STANDARD
        .decode(text.as_bytes())
        .map_err(|_| EventError::Data("data_base64 is not Base64"))?;
    Ok(Cow::Owned(bytes))
}

/// The members of an object as they stand, duplicates included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(rest: &str) -> String {
        format!(
            r#"{{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","id":"A234-1234-1234"{rest}}}"#
        )
    }

    fn data(rest: &str) -> Result<Option<Vec<u8>>, String> {
        match read(event(rest).as_bytes()) {
            Ok(event) => Ok(event.data.map(Cow::into_owned)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_examples_of_the_format_are_events() {
        let common = r#","time":"2018-04-05T17:31:00Z","comexampleextension1":"value","comexampleothervalue":5"#;
        let thrift =
            r#","datacontenttype":"application/vnd.apache.thrift.binary","data_base64":"AP8="}"#;
        let xml = r#","unsetextension":null,"datacontenttype":"application/xml","data":"<much wow=\"xml\"/>""#;
        let json =
            r#","subject":null,"datacontenttype":"application/json","data":{"appinfoA":"abc"}"#;
        let string = r#","subject":null,"data":"I'm just a string""#;
        let rows = [
            (thrift.trim_end_matches('}'), &b"\x00\xff"[..]),
            (xml, b"<much wow=\"xml\"/>"),
            (json, br#"{"appinfoA":"abc"}"#),
            (string, br#""I'm just a string""#),
        ];
        for (rest, expected) in rows {
            let found = data(&format!("{common}{rest}")).unwrap();
            assert_eq!(found.as_deref(), Some(expected), "{rest}");
        }
        assert_eq!(data(""), Ok(None));
        assert_eq!(data(r#","data":null"#), Ok(Some(b"null".to_vec())));
    }

    #[test]
    fn a_broken_rule_is_told() {
        let rows = [
            (
                r#","data":1,"data_base64":"AA==""#,
                "data and data_base64 exclude each other",
            ),
            (r#","data":1,"data":2"#, "data is given twice"),
            (r#","data_base64":"?""#, "data_base64 is not Base64"),
            (r#","data_base64":1"#, "data_base64 is not a string"),
            (
                r#","datacontenttype":"text/plain","data":{}"#,
                "data of a content type that is not JSON is not a string",
            ),
            (r#","id":"other""#, "attribute id is given twice"),
            (r#","subject":5"#, "attribute subject is not a string"),
            (
                r#","ext":{}"#,
                "attribute ext is not a string, a number or a truth value",
            ),
            (
                r#","ext":1.5"#,
                "attribute ext is a number that is not a 32-bit integer",
            ),
            (
                r#","ext":2147483648"#,
                "attribute ext is a number that is not a 32-bit integer",
            ),
            (
                r#","ext":"\uDEAD""#,
                "attribute ext is not a string of Unicode",
            ),
            (
                r#","Ext":"a""#,
                "attribute Ext has a name that is not lower-case letters and digits",
            ),
        ];
        for (rest, expected) in rows {
            assert_eq!(data(rest), Err(expected.to_owned()), "{rest}");
        }
        for fine in [r#","ext":-2147483648"#, r#","ext":true"#, r#","ext":null"#] {
            assert!(data(fine).is_ok(), "{fine}");
        }
    }

    #[test]
    fn required_attributes_must_be_there_and_of_this_version() {
        let rows = [
            (r#"{}"#, "attribute specversion is required"),
            (
                r#"{"specversion":"0.3"}"#,
                r#"specversion "0.3" is not supported, only "1.0" is"#,
            ),
            (
                r#"{"specversion":1.0}"#,
                "attribute specversion is not a string",
            ),
            (
                r#"{"specversion":"1.0","id":null}"#,
                "attribute id is required",
            ),
            (r#"{"specversion":"1.0","id":""}"#, "attribute id is empty"),
            (
                r#"{"specversion":"1.0","id":"1","source":"a b"}"#,
                "attribute source is not a URI-reference",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"a"}"#,
                "attribute type is required",
            ),
        ];
        for (json, expected) in rows {
            assert_eq!(read(json.as_bytes()).unwrap_err().to_string(), expected);
        }
        assert!(matches!(read(b"[]"), Err(EventError::NotAnObject(_))));
        assert!(matches!(read(b"{\"a\":"), Err(EventError::NotAnObject(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(rest in ".{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = data(&rest);
            let _ = read(&bytes);
        }
    }
}
