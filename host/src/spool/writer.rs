//! The half of a spool that payloads are appended to.

use std::{io, ops::Range, sync::Arc};

use super::{
    Amount, Appended, Payload, Stop,
    record::{self, Mark, Place},
    segment::{self, Header},
    shared::{Segment, Shared},
    storage::{Access, Storage, StoredFile, write_all},
};

/// Bytes that are kept in memory, since they aren't synced: with more, the writer syncs
/// on its own.
pub const UNSYNCED_MAX: usize = 4 << 20;

/// Where a writer goes on.
pub(super) struct Going {
    /// The next payload's place.
    pub next: Mark,
    /// The next segment's number.
    pub ordinal: u64,
    /// The last segment, if more can be appended to it.
    pub last: Option<Segment>,
}

/// The segment that is appended to.
#[derive(Debug)]
struct Active<F> {
    file: F,
    seed: u32,
    /// Where the next record belongs.
    offset: u64,
    /// Everything before has been synced.
    synced: u64,
}

/// Appends payloads; one thread's.
pub struct Writer<S: Storage> {
    shared: Arc<Shared<S>>,
    /// None until there is something to append, and after a failed sync.
    active: Option<Active<S::File>>,
    next_ordinal: u64,
    /// All before it has been synced.
    synced: Mark,
    /// The next payload's place: all before it has been written, or is in `unsynced`.
    next: Mark,
    /// The next payload's place behind those that are about to be written.
    staged: Mark,
    /// What may be read of what isn't synced.
    published: u64,
    /// The records that have not been synced, from `synced` on.
    unsynced: Vec<u8>,
    /// How much of that has been written; the rest is about to be.
    written: usize,
    failed_syncs: u64,
    /// The last append found the disk full.
    disk_is_full: bool,
}

