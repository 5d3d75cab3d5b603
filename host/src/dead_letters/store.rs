//! An exporter's dead letters on disk: a spool from which any letter may be taken.

use std::{collections::BTreeSet, io, path::Path};

use super::Envelope;
use crate::spool::{
    self, Amount, Directory, Finding, Options, Payload, Reader, Stop, Storage, Taken, Writer,
};

/// How many gaps between letters are left before they are moved together: the spool's cursor
/// has room for the ends of 60, and one may be behind the last.
const GAPS_MAX: usize = 59;

/// How much is read at a time.
const READ_BYTES: usize = 1 << 20;
const READ_LETTERS: usize = 4096;

/// One letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its id.
    pub id: u64,
    /// When what it was made from was read: microseconds since 1970.
    pub read_at: u64,
    /// What is known of it.
    pub envelope: Envelope,
    /// The payload.
    pub payload: Vec<u8>,
}

/// Which letters are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All that are there.
    All,
    /// Those with these ids.
    Ids(BTreeSet<u64>),
}

impl Wanted {
    /// Whether the letter with this id is meant.
    pub fn has(&self, id: u64) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Ids(ids) => ids.contains(&id),
        }
    }

    /// How many they are, if that is known.
    fn count(&self) -> Option<usize> {
        match self {
            Wanted::All => None,
            Wanted::Ids(ids) => Some(ids.len()),
        }
    }
}

/// An open directory of letters.
pub(super) struct Store<S: Storage> {
    writer: Writer<S>,
    reader: Reader<S>,
}

/// A record of the spool, by which a letter is known to it.
struct Record<'a> {
    sequence: u64,
    id: u64,
    read_at: u64,
    label: &'a [u8],
    payload: &'a [u8],
}

impl Store<Directory> {
    /// Opens the directory, or makes it.
    pub(super) fn open(path: &Path, max_size: u64) -> Result<(Self, Vec<Finding>), spool::Error> {
        let opened = spool::open_below(path, Options { max_size })?;
        Ok((Store { writer: opened.writer, reader: opened.reader }, opened.findings))
    }
}

impl<S: Storage> Store<S> {
    #[cfg(test)]
    pub(super) fn open_in(storage: S, max_size: u64) -> Self {
        let opened = spool::open_in(storage, Options { max_size }).unwrap();
        Store { writer: opened.writer, reader: opened.reader }
    }

    /// Takes what was found damaged since this was asked last, and how many findings more there were.
    pub(super) fn take_findings(&mut self) -> (Vec<Finding>, u64) {
        self.reader.take_findings()
    }

    /// What is there.
    pub(super) fn held(&self) -> Amount {
        self.writer.queued()
    }

    /// Puts letters in, and syncs them: whether each is safe, and why not all are. Those that are not
    /// don't appear later.
    pub(super) fn put(&mut self, letters: &[Letter]) -> (Vec<bool>, Option<Stop>) {
        let (mut numbers, mut stop) = (Vec::with_capacity(letters.len()), None);
        for letter in letters {
            let label = letter.envelope.encode();
            let payload =
                Payload { bytes: &letter.payload, label: &label, read_at: letter.read_at };
            let appended = self.writer.append([payload]);
            numbers.push(appended.stop.is_none().then_some(appended.sequences.start));
            stop = stop.or(appended.stop);
        }
        let mut safe = u64::MAX;
        if let Err(error) = self.writer.sync() {
            // Much is synced by and by: the first ones may be safe.
            safe = self.writer.forget_unsynced();
            stop = Some(Stop::Failed(error));
        }
        let is_kept = |number: &Option<u64>| number.is_some_and(|number| number < safe);
        (numbers.iter().map(is_kept).collect(), stop)
    }

    /// The ids of all letters that are wanted.
    pub(super) fn find(&mut self, wanted: &Wanted) -> io::Result<BTreeSet<u64>> {
        let mut found = BTreeSet::new();
        self.each(|record| {
            found.extend(wanted.has(record.id).then_some(record.id));
            true
        })?;
        Ok(found)
    }

