//! From record to record through one segment, over what is damaged. Holds a window of
//! the file, no larger than the largest record in it; takes time in proportion to the
//! bytes it passes, whatever they are.

use std::io;

use memchr::memmem;
use rustix::io::Errno;

use super::{
    record::{self, Header, Place},
    segment,
    storage::{StoredFile, read_full},
};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// What can't be read is passed over in steps of this many bytes.
const SECTOR: usize = 4096;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record, whole.
    Record(Header),
    /// Bytes that are no record.
    Damage { offset: u64, length: u64 },
    /// The limit.
    End,
}

/// A place in a segment.
#[derive(Debug)]
pub(super) struct Walk<F> {
    file: F,
    seed: u32,
    /// Where the next record begins.
    offset: u64,
    /// Where the last one began, and what it says.
    last: Option<(u64, Header)>,
    /// The file's bytes from `start`.
    window: Vec<u8>,
    start: u64,
}

impl<F: StoredFile> Walk<F> {
    /// At the first record. The window's memory may be another walk's.
    pub(super) fn new(file: F, seed: u32, mut window: Vec<u8>) -> Walk<F> {
        window.clear();
        Walk { file, seed, offset: segment::HEADER as u64, last: None, window, start: 0 }
    }

    /// Gives up the file, and keeps the memory.
    pub(super) fn into_window(self) -> Vec<u8> {
        self.window
    }

    /// The file.
    pub(super) fn file(&self) -> &F {
        &self.file
    }

    /// Where the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The record, or the damage, at this place; nothing at or behind `limit` is looked
    /// at. Records below the number `least` are taken for damage.
    pub(super) fn step(&mut self, limit: u64, least: u64) -> io::Result<Step> {
        self.last = None;
        let offset = self.offset;
        if offset >= limit {
            return Ok(Step::End);
        }
        let Some(header) = self.header_at(offset, limit, least)? else {
            self.offset = self.find_header(offset + 1, limit, least)?;
            return Ok(Step::Damage { offset, length: self.offset - offset });
        };
        let size = header.size();
        self.fill(offset, size as usize, limit)?;
        self.offset += size;
        if !header.is_body(&self.at(offset)[record::HEADER..size as usize]) {
            return Ok(Step::Damage { offset, length: size });
        }
        self.last = Some((offset, header));
        Ok(Step::Record(header))
    }

    /// Goes back before the record of the last step.
    pub(super) fn step_back(&mut self) {
        if let Some((offset, _)) = self.last.take() {
            self.offset = offset;
        }
    }

    /// The label and the payload of the record of the last step.
    pub(super) fn body(&self) -> (&[u8], &[u8]) {
        let Some((offset, header)) = &self.last else { return (&[], &[]) };
        let body = &self.at(*offset)[record::HEADER..header.size() as usize];
        body.split_at(usize::from(header.label))
    }

    /// The header at `offset`, if there is one whose record ends within the limit.
    fn header_at(&mut self, offset: u64, limit: u64, least: u64) -> io::Result<Option<Header>> {
        if limit - offset < record::HEADER as u64 {
            return Ok(None);
        }
        self.fill(offset, record::HEADER, limit)?;
        let header = record::decode(Place { seed: self.seed, offset }, self.at(offset));
        Ok(header.filter(|header| header.mark.sequence >= least && header.size() <= limit - offset))
    }

    /// The next place from `offset` on at which a record begins; else the limit.
    fn find_header(&mut self, mut offset: u64, limit: u64, least: u64) -> io::Result<u64> {
        while limit.saturating_sub(offset) >= record::HEADER as u64 {
            self.fill(offset, record::HEADER, limit)?;
            match memmem::find(self.at(offset), &record::MAGIC) {
                Some(distance) => offset += distance as u64,
                None => {
                    // The last bytes may begin one.
                    offset += (self.at(offset).len() - (record::MAGIC.len() - 1)) as u64;
                    continue;
                }
            }
            if offset < limit && self.header_at(offset, limit, least)?.is_some() {
                return Ok(offset);
            }
            offset += 1;
        }
        Ok(limit)
    }

    /// The window from `offset` on.
    fn at(&self, offset: u64) -> &[u8] {
        &self.window[(offset - self.start) as usize..]
    }

    /// Makes sure that at least `need` bytes from `offset` on are in the window, which
    /// must end within the limit.
    fn fill(&mut self, offset: u64, need: usize, limit: u64) -> io::Result<()> {
        let end = self.start + self.window.len() as u64;
        if self.start <= offset && offset + need as u64 <= end {
            return Ok(());
        }
        // What is already there is moved to the front.
        let kept = if self.start <= offset && offset < end {
            let from = (offset - self.start) as usize;
            self.window.copy_within(from.., 0);
            self.window.len() - from
        } else {
            0
        };
        self.start = offset;
        let length = (need.max(CHUNK) as u64).min(limit - offset) as usize;
        self.window.truncate(kept);
        if length <= CHUNK && self.window.capacity() > 4 * CHUNK {
            self.window.shrink_to(CHUNK);
        }
        self.window.resize(length.max(kept), 0);
        if let Err(error) = self.read(kept, offset) {
            self.window.truncate(kept);
            return Err(error);
        }
        Ok(())
    }

    /// Reads the window behind the first `kept` bytes. What the disk can't read, or
    /// the file doesn't have any more, is as if it were zero.
    fn read(&mut self, kept: usize, offset: u64) -> io::Result<()> {
        let is_unreadable =
            |error: &io::Error| error.raw_os_error() == Some(Errno::IO.raw_os_error());
        let buffer = &mut self.window[kept..];
        match read_full(&self.file, buffer, offset + kept as u64) {
            Ok(read) => {
                buffer[read..].fill(0);
                return Ok(());
            }
            Err(error) if is_unreadable(&error) => {}
            Err(error) => return Err(error),
        }
        let mut at = offset + kept as u64;
        for piece in buffer.chunks_mut(SECTOR) {
            match read_full(&self.file, piece, at) {
                Ok(read) => piece[read..].fill(0),
                Err(error) if is_unreadable(&error) => piece.fill(0),
                Err(error) => return Err(error),
            }
            at += piece.len() as u64;
        }
        Ok(())
    }
}
