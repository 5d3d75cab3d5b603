//! One payload in a segment: a header of 44 bytes, its label, the payload itself.
//! Bytes only; the layout is in the room's own documentation.

use super::Payload;

/// The bytes of a header.
pub(super) const HEADER: usize = 44;

/// What a record begins with. The first byte is in no UTF-8 text.
pub(super) const MAGIC: [u8; 4] = [0xf5, b'r', b'e', b'c'];

/// The longest payload, in bytes.
pub(super) const PAYLOAD_MAX: usize = 1 << 30;

/// The longest label, in bytes.
pub(super) const LABEL_MAX: usize = u16::MAX as usize;

/// Numbers above this are taken for damage, so that no addition can overflow.
const NUMBER_MAX: u64 = 1 << 62;

/// A place between two payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// The number of the payload behind it.
    pub sequence: u64,
    /// The bytes of all payloads before it, in the life of the spool.
    pub bytes: u64,
}

impl Mark {
    /// The place behind a payload of `length` bytes.
    pub(super) fn after(self, length: usize) -> Mark {
        Mark { sequence: self.sequence + 1, bytes: self.bytes + length as u64 }
    }

    /// Whether nothing computed with it overflows.
    pub(super) fn is_plausible(self) -> bool {
        self.sequence <= NUMBER_MAX && self.bytes <= NUMBER_MAX
    }

    /// The later one, number by number.
    pub(super) fn max(self, other: Mark) -> Mark {
        Mark { sequence: self.sequence.max(other.sequence), bytes: self.bytes.max(other.bytes) }
    }
}

/// Where a record is. Its header is valid nowhere else: so nothing that a file system or
/// a disk puts into the wrong place is taken for a record there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The segment's.
    pub seed: u32,
    /// Its place in the segment's file.
    pub offset: u64,
}

impl Place {
    fn checksum(self, header: &[u8]) -> u32 {
        let place = crc32c::crc32c_append(self.seed, &self.offset.to_le_bytes());
        crc32c::crc32c_append(place, header)
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub mark: Mark,
    /// Microseconds since 1970.
    pub read_at: u64,
    pub payload: u32,
    pub label: u16,
    body_crc: u32,
}

impl Header {
    /// The place behind the record's payload.
    pub(super) fn after(&self) -> Mark {
        self.mark.after(self.payload as usize)
    }

    /// The bytes of the record, header included.
    pub(super) fn size(&self) -> u64 {
        HEADER as u64 + u64::from(self.label) + u64::from(self.payload)
    }

    /// Whether `body` (label and payload) is what was written.
    pub(super) fn is_body(&self, body: &[u8]) -> bool {
        crc32c::crc32c(body) == self.body_crc
    }
}

/// The bytes that a payload takes as a record.
pub(super) fn size(payload: &Payload<'_>) -> u64 {
    (HEADER + payload.label.len() + payload.bytes.len()) as u64
}

/// Appends a payload as a record.
pub(super) fn encode(out: &mut Vec<u8>, place: Place, mark: Mark, payload: &Payload<'_>) {
    let start = out.len();
    out.reserve(HEADER + payload.label.len() + payload.bytes.len());
    out.extend_from_slice(&[0; HEADER]);
    out.extend_from_slice(payload.label);
    out.extend_from_slice(payload.bytes);
    let body_crc = crc32c::crc32c(&out[start + HEADER..]);
    let header = &mut out[start..start + HEADER];
    header[..4].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&body_crc.to_le_bytes());
    header[12..16].copy_from_slice(&(payload.bytes.len() as u32).to_le_bytes());
    header[16..24].copy_from_slice(&mark.sequence.to_le_bytes());
    header[24..32].copy_from_slice(&mark.bytes.to_le_bytes());
    header[32..40].copy_from_slice(&payload.read_at.to_le_bytes());
    header[40..42].copy_from_slice(&(payload.label.len() as u16).to_le_bytes());
    sign(header, place);
}

/// Puts the header's checksum in.
fn sign(header: &mut [u8], place: Place) {
    let crc = place.checksum(&header[8..HEADER]);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// What a header says, if it is one that was written for this place.
pub(super) fn decode(place: Place, bytes: &[u8]) -> Option<Header> {
    if bytes.len() < HEADER || bytes[..4] != MAGIC {
        return None;
    }
    if u32_at(bytes, 4) != place.checksum(&bytes[8..HEADER]) {
        return None;
    }
    let header = Header {
        mark: Mark { sequence: u64_at(bytes, 16), bytes: u64_at(bytes, 24) },
        read_at: u64_at(bytes, 32),
        payload: u32_at(bytes, 12),
        label: u16::from_le_bytes([bytes[40], bytes[41]]),
        body_crc: u32_at(bytes, 8),
    };
    (header.mark.is_plausible() && header.payload as usize <= PAYLOAD_MAX).then_some(header)
}

/// Of records that we have encoded, those that are whole in the first `length` bytes:
/// their bytes, and the place behind the last.
pub(super) fn whole(records: &[u8], length: usize, mut mark: Mark) -> (usize, Mark) {
    let mut offset = 0;
    while offset + HEADER <= length {
        let (size, payload) = lengths(&records[offset..]);
        if offset + size > length {
            break;
        }
        mark = mark.after(payload);
        offset += size;
    }
    (offset, mark)
}

/// Makes records that we have encoded those of another place.
pub(super) fn replace(records: &mut [u8], place: Place) {
    let mut offset = 0;
    while offset < records.len() {
        let (size, _) = lengths(&records[offset..]);
        let place = Place { offset: place.offset + offset as u64, ..place };
        sign(&mut records[offset..offset + HEADER], place);
        offset += size;
    }
}

/// The bytes of the record that `bytes` begins with, and those of its payload.
fn lengths(bytes: &[u8]) -> (usize, usize) {
    let payload = u32_at(bytes, 12) as usize;
    let label = usize::from(u16::from_le_bytes([bytes[40], bytes[41]]));
    (HEADER + label + payload, payload)
}

/// The number in four bytes. They must be there, as in what follows.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes[at..at + 4].try_into();
    u32::from_le_bytes(bytes.expect("invariant: four bytes"))
}

/// The number in eight bytes.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes[at..at + 8].try_into();
    u64::from_le_bytes(bytes.expect("invariant: eight bytes"))
}

/// The number in sixteen bytes.
pub(super) fn u128_at(bytes: &[u8], at: usize) -> u128 {
    let bytes = bytes[at..at + 16].try_into();
    u128::from_le_bytes(bytes.expect("invariant: sixteen bytes"))
}
