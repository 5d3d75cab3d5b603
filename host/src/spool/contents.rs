//! Everything in a spool's files, only to be looked at, whether a host has the spool open
//! or not.

use std::io;

use super::{
    cursor::{self, Found},
    error::Error,
    finding::{Finding, Problem},
    record::Mark,
    segment::{self, Header, Preamble},
    storage::{Access, Storage, read_full},
    walk::{Step, Walk},
};

/// One thing in a spool.
#[derive(Debug)]
pub enum Item<'a> {
    /// A payload.
    Payload(Kept<'a>),
    /// Something that is wrong with a file. Nothing has been done about it.
    Finding(Finding),
}

/// A payload, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// Its number.
    pub sequence: u64,
    /// When what it was made from was read: microseconds since 1970.
    pub read_at: u64,
    /// Its label.
    pub label: &'a [u8],
    /// The payload itself.
    pub payload: &'a [u8],
    /// The number of the segment it is in.
    pub segment: u64,
    /// Where its record begins in the segment's file.
    pub offset: u64,
    /// Whether it is acknowledged.
    pub is_acknowledged: bool,
}

/// Goes through a spool's segments, from the oldest on.
pub struct Contents<S: Storage> {
    storage: S,
    identity: Option<u128>,
    state: cursor::State,
    /// The segments that are still to be read, the last one first.
    ordinals: Vec<u64>,
    place: Option<Place<S::File>>,
    /// The number that the next payload has at least.
    least: u64,
}

/// A place in a segment.
struct Place<F> {
    ordinal: u64,
    walk: Walk<F>,
    /// What is at or behind it doesn't count.
    end: u64,
    limit: u64,
}

impl<S: Storage> Contents<S> {
    /// Of the spool in this storage, for which [`Directory::look`](super::Directory::look) is
    /// good.
    ///
    /// # Errors
    ///
    /// When a later version has written it, or the system fails.
    pub fn new(storage: S) -> Result<Contents<S>, Error> {
        let (found, ..) =
            cursor::read(&storage).map_err(|error| Error::file(cursor::NAME, &error))?;
        let (identity, state) = match found {
            Found::State(state) => (Some(state.identity), state),
            Found::Newer(version) => {
                return Err(Error::newer(cursor::NAME, version, segment::VERSION));
            }
            Found::Nothing | Found::Damaged => (None, cursor::State::default()),
        };
        let entries = storage.list().map_err(|error| Error::file("spool", &error))?;
        let names = entries.iter().filter(|entry| entry.length.is_some());
        let mut ordinals: Vec<u64> =
            names.filter_map(|entry| segment::ordinal(&entry.name)).collect();
        ordinals.sort_unstable_by(|one, other| other.cmp(one));
        Ok(Contents { storage, identity, state, ordinals, place: None, least: 0 })
    }

    /// The spool's identity, once a whole cursor or segment has told it.
    pub fn identity(&self) -> Option<u128> {
        self.identity
    }

    /// What comes next; none at the end. A segment that goes away meanwhile is passed
    /// over.
    ///
    /// # Errors
    ///
    /// When a later version has written a segment, or the system fails.
    #[expect(clippy::should_implement_trait, reason = "what it returns borrows from it")]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, Error> {
        let (header, segment, offset) = loop {
            let Some(place) = &mut self.place else {
                let Some(ordinal) = self.ordinals.pop() else { return Ok(None) };
                if let Some(finding) = self.begin(ordinal)? {
                    return Ok(Some(Item::Finding(finding)));
                }
                continue;
            };
            let (ordinal, offset) = (place.ordinal, place.walk.offset());
            let step = place.walk.step(place.limit, self.least);
            let step = step.map_err(|error| Error::file(&segment::name(ordinal), &error))?;
            match step {
                Step::Record(header) if header.mark.sequence < place.end => {
                    self.least = header.mark.sequence + 1;
                    break (header, ordinal, offset);
                }
                // What counts of the segment has been read.
                Step::Damage { .. } if self.least >= place.end => self.place = None,
                Step::Damage { offset, length } => {
                    let (file, problem) = (segment::name(ordinal), Problem::Damaged);
                    let finding = Finding { file, offset, length, problem, lost: 0 };
                    return Ok(Some(Item::Finding(finding)));
                }
                Step::Record(_) | Step::End => self.place = None,
            }
        };
        let sequence = header.mark.sequence;
        let mut above = self.state.ranges.iter();
        let is_acknowledged = sequence < self.state.low.sequence
            || above.any(|range| (range.first.sequence..range.end.sequence).contains(&sequence));
        let (label, payload) =
            self.place.as_ref().map_or((&[][..], &[][..]), |place| place.walk.body());
        let read_at = header.read_at;
        let kept = Kept { sequence, read_at, label, payload, segment, offset, is_acknowledged };
        Ok(Some(Item::Payload(kept)))
    }

    /// Opens a segment; what is wrong with it.
    fn begin(&mut self, ordinal: u64) -> Result<Option<Finding>, Error> {
        let name = segment::name(ordinal);
        let failed = |error: io::Error| Error::file(&name, &error);
        let file = match self.storage.open(&name, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = [0; segment::HEADER];
        let length = read_full(&file, &mut bytes, 0).map_err(failed)?;
        if let Preamble::Newer(version) = segment::preamble(&bytes[..length], segment::MAGIC) {
            return Err(Error::newer(&name, version, segment::VERSION));
        }
        let header = Header::decode(&bytes[..length]);
        let found = header.map(|header| header.identity);
        self.identity = self.identity.or(found);
        let limit = super::storage::StoredFile::length(&file).map_err(failed)?;
        let finding =
            |problem, length| Finding { file: name.clone(), offset: 0, length, problem, lost: 0 };
        let Some(identity) = self.identity else {
            return Ok(Some(finding(Problem::Header, segment::HEADER as u64)));
        };
        if found.is_some_and(|found| found != identity) {
            return Ok(Some(finding(Problem::Foreign, limit)));
        }
        let end = self.end_of(ordinal).map_or(u64::MAX, |end: Mark| end.sequence);
        let walk = Walk::new(file, segment::seed(identity, ordinal), Vec::new());
        self.place = Some(Place { ordinal, walk, end, limit });
        Ok(header.is_none().then(|| finding(Problem::Header, segment::HEADER as u64)))
    }

    /// Where the segment ends, if the next one says so.
    fn end_of(&self, ordinal: u64) -> Option<Mark> {
        let next = self.ordinals.last().filter(|&&next| next == ordinal + 1)?;
        let file = self.storage.open(&segment::name(*next), Access::Read).ok()?;
        let mut bytes = [0; segment::HEADER];
        let length = read_full(&file, &mut bytes, 0).ok()?;
        Header::decode(&bytes[..length]).map(|header| header.previous_end)
    }
}
