//! A segment's name and header. Bytes only; the layout is in the room's own
//! documentation.

use super::record::{Mark, u32_at, u64_at, u128_at};

/// The bytes of a header.
pub(super) const HEADER: usize = 84;

/// The version of the format that this host writes.
pub(super) const VERSION: u32 = 1;

/// What a segment begins with.
pub(super) const MAGIC: [u8; 8] = *b"fantail\x01";

/// What names of segments end with, behind their number in 16 hexadecimal digits.
const SUFFIX: &str = ".segment";

/// The name of a segment's file.
pub(super) fn name(ordinal: u64) -> String {
    format!("{ordinal:016x}{SUFFIX}")
}

/// The number of the segment with this name, if it is one's.
pub(super) fn ordinal(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_ours = digits.len() == 16
        && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    // The highest numbers are left free, so that the next is always one.
    u64::from_str_radix(digits, 16).ok().filter(|&ordinal| is_ours && ordinal < 1 << 62)
}

/// What the header checksums of a segment's records begin with: a record of another
/// spool or segment, wherever it may come from, is not taken for one of this.
pub(super) fn seed(identity: u128, ordinal: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&identity.to_le_bytes()), &ordinal.to_le_bytes())
}

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub identity: u128,
    pub ordinal: u64,
    /// Where its first record begins.
    pub first: Mark,
    /// Where the last record of the segment before it ended.
    pub previous_end: Mark,
}

/// The part that all versions of both kinds of files have in common.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Preamble {
    /// This version's.
    Ours,
    /// A later version's.
    Newer(u32),
    /// Not readable, or of something else.
    Damaged,
}

/// Writes what a file of this kind begins with.
pub(super) fn put_preamble(out: &mut [u8], magic: [u8; 8]) {
    out[..8].copy_from_slice(&magic);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&out[..12]);
    out[12..16].copy_from_slice(&crc.to_le_bytes());
}

/// Reads what a file of this kind begins with.
pub(super) fn preamble(bytes: &[u8], magic: [u8; 8]) -> Preamble {
    if bytes.len() < 16 || bytes[..8] != magic || u32_at(bytes, 12) != crc32c::crc32c(&bytes[..12])
    {
        return Preamble::Damaged;
    }
    match u32_at(bytes, 8) {
        VERSION => Preamble::Ours,
        version if version > VERSION => Preamble::Newer(version),
        _ => Preamble::Damaged,
    }
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        put_preamble(&mut bytes, MAGIC);
        bytes[16..32].copy_from_slice(&self.identity.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.ordinal.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first.sequence.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.first.bytes.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.previous_end.sequence.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.previous_end.bytes.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..80]);
        bytes[80..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// What the header says, if it is whole and of this version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Header> {
        if preamble(bytes, MAGIC) != Preamble::Ours
            || bytes.len() < HEADER
            || u32_at(bytes, 80) != crc32c::crc32c(&bytes[..80])
        {
            return None;
        }
        let header = Header {
            identity: u128_at(bytes, 16),
            ordinal: u64_at(bytes, 32),
            first: Mark { sequence: u64_at(bytes, 40), bytes: u64_at(bytes, 48) },
            previous_end: Mark { sequence: u64_at(bytes, 56), bytes: u64_at(bytes, 64) },
        };
        (header.first.is_plausible() && header.previous_end.is_plausible()).then_some(header)
    }
}
