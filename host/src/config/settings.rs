//! The typed configuration: what the rest of the host is built from.

use std::path::PathBuf;
use std::time::Duration;

use super::group_by::GroupBy;
use super::schema::Settings;
use super::source::{Place, Placed};

/// A whole configuration without errors.
///
/// Two of them are equal when they say the same: places do not count.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The host name of exported events; `None` is the machine's own.
    pub hostname: Option<Placed<String>>,
    /// How many worker threads; 0 is one for each core.
    pub workers: usize,
    /// Where plugins come from.
    pub plugins: Plugins,
    /// How long a stop waits for queued events.
    pub shutdown_timeout: Duration,
    /// The least important messages that are logged.
    pub log_level: LogLevel,
    /// Whether events without a name can match.
    pub unnamed_events: bool,
    /// Where what outlives the host is kept.
    pub state_dir: Placed<PathBuf>,
    /// Where events come from, in order of first appearance.
    pub inputs: Vec<InputConfig>,
    /// Where a running host can be read, in order of first appearance.
    pub listeners: Vec<ListenerConfig>,
    /// Where events go, in order of first appearance.
    pub exporters: Vec<ExporterConfig>,
    /// Which events matter, in order of first appearance.
    pub metrics: Vec<MetricConfig>,
}

/// Where plugins come from; known before any plugin is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugins {
    /// The directories to search, in order; empty is the built-in path.
    pub directories: Vec<Placed<PathBuf>>,
    /// Digests that plugins' files must have.
    pub pins: Vec<PluginPin>,
}

/// `plugin NAME { sha256 = HEX }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginPin {
    /// The plugin.
    pub name: Placed<String>,
    /// The SHA-256 of its file: 64 lower-case hexadecimal digits.
    pub sha256: Placed<String>,
}

/// The least important messages that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what went wrong.
    Error,
    /// What probably goes wrong, too.
    Warning,
    /// What happens, too.
    Info,
    /// What it takes to find a fault, too.
    Debug,
}

/// `input NAME { }`, or a writer's listener of Dovecot's `service stats { }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputConfig {
    /// Its name.
    pub name: Placed<String>,
    /// Where its events come from.
    pub driver: InputDriver,
    /// Longer lines are skipped, in bytes.
    pub line_limit: u64,
}

/// The settings `open_events_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenEventsConfig {
    /// How many events one connection may keep open.
    pub max: usize,
    /// How many bytes those of all the input's connections may take.
    pub max_size: u64,
}

/// Where an input's events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputDriver {
    /// Dovecot's stats-writer protocol on a UNIX socket.
    StatsWriter {
        /// The socket.
        socket: Socket,
        /// How many connections may be open at once.
        max_connections: usize,
        /// What may be kept open.
        open_events: OpenEventsConfig,
    },
    /// Lines on a UNIX socket.
    Unix {
        /// The socket.
        socket: Socket,
        /// How many connections may be open at once.
        max_connections: usize,
        /// How events are written.
        format: InputFormat,
    },
    /// Lines on a TCP port.
    Tcp {
        /// Host and port, as written: `127.0.0.1:9100`, `[::1]:9100`, `*:9100`.
        address: Placed<String>,
        /// How many connections may be open at once.
        max_connections: usize,
        /// How events are written.
        format: InputFormat,
    },
    /// Requests on a TCP port.
    Http(Box<HttpConfig>),
    /// Lines on the standard input.
    Stdin {
        /// How events are written.
        format: InputFormat,
    },
    /// Lines of files.
    File {
        /// Paths and patterns, at least one.
        paths: Vec<Placed<String>>,
        /// How events are written.
        format: InputFormat,
        /// What a stats-writer recording may keep open.
        open_events: OpenEventsConfig,
    },
}

/// `input NAME { driver = http }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Host and port, as written.
    pub address: Placed<String>,
    /// How many connections may be open at once.
    pub max_connections: usize,
    /// How events are written; `Auto` is as a request says.
    pub format: InputFormat,
    /// The path of events; it begins with `/`.
    pub path: Placed<String>,
    /// Tokens that may send.
    pub bearer_token_file: Option<Placed<PathBuf>>,
    /// The largest body, in bytes.
    pub request_max_size: u64,
    /// All bodies that are being received, in bytes.
    pub requests_max_size: u64,
    /// How long a request may take to arrive.
    pub request_timeout: Duration,
    /// How long a connection stays without a request.
    pub idle_timeout: Duration,
    /// How long a request may wait for its answer.
    pub answer_timeout: Duration,
    /// Our certificate.
    pub cert_file: Option<Placed<PathBuf>>,
    /// Its key.
    pub key_file: Option<Placed<PathBuf>>,
    /// Whose certificates peers must have.
    pub ca_file: Option<Placed<PathBuf>>,
}

/// `listener NAME { }`, or a listener of Dovecot's `service stats { }` that is for
/// readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Its name.
    pub name: Placed<String>,
    /// What it offers.
    pub driver: ListenerDriver,
}

/// What a listener offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerDriver {
    /// Dovecot's stats-reader protocol on a UNIX socket.
    StatsReader {
        /// The socket.
        socket: Socket,
    },
    /// Pages over HTTP.
    Http {
        /// Hosts and ports, at least one, as written: `127.0.0.1:9900`, `*:9900`.
        addresses: Vec<Placed<String>>,
        /// How metrics are shown.
        compat: OpenMetricsCompat,
    },
}

