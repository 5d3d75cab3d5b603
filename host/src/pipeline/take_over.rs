//! A running host takes over another configuration.
//!
//! Everything new is made and opened beside what runs, and whatever can fail is
//! done then: an error leaves the host as it was. Then the threads are told, and each
//! takes over between two events. What has not changed goes on as it is: exporters
//! with their queues, sockets with their connections, readers in the middle of a
//! file. An exporter that has changed or is no more delivers what it has, as it
//! was configured, while its successor begins.

use std::{io, sync::Arc};

use super::{
    build::Pipeline,
    entrances::{BuiltInput, Entrance},
    lane::{Lane, LanePlan, LaneUpdate},
    observer::{Observed, Watched},
    reload::CurrentExporter,
    run::{Door, Running, RunningExporter, RunningInput},
};
use crate::{
    driver::{Burial, Control, Exporter, ExporterThread},
    format::StagePlan,
    input::{Command, Greeting, Input, Listener, ListenerThread, Reader, WorkerThread},
    queue::Wake,
    socket::{Endpoint, Socket},
};

/// How each thing of a new configuration comes about.
enum Origin<New> {
    /// It is the one at this place, unchanged.
    Kept(usize),
    /// It is new, and open already.
    New(New),
}

/// What an input will be entered by.
enum Opening {
    /// A new socket.
    Socket(Socket),
    /// The socket of the input at this place, which ends.
    Inherited(usize),
    /// A reader that has not begun.
    Reader(Reader),
}

/// Everything that is needed to take over, made and opened.
struct Prepared {
    inputs: Vec<(BuiltInput, Origin<Opening>)>,
    exporters: Vec<(CurrentExporter, Origin<ExporterThread>)>,
    /// For the workers that there are, in their order.
    workers: Vec<LaneUpdate>,
    /// For the inputs that have a reader, by their places.
    readers: Vec<(usize, LaneUpdate)>,
    /// Workers that have begun, with what is theirs to adopt.
    new_workers: Vec<(WorkerThread, LaneUpdate)>,
    /// The thread that listens, when it is the first time that there is a socket.
    listener: Option<ListenerThread>,
    greeting: Greeting,
}

/// What has changed, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Inputs that were opened.
    inputs_opened: usize,
    /// Inputs that were closed.
    inputs_closed: usize,
    /// Exporters that began.
    exporters_begun: usize,
    /// Exporters that end when they have delivered what they have.
    exporters_retired: usize,
    /// Metrics now.
    metrics: usize,
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Changes { inputs_opened, inputs_closed, exporters_begun, exporters_retired, metrics } =
            self;
        write!(
            f,
            "metrics: {metrics}; inputs: {inputs_opened} opened, {inputs_closed} closed; \
             exporters: {exporters_begun} begun, {exporters_retired} retired"
        )
    }
}

impl Running {
    /// Takes over `pipeline`, which was built beside what runs.
    ///
    /// # Errors
    ///
    /// When something can't be opened or started; then nothing has changed.
    pub(super) fn take_over(&mut self, pipeline: Pipeline) -> io::Result<Changes> {
        self.retiring.retain(|(_, exporter)| !exporter.is_finished());
        self.input_failed |= self.ending.iter().any(Reader::has_failed);
        self.ending.retain(|reader| !reader.is_finished());
        let (config, registry) = (pipeline.config.clone(), pipeline.registry.clone());
        let LanePlan { routes, statistics, .. } = pipeline.lane.clone();
        let prepared = self.prepare(pipeline)?;
        let changes = self.commit(prepared, config.metrics.len());
        (self.config, self.registry) = (config, registry);
        self.statistics = statistics.clone();
        self.symbols = Arc::clone(&routes.symbols);
        self.observer.watch(Watched {
            inputs: self.inputs.iter().map(|input| Arc::clone(&input.built.input)).collect(),
            routes,
            statistics,
            exporters: self.observed(),
        });
        Ok(changes)
    }