    /// The first letters that are wanted, of so many bytes, but one at least if there is any.
    pub(super) fn read(&mut self, wanted: &Wanted, bytes_max: usize) -> io::Result<Vec<Letter>> {
        let (mut letters, mut bytes) = (Vec::new(), 0);
        self.each(|record| {
            if !wanted.has(record.id) {
                return true;
            }
            if let Some(envelope) = Envelope::decode(record.label) {
                bytes += record.payload.len() + envelope.label.len();
                if !letters.is_empty() && bytes > bytes_max {
                    return false;
                }
                let (id, read_at) = (record.id, record.read_at);
                letters.push(Letter { id, read_at, envelope, payload: record.payload.to_vec() });
            }
            true
        })?;
        Ok(letters)
    }

    /// Takes letters out, for good: how many were there.
    pub(super) fn remove(&mut self, wanted: &Wanted) -> io::Result<u64> {
        let (mut removed, mut gaps, mut was_removed) = (Vec::new(), 0, false);
        let mut next = None;
        self.each(|record| {
            let is_wanted = wanted.has(record.id);
            // What is before the first that stays is no gap.
            if !is_wanted {
                // Those that were all in front leave the gaps that there were: nothing needs to
                // be read behind them.
                let is_prefix = next.is_none() && wanted.count() == Some(removed.len());
                if is_prefix {
                    return false;
                }
                gaps +=
                    usize::from(next.is_some_and(|next| was_removed || next != record.sequence));
                next = Some(record.sequence + 1);
            } else {
                removed.push(record.sequence);
            }
            was_removed = is_wanted;
            true
        })?;
        if removed.is_empty() {
            return Ok(0);
        }
        if gaps > GAPS_MAX {
            self.move_together(wanted)?;
        } else {
            for run in removed.chunk_by(|one, next| one + 1 == *next) {
                self.reader.acknowledge(run[0]..=run[run.len() - 1]).1?;
            }
        }
        self.reader.sync()?;
        Ok(removed.len() as u64)
    }

    /// Writes the letters that stay once more, behind all others, and takes away what was
    /// there. The ids stay.
    fn move_together(&mut self, but: &Wanted) -> io::Result<()> {
        let end = self.writer.next_sequence();
        let mut failed = None;
        let writer = &mut self.writer;
        let read = each(&mut self.reader, |record| {
            // Behind them are those that have been written once more.
            if record.sequence >= end {
                return false;
            }
            let envelope = Envelope::decode(record.label).filter(|_| !but.has(record.id));
            if let Some(mut envelope) = envelope {
                envelope.id = Some(record.id);
                let label = envelope.encode();
                let (bytes, read_at) = (record.payload, record.read_at);
                failed = writer.append([Payload { bytes, label: &label, read_at }]).stop;
            }
            failed.is_none()
        });
        let failed = match failed {
            Some(Stop::Full | Stop::TooLarge) => Some(io::Error::new(
                io::ErrorKind::StorageFull,
                "too many single letters have been taken from between others, and there is no room \
                 to move these together: take the oldest ones first",
            )),
            Some(Stop::Failed(error)) => Some(error),
            None => read.and_then(|()| self.writer.sync()).err(),
        };
        match failed {
            None => self.reader.acknowledge(0..=end.saturating_sub(1)).1,
            // Those that are there twice would be delivered twice.
            Some(error) => {
                if self.writer.sync().is_err() {
                    self.writer.forget_unsynced();
                }
                each(&mut self.reader, |_| true)?;
                self.reader.acknowledge(end..=u64::MAX).1?;
                Err(error)
            }
        }
    }

    fn each(&mut self, visit: impl FnMut(Record<'_>) -> bool) -> io::Result<()> {
        each(&mut self.reader, visit)
    }
}

/// Shows `visit` all letters, the oldest first, until it says false.
fn each<S: Storage>(
    reader: &mut Reader<S>,
    mut visit: impl FnMut(Record<'_>) -> bool,
) -> io::Result<()> {
    reader.rewind();
    let mut taken = Taken::default();
    loop {
        reader.read(&mut taken, READ_LETTERS, READ_BYTES)?;
        if taken.is_empty() {
            return Ok(());
        }
        for (index, (&sequence, &read_at)) in
            taken.sequences().iter().zip(taken.read_at()).enumerate()
        {
            let (label, payload) = (taken.label(index), taken.payload(index));
            let id = Envelope::decode(label).and_then(|envelope| envelope.id).unwrap_or(sequence);
            if !visit(Record { sequence, id, read_at, label, payload }) {
                return Ok(());
            }
        }
    }
}
