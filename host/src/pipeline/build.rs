//! From a configuration and the plugins to everything that can run.

use std::{fmt, sync::Arc};

use super::{
    entrances::{BuiltInput, build_input, endpoint},
    exporter::{self, BuiltExporter},
    lane::{Lane, LanePlan},
    observer::Observer,
    readers::{ListenerPlan, Service},
    reload::Current,
};
use crate::{
    config::{
        Config, ListenerConfig, MetricConfig, Place,
        settings::{Include, ListenerDriver},
    },
    event::{Parts, Wanted, flatten::Export},
    filter::{Filter, FilterSet},
    plugin::Registry,
    route::{Route, Routes},
    socket::Endpoint,
    statistics::MetricPlan,
};

/// A host that is ready to run: all that its configuration asks for has been
/// made, and nothing has been opened yet.
pub struct Pipeline {
    /// Inputs, in the order of the configuration.
    pub(super) inputs: Vec<BuiltInput>,
    /// Where the running host can be read.
    pub(super) listeners: Vec<ListenerPlan>,
    /// Exporters, in the order of the configuration.
    pub(super) exporters: Vec<BuiltExporter>,
    /// What lanes are made from.
    pub(super) lane: LanePlan,
    /// How many workers connections are spread over.
    pub(super) workers: usize,
    /// What all of it was made from.
    pub(super) config: Config,
    /// The plugins of which it was made.
    pub(super) registry: Registry,
    /// Whoever wants to know what runs.
    pub(super) observer: Observer,
}

/// Why a configuration can't be run: a plugin or the system is against it.
#[derive(Debug, PartialEq, Eq)]
pub struct BuildError {
    /// What is concerned: `exporter NAME`, `input NAME`, `metric NAME`.
    pub what: String,
    /// Why.
    pub reason: String,
    /// Which part of the configuration it is about.
    pub place: Place,
}

/// A reason, and the part of the configuration that it is about.
pub(super) type Wrong = (Place, String);

impl Pipeline {
    /// Makes everything that `config` asks for, with plugins from `registry`.
    ///
    /// # Errors
    ///
    /// Everything that plugins or the system have against it.
    pub fn build(config: &Config, registry: &Registry) -> Result<Self, Vec<BuildError>> {
        Self::rebuild(config, registry, &Current::default())
    }

    /// The same beside a running host: inputs and exporters that have not changed
    /// are its own, and those that have changed go on counting where they were.
    pub(super) fn rebuild(
        config: &Config,
        registry: &Registry,
        current: &Current,
    ) -> Result<Self, Vec<BuildError>> {
        let mut errors = Vec::new();
        let hostname = match &config.hostname {
            Some(hostname) => hostname.value.clone(),
            None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        };
        let mut exporters: Vec<BuiltExporter> = Vec::new();
        for exporter in &config.exporters {
            match exporter::build(exporter, &config.state_dir.value, registry, &hostname, current) {
                Ok(exporter) => exporters.push(exporter),
                Err(wrong) => {
                    errors.push(BuildError::new("exporter", &exporter.name.value, wrong));
                }
            }
        }
        let mut inputs = Vec::new();
        for input in &config.inputs {
            match build_input(input, current) {
                Ok(built) => inputs.push(built),
                Err(wrong) => errors.push(BuildError::new("input", &input.name.value, wrong)),
            }
        }
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            match build_listener(listener) {
                Ok(built) => listeners.push(built),
                Err(wrong) => {
                    errors.push(BuildError::new("listener", &listener.name.value, wrong));
                }
            }
        }
        let routes = build_routes(config, &exporters, current).map_err(|error| vec![error]);
        match routes {
            Ok(_) if !errors.is_empty() => Err(errors),
            Ok(routes) => Ok(Pipeline {
                inputs,
                listeners,
                observer: Observer::default(),
                lane: LanePlan {
                    routes: Arc::new(routes),
                    statistics: current.statistics(config),
                    stages: exporters.iter().map(|exporter| exporter.stage.clone()).collect(),
                    hostname: hostname.into_bytes().into(),
                },
                workers: workers(config),
                config: config.clone(),
                registry: registry.clone(),
                exporters,
            }),
            Err(more) => {
                errors.extend(more);
                Err(errors)
            }
        }
    }

    /// What reads the figures of this host.
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// A lane of this host, for a benchmark that feeds it itself.
    ///
    /// # Errors
    ///
    /// What a format has against its settings.
    pub fn lane(&self) -> Result<Lane, BuildError> {
        Lane::open(&self.lane).map_err(|(exporter, reason)| {
            BuildError::new("exporter", &exporter, (Place::default(), reason))
        })
    }
}

