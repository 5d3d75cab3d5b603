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

use super::{
    build::Pipeline,
    entrances::BuiltInput,
    handle::{Handle, Life, Stage},
    observer::{Observed, Observer},
    order::{Order, Orders, Signal},
    readers::Readers,
    reload::{CurrentExporter, Reread},
};
use crate::{
    config::{Config, MetricConfig},
    driver::{Control, ExporterThread},
    event::Symbols,
    inherited::{Inherited, systemd::State},
    input::{ListenerThread, Reader, WorkerThread},
    plugin::Registry,
    queue::Wake,
    statistics::Statistics,
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

/// Why a host ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// All inputs have reached their end.
    AllRead,
    /// It was told to stop.
    Stop,
    /// It was told to leave the field to a successor.
    Leave,
}

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
pub(super) struct Running {
    /// In the order of the lanes' stages.
    pub(super) exporters: Vec<RunningExporter>,
    /// Exporters that are no more in the configuration, until they have ended.
    pub(super) retiring: Vec<(Observed, ExporterThread)>,
    pub(super) workers: Vec<WorkerThread>,
    /// In the order of the configuration.
    pub(super) inputs: Vec<RunningInput>,
    /// Readers that are no more in the configuration.
    pub(super) ending: Vec<Reader>,
    pub(super) listener: Option<ListenerThread>,
    /// How many sockets were opened so far: the last one's number.
    pub(super) doors: u64,
    /// How a reader says that it has ended.
    pub(super) notice: Sender<()>,
    notices: Receiver<()>,
    /// An input that is no more in the configuration could not be read.
    pub(super) input_failed: bool,
    /// What runs, the added metrics included.
    pub(super) config: Config,
    pub(super) registry: Registry,
    pub(super) statistics: Statistics,
    pub(super) symbols: Arc<Symbols>,
    /// Metrics that were added while the host ran.
    pub(super) added: Vec<MetricConfig>,
    /// Whoever wants to know what runs.
    pub(super) observer: Observer,
    /// Sockets that others opened for us.
    pub(super) inherited: Inherited,
}

/// An exporter with its thread.
pub(super) struct RunningExporter {
    pub(super) current: CurrentExporter,
    pub(super) thread: ExporterThread,
}

/// An input with its way in.
pub(super) struct RunningInput {
    pub(super) built: BuiltInput,
    pub(super) door: Door,
}

/// An open way in.
pub(super) enum Door {
    /// A socket: its number with the listener, and its address.
    Socket(u64, String),
    /// A thread that reads.
    Reader(Reader),
}

/// Runs the host until it is told to stop, or until all its inputs have ended.
/// `ready` is called once every input is open, with what listens where; `reread` when
/// the host is told to reload. Sockets that are `inherited` are used where they are wanted.
///
/// # Errors
///
/// When an input or a listener can't be opened, or the system has no thread or
/// descriptor left.
pub fn run(
    mut pipeline: Pipeline,
    inherited: &Inherited,
    orders: &Orders,
    ready: impl FnOnce(&[String]),
    reread: &mut Reread<'_>,
) -> io::Result<Ended> {
    let life = Life::starting();
    let handle = Handle::new(pipeline.observer(), orders.clone(), life.clone());
    // First here and last gone: whoever reads the host sees it start and stop.
    let listeners = std::mem::take(&mut pipeline.listeners);
    let readers = Readers::start(listeners, inherited, &handle)?;
    let mut running = Running::start(pipeline, inherited)?;
    let mut addresses = running.addresses();
    addresses.extend_from_slice(readers.addresses());
    life.enter(Stage::Ready);
    // Others have had their chance: whatever was kept for us has been taken or is not wanted.
    inherited.forget_unused();
    ready(&addresses);
    inherited.announce(State::Ready, &running.status());
    let reason = running.wait(orders.receiver(), reread);
    life.enter(Stage::Stopping);
    // Those who opened them may need them for a successor of ours, before we have ended.
    readers.leave(reason == Reason::Leave);
    inherited.announce(State::Stopping, "delivers what it has accepted");
    if reason == Reason::Leave {
        running.leave(orders.receiver());
    }
    let told = (reason != Reason::AllRead).then(Instant::now);
    let patience = Patience { timeout: running.config.shutdown_timeout, told };
    Ok(running.stop(patience, orders.receiver()))
}

impl Running {
    fn start(pipeline: Pipeline, inherited: &Inherited) -> io::Result<Self> {
        let (notice, notices) = unbounded();
        let mut running = Running {
            exporters: Vec::new(),
            retiring: Vec::new(),
            workers: Vec::new(),
            inputs: Vec::new(),
            ending: Vec::new(),
            listener: None,
            doors: 0,
            notice,
            notices,
            input_failed: false,
            config: pipeline.config.clone(),
            registry: pipeline.registry.clone(),
            statistics: pipeline.lane.statistics.clone(),
            symbols: Arc::clone(&pipeline.lane.routes.symbols),
            added: Vec::new(),
            observer: pipeline.observer(),
            inherited: inherited.clone(),
        };
        running.take_over(pipeline)?;
        Ok(running)
    }

    /// The addresses of the inputs that have one, with their names.
    fn addresses(&self) -> Vec<String> {
        let address = |input: &RunningInput| match &input.door {
            Door::Socket(_, address) => {
                Some(format!("input {} on {address}", input.built.input.name))
            }
            Door::Reader(_) => None,
        };
        self.inputs.iter().filter_map(address).collect()
    }

