//! The part of a queue that lives on disk: payloads in files that survive crashes.
//!
//! # Promises
//!
//! * A payload that has been synced is delivered, whatever ends the host, unless it is
//!   acknowledged, discarded, or its bytes on the disk are damaged. Damage costs the payloads that
//!   it hits, and is told of; a spool can always be opened again.
//! * What is read is exactly what was appended, in its order, each payload once as long as the
//!   spool is open. What was acknowledged stays so over the end of the process; after a power loss,
//!   the last of it may be delivered again. Of what is acknowledged out of order, only the first 60
//!   ranges outlive the process.
//! * The spool's *identity* (128 random bits, made with it) and a payload's *sequence number* name
//!   the payload for ever. Numbers rise by one; after a stop that was not in order 2^24 of them
//!   are left out, so that none is used twice even if a power loss took payloads away that had been
//!   read before they were synced.
//! * All files together never take more bytes than the maximum size. Opening reads one header
//!   for each segment (there are about eight, and never more than some thousands) and one segment.
//! * Memory: what isn't synced (4 MiB, or one payload), a window of 256 KiB for the reader (or one
//!   payload), 24 bytes for each payload that was read and is not acknowledged, and 32 for each gap
//!   between those.
//! * The two halves, [`Writer`] and [`Reader`], are for two threads; neither waits while the other
//!   one writes, reads or syncs a segment. Only [`Writer::discard_oldest`], removing what is used
//!   up when the spool is full, and what a failed sync leaves empty, can wait for the writing of
//!   the cursor.
//!
//! # Files
//!
//! All lie in one directory (0700) of the user that the host runs as (0600). Numbers are
//! little-endian; checksums are CRC-32C (Castagnoli).
//!
//! | name | what it is |
//! | --- | --- |
//! | `NNNNNNNNNNNNNNNN.segment` | payloads; N is the segment's number in hexadecimal digits |
//! | `cursor` | what is acknowledged |
//! | `lock` | locked (flock) by the process that has the spool open; its number, as text |
//! | `damaged` | damaged bytes, each with a line that says where they were; at most 1/32 of the maximum size, or 1 MiB |
//!
//! Segments and the cursor begin with the same 16 bytes in every version of the format:
//!
//! | bytes | preamble |
//! | --- | --- |
//! | 0..8 | `fantail` and the byte 1 (segment) or 2 (cursor) |
//! | 8..12 | version: 1 |
//! | 12..16 | checksum of bytes 0..12 |
//!
//! **A segment** has a header of 84 bytes, then records, one directly behind the other. Its number
//! is one above that of the segment before it. A segment is complete when another one follows.
//!
//! | bytes | header of a segment |
//! | --- | --- |
//! | 0..16 | preamble |
//! | 16..32 | the spool's identity |
//! | 32..40 | the segment's number |
//! | 40..48 | the sequence number of its first record |
//! | 48..56 | the bytes of all payloads before it, in the life of the spool |
//! | 56..64 | the sequence number at which the segment before it ended: what it has from there on does not count |
//! | 64..72 | the bytes of all payloads before that end |
//! | 72..80 | 0 |
//! | 80..84 | checksum of bytes 0..80 |
//!
//! | bytes | record |
//! | --- | --- |
//! | 0..4 | `f5 72 65 63` |
//! | 4..8 | checksum of (identity, segment's number as 8 bytes, the record's place in the file as 8 bytes, bytes 8..44) |
//! | 8..12 | checksum of the label and the payload |
//! | 12..16 | length of the payload, at most 2^30 |
//! | 16..24 | sequence number |
//! | 24..32 | the bytes of all payloads before it, in the life of the spool |
//! | 32..40 | when it was read: microseconds since 1970 |
//! | 40..42 | length of the label |
//! | 42..44 | 0 |
//! | 44.. | label, payload |
//!
//! **The cursor** has two slots, at bytes 0 and 2048; the one with the higher generation counts, if
//! it is whole.
//!
//! | bytes | slot of the cursor |
//! | --- | --- |
//! | 0..16 | preamble |
//! | 16..32 | the spool's identity |
//! | 32..40 | generation: one above the last slot's |
//! | 40..48 | the sequence number below which all payloads are acknowledged |
//! | 48..56 | the bytes of all payloads below it |
//! | 56..64 | the sequence number behind the last payload, when this was written |
//! | 64..72 | the bytes of all payloads before it |
//! | 72..80 | the next sequence number, if the spool was closed in order |
//! | 80..84 | 1 if it was |
//! | 84..88 | the number of ranges, at most 60 |
//! | 88..96 | 0 |
//! | 96.. | ranges of payloads above that are acknowledged, each: the first sequence number, the bytes of all payloads before it, the sequence number behind the last, the bytes of all payloads before that (8 bytes each) |
//! | then | checksum of everything before (4 bytes) |
//!
//! # Order of writes
//!
//! A segment is synced, with its header and the directory, before anything is appended to it, and
//! again before the next one is made. A sync that fails is not repeated: nobody knows then what the
//! disk has, so what was not synced is written again to a new segment, from memory. After a crash
//! always a new segment is begun, so a torn end is never written over. The cursor is synced before a
//! segment is removed; of its slots the one that was synced last is never written to.
//!
//! # Left out
//!
//! Several readers; segments across file systems; going back to what is acknowledged. Checksums
//! find accidents, not forgers: who can write to the directory can write payloads.

