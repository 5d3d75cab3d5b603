//! Opening a spool: what is there, what is wrong with it, where it goes on.
//!
//! Of each segment the header is read; only the last one is read whole, and those
//! beside a damage.

use std::{collections::BTreeMap, io};

use super::{
    MAX_SIZE_LEAST, Opened, Options,
    acknowledged::{Acknowledged, Range},
    cursor::{self, Cursor, Found, State},
    error::Error,
    finding::{self, Aside, Finding, Problem},
    reader::Reader,
    record::Mark,
    segment::{self, Header, Preamble},
    shared::{Index, Segment, Shared},
    storage::{Access, Entry, Storage, StoredFile, read_full},
    walk::{Step, Walk},
    writer::{Going, Writer},
};

/// How many numbers are left out after a stop that wasn't in order: more than there
/// can be payloads in a segment. So no number is used twice, even if payloads have been
/// read (and sent) which a power loss then took away.
pub(super) const SKIPPED: u64 = 1 << 24;

/// A segment's file, as its header has it.
struct File {
    length: u64,
    header: Option<Header>,
}

/// What is found while a spool is opened.
struct Survey<'s, S> {
    storage: &'s S,
    findings: Vec<Finding>,
    files: BTreeMap<u64, File>,
    /// Above all numbers that segments' names have.
    next_ordinal: u64,
    /// The bytes set aside.
    aside: u64,
}

/// What reading a segment whole has brought.
struct Scan {
    /// Where the first whole record begins.
    first: Option<Mark>,
    /// Where the last whole record ends.
    end: Option<Mark>,
    /// Its place in the file.
    offset: u64,
    is_synced: bool,
}

/// Opens a spool, or makes one.
pub(super) fn open<S: Storage>(storage: S, options: Options) -> Result<Opened<S>, Error> {
    if options.max_size < MAX_SIZE_LEAST {
        return Err(Error::too_small(options.max_size, MAX_SIZE_LEAST));
    }
    let entries = storage.list().map_err(|error| Error::file("spool", &error))?;
    let (found, generation, slot) =
        cursor::read(&storage).map_err(|error| Error::file(cursor::NAME, &error))?;
    let mut survey = Survey {
        storage: &storage,
        findings: Vec::new(),
        files: BTreeMap::new(),
        next_ordinal: 1,
        aside: 0,
    };
    let state = survey.cursor(found)?;
    survey.segments(entries)?;
    let identity = survey.identity(state.as_ref())?;
    let first = survey.files.values().next().and_then(|file| file.header);
    let begin = first.map(|header| header.previous_end);
    let (segments, scan) = survey.index(identity)?;
    let is_new = segments.is_empty() && state.is_none();
    let begin = segments.first().map(|first| (first.ordinal, begin.unwrap_or(first.first)));
    let state = state.unwrap_or_else(|| State {
        identity,
        low: segments.first().map_or(Mark { sequence: 1, bytes: 0 }, |segment| segment.first),
        end: segments.last().map_or(Mark { sequence: 1, bytes: 0 }, |segment| segment.end),
        ..State::default()
    });
    survey.look_for_begin(begin, &state);
    survey.look_for_end(&segments, &state);
    let next = match next(&segments, scan.as_ref(), &state) {
        next if is_new => next.0,
        (next, true) => next,
        (next, false) => Mark { sequence: next.sequence + SKIPPED, ..next },
    };
    // A segment is gone on with if it ends exactly where the next payload belongs.
    let last = segments.last().filter(|last| {
        last.end == next
            && scan.as_ref().is_some_and(|scan| scan.is_synced && scan.offset == last.length)
    });
    let going = Going { next, ordinal: survey.next_ordinal, last: last.copied() };
    let Survey { findings, aside, .. } = survey;

    let mut index = Index {
        acknowledged: acknowledged(&state, &segments),
        segments: segments.into(),
        closed: None,
    };
    index.settle();
    let sizes = Sizes::of(options.max_size);
    let file = storage.open(cursor::NAME, Access::Write);
    let file = file.map_err(|error| Error::file(cursor::NAME, &error))?;
    let cursor = Cursor::new(file, generation, slot);
    let shared = Shared::new(storage, identity, (sizes.segments, sizes.segment), index, cursor);
    // From here on it's a crash, unless the end is in order.
    let kept = shared.keep_synced().and_then(|()| shared.storage.sync_dir());
    kept.and_then(|()| shared.keep()).map_err(|error| Error::file(cursor::NAME, &error))?;
    let shared = std::sync::Arc::new(shared);
    let queued = shared.index().queued();
    Ok(Opened {
        writer: Writer::new(shared.clone(), going).map_err(|error| Error::file("spool", &error))?,
        reader: Reader::new(shared, Aside::new(aside, sizes.aside)),
        identity,
        queued,
        findings,
    })
}

/// How a spool's maximum is divided, in bytes.
struct Sizes {
    /// What all segments may take.
    segments: u64,
    /// The size at which a segment is complete.
    segment: u64,
    /// What may be set aside.
    aside: u64,
}

