//! The header of a frame: one flush batch, all or nothing.

use super::{counter_at, u32_at};
use crate::planted;

/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 40;

/// How every frame starts.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"RFRM";

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Counted from 1 through the whole journal, without gaps.
    pub(crate) number: u64,
    /// The opening that wrote it.
    pub(crate) epoch: u64,
    /// The checksum of the header before, which commits to everything before.
    pub(crate) chain: u32,
    /// The checksum of the records' checksums.
    pub(crate) digest: u32,
    /// Bytes of the records.
    pub(crate) body_bytes: u32,
    /// Number of records.
    pub(crate) records: u32,
}

/// A header as it was found, with its checksum: the chain of the frame after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) header: FrameHeader,
    pub(crate) checksum: u32,
}

impl FrameHeader {
    /// Writes the header and gives its checksum.
    pub(crate) fn encode(&self, salt: u32, bytes: &mut [u8; FRAME_HEADER_BYTES]) -> u32 {
        bytes[..4].copy_from_slice(&FRAME_MAGIC);
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.chain.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.digest.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.records.to_le_bytes());
        let checksum = crc32c::crc32c_append(salt, &bytes[8..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        checksum
    }

    /// The header at the start of `bytes`, if there is a whole one.
    pub(crate) fn decode(salt: u32, bytes: &[u8]) -> Option<Sealed> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
        let checksum = u32_at(bytes, 4)?;
        let is_right = crc32c::crc32c_append(salt, &bytes[8..]) == checksum
            || planted::is("frame-header-without-checksum");
        if bytes[..4] != FRAME_MAGIC || !is_right {
            return None;
        }
        let header = FrameHeader {
            number: counter_at(bytes, 8)?,
            epoch: counter_at(bytes, 16)?,
            chain: u32_at(bytes, 24)?,
            digest: u32_at(bytes, 28)?,
            body_bytes: u32_at(bytes, 32)?,
            records: u32_at(bytes, 36)?,
        };
        Some(Sealed { header, checksum })
    }
}
