//! A host's life: start, run, stop.
//!
//! Start goes from the end of an event's path to its beginning, stop from the
//! beginning to the end: first nothing new comes in, then what has come in goes
//! into the queues, then the queues are delivered.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, select, unbounded};
use fantail_sdk::tab_escape;

use super::{
    build::{Entrance, Pipeline},
    handle::{Handle, Life, Stage},
    lane::Lane,
    order::{Order, Orders, Signal},
    readers::Readers,
};
use crate::{
    driver::{Control, ExporterThread},
    input::{InputKind, Listener, ListenerThread, Notice, Reader, WorkerThread},
    queue::{Queue, Wake},
    telemetry::ledger::DropReason,
};

/// How often a stopping host looks whether its threads have ended.
const STOP_TICK: Duration = Duration::from_millis(2);

/// How long exporters have to count what they give up, after `shutdown_timeout`.
const ABANDON_PATIENCE: Duration = Duration::from_millis(500);

/// For how long after the first a further signal to stop is taken for the same one:
/// timeout(1) sends its signal to the process and to its group, a terminal to every
/// process there, one of which may pass it on.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// How a host's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was accepted has been delivered, or was dropped while the
    /// host ran, as configured.
    Clean,
    /// This many payloads were still queued at the end and are lost; they are
    /// counted as dropped.
    Lost(u64),
    /// Nothing was lost, but an input could not be read, or not to its end.
    InputFailed,
}

/// How long a stop may take, and since when somebody waits for it.
struct Patience {
    timeout: Duration,
    /// When the host was first told to stop.
    told: Option<Instant>,
}

impl Patience {
    /// The host is told to stop. True when that is once more: nobody waits any longer.
    fn told(&mut self, now: Instant) -> bool {
        let first = *self.told.get_or_insert(now);
        now.duration_since(first) >= SAME_SIGNAL
    }

    /// Whether the stop has taken too long.
    fn is_over(&self, now: Instant) -> bool {
        self.told.is_some_and(|told| now.duration_since(told) >= self.timeout)
    }
}

/// The threads of a running host.
struct Running {
    exporters: Vec<ExporterThread>,
    workers: Vec<WorkerThread>,
    readers: Vec<Reader>,
    listener: Option<ListenerThread>,
    notices: Receiver<Notice>,
    /// An input could not be read.
    input_failed: bool,
    /// There are inputs that never end by themselves: the host runs until told.
    endless: bool,
}

/// Runs the host until it is told to stop, or until all its inputs have ended.
/// `ready` is called once every input is open, with what listens where.
///
/// # Errors
///
/// When an input or a listener can't be opened, or the system has no thread or
/// descriptor left.
pub fn run(
    mut pipeline: Pipeline,
    orders: &Orders,
    ready: impl FnOnce(&[String]),
) -> io::Result<Ended> {
    let shutdown_timeout = pipeline.shutdown_timeout;
    let life = Life::starting();
    let handle = Handle::new(pipeline.observer(), orders.clone(), life.clone());
    // First here and last gone: whoever reads the host sees it start and stop.
    let readers = Readers::start(std::mem::take(&mut pipeline.listeners), &handle)?;
    let (mut running, mut addresses) = Running::start(pipeline)?;
    addresses.extend_from_slice(readers.addresses());
    life.enter(Stage::Ready);
    ready(&addresses);
    let told = running.wait(orders.receiver()).then(Instant::now);
    life.enter(Stage::Stopping);
    Ok(running.stop(Patience { timeout: shutdown_timeout, told }, orders.receiver()))
}

impl Running {
    fn start(pipeline: Pipeline) -> io::Result<(Self, Vec<String>)> {
        // Sockets first: when one can't be had, nothing has begun yet.
        let greeting = greeting(&pipeline);
        let mut listeners = Vec::new();
        let mut sources = Vec::new();
        let mut addresses = Vec::new();
        for (input, entrance) in pipeline.inputs {
            match entrance {
                Entrance::Listen(endpoint) => {
                    let socket = endpoint.open().map_err(|error| {
                        io::Error::new(error.kind(), format!("input {}: {error}", input.name))
                    })?;
                    addresses.push(format!("input {} on {}", input.name, socket.address()));
                    let greets = input.kind == InputKind::StatsWriter;
                    let greeting = if greets { Arc::clone(&greeting) } else { Arc::default() };
                    listeners.push(Listener { socket, input, greeting });
                }
                Entrance::Read(source) => sources.push((input, source)),
            }
        }
        let queues: Vec<Arc<Queue>> =
            pipeline.exporters.iter().map(|exporter| Arc::clone(&exporter.queue)).collect();
        let wake_on_room =
            |wake: &Wake| queues.iter().for_each(|queue| queue.on_room(wake.clone()));
        let open_lane = || {
            Lane::open(&pipeline.lane).map_err(|(exporter, reason)| {
                io::Error::other(format!("exporter {exporter}: {reason}"))
            })
        };

        let mut exporters = Vec::new();
        for exporter in pipeline.exporters {
            let driver = exporter.source.open().map_err(io::Error::other)?;
            exporters.push(ExporterThread::start(exporter, driver)?);
        }
        let mut workers = Vec::new();
        let worker_count = if listeners.is_empty() { 0 } else { pipeline.workers };
        for number in 0..worker_count {
            let worker = WorkerThread::start(number, open_lane()?)?;
            wake_on_room(worker.handle.wake());
            workers.push(worker);
        }
        let endless = !listeners.is_empty();
        let listener = match listeners.is_empty() {
            true => None,
            false => {
                let handles = workers.iter().map(|worker| worker.handle.clone()).collect();
                Some(ListenerThread::start(listeners, handles)?)
            }
        };
        let (notice, notices): (Sender<Notice>, _) = unbounded();
        let mut readers = Vec::new();
        for (input, source) in sources {
            let reader = Reader::start(input, source, open_lane()?, notice.clone())?;
            wake_on_room(reader.wake());
            readers.push(reader);
        }
        let running = Running {
            exporters,
            workers,
            readers,
            listener,
            notices,
            input_failed: false,
            endless,
        };
        Ok((running, addresses))
    }