    /// The exporters, those included that are no more in the configuration; one
    /// that has changed is shown once.
    fn observed(&self) -> Vec<Observed> {
        let running = self.exporters.iter().map(|one| Observed::new(&one.current.stage));
        let mut observed: Vec<Observed> = running.collect();
        for (retiring, _) in &self.retiring {
            if !observed.iter().any(|one| one.is_same(retiring)) {
                observed.push(retiring.clone());
            }
        }
        observed
    }

    /// Makes and opens everything; what began is ended again when something fails.
    fn prepare(&self, pipeline: Pipeline) -> io::Result<Prepared> {
        let Pipeline { inputs, exporters, lane: plan, workers, .. } = pipeline;
        let places = exporters.iter().map(|built| self.place_of_exporter(&built.stage));
        let places: Vec<Option<usize>> = places.collect();
        let nowhere = vec![None; places.len()];
        let update =
            |places: &[Option<usize>]| LaneUpdate::open(&plan, places).map_err(format_error);

        let mut prepared = Prepared {
            inputs: self.open_inputs(inputs, &plan)?,
            exporters: Vec::new(),
            workers: Vec::new(),
            readers: Vec::new(),
            new_workers: Vec::new(),
            listener: None,
            greeting: Greeting::new(&plan.routes.filters),
        };
        for _ in &self.workers {
            prepared.workers.push(update(&places)?);
        }
        for (place, input) in self.inputs.iter().enumerate() {
            if matches!(input.door, Door::Reader(_)) {
                prepared.readers.push((place, update(&places)?));
            }
        }
        if self.workers.is_empty() && prepared.listens() {
            for number in 0..workers {
                let update = update(&nowhere)?;
                prepared.new_workers.push((WorkerThread::start(number)?, update));
            }
            let workers = prepared.new_workers.iter();
            let handles = workers.map(|(worker, _)| worker.handle.clone()).collect();
            prepared.listener = Some(ListenerThread::start(handles)?);
        }
        for (built, place) in exporters.into_iter().zip(places) {
            let origin = match (built.exporter, place) {
                (_, Some(place)) => Origin::Kept(place),
                (Some(exporter), None) => Origin::New(start_exporter(exporter)?),
                (None, None) => unreachable!("invariant: an exporter that is kept runs"),
            };
            let current = CurrentExporter { identity: built.identity, stage: built.stage };
            prepared.exporters.push((current, origin));
        }
        Ok(prepared)
    }

    fn open_inputs(
        &self,
        inputs: Vec<BuiltInput>,
        plan: &LanePlan,
    ) -> io::Result<Vec<(BuiltInput, Origin<Opening>)>> {
        let kept = |place: &usize| {
            let running = &self.inputs[*place].built.input;
            inputs.iter().any(|built| Arc::ptr_eq(&built.input, running))
        };
        let mut ending: Vec<usize> = (0..self.inputs.len()).filter(|place| !kept(place)).collect();
        let mut opened = Vec::new();
        for built in inputs {
            let origin = match (self.place_of_input(&built), &built.entrance) {
                (Some(place), _) => Origin::Kept(place),
                (None, Entrance::Listen(endpoint)) => {
                    Origin::New(self.open_socket(&built, endpoint, &mut ending)?)
                }
                (None, Entrance::Read(source)) => {
                    let lane = Lane::open(plan).map_err(format_error)?;
                    let (input, source) = (Arc::clone(&built.input), source.clone());
                    let reader = Reader::start(input, source, lane, self.notice.clone())?;
                    Origin::New(Opening::Reader(reader))
                }
            };
            opened.push((built, origin));
        }
        Ok(opened)
    }

    fn place_of_exporter(&self, stage: &StagePlan) -> Option<usize> {
        let same = |one: &RunningExporter| {
            Arc::ptr_eq(one.current.stage.queue.queue(), stage.queue.queue())
        };
        self.exporters.iter().position(same)
    }

    fn place_of_input(&self, built: &BuiltInput) -> Option<usize> {
        self.inputs.iter().position(|one| Arc::ptr_eq(&one.built.input, &built.input))
    }

