//! The thread that moves a queue's batches from memory to the spool.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::{
    Batch, Queue, QueueFull,
    disk::{Disk, DiskUse},
    trouble::{self, Trouble},
};
use crate::{
    spool::{
        self, Directory, ErrorKind, Opened, Options, Payload, Reader, Stop, Storage, UNSYNCED_MAX,
        Writer,
    },
    telemetry::{
        ledger::{DropReason, ExporterLedger},
        log::RateLimit,
    },
};

/// How long it waits for room in the spool before it tries again without being called.
const TICK: Duration = Duration::from_millis(100);

/// How long it waits for something to do. It is called for everything; this is for calls that a bug
/// would lose.
const IDLE_TICK: Duration = Duration::from_secs(10);

/// How often it tries to open a spool that the exporter's predecessor is about to leave.
const SUCCESSION_TICK: Duration = Duration::from_millis(20);

/// What is synced together at most, in bytes of payloads.
const GROUP_BYTES: usize = 4 << 20;

/// The bytes that a queue on disk takes in memory besides what waits there, at most: the group
/// that is being written, what of it is not synced yet, and, within another MiB, the records'
/// headers and the reader's window.
pub const DISK_MEMORY_MAX: usize = GROUP_BYTES + UNSYNCED_MAX + (1 << 20);

/// The pause after the disk has failed.
const FAILURE_PAUSE: Duration = Duration::from_millis(500);

/// A running spooler.
#[derive(Debug)]
pub struct Spooler {
    handle: thread::JoinHandle<()>,
    disk: Arc<Disk>,
}

/// The reading half of a spool that has been opened.
pub type Opening = Receiver<Reader<Directory>>;

impl Spooler {
    /// Opens the spool of `queue` and starts the thread; the reading half comes when it is there: at
    /// once, unless the exporter is a `successor`, whose predecessor has the spool open still.
    ///
    /// # Errors
    ///
    /// When the spool can't be opened, or there is no thread.
    pub fn start(
        queue: &Arc<Queue>,
        disk: &Arc<Disk>,
        ledger: &Arc<ExporterLedger>,
        successor: bool,
    ) -> io::Result<(Self, Opening)> {
        let (sender, opening) = bounded(1);
        let opened = match open(disk) {
            Ok(opened) => Some(opened),
            Err(error) if successor && error.kind() == ErrorKind::InUse => None,
            Err(error) => {
                return Err(io::Error::other(format!("exporter {}: {error}", queue.exporter())));
            }
        };
        let (queue, disk) = (Arc::clone(queue), Arc::clone(disk));
        let (ledger, shared) = (Arc::clone(ledger), Arc::clone(&disk));
        let exporter = queue.exporter().to_owned();
        let name = format!("spool {exporter}");
        let run = move || {
            let Some(opened) = opened.or_else(|| succeed(&exporter, &shared)) else { return };
            // What a predecessor of this process left is in the ledger already.
            let recovered = if successor { 0 } else { opened.queued.payloads };
            let writer = take_over(&exporter, opened, recovered, &shared, &ledger, &sender);
            let trouble = Trouble::new(&exporter, &shared.plan.directory);
            Spooling { queue, disk: shared, ledger, writer, trouble }.run();
        };
        let handle = thread::Builder::new().name(name).spawn(run)?;
        Ok((Spooler { handle, disk }, opening))
    }

    /// Has everything that is in memory moved to the spool, and waits for that; then the spool is
    /// closed. Not for longer than `patience`, if the spool has no room.
    pub fn finish(self, patience: Duration) {
        self.disk.drain();
        let until = Instant::now() + patience;
        while !self.handle.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        self.disk.give_up();
        // A panic has been told of by its hook.
        let _ = self.handle.join();
    }

    /// Has it move everything to the spool, and end, without waiting.
    pub fn drain(&self) {
        self.disk.drain();
    }

    /// Whether everything is in the spool that will ever be.
    pub fn has_ended(&self) -> bool {
        self.handle.is_finished()
    }
}

fn open(disk: &Disk) -> Result<Opened<Directory>, spool::Error> {
    spool::open_below(&disk.plan.directory, Options { max_size: disk.plan.max_size })
}

/// Opens the spool as soon as whoever has it leaves it.
fn succeed(exporter: &str, disk: &Disk) -> Option<Opened<Directory>> {
    let trouble = RateLimit::new(trouble::INTERVAL);
    while !disk.gives_up() {
        match open(disk) {
            Ok(opened) => return Some(opened),
            Err(error) if error.kind() == ErrorKind::InUse => {}
            Err(error) => {
                if trouble.pass(Instant::now()).is_some() {
                    log::error!("exporter {exporter}: {error}; will try again");
                }
                thread::sleep(FAILURE_PAUSE);
            }
        }
        thread::sleep(SUCCESSION_TICK);
    }
    None
}