impl Sizes {
    fn of(max_size: u64) -> Sizes {
        let aside = (max_size / 32).min(1 << 20);
        // The lock has less than 64 bytes. While a segment is replaced, there is the
        // header of one more than count.
        let segments = max_size - aside - cursor::SIZE - 64 - segment::HEADER as u64;
        // About eight; not larger than 64 MiB, unless there were thousands of them. A
        // segment's records can't be more than numbers are left out after a crash.
        let segment = (segments / 8).min((64 << 20).max(segments / 4096)).min(512 << 20);
        Sizes { segments, segment, aside }
    }
}

/// What is acknowledged of what the segments have: damage may have taken some of it.
fn acknowledged(state: &State, segments: &[Segment]) -> Acknowledged {
    let mut acknowledged = Acknowledged::new(state.low);
    for range in &state.ranges {
        for segment in segments {
            let first = range.first.max(segment.first);
            let end =
                if range.end.sequence < segment.end.sequence { range.end } else { segment.end };
            acknowledged.add(Range { first, end });
        }
    }
    acknowledged
}

/// Where numbers go on, and whether nothing can have been lost behind it.
fn next(segments: &[Segment], scan: Option<&Scan>, state: &State) -> (Mark, bool) {
    let end = segments.last().map_or(state.low, |last| last.end);
    let furthest = end.max(state.end).max(state.low);
    match state.closed {
        Some(closed) if end == state.end && scan.is_none_or(|scan| scan.is_synced) => {
            (Mark { sequence: closed.max(furthest.sequence), ..furthest }, true)
        }
        _ => (furthest, false),
    }
}

