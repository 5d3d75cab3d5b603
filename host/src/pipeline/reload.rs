//! A running host's configuration changes: it is read again, or a metric is added or
//! removed.
//!
//! What there is now is compared with what is to be ([`Current`]): inputs, exporters
//! and metrics that have not changed go on. How the host goes on with the rest is
//! `take_over.rs`.

use std::{collections::HashMap, sync::Arc};

use super::{
    build::{BuildError, Pipeline},
    entrances::BuiltInput,
    exporter::ExporterIdentity,
    order::Outcome,
    run::Running,
    take_over::Changes,
};
use crate::{
    config::{Config, MetricConfig},
    event::Symbols,
    format::StagePlan,
    inherited::systemd::State,
    plugin::Registry,
    statistics::{MetricPlan, Statistics},
};

/// How many metrics may have been added at once: what adds them without end shall not
/// fill the memory.
const ADDED_MAX: usize = 256;

/// Makes a pipeline of a configuration and its plugins.
pub type Rebuild<'a> = dyn FnMut(&Config, &Registry) -> Result<Pipeline, Vec<BuildError>> + 'a;

/// Reads the configuration and its plugins anew and has them made a pipeline of;
/// otherwise what is wrong with them, a line each, which has been shown to whoever
/// looks after the host.
pub type Reread<'a> = dyn FnMut(&mut Rebuild<'_>) -> Result<Pipeline, Vec<String>> + 'a;

/// What a running host consists of: what a new configuration is compared with.
#[derive(Default)]
pub(super) struct Current {
    /// The inputs.
    pub(super) inputs: Vec<BuiltInput>,
    /// The exporters, in the order of the lanes' stages.
    pub(super) exporters: Vec<CurrentExporter>,
    /// The metrics, in the order of the statistics'.
    metrics: Vec<MetricConfig>,
    statistics: Statistics,
    /// The names that the configuration asks for.
    pub(super) symbols: Arc<Symbols>,
}

/// An exporter that runs.
#[derive(Clone)]
pub(super) struct CurrentExporter {
    /// What it was made from.
    pub(super) identity: ExporterIdentity,
    /// What lanes have made their stages from.
    pub(super) stage: StagePlan,
}

impl Current {
    /// The exporter of that name.
    pub(super) fn exporter(&self, name: &str) -> Option<&CurrentExporter> {
        self.exporters.iter().find(|exporter| exporter.stage.exporter == name)
    }

    /// Statistics of the metrics of `config`, which go on where the current ones are
    /// if these count the same.
    pub(super) fn statistics(&self, config: &Config) -> Statistics {
        // By name: among ten thousand metrics, each would be compared with all.
        let metrics = self.metrics.iter().enumerate();
        let places: HashMap<&str, usize> =
            metrics.map(|(place, metric)| (metric.name.value.as_str(), place)).collect();
        self.statistics.successor(config.metrics.iter().map(|metric| {
            let place = places.get(metric.name.value.as_str()).copied();
            let same = place.filter(|&place| counts_the_same(&self.metrics[place], metric));
            (MetricPlan::of(metric), same)
        }))
    }

    /// The input of that name.
    pub(super) fn input(&self, name: &str) -> Option<&BuiltInput> {
        self.inputs.iter().find(|input| input.input.name == name)
    }
}

/// Whether both metrics, which have the same name, count the same events in the same
/// way, wherever they are exported to.
fn counts_the_same(one: &MetricConfig, other: &MetricConfig) -> bool {
    one.filter == other.filter
        && one.fields == other.fields
        && one.group_by == other.group_by
        && one.group_by_max_series == other.group_by_max_series
        && one.description == other.description
}

impl Running {
    /// What runs now.
    fn current(&self) -> Current {
        Current {
            inputs: self.inputs.iter().map(|input| input.built.clone()).collect(),
            exporters: self.exporters.iter().map(|exporter| exporter.current.clone()).collect(),
            metrics: self.config.metrics.clone(),
            statistics: self.statistics.clone(),
            symbols: Arc::clone(&self.symbols),
        }
    }

    /// Goes on with the configuration as it is now, or as before.
    pub(super) fn reload(&mut self, reread: &mut Reread<'_>) -> Outcome {
        self.inherited.announce(State::Reloading, "reads its configuration again");
        let outcome = self.reload_now(reread);
        let how = if outcome.is_ok() { "" } else { "; not reloaded: see the log" };
        self.inherited.announce(State::Ready, &format!("{}{how}", self.status()));
        outcome
    }

