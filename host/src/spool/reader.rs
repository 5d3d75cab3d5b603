//! The half of a spool that payloads are read from, and acknowledged.

use std::{collections::VecDeque, io, ops::RangeInclusive, sync::Arc};

use super::{
    Amount,
    acknowledged::Range,
    finding::{Aside, Finding, Findings, Problem},
    record::{Header, Mark},
    segment,
    shared::{Segment, Shared},
    storage::{Access, Storage, read_full},
    taken::Taken,
    walk::{Step, Walk},
};

/// The most that is read at once, in bytes.
const BYTES_MAX: usize = 1 << 31;

/// What an acknowledgement has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Payloads that are acknowledged now and were not before.
    pub payloads: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Payloads that had been discarded, after they were read.
    pub late: u64,
}

/// Where the reader is.
struct Place<F> {
    ordinal: u64,
    walk: Walk<F>,
    /// The place of the record that should be next.
    expected: Mark,
    /// Damage since the last record.
    damage: Option<(u64, u64)>,
}

/// Reads payloads in their order, and acknowledges them; one thread's.
pub struct Reader<S: Storage> {
    shared: Arc<Shared<S>>,
    place: Option<Place<S::File>>,
    /// The number of the next payload.
    next: u64,
    /// Acknowledged before it was read: left out.
    skipped: Vec<Range>,
    /// Read and not acknowledged: where payloads begin, and their bytes.
    in_flight: VecDeque<(Mark, u32)>,
    /// A window to be used again.
    window: Vec<u8>,
    aside: Aside<S::File>,
    findings: Findings,
    lost: Amount,
}