    /// Opens a socket, unless it is open already for an input that ends: then its
    /// connections-to-be are not turned away for a moment.
    fn open_socket(
        &self,
        built: &BuiltInput,
        endpoint: &Endpoint,
        ending: &mut Vec<usize>,
    ) -> io::Result<Opening> {
        let inherits = |&place: &usize| match &self.inputs[place].built.entrance {
            Entrance::Listen(old) => old.is_same_place(endpoint),
            Entrance::Read(_) => false,
        };
        let named = |error: io::Error| {
            let name = &built.input.name;
            io::Error::new(error.kind(), format!("input {name}: {error}"))
        };
        match ending.iter().position(inherits) {
            Some(at) => {
                let place = ending.swap_remove(at);
                self.inherited.apply_rights(endpoint).map_err(named)?;
                Ok(Opening::Inherited(place))
            }
            None => Ok(Opening::Socket(self.inherited.open(endpoint).map_err(named)?)),
        }
    }

    /// Tells everybody; nothing here can fail any more.
    fn commit(&mut self, mut prepared: Prepared, metrics: usize) -> Changes {
        let mut changes = Changes { metrics, ..Changes::default() };
        let exporters = std::mem::take(&mut prepared.exporters);
        let retired = self.commit_exporters(exporters, &prepared.new_workers, &mut changes);

        // The workers there are first: the new ones' places would not fit them.
        let reload = |worker: &WorkerThread, update| {
            worker.handle.tell(Command::Reload(Box::new(update), prepared.greeting.clone()));
        };
        let updates = std::mem::take(&mut prepared.workers);
        self.workers.iter().zip(updates).for_each(|(worker, update)| reload(worker, update));
        let new_workers = std::mem::take(&mut prepared.new_workers);
        for (worker, update) in new_workers {
            reload(&worker, update);
            self.workers.push(worker);
        }
        if let Some(listener) = prepared.listener.take() {
            self.listener = Some(listener);
        }
        for (place, update) in std::mem::take(&mut prepared.readers) {
            if let Door::Reader(reader) = &self.inputs[place].door {
                reader.reload(update);
            }
        }
        for exporter in retired {
            exporter.thread.tell(Control::Retire);
            // Its stage's plan goes here, and with it our right to its queue.
            self.retiring.push((Observed::new(&exporter.current.stage), exporter.thread));
        }
        self.commit_inputs(std::mem::take(&mut prepared.inputs), &mut changes);
        changes
    }

    /// Puts the exporters in their new places; returns those that are no more.
    fn commit_exporters(
        &mut self,
        exporters: Vec<(CurrentExporter, Origin<ExporterThread>)>,
        new_workers: &[(WorkerThread, LaneUpdate)],
        changes: &mut Changes,
    ) -> Vec<RunningExporter> {
        let new_wakes = new_workers.iter().map(|(worker, _)| worker.handle.wake().clone());
        let new_wakes: Vec<Wake> = new_wakes.collect();
        let old_wakes = self.wakes();
        let mut old: Vec<_> = self.exporters.drain(..).map(Some).collect();
        for (current, origin) in exporters {
            // Before any lane can wait for room in its queue.
            let queue = current.stage.queue.queue();
            new_wakes.iter().for_each(|wake| queue.on_room(wake.clone()));
            let thread = match origin {
                Origin::Kept(place) => {
                    let kept = old[place].take();
                    kept.expect("invariant: an exporter is kept in one place").thread
                }
                Origin::New(thread) => {
                    changes.exporters_begun += 1;
                    old_wakes.iter().for_each(|wake| queue.on_room(wake.clone()));
                    thread
                }
            };
            self.exporters.push(RunningExporter { current, thread });
        }
        let retired: Vec<_> = old.into_iter().flatten().collect();
        changes.exporters_retired = retired.len();
        retired
    }

