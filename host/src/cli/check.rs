//! `fantail check` and `fantail config`

use std::path::PathBuf;

use super::{
    console::{errln, out, outln},
    load::{Purpose, load},
    memory::Memory,
    plan::plan,
    table::{Side, Table},
};
use crate::{
    config::{self, Config, counted},
    exit_code::Exit,
    filter::{Filter, FilterSet},
    pipeline::workers,
    telemetry::log as host_log,
};

/// Checks a configuration as `run` would, without starting anything. `verbose` names all
/// that is ignored.
pub(super) fn check(paths: &[PathBuf], verbose: bool) -> Exit {
    host_log::start(log::LevelFilter::Warn);
    let loaded = load(paths, Purpose::Check);
    if verbose {
        print_ignored(&loaded.ignored);
    }
    let Some(config) = loaded.config else {
        errln!("{}, {}", counted(loaded.errors, "error"), counted(loaded.warnings, "warning"));
        return Exit::Config;
    };
    outln!(
        "ok: {}, {}, {}, {}",
        counted(config.inputs.len(), "input"),
        counted(config.metrics.len(), "metric"),
        counted(config.exporters.len(), "exporter"),
        counted(loaded.warnings, "warning"),
    );
    print_strategies(&config);
    outln!("  memory: {}", Memory::of(&config, workers(&config)).text());
    let plan = plan(&config, &loaded.registry);
    if !plan.is_empty() {
        outln!("\n{}", plan.trim_end_matches('\n'));
    }
    Exit::Success
}

/// Prints what means nothing here.
fn print_ignored(ignored: &[[String; 3]]) {
    if ignored.is_empty() {
        return;
    }
    let mut table = Table::new(["IGNORED", "NAME", "WHAT IT IS"].map(|head| (head, Side::Left)));
    ignored.iter().for_each(|row| table.row(row));
    outln!("{}", table.text());
}

/// Prints how many of the filters an event finds in which way.
fn print_strategies(config: &Config) {
    // They have been checked: what is no filter is an error of the configuration.
    let filters = config.metrics.iter().flat_map(|metric| Filter::parse(&metric.filter.value));
    for (count, how) in FilterSet::of(filters, config.unnamed_events).strategies().iter() {
        outln!("  {}: {how}", counted(count, "filter"));
    }
}

/// Prints the effective configuration.
pub(super) fn effective(paths: &[PathBuf]) -> Exit {
    let loaded = load(paths, Purpose::Print);
    let Some(config) = loaded.config else { return Exit::Config };
    out!("{}", config::effective(&config, &loaded.registry));
    Exit::Success
}
