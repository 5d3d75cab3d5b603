//! Where an exporter's thread takes its batches out of a queue, wherever they are.

use std::{
    io,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, never};

use super::{
    Batch, Queue,
    disk::{Disk, DiskUse},
    spooler::{Opening, Spooler},
    trouble::Trouble,
};
use crate::{
    spool::{Amount, Directory, Reader, Taken, micros_now},
    telemetry::ledger::{DropReason, ExporterLedger},
};

/// How many bytes a batch from the disk has at most, unless one payload has more.
const READ_BYTES: usize = 64 << 10;

/// The exporter's end of its queue.
pub struct Outlet {
    queue: Arc<Queue>,
    ledger: Arc<ExporterLedger>,
    spooled: Option<Spooled>,
    memory_calls: Receiver<Batch>,
    disk_calls: Receiver<()>,
}

/// The part of the queue that is on disk.
struct Spooled {
    exporter: String,
    disk: Arc<Disk>,
    spooler: Option<Spooler>,
    opening: Opening,
    /// `None` until the spool is open.
    reader: Option<Reader<Directory>>,
    taken: Taken,
    /// How many payloads a batch from the disk has at most.
    payloads_max: usize,
    /// How many values the labels have that the driver wants.
    label_parts: usize,
    /// What was damaged so far.
    lost: Amount,
    trouble: Trouble,
}

/// What an outlet must know of the exporter.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// How many values the labels have that the driver wants.
    pub label_parts: usize,
    /// How many payloads a batch has at most.
    pub payloads_max: usize,
    /// Whether an exporter of the same name and spool ran before, in this process.
    pub successor: bool,
}