    /// What runs, for people, in a line.
    pub(super) fn status(&self) -> String {
        let (inputs, exporters) = (self.inputs.len(), self.exporters.len());
        let metrics = self.config.metrics.len();
        format!("inputs: {inputs}, metrics: {metrics}, exporters: {exporters}")
    }

    /// What is to be woken when a queue has room.
    pub(super) fn wakes(&self) -> Vec<Wake> {
        let readers = self.readers().map(|reader| reader.wake().clone());
        self.workers.iter().map(|worker| worker.handle.wake().clone()).chain(readers).collect()
    }

    /// Whether every input has reached its end.
    fn has_ended(&self) -> bool {
        self.inputs.iter().all(|input| match &input.door {
            Door::Reader(reader) => reader.has_ended(),
            Door::Socket(..) => false,
        })
    }

    /// Waits until there is a reason to end.
    fn wait(&mut self, orders: &Receiver<Order>, reread: &mut Reread<'_>) -> Reason {
        while !self.has_ended() {
            select! {
                recv(orders) -> order => match order {
                    Ok(order) => {
                        if let Some(reason) = self.obey(order, reread) {
                            return reason;
                        }
                    }
                    Err(_) => return Reason::Stop,
                },
                // Some reader has ended.
                recv(self.notices) -> _ => {}
            }
        }
        Reason::AllRead
    }

    /// Does what the host is told; a reason when that is to end.
    fn obey(&mut self, order: Order, reread: &mut Reread<'_>) -> Option<Reason> {
        let outcome = match order.signal() {
            Signal::Stop | Signal::Leave => Ok(()),
            Signal::Reopen => {
                self.reopen();
                Ok(())
            }
            Signal::Reload => self.reload(reread),
            Signal::AddMetric(metric) => self.add_metric(metric),
            Signal::RemoveMetric(name) => self.remove_metric(name),
        };
        let reason = match order.signal() {
            Signal::Stop => Some(Reason::Stop),
            Signal::Leave => Some(Reason::Leave),
            _ => None,
        };
        order.done(outcome);
        reason
    }

    /// Each exporter opens anew before it takes its next batch.
    pub(super) fn reopen(&self) {
        self.tell_exporters(Control::Reopen);
    }

    fn tell_exporters(&self, control: Control) {
        self.exporter_threads().for_each(|exporter| exporter.tell(control));
    }

    pub(super) fn exporter_threads(&self) -> impl Iterator<Item = &ExporterThread> {
        let retiring = self.retiring.iter().map(|(_, thread)| thread);
        self.exporters.iter().map(|exporter| &exporter.thread).chain(retiring)
    }

    fn readers(&self) -> impl Iterator<Item = &Reader> {
        let readers = self.inputs.iter().filter_map(|input| match &input.door {
            Door::Reader(reader) => Some(reader),
            Door::Socket(..) => None,
        });
        readers.chain(&self.ending)
    }

    /// Stops everything, however long it takes until somebody tells the host to stop.
    fn stop(mut self, mut patience: Patience, orders: &Receiver<Order>) -> Ended {
        if let Some(listener) = self.listener.take() {
            listener.stop();
        }
        self.inherited.release();
        for worker in &self.workers {
            worker.handle.tell(crate::input::Command::Finish);
        }
        self.readers().for_each(Reader::finish);
        if patience.told.is_some() {
            // Now, not with `Finish`: a full queue that blocks would keep the readers
            // from ending for as long as its exporter pauses.
            self.tell_exporters(Control::Hurry);
        }
        let mut finishing = false;
        loop {
            let read = self.workers.iter().all(WorkerThread::is_finished)
                && self.readers().all(Reader::is_finished);
            if read && !finishing {
                finishing = true;
                self.tell_exporters(Control::Finish);
            }
            if finishing && self.exporter_threads().all(ExporterThread::is_finished) {
                return self.ended();
            }
            match orders.try_recv() {
                Ok(order) if *order.signal() == Signal::Reopen => {
                    self.reopen();
                    order.done(Ok(()));
                }
                Ok(order) if *order.signal() == Signal::Stop => {
                    order.done(Ok(()));
                    self.tell_exporters(Control::Hurry);
                    if patience.told(Instant::now()) {
                        return self.abandon("stopped by a second signal");
                    }
                }
                Ok(order) => order.done(Err(vec!["the host is stopping".into()])),
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
        self.readers().for_each(Reader::abandon);
        self.tell_exporters(Control::Abandon);
        let until = Instant::now() + ABANDON_PATIENCE;
        let ended = || {
            self.workers.iter().all(WorkerThread::is_finished)
                && self.readers().all(Reader::is_finished)
                && self.exporter_threads().all(ExporterThread::is_finished)
        };
        while Instant::now() < until && !ended() {
            thread::sleep(STOP_TICK);
        }
        self.ended()
    }

    /// The last word: whatever is queued now (in a batch that never got into a
    /// queue, with a driver that does not come back) is lost.
    fn ended(&self) -> Ended {
        self.exporter_threads().for_each(ExporterThread::settle);
        let shutdown = DropReason::Shutdown.name();
        let exporters = self.observer.figures().exporters;
        let lost = exporters
            .iter()
            .map(|exporter| exporter.counts.dropped.get(shutdown).copied().unwrap_or(0));
        let input_failed = self.input_failed || self.readers().any(Reader::has_failed);
        match lost.sum::<u64>() {
            0 if input_failed => Ended::InputFailed,
            0 => Ended::Clean,
            lost => Ended::Lost(lost),
        }
    }
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
