//! What a response means.

use http::StatusCode;
use refrain_core::limit::ERROR_TEXT_BYTES_MAX;

/// What the status of a response says about the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was taken; the body is the reply.
    Reply,
    /// It failed, and may go well another time; `Retry-After` counts.
    FailedForNow,
    /// It failed, and the same request will fail again.
    FailedForGood,
    /// It points elsewhere, which is not followed.
    Redirected,
}

impl Verdict {
    pub(crate) fn of(status: StatusCode) -> Verdict {
        match status.as_u16() {
            200..=299 => Verdict::Reply,
            408 | 425 | 429 | 500.. => Verdict::FailedForNow,
            400..=499 => Verdict::FailedForGood,
            0..=199 | 300..=399 => Verdict::Redirected,
        }
    }

    /// The destination's failure in words, fit for one line of a log and short enough to record.
    pub(crate) fn words(self, status: StatusCode, body: &[u8]) -> String {
        let said = excerpt(body);
        let colon = if said.is_empty() { "" } else { ": " };
        let mut words = match self {
            Verdict::Reply | Verdict::FailedForNow => format!("{status}{colon}{said}"),
            Verdict::FailedForGood => format!("permanent: {status}{colon}{said}"),
            Verdict::Redirected => format!("{status}: redirects are not followed{colon}{said}"),
        };
        words.truncate(words.floor_char_boundary(ERROR_TEXT_BYTES_MAX));
        words
    }
}

/// The text of a body, whatever its bytes are: one line, without control characters.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut line = String::with_capacity(text.len());
    for character in text.trim().chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_verdict() {
        for code in 100..=999 {
            let expected = match code {
                200..=299 => Verdict::Reply,
                408 | 425 | 429 => Verdict::FailedForNow,
                400..=499 => Verdict::FailedForGood,
                500..=999 => Verdict::FailedForNow,
                _ => Verdict::Redirected,
            };
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(Verdict::of(status), expected, "{code}");
        }
    }

    #[test]
    fn words_are_one_short_line() {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let rows: [(&[u8], &str); 4] = [
            (b"", "503 Service Unavailable"),
            (b" closed\n", "503 Service Unavailable: closed"),
            (
                b"a\r\nb\x1b[2J",
                "503 Service Unavailable: a\\r\\nb\\u{1b}[2J",
            ),
            (b"\xff", "503 Service Unavailable: \u{fffd}"),
        ];
        for (body, expected) in rows {
            assert_eq!(Verdict::FailedForNow.words(unavailable, body), expected);
        }
        let long = "\u{20ac}".repeat(1000);
        let words = Verdict::FailedForGood.words(StatusCode::BAD_REQUEST, long.as_bytes());
        assert!(words.len() <= ERROR_TEXT_BYTES_MAX);
        assert!(words.starts_with("permanent: 400 Bad Request: \u{20ac}"));
    }
}
