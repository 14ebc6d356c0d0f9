//! How a request carries its message.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::cloudevents::is_attribute_header;
use crate::media_type::MediaType;

/// How a request carries its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// A CloudEvent with its attributes in headers.
    Binary,
    /// A CloudEvent as a JSON object.
    Structured,
    /// CloudEvents in a JSON array.
    Batched,
    /// A message as JSON.
    Plain,
}

impl Mode {
    /// The mode of a request with these headers, or its content type, which is none of them.
    pub(super) fn of(headers: &HeaderMap) -> Result<Mode, String> {
        let text = match headers.get(CONTENT_TYPE) {
            Some(value) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
            None => String::new(),
        };
        let Some(media_type) = MediaType::parse(&text) else {
            // An event may be without data, and then without content type.
            let is_event = text.is_empty() && headers.keys().any(is_attribute_header);
            return if is_event {
                Ok(Mode::Binary)
            } else {
                Err(text)
            };
        };
        match media_type.essence() {
            "application/cloudevents+json" if media_type.is_utf8() => Ok(Mode::Structured),
            "application/cloudevents-batch+json" if media_type.is_utf8() => Ok(Mode::Batched),
            other if other.starts_with("application/cloudevents") => Err(text),
            _ if headers.keys().any(is_attribute_header) => Ok(Mode::Binary),
            _ if media_type.is_json() => Ok(Mode::Plain),
            _ => Err(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn every_kind_of_request_has_its_mode() {
        let rows = [
            (
                "application/cloudevents+json",
                false,
                Some(Mode::Structured),
            ),
            (
                "Application/CloudEvents+JSON; charset=UTF-8",
                false,
                Some(Mode::Structured),
            ),
            ("application/cloudevents+json", true, Some(Mode::Structured)),
            (
                "application/cloudevents-batch+json",
                false,
                Some(Mode::Batched),
            ),
            ("application/cloudevents+avro", true, None),
            ("application/cloudevents-batch+xml", false, None),
            ("application/cloudevents", false, None),
            ("application/cloudevents+json; charset=utf-16", false, None),
            ("application/json", true, Some(Mode::Binary)),
            ("text/xml", true, Some(Mode::Binary)),
            ("", true, Some(Mode::Binary)),
            ("application/json", false, Some(Mode::Plain)),
            (
                "application/vnd.shop.order+json; charset=utf-8",
                false,
                Some(Mode::Plain),
            ),
            ("application/x-www-form-urlencoded", false, None),
            ("text/plain", false, None),
            ("nonsense", true, None),
            ("", false, None),
        ];
        for (content_type, has_attributes, expected) in rows {
            let mut headers = HeaderMap::new();
            if !content_type.is_empty() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            if has_attributes {
                headers.insert("ce-id", HeaderValue::from_static("1"));
            }
            let mode = Mode::of(&headers).ok();
            assert_eq!(mode, expected, "{content_type:?} {has_attributes}");
        }
    }
}