/// How metrics are shown on the page for Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMetricsCompat {
    /// As valid OpenMetrics.
    Off,
    /// As Dovecot shows them.
    Dovecot,
}

/// A UNIX socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its path.
    pub path: Placed<PathBuf>,
    /// Its file mode, at most 0o777.
    pub mode: u32,
    /// Its owner; `None` is the host's user.
    pub user: Option<Placed<String>>,
    /// Its group; `None` is the host's group.
    pub group: Option<Placed<String>>,
    /// Owner or group are what Dovecot assumes, and were not written: one that does
    /// not exist on this machine is left out.
    pub assumed: Assumed,
}

/// Which of a socket's owners were not written. As with a [`Placed`] value's place,
/// this does not count when configurations are compared.
#[derive(Clone, Copy, Debug, Default)]
pub enum Assumed {
    /// Neither is assumed.
    #[default]
    Nothing,
    /// The user.
    User,
    /// The group.
    Group,
}

impl Assumed {
    /// Whether it is the user that was not written.
    pub fn is_user(self) -> bool {
        matches!(self, Assumed::User)
    }

    /// Whether it is the group that was not written.
    pub fn is_group(self) -> bool {
        matches!(self, Assumed::Group)
    }
}

impl PartialEq for Assumed {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Assumed {}

/// How an input's events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// As the first line of a connection or a file shows.
    Auto,
    /// One JSON object a line.
    Json,
    /// TAB-separated text.
    TabText,
    /// A recording of Dovecot's stats-writer protocol; only in files.
    StatsWriter,
}

/// `event_exporter NAME { }`
#[derive(Clone, Debug, PartialEq)]
pub struct ExporterConfig {
    /// Its name.
    pub name: Placed<String>,
    /// The driver plugin; it exists.
    pub driver: Placed<String>,
    /// The format plugin; it exists.
    pub format: Placed<String>,
    /// The driver's settings, with its defaults, valid by its schema.
    pub driver_settings: Settings,
    /// The format's settings, with its defaults, valid by its schema.
    pub format_settings: Settings,
    /// Where the settings of both were written.
    pub places: SettingPlaces,
    /// Where batches wait.
    pub queue: QueueKind,
    /// How many bytes may wait in memory.
    pub queue_max_size: u64,
    /// How many bytes may wait on disk.
    pub spool_max_size: u64,
    /// What happens when no more may.
    pub queue_full: QueueFull,
    /// A batch is closed when it has this many bytes.
    pub batch_max_size: u64,
    /// A batch is closed when it has this many events; 0 is no limit.
    pub batch_max_events: u64,
    /// How long a batch that is not full waits for more; zero is not at all.
    pub batch_timeout: Duration,
    /// The pause after a first failure.
    pub retry_min_pause: Duration,
    /// The longest pause; not shorter than `retry_min_pause`.
    pub retry_max_pause: Duration,
    /// How often a payload is tried; 0: no limit.
    pub retry_max_attempts: u32,
    /// How old a payload may be to be tried again; zero: no limit.
    pub retry_max_age: Duration,
    /// After so many failures in a row attempts are small; 0: never.
    pub breaker_failures: u32,
    /// Whether payloads that are not tried again are kept.
    pub dead_letters: bool,
    /// How many bytes their files may take.
    pub dead_letters_max_size: u64,
}

/// Where the values of a plugin's settings were written, by their names. As with a
/// [`Placed`] value's place, this does not count when configurations are compared.
#[derive(Clone, Debug, Default)]
pub struct SettingPlaces(pub Vec<(String, Place)>);

impl SettingPlaces {
    /// Where the setting was written that `text` mentions first; `None` when it
    /// mentions none that was.
    pub fn mentioned_in(&self, text: &str) -> Option<Place> {
        let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let at = |name: &str| {
            text.match_indices(name).map(|(at, _)| at).find(|&at| {
                let after = text.as_bytes().get(at + name.len());
                !text.as_bytes()[..at].last().is_some_and(in_name) && !after.is_some_and(in_name)
            })
        };
        let mentioned = self.0.iter().filter_map(|(name, place)| Some((at(name)?, *place)));
        mentioned.min_by_key(|(at, _)| *at).map(|(_, place)| place)
    }
}

impl PartialEq for SettingPlaces {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Where an exporter's batches wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// In memory.
    Memory,
    /// In memory, and on disk what does not fit.
    Spill,
    /// On disk, synced.
    Durable,
}

/// What happens to an event that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueFull {
    /// Inputs wait.
    Block,
    /// It is dropped.
    DropNewest,
    /// The oldest batch is dropped.
    DropOldest,
}

/// `metric NAME { }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricConfig {
    /// Its name; it need not be one that OpenMetrics allows.
    pub name: Placed<String>,
    /// The filter's text, which has been checked.
    pub filter: Placed<String>,
    /// The fields to export and to keep statistics of; empty exports all.
    pub fields: Vec<Placed<String>>,
    /// The exporter, which exists.
    pub exporter: Option<Placed<String>>,
    /// What is exported of an event.
    pub exporter_include: Include,
    /// Explains the metric; may be empty.
    pub description: String,
    /// The levels of sub-metrics, outermost first.
    pub group_by: Vec<GroupBy>,
    /// How many sub-metrics there may be.
    pub group_by_max_series: usize,
}

/// What is exported of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// Its name.
    pub name: bool,
    /// The host name.
    pub hostname: bool,
    /// When it began and ended.
    pub timestamps: bool,
    /// Its categories.
    pub categories: bool,
    /// Its fields.
    pub fields: bool,
}
