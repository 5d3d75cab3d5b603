//! What only the whole configuration can tell: names that refer to each other,
//! and things that two blocks cannot both have.

use std::collections::{HashMap, HashSet};

use super::diagnostic::{Diagnostic, Severity};
use super::settings::{
    Config, ExporterConfig, InputConfig, InputDriver, ListenerConfig, ListenerDriver, MetricConfig,
};
use super::source::Place;
use super::tree::Tree;
use super::value;

/// Checks a configuration. It may lack blocks of the tree that had errors.
/// `inputs_required`: it is about to be run, so events have to come from
/// somewhere.
pub(super) fn check(config: &Config, tree: &Tree, inputs_required: bool) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let blocks = |kind: &'static str| {
        tree.children(Tree::TOP).filter(move |(_, block)| block.kind.as_str() == kind)
    };
    let written: Vec<&str> = blocks("event_exporter")
        .filter_map(|(_, block)| block.name.as_ref())
        .map(|name| name.as_str())
        .collect();
    exporters(&config.metrics, &config.exporters, &written, &mut problems);
    sources(&config.inputs, &config.listeners, &mut problems);
    if config.inputs.is_empty() && blocks("input").next().is_none() {
        let severity = if inputs_required { Severity::Error } else { Severity::Warning };
        let is_off = blocks("service").any(|(id, block)| {
            let mut inner = tree.children(id);
            block.name.as_ref().is_some_and(|name| name.as_str() == "stats")
                && inner.any(|(_, listener)| listener.kind.as_str() == "unix_listener")
        });
        problems.push(Diagnostic::nowhere(severity, "there is no input").help(match is_off {
            true => {
                "the listeners for writers of `service stats` are switched off here (`mode = 0`): \
                 `input NAME {` with `driver = stats-writer` says where Dovecot's events come from"
            }
            false => "`input NAME {` or Dovecot's `service stats {` says where events come from",
        }));
    } else if config.metrics.is_empty() {
        problems.push(
            Diagnostic::nowhere(Severity::Warning, "there is no metric: all events are dropped")
                .help("`metric NAME {` with a filter says which events matter"),
        );
    }
    problems
}

fn exporters(
    metrics: &[MetricConfig],
    exporters: &[ExporterConfig],
    names: &[&str],
    problems: &mut Vec<Diagnostic>,
) {
    let used = metrics.iter().filter_map(|metric| Some((metric, metric.exporter.as_ref()?)));
    let names: HashSet<&str> = names.iter().copied().collect();
    let mut wanted: HashSet<&str> = HashSet::new();
    for (metric, exporter) in used {
        wanted.insert(&exporter.value);
        if names.contains(exporter.value.as_str()) {
            continue;
        }
        let message = format!(
            "metric `{}` refers to the event_exporter `{}`, which does not exist",
            metric.name.value, exporter.value
        );
        let mut problem = Diagnostic::error(exporter.place, message);
        if let Some(near) = value::nearest(&exporter.value, names.iter().copied()) {
            problem = problem.label(format!("did you mean `{near}`?"));
        }
        problems.push(problem);
    }
    for exporter in
        exporters.iter().filter(|exporter| !wanted.contains(exporter.name.value.as_str()))
    {
        let message = format!("no metric uses event_exporter `{}`", exporter.name.value);
        problems.push(Diagnostic::warning(exporter.name.place, message));
    }
}

/// No two inputs or listeners may have the same name or listen in the same place.
fn sources(inputs: &[InputConfig], listeners: &[ListenerConfig], problems: &mut Vec<Diagnostic>) {
    let mut names: HashMap<&str, Place> = HashMap::new();
    let mut sources: HashMap<String, Place> = HashMap::new();
    let mut once = |what: String, place: Place, sources: &mut HashMap<String, Place>| match sources
        .get(&what)
    {
        Some(&first) => problems.push(
            Diagnostic::error(place, format!("{what} is used twice"))
                .related(first, "the first one"),
        ),
        None => {
            sources.insert(what, place);
        }
    };
    // Of port 0 the system makes another one each time.
    let is_one = |address: &str| !address.ends_with(":0");
    for input in inputs {
        match &input.driver {
            InputDriver::StatsWriter { socket, .. } | InputDriver::Unix { socket, .. } => {
                let what = format!("the path `{}`", socket.path.value.display());
                once(what, socket.path.place, &mut sources);
            }
            InputDriver::Tcp { address, .. } if is_one(&address.value) => {
                once(format!("the address `{}`", address.value), address.place, &mut sources);
            }
            InputDriver::Http(http) if is_one(&http.address.value) => {
                let what = format!("the address `{}`", http.address.value);
                once(what, http.address.place, &mut sources);
            }
            InputDriver::Tcp { .. } | InputDriver::Http(_) => {}
            InputDriver::Stdin { .. } => {
                once("the standard input".to_owned(), input.name.place, &mut sources);
            }
            InputDriver::File { paths, .. } => {
                for path in paths {
                    once(format!("the file `{}`", path.value), path.place, &mut sources);
                }
            }
        }
    }
    for listener in listeners {
        match &listener.driver {
            ListenerDriver::StatsReader { socket } => {
                let what = format!("the path `{}`", socket.path.value.display());
                once(what, socket.path.place, &mut sources);
            }
            ListenerDriver::Http { addresses, .. } => {
                for address in addresses.iter().filter(|address| is_one(&address.value)) {
                    let what = format!("the address `{}`", address.value);
                    once(what, address.place, &mut sources);
                }
            }
        }
    }
    for input in inputs {
        if let Some(first) = names.insert(&input.name.value, input.name.place) {
            let message = format!("two inputs are called `{}`", input.name.value);
            problems
                .push(Diagnostic::error(input.name.place, message).related(first, "the first one"));
        }
    }
    let mut names: HashMap<&str, Place> = HashMap::new();
    for listener in listeners {
        if let Some(first) = names.insert(&listener.name.value, listener.name.place) {
            let message = format!("two listeners are called `{}`", listener.name.value);
            let problem = Diagnostic::error(listener.name.place, message);
            problems.push(problem.related(first, "the first one"));
        }
    }
}
