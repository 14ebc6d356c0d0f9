//! Names: what streams, processors, destinations and sources are called.
//!
//! They come from people and are checked once, when they are made.

use std::cmp;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use triomphe::{Arc, HeaderSlice};

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
///
/// Clones share one text, and what was [noted](Name::note) with it.
#[derive(Clone)]
pub struct Name(Arc<Named>);

/// A text behind its note, in one piece of memory.
type Named = HeaderSlice<AtomicU64, str>;

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
            None => Ok(Name(Arc::from_header_and_str(AtomicU64::new(0), text))),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.slice
    }

    /// Notes that this name has a number in a table, for [`Name::noted`]. There is one note with a name and
    /// its clones: that of the table which noted last.
    ///
    /// # Panics
    /// When the number is not below [`NameTable::NUMBERS_MAX`].
    pub fn note(&self, noted: Noted) {
        assert!(noted.number < NameTable::NUMBERS_MAX, "numbers are bounded");
        let note = noted.table.0.get() << NUMBER_BITS | u64::from(noted.number);
        self.0.header.store(note, Ordering::Relaxed);
    }

    /// What was noted last. It says nothing about other tables than the one that it names.
    #[must_use]
    pub fn noted(&self) -> Option<Noted> {
        let note = self.0.header.load(Ordering::Relaxed);
        Some(Noted {
            table: NameTable(NonZeroU64::new(note >> NUMBER_BITS)?),
            number: (note & u64::from(NameTable::NUMBERS_MAX - 1)) as u32,
        })
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
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

/// A table in which names have numbers, such as a journal's of its streams. Whoever looks a name up again
/// and again notes the number with the name itself ([`Name::note`]), and need not look any more.
///
/// What was noted holds in this table for ever: when a name gets another number, or none, the table becomes
/// another one, a [fresh](NameTable::fresh) one.
///
/// ```
/// use refrain_core::{Name, NameTable, Noted};
///
/// let table = NameTable::fresh();
/// let orders = Name::new("orders")?;
/// assert_eq!(orders.noted(), None);
/// orders.note(Noted { table, number: 7 });
/// assert_eq!(orders.clone().noted(), Some(Noted { table, number: 7 }));
/// # Ok::<(), refrain_core::NameError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameTable(NonZeroU64);

/// The number of a name in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// The table in which it has that number.
    pub table: NameTable,
    /// The number, below [`NameTable::NUMBERS_MAX`].
    pub number: u32,
}

const NUMBER_BITS: u32 = 24;

impl NameTable {
    /// Numbers that can be noted are below this.
    pub const NUMBERS_MAX: u32 = 1 << NUMBER_BITS;

    /// One that no name has a note of.
    ///
    /// # Panics
    /// After 2^40 calls.
    #[must_use]
    pub fn fresh() -> NameTable {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let table = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(
            table >> (u64::BITS - NUMBER_BITS) == 0,
            "tables are counted in 40 bits"
        );
        NameTable(NonZeroU64::new(table).expect("tables are counted from 1"))
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
    fn a_name_and_its_clones_keep_the_last_note_and_no_other_name_of_the_same_text_does() {
        let name = Name::new("orders").unwrap();
        let same = Name::new("orders").unwrap();
        for number in [0, 1, NameTable::NUMBERS_MAX - 1] {
            let table = NameTable::fresh();
            name.note(Noted { table, number });
            assert_eq!(name.clone().noted(), Some(Noted { table, number }));
        }
        assert_eq!((same.noted(), &same), (None, &name));
    }
}
