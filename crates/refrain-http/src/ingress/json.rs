//! Reads JSON from outside, and says where it went wrong.

use refrain_core::Encoding;
use serde::de::DeserializeOwned;

use crate::depth;

/// Where and why JSON could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonError {
    /// The field, as `items[2].quantity`; nothing for the whole value.
    pub(super) field: Option<String>,
    /// From 1.
    pub(super) line: usize,
    /// From 1; 0 before the line's first character.
    pub(super) column: usize,
    pub(super) reason: String,
}

/// The one value that `bytes` hold.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let decoded = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| JsonError::at(field(&error.path().to_string()), error.inner()))?;
    let ended = deserializer.end();
    ended.map_err(|error| JsonError::at(None, &error))?;
    // The recursion above is bounded too, but looser.
    depth::check(Encoding::Json, bytes).map_err(|reason| JsonError {
        field: None,
        line: 1,
        column: 0,
        reason,
    })?;
    Ok(decoded)
}

/// The path without the step that broke before its name was known, which is written `?`.
fn field(path: &str) -> Option<String> {
    let known = path.trim_end_matches('?').trim_end_matches('.');
    (!known.is_empty()).then(|| known.to_owned())
}

impl JsonError {
    fn at(field: Option<String>, error: &serde_json::Error) -> JsonError {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let place = format!(" at line {line} column {column}");
        let reason = text.strip_suffix(&place).unwrap_or(&text).to_owned();
        JsonError {
            field,
            line,
            column,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only its absence is looked at")]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    struct Item {
        #[expect(dead_code, reason = "only its type is looked at")]
        quantity: u32,
    }

    #[test]
    fn an_error_names_the_field_the_line_and_the_column() {
        let rows = [
            (
                "{\"items\":[{\"quantity\":1},\n {\"quantity\":-1}]}",
                (
                    Some("items[1].quantity"),
                    2,
                    15,
                    "invalid value: integer `-1`, expected u32",
                ),
            ),
            ("{}", (None, 1, 2, "missing field `items`")),
            (
                "{\"items\":[",
                (Some("items"), 1, 10, "EOF while parsing a list"),
            ),
            ("{\"items\":[]} x", (None, 1, 14, "trailing characters")),
            ("{", (None, 1, 1, "EOF while parsing an object")),
            ("", (None, 1, 0, "EOF while parsing a value")),
        ];
        for (text, (field, line, column, reason)) in rows {
            let expected = JsonError {
                field: field.map(str::to_owned),
                line,
                column,
                reason: reason.to_owned(),
            };
            assert_eq!(
                decode::<Order>(text.as_bytes()).unwrap_err(),
                expected,
                "{text}"
            );
        }
        let unknown = decode::<Order>(br#"{"items":[],"more":1}"#).unwrap_err();
        assert_eq!(unknown.field.as_deref(), Some("more"));
        assert!(decode::<Order>(br#"{"items":[{"quantity":1}]}"#).is_ok());
    }

    #[test]
    fn a_value_that_nests_too_deep_is_refused() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        let error = decode::<serde_json::Value>(deep.as_bytes()).unwrap_err();
        assert!(error.reason.contains("64 levels"), "{error:?}");
    }
}
