//! A queue in memory: a lock-free channel, and a count of its bytes, which bounds it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::{
    Batch, Receipt, Wake,
    disk::{Disk, DiskUse},
    signal::Signal,
};
use crate::telemetry::{
    ledger::{DropReason, ExporterLedger},
    log::RateLimit,
};

/// How often one queue may say that it drops.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The largest spare batch that is kept for its memory, in bytes: a request may have been much
/// larger, and none counts as waiting.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// How many spare batches are kept.
const SPARES_MAX: usize = 16;

/// The bytes that spare batches take at most, in one queue.
pub const SPARE_MEMORY_MAX: usize = SPARES_MAX * SPARE_BYTES_MAX;

/// What happens to a batch that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueFull {
    /// Whoever brought it waits: the inputs that feed this exporter stand still.
    #[default]
    Block,
    /// It is dropped and counted.
    DropNewest,
    /// The batches that have waited longest are dropped and counted, until it fits.
    DropOldest,
}

/// What became of a batch that was pushed.
#[derive(Debug)]
pub enum Pushed {
    /// It is in the queue, or dropped and counted. Here is an empty one.
    Taken(Batch),
    /// There is no room and the queue blocks: here it is again.
    Full(Batch),
}

/// The right to put batches into a queue. An exporter that is no more delivers until
/// nobody has it.
#[derive(Debug)]
pub struct Producer {
    queue: Arc<Queue>,
}

/// The queue of one exporter.
#[derive(Debug)]
pub struct Queue {
    exporter: String,
    sender: Sender<Batch>,
    receiver: Receiver<Batch>,
    /// Emptied batches on their way back to the workers, for their memory.
    spare_sender: Sender<Batch>,
    spare: Receiver<Batch>,
    bytes: AtomicUsize,
    bytes_max: usize,
    when_full: QueueFull,
    ledger: Arc<ExporterLedger>,
    /// What of it is on disk.
    disk: Option<Arc<Disk>>,
    /// How many [`Producer`]s there are.
    producers: AtomicUsize,
    /// The queue has become so full that an exporter's thread that rests should not.
    filling: Signal,
    /// Set by a worker that found no room, cleared by the thread that makes some.
    room_wanted: AtomicBool,
    wakes: Mutex<Vec<Wake>>,
    drops: RateLimit,
}

impl Producer {
    /// The first right to put batches into `queue`; the others are its clones.
    pub fn new(queue: Arc<Queue>) -> Self {
        queue.producers.fetch_add(1, Ordering::Relaxed);
        Producer { queue }
    }

    /// The queue.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }
}

impl Clone for Producer {
    fn clone(&self) -> Self {
        Producer::new(Arc::clone(&self.queue))
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // Release: whoever sees that nobody is left sees what was put in, too.
        self.queue.producers.fetch_sub(1, Ordering::Release);
    }
}

impl std::ops::Deref for Producer {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.queue
    }
}

impl Queue {
    /// What a batch takes besides its payloads' bytes: an idle host's batches of one event each must
    /// not pass the bound unseen. It includes what a batch may waste, see [`Batch::fitted`].
    const BATCH_OVERHEAD: usize = 512;

    /// The queue of `exporter`, of at most `bytes_max` bytes. (One batch always fits.)
    pub fn new(
        exporter: &str,
        bytes_max: usize,
        when_full: QueueFull,
        ledger: Arc<ExporterLedger>,
    ) -> Self {
        // How many batches there are is bounded by their bytes: small ones must not fill it earlier.
        let (sender, receiver) = unbounded();
        let (spare_sender, spare) = bounded(SPARES_MAX);
        Queue {
            exporter: exporter.to_owned(),
            sender,
            receiver,
            spare_sender,
            spare,
            bytes: AtomicUsize::new(0),
            bytes_max,
            when_full,
            ledger,
            disk: None,
            producers: AtomicUsize::new(0),
            filling: Signal::new(),
            room_wanted: AtomicBool::new(false),
            wakes: Mutex::new(Vec::new()),
            drops: RateLimit::new(LOG_INTERVAL),
        }
    }

    /// The same queue, of which a part is on disk.
    #[must_use]
    pub fn on_disk(self, disk: Arc<Disk>) -> Self {
        Queue { disk: Some(disk), ..self }
    }

    /// What of it is on disk.
    pub fn disk(&self) -> Option<&Arc<Disk>> {
        self.disk.as_ref()
    }