impl<S: Storage> Survey<'_, S> {
    fn find(&mut self, file: &str, problem: Problem, place: (u64, u64), lost: u64) {
        let (offset, length) = place;
        let finding = Finding { file: file.to_owned(), offset, length, problem, lost };
        if self.findings.len() < finding::FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    fn cursor(&mut self, found: Found) -> Result<Option<State>, Error> {
        match found {
            Found::Nothing => Ok(None),
            Found::State(state) => Ok(Some(state)),
            Found::Newer(version) => Err(Error::newer(cursor::NAME, version, segment::VERSION)),
            Found::Damaged => {
                self.find(cursor::NAME, Problem::Cursor, (0, cursor::SIZE), 0);
                Ok(None)
            }
        }
    }

    /// Reads the headers of all segments.
    fn segments(&mut self, entries: Vec<Entry>) -> Result<(), Error> {
        for Entry { name, length } in entries {
            let ordinal = segment::ordinal(&name);
            if let Some(ordinal) = ordinal {
                self.next_ordinal = self.next_ordinal.max(ordinal + 1);
            }
            match (ordinal, length) {
                (Some(ordinal), Some(length)) => {
                    let header = self.header(&name)?;
                    self.files.insert(ordinal, File { length, header });
                }
                (None, Some(length)) if name == finding::NAME => self.aside = length,
                (None, Some(_)) if name == cursor::NAME || name == super::directory::LOCK => {}
                (_, length) => {
                    self.find(&name, Problem::Foreign, (0, length.unwrap_or(0)), 0);
                }
            }
        }
        Ok(())
    }

    fn header(&mut self, name: &str) -> Result<Option<Header>, Error> {
        let mut bytes = [0; segment::HEADER];
        // What can't be read is damaged.
        let read = self
            .storage
            .open(name, Access::Read)
            .and_then(|file| read_full(&file, &mut bytes, 0))
            .unwrap_or(0);
        match segment::preamble(&bytes[..read], segment::MAGIC) {
            Preamble::Newer(version) => Err(Error::newer(name, version, segment::VERSION)),
            _ => Ok(Header::decode(&bytes[..read])),
        }
    }

    /// The spool's identity: the cursor's, else that of most segments, else a new one.
    /// Segments of another are left out.
    fn identity(&mut self, state: Option<&State>) -> Result<u128, Error> {
        let mut counts: BTreeMap<u128, usize> = BTreeMap::new();
        for header in self.files.values().filter_map(|file| file.header) {
            *counts.entry(header.identity).or_default() += 1;
        }
        let most = counts.iter().max_by_key(|(_, count)| **count).map(|(&identity, _)| identity);
        let identity = match state.map(|state| state.identity).or(most) {
            Some(identity) => identity,
            None => random().map_err(|error| Error::file("random number", &error))?,
        };
        let mut foreign = Vec::new();
        self.files.retain(|&ordinal, file| {
            let is_ours =
                |header: &Header| header.identity == identity && header.ordinal == ordinal;
            let is_kept = file.header.as_ref().is_none_or(is_ours);
            if !is_kept {
                foreign.push((segment::name(ordinal), file.length));
            }
            is_kept
        });
        for (name, length) in foreign {
            self.find(&name, Problem::Foreign, (0, length), 0);
        }
        Ok(identity)
    }

    /// The segments in order, and what reading the last one has brought.
    fn index(&mut self, identity: u128) -> Result<(Vec<Segment>, Option<Scan>), Error> {
        let files = std::mem::take(&mut self.files);
        let mut segments: Vec<Segment> = Vec::with_capacity(files.len());
        let mut last = None;
        let mut files = files.into_iter().peekable();
        while let Some((ordinal, File { length, header })) = files.next() {
            let name = segment::name(ordinal);
            let before = segments.last().map(|segment| segment.end);
            let following = files.peek().filter(|(next, _)| *next == ordinal + 1);
            let told = following.and_then(|(_, file)| file.header).map(|next| next.previous_end);
            let is_last = files.peek().is_none();
            let scan = if header.is_some() && told.is_some() {
                None
            } else {
                Some(self.scan(identity, ordinal, (header, before), is_last, length)?)
            };
            let found = scan.as_ref().and_then(|scan| scan.first);
            let first = header.map(|header| header.first).or(before).or(found);
            let first = first.or(told).unwrap_or_default().max(before.unwrap_or_default());
            let end = told.or_else(|| scan.as_ref().and_then(|scan| scan.end));
            let end = end.unwrap_or(first).max(first);
            if header.is_none() {
                self.find(&name, Problem::Header, (0, segment::HEADER as u64), 0);
            }
            self.look_for_gap(ordinal, header, &segments);
            let limit = scan.as_ref().filter(|_| is_last).map_or(length, |scan| scan.offset);
            // What is behind the last record is left where it is, and counts.
            segments.push(Segment { ordinal, first, end, limit, length });
            last = scan;
        }
        Ok((segments, last))
    }

    /// Tells what is missing before a segment.
    fn look_for_gap(&mut self, ordinal: u64, header: Option<Header>, segments: &[Segment]) {
        let (Some(header), Some(before)) = (header, segments.last()) else { return };
        let lost = header.previous_end.sequence.saturating_sub(before.end.sequence);
        if before.ordinal + 1 != ordinal && lost > 0 {
            let name = segment::name(before.ordinal + 1);
            self.find(&name, Problem::Missing, (0, 0), lost);
        }
    }

    /// Reads a segment whole.
    fn scan(
        &mut self,
        identity: u128,
        ordinal: u64,
        (header, before): (Option<Header>, Option<Mark>),
        is_last: bool,
        length: u64,
    ) -> Result<Scan, Error> {
        let name = segment::name(ordinal);
        let failed = |error: &io::Error| Error::file(&name, error);
        let file = self.storage.open(&name, if is_last { Access::Write } else { Access::Read });
        let file = file.map_err(|error| failed(&error))?;
        // What was written before the host was killed is read from here on: so it must
        // not be lost later. (If the disk fails to say so, it can still be read.)
        let mut is_synced = header.is_some();
        if is_last && file.sync().is_err() {
            self.find(&name, Problem::NotSynced, (0, length), 0);
            is_synced = false;
        }
        let least = header.map(|header| header.first).or(before).unwrap_or_default().sequence;
        let mut walk = Walk::new(file, segment::seed(identity, ordinal), Vec::new());
        let (mut first, mut end) = (None, None);
        let mut offset = segment::HEADER as u64;
        let mut expected = least;
        loop {
            match walk.step(length, expected).map_err(|error| failed(&error))? {
                Step::Record(record) => {
                    first.get_or_insert(record.mark);
                    end = Some(record.after());
                    expected = record.after().sequence;
                    offset = walk.offset();
                }
                Step::Damage { .. } => {}
                Step::End => break,
            }
        }
        if is_last && header.is_some() && offset < length {
            self.find(&name, Problem::Torn, (offset, length - offset), 0);
        }
        Ok(Scan { first, end, offset, is_synced })
    }

    /// Tells what is missing before the first segment, which began there.
    fn look_for_begin(&mut self, begin: Option<(u64, Mark)>, state: &State) {
        let Some((ordinal, begin)) = begin else { return };
        let lost = begin.sequence.saturating_sub(state.low.sequence);
        if lost > 0 {
            // What is acknowledged is removed only after that has been synced.
            let name = segment::name(ordinal.saturating_sub(1));
            self.find(&name, Problem::Missing, (0, 0), lost);
        }
    }

    /// Tells what the cursor knows of and the segments don't have.
    fn look_for_end(&mut self, segments: &[Segment], state: &State) {
        let end = segments.last().map_or(0, |last| last.end.sequence);
        let from = end.max(state.low.sequence);
        if state.end.sequence > from {
            let acknowledged: u64 = state
                .ranges
                .iter()
                .map(|range| range.end.sequence.saturating_sub(range.first.sequence.max(from)))
                .sum();
            let lost = (state.end.sequence - from).saturating_sub(acknowledged);
            let name = segments.last().map_or_else(
                || segment::name(self.next_ordinal),
                |last| segment::name(last.ordinal),
            );
            let offset = segments.last().map_or(0, |last| last.length);
            self.find(&name, Problem::Missing, (offset, 0), lost);
        }
    }
}

/// A number that no other spool has.
fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut bytes[filled..], flags) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(u128::from_le_bytes(bytes))
}