impl<S: Storage> Reader<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, aside: Aside<S::File>) -> Reader<S> {
        let mut reader = Reader {
            shared,
            place: None,
            next: 0,
            skipped: Vec::new(),
            in_flight: VecDeque::new(),
            window: Vec::new(),
            aside,
            findings: Findings::default(),
            lost: Amount::default(),
        };
        reader.rewind();
        reader
    }

    /// The spool's identity.
    pub fn identity(&self) -> u128 {
        self.shared.identity
    }

    /// What may be read and isn't acknowledged; what has been read included.
    pub fn queued(&self) -> Amount {
        self.shared.index().queued()
    }

    /// What has been lost to damage since the spool was opened: it counted as queued until
    /// the reader came to it, and no longer does.
    pub fn lost(&self) -> Amount {
        self.lost
    }

    /// Takes what was found since this was called last, at most 64 findings, and the
    /// number of those that were more.
    pub fn take_findings(&mut self) -> (Vec<Finding>, u64) {
        self.findings.take()
    }

    /// Goes back to the first payload that isn't acknowledged. What has been read and not
    /// acknowledged is read again.
    pub fn rewind(&mut self) {
        let index = self.shared.index();
        self.next = index.acknowledged.low().sequence;
        self.skipped = index.acknowledged.above().to_vec();
        drop(index);
        self.in_flight.clear();
        self.leave();
    }

    /// Fills `taken` with the next payloads: up to `payloads` of them and `bytes` bytes (with labels),
    /// but a single one however large it is. None means that there are no more for now.
    ///
    /// # Errors
    ///
    /// The system's; what is in `taken` has been read all the same, and the next call goes
    /// on behind it. What the disk can't read (EIO) is no error but damage.
    pub fn read(&mut self, taken: &mut Taken, payloads: usize, bytes: usize) -> io::Result<()> {
        taken.clear();
        let bytes = bytes.min(BYTES_MAX);
        while let Some(segment) = self.segment() {
            if !self.arrive(&segment)? || !self.read_segment(&segment, taken, payloads, bytes)? {
                continue;
            }
            break;
        }
        Ok(())
    }

    /// Acknowledges payloads that have been read; others in the range are passed over. One
    /// small write; and the segments go of which all payloads are acknowledged.
    ///
    /// # Errors
    ///
    /// When it can't be written down, or a segment can't be removed. The payloads are
    /// acknowledged all the same, as long as the spool is open, and the next call writes
    /// it down.
    pub fn acknowledge(&mut self, range: RangeInclusive<u64>) -> (Acknowledgement, io::Result<()>) {
        let mut made = Acknowledgement::default();
        let mut index = self.shared.index();
        // What has been discarded meanwhile is acknowledged already.
        let low = index.acknowledged.low().sequence;
        let at = self.in_flight.partition_point(|(mark, _)| mark.sequence < *range.start());
        let late = self
            .in_flight
            .range(at..)
            .take_while(|(mark, _)| mark.sequence < low && range.contains(&mark.sequence));
        made.late = late.count() as u64;
        self.in_flight.drain(at..at + made.late as usize);
        let within = |(mark, _): &&(Mark, u32)| range.contains(&mark.sequence);
        while let Some(&(first, _)) = self.in_flight.get(at).filter(within) {
            // Those that follow each other at once.
            let (mut count, mut end) = (0, first);
            for (mark, size) in self.in_flight.range(at..).take_while(|entry| within(entry)) {
                if mark.sequence != end.sequence {
                    break;
                }
                count += 1;
                end = mark.after(*size as usize);
            }
            let run = Range { first, end };
            index.acknowledged.add(run);
            made.payloads += run.payloads();
            made.bytes += run.bytes();
            self.in_flight.drain(at..at + count);
        }
        index.settle();
        drop(index);
        (made, self.shared.keep())
    }

    /// Makes sure that what has been acknowledged outlives a power loss. Without it, some
    /// of it may be delivered again after one.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn sync(&mut self) -> io::Result<()> {
        self.shared.keep_synced()
    }

    // What follows serves the above.

    /// The segment that has the next payload, if there is one to be read.
    fn segment(&mut self) -> Option<Segment> {
        let index = self.shared.index();
        self.next = self.next.max(index.acknowledged.low().sequence);
        let segment = index.segment_at(self.next)?;
        self.next = self.next.max(segment.first.sequence);
        Some(segment)
    }

    /// Gives up the place.
    fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            self.window = place.walk.into_window();
        }
    }

    /// Opens the segment, if it isn't; false when it is lost.
    fn arrive(&mut self, segment: &Segment) -> io::Result<bool> {
        let is_there = |place: &Place<_>| {
            place.ordinal == segment.ordinal && place.expected.sequence <= self.next
        };
        if self.place.as_ref().is_some_and(is_there) {
            return Ok(true);
        }
        self.leave();
        let name = segment::name(segment.ordinal);
        match self.shared.storage.open(&name, Access::Read) {
            Ok(file) => {
                let seed = segment::seed(self.shared.identity, segment.ordinal);
                let walk = Walk::new(file, seed, std::mem::take(&mut self.window));
                let (ordinal, expected) = (segment.ordinal, segment.first);
                self.place = Some(Place { ordinal, walk, expected, damage: None });
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Unless it was discarded a moment ago.
                if self.shared.index().has(segment) {
                    let (offset, length) = (0, segment.length);
                    let (file, problem) = (name, Problem::Missing);
                    let finding = Finding { file, offset, length, problem, lost: 0 };
                    self.lose(finding, segment.first, segment.end);
                    self.next = segment.end.sequence;
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads on in the segment; false at its end.
    fn read_segment(
        &mut self,
        segment: &Segment,
        taken: &mut Taken,
        payloads: usize,
        bytes: usize,
    ) -> io::Result<bool> {
        loop {
            let Some(place) = &mut self.place else { return Ok(false) };
            if place.expected.sequence >= segment.end.sequence {
                self.next = self.next.max(segment.end.sequence);
                return Ok(false);
            }
            if taken.len() >= payloads {
                return Ok(true);
            }
            match place.walk.step(segment.limit, place.expected.sequence)? {
                Step::Record(header) if header.mark.sequence < segment.end.sequence => {
                    if !self.pass(header.mark, segment) {
                        return Ok(false);
                    }
                    if !self.take(&header, taken, bytes) {
                        return Ok(true);
                    }
                }
                Step::Damage { offset, length } => {
                    let before = place.damage.map_or(0, |(_, before)| before);
                    let offset = place.damage.map_or(offset, |(first, _)| first);
                    place.damage = Some((offset, before + length));
                }
                // What is behind the end was written again elsewhere.
                Step::Record(_) | Step::End => {
                    if !self.pass(segment.end, segment) {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Goes on to a mark, and tells what is missing before it; false when the segment
    /// isn't any more what it was.
    fn pass(&mut self, to: Mark, segment: &Segment) -> bool {
        let Some(place) = &mut self.place else { return false };
        if place.damage.is_none() && place.expected.sequence == to.sequence {
            return true;
        }
        // A failed sync takes from a segment's end what may have been read, and writes it
        // elsewhere; and a segment can be discarded. Neither is damage.
        if !self.shared.index().has(segment) {
            self.leave();
            return false;
        }
        let from = std::mem::replace(&mut place.expected, to);
        let damage = place.damage.take();
        let (offset, length) = damage.unwrap_or((place.walk.offset(), 0));
        let problem = if damage.is_some() { Problem::Damaged } else { Problem::Missing };
        let file = segment::name(place.ordinal);
        self.lose(Finding { file, offset, length, problem, lost: 0 }, from, to);
        self.next = self.next.max(to.sequence);
        true
    }

    /// Takes the record of the last step, unless it has been read or acknowledged; false
    /// when it is too much.
    fn take(&mut self, header: &Header, taken: &mut Taken, bytes: usize) -> bool {
        let Some(place) = &mut self.place else { return false };
        let sequence = header.mark.sequence;
        let skipped = self.skipped.partition_point(|range| range.end.sequence <= sequence);
        let is_skipped =
            self.skipped.get(skipped).is_some_and(|range| range.first.sequence <= sequence);
        if sequence >= self.next && !is_skipped {
            let held = taken.held() + usize::from(header.label) + header.payload as usize;
            if !taken.is_empty() && held > bytes {
                place.walk.step_back();
                return false;
            }
            let (label, payload) = place.walk.body();
            taken.append(sequence, header.read_at, label, payload);
            self.in_flight.push_back((header.mark, header.payload));
        }
        self.next = self.next.max(sequence + 1);
        place.expected = header.after();
        true
    }

    /// Payloads are lost: they count as acknowledged, and are told of.
    fn lose(&mut self, mut finding: Finding, from: Mark, to: Mark) {
        let mut index = self.shared.index();
        let before = index.queued();
        index.acknowledged.add(Range { first: from, end: to });
        index.settle();
        let lost = before.minus(index.queued());
        drop(index);
        // What has been passed before, or is acknowledged, has been told of.
        if lost.payloads == 0 && (from != to || to.sequence < self.next) {
            return;
        }
        finding.lost = lost.payloads;
        self.lost.payloads += lost.payloads;
        self.lost.bytes += lost.bytes;
        if finding.problem == Problem::Damaged {
            let place = &self.place;
            let read = |buffer: &mut [u8], offset| match place {
                Some(place) => read_full(place.walk.file(), buffer, offset),
                None => Ok(0),
            };
            // A disk that is full keeps the finding, without its bytes.
            let sequences = from.sequence..to.sequence;
            let _ = self.aside.put(&self.shared.storage, &finding, sequences, read);
        }
        self.findings.add(finding);
    }
}