/// Says what was found, and hands over the reading half.
fn take_over(
    exporter: &str,
    opened: Opened<Directory>,
    recovered: u64,
    disk: &Disk,
    ledger: &ExporterLedger,
    sender: &Sender<Reader<Directory>>,
) -> Writer<Directory> {
    for finding in &opened.findings {
        log::warn!("exporter {exporter}: spool {}: {finding}", disk.plan.directory.display());
    }
    if recovered > 0 {
        log::info!(
            "exporter {exporter}: {recovered} payloads wait in the spool {} since an earlier run",
            disk.plan.directory.display()
        );
        ledger.recovered(recovered);
    }
    disk.now_has(opened.queued);
    // Whoever waits for it is there for as long as this thread.
    let _ = sender.send(opened.reader);
    disk.published.call();
    opened.writer
}

struct Spooling<S: Storage> {
    queue: Arc<Queue>,
    disk: Arc<Disk>,
    ledger: Arc<ExporterLedger>,
    writer: Writer<S>,
    trouble: Trouble,
}

/// A batch, and how many of its payloads are in the spool, or dropped as configured.
struct Moving {
    batch: Batch,
    done: usize,
}

impl<S: Storage> Spooling<S> {
    fn run(mut self) {
        match self.disk.plan.usage {
            DiskUse::Durable => self.run_durable(),
            DiskUse::Spill => self.run_spill(),
        }
        let given_back = self.disk.turn().given_back.take();
        if let Some(batch) = given_back {
            self.append_all(&mut [Moving { batch, done: 0 }]);
        }
        if let Err(error) = self.sync() {
            self.trouble.last_word(&format_args!(
                "can't sync: {error}; what came last is lost unless the disk has it all the same"
            ));
        }
    }

    /// Moves everything, in groups that are synced together.
    fn run_durable(&mut self) {
        let queue = Arc::clone(&self.queue);
        loop {
            let first = select! {
                recv(queue.receiver()) -> batch => batch.ok(),
                recv(self.disk.pressure.calls()) -> _ => None,
                default(IDLE_TICK) => None,
            };
            let Some(first) = first else {
                if self.disk.drains() && (self.disk.gives_up() || queue.is_empty()) {
                    return;
                }
                continue;
            };
            let mut group = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(batch) = next {
                queue.received(&batch);
                bytes += batch.content_len();
                group.push(Moving { batch, done: 0 });
                next = if bytes < GROUP_BYTES { queue.receiver().try_recv().ok() } else { None };
            }
            self.append_all(&mut group);
            let is_safe = self.sync().is_ok();
            for Moving { mut batch, done } in group {
                // What the spool had no room for until the end, or could not sync, is lost, and its
                // sender told so.
                if is_safe && done == batch.len() {
                    batch.fulfil();
                }
                queue.recycle(batch);
            }
        }
    }

    /// Moves the oldest when the memory is nearly full, and everything at the end.
    fn run_spill(&mut self) {
        let (mut room, mut wanted) = (true, 0);
        let bytes_max = self.queue.bytes_max();
        loop {
            if room {
                self.disk.pressure.wait(IDLE_TICK);
                wanted = 0;
            }
            let drains = self.disk.drains();
            // A batch may need more than the half that is free then.
            wanted = self.disk.take_wanted().max(wanted);
            let left = if drains { 0 } else { bytes_max.saturating_sub(wanted).min(bytes_max / 2) };
            room = self.spill(left);
            if drains && (self.disk.gives_up() || room && self.queue.is_empty()) {
                return;
            }
            if !room {
                self.disk.room.wait(TICK);
            }
        }
    }

    /// Moves batches until no more than `bytes_max` bytes are in memory; false if there is no
    /// room for them.
    fn spill(&mut self, bytes_max: usize) -> bool {
        let disk = Arc::clone(&self.disk);
        loop {
            let mut turn = disk.turn();
            if turn.held.is_none() {
                if self.queue.bytes() <= bytes_max {
                    return true;
                }
                let Ok(batch) = self.queue.receiver().try_recv() else { return true };
                self.queue.received(&batch);
                turn.held = Some(batch);
            }
            let Some(batch) = turn.held.take() else { return true };
            let mut moving = Moving { batch, done: 0 };
            let room = self.append(&mut moving);
            self.publish();
            let Moving { mut batch, done } = moving;
            if !room {
                batch.retain(|at| at >= done);
                turn.held = Some(batch);
                return false;
            }
            self.queue.recycle(batch);
        }
    }

    /// Appends whole batches, however long they have to wait for room.
    fn append_all(&mut self, group: &mut [Moving]) {
        for moving in group {
            while !self.append(moving) {
                // What is in can be delivered, which makes room. Who gives up hears of a failure later.
                let _ = self.sync();
                if self.disk.gives_up() {
                    return;
                }
                self.disk.room.wait(TICK);
            }
        }
    }

