//! Stored things as they are shown: entries, payloads, times and sizes.

mod entry;
mod payload;

use refrain_core::Timestamp;

pub(crate) use entry::{Channels, entry_value};

/// A point in time as RFC 3339 has it, in UTC, to the microsecond.
pub(crate) fn time_text(time: Timestamp) -> String {
    known(time).map_or_else(|| micros_text(time), |one| format!("{one:.6}"))
}

/// A point in time for a column of a table: to the second, in UTC.
pub(crate) fn second_text(time: Timestamp) -> String {
    let text = |one: jiff::Timestamp| one.strftime("%F %T").to_string();
    known(time).map_or_else(|| micros_text(time), text)
}

fn known(time: Timestamp) -> Option<jiff::Timestamp> {
    let micros = i64::try_from(time.as_micros()).ok()?;
    jiff::Timestamp::from_microsecond(micros).ok()
}

fn micros_text(time: Timestamp) -> String {
    format!("{} us", time.as_micros())
}

/// A number of things for people: `1 stream`, `2 streams`.
pub(crate) fn count_text(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Entries and the streams that they are of.
pub(crate) fn content_text(entries: u64, streams: u64) -> String {
    let entries = count_text(entries, "entry", "entries");
    let streams = count_text(streams, "stream", "streams");
    format!("{entries} of {streams}")
}

/// A number of bytes for people: three digits and a unit.
pub(crate) fn bytes_text(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_calendar_has_is_shown_as_a_number() {
        let time = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(time_text(time), "2023-11-14T22:13:20.123456Z");
        assert_eq!(second_text(time), "2023-11-14 22:13:20");
        // As wide as any other, so that columns stay columns.
        let whole = Timestamp::from_micros(1_700_000_000_000_000);
        assert_eq!(time_text(whole), "2023-11-14T22:13:20.000000Z");
        let never = Timestamp::from_micros(u64::MAX);
        assert_eq!(time_text(never), format!("{} us", u64::MAX));
    }
}