impl BuildError {
    fn new(kind: &str, name: &str, (place, reason): Wrong) -> Self {
        BuildError { what: format!("{kind} {name}"), reason, place }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}

/// How many worker threads a host with this configuration has on this machine.
pub fn workers(config: &Config) -> usize {
    match config.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

/// A configured size; what is beyond the address space is as good as no limit.
pub(super) fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn build_listener(config: &ListenerConfig) -> Result<ListenerPlan, Wrong> {
    let (endpoints, service) = match &config.driver {
        ListenerDriver::StatsReader { socket } => (vec![endpoint(socket)?], Service::Control),
        ListenerDriver::Http { addresses, compat } => (
            addresses.iter().map(|address| Endpoint::tcp(&address.value)).collect(),
            Service::Web(*compat),
        ),
    };
    Ok(ListenerPlan { name: config.name.value.clone(), endpoints, service })
}

fn build_routes(
    config: &Config,
    exporters: &[BuiltExporter],
    current: &Current,
) -> Result<Routes, BuildError> {
    let mut filters = Vec::new();
    let mut routes = Vec::new();
    let mut wanted = Wanted::default();
    for metric in &config.metrics {
        let name = &metric.name.value;
        let filter = Filter::parse(&metric.filter.value).map_err(|error| {
            BuildError::new("metric", name, (metric.filter.place, error.to_string()))
        })?;
        metric_wants(metric, &mut wanted);
        filters.push(filter);
        let exporter = metric.exporter.as_ref().and_then(|wanted| {
            config.exporters.iter().position(|exporter| exporter.name.value == wanted.value)
        });
        // When an exporter could not be built, these routes are not used.
        if let Some(exporter) = exporter.and_then(|exporter| exporters.get(exporter)) {
            exporter.stage.label.wants(&mut wanted);
        }
        routes.push(Route { metric: name.clone(), exporter, export: export(metric) });
    }
    let filters = FilterSet::of(filters, config.unnamed_events);
    filters.wants(&mut wanted);
    let symbols = Arc::new(current.symbols.extended(&wanted));
    Ok(Routes { filters, symbols, routes })
}

fn export(metric: &MetricConfig) -> Export {
    let Include { name, hostname, timestamps, categories, fields } = metric.exporter_include;
    let chosen = [
        (name, Parts::NAME),
        (hostname, Parts::HOSTNAME),
        (timestamps, Parts::TIMESTAMPS),
        (categories, Parts::CATEGORIES),
        (fields, Parts::FIELDS),
    ];
    let chosen = chosen.into_iter().filter(|(wanted, _)| *wanted);
    Export {
        include: chosen.fold(Parts::NONE, |all, (_, part)| all.or(part)),
        fields: metric.fields.iter().map(|field| field.value.as_bytes().into()).collect(),
    }
}

/// Adds what the metric asks events for, besides what its filter does.
fn metric_wants(metric: &MetricConfig, wanted: &mut Wanted) {
    let MetricConfig { fields, exporter, exporter_include, .. } = metric;
    wanted.all_fields |= exporter.is_some() && exporter_include.fields && fields.is_empty();
    MetricPlan::of(metric).wants(wanted);
}

#[cfg(test)]
mod tests {
    use super::{Include, MetricConfig, metric_wants};
    use crate::{
        config::{
            group_by::{GroupBy, Method, Modifier},
            source::{Place, Placed},
        },
        event::Wanted,
    };

    fn placed(text: &str) -> Placed<String> {
        Placed { value: text.to_owned(), place: Place::default() }
    }

    #[test]
    fn a_metric_wants_the_fields_it_names_or_all() {
        let check = |exporter: bool, include: bool, fields: &[&str], expected: (bool, &[&str])| {
            let group = |field| GroupBy {
                field: placed(field),
                method: Method::Discrete { modifier: Modifier::default() },
            };
            let metric = MetricConfig {
                name: placed("m"),
                filter: placed("event=e"),
                fields: fields.iter().map(|field| placed(field)).collect(),
                exporter: exporter.then(|| placed("x")),
                exporter_include: Include { fields: include, ..Include::default() },
                description: String::new(),
                group_by: vec![group("g")],
                group_by_max_series: 1,
            };
            let mut wanted = Wanted::default();
            metric_wants(&metric, &mut wanted);
            let mut named = Wanted { all_fields: expected.0, ..Wanted::default() };
            named.field("duration");
            expected.1.iter().for_each(|name| named.field(name));
            assert_eq!(wanted, named);
        };
        check(true, true, &[], (true, &["g"]));
        check(true, true, &["a", "b"], (false, &["a", "b", "g"]));
        check(true, false, &[], (false, &["g"]));
        check(false, true, &[], (false, &["g"]));
        check(false, true, &["a"], (false, &["a", "g"]));
    }
}
