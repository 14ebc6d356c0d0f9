//! Payloads as the command line shows them: any bytes, as JSON.

use refrain_core::Encoding;
use serde::de::IgnoredAny;

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
        let text = shown::payload_value(encoding, bytes).to_string();
        let again = serde_json::from_str::<IgnoredAny>(&text);
        assert!(again.is_ok(), "it is JSON: {text}");
    }
}
