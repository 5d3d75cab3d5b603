//! What the two halves of a spool share: which segments there are, what is
//! acknowledged, and the cursor's file. No lock is held while a segment is written,
//! read or synced.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    Amount,
    acknowledged::Acknowledged,
    cursor::{Cursor, RANGES_MAX, State},
    record::Mark,
    segment,
    storage::Storage,
};

/// One segment, as far as it may be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub ordinal: u64,
    /// Where its first record begins.
    pub first: Mark,
    /// The end of what may be read.
    pub end: Mark,
    /// The bytes of the file that may be read.
    pub limit: u64,
    /// The bytes of the file.
    pub length: u64,
}

/// What there is.
#[derive(Debug)]
pub(super) struct Index {
    /// In order; all but the last are complete.
    pub segments: VecDeque<Segment>,
    pub acknowledged: Acknowledged,
    /// Whether the writer has said good-bye with everything synced, and the number
    /// of the payload that would be next.
    pub closed: Option<u64>,
}

/// The parts of a spool that both halves have.
pub(super) struct Shared<S: Storage> {
    pub storage: S,
    pub identity: u128,
    /// What the segments may take, in bytes.
    pub segments_max: u64,
    /// The size at which a segment is complete, in bytes.
    pub segment_size: u64,
    index: Mutex<Index>,
    /// Locked before `index`, when both are.
    cursor: Mutex<Cursor<S::File>>,
}

impl Index {
    /// The bytes of all segments.
    pub(super) fn length(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// The end of what may be read.
    pub(super) fn end(&self) -> Mark {
        self.segments.back().map_or(self.acknowledged.low(), |segment| segment.end)
    }

    /// What may be read and isn't acknowledged.
    pub(super) fn queued(&self) -> Amount {
        let low = self.acknowledged.low();
        let mut queued = Amount::default();
        for Segment { first, end, .. } in &self.segments {
            let from = low.max(*first);
            queued.payloads += end.sequence.saturating_sub(from.sequence);
            queued.bytes += end.bytes.saturating_sub(from.bytes);
        }
        for range in self.acknowledged.above() {
            queued.payloads = queued.payloads.saturating_sub(range.payloads());
            queued.bytes = queued.bytes.saturating_sub(range.bytes());
        }
        queued
    }

    /// Whether there is still everything that this segment had.
    pub(super) fn has(&self, segment: &Segment) -> bool {
        let is_same = |other: &Segment| {
            other.ordinal == segment.ordinal && other.end.sequence >= segment.end.sequence
        };
        self.segments.iter().any(is_same)
    }

    /// The first segment that has something at or behind this number.
    pub(super) fn segment_at(&self, sequence: u64) -> Option<Segment> {
        let at = self.segments.partition_point(|segment| segment.end.sequence <= sequence);
        self.segments.get(at).copied()
    }

    /// Brings the mark of what is acknowledged to where the next payload can be: over
    /// the numbers that were never used between two segments.
    pub(super) fn settle(&mut self) {
        loop {
            let low = self.acknowledged.low();
            let at = self.segments.partition_point(|segment| segment.end.sequence <= low.sequence);
            let place = match (at.checked_sub(1), self.segments.get(at)) {
                (_, Some(next)) if next.first.sequence >= low.sequence => next.first,
                // Exactly at the end of one: its bytes are sure.
                (Some(before), _) if self.segments[before].end.sequence == low.sequence => {
                    self.segments[before].end
                }
                _ => return,
            };
            if place == low {
                return;
            }
            self.acknowledged.raise(place);
        }
    }
}

impl<S: Storage> Shared<S> {
    pub(super) fn new(
        storage: S,
        identity: u128,
        sizes: (u64, u64),
        index: Index,
        cursor: Cursor<S::File>,
    ) -> Shared<S> {
        let (segments_max, segment_size) = sizes;
        let (index, cursor) = (Mutex::new(index), Mutex::new(cursor));
        Shared { storage, identity, segments_max, segment_size, index, cursor }
    }

    /// What there is; not to be held for longer than it takes to look.
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        // A panic while it was held is our bug and ends the process elsewhere.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cursor(&self) -> MutexGuard<'_, Cursor<S::File>> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> State {
        let index = self.index();
        let above = index.acknowledged.above();
        State {
            identity: self.identity,
            low: index.acknowledged.low(),
            end: index.end(),
            closed: index.closed,
            ranges: above[..above.len().min(RANGES_MAX)].to_vec(),
        }
    }

    /// Writes down what is acknowledged: one small write. Then removes the segments of
    /// which nothing is left to be delivered.
    pub(super) fn keep(&self) -> io::Result<()> {
        let mut cursor = self.cursor();
        let state = self.state();
        cursor.write(&state)?;
        if !self.is_removable() {
            return Ok(());
        }
        // Synced first: if a power loss brought back a segment, but not the one behind
        // it, that one would seem to be missing.
        cursor.sync()?;
        while let Some(ordinal) = self.removable() {
            match self.storage.remove(&segment::name(ordinal)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            let mut index = self.index();
            if index.segments.front().is_some_and(|front| front.ordinal == ordinal) {
                index.segments.pop_front();
            }
        }
        // The directory isn't synced here: a segment that comes back is removed when
        // the spool is opened, by the cursor, and the next segment's making syncs it.
        Ok(())
    }

    /// Removes the last segment, in which there is nothing, unless it is the only one. If it can't
    /// be removed it does no harm.
    pub(super) fn remove_last(&self) {
        // Locked, so that `keep` doesn't take the one before it meanwhile: one has to stay.
        let _cursor = self.cursor();
        let last = {
            let index = self.index();
            index.segments.back().filter(|_| index.segments.len() > 1).map(|last| last.ordinal)
        };
        if let Some(ordinal) = last
            && self.storage.remove(&segment::name(ordinal)).is_ok()
        {
            self.index().segments.pop_back();
        }
    }

    /// Writes down what is acknowledged, for good.
    pub(super) fn keep_synced(&self) -> io::Result<()> {
        let mut cursor = self.cursor();
        let state = self.state();
        cursor.write(&state)?;
        cursor.sync()
    }

    fn is_removable(&self) -> bool {
        self.removable().is_some()
    }

    /// The first segment, if all in it is acknowledged. The last one stays: it has the
    /// numbers from which those of later payloads go on.
    fn removable(&self) -> Option<u64> {
        let index = self.index();
        let low = index.acknowledged.low();
        let front = index.segments.front().filter(|_| index.segments.len() > 1)?;
        (front.end.sequence <= low.sequence).then_some(front.ordinal)
    }
}

impl<S: Storage> Drop for Shared<S> {
    fn drop(&mut self) {
        // Without it the next start takes this one's end for a crash, and is only slower.
        let _ = self.keep_synced();
    }
}
