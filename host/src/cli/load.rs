//! A configuration and its plugins, as every sub-command that takes one loads them.

use std::{
    io::{IsTerminal, stderr},
    path::PathBuf,
};

use super::console::{errln, write_err};
use crate::{
    config::{self, Checks, Config, Diagnostics, Plugins, Severity, Surroundings, check_filter},
    plugin::{Pins, Placement, Registry, default_directories},
};

/// A configuration that has been loaded, with the plugins it may use.
pub(super) struct Loaded {
    /// `None` when there are errors; they have been shown.
    pub(super) config: Option<Config>,
    /// The plugins.
    pub(super) registry: Registry,
    /// How many errors were shown.
    pub(super) errors: usize,
    /// How many warnings were shown.
    pub(super) warnings: usize,
}

/// Loads a configuration, and shows what is wrong with it on standard error.
pub(super) fn load(paths: &[PathBuf], placement: Placement, inputs_required: bool) -> Loaded {
    load_in(paths, Surroundings::MACHINE, placement, inputs_required)
}

/// The same, with files and an environment of the caller's choice.
pub(super) fn load_in(
    paths: &[PathBuf],
    surroundings: Surroundings<'_>,
    placement: Placement,
    inputs_required: bool,
) -> Loaded {
    let parsed = config::parse(paths, surroundings);
    let plugins = parsed.plugins();
    let pins: Pins =
        plugins.pins.iter().map(|pin| (pin.name.value.clone(), pin.sha256.value.clone())).collect();
    let mut registry = registry(&plugins, &parsed.plugin_names(), &pins, placement);
    let load = |registry: &Registry| {
        parsed.load(Checks { schemas: registry, filter: &check_filter, inputs_required })
    };
    let mut loaded = load(&registry);
    if loaded.plugin_missed && !registry.is_whole() {
        registry.load_rest(&pins, placement);
        loaded = load(&registry);
    }
    show_refused(&registry);
    write_err(format_args!("{}", loaded.diagnostics.render(stderr().is_terminal())));
    Loaded {
        config: loaded.config,
        errors: count(&loaded.diagnostics, Severity::Error),
        warnings: count(&loaded.diagnostics, Severity::Warning),
        registry,
    }
}

fn count(diagnostics: &Diagnostics, severity: Severity) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}

/// The plugins that a configuration names, and pins.
fn registry(plugins: &Plugins, named: &[String], pins: &Pins, placement: Placement) -> Registry {
    let own = plugins.directories.iter().map(|directory| directory.value.clone());
    let directories: Vec<PathBuf> = own.chain(default_directories()).collect();
    let names = named.iter().chain(pins.keys()).map(String::as_str);
    Registry::find(&directories, &names.collect::<Vec<_>>(), pins, placement)
}

/// Shows the files that are no usable plugins, a line each.
pub(super) fn show_refused(registry: &Registry) {
    for (path, reason) in registry.refused() {
        errln!("warning: plugin refused: {} {reason}", path.display());
    }
}
