//! The types of attributes, as predicates on text.

/// Lower-case ASCII letters and digits.
pub(super) fn is_attribute_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty() && text.bytes().all(allowed)
}

/// Without control characters and noncharacters. (Text in Rust has no lone surrogates.)
pub(super) fn is_string(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || is_noncharacter(c))
}

fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

/// A URI-reference (RFC 3986, section 4.1) that is not empty.
pub(super) fn is_uri_reference(text: &str) -> bool {
    if text.is_empty() || !has_uri_characters(text) || text.matches('#').count() > 1 {
        return false;
    }
    let hierarchical = text.split(['?', '#']).next().unwrap_or_default();
    let first_segment = hierarchical.split('/').next().unwrap_or_default();
    let rest = match first_segment.split_once(':') {
        Some((scheme, _)) if !is_scheme(scheme) => return false,
        Some((scheme, _)) => &hierarchical[scheme.len() + 1..],
        None => hierarchical,
    };
    // Brackets stand round the address of a host and nowhere else.
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let tail = &text[hierarchical.len()..];
    is_authority(authority) && !path.contains(['[', ']']) && !tail.contains(['[', ']'])
}

/// An absolute URI. A fragment is let pass: schemas are often named by one.
pub(super) fn is_uri(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(is_scheme) && is_uri_reference(text)
}

fn is_scheme(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(allowed)
}

fn is_authority(text: &str) -> bool {
    let host_and_port = text.rsplit('@').next().unwrap_or_default();
    let user = &text[..text.len() - host_and_port.len()];
    let (host, port) = match host_and_port.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((_, "")) => ("", ""),
            Some((_, port)) => match port.strip_prefix(':') {
                Some(port) => ("", port),
                None => return false,
            },
            None => return false,
        },
        None => host_and_port.split_once(':').unwrap_or((host_and_port, "")),
    };
    !user.contains(['[', ']'])
        && user.matches('@').count() <= 1
        && !host.contains(['[', ']'])
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Unreserved and reserved characters, and percent signs with two hexadecimal digits.
fn has_uri_characters(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut is_digit = || bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
        let is_allowed = match byte {
            b'%' => is_digit() && is_digit(),
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte),
        };
        if !is_allowed {
            return false;
        }
    }
    true
}

/// A date and time with offset, as RFC 3339 writes them.
pub(super) fn is_timestamp(text: &str) -> bool {
    has_timestamp_shape(text) && text.parse::<jiff::Timestamp>().is_ok()
}

/// `dddd-dd-ddTdd:dd:dd[.d+](Z|(+|-)dd:dd)`: the parser takes more forms than the standard has.
fn has_timestamp_shape(text: &str) -> bool {
    let digits = text
        .bytes()
        .map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    let shape: Vec<u8> = digits.collect();
    let Some((head, tail)) = shape.split_at_checked(19) else {
        return false;
    };
    let offset = match tail.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| **byte == b'0').count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        None => tail,
    };
    head.eq_ignore_ascii_case(b"0000-00-00T00:00:00")
        && (offset.eq_ignore_ascii_case(b"Z") || offset == b"+00:00" || offset == b"-00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(predicate: fn(&str) -> bool, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(predicate(text), "{text:?}");
        }
        for text in no {
            assert!(!predicate(text), "{text:?}");
        }
    }

    #[test]
    fn uri_references_are_those_of_the_standard() {
        let yes = [
            "https://github.com/cloudevents",
            "mailto:cncf-wg-serverless@lists.cncf.io",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "/cloudevents/spec/pull/123",
            "/sensors/tn-1234567/alerts",
            "1-555-123-4567",
            "http",
            "?q",
            "#f",
            "//example.com",
            "//user:pw@[::1]:80/a?b#c",
            "a%20b",
            "./a:b",
            "tel:+1-816-555-1212",
        ];
        let no = [
            "",
            "a b",
            "<http>",
            "%zz",
            "%2",
            ":a",
            "1a:b",
            "a#b#c",
            "/a[1]",
            "?a[1]",
            "//[::1",
            "//[::1]x",
            "//host:port",
            "\u{20ac}",
            "a\"b",
            "a\\b",
            "{a}",
        ];
        check(is_uri_reference, &yes, &no);
    }

    #[test]
    fn uris_have_a_scheme() {
        check(
            is_uri,
            &["https://example.com/s#v1", "urn:x"],
            &["/schema", "", "a b:c", "1:x"],
        );
    }

    #[test]
    fn timestamps_are_those_of_rfc_3339() {
        let yes = [
            "2018-04-05T17:31:00Z",
            "2018-04-05t17:31:00z",
            "2018-04-05T17:31:00.123456789+01:00",
            "2020-02-29T00:00:00-00:00",
        ];
        let no = [
            "",
            "2018-04-05",
            "2018-04-05T17:31:00",
            "2018-04-05 17:31:00Z",
            "2018-04-05T17:31Z",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T17:31:00+0100",
            "2018-13-05T17:31:00Z",
            "2019-02-29T00:00:00Z",
            "2018-04-05T25:00:00Z",
            "2018-04-05T17:31:00Z[Europe/Paris]",
            "+002018-04-05T17:31:00Z",
        ];
        check(is_timestamp, &yes, &no);
    }

    #[test]
    fn strings_hold_no_controls_and_no_noncharacters() {
        let yes = ["", "plain", "Euro \u{20ac} \u{1f600}", "\u{fdcf}\u{fdf0}"];
        let no = [
            "\n",
            "\u{7f}",
            "\u{9f}",
            "\u{fdd0}",
            "\u{ffff}",
            "\u{1fffe}",
            "\u{10ffff}",
        ];
        check(is_string, &yes, &no);
    }
}
