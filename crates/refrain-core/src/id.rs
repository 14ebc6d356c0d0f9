//! Numbers that identify things.
//!
//! They are counted by the engine and the journal: positions, deliveries, attempts and epochs start
//! at 1, so that "none" is an `Option` and never a zero.

use std::fmt;
use std::num::NonZeroU64;

/// The place of an entry in its stream. Counts from 1, without gaps, and is never used again.
///
/// ```
/// use refrain_core::Position;
///
/// assert_eq!(Position::FIRST.next().get(), 2);
/// assert_eq!(Position::new(0), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(NonZeroU64);

impl Position {
    /// The position of the first entry of every stream.
    pub const FIRST: Position = Position(NonZeroU64::MIN);

    /// The position with this number, or `None` for 0.
    #[must_use]
    pub const fn new(number: u64) -> Option<Position> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Position(number)),
            None => None,
        }
    }

    /// The number, at least 1.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The position after this one.
    ///
    /// # Panics
    /// After 2^64 - 1 entries.
    #[must_use]
    pub const fn next(self) -> Position {
        self.plus(1)
    }

    /// The position `count` further on.
    ///
    /// # Panics
    /// When the sum does not fit 64 bits.
    #[must_use]
    pub const fn plus(self, count: u64) -> Position {
        Position(
            self.0
                .checked_add(count)
                .expect("a stream ends before 2^64 entries"),
        )
    }

    /// The position before this one; `None` before the first.
    #[must_use]
    pub const fn before(self) -> Option<Position> {
        Position::new(self.get() - 1)
    }

    /// The position after `head`, the last entry of a stream: the first one when it is empty.
    #[must_use]
    pub const fn after(head: Option<Position>) -> Position {
        match head {
            Some(head) => head.next(),
            None => Position::FIRST,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One unbroken writer of a stream. Grows at every take-over; counts from 1.
///
/// ```
/// assert!(refrain_core::Epoch::FIRST < refrain_core::Epoch::FIRST.next());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch of a stream's first writer.
    pub const FIRST: Epoch = Epoch(1);

    /// The epoch with this number.
    #[must_use]
    pub const fn new(number: u64) -> Epoch {
        Epoch(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The epoch of the next writer.
    #[must_use]
    pub const fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The idempotency key of one delivery: 128 bits, constant for ever, whatever attempt carries it.
///
/// Shown as 32 hexadecimal digits.
///
/// ```
/// let key = refrain_core::Key::new([0xab; 16]);
/// assert_eq!(key.to_string(), "ab".repeat(16));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// A key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Key {
        Key(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_after_an_empty_stream_is_the_first() {
        assert_eq!(Position::after(None), Position::FIRST);
        assert_eq!(Position::after(Position::new(7)).get(), 8);
        assert_eq!(Position::FIRST.before(), None);
    }
}