mod record;
mod segment;
pub mod storage;
pub mod simulated;
mod directory;
mod walk;
mod acknowledged;
mod cursor;
mod finding;
mod error;
mod shared;
mod open;
mod writer;
mod reader;
mod taken;
mod contents;
mod gauge;

#[cfg(test)]
mod tests;

use std::{fs::DirBuilder, io, ops::Range, os::unix::fs::DirBuilderExt, path::Path};

use fantail_sdk::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use contents::{Contents, Item, Kept};
pub use directory::Directory;
pub use error::{Error, ErrorKind};
pub use finding::{Finding, Problem};
pub use gauge::{Gauge, SpoolFigures};
pub use reader::{Acknowledgement, Reader};
pub use storage::Storage;
pub use taken::Taken;
pub use writer::{UNSYNCED_MAX, Writer};

use crate::queue::Batch;

/// The smallest maximum size, in bytes.
pub const MAX_SIZE_LEAST: u64 = 1 << 20;

/// How a spool is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What all its files may take, in bytes; at least [`MAX_SIZE_LEAST`]. A spool that is
    /// larger already takes nothing in until it is smaller.
    pub max_size: u64,
}

/// A spool that has been opened.
pub struct Opened<S: Storage> {
    /// The half to append to.
    pub writer: Writer<S>,
    /// The half to read from.
    pub reader: Reader<S>,
    /// The spool's identity.
    pub identity: u128,
    /// What may be read and isn't acknowledged; damaged payloads included, as long as
    /// nobody has read them.
    pub queued: Amount,
    /// What was wrong with the files, at most 64 findings.
    pub findings: Vec<Finding>,
}

/// Opens the spool in a directory, or makes it. Both halves have to be dropped before it can be
/// opened again.
///
/// # Errors
///
/// When another process has it open, the directory isn't safe, a later version has written
/// it, or the system fails. Damage is no error.
pub fn open(path: &Path, options: Options) -> Result<Opened<Directory>, Error> {
    open::open(Directory::lock(path)?, options).map_err(|error| error.within(path))
}

/// The moment, as records have it: microseconds since 1970.
pub fn micros_now() -> u64 {
    u64::try_from(Timestamp::now().as_micros()).unwrap_or(0)
}

/// The name of a directory for something that may be called anything: letters, digits, `-`, `_`
/// and `.` stay, but for a first `.`; other bytes become `%XX`.
pub fn directory_name(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
    let name = utf8_percent_encode(text, KEPT).to_string();
    match name.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => name,
    }
}

/// As [`open`], but makes the directories above the spool's as well (0700).
///
/// # Errors
///
/// See [`open`].
pub fn open_below(path: &Path, options: Options) -> Result<Opened<Directory>, Error> {
    if let Some(parent) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(|error| Error::io(parent, &error))?;
    }
    open(path, options)
}

/// Opens the spool in a storage, or makes it.
///
/// # Errors
///
/// See [`open`].
pub fn open_in<S: Storage>(storage: S, options: Options) -> Result<Opened<S>, Error> {
    open::open(storage, options)
}

/// Some payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many they are.
    pub payloads: u64,
    /// Their bytes, without labels and headers.
    pub bytes: u64,
}

impl Amount {
    /// What has gone since there were so many.
    fn minus(self, left: Amount) -> Amount {
        Amount {
            payloads: self.payloads.saturating_sub(left.payloads),
            bytes: self.bytes.saturating_sub(left.bytes),
        }
    }
}

/// A payload to be appended.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// The payload itself, at most 1 GiB.
    pub bytes: &'a [u8],
    /// What the spool keeps with it, at most 65,535 bytes.
    pub label: &'a [u8],
    /// When what it was made from was read: microseconds since 1970.
    pub read_at: u64,
}

impl<'a> Payload<'a> {
    /// The payloads of a batch with their labels, all with one time.
    pub fn of(batch: &'a Batch, read_at: u64) -> impl ExactSizeIterator<Item = Payload<'a>> {
        (0..batch.len()).map(move |index| Payload {
            bytes: batch.payload(index),
            label: batch.label(index).unwrap_or_default(),
            read_at,
        })
    }
}

/// What has been appended.
#[derive(Debug)]
pub struct Appended {
    /// The numbers that the payloads have got: the first ones of those that were to be
    /// appended. All later ones were not.
    pub sequences: Range<u64>,
    /// Why it weren't all.
    pub stop: Option<Stop>,
}

/// Why a payload wasn't appended.
#[derive(Debug)]
pub enum Stop {
    /// There is no room. There will be when something is acknowledged or discarded.
    Full,
    /// The payload can never be appended: it is larger than the spool, or its limits.
    TooLarge,
    /// The system's error: the disk is full, or broken.
    Failed(io::Error),
}