    /// Waits until the host is told to stop (true), or all inputs have ended (false).
    fn wait(&mut self, orders: &Receiver<Order>) -> bool {
        let mut left = self.readers.len();
        loop {
            if left == 0 && !self.endless {
                return false;
            }
            select! {
                recv(orders) -> order => match order {
                    Ok(order) if order.signal() == Signal::Reopen => self.reopen(order),
                    Ok(order) => {
                        order.done(Ok(()));
                        return true;
                    }
                    Err(_) => return true,
                },
                recv(self.notices) -> notice => match notice {
                    Ok(notice) => {
                        left -= 1;
                        self.input_failed |= notice == Notice::Failed;
                    }
                    // Every reader has ended and none will say so again.
                    Err(_) => {
                        left = 0;
                        self.notices = crossbeam_channel::never();
                    }
                },
            }
        }
    }

    /// Each exporter opens anew before it takes its next batch.
    fn reopen(&self, order: Order) {
        self.tell_exporters(Control::Reopen);
        order.done(Ok(()));
    }

    fn tell_exporters(&self, control: Control) {
        self.exporters.iter().for_each(|exporter| exporter.tell(control));
    }

    /// Stops everything, however long it takes until somebody tells the host to stop.
    fn stop(mut self, mut patience: Patience, orders: &Receiver<Order>) -> Ended {
        if let Some(listener) = self.listener.take() {
            listener.stop();
        }
        for worker in &self.workers {
            worker.handle.tell(crate::input::Command::Finish);
        }
        self.readers.iter().for_each(Reader::finish);
        if patience.told.is_some() {
            // Now, not with `Finish`: a full queue that blocks would keep the readers
            // from ending for as long as its exporter pauses.
            self.tell_exporters(Control::Hurry);
        }
        let mut finishing = false;
        loop {
            let read = self.workers.iter().all(WorkerThread::is_finished)
                && self.readers.iter().all(Reader::is_finished);
            if read && !finishing {
                finishing = true;
                self.tell_exporters(Control::Finish);
            }
            if finishing && self.exporters.iter().all(ExporterThread::is_finished) {
                return self.ended();
            }
            match orders.try_recv() {
                Ok(order) if order.signal() == Signal::Reopen => self.reopen(order),
                Ok(order) => {
                    order.done(Ok(()));
                    self.tell_exporters(Control::Hurry);
                    if patience.told(Instant::now()) {
                        return self.abandon("stopped by a second signal");
                    }
                }
                Err(_) => {}
            }
            if patience.is_over(Instant::now()) {
                return self.abandon("shutdown_timeout has passed");
            }
            thread::sleep(STOP_TICK);
        }
    }

    /// Time is over, for this reason: what is still here is counted as dropped.
    fn abandon(&self, why: &str) -> Ended {
        log::warn!("{why}: giving up what is still queued");
        // Those who read as well: what they still took would be in no exporter's count.
        for worker in &self.workers {
            worker.handle.tell(crate::input::Command::Abandon);
        }
        self.readers.iter().for_each(Reader::abandon);
        self.tell_exporters(Control::Abandon);
        let until = Instant::now() + ABANDON_PATIENCE;
        let ended = || {
            self.workers.iter().all(WorkerThread::is_finished)
                && self.readers.iter().all(Reader::is_finished)
                && self.exporters.iter().all(ExporterThread::is_finished)
        };
        while Instant::now() < until && !ended() {
            thread::sleep(STOP_TICK);
        }
        self.ended()
    }

    /// The last word: whatever is queued now (in a batch that never got into a
    /// queue, with a driver that does not come back) is lost.
    fn ended(&self) -> Ended {
        let shutdown = DropReason::Shutdown.name();
        let lost = self.exporters.iter().map(|exporter| {
            exporter.ledger.settle();
            exporter.ledger.figures().dropped.get(shutdown).copied().unwrap_or(0)
        });
        match lost.sum() {
            0 if self.input_failed => Ended::InputFailed,
            0 => Ended::Clean,
            lost => Ended::Lost(lost),
        }
    }
}

/// What a stats-writer connection is told first: our version, and which events
/// are wanted. Nothing is waited for: a Dovecot process stands still until it
/// has the filter.
fn greeting(pipeline: &Pipeline) -> Arc<[u8]> {
    let filter = pipeline.lane.routes.filters.canonical();
    let mut greeting = b"VERSION\tstats-server\t4\t0\nFILTER\t".to_vec();
    tab_escape::escape_into(filter.as_bytes(), &mut greeting);
    greeting.push(b'\n');
    greeting.into()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Patience;

    #[test]
    fn a_repeated_signal_is_a_second_one_after_a_second() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut patience = Patience { timeout: Duration::from_secs(10), told: None };
        assert!(!patience.is_over(at(100_000)));
        for (millis, again) in [(0, false), (0, false), (999, false), (1000, true), (5000, true)] {
            assert_eq!(patience.told(at(millis)), again, "after {millis} ms");
        }
        assert!(!patience.is_over(at(9_999)));
        assert!(patience.is_over(at(10_000)));
    }
}
