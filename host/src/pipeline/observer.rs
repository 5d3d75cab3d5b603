//! What a host says of itself in numbers: for whoever watches it while it runs, and
//! for its last words.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    dead_letters::DeadLetters,
    format::StagePlan,
    input::Input,
    queue::Queue,
    route::Routes,
    spool::SpoolFigures,
    statistics::Statistics,
    telemetry::{
        ledger::{ExporterFigures, ExporterLedger, InputFigures},
        meter::{ExporterMeter, MeterFigures},
    },
};

/// The figures of a host at one moment. (Of each input and each exporter at one
/// moment: they are asked one after the other.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Each input's name and counts.
    pub inputs: Vec<(String, InputFigures)>,
    /// Each metric's name and the events that matched.
    pub metrics: Vec<(String, u64)>,
    /// The exporters.
    pub exporters: Vec<ExporterStatus>,
}

/// An exporter's figures at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExporterStatus {
    /// Its name.
    pub name: String,
    /// What was counted.
    pub counts: ExporterFigures,
    /// What waits in its queue.
    pub queue: QueueFigures,
    /// What was measured.
    pub meter: MeterFigures,
    /// Its dead letters, if it keeps any, and where they are.
    pub letters: Option<(SpoolFigures, PathBuf)>,
}

/// What waits in a queue's memory, and on disk; what is in open batches or with the driver does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Batches.
    pub batches: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The most bytes that may wait.
    pub bytes_max: u64,
    /// What waits on disk; zeros for a queue in memory.
    pub disk: SpoolFigures,
}

/// Reads a host's figures while it runs, and afterwards.
#[derive(Clone, Default)]
pub struct Observer {
    watched: Arc<Mutex<Watched>>,
}

/// What a host consists of at the moment.
#[derive(Clone, Default)]
pub(super) struct Watched {
    pub(super) inputs: Vec<Arc<Input>>,
    pub(super) routes: Arc<Routes>,
    pub(super) statistics: Statistics,
    /// Those that are no more in the configuration included, until they have ended.
    pub(super) exporters: Vec<Observed>,
}

/// An exporter that is observed.
#[derive(Clone)]
pub(super) struct Observed {
    name: String,
    ledger: Arc<ExporterLedger>,
    queue: Arc<Queue>,
    meter: Arc<ExporterMeter>,
    letters: Option<Arc<DeadLetters>>,
}

impl Observer {
    /// Has it read these from now on.
    pub(super) fn watch(&self, watched: Watched) {
        *self.watched() = watched;
    }

    /// The statistics of all metrics.
    pub fn statistics(&self) -> Statistics {
        self.watched().statistics.clone()
    }

    /// The dead letters of an exporter.
    ///
    /// # Errors
    ///
    /// When there is no such exporter, or it keeps none.
    pub fn dead_letters(&self, exporter: &str) -> Result<Arc<DeadLetters>, String> {
        let watched = self.watched();
        let mut exporters = watched.exporters.iter().filter(|one| one.name == exporter);
        match (exporters.next(), exporters.next()) {
            (None, _) => Err(format!("there is no event_exporter `{exporter}`")),
            (Some(Observed { letters: Some(letters), .. }), _)
            | (Some(_), Some(Observed { letters: Some(letters), .. })) => Ok(Arc::clone(letters)),
            _ => Err(format!("event_exporter `{exporter}` keeps no dead letters")),
        }
    }

    /// The figures now.
    pub fn figures(&self) -> Figures {
        let Watched { inputs, routes, statistics, exporters } = self.watched().clone();
        let inputs = inputs.iter().map(|input| (input.name.clone(), input.ledger.figures()));
        Figures {
            inputs: inputs.collect(),
            metrics: routes
                .routes
                .iter()
                .map(|route| route.metric.clone())
                .zip(statistics.matched())
                .collect(),
            exporters: exporters.iter().map(Observed::status).collect(),
        }
    }

    /// How many connections, and files, the inputs have open.
    pub fn open_connections(&self) -> u64 {
        self.watched().inputs.iter().map(|input| input.ledger.open()).sum()
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed {
    pub(super) fn new(stage: &StagePlan) -> Self {
        Observed {
            name: stage.exporter.clone(),
            ledger: Arc::clone(&stage.ledger),
            queue: Arc::clone(stage.queue.queue()),
            meter: Arc::clone(&stage.meter),
            letters: stage.letters.clone(),
        }
    }

    /// Whether both are the same exporter, perhaps with other settings.
    pub(super) fn is_same(&self, other: &Observed) -> bool {
        Arc::ptr_eq(&self.ledger, &other.ledger)
    }

    fn status(&self) -> ExporterStatus {
        ExporterStatus {
            name: self.name.clone(),
            counts: self.ledger.figures(),
            queue: QueueFigures {
                batches: self.queue.len() as u64,
                bytes: self.queue.bytes() as u64,
                bytes_max: self.queue.bytes_max() as u64,
                disk: self.queue.disk().map(|disk| disk.figures()).unwrap_or_default(),
            },
            meter: self.meter.figures(),
            letters: self
                .letters
                .as_ref()
                .map(|letters| (letters.figures(), letters.directory().clone())),
        }
    }
}
