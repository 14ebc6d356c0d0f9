//! `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use refrain_core::Timestamp;

/// How long the destination asks to wait, at most `longest`; nothing when it does not ask, or not in
/// a form that the standard knows.
///
/// A date is read against the response's own `Date`, so that the two clocks need not agree, and
/// against `now` when there is none.
pub(crate) fn read(headers: &HeaderMap, now: Timestamp, longest: Duration) -> Option<Duration> {
    let asked = text(headers, RETRY_AFTER)?;
    let wait = if asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are still a number: a very long wait.
        Duration::from_secs(asked.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(asked).ok()?;
        let sent = text(headers, DATE)
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .or_else(|| system_time(now))?;
        until.duration_since(sent).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(longest))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (!text.is_empty()).then_some(text)
}

fn system_time(at: Timestamp) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(at.since(Timestamp::EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn check(asked: &'static str, date: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(asked));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        // Sun, 06 Nov 1994 08:49:00 GMT
        let now = Timestamp::from_micros(784_111_740_000_000);
        let hour = Duration::from_secs(3600);
        read(&headers, now, hour).map(|wait| wait.as_secs())
    }

    /// B6.6
    #[test]
    fn every_form_of_retry_after_is_read_and_capped() {
        let date = Some("Sun, 06 Nov 1994 08:49:30 GMT");
        let rows = [
            ("0", None, Some(0)),
            ("120", None, Some(120)),
            (" 120 ", None, Some(120)),
            ("3601", None, Some(3600)),
            ("99999999999999999999999", None, Some(3600)),
            // The three forms of a date, against our clock and against the sender's.
            ("Sun, 06 Nov 1994 08:49:37 GMT", None, Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None, Some(37)),
            ("Sun Nov  6 08:49:37 1994", None, Some(37)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", date, Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some("nonsense"), Some(37)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", date, Some(0)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", date, Some(3600)),
            // What the standard does not know is no wish.
            ("-1", None, None),
            ("1.5", None, None),
            ("soon", None, None),
            ("", None, None),
            ("12 s", None, None),
        ];
        for (asked, date, expected) in rows {
            assert_eq!(check(asked, date), expected, "{asked:?} {date:?}");
        }
    }

    #[test]
    fn no_header_is_no_wish() {
        let now = Timestamp::EPOCH;
        assert_eq!(read(&HeaderMap::new(), now, Duration::MAX), None);
    }
}
