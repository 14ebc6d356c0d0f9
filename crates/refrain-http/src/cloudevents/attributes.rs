//! The attributes of one event, and the rules that they keep.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::syntax;
use super::{CloudEvent, EventError};
use crate::media_type::MediaType;

/// Headers with this prefix are attributes in the binary mode.
pub(super) const HEADER_PREFIX: &str = "ce-";

/// Attributes of one event; far above what any event needs, so that the map stays small.
const ATTRIBUTES_MAX: usize = 256;

/// Whether a header of this name makes a request an event in the binary mode.
pub(crate) fn is_attribute_header(name: &http::HeaderName) -> bool {
    name.as_str().starts_with(HEADER_PREFIX)
}

/// The attributes that came so far, each of them a string that keeps the rules of strings.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    values: BTreeMap<String, String>,
}

impl Attributes {
    /// Adds an attribute in its canonical string form.
    pub(super) fn insert(&mut self, name: &str, value: String) -> Result<(), EventError> {
        if !syntax::is_attribute_name(name) {
            let rule = "has a name that is not lower-case letters and digits";
            return Err(EventError::attribute(name, rule));
        }
        if name == "data" {
            return Err(EventError::attribute(name, "has a name that is reserved"));
        }
        if !syntax::is_string(&value) {
            let rule = "holds control characters or noncharacters";
            return Err(EventError::attribute(name, rule));
        }
        if self.values.len() == ATTRIBUTES_MAX {
            return Err(EventError::attribute(name, "is one more than 256"));
        }
        match self.values.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(EventError::attribute(name, "is given twice")),
        }
    }

    /// The event that these attributes and `data` are.
    pub(super) fn with_data(
        mut self,
        data: Option<Cow<'_, [u8]>>,
    ) -> Result<CloudEvent<'_>, EventError> {
        let version = self.required("specversion")?;
        if version != "1.0" {
            return Err(EventError::Version { found: version });
        }
        let id = self.required("id")?;
        let source = self.required("source")?;
        if !syntax::is_uri_reference(&source) {
            return Err(EventError::attribute("source", "is not a URI-reference"));
        }
        let kind = self.required("type")?;
        self.check_optional()?;
        Ok(CloudEvent {
            source,
            id,
            kind,
            content_type: self.content_type()?,
            data,
        })
    }

    fn required(&mut self, attribute: &'static str) -> Result<String, EventError> {
        let value = self.values.remove(attribute);
        let value = value.ok_or(EventError::Missing { attribute })?;
        if value.is_empty() {
            return Err(EventError::attribute(attribute, "is empty"));
        }
        Ok(value)
    }

    fn check_optional(&self) -> Result<(), EventError> {
        type Keeps = fn(&str) -> bool;
        let rules: [(&str, Keeps, &'static str); 3] = [
            ("subject", |value| !value.is_empty(), "is empty"),
            (
                "time",
                syntax::is_timestamp,
                "is not a timestamp of RFC 3339",
            ),
            ("dataschema", syntax::is_uri, "is not an absolute URI"),
        ];
        for (name, keeps, rule) in rules {
            if self.values.get(name).is_some_and(|value| !keeps(value)) {
                return Err(EventError::attribute(name, rule));
            }
        }
        Ok(())
    }

    /// The content type of the data; an event that gives none has JSON.
    pub(super) fn content_type(&self) -> Result<MediaType, EventError> {
        let text = self.values.get("datacontenttype");
        let text = text.map_or("application/json", String::as_str);
        MediaType::parse(text)
            .ok_or_else(|| EventError::attribute("datacontenttype", "is not a media type"))
    }
}