    /// Opens and closes the doors.
    fn commit_inputs(&mut self, inputs: Vec<(BuiltInput, Origin<Opening>)>, changes: &mut Changes) {
        let mut old: Vec<_> = self.inputs.drain(..).map(Some).collect();
        let mut opened = Vec::new();
        for (built, origin) in inputs {
            if let (Some(plan), Origin::New(_)) = (&built.input.http, &origin) {
                plan.take_effect();
            }
            let door = match origin {
                Origin::Kept(place) => {
                    old[place].take().expect("invariant: an input is kept in one place").door
                }
                Origin::New(Opening::Inherited(place)) => {
                    let ended = old[place].take().expect("invariant: a socket has one heir");
                    if ended.built.input.name != built.input.name {
                        self.retire(&ended.built.input);
                    }
                    if let (Door::Socket(number, _), Some(listener)) = (&ended.door, &self.listener)
                    {
                        listener.hand(*number, Arc::clone(&built.input));
                    }
                    ended.door
                }
                Origin::New(Opening::Socket(socket)) => {
                    changes.inputs_opened += 1;
                    self.doors += 1;
                    let socket = self.inherited.keep(socket);
                    let (address, input) = (socket.address(), Arc::clone(&built.input));
                    if let Some(listener) = &self.listener {
                        listener.open(self.doors, Listener { socket, input });
                    }
                    Door::Socket(self.doors, address)
                }
                Origin::New(Opening::Reader(reader)) => {
                    changes.inputs_opened += 1;
                    for exporter in &self.exporters {
                        exporter.current.stage.queue.on_room(reader.wake().clone());
                    }
                    reader.begin();
                    Door::Reader(reader)
                }
            };
            opened.push(RunningInput { built, door });
        }
        for ended in old.into_iter().flatten() {
            changes.inputs_closed += 1;
            let is_replaced =
                opened.iter().any(|one| one.built.input.name == ended.built.input.name);
            match ended.door {
                Door::Socket(number, _) => {
                    if let Some(listener) = &self.listener {
                        listener.close(number);
                    }
                    if let Entrance::Listen(endpoint) = &ended.built.entrance {
                        self.inherited.forget(endpoint);
                    }
                    if !is_replaced {
                        self.retire(&ended.built.input);
                    }
                }
                Door::Reader(reader) => {
                    reader.finish();
                    self.ending.push(reader);
                }
            }
        }
        self.inputs = opened;
    }

    /// Ends the connections of an input that is no more.
    fn retire(&self, input: &Arc<Input>) {
        for worker in &self.workers {
            worker.handle.tell(Command::Retire(Arc::clone(input)));
        }
    }
}

impl Prepared {
    /// Whether there is any input with a socket.
    fn listens(&self) -> bool {
        let mut inputs = self.inputs.iter();
        inputs.any(|(built, _)| matches!(built.entrance, Entrance::Listen(_)))
    }
}

impl Drop for Prepared {
    /// Ends what began and was not taken over. (A reader that has not begun ends by
    /// itself.)
    fn drop(&mut self) {
        for (_, origin) in &self.exporters {
            if let Origin::New(thread) = origin {
                thread.tell(Control::Finish);
            }
        }
        for (worker, _) in &self.new_workers {
            worker.handle.tell(Command::Abandon);
        }
        if let Some(listener) = self.listener.take() {
            listener.stop();
        }
    }
}

fn format_error((exporter, reason): (String, String)) -> io::Error {
    io::Error::other(format!("exporter {exporter}: {reason}"))
}

fn start_exporter(exporter: Exporter) -> io::Result<ExporterThread> {
    let name = exporter.name.clone();
    let driver = exporter
        .source
        .open()
        .map_err(|reason| io::Error::other(format!("exporter {name}: {reason}")))?;
    if let Some(Burial { letters, max_size, .. }) = &exporter.letters {
        letters.open(*max_size).map_err(|reason| {
            io::Error::other(format!(
                "exporter {name}: its dead letters can't be kept: {reason} (see state_dir and \
                 dead_letters)"
            ))
        })?;
    }
    ExporterThread::start(exporter, driver)
}