impl Outlet {
    /// The end of `queue`. Its spool is opened if a part of it is on disk.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub fn open(queue: Arc<Queue>, ledger: Arc<ExporterLedger>, wants: Wants) -> io::Result<Self> {
        let spooled = match queue.disk() {
            None => None,
            Some(disk) => {
                let (spooler, opening) = Spooler::start(&queue, disk, &ledger, wants.successor)?;
                Some(Spooled {
                    exporter: queue.exporter().to_owned(),
                    disk: Arc::clone(disk),
                    spooler: Some(spooler),
                    opening,
                    reader: None,
                    taken: Taken::default(),
                    payloads_max: wants.payloads_max,
                    label_parts: wants.label_parts,
                    lost: Amount::default(),
                    trouble: Trouble::new(queue.exporter(), &disk.plan.directory),
                })
            }
        };
        let (memory_calls, disk_calls) = match &spooled {
            None => (queue.receiver().clone(), never()),
            // Both threads of a queue that spills take from memory, in turn.
            Some(spooled) => (never(), spooled.disk.published.calls().clone()),
        };
        Ok(Outlet { queue, ledger, spooled, memory_calls, disk_calls })
    }

    /// The queue in memory.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Where batches of a queue in memory come; each must be given to
    /// [`arrived`](Self::arrived).
    pub fn memory_calls(&self) -> &Receiver<Batch> {
        &self.memory_calls
    }

    /// Where it is told that there may be a batch to [`take`](Self::take).
    pub fn disk_calls(&self) -> &Receiver<()> {
        &self.disk_calls
    }

    /// Whoever takes batches of a queue in memory may wait here for a moment instead of being
    /// woken for each of them: it is told when they have become many.
    pub fn many_calls(&self) -> Option<&Receiver<()>> {
        self.spooled.is_none().then(|| self.queue.filling())
    }

    /// Takes what came by [`memory_calls`](Self::memory_calls).
    pub fn arrived(&self, batch: Batch) -> Batch {
        self.queue.received(&batch);
        batch
    }

    /// The oldest batch, if there is any now.
    pub fn take(&mut self) -> Option<Batch> {
        let Outlet { queue, ledger, spooled, .. } = self;
        let Some(spooled) = spooled else {
            let batch = queue.receiver().try_recv().ok()?;
            queue.received(&batch);
            return Some(batch);
        };
        if spooled.reader.is_none() {
            spooled.reader = spooled.opening.try_recv().ok();
        }
        if spooled.disk.plan.usage == DiskUse::Durable {
            return spooled.read(ledger);
        }
        let disk = Arc::clone(&spooled.disk);
        let mut turn = disk.turn();
        // Before the spool is open nobody knows what waits there.
        spooled.reader.as_ref()?;
        if let Some(batch) = spooled.read(ledger).or_else(|| turn.held.take()) {
            return Some(batch);
        }
        let batch = queue.receiver().try_recv().ok()?;
        queue.received(&batch);
        Some(batch)
    }

    /// Whether nothing waits any more, wherever. Only what nobody pushes to stays so.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
            && self.spooled.as_ref().is_none_or(|spooled| {
                let waits =
                    spooled.reader.as_ref().is_none_or(|reader| reader.queued().payloads > 0);
                // A queue that is durable moves all before it has ended.
                let moves = spooled.disk.plan.usage == DiskUse::Durable
                    && spooled.spooler.as_ref().is_some_and(|spooler| !spooler.has_ended());
                !waits && !moves && spooled.disk.turn().held.is_none()
            })
    }

    /// Whether what is not delivered stays, for whoever opens the queue next.
    pub fn keeps_the_rest(&self) -> bool {
        self.spooled.is_some()
    }

    /// Nothing more will be pushed. What a durable queue has in memory goes to its spool.
    pub fn drain(&self) {
        if let Some(spooled) = &self.spooled
            && spooled.disk.plan.usage == DiskUse::Durable
            && let Some(spooler) = &spooled.spooler
        {
            spooler.drain();
        }
    }

    /// Says that those payloads of the batch are done for which `is_done` says so, by their places,
    /// and returns how many they are. If some of them were discarded meanwhile, because the disk was
    /// full, the ledger forgets that.
    pub fn done(&mut self, batch: &Batch, count: usize, is_done: impl Fn(usize) -> bool) -> u64 {
        let places = (0..count).filter(|&place| is_done(place));
        let source = self.spooled.as_mut().and_then(|spooled| {
            let identity = spooled.reader.as_ref()?.identity();
            (identity == batch.source()).then_some(spooled)
        });
        let Some(spooled) = source else { return places.count() as u64 };
        let mut count = 0;
        let mut run: Option<RangeInclusive<u64>> = None;
        for number in places.map(|place| batch.numbers()[place]) {
            run = match run {
                Some(run) if run.end() + 1 == number => Some(*run.start()..=number),
                Some(run) => {
                    count += spooled.acknowledge(run, &self.ledger);
                    Some(number..=number)
                }
                None => Some(number..=number),
            };
        }
        count + run.map_or(0, |run| spooled.acknowledge(run, &self.ledger))
    }

    /// Takes back a batch that the exporter could not deliver and leaves: to the spool, if it is not
    /// there. Without one it is lost.
    pub fn give_back(&mut self, batch: Batch) {
        if let Some(spooled) = &self.spooled {
            let is_there =
                spooled.reader.as_ref().is_some_and(|reader| reader.identity() == batch.source());
            if !is_there {
                spooled.disk.turn().given_back = Some(batch);
            }
        }
    }

    /// Moves what is still in memory to the spool, and closes it; not for longer than `patience`.
    pub fn close(mut self, patience: Duration) {
        if let Some(spooled) = &mut self.spooled {
            if let Some(spooler) = spooled.spooler.take() {
                spooler.finish(patience);
            }
            if let Some(reader) = &mut spooled.reader {
                let queued = reader.queued();
                spooled.disk.now_has(queued);
                if let Err(error) = reader.sync() {
                    spooled.trouble.last_word(&format_args!(
                        "can't sync what is delivered: {error}; after a power loss it may come again"
                    ));
                }
                if queued.payloads > 0 {
                    let (name, waiting) = (self.queue.exporter(), queued.payloads);
                    let directory = spooled.disk.plan.directory.display();
                    log::info!("exporter {name}: {waiting} payloads wait in {directory}");
                }
            }
        }
    }
}

impl Spooled {
    fn read(&mut self, ledger: &ExporterLedger) -> Option<Batch> {
        let reader = self.reader.as_mut()?;
        let result = reader.read(&mut self.taken, self.payloads_max, READ_BYTES);
        let lost = reader.lost();
        if lost != self.lost {
            ledger.dropped(DropReason::Damaged, lost.payloads - self.lost.payloads);
            self.lost = lost;
            self.disk.now_has(reader.queued());
        }
        let (findings, _) = reader.take_findings();
        let identity = reader.identity();
        for finding in findings {
            let directory = self.disk.plan.directory.display();
            log::warn!("exporter {}: spool {directory}: {finding}", self.exporter);
        }
        if let Err(error) = result {
            self.trouble.complain(&error);
        }
        if self.taken.is_empty() {
            return None;
        }
        let age = micros_now().saturating_sub(self.taken.read_at()[0]);
        let mut batch = self.taken.take_batch(identity, self.label_parts);
        let now = Instant::now();
        batch.begin(now.checked_sub(Duration::from_micros(age)).unwrap_or(now));
        Some(batch)
    }

    fn acknowledge(&mut self, run: RangeInclusive<u64>, ledger: &ExporterLedger) -> u64 {
        let Some(reader) = &mut self.reader else { return 0 };
        let (made, result) = reader.acknowledge(run);
        let queued = reader.queued();
        if let Err(error) = result {
            self.trouble.complain(&error);
        }
        self.disk.now_has(queued);
        self.disk.room.call();
        ledger.not_dropped(DropReason::QueueFull, made.late);
        made.payloads + made.late
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::Arc,
        time::{Duration, Instant},
    };

