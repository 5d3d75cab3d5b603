//! From a configuration and the plugins to everything that can run.

use std::{fmt, path::PathBuf, sync::Arc};

use super::{
    exporter::{self, BuiltExporter},
    lane::{Lane, LanePlan},
    observer::Observer,
    readers::{ListenerPlan, Service},
    reload::Current,
};
use crate::{
    config::{
        Config, InputConfig, ListenerConfig, MetricConfig, Place, Placed,
        settings::{HttpConfig, Include, InputDriver, InputFormat, ListenerDriver, Socket},
    },
    decode::Protocol,
    event::{OpenLimits, Parts, Wanted, flatten::Export},
    filter::{Filter, FilterSet},
    input::{HttpPlan, Input, InputKind, SecretFiles, Secrets, Source},
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

/// An input that can be opened.
#[derive(Clone)]
pub(super) struct BuiltInput {
    /// What it was made from.
    pub(super) config: InputConfig,
    /// What its sessions have in common.
    pub(super) input: Arc<Input>,
    /// Its way in.
    pub(super) entrance: Entrance,
}

/// How an input's events get in.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Entrance {
    /// By connections.
    Listen(Endpoint),
    /// By a reader of its own.
    Read(Source),
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
                workers: match config.workers {
                    0 => std::thread::available_parallelism().map_or(1, usize::from),
                    workers => workers,
                },
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

/// A configured size; what is beyond the address space is as good as no limit.
pub(super) fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn build_input(config: &InputConfig, current: &Current) -> Result<BuiltInput, Wrong> {
    let running = current.input(&config.name.value);
    let http = match &config.driver {
        InputDriver::Http(http) => Some(http_plan(http, running)?),
        _ => None,
    };
    // What files say may have changed, too.
    let is_same = |running: &&BuiltInput| {
        let secrets = |plan: &HttpPlan| plan.secrets.clone();
        running.config == *config
            && running.input.http.as_deref().map(secrets) == http.as_ref().map(secrets)
    };
    if let Some(running) = running.filter(is_same) {
        return Ok(running.clone());
    }
    let lines = |format: InputFormat| InputKind::Lines(protocol(format));
    let mut open_limits = OpenLimits::default();
    let mut connections_max = usize::MAX;
    let mut open_bytes_max = usize::MAX;
    let (kind, entrance) = match &config.driver {
        InputDriver::StatsWriter { socket, max_connections, open_events } => {
            connections_max = *max_connections;
            open_limits.events_max = open_events.max;
            open_bytes_max = size(open_events.max_size);
            (InputKind::StatsWriter, Entrance::Listen(endpoint(socket)?))
        }
        InputDriver::Unix { socket, max_connections, format } => {
            connections_max = *max_connections;
            (lines(*format), Entrance::Listen(endpoint(socket)?))
        }
        InputDriver::Tcp { address, max_connections, format } => {
            connections_max = *max_connections;
            (lines(*format), Entrance::Listen(tcp(&address.value)))
        }
        InputDriver::Http(http) => {
            connections_max = http.max_connections;
            (InputKind::Http, Entrance::Listen(tcp(&http.address.value)))
        }
        InputDriver::Stdin { format } => (lines(*format), Entrance::Read(Source::Stdin)),
        InputDriver::File { paths, format, open_events } => {
            open_limits.events_max = open_events.max;
            open_bytes_max = size(open_events.max_size);
            let kind = match format {
                InputFormat::Auto => InputKind::Any,
                InputFormat::StatsWriter => InputKind::StatsWriter,
                InputFormat::Json | InputFormat::TabText => lines(*format),
            };
            (kind, Entrance::Read(Source::Files(files(paths)?)))
        }
    };
    let name = config.name.value.clone();
    let mut input = Input::new(name, kind, size(config.line_limit), open_limits);
    input.connections_max = connections_max;
    input.open_bytes_max = open_bytes_max;
    input.http = http.map(Arc::new);
    if let Some(running) = running {
        input.ledger = Arc::clone(&running.input.ledger);
    }
    Ok(BuiltInput { config: config.clone(), input: Arc::new(input), entrance })
}

/// What the sessions of an `http` input have in common. What was taken is remembered by its
/// successor.
fn http_plan(config: &HttpConfig, running: Option<&BuiltInput>) -> Result<HttpPlan, Wrong> {
    let file = |file: &Option<Placed<PathBuf>>| file.as_ref().map(|file| file.value.clone());
    let files = SecretFiles {
        tokens: file(&config.bearer_token_file),
        certificate: file(&config.cert_file),
        key: file(&config.key_file),
        authorities: file(&config.ca_file),
    };
    let secrets = Secrets::read(&files).map_err(|reason| {
        let named = [
            ("http_bearer_token_file", &config.bearer_token_file),
            ("ssl_server_cert_file", &config.cert_file),
            ("ssl_server_key_file", &config.key_file),
            ("ssl_server_ca_file", &config.ca_file),
        ];
        let place = named.iter().find_map(|(name, file)| {
            file.as_ref().filter(|_| reason.starts_with(name)).map(|file| file.place)
        });
        (place.unwrap_or(config.address.place), reason)
    })?;
    let memory = running.and_then(|running| running.input.http.as_ref());
    Ok(HttpPlan {
        path: config.path.value.clone(),
        protocol: protocol(config.format),
        request_max: size(config.request_max_size),
        requests_max: size(config.requests_max_size),
        request_timeout: config.request_timeout,
        idle_timeout: config.idle_timeout,
        answer_timeout: config.answer_timeout,
        secrets,
        memory: memory.map(|plan| Arc::clone(&plan.memory)).unwrap_or_default(),
    })
}

/// `*` is every address, of both families.
fn tcp(address: &str) -> Endpoint {
    Endpoint::Tcp(address.replacen("*:", "[::]:", 1))
}

fn build_listener(config: &ListenerConfig) -> Result<ListenerPlan, Wrong> {
    let (endpoints, service) = match &config.driver {
        ListenerDriver::StatsReader { socket } => (vec![endpoint(socket)?], Service::Control),
        ListenerDriver::Http { addresses, compat } => {
            (addresses.iter().map(|address| tcp(&address.value)).collect(), Service::Web(*compat))
        }
    };
    Ok(ListenerPlan { name: config.name.value.clone(), endpoints, service })
}

fn protocol(format: InputFormat) -> Option<Protocol> {
    match format {
        InputFormat::Auto => None,
        InputFormat::Json => Some(Protocol::Json),
        InputFormat::TabText => Some(Protocol::TabText),
        InputFormat::StatsWriter => Some(Protocol::StatsWriter),
    }
}

fn endpoint(socket: &Socket) -> Result<Endpoint, Wrong> {
    let id = |name: &Option<Placed<String>>, look_up: fn(&str) -> Result<u32, String>| {
        let name = name.as_ref()?;
        Some(look_up(&name.value).map_err(|reason| (name.place, reason)))
    };
    let user = id(&socket.user, user_id).transpose();
    let group = id(&socket.group, group_id).transpose();
    let or_none = |id: Result<Option<u32>, Wrong>, assumed: bool| match id {
        Err((_, reason)) if assumed => {
            log::warn!("{}: {reason}, as Dovecot assumes: left out", socket.path.value.display());
            Ok(None)
        }
        id => id,
    };
    let user = or_none(user, socket.assumed.is_user())?;
    let group = or_none(group, socket.assumed.is_group())?;
    Ok(Endpoint::Unix(socket.path.value.clone(), socket.mode, user, group))
}

fn user_id(name: &str) -> Result<u32, String> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("there is no user `{name}`")),
        Err(error) => Err(format!("the user `{name}` can't be looked up: {error}")),
    }
}

fn group_id(name: &str) -> Result<u32, String> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    match nix::unistd::Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(format!("there is no group `{name}`")),
        Err(error) => Err(format!("the group `{name}` can't be looked up: {error}")),
    }
}

/// The files that the paths and patterns name, all together in name order.
fn files(patterns: &[Placed<String>]) -> Result<Vec<PathBuf>, Wrong> {
    let mut paths = Vec::new();
    for Placed { value: pattern, place } in patterns {
        let wrong = |reason: String| (*place, reason);
        let found = glob::glob(pattern).map_err(|error| wrong(format!("`{pattern}`: {error}")))?;
        let before = paths.len();
        for path in found {
            paths.push(path.map_err(|error| wrong(error.to_string()))?);
        }
        if paths.len() == before {
            return Err(wrong(format!("there is no file `{pattern}`")));
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
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
    let filters = FilterSet::new(filters);
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
