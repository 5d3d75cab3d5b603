//! What a configuration would do, as tables: where events come from, who can read the
//! host, and for each metric where its events go.

use super::table::{Side, Table};
use crate::config::{
    Config, ExporterConfig, GroupBy, InputConfig, ListenerConfig, MetricConfig, Schemas,
    schema::{Settings, properties},
    settings::{InputDriver, ListenerDriver, Socket},
};

/// So many characters of a filter are shown.
const FILTER_MAX: usize = 48;

/// The tables, each followed by an empty line.
pub(super) fn plan(config: &Config, schemas: &dyn Schemas) -> String {
    let mut inputs = table(["INPUT", "DRIVER", "FROM"]);
    for input in &config.inputs {
        let (driver, from) = of_input(input);
        inputs.row([input.name.value.as_str(), driver, &from]);
    }
    let mut listeners = table(["LISTENER", "DRIVER", "AT"]);
    for listener in &config.listeners {
        let (driver, at) = of_listener(listener);
        listeners.row([listener.name.value.as_str(), driver, &at]);
    }
    let heads = ["METRIC", "FILTER", "GROUPS", "EXPORTER", "FORMAT", "DRIVER", "TARGET"];
    let mut metrics = table(heads);
    for metric in &config.metrics {
        let exporter = exporter_of(metric, config);
        let target = exporter.map_or(String::new(), |exporter| target(exporter, schemas));
        metrics.row([
            metric.name.value.clone(),
            short(&metric.filter.value),
            groups(&metric.group_by),
            metric.exporter.as_ref().map_or("-".to_owned(), |name| name.value.clone()),
            exporter.map_or(String::new(), |exporter| exporter.format.value.clone()),
            exporter.map_or(String::new(), |exporter| exporter.driver.value.clone()),
            target,
        ]);
    }
    let shown = [
        (inputs, config.inputs.is_empty()),
        (listeners, config.listeners.is_empty()),
        (metrics, config.metrics.is_empty()),
    ];
    let shown = shown.into_iter().filter(|(_, is_empty)| !is_empty);
    shown.map(|(table, _)| format!("{}\n", table.text())).collect()
}

fn table<const N: usize>(heads: [&str; N]) -> Table {
    Table::new(heads.map(|head| (head, Side::Left)))
}

fn of_input(input: &InputConfig) -> (&'static str, String) {
    match &input.driver {
        InputDriver::StatsWriter { socket, .. } => ("stats-writer", of_socket(socket)),
        InputDriver::Unix { socket, .. } => ("unix", of_socket(socket)),
        InputDriver::Tcp { address, .. } => ("tcp", address.value.clone()),
        InputDriver::Http(http) => {
            let scheme = if http.cert_file.is_some() { "https" } else { "http" };
            ("http", format!("{scheme}://{}{}", http.address.value, http.path.value))
        }
        InputDriver::Stdin { .. } => ("stdin", String::new()),
        InputDriver::File { paths, .. } => {
            let paths: Vec<&str> = paths.iter().map(|path| path.value.as_str()).collect();
            ("file", paths.join(" "))
        }
    }
}

fn of_listener(listener: &ListenerConfig) -> (&'static str, String) {
    match &listener.driver {
        ListenerDriver::StatsReader { socket } => ("stats-reader", of_socket(socket)),
        ListenerDriver::Http { addresses, .. } => {
            let urls = addresses.iter().map(|one| format!("http://{}/metrics", one.value));
            ("http", urls.collect::<Vec<_>>().join(" "))
        }
    }
}

/// `PATH (MODE OWNER:GROUP)`.
fn of_socket(socket: &Socket) -> String {
    let name = |name: &Option<_>| match name {
        Some(crate::config::Placed { value, .. }) => String::clone(value),
        None => String::new(),
    };
    let owner = match (name(&socket.user), name(&socket.group)) {
        (user, group) if user.is_empty() && group.is_empty() => String::new(),
        (user, group) => format!(" {user}:{group}"),
    };
    format!("{} ({:04o}{owner})", socket.path.value.display(), socket.mode)
}

fn exporter_of<'a>(metric: &MetricConfig, config: &'a Config) -> Option<&'a ExporterConfig> {
    let wanted = &metric.exporter.as_ref()?.value;
    config.exporters.iter().find(|exporter| exporter.name.value == *wanted)
}

/// Where a driver takes payloads: the settings that it can't do without, or else the one that
/// is called its target.
fn target(exporter: &ExporterConfig, schemas: &dyn Schemas) -> String {
    let properties = schemas.driver(&exporter.driver.value).map(properties).unwrap_or_default();
    let value = |name: &str| text(&exporter.driver_settings, name);
    let required = properties.iter().filter(|property| property.required && !property.secret);
    let required: Vec<String> = required.filter_map(|property| value(property.name)).collect();
    match required.is_empty() {
        true => value(&format!("{}_target", exporter.driver.value)).unwrap_or_default(),
        false => required.join(" "),
    }
}

/// A setting's value, if it is a text, without a password.
fn text(settings: &Settings, name: &str) -> Option<String> {
    let value = settings.get(name)?.as_str()?;
    let Some((scheme, rest)) = value.split_once("://") else { return Some(value.to_owned()) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(format!("{scheme}://{host}{behind}"))
}

fn groups(levels: &[GroupBy]) -> String {
    let fields: Vec<&str> = levels.iter().map(|level| level.field.value.as_str()).collect();
    fields.join(", ")
}

/// A filter in one line, its beginning if it is long.
fn short(filter: &str) -> String {
    let line = filter.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= FILTER_MAX {
        return line;
    }
    line.chars().take(FILTER_MAX - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::{FILTER_MAX, short, text};
    use serde_json::json;

    #[test]
    fn long_filters_are_cut() {
        assert_eq!(short("event=x  AND\n a=b"), "event=x AND a=b");
        let cut = short(&"ä".repeat(100));
        assert_eq!((cut.chars().count(), cut.ends_with("ä...")), (FILTER_MAX, true));
        assert_eq!(short(&"x".repeat(FILTER_MAX)), "x".repeat(FILTER_MAX));
    }

    #[test]
    fn no_password_is_shown() {
        let check = |written: &str, shown: &str| {
            let settings = [("s".to_owned(), json!(written))].into_iter().collect();
            assert_eq!(text(&settings, "s").as_deref(), Some(shown));
        };
        check("/var/log/a@b", "/var/log/a@b");
        check("https://u:p@h:1/a@b", "https://h:1/a@b");
        check("http://u:p/@h", "http://u:p/@h");
        check("http://u:p@h?x", "http://h?x");
    }
}
