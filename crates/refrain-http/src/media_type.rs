//! Media types, as far as it matters here: which format, and whether it is UTF-8.

/// A media type (RFC 9110, section 8.3.1), in lower case and without parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaType {
    essence: String,
    charset: Option<String>,
}

impl MediaType {
    /// The media type that `text` writes; nothing when it is none.
    pub(crate) fn parse(text: &str) -> Option<MediaType> {
        let (essence, mut rest) = match text.split_once(';') {
            Some((essence, parameters)) => (essence.trim(), parameters),
            None => (text.trim(), ""),
        };
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let mut charset = None;
        while !rest.trim().is_empty() {
            let (name, value, after) = parameter(rest)?;
            if name.eq_ignore_ascii_case("charset") {
                charset = Some(value.to_ascii_lowercase());
            }
            rest = after;
        }
        Some(MediaType {
            essence: essence.to_ascii_lowercase(),
            charset,
        })
    }

    pub(crate) fn essence(&self) -> &str {
        &self.essence
    }

    /// `*/json` or `*/*+json`, in UTF-8.
    pub(crate) fn is_json(&self) -> bool {
        let is_json = self.essence.ends_with("/json") || self.essence.ends_with("+json");
        is_json && self.is_utf8()
    }

    /// Whether text in it is UTF-8: what JSON is unless said otherwise.
    pub(crate) fn is_utf8(&self) -> bool {
        self.charset
            .as_deref()
            .is_none_or(|charset| matches!(charset, "utf-8" | "utf8" | "us-ascii"))
    }
}

/// The first parameter's name and value, and what follows its semicolon.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim_start();
    if !is_token(name) {
        return None;
    }
    let (value, rest) = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let end = value.find(';').unwrap_or(value.len());
            let (token, rest) = value.split_at(end);
            let token = token.trim_end();
            if !is_token(token) {
                return None;
            }
            (token.to_owned(), rest)
        }
    };
    let rest = rest.trim_start();
    match rest.strip_prefix(';') {
        Some(rest) => Some((name, value, rest)),
        None if rest.is_empty() => Some((name, value, rest)),
        None => None,
    }
}

/// The content of a quoted string whose opening quote is gone, and what follows its closing quote.
pub(crate) fn unquote(text: &str) -> Option<(String, &str)> {
    let mut content = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((content, &text[at + 1..])),
            '\\' => content.push(characters.next()?.1),
            other => content.push(other),
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_utf8_is_told_from_the_rest() {
        let rows = [
            ("application/json", Some(true)),
            ("Application/JSON; charset=UTF-8", Some(true)),
            (
                "application/vnd.shop+json;v=1;charset=\"utf-8\"",
                Some(true),
            ),
            ("text/json ; a=\"x;y\\\"z\" ; b=c", Some(true)),
            ("application/json;", Some(true)),
            ("application/json; charset=utf-16", Some(false)),
            ("application/jsonx", Some(false)),
            ("text/plain", Some(false)),
            ("json", None),
            ("", None),
            ("a/b/c", None),
            ("application/ json", None),
            ("application/json; charset", None),
            ("application/json; charset=\"utf-8", None),
            ("application/json; charset=\"utf-8\" x", None),
            ("application/json; a b=c", None),
        ];
        for (text, expected) in rows {
            let is_json = MediaType::parse(text).map(|media_type| media_type.is_json());
            assert_eq!(is_json, expected, "{text}");
        }
    }
}
