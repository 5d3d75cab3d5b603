//! Prints the configuration that is in effect, with every default.
//!
//! The text is a configuration itself: read again, it says the same. Only
//! secrets are missing.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::group_by::{GroupBy, Method};
use super::schema::{Property, Schemas, Settings, properties};
use super::settings::{
    Config, ExporterConfig, HttpConfig, Include, InputConfig, InputDriver, InputFormat,
    ListenerConfig, ListenerDriver, LogLevel, MetricConfig, OpenMetricsCompat, QueueFull,
    QueueKind, Socket,
};
use super::source::Placed;
use super::table::{BlockKind, INCLUDES};
use super::value::{print_duration, print_size, print_text};

/// Names a text's last line, when it has several.
const MARKER: &str = "END_OF_VALUE";

/// What a setting of the table is in effect.
enum Shown {
    /// This, ready to be written.
    Value(String),
    /// Nothing: it has no default and was not written.
    Unset,
    /// The block does not have it.
    Absent,
}

/// Prints a configuration. `schemas` are those that it was loaded with.
pub fn effective(config: &Config, schemas: &dyn Schemas) -> String {
    let mut text = String::new();
    settings(&mut text, "", BlockKind::Top, |name| top(config, name));
    for pin in &config.plugins.pins {
        open(&mut text, "", "plugin", &pin.name.value);
        settings(&mut text, "  ", BlockKind::Plugin, |_| some(pin.sha256.value.as_str()));
        text.push_str("}\n");
    }
    for config in &config.inputs {
        open(&mut text, "", "input", &config.name.value);
        settings(&mut text, "  ", BlockKind::Input, |name| input(config, name));
        text.push_str("}\n");
    }
    for config in &config.listeners {
        open(&mut text, "", "listener", &config.name.value);
        settings(&mut text, "  ", BlockKind::Listener, |name| listener(config, name));
        text.push_str("}\n");
    }
    for config in &config.exporters {
        open(&mut text, "", "event_exporter", &config.name.value);
        settings(&mut text, "  ", BlockKind::Exporter, |name| exporter(config, name));
        let schema = schemas.driver(&config.driver.value);
        plugin(&mut text, schema.map(properties).unwrap_or_default(), &config.driver_settings);
        let schema = schemas.format(&config.format.value);
        plugin(&mut text, schema.map(properties).unwrap_or_default(), &config.format_settings);
        text.push_str("}\n");
    }
    for config in &config.metrics {
        open(&mut text, "", "metric", &config.name.value);
        settings(&mut text, "  ", BlockKind::Metric, |name| metric(config, name));
        config.group_by.iter().for_each(|level| group_by(&mut text, level));
        text.push_str("}\n");
    }
    text
}

