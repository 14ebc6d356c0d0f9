//! Payloads as the command line shows them: any bytes, as JSON.

use refrain_core::Encoding;

// The command line is a program and no library: its file is compiled here once more.
#[path = "../../../crates/refrain-cli/src/shown/payload.rs"]
#[allow(
    dead_code,
    reason = "the program uses more of it than is asked for here"
)]
mod shown;

/// Whatever the bytes are, they are shown as one JSON value that anybody can read.
pub(super) fn run(bytes: &[u8]) {
    for encoding in [Encoding::Cbor, Encoding::Json] {
        let value = shown::payload_value(encoding, bytes);
        let text = value.to_string();
        let again: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(again.to_string(), text, "it is read as it was shown");
    }
}