    fn reload_now(&mut self, reread: &mut Reread<'_>) -> Outcome {
        let current = self.current();
        let mut outlive = Vec::new();
        let mut rebuild = |config: &Config, registry: &Registry| {
            let mut config = config.clone();
            outlive = outliving(&self.added, &config);
            config.metrics.extend(outlive.iter().cloned());
            Pipeline::rebuild(&config, registry, &current)
        };
        let (workers, listeners) = (self.config.workers, self.config.listeners.clone());
        let changes = match reread(&mut rebuild) {
            Ok(pipeline) => self.take_over(pipeline).map_err(|error| {
                log::error!("{error}");
                vec![error.to_string()]
            }),
            // It has been shown.
            Err(report) => Err(report),
        };
        match &changes {
            Ok(changes) => {
                log::info!("reloaded: {changes}");
                self.added = outlive;
                self.warn_of_lost_exporters();
                if self.config.workers != workers || self.config.listeners != listeners {
                    log::warn!("`workers` and `listener` blocks change with the next start only");
                }
            }
            Err(_) => log::error!("not reloaded: the host goes on as before"),
        }
        changes.map(|_| ())
    }

    /// Tells which added metrics are counted only from now on.
    fn warn_of_lost_exporters(&self) {
        for metric in &self.added {
            if let Some(exporter) = missing_exporter(metric, &self.config) {
                log::warn!(
                    "metric {}, which was added, is counted only: there is no event_exporter \
                     `{exporter}` now",
                    metric.name.value
                );
            }
        }
    }

    /// Counts, and exports, what matches this metric as well.
    pub(super) fn add_metric(&mut self, metric: &MetricConfig) -> Outcome {
        let mut config = self.config.clone();
        let name = &metric.name.value;
        if config.metrics.iter().any(|one| one.name.value == *name) {
            return Err(vec![format!("there is a metric `{name}` already")]);
        }
        if let Some(exporter) = missing_exporter(metric, &config) {
            let names = config.exporters.iter().map(|one| one.name.value.as_str());
            let names: Vec<&str> = names.collect();
            let known = match names.as_slice() {
                [] => "there are none".to_owned(),
                names => format!("there are {}", names.join(", ")),
            };
            return Err(vec![format!("there is no event_exporter `{exporter}`: {known}")]);
        }
        if self.added.len() >= ADDED_MAX {
            let message = format!(
                "{ADDED_MAX} metrics have been added already: remove some, or write them into \
                 the configuration"
            );
            return Err(vec![message]);
        }
        config.metrics.push(metric.clone());
        self.go_on_with(&config)?;
        log::info!("metric {name}: added");
        self.added.push(metric.clone());
        Ok(())
    }

    /// Does without the metric of this name.
    pub(super) fn remove_metric(&mut self, name: &str) -> Outcome {
        let mut config = self.config.clone();
        let before = config.metrics.len();
        config.metrics.retain(|metric| metric.name.value != name);
        if config.metrics.len() == before {
            // In Dovecot's words: its tools' users know them.
            return Err(vec![format!("metrics '{name}' not found")]);
        }
        self.go_on_with(&config)?;
        log::info!("metric {name}: removed");
        self.added.retain(|metric| metric.name.value != name);
        Ok(())
    }

    /// Goes on with another configuration and the same plugins, or as before.
    fn go_on_with(&mut self, config: &Config) -> Result<Changes, Vec<String>> {
        let pipeline = Pipeline::rebuild(config, &self.registry, &self.current());
        let pipeline = pipeline
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        self.take_over(pipeline).map_err(|error| vec![error.to_string()])
    }
}

/// The exporter that the metric names and the configuration does not have.
fn missing_exporter<'a>(metric: &'a MetricConfig, config: &Config) -> Option<&'a str> {
    let wanted = &metric.exporter.as_ref()?.value;
    let exists = config.exporters.iter().any(|one| one.name.value == *wanted);
    (!exists).then_some(wanted.as_str())
}

/// The metrics added to a running host that a new configuration does not have itself.
fn outliving(added: &[MetricConfig], config: &Config) -> Vec<MetricConfig> {
    let is_configured =
        |added: &MetricConfig| config.metrics.iter().any(|metric| metric.name == added.name);
    added.iter().filter(|added| !is_configured(added)).cloned().collect()
}