/// Words as a list setting reads them.
pub(super) fn print_words(words: &[&str]) -> String {
    let parted = |word: &str| word.is_empty() || word.contains([' ', ',', '\t']);
    let words = words.iter().map(|word| match parted(word) {
        true => format!("\"{word}\""),
        false => (*word).to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A block's name as it is written.
pub(super) fn quoted_name(name: &str) -> String {
    let plain = !name.is_empty() && !name.contains([' ', '\t', '"', '\'', '#', '{', '\\', '=']);
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn open(text: &mut String, indent: &str, kind: &str, name: &str) {
    let name = quoted_name(name);
    if indent.is_empty() && !text.is_empty() {
        text.push('\n');
    }
    line(text, indent, format_args!("{kind} {name} {{"));
}

fn line(text: &mut String, indent: &str, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{indent}{line}").expect("invariant: a String takes everything");
}

fn settings(text: &mut String, indent: &str, kind: BlockKind, show: impl Fn(&str) -> Shown) {
    for setting in kind.settings() {
        match show(setting.name) {
            Shown::Value(value) => assign(text, indent, setting.name, &value),
            Shown::Unset => line(text, indent, format_args!("#{} =", setting.name)),
            Shown::Absent => {}
        }
    }
}

fn assign(text: &mut String, indent: &str, name: &str, value: &str) {
    if !value.contains('\n') {
        return line(text, indent, format_args!("{name} = {}", print_text(value)));
    }
    let mut marker = MARKER.to_owned();
    while value.lines().any(|line| line == marker) {
        marker.push('_');
    }
    line(text, indent, format_args!("{name} = <<{marker}\n{value}\n{marker}"));
}

fn some(value: impl Into<String>) -> Shown {
    Shown::Value(value.into())
}

fn maybe(value: Option<&Placed<String>>) -> Shown {
    value.map_or(Shown::Unset, |value| some(value.value.as_str()))
}

fn top(config: &Config, name: &str) -> Shown {
    match name {
        "hostname" => maybe(config.hostname.as_ref()),
        "workers" => some(config.workers.to_string()),
        "plugin_dir" if config.plugins.directories.is_empty() => Shown::Unset,
        "plugin_dir" => {
            let directories = config.plugins.directories.iter();
            let paths: Vec<_> = directories.map(|path| path.value.to_string_lossy()).collect();
            some(print_words(&paths.iter().map(AsRef::as_ref).collect::<Vec<_>>()))
        }
        "state_dir" => some(print_words(&[config.state_dir.value.to_string_lossy().as_ref()])),
        "shutdown_timeout" => some(print_duration(config.shutdown_timeout)),
        "log_level" => some(match config.log_level {
            LogLevel::Error => "error",
            LogLevel::Warning => "warning",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }),
        "unnamed_events" => some(if config.unnamed_events { "yes" } else { "no" }),
        // The listeners' paths are absolute by now.
        _ => Shown::Absent,
    }
}

fn input(config: &InputConfig, name: &str) -> Shown {
    let (driver, socket_of, format) = match &config.driver {
        InputDriver::StatsWriter { socket, .. } => ("stats-writer", Some(socket), None),
        InputDriver::Unix { socket, format, .. } => ("unix", Some(socket), Some(format)),
        InputDriver::Tcp { format, .. } => ("tcp", None, Some(format)),
        InputDriver::Http(http) => ("http", None, Some(&http.format)),
        InputDriver::Stdin { format } => ("stdin", None, Some(format)),
        InputDriver::File { format, .. } => ("file", None, Some(format)),
    };
    match (name, &config.driver) {
        ("driver", _) => some(driver),
        ("line_limit", _) => some(print_size(config.line_limit)),
        ("address", InputDriver::Tcp { address, .. }) => some(address.value.as_str()),
        ("path", InputDriver::File { paths, .. }) => {
            some(print_words(&paths.iter().map(|path| path.value.as_str()).collect::<Vec<_>>()))
        }
        (
            "max_connections",
            InputDriver::StatsWriter { max_connections, .. }
            | InputDriver::Unix { max_connections, .. }
            | InputDriver::Tcp { max_connections, .. },
        ) => some(max_connections.to_string()),
        (
            "open_events_max",
            InputDriver::StatsWriter { open_events, .. } | InputDriver::File { open_events, .. },
        ) => some(open_events.max.to_string()),
        (
            "open_events_max_size",
            InputDriver::StatsWriter { open_events, .. } | InputDriver::File { open_events, .. },
        ) => some(print_size(open_events.max_size)),
        ("format", _) => format.map_or(Shown::Absent, |format| {
            some(match format {
                InputFormat::Auto => "auto",
                InputFormat::Json => "json",
                InputFormat::TabText => "tab-text",
                InputFormat::StatsWriter => "stats-writer",
            })
        }),
        (_, InputDriver::Http(config)) => http_input(config, name),
        _ => socket_of.map_or(Shown::Absent, |config| socket(config, name)),
    }
}

fn http_input(config: &HttpConfig, name: &str) -> Shown {
    let file = |file: &Option<Placed<PathBuf>>| match file {
        Some(file) => some(file.value.display().to_string()),
        None => Shown::Unset,
    };
    match name {
        "address" => some(config.address.value.as_str()),
        "max_connections" => some(config.max_connections.to_string()),
        "http_path" => some(config.path.value.as_str()),
        "http_bearer_token_file" => file(&config.bearer_token_file),
        "http_request_max_size" => some(print_size(config.request_max_size)),
        "http_requests_max_size" => some(print_size(config.requests_max_size)),
        "http_request_timeout" => some(print_duration(config.request_timeout)),
        "http_idle_timeout" => some(print_duration(config.idle_timeout)),
        "http_answer_timeout" => some(print_duration(config.answer_timeout)),
        "ssl_server_cert_file" => file(&config.cert_file),
        "ssl_server_key_file" => file(&config.key_file),
        "ssl_server_ca_file" => file(&config.ca_file),
        _ => Shown::Absent,
    }
}

fn listener(config: &ListenerConfig, name: &str) -> Shown {
    match (name, &config.driver) {
        ("driver", ListenerDriver::StatsReader { .. }) => some("stats-reader"),
        ("driver", ListenerDriver::Http { .. }) => some("http"),
        ("listen", ListenerDriver::Http { addresses, .. }) => {
            let addresses: Vec<_> = addresses.iter().map(|one| one.value.as_str()).collect();
            some(print_words(&addresses))
        }
        ("openmetrics_compat", ListenerDriver::Http { compat, .. }) => some(match compat {
            OpenMetricsCompat::Off => "off",
            OpenMetricsCompat::Dovecot => "dovecot",
        }),
        (_, ListenerDriver::StatsReader { socket: config }) => socket(config, name),
        (_, ListenerDriver::Http { .. }) => Shown::Absent,
    }
}

fn socket(socket: &Socket, name: &str) -> Shown {
    match name {
        "path" => some(print_words(&[socket.path.value.to_string_lossy().as_ref()])),
        "mode" => some(format!("{:04o}", socket.mode)),
        "user" => maybe(socket.user.as_ref()),
        "group" => maybe(socket.group.as_ref()),
        _ => Shown::Absent,
    }
}

fn exporter(config: &ExporterConfig, name: &str) -> Shown {
    some(match name {
        "driver" => config.driver.value.clone(),
        "format" => config.format.value.clone(),
        "queue" => match config.queue {
            QueueKind::Memory => "memory".to_owned(),
            QueueKind::Spill => "spill".to_owned(),
            QueueKind::Durable => "durable".to_owned(),
        },
        "queue_max_size" => print_size(config.queue_max_size),
        "spool_max_size" => print_size(config.spool_max_size),
        "queue_full" => match config.queue_full {
            QueueFull::Block => "block".to_owned(),
            QueueFull::DropNewest => "drop_newest".to_owned(),
            QueueFull::DropOldest => "drop_oldest".to_owned(),
        },
        "batch_max_size" => print_size(config.batch_max_size),
        "batch_max_events" => config.batch_max_events.to_string(),
        "batch_timeout" => print_duration(config.batch_timeout),
        "retry_min_pause" => print_duration(config.retry_min_pause),
        "retry_max_pause" => print_duration(config.retry_max_pause),
        "retry_max_attempts" => config.retry_max_attempts.to_string(),
        "retry_max_age" => print_duration(config.retry_max_age),
        "breaker_failures" => config.breaker_failures.to_string(),
        "dead_letters" => if config.dead_letters { "keep" } else { "drop" }.to_owned(),
        "dead_letters_max_size" => print_size(config.dead_letters_max_size),
        _ => return Shown::Absent,
    })
}

fn plugin(text: &mut String, properties: Vec<Property<'_>>, settings: &Settings) {
    for property in properties {
        match settings.get(property.name) {
            Some(value)
                if (property.secret && property.default != Some(value)) || has_password(value) =>
            {
                line(text, "  ", format_args!("# {} is set, and not shown", property.name));
            }
            Some(value) if !property.secret => {
                assign(text, "  ", property.name, &property.kind.print(value));
            }
            Some(_) | None => line(text, "  ", format_args!("#{} =", property.name)),
        }
    }
}

/// Whether the value is a URL with a password in it.
fn has_password(value: &serde_json::Value) -> bool {
    let authority = value
        .as_str()
        .and_then(|text| text.split_once("://"))
        .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    authority
        .and_then(|authority| authority.rsplit_once('@'))
        .is_some_and(|(user, _)| user.contains(':'))
}

fn metric(config: &MetricConfig, name: &str) -> Shown {
    match name {
        "filter" => some(config.filter.value.as_str()),
        "fields" if config.fields.is_empty() => Shown::Unset,
        "fields" => {
            some(print_words(&config.fields.iter().map(|f| f.value.as_str()).collect::<Vec<_>>()))
        }
        "exporter" => maybe(config.exporter.as_ref()),
        "exporter_include" => some(print_words(&include(config.exporter_include))),
        "description" if config.description.is_empty() => Shown::Unset,
        "description" => some(config.description.as_str()),
        "group_by_max_series" => some(config.group_by_max_series.to_string()),
        // Groups are written as blocks.
        _ => Shown::Absent,
    }
}

/// The parts of an event that are chosen.
pub(super) fn include(include: Include) -> Vec<&'static str> {
    let Include { name, hostname, timestamps, categories, fields } = include;
    let chosen = [name, hostname, timestamps, categories, fields];
    INCLUDES.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(name, _)| *name).collect()
}

fn group_by(text: &mut String, level: &GroupBy) {
    open(text, "  ", "group_by", &level.field.value);
    let (method, settings) = method_settings(&level.method);
    open(text, "    ", "method", method);
    for (name, value) in settings {
        assign(text, "      ", name, &value);
    }
    text.push_str("    }\n  }\n");
}

/// A method's name, and its settings as they are written in its block.
pub(super) fn method_settings(method: &Method) -> (&'static str, Vec<(&'static str, String)>) {
    match method {
        Method::Discrete { modifier } => ("discrete", vec![("modifier", modifier.to_string())]),
        Method::Exponential { min_magnitude, max_magnitude, base } => (
            "exponential",
            vec![
                ("min_magnitude", min_magnitude.to_string()),
                ("max_magnitude", max_magnitude.to_string()),
                ("base", base.to_string()),
            ],
        ),
        Method::Linear { min, max, step } => (
            "linear",
            vec![("min", min.to_string()), ("max", max.to_string()), ("step", step.to_string())],
        ),
    }
}
