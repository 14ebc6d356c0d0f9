//! The binary mode, header by header.

use super::*;
use http::HeaderValue;
use proptest::prelude::*;

#[test]
fn header_values_are_decoded_as_the_binding_says() {
    let rows: [(&str, Result<&str, ()>); 16] = [
        ("plain", Ok("plain")),
        (
            "Euro%20%E2%82%AC%20%F0%9F%98%80",
            Ok("Euro \u{20ac} \u{1f600}"),
        ),
        ("%e2%82%ac", Ok("\u{20ac}")),
        ("%41", Ok("A")),
        ("%2541", Ok("%41")),
        ("\"quoted value\"", Ok("quoted value")),
        (r#""a \"b\" \\ c""#, Ok(r#"a "b" \ c"#)),
        ("\"%20\"", Ok(" ")),
        ("\u{20ac}", Ok("\u{20ac}")),
        ("", Ok("")),
        ("100%", Err(())),
        ("%4", Err(())),
        ("%zz", Err(())),
        ("%C0%A0", Err(())),
        ("%ED%A0%80", Err(())),
        ("\"open", Err(())),
    ];
    for (value, expected) in rows {
        let decoded = decode(value.as_bytes());
        assert_eq!(decoded.as_deref().map_err(|_| ()), expected, "{value}");
    }
    assert!(decode(b"\"a\" b").is_err());
    assert!(decode(b"\xff").is_err());
}

/// The encoding that the binding recommends.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'!' | b'#' | b'$' | b'&'..=b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

proptest! {
    #[test]
    fn every_text_survives_encoding_and_decoding(text in ".*") {
        prop_assert_eq!(decode(encode(&text).as_bytes()), Ok(text));
    }

    #[test]
    fn different_values_that_need_no_quotes_are_different_texts(
        one in "[ -~]{0,8}", other in "[ -~]{0,8}"
    ) {
        let (one, other) = (encode(&one), encode(&other));
        prop_assert_eq!(decode(one.as_bytes()) == decode(other.as_bytes()), one == other);
    }

    #[test]
    fn no_headers_and_body_make_reading_panic(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let names = ["id", "source", "type", "specversion", "time", "dataschema", "subject", "x"];
        let mut headers = HeaderMap::new();
        for (name, value) in names.iter().zip(values) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let name = format!("ce-{name}");
                headers.insert(http::HeaderName::try_from(name).unwrap(), value);
            }
        }
        let _ = read(&headers, &body);
    }
}

fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in rows {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

const REQUIRED: [(&str, &str); 4] = [
    ("ce-specversion", "1.0"),
    ("ce-type", "com.example.someevent"),
    ("ce-id", "1234-1234-1234"),
    ("ce-source", "/mycontext/subcontext"),
];

#[test]
fn the_example_of_the_binding_is_an_event() {
    let more = [
        ("ce-time", "2018-04-05T03:56:24Z"),
        ("content-type", "application/json; charset=utf-8"),
        ("host", "webhook.example.com"),
    ];
    let event = read(&headers(&[&REQUIRED[..], &more[..]].concat()), b"{}").unwrap();
    assert_eq!(event.source, "/mycontext/subcontext");
    assert_eq!(event.id, "1234-1234-1234");
    assert_eq!(event.kind, "com.example.someevent");
    assert!(event.content_type.is_json());
    assert_eq!(event.data.as_deref(), Some(&b"{}"[..]));
}

#[test]
fn a_broken_rule_is_told_by_attribute() {
    let rows = [
        (
            ("ce-datacontenttype", "a/b"),
            "attribute datacontenttype is the header content-type in this mode",
        ),
        (("ce-id", "again"), "attribute id is given twice"),
        (
            ("ce-my-ext", "x"),
            "attribute my-ext has a name that is not lower-case letters and digits",
        ),
        (
            ("ce-data", "x"),
            "attribute data has a name that is reserved",
        ),
        (("ce-subject", ""), "attribute subject is empty"),
        (
            ("ce-subject", "a%0Ab"),
            "attribute subject holds control characters or noncharacters",
        ),
        (
            ("ce-time", "yesterday"),
            "attribute time is not a timestamp of RFC 3339",
        ),
        (
            ("ce-dataschema", "/relative"),
            "attribute dataschema is not an absolute URI",
        ),
        (
            ("content-type", "nonsense"),
            "attribute datacontenttype is not a media type",
        ),
    ];
    for (header, expected) in rows {
        let error = read(&headers(&[&REQUIRED[..], &[header]].concat()), b"").unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    for missing in 0..REQUIRED.len() {
        let mut rest = REQUIRED.to_vec();
        let (name, _) = rest.remove(missing);
        let error = read(&headers(&rest), b"").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("attribute {} is required", &name[3..])
        );
    }
}
