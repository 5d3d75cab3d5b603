//! What a host says of itself in numbers: for whoever watches it while it runs, and
//! for its last words.

use std::sync::Arc;

use crate::{
    driver::Exporter,
    input::Input,
    queue::Queue,
    route::Routes,
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
}

/// What waits in a queue; what is in open batches or with the driver does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Batches.
    pub batches: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The most bytes that may wait.
    pub bytes_max: u64,
}

/// Reads a host's figures while it runs, and afterwards.
#[derive(Clone)]
pub struct Observer {
    pub(super) inputs: Vec<Arc<Input>>,
    pub(super) routes: Arc<Routes>,
    pub(super) statistics: Statistics,
    pub(super) exporters: Vec<Observed>,
}

/// An exporter that is observed.
#[derive(Clone)]
pub(super) struct Observed {
    name: String,
    ledger: Arc<ExporterLedger>,
    queue: Arc<Queue>,
    meter: Arc<ExporterMeter>,
}

impl Observer {
    /// The statistics of all metrics.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The figures now.
    pub fn figures(&self) -> Figures {
        let inputs = self.inputs.iter().map(|input| (input.name.clone(), input.ledger.figures()));
        let routes = self.routes.routes.iter();
        Figures {
            inputs: inputs.collect(),
            metrics: routes
                .map(|route| route.metric.clone())
                .zip(self.statistics.matched())
                .collect(),
            exporters: self.exporters.iter().map(Observed::status).collect(),
        }
    }
}

impl Observed {
    pub(super) fn new(exporter: &Exporter) -> Self {
        Observed {
            name: exporter.name.clone(),
            ledger: Arc::clone(&exporter.ledger),
            queue: Arc::clone(&exporter.queue),
            meter: Arc::clone(&exporter.meter),
        }
    }

    fn status(&self) -> ExporterStatus {
        ExporterStatus {
            name: self.name.clone(),
            counts: self.ledger.figures(),
            queue: QueueFigures {
                batches: self.queue.len() as u64,
                bytes: self.queue.bytes() as u64,
                bytes_max: self.queue.bytes_max() as u64,
            },
            meter: self.meter.figures(),
        }
    }
}