    use super::{Batch, Outlet, Queue, Wants};
    use crate::{
        queue::{Disk, DiskPlan, DiskUse, Pushed, QueueFull},
        telemetry::ledger::ExporterLedger,
    };

    fn batch(payload: &str) -> Batch {
        let mut batch = Batch::default();
        let Ok(()) = batch.append::<Infallible>(|bytes| {
            bytes.extend_from_slice(payload.as_bytes());
            Ok(())
        });
        batch
    }

    /// A queue on disk in a directory of its own, and its outlet, of so many payloads a batch.
    fn open(
        usage: DiskUse,
        bytes_max: usize,
        payloads_max: usize,
    ) -> (tempfile::TempDir, Arc<Queue>, Outlet) {
        let directory = tempfile::tempdir().unwrap();
        let plan = DiskPlan { directory: directory.path().join("spool"), max_size: 1 << 20, usage };
        let ledger = Arc::new(ExporterLedger::default());
        let queue = Queue::new("out", bytes_max, QueueFull::Block, Arc::clone(&ledger));
        let queue = Arc::new(queue.on_disk(Disk::new(plan)));
        let wants = Wants { label_parts: 0, payloads_max, successor: false };
        let outlet = Outlet::open(Arc::clone(&queue), ledger, wants).unwrap();
        // The spool is open.
        outlet.disk_calls().recv_timeout(Duration::from_secs(30)).unwrap();
        (directory, queue, outlet)
    }

    /// Whoever waits at the outlet is called for each batch, and they come in their order.
    fn check(usage: DiskUse, bytes_max: usize) {
        let (_directory, queue, mut outlet) = open(usage, bytes_max, 1);
        for round in 0..20 {
            for number in 0..round {
                let mut pushed = queue.push(batch(&format!("{round} {number}")));
                while let Pushed::Full(back) = pushed {
                    std::thread::yield_now();
                    pushed = queue.push(back);
                }
            }
            for number in 0..round {
                let taken = loop {
                    match outlet.take() {
                        Some(taken) => break taken,
                        None => outlet.disk_calls().recv_timeout(Duration::from_secs(30)).unwrap(),
                    }
                };
                assert_eq!(taken.bytes(), format!("{round} {number}").as_bytes());
                assert_eq!(outlet.done(&taken, 1, |_| true), 1);
            }
        }
        outlet.close(Duration::from_secs(30));
        assert_eq!(queue.disk().unwrap().figures().payloads, 0);
    }

    /// Of events that came long after each other, the later ones are younger: a limit of their age
    /// must not end them with the first.
    #[test]
    fn each_payload_from_the_disk_has_its_own_age() {
        let (_directory, queue, mut outlet) = open(DiskUse::Durable, 1 << 20, 10);
        let now = Instant::now();
        for (payload, age) in [("old", 30), ("young", 10), ("new", 0)] {
            let mut batch = batch(payload);
            batch.begin(now.checked_sub(Duration::from_secs(age)).unwrap_or(now));
            assert!(matches!(queue.push(batch), Pushed::Taken(_)));
        }
        let disk = queue.disk().unwrap();
        while disk.figures().payloads < 3 {
            std::thread::yield_now();
        }
        let mut batch = outlet.take().unwrap();
        let ages = |batch: &Batch, now: Instant| {
            let ages = (0..batch.len()).map(|at| batch.age_of(at, now).as_secs_f64());
            ages.collect::<Vec<f64>>()
        };
        let near = |found: Vec<f64>, expected: &[f64]| {
            let late = now.elapsed().as_secs_f64() + 1.0;
            let is_near = |(found, expected): (&f64, &f64)| (found - expected).abs() < late;
            assert_eq!(found.len(), expected.len());
            assert!(found.iter().zip(expected).all(is_near), "{found:?} {expected:?}");
        };
        near(ages(&batch, now), &[30.0, 10.0, 0.0]);
        let read_at = |batch: &Batch, at| batch.read_at_of(at, now) as f64 / 1e6;
        near(vec![read_at(&batch, 1) - read_at(&batch, 0)], &[20.0]);
        batch.retain(|at| at != 1);
        near(ages(&batch, now), &[30.0, 0.0]);
        outlet.close(Duration::from_secs(30));
    }

    #[test]
    fn a_queue_that_spills_keeps_the_order() {
        check(DiskUse::Spill, 1 << 20);
        check(DiskUse::Spill, 4096);
    }

    #[test]
    fn a_durable_queue_keeps_the_order() {
        check(DiskUse::Durable, 1 << 20);
        check(DiskUse::Durable, 4096);
    }
}
