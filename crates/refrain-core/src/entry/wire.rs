//! Little-endian numbers and length-prefixed bytes: the only way in and out of stored bytes.
//!
//! Reading is total: any input gives a value or a [`FormatError`], never a panic, and lengths are
//! checked against what is there before anything is taken.

use crate::id::Key;

/// Stored bytes do not say what their format promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes end too early, or too late.
    #[error("{what}: the length is wrong")]
    Length {
        /// The part that was being read.
        what: &'static str,
    },
    /// A number stands for nothing that this version knows.
    #[error("{what}: {value} is unknown here; written by a newer version?")]
    Unknown {
        /// The part that was being read.
        what: &'static str,
        /// What was found.
        value: u64,
    },
    /// A value that its meaning forbids.
    #[error("{what}: the value is not possible")]
    Invalid {
        /// The part that was being read.
        what: &'static str,
    },
}

pub(crate) fn put_u8(into: &mut Vec<u8>, value: u8) {
    into.push(value);
}

pub(crate) fn put_u16(into: &mut Vec<u8>, value: u16) {
    into.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u32(into: &mut Vec<u8>, value: u32) {
    into.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(into: &mut Vec<u8>, value: u64) {
    into.extend_from_slice(&value.to_le_bytes());
}

/// The length in 32 bits, then the bytes.
pub(crate) fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(into, length(bytes.len()));
    into.extend_from_slice(bytes);
}

/// A length as it is stored. Entries stay far below 4 GiB, see [`crate::limit`].
pub(crate) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("stored parts stay below 4 GiB")
}

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which are `what`, for errors.
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Reader<'a> {
        Reader { left: bytes, what }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (taken, left) = self
            .left
            .split_at_checked(count)
            .ok_or(FormatError::Length { what: self.what })?;
        self.left = left;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (taken, left) = self
            .left
            .split_first_chunk()
            .ok_or(FormatError::Length { what: self.what })?;
        self.left = left;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FormatError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn key(&mut self) -> Result<Key, FormatError> {
        self.array().map(Key::new)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], FormatError> {
        let count = self.u32()?;
        self.take(count as usize)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, FormatError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| self.invalid())
    }

    /// Everything was read, or the bytes are too long.
    pub(crate) fn end(&self) -> Result<(), FormatError> {
        if self.left.is_empty() {
            Ok(())
        } else {
            Err(FormatError::Length { what: self.what })
        }
    }

    pub(crate) fn unknown(&self, value: u64) -> FormatError {
        FormatError::Unknown {
            what: self.what,
            value,
        }
    }

    pub(crate) fn invalid(&self) -> FormatError {
        FormatError::Invalid { what: self.what }
    }
}