impl<S: Storage> Writer<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, going: Going) -> io::Result<Writer<S>> {
        let Going { next, ordinal, last } = going;
        let active = match last {
            Some(last) => Some(Active {
                file: shared.storage.open(&segment::name(last.ordinal), Access::Write)?,
                seed: segment::seed(shared.identity, last.ordinal),
                offset: last.limit,
                synced: last.limit,
            }),
            None => None,
        };
        Ok(Writer {
            shared,
            active,
            next_ordinal: ordinal,
            synced: next,
            next,
            staged: next,
            published: next.sequence,
            unsynced: Vec::new(),
            written: 0,
            failed_syncs: 0,
            disk_is_full: false,
        })
    }

    /// The spool's identity.
    pub fn identity(&self) -> u128 {
        self.shared.identity
    }

    /// What may be read and isn't acknowledged.
    pub fn queued(&self) -> Amount {
        self.shared.index().queued()
    }

    /// The bytes that all segments take on the disk.
    pub fn disk_size(&self) -> u64 {
        self.shared.index().length()
    }

    /// The number that the next payload gets.
    pub fn next_sequence(&self) -> u64 {
        self.next.sequence
    }

    /// How often a sync has failed.
    pub fn failed_syncs(&self) -> u64 {
        self.failed_syncs
    }

    /// Appends payloads, in one write for as many as fit into a segment. They can't be
    /// read before [`publish`](Self::publish) or [`sync`](Self::sync).
    ///
    /// It stops at the first one that can't be appended; the payloads before it are
    /// appended, it and those behind it are not, and nothing of them is left behind. After
    /// each stop the same can be tried again.
    pub fn append<'a>(&mut self, payloads: impl IntoIterator<Item = Payload<'a>>) -> Appended {
        if self.disk_is_full {
            self.reclaim();
        }
        let first = self.next.sequence;
        let mut room = self.room();
        let mut stop = None;
        for payload in payloads {
            let size = record::size(&payload);
            if self.is_too_large(&payload) {
                stop = Some(Stop::TooLarge);
                break;
            }
            if !self.fits(size, room) {
                if let Err(reason) =
                    self.write().map_err(Stop::Failed).and_then(|()| self.make_room(size))
                {
                    stop = Some(reason);
                    break;
                }
                room = self.room();
            }
            let Some(active) = &self.active else {
                // A failed sync in between: there is none before the next payload.
                stop = Some(Stop::Failed(io::ErrorKind::Other.into()));
                break;
            };
            let staged = (self.unsynced.len() - self.written) as u64;
            let place = Place { seed: active.seed, offset: active.offset + staged };
            record::encode(&mut self.unsynced, place, self.staged, &payload);
            self.staged = self.staged.after(payload.bytes.len());
        }
        if let Err(error) = self.write() {
            stop = Some(Stop::Failed(error));
        }
        let is_full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        self.disk_is_full = matches!(&stop, Some(Stop::Failed(error)) if is_full(error));
        Appended { sequences: Range { start: first, end: self.next.sequence }, stop }
    }

    /// Lets the reader have what has been appended, before it is synced. A power loss
    /// may take it away again; its numbers are not used again then.
    pub fn publish(&mut self) {
        self.published = self.next.sequence;
        let Some(active) = &self.active else { return };
        if let Some(last) = self.shared.index().segments.back_mut() {
            last.end = self.next;
            last.limit = active.offset;
        }
    }

    /// Makes sure that what has been appended outlives a power loss, and lets the reader
    /// have it. This may take as long as the disk likes; the reader doesn't wait.
    ///
    /// When the disk fails to sync, nobody knows what it has: what was not synced is
    /// written once more, to a new segment, and that is synced.
    ///
    /// # Errors
    ///
    /// When that fails, too. What has been appended is kept in memory, and the next
    /// `sync` or [`append`](Self::append) tries to write it to a new segment again; until
    /// that succeeds nothing can be appended.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.unsynced.is_empty() {
            self.publish();
            return Ok(());
        }
        if self.active.is_some() {
            match self.sync_active() {
                Ok(()) => return Ok(()),
                Err(_) => self.give_up_segment(),
            }
        }
        self.begin()?;
        let result = self.sync_active();
        if result.is_err() {
            self.give_up_segment();
        }
        result
    }

    /// Forgets what has been appended and is not synced, after [`sync`](Self::sync) has failed: it
    /// is not written once more. Nothing of it may have been published. Only a crash before the
    /// next segment is begun can bring some of it back. Its numbers are not used again.
    ///
    /// Returns the number below which everything is synced.
    pub fn forget_unsynced(&mut self) -> u64 {
        self.give_up_segment();
        let safe = self.synced.sequence;
        self.unsynced.clear();
        self.written = 0;
        self.synced.sequence = self.next.sequence;
        (self.next, self.staged) = (self.synced, self.synced);
        self.published = self.next.sequence;
        safe
    }

    /// Discards the oldest payloads that are not acknowledged: those of one segment, so
    /// that there is room for at least as many bytes. The reader goes on behind them; what
    /// it has read of them already may be acknowledged later, and doesn't count then.
    ///
    /// Returns what was discarded: nothing if there is nothing left.
    ///
    /// # Errors
    ///
    /// When a segment can't be begun (nothing is discarded then), or what is discarded
    /// can't be written down or removed (it stays out of the reader's way, and the next
    /// call or acknowledgement tries again; [`queued`](Self::queued) says what is left).
    pub fn discard_oldest(&mut self) -> io::Result<Amount> {
        let is_last = {
            let index = self.shared.index();
            let low = index.acknowledged.low().sequence;
            let Some(oldest) = index.segment_at(low) else { return Ok(Amount::default()) };
            index.segments.back().is_some_and(|last| last.ordinal == oldest.ordinal)
        };
        if is_last {
            // It must be complete before it can go.
            self.sync()?;
            self.begin()?;
        }
        let discarded = {
            let mut index = self.shared.index();
            let low = index.acknowledged.low().sequence;
            // Perhaps it has been acknowledged meanwhile, and this is the next one.
            let Some(oldest) = index.segment_at(low) else { return Ok(Amount::default()) };
            let end = oldest.end;
            let before = index.queued();
            index.acknowledged.raise(end);
            index.settle();
            before.minus(index.queued())
        };
        self.shared.keep()?;
        Ok(discarded)
    }

    // What follows serves the above.

    /// The bytes that segments may still take.
    fn room(&self) -> u64 {
        self.shared.segments_max.saturating_sub(self.shared.index().length())
    }

    fn is_too_large(&self, payload: &Payload<'_>) -> bool {
        payload.bytes.len() > record::PAYLOAD_MAX
            || payload.label.len() > record::LABEL_MAX
            || record::size(payload) + segment::HEADER as u64 > self.shared.segments_max
    }

    /// Whether a record can be staged behind those that are.
    fn fits(&self, size: u64, room: u64) -> bool {
        let Some(active) = &self.active else { return false };
        let staged = (self.unsynced.len() - self.written) as u64;
        let end = active.offset + staged;
        let is_in_segment = end == segment::HEADER as u64 || end + size <= self.shared.segment_size;
        let is_in_memory =
            self.unsynced.is_empty() || self.unsynced.len() as u64 + size <= UNSYNCED_MAX as u64;
        is_in_segment && is_in_memory && staged + size <= room
    }

    /// Makes room for a record; nothing is staged.
    fn make_room(&mut self, size: u64) -> Result<(), Stop> {
        if self.active.is_none() {
            // Only if the payload then has its place, or what is there can go.
            let needed = size + segment::HEADER as u64 + self.unsynced.len() as u64;
            if needed > self.room() && !self.is_drained() {
                return Err(Stop::Full);
            }
            self.begin().map_err(Stop::Failed)?;
            self.shared.keep().map_err(Stop::Failed)?;
        }
        if self.unsynced.len() as u64 + size > UNSYNCED_MAX as u64 {
            self.sync().map_err(Stop::Failed)?;
        }
        let offset = self.active.as_ref().map_or(0, |active| active.offset);
        let is_begun = offset > segment::HEADER as u64;
        let room = self.room();
        // A segment is only worth a change if the payload then has its place.
        let is_complete = is_begun
            && offset + size > self.shared.segment_size
            && size + segment::HEADER as u64 <= room;
        let is_used_up = is_begun && size > room && self.is_drained();
        if is_complete || is_used_up {
            self.sync().map_err(Stop::Failed)?;
            self.begin().map_err(Stop::Failed)?;
            self.shared.keep().map_err(Stop::Failed)?;
        }
        if size > self.room() { Err(Stop::Full) } else { Ok(()) }
    }

    /// The disk was full. Once all is acknowledged, gives back what the active segment has of it,
    /// and begins another one; a failure leaves things as they are for the next time.
    fn reclaim(&mut self) {
        let is_begun = |active: &Active<_>| active.offset > segment::HEADER as u64;
        if !self.is_drained() || !self.active.as_ref().is_some_and(is_begun) {
            return;
        }
        // The cursor has the numbers from which those of later payloads go on.
        if self.sync().is_err() || self.shared.keep_synced().is_err() {
            return;
        }
        let header = segment::HEADER as u64;
        if let Some(active) = &self.active
            && active.file.truncate(header).is_ok()
        {
            if let Some(last) = self.shared.index().segments.back_mut() {
                last.length = header;
            }
            // What fails here fails again when the next payload is appended.
            let _ = self.begin().and_then(|()| self.shared.keep());
        }
    }

    /// Whether everything that has been appended is acknowledged.
    fn is_drained(&self) -> bool {
        self.shared.index().acknowledged.low().sequence >= self.next.sequence
    }

    /// Writes what is staged. On an error, what is whole of it counts as appended.
    fn write(&mut self) -> io::Result<()> {
        if self.written == self.unsynced.len() {
            return Ok(());
        }
        let Some(active) = &mut self.active else {
            self.unsynced.truncate(self.written);
            self.staged = self.next;
            return Err(io::ErrorKind::Other.into());
        };
        let staged = &self.unsynced[self.written..];
        let (count, result) = write_all(&active.file, staged, active.offset);
        let (whole, next) = record::whole(staged, count, self.next);
        self.unsynced.truncate(self.written + whole);
        self.written = self.unsynced.len();
        (self.next, self.staged) = (next, next);
        active.offset += whole as u64;
        let mut length = active.offset;
        // What can't be cut off is overwritten by the next one.
        if whole < count && active.file.truncate(length).is_err() {
            length += (count - whole) as u64;
        }
        if let Some(last) = self.shared.index().segments.back_mut() {
            last.length = last.length.max(length);
        }
        result
    }

    /// Syncs the active segment.
    fn sync_active(&mut self) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if let Err(error) = active.file.sync() {
            self.failed_syncs += 1;
            return Err(error);
        }
        active.synced = active.offset;
        self.synced = self.next;
        self.unsynced.clear();
        // A single payload may have been much larger.
        if self.unsynced.capacity() > 2 * UNSYNCED_MAX {
            self.unsynced.shrink_to(UNSYNCED_MAX);
        }
        self.written = 0;
        self.publish();
        Ok(())
    }

    /// Leaves the active segment with what has been synced of it.
    fn give_up_segment(&mut self) {
        let Some(active) = self.active.take() else { return };
        // The reader must know before the file is cut.
        if let Some(last) = self.shared.index().segments.back_mut() {
            (last.end, last.limit) = (self.synced, active.synced);
        }
        // If it can't be cut, its end is passed over: the next segment's header tells.
        if active.file.truncate(active.synced).is_ok()
            && let Some(last) = self.shared.index().segments.back_mut()
        {
            last.length = active.synced;
        }
        // A disk that takes headers and nothing else would collect a file at each attempt.
        if active.synced == segment::HEADER as u64 {
            self.shared.remove_last();
        }
    }

    /// Begins a segment behind what has been synced, and writes to it what has not.
    fn begin(&mut self) -> io::Result<()> {
        self.active = None;
        if self.unsynced.len() as u64 > self.room() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        let name = segment::name(ordinal);
        let file = match self.make_segment(&name, ordinal) {
            Ok(file) => file,
            Err(error) => {
                // If it stays it is empty, and does no harm.
                let _ = self.shared.storage.remove(&name);
                return Err(error);
            }
        };
        let offset = segment::HEADER as u64;
        let (first, end) = (self.synced, self.synced);
        let entry = Segment { ordinal, first, end, limit: offset, length: offset };
        {
            let mut index = self.shared.index();
            index.segments.push_back(entry);
            index.settle();
        }
        let seed = segment::seed(self.shared.identity, ordinal);
        self.active = Some(Active { file, seed, offset, synced: offset });
        record::replace(&mut self.unsynced, Place { seed, offset });
        self.write_again()
    }

    /// Makes a segment's file with its header, for good.
    fn make_segment(&self, name: &str, ordinal: u64) -> io::Result<S::File> {
        let previous_end = {
            let index = self.shared.index();
            index.segments.back().map_or(self.synced, |last| last.end)
        };
        let identity = self.shared.identity;
        let header = Header { identity, ordinal, first: self.synced, previous_end };
        let file = self.shared.storage.open(name, Access::New)?;
        write_all(&file, &header.encode(), 0).1?;
        file.sync()?;
        self.shared.storage.sync_dir()?;
        Ok(file)
    }

    /// Writes to a new segment what the one before it didn't keep: everything or nothing.
    fn write_again(&mut self) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let (_, result) = write_all(&active.file, &self.unsynced, active.offset);
        if result.is_err() {
            self.give_up_segment();
            return result;
        }
        active.offset += self.unsynced.len() as u64;
        let (length, published) = (active.offset, self.published);
        if let Some(last) = self.shared.index().segments.back_mut() {
            last.length = length;
        }
        if published > self.synced.sequence {
            self.publish();
        }
        Ok(())
    }
}

impl<S: Storage> Drop for Writer<S> {
    fn drop(&mut self) {
        // Who wants to know whether it succeeds has called it before.
        if self.sync().is_ok() {
            self.shared.index().closed = Some(self.next.sequence);
        }
    }
}
