//! What was wrong with a spool's files, and the file into which damaged bytes are set
//! aside.

use std::{fmt, io};

use super::storage::{Access, Storage, StoredFile, write_all};

/// The name of the file for damaged bytes.
pub(super) const NAME: &str = "damaged";

/// Findings that are kept until somebody takes them; later ones are only counted.
pub(super) const FINDINGS_MAX: usize = 64;

/// Something that was wrong with a file, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file's name, without the directory.
    pub file: String,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// How many bytes are concerned.
    pub length: u64,
    /// What it is.
    pub problem: Problem,
    /// Payloads that are lost by it, as far as their numbers tell: at most so many.
    pub lost: u64,
}

/// What can be wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Bytes that are no record: set aside in the file `damaged`, as far as it has room.
    Damaged,
    /// The header of a segment isn't whole: its records were looked for without it.
    Header,
    /// A segment ends with a record that isn't whole, as after a power loss: cut off.
    /// Nothing that had been synced is concerned.
    Torn,
    /// A segment, or the end of one, isn't there any more: gone on without it.
    Missing,
    /// The file is none of this spool's: left alone.
    Foreign,
    /// The file `cursor` isn't whole: what is in the segments counts as unacknowledged.
    Cursor,
    /// The disk can't say whether a segment's end is safe: gone on.
    NotSynced,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { file, offset, length, problem, lost } = self;
        match problem {
            Problem::Damaged => {
                write!(formatter, "{file}: {length} bytes from {offset} on are damaged; set aside")
            }
            Problem::Header => {
                write!(formatter, "{file}: the header is damaged; records were read without it")
            }
            Problem::Torn => write!(
                formatter,
                "{file}: {length} bytes from {offset} on are the begin of a record; cut off"
            ),
            Problem::Missing => write!(formatter, "{file}: missing from byte {offset} on"),
            Problem::Foreign => {
                write!(formatter, "{file}: not a file of this spool; left alone")
            }
            Problem::Cursor => write!(
                formatter,
                "{file}: damaged; payloads that are still there will be delivered again"
            ),
            Problem::NotSynced => {
                write!(formatter, "{file}: the disk can't say whether its end is safe; went on")
            }
        }?;
        match lost {
            0 => Ok(()),
            1 => formatter.write_str("; a payload is lost"),
            _ => write!(formatter, "; {lost} payloads are lost"),
        }
    }
}

/// Findings that somebody will want to log, a bounded number of them.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    /// Those that were one too many since the last were taken.
    left_out: u64,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// Takes them, and the number of those that weren't kept.
    pub(super) fn take(&mut self) -> (Vec<Finding>, u64) {
        (std::mem::take(&mut self.kept), std::mem::take(&mut self.left_out))
    }
}

/// The file into which damaged bytes are set aside.
#[derive(Debug)]
pub(super) struct Aside<F> {
    file: Option<F>,
    length: u64,
    max: u64,
}

impl<F: StoredFile> Aside<F> {
    /// With room for `max` bytes, of which `length` are used. The file is opened when
    /// it is needed.
    pub(super) fn new(length: u64, max: u64) -> Aside<F> {
        Aside { file: None, length, max }
    }

    /// Sets the bytes of a finding aside, of which `read` gets a piece at an offset. What
    /// doesn't fit is left out.
    pub(super) fn put<S: Storage<File = F>>(
        &mut self,
        storage: &S,
        finding: &Finding,
        sequences: std::ops::Range<u64>,
        mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<()> {
        let title = format!(
            "{}: {} bytes from {} on, payloads {} to before {}\n",
            finding.file, finding.length, finding.offset, sequences.start, sequences.end
        );
        let room = self.max.saturating_sub(self.length + title.len() as u64 + 1);
        if room == 0 {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(storage.open(NAME, Access::Write)?),
        };
        self.length += append(file, title.as_bytes(), self.length)?;
        let (mut offset, end) = (finding.offset, finding.offset + finding.length.min(room));
        let mut buffer = [0; 8192];
        while offset < end {
            let piece = &mut buffer[..(end - offset).min(8192) as usize];
            // What can't be read can't be set aside either.
            let count = read(piece, offset).unwrap_or(0);
            if count == 0 {
                break;
            }
            self.length += append(file, &piece[..count], self.length)?;
            offset += count as u64;
        }
        self.length += append(file, b"\n", self.length)?;
        Ok(())
    }
}

/// Writes all of it: how much that is.
fn append(file: &impl StoredFile, bytes: &[u8], offset: u64) -> io::Result<u64> {
    let (written, result) = write_all(file, bytes, offset);
    result.map(|()| written as u64)
}
