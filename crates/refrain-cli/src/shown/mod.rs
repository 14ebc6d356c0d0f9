//! Stored things as they are shown: entries, payloads, times and sizes.

mod entry;
mod payload;

use refrain_core::Timestamp;

pub(crate) use entry::{Channels, entry_value};

/// A point in time as RFC 3339 has it, in UTC.
pub(crate) fn time_text(time: Timestamp) -> String {
    let micros = i64::try_from(time.as_micros()).ok();
    let known = micros.and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    known.map_or_else(|| format!("{} us", time.as_micros()), |one| one.to_string())
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
        let never = Timestamp::from_micros(u64::MAX);
        assert_eq!(time_text(never), format!("{} us", u64::MAX));
    }
}