    /// Appends what is left of a batch; false if there is no room for all of it, and it is to
    /// wait.
    fn append(&mut self, moving: &mut Moving) -> bool {
        let Moving { batch, done } = moving;
        let read_at = batch.read_at(Instant::now());
        loop {
            let appended = self.writer.append(Payload::of(batch, read_at).skip(*done));
            *done += (appended.sequences.end - appended.sequences.start) as usize;
            self.disk.is_now_full(appended.stop.is_some());
            let Some(stop) = appended.stop else { return true };
            if let Stop::TooLarge = stop {
                self.ledger.dropped(DropReason::TooLarge, 1);
                self.trouble.complain(&"a payload is larger than the spool can take: dropped");
                *done += 1;
                continue;
            }
            if let Stop::Failed(error) = &stop {
                self.trouble.complain(error);
            } else if self.make_room() {
                continue;
            }
            // What a queue that spills holds is older than what is in memory: that is dropped
            // when it is full, too.
            let drops = match self.disk.plan.usage {
                DiskUse::Durable => self.queue.when_full() != QueueFull::Block,
                DiskUse::Spill => self.queue.when_full() == QueueFull::DropOldest,
            };
            if !drops {
                if let Stop::Failed(_) = stop {
                    thread::sleep(FAILURE_PAUSE);
                }
                return false;
            }
            let left = batch.len() - *done;
            self.ledger.dropped(DropReason::QueueFull, left as u64);
            self.trouble.complain(&format_args!("dropped {left} payloads: there is no room"));
            *done = batch.len();
            return true;
        }
    }

    /// Discards the oldest payloads, if that is what the configuration says, and there are any.
    fn make_room(&mut self) -> bool {
        if self.queue.when_full() != QueueFull::DropOldest {
            return false;
        }
        match self.writer.discard_oldest() {
            Ok(discarded) => {
                self.ledger.dropped(DropReason::QueueFull, discarded.payloads);
                self.disk.now_has(self.writer.queued());
                discarded.payloads > 0
            }
            Err(error) => {
                self.trouble.complain(&error);
                false
            }
        }
    }

    /// Lets the exporter have what was appended.
    fn publish(&mut self) {
        self.writer.publish();
        self.disk.now_has(self.writer.queued());
        self.disk.published.call();
    }

    /// Brings what was appended onto the disk, however often that has to be tried.
    ///
    /// # Errors
    ///
    /// The last one, if it was given up.
    fn sync(&mut self) -> io::Result<()> {
        while let Err(error) = self.writer.sync() {
            if self.disk.gives_up() {
                return Err(error);
            }
            self.trouble.complain(&format_args!("can't sync: {error}; trying again"));
            thread::sleep(FAILURE_PAUSE);
        }
        self.disk.now_has(self.writer.queued());
        self.disk.published.call();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::{
        super::{DiskPlan, Promise, Pushed, Standing, Wake},
        *,
    };
    use crate::spool::simulated::{Faults, Simulated};

    /// Nobody is told that a batch is safe before a disk that fails to sync has said so.
    #[test]
    fn only_what_is_synced_is_promised() {
        let check = |failing_syncs: u64, expected: Standing| {
            let storage = Simulated::new();
            let options = Options { max_size: 1 << 20 };
            let mut opened = spool::open_in(storage.clone(), options).unwrap();
            // The segment is there already, so that a payload can be appended.
            let payload = Payload { bytes: b"first", label: b"", read_at: 0 };
            assert!(opened.writer.append([payload]).stop.is_none());
            opened.writer.sync().unwrap();
            storage.set_faults(Faults { failing_syncs, ..Faults::default() });
            let (directory, usage) = ("spool".into(), DiskUse::Durable);
            let disk = Disk::new(DiskPlan { directory, max_size: 1 << 20, usage });
            let ledger = Arc::new(ExporterLedger::default());
            let queue = Queue::new("out", 1 << 20, QueueFull::Block, Arc::clone(&ledger));
            let queue = Arc::new(queue.on_disk(Arc::clone(&disk)));
            let promise = Promise::new(Wake::new().unwrap());
            let mut batch = Batch::default();
            let written = batch.append(|bytes| {
                bytes.extend_from_slice(b"payload");
                Ok::<(), ()>(())
            });
            written.unwrap();
            batch.promise(&promise);
            assert!(matches!(queue.push(batch), Pushed::Taken(_)));
            let spooling = Spooling {
                queue: Arc::clone(&queue),
                disk: Arc::clone(&disk),
                ledger,
                writer: opened.writer,
                trouble: Trouble::new("out", "spool".as_ref()),
            };
            let thread = thread::spawn(move || spooling.run());
            while !queue.is_empty() {
                thread::yield_now();
            }
            disk.give_up();
            thread.join().unwrap();
            assert_eq!(promise.standing(), expected, "{failing_syncs} failing syncs");
        };
        check(0, Standing::Kept);
        check(u64::MAX, Standing::Broken);
    }
}
