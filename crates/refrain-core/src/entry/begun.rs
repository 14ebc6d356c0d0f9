//! The entry with which a writer begins: it fences the writer before.

use super::wire::{FormatError, Reader, put_bytes, put_u8, put_u16, put_u32, put_u64};
use crate::id::Epoch;
use crate::name::Name;
use crate::time::Timestamp;

/// A writer began. Rides in its first append; no effect leaves before it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The writer's epoch.
    pub epoch: Epoch,
    /// When.
    pub time: Timestamp,
    /// 128 random bits that name this writer.
    pub writer: [u8; 16],
    /// The stream's own secret, drawn by its first writer and repeated by all later ones. Delivery
    /// keys and the memory of handled messages are keyed with it.
    pub secret: [u8; 32],
    /// The version of the code that writes, for people.
    pub code_version: String,
    /// Every channel the stream ever had; its place is its number.
    pub channels: Vec<DeclaredChannel>,
}

/// A channel as a writer declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredChannel {
    /// The channel's name.
    pub name: Name,
    /// How far beyond the highest recorded delivery this writer may have sent.
    pub run_ahead: u32,
}

pub(super) const TAG: u8 = 1;
const VERSION: u8 = 1;

impl Begun {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        put_u8(into, TAG);
        put_u8(into, VERSION);
        put_u64(into, self.epoch.get());
        put_u64(into, self.time.as_micros());
        into.extend_from_slice(&self.writer);
        into.extend_from_slice(&self.secret);
        put_bytes(into, self.code_version.as_bytes());
        let count = u16::try_from(self.channels.len()).expect("CHANNELS_MAX fits 16 bits");
        put_u16(into, count);
        for channel in &self.channels {
            put_bytes(into, channel.name.as_str().as_bytes());
            put_u32(into, channel.run_ahead);
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Begun, FormatError> {
        let mut reader = Reader::new(bytes, "begun");
        reader.u8()?;
        let version = reader.u8()?;
        if version != VERSION {
            return Err(reader.unknown(version.into()));
        }
        let epoch = reader.u64()?;
        if epoch == 0 || epoch == u64::MAX {
            // Epochs count from 1, and another one must follow.
            return Err(reader.invalid());
        }
        let epoch = Epoch::new(epoch);
        let time = Timestamp::from_micros(reader.u64()?);
        let (writer, secret) = (reader.array()?, reader.array()?);
        let code_version = reader.text()?.to_owned();
        let count = reader.u16()?;
        let mut channels = Vec::new();
        for _ in 0..count {
            let name = Name::new(reader.text()?).map_err(|_| reader.invalid())?;
            channels.push(DeclaredChannel {
                name,
                run_ahead: reader.u32()?,
            });
        }
        reader.end()?;
        Ok(Begun {
            epoch,
            time,
            writer,
            secret,
            code_version,
            channels,
        })
    }
}
