//! The binary content mode: attributes in headers, the data is the body.

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, HeaderMap};

use super::attributes::{Attributes, HEADER_PREFIX};
use super::{CloudEvent, EventError};
use crate::media_type::unquote;

pub(super) fn read<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<CloudEvent<'a>, EventError> {
    let mut attributes = Attributes::default();
    if let Some(content_type) = headers.get(CONTENT_TYPE) {
        let text = content_type.to_str();
        let text = text.map_err(|_| EventError::attribute("datacontenttype", "is not text"))?;
        attributes.insert("datacontenttype", text.to_owned())?;
    }
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(HEADER_PREFIX) else {
            continue;
        };
        if name == "datacontenttype" {
            let rule = "is the header content-type in this mode";
            return Err(EventError::attribute(name, rule));
        }
        let value = decode(value.as_bytes()).map_err(|rule| EventError::attribute(name, rule))?;
        attributes.insert(name, value)?;
    }
    let data = (!body.is_empty()).then_some(Cow::Borrowed(body));
    attributes.with_data(data)
}

/// A header's value as an attribute's: quotes are removed, then percent signs decoded, once.
///
/// A percent sign without two digits is refused rather than kept: `a%` and `a%25` would else be the
/// same id, and one of two messages would be taken for the other.
pub(super) fn decode(value: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "is not UTF-8")?;
    let text = match text.strip_prefix('"') {
        Some(quoted) => match unquote(quoted) {
            Some((content, "")) => Cow::Owned(content),
            Some(_) | None => return Err("has a quote that is not closed at its end"),
        },
        None => Cow::Borrowed(text),
    };
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = bytes.next().and_then(hex_digit);
            let low = bytes.next().and_then(hex_digit);
            let pair = high.zip(low);
            let (high, low) = pair.ok_or("has a percent sign without two hexadecimal digits")?;
            decoded.push(high << 4 | low);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map_err(|_| "is not UTF-8 once it is decoded")
}

fn hex_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests;
