//! The file that says what is acknowledged: two slots, of which one at a time is written.
//!
//! A slot that has been synced is not written again before the other one has been: so
//! whatever a power loss makes of the last writes, one slot is whole.

use std::io;

use super::{
    acknowledged::Range,
    record::{Mark, u32_at, u64_at, u128_at},
    segment::{Preamble, preamble, put_preamble},
    storage::{Access, Storage, StoredFile, read_full, write_all},
};

/// The name of the file.
pub(super) const NAME: &str = "cursor";

/// What a slot begins with.
const MAGIC: [u8; 8] = *b"fantail\x02";

/// The bytes of a slot. Both are in one page, which the system writes as one.
const SLOT: usize = 2048;

/// The bytes of the file.
pub(super) const SIZE: u64 = 2 * SLOT as u64;

/// The bytes before the ranges.
const HEAD: usize = 96;

/// The bytes of a range.
const RANGE: usize = 32;

/// How many ranges a slot has room for.
pub(super) const RANGES_MAX: usize = 60;

/// What a slot says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub identity: u128,
    /// Everything below it is acknowledged.
    pub low: Mark,
    /// The end of what could be read when this was written.
    pub end: Mark,
    /// If the spool has been closed in order: the number of the next payload.
    pub closed: Option<u64>,
    /// What is acknowledged above `low`: the first of it, if it is much.
    pub ranges: Vec<Range>,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Cursor<F> {
    file: F,
    /// Of the last slot written.
    generation: u64,
    /// The slot to write to: not the one that was synced last.
    slot: usize,
    /// Whether there is something to sync.
    is_dirty: bool,
    buffer: Vec<u8>,
}

/// What was found in the file.
pub(super) enum Found {
    /// The file has nothing in it.
    Nothing,
    /// A later version of the format.
    Newer(u32),
    /// Something, but no slot is whole.
    Damaged,
    /// The later one of the slots that are whole.
    State(State),
}

/// Reads the file, if there is one.
///
/// # Errors
///
/// The system's, but for a file that doesn't exist.
pub(super) fn read(storage: &impl Storage) -> io::Result<(Found, u64, usize)> {
    let file = match storage.open(NAME, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Found::Nothing, 0, 0)),
        Err(error) => return Err(error),
    };
    let mut bytes = [0; 2 * SLOT];
    // A slot that can't be read is as good as a damaged one.
    let mut read = 0;
    for slot in bytes.chunks_mut(SLOT).enumerate() {
        read += read_full(&file, slot.1, (slot.0 * SLOT) as u64).unwrap_or(1);
    }
    let mut best: Option<(u64, usize, State)> = None;
    for (slot, bytes) in bytes.chunks(SLOT).enumerate() {
        if let Preamble::Newer(version) = preamble(bytes, MAGIC) {
            return Ok((Found::Newer(version), 0, 0));
        }
        let Some((generation, state)) = decode(bytes) else { continue };
        if best.as_ref().is_none_or(|(highest, ..)| generation > *highest) {
            best = Some((generation, slot, state));
        }
    }
    Ok(match best {
        Some((generation, slot, state)) => (Found::State(state), generation, slot),
        None if read == 0 => (Found::Nothing, 0, 0),
        None => (Found::Damaged, 0, 0),
    })
}

impl<F: StoredFile> Cursor<F> {
    /// For a file whose last whole slot was this one, of this generation.
    pub(super) fn new(file: F, generation: u64, slot: usize) -> Cursor<F> {
        Cursor { file, generation, slot: 1 - slot, is_dirty: false, buffer: Vec::new() }
    }

    /// Writes what is acknowledged.
    pub(super) fn write(&mut self, state: &State) -> io::Result<()> {
        self.generation += 1;
        encode(&mut self.buffer, self.generation, state);
        self.is_dirty = true;
        write_all(&self.file, &self.buffer, (self.slot * SLOT) as u64).1
    }

    /// Makes sure that what was written last outlives a power loss.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.is_dirty {
            // After a failure the slot is written again before the next call, and so is
            // what may have been lost.
            self.file.sync()?;
            self.slot = 1 - self.slot;
            self.is_dirty = false;
        }
        Ok(())
    }
}

fn encode(out: &mut Vec<u8>, generation: u64, state: &State) {
    out.clear();
    out.resize(HEAD, 0);
    let ranges = &state.ranges[..state.ranges.len().min(RANGES_MAX)];
    put_preamble(out, MAGIC);
    out[16..32].copy_from_slice(&state.identity.to_le_bytes());
    let numbers = [
        generation,
        state.low.sequence,
        state.low.bytes,
        state.end.sequence,
        state.end.bytes,
        state.closed.unwrap_or(0),
    ];
    for (place, number) in out[32..80].chunks_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    out[80..84].copy_from_slice(&u32::from(state.closed.is_some()).to_le_bytes());
    out[84..88].copy_from_slice(&(ranges.len() as u32).to_le_bytes());
    for range in ranges {
        for number in [range.first.sequence, range.first.bytes, range.end.sequence, range.end.bytes]
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    let crc = crc32c::crc32c(out);
    out.extend_from_slice(&crc.to_le_bytes());
}

fn decode(slot: &[u8]) -> Option<(u64, State)> {
    if preamble(slot, MAGIC) != Preamble::Ours {
        return None;
    }
    let ranges = u32_at(slot, 84) as usize;
    if ranges > RANGES_MAX {
        return None;
    }
    let end = HEAD + ranges * RANGE;
    if u32_at(slot, end) != crc32c::crc32c(&slot[..end]) {
        return None;
    }
    let ranges = slot[HEAD..end].chunks(RANGE).map(|bytes| Range {
        first: Mark { sequence: u64_at(bytes, 0), bytes: u64_at(bytes, 8) },
        end: Mark { sequence: u64_at(bytes, 16), bytes: u64_at(bytes, 24) },
    });
    let state = State {
        identity: u128_at(slot, 16),
        low: Mark { sequence: u64_at(slot, 40), bytes: u64_at(slot, 48) },
        end: Mark { sequence: u64_at(slot, 56), bytes: u64_at(slot, 64) },
        closed: (u32_at(slot, 80) == 1).then(|| u64_at(slot, 72)),
        ranges: ranges.collect(),
    };
    let is_plausible = state.low.is_plausible()
        && state.end.is_plausible()
        && state.ranges.iter().all(|range| range.first.is_plausible() && range.end.is_plausible());
    is_plausible.then(|| (u64_at(slot, 32), state))
}
