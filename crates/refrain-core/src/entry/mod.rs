//! Entries: the closed set of facts that a stream holds, and their stored form.
//!
//! The first byte of an entry is its tag and the second its version; both are written numbers that
//! are never reused. An entry is checked and borrowed, not copied: replay runs over the journal's
//! own buffers.

mod begun;
mod cause_format;
mod moved;
mod step;
#[cfg(test)]
mod tests;
mod watermark;
pub(crate) mod wire;

pub use begun::{Begun, DeclaredChannel};
pub(crate) use cause_format::drawn_identity;
pub(crate) use moved::reason_tag;
pub use moved::{Actor, ChannelMoved, InDoubt, Move, StopReason};
pub use step::{Envelope, Envelopes, Events, RecordedMessage, Step, StepVerdict};
pub use watermark::Watermark;
pub use wire::FormatError;

use wire::Reader;

/// One fact of a stream.
///
/// ```
/// use refrain_core::Entry;
///
/// # fn print(bytes: &[u8]) -> Result<(), refrain_core::FormatError> {
/// match Entry::decode(bytes)? {
///     Entry::Begun(begun) => println!("epoch {} by {}", begun.epoch, begun.code_version),
///     Entry::Step(step) => println!("{:?} because of {:?}", step.verdict, step.cause),
///     Entry::ChannelMoved(moved) => println!("channel {}: {:?}", moved.channel, moved.what),
///     Entry::Watermark(watermark) => println!("a snapshot, {:x?}", watermark.digest),
/// }
/// # Ok(())
/// # }
/// assert!(Entry::decode(b"anything").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A writer began.
    Begun(Begun),
    /// A message was handled.
    Step(Step<'a>),
    /// A channel changed without a message.
    ChannelMoved(ChannelMoved<'a>),
    /// A snapshot was taken.
    Watermark(Watermark),
}

impl<'a> Entry<'a> {
    /// The entry that `bytes` hold.
    ///
    /// # Errors
    /// When they are not one whole entry of a kind and version known here. Any bytes are safe to
    /// pass.
    pub fn decode(bytes: &'a [u8]) -> Result<Entry<'a>, FormatError> {
        match Reader::new(bytes, "entry").u8()? {
            begun::TAG => Begun::decode(bytes).map(Entry::Begun),
            step::TAG => Step::decode(bytes).map(Entry::Step),
            moved::TAG => ChannelMoved::decode(bytes).map(Entry::ChannelMoved),
            watermark::TAG => Watermark::decode(bytes).map(Entry::Watermark),
            tag => Err(FormatError::Unknown {
                what: "entry",
                value: tag.into(),
            }),
        }
    }
}
