//! How payloads (messages, events, requests, replies, answers, state) become bytes.
//!
//! The choice is a value of the processor and is written into every step, so that tools can print
//! payloads without the user's types.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A self-describing encoding of payloads.
///
/// ```
/// use refrain_core::Encoding;
///
/// let mut bytes = Vec::new();
/// Encoding::Cbor.encode(&("jelly beans", 3), &mut bytes)?;
/// let (product, quantity): (String, u32) = Encoding::Cbor.decode(&bytes)?;
/// assert_eq!((product.as_str(), quantity), ("jelly beans", 3));
/// # Ok::<(), refrain_core::CodecError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// CBOR (RFC 8949): structs as maps with field names, enums by variant name.
    #[default]
    Cbor,
    /// JSON (RFC 8259).
    Json,
}

impl Encoding {
    /// Appends the encoded `value` to `into`.
    ///
    /// # Errors
    /// When the value's own `Serialize` refuses, or the encoding has no form for it. `into` then
    /// holds what it held before.
    pub fn encode<T: Serialize + ?Sized>(
        self,
        value: &T,
        into: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let start = into.len();
        let encoded = match self {
            Encoding::Cbor => {
                let mut serializer = minicbor_serde::Serializer::new(Buffer(into));
                value
                    .serialize(&mut serializer)
                    .map(|_| ())
                    .map_err(CodecError::of::<T>)
            }
            Encoding::Json => serde_json::to_writer(&mut *into, value).map_err(CodecError::of::<T>),
        };
        if encoded.is_err() {
            into.truncate(start);
        }
        encoded
    }

    /// The value that `bytes` encode.
    ///
    /// # Errors
    /// When `bytes` are not one whole value of the type.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, CodecError> {
        match self {
            Encoding::Cbor => minicbor_serde::from_slice(bytes).map_err(CodecError::of::<T>),
            Encoding::Json => serde_json::from_slice(bytes).map_err(CodecError::of::<T>),
        }
    }

    /// The number that stands for this encoding in stored bytes. Never reused.
    #[must_use]
    pub const fn tag(self) -> u8 {
        match self {
            Encoding::Cbor => 1,
            Encoding::Json => 2,
        }
    }

    /// The encoding with this tag, if this version knows it.
    #[must_use]
    pub const fn from_tag(tag: u8) -> Option<Encoding> {
        match tag {
            1 => Some(Encoding::Cbor),
            2 => Some(Encoding::Json),
            _ => None,
        }
    }
}

/// A payload could not be encoded or decoded. Repeating does not help.
#[derive(Debug, thiserror::Error)]
#[error("{type_name}: {reason}")]
pub struct CodecError {
    type_name: &'static str,
    reason: String,
}

impl CodecError {
    fn of<T: ?Sized>(reason: impl std::fmt::Display) -> CodecError {
        CodecError {
            type_name: std::any::type_name::<T>(),
            reason: reason.to_string(),
        }
    }
}

/// A buffer that grows; writing to it is worth inlining, for most writes are a byte or two.
struct Buffer<'a>(&'a mut Vec<u8>);

impl minicbor::encode::Write for Buffer<'_> {
    type Error = std::convert::Infallible;

    #[inline(always)]
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