    /// The exporter's name.
    pub fn exporter(&self) -> &str {
        &self.exporter
    }

    /// What happens to a batch that does not fit.
    pub fn when_full(&self) -> QueueFull {
        self.when_full
    }

    /// Whether anybody may still put batches in. Once false it stays so, and what
    /// [`is_empty`](Self::is_empty) says afterwards is final.
    pub fn has_producers(&self) -> bool {
        self.producers.load(Ordering::Acquire) > 0
    }

    /// Has `wake` called when there is room again after a push found none.
    pub fn on_room(&self, wake: Wake) {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner).push(wake);
    }

    /// Puts a batch in, or does what the configuration says when it does not fit. Its receipts are
    /// fulfilled, unless it comes back, or is to be on disk first.
    pub fn push(&self, mut batch: Batch) -> Pushed {
        if self.disk.as_ref().is_some_and(|disk| disk.plan.usage == DiskUse::Durable) {
            return self.push_or_drop(batch);
        }
        let receipts = batch.take_receipts();
        match self.push_or_drop(batch) {
            Pushed::Taken(empty) => {
                receipts.into_iter().for_each(Receipt::fulfil);
                Pushed::Taken(empty)
            }
            Pushed::Full(mut batch) => {
                batch.give_receipts(receipts);
                Pushed::Full(batch)
            }
        }
    }

    fn push_or_drop(&self, batch: Batch) -> Pushed {
        let (mut batch, rest) = batch.fitted();
        let taken = |rest: Option<Batch>| {
            Pushed::Taken(rest.or_else(|| self.spare.try_recv().ok()).unwrap_or_default())
        };
        loop {
            batch = match self.try_push(batch) {
                None => return taken(rest),
                Some(batch) => batch,
            };
            match self.when_full_now() {
                QueueFull::Block => {
                    // Once more after the wish is known: the exporter may have
                    // made room between the attempt and the wish.
                    self.room_wanted.store(true, Ordering::SeqCst);
                    return match self.try_push(batch) {
                        None => taken(rest),
                        Some(batch) => Pushed::Full(batch),
                    };
                }
                QueueFull::DropNewest => {
                    self.dropped(&batch);
                    batch.fulfil();
                    batch.clear();
                    return Pushed::Taken(batch);
                }
                QueueFull::DropOldest => {
                    if let Ok(mut oldest) = self.receiver.try_recv() {
                        self.taken(&oldest);
                        self.dropped(&oldest);
                        oldest.fulfil();
                    } else {
                        // The exporter has just taken it and is about to say so.
                        std::thread::yield_now();
                    }
                }
            }
        }
    }

    /// While there is room on the disk, it is only a moment until there is some here.
    fn when_full_now(&self) -> QueueFull {
        match &self.disk {
            Some(disk) if !disk.is_full() => QueueFull::Block,
            _ => self.when_full,
        }
    }

    /// Counts a batch that had no room, and says so once in a while.
    #[cold]
    fn dropped(&self, batch: &Batch) {
        let count = batch.len() as u64;
        self.ledger.dropped(DropReason::QueueFull, count);
        if let Some(count) = self.drops.add(Instant::now(), count) {
            let (name, reason) = (&self.exporter, DropReason::QueueFull);
            log::warn!(
                "exporter {name}: dropped {count} payloads ({reason}): the queue is full, its \
                 driver does not keep up; more are counted, and told of once a minute"
            );
        }
    }

    /// Puts in a batch that is not full yet, unless others are waiting: the
    /// exporter is busy with them, and this one may as well grow. Then it comes
    /// back, and the wakers are called once the exporter takes another.
    pub fn push_early(&self, batch: Batch) -> Pushed {
        if !self.is_empty() {
            self.room_wanted.store(true, Ordering::SeqCst);
            if !self.is_empty() {
                return Pushed::Full(batch);
            }
        }
        self.push(batch)
    }

    /// Whether a batch of so many bytes would be taken now: it fits, or the queue does not block. If
    /// not, the wakers are called once there may be room.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        let fits = || {
            let waiting = self.bytes.load(Ordering::SeqCst);
            waiting == 0 || waiting.saturating_add(bytes + Self::BATCH_OVERHEAD) <= self.bytes_max
        };
        if self.when_full_now() != QueueFull::Block || fits() {
            return true;
        }
        self.room_wanted.store(true, Ordering::SeqCst);
        if fits() {
            return true;
        }
        if let Some(disk) = self.disk.as_ref().filter(|disk| disk.plan.usage == DiskUse::Spill) {
            disk.make_room_for(bytes + Self::BATCH_OVERHEAD);
        }
        false
    }

    /// Puts a batch in; here it is again if there is no room.
    fn try_push(&self, batch: Batch) -> Option<Batch> {
        let cost = Self::cost(&batch);
        let reserve =
            |bytes: usize| (bytes == 0 || bytes + cost <= self.bytes_max).then_some(bytes + cost);
        let reserved = self.bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, reserve);
        let spills = self.disk.as_ref().filter(|disk| disk.plan.usage == DiskUse::Spill);
        let Ok(before) = reserved else {
            if let Some(disk) = spills {
                disk.make_room_for(cost);
            }
            return Some(batch);
        };
        self.sender.send(batch).expect("invariant: the queue itself has a receiver");
        let quarter = self.bytes_max / 4;
        if before < quarter && before + cost >= quarter {
            self.filling.call();
        }
        if let Some(disk) = spills {
            if before >= self.bytes_max / 4 * 3 {
                disk.pressure.call();
            }
            // Two threads take from it in turn, so neither waits at the channel.
            disk.published.call();
        }
        None
    }

    fn cost(batch: &Batch) -> usize {
        batch.size() + Self::BATCH_OVERHEAD
    }

    fn taken(&self, batch: &Batch) {
        self.bytes.fetch_sub(Self::cost(batch), Ordering::SeqCst);
        if self.room_wanted.swap(false, Ordering::SeqCst) {
            let wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
            wakes.iter().for_each(Wake::wake);
        }
    }

    /// The receiving end, for a select; each received batch must be given to
    /// [`received`](Self::received).
    pub fn receiver(&self) -> &Receiver<Batch> {
        &self.receiver
    }

    /// Where it is told that a quarter of the queue has filled.
    pub(super) fn filling(&self) -> &Receiver<()> {
        self.filling.calls()
    }

    /// Says that `batch` was taken from [`receiver`](Self::receiver).
    pub fn received(&self, batch: &Batch) {
        self.taken(batch);
    }

    /// Gives back a batch that is done, for its memory.
    pub fn recycle(&self, mut batch: Batch) {
        batch.clear();
        // When there are enough spare ones its memory is simply freed.
        if batch.capacity() <= SPARE_BYTES_MAX {
            let _ = self.spare_sender.try_send(batch);
        }
    }

    /// The bytes that are waiting.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The most bytes that may wait.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// The batches that are waiting.
    pub fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, sync::Arc};

    use super::{Batch, Pushed, Queue, QueueFull, Wake};
    use crate::queue::{Promise, Standing};
    use crate::telemetry::ledger::ExporterLedger;

    fn take(queue: &Queue) -> Option<Batch> {
        let batch = queue.receiver().try_recv().ok()?;
        queue.received(&batch);
        Some(batch)
    }

    fn batch(payload: &[u8]) -> Batch {
        let mut batch = Batch::default();
        batch
            .append::<()>(|bytes| {
                bytes.extend_from_slice(payload);
                Ok(())
            })
            .unwrap();
        batch
    }

    #[test]
    fn each_policy_does_what_it_says() {
        let check = |when_full, expected: &[&[u8]], dropped: u64, full: usize| {
            let ledger = Arc::new(ExporterLedger::default());
            let queue = Queue::new("out", 2 * 1024, when_full, Arc::clone(&ledger));
            let mut blocked = 0;
            for payload in [b"1", b"2", b"3", b"4", b"5"] {
                ledger.matched(1, 0);
                match queue.push(batch(payload)) {
                    Pushed::Taken(spare) => assert!(spare.is_empty()),
                    Pushed::Full(back) => {
                        assert_eq!(back.payload(0), payload);
                        blocked += 1;
                    }
                }
            }
            assert_eq!(queue.has_room_for(1), full == 0, "{when_full:?}");
            let mut left = Vec::new();
            while let Some(batch) = take(&queue) {
                left.push(batch.payload(0).to_vec());
            }
            assert_eq!(left, expected, "{when_full:?}");
            assert_eq!(blocked, full, "{when_full:?}");
            let figures = ledger.figures();
            assert_eq!(figures.dropped.get("queue_full").copied().unwrap_or(0), dropped);
            assert!(queue.has_room_for(1 << 20), "an empty one takes any batch");
            assert_eq!(queue.bytes(), 0);
        };
        check(QueueFull::Block, &[b"1", b"2", b"3"], 0, 2);
        check(QueueFull::DropNewest, &[b"1", b"2", b"3"], 2, 0);
        check(QueueFull::DropOldest, &[b"3", b"4", b"5"], 2, 0);
    }

    /// Small batches are no reason to drop: only their bytes are.
    #[test]
    fn many_small_batches_fit() {
        let ledger = Arc::new(ExporterLedger::default());
        let queue = Queue::new("out", 1 << 20, QueueFull::DropNewest, Arc::clone(&ledger));
        for _ in 0..1000 {
            assert!(matches!(queue.push(batch(&[b'x'; 150])), Pushed::Taken(_)));
        }
        assert_eq!((queue.len(), ledger.figures().dropped.len()), (1000, 0));
        for _ in 0..1000 {
            assert!(matches!(queue.push(batch(&[b'x'; 150])), Pushed::Taken(_)));
        }
        assert!(queue.len() < 2000 && queue.bytes() <= 1 << 20);
        assert!(ledger.figures().dropped["queue_full"] > 0);
    }

    #[test]
    fn what_is_in_the_queue_or_dropped_is_promised_no_more() {
        let check = |when_full, expected: &[Standing]| {
            let queue = Queue::new("out", 1024, when_full, Arc::default());
            let promises = [b"1", b"2", b"3"].map(|payload| {
                let promise = Promise::new(Wake::new().unwrap());
                let mut batch = batch(payload);
                batch.promise(&promise);
                (queue.push(batch), promise)
            });
            let standings: Vec<_> = promises.iter().map(|(_, one)| one.standing()).collect();
            assert_eq!(standings, expected, "{when_full:?}");
        };
        use Standing::{Kept, Open};
        check(QueueFull::Block, &[Kept, Open, Open]);
        check(QueueFull::DropNewest, &[Kept; 3]);
        check(QueueFull::DropOldest, &[Kept; 3]);
    }

    #[test]
    fn memory_is_kept_for_the_next_batch_unless_it_is_much() {
        let check = |size: usize, expected: bool| {
            let queue = Queue::new("out", 64 << 20, QueueFull::Block, Arc::default());
            queue.recycle(batch(&vec![b'x'; size]));
            let Pushed::Taken(spare) = queue.push(batch(b"y")) else { panic!("no room") };
            assert!(spare.is_empty());
            assert_eq!(spare.capacity() >= size, expected, "{size}");
        };
        check(64 << 10, true);
        check(16 << 20, false);
    }

    #[test]
    fn a_batch_that_is_not_full_waits_behind_others() {
        let queue = Queue::new("out", 1 << 20, QueueFull::DropNewest, Arc::default());
        assert!(matches!(queue.push_early(batch(b"1")), Pushed::Taken(_)));
        assert!(matches!(queue.push_early(batch(b"2")), Pushed::Full(_)));
        let wake = Wake::new().unwrap();
        queue.on_room(wake.clone());
        assert!(!is_awake(&wake));
        assert!(take(&queue).is_some());
        assert!(is_awake(&wake));
        assert!(matches!(queue.push_early(batch(b"2")), Pushed::Taken(_)));
    }

    fn is_awake(wake: &Wake) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(wake, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn one_batch_always_fits_and_order_is_kept() {
        let queue = Queue::new("out", 1, QueueFull::Block, Arc::default());
        assert!(matches!(queue.push(batch(&[b'x'; 100_000])), Pushed::Taken(_)));
        assert!(matches!(queue.push(batch(b"y")), Pushed::Full(_)));
        let mut model = VecDeque::new();
        let queue = Queue::new("out", 16 << 20, QueueFull::Block, Arc::default());
        for number in 0_u32..500 {
            assert!(matches!(queue.push(batch(&number.to_le_bytes())), Pushed::Taken(_)));
            model.push_back(number.to_le_bytes());
            if number % 3 == 0 {
                let batch = take(&queue).unwrap();
                assert_eq!(batch.payload(0), model.pop_front().unwrap());
                queue.recycle(batch);
            }
        }
    }
}
