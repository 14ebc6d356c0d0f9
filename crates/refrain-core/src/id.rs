//! Names and numbers that identify things.
//!
//! Names come from people and are checked once, when they are made. Numbers are counted by the
//! engine and the journal: positions, deliveries, attempts and epochs start at 1, so that "none" is
//! an `Option` and never a zero.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::limit::NAME_BYTES_MAX;

/// The name of a stream, a processor, a channel's destination or a source.
///
/// Between 1 and 128 of the characters `A-Z a-z 0-9 . _ -`; safe in file names, subjects, headers
/// and operators' terminals.
///
/// ```
/// use refrain_core::Name;
///
/// let orders: Name = "orders".parse()?;
/// assert_eq!(orders.as_str(), "orders");
/// assert!("no spaces".parse::<Name>().is_err());
/// # Ok::<(), refrain_core::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks `text` and makes a name of it.
    ///
    /// # Errors
    /// [`NameError`] says which rule `text` breaks.
    pub fn new(text: &str) -> Result<Name, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong { bytes: text.len() });
        }
        match text.chars().find(|c| !is_name_character(*c)) {
            Some(character) => Err(NameError::Character { character }),
            None => Ok(Name(Arc::from(text))),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::new(text)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Why a text is not a [`Name`]. Repeating the call does not help; the text must change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing was given.
    #[error("a name needs at least one character")]
    Empty,
    /// More than [`NAME_BYTES_MAX`](crate::limit::NAME_BYTES_MAX) bytes.
    #[error("a name has at most 128 characters, this one has {bytes}")]
    TooLong {
        /// The length that was given.
        bytes: usize,
    },
    /// A character outside `A-Z a-z 0-9 . _ -`.
    #[error("a name holds letters, digits, '.', '_' and '-', not {character:?}")]
    Character {
        /// The first character that is not allowed.
        character: char,
    },
}

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
    fn name_is_refused_with_the_rule_it_breaks() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(
            Name::new(&"a".repeat(129)),
            Err(NameError::TooLong { bytes: 129 })
        );
        assert_eq!(
            Name::new("a/b"),
            Err(NameError::Character { character: '/' })
        );
        assert!(Name::new(&"a".repeat(128)).is_ok());
    }

    #[test]
    fn position_after_an_empty_stream_is_the_first() {
        assert_eq!(Position::after(None), Position::FIRST);
        assert_eq!(Position::after(Position::new(7)).get(), 8);
        assert_eq!(Position::FIRST.before(), None);
    }
}
