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
    let registry = registry(&parsed.plugins(), placement);
    show_refused(&registry);
    let checks = Checks { schemas: &registry, filter: &check_filter, inputs_required };
    let loaded = parsed.load(checks);
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

/// The plugins that a configuration asks for.
fn registry(plugins: &Plugins, placement: Placement) -> Registry {
    let own = plugins.directories.iter().map(|directory| directory.value.clone());
    let directories: Vec<PathBuf> = own.chain(default_directories()).collect();
    let pins: Pins =
        plugins.pins.iter().map(|pin| (pin.name.value.clone(), pin.sha256.value.clone())).collect();
    Registry::scan(&directories, &pins, placement)
}

/// Shows the files that are no usable plugins, a line each.
pub(super) fn show_refused(registry: &Registry) {
    for (path, reason) in registry.refused() {
        errln!("warning: plugin refused: {} {reason}", path.display());
    }
}
