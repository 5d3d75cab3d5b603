//! A configuration and its plugins, as every sub-command that takes one loads them.

use std::{
    io::{IsTerminal, stderr},
    path::PathBuf,
};

use super::console::write_err;
use crate::{
    config::{
        self, Checks, Config, Diagnostic, Diagnostics, Ignored, Plugins, Severity, Sources,
        Surroundings, check_filter,
    },
    inherited::Inherited,
    pipeline::{Pipeline, Rebuild},
    plugin::{Pins, Placement, Registry, default_directories},
    telemetry::log as host_log,
};

/// What a configuration is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be run.
    Run,
    /// To be run by a command that ends soon.
    RunBriefly,
    /// To say what is wrong with it, as `Run` would.
    Check,
    /// To be printed. What plugins and the system have against it does not matter.
    Print,
    /// To be converted: only what is wrong with it is said.
    Convert,
}

/// A configuration that has been loaded, with the plugins it may use.
pub(super) struct Loaded {
    /// `None` when there are errors; they have been shown.
    pub(super) config: Option<Config>,
    /// What is to be run; `None` when there are errors, and for printing.
    pub(super) pipeline: Option<Pipeline>,
    /// The plugins.
    pub(super) registry: Registry,
    /// What means nothing here, each in a line: where it was written, and what it is.
    pub(super) ignored: Vec<[String; 3]>,
    /// How many errors were shown.
    pub(super) errors: usize,
    /// How many warnings were shown.
    pub(super) warnings: usize,
}

impl Purpose {
    fn placement(self) -> Placement {
        match self {
            Purpose::Run => Placement::PrivateCopy,
            Purpose::RunBriefly | Purpose::Check | Purpose::Print | Purpose::Convert => {
                Placement::InPlace
            }
        }
    }
}

/// Loads a configuration, and shows what is wrong with it on standard error.
pub(super) fn load(paths: &[PathBuf], purpose: Purpose) -> Loaded {
    load_in(paths, Surroundings::MACHINE, purpose)
}

/// The same, with files and an environment of the caller's choice.
pub(super) fn load_in(
    paths: &[PathBuf],
    surroundings: Surroundings<'_>,
    purpose: Purpose,
) -> Loaded {
    let none = Inherited::default();
    let said = load_silently(paths, surroundings, purpose, &none, &mut Pipeline::build);
    if purpose == Purpose::Convert && said.loaded.config.is_some() {
        return said.loaded;
    }
    write_err(format_args!("{}{}", said.refused, said.diagnostics.render(stderr().is_terminal())));
    said.loaded
}

/// Loads a configuration to be run with these sockets, and shows what is wrong with it where
/// the host's log goes.
pub(super) fn load_to_run(paths: &[PathBuf], inherited: &Inherited) -> Loaded {
    let build = &mut Pipeline::build;
    let said = load_silently(paths, Surroundings::MACHINE, Purpose::Run, inherited, build);
    said.show();
    said.loaded
}

/// Loads a running host's configuration anew, and has it made a pipeline of; with it
/// comes everything that there is to say about it, which has been shown.
pub(super) fn load_anew(
    paths: &[PathBuf],
    inherited: &Inherited,
    rebuild: &mut Rebuild<'_>,
) -> (Loaded, String) {
    let said = load_silently(paths, Surroundings::MACHINE, Purpose::Run, inherited, rebuild);
    said.show();
    (said.loaded, said.refused + &said.diagnostics.render(false))
}

/// The same without a word, for who has said it already.
pub(super) fn load_silently_anew(paths: &[PathBuf], inherited: &Inherited) -> Loaded {
    let build = &mut Pipeline::build;
    load_silently(paths, Surroundings::MACHINE, Purpose::Run, inherited, build).loaded
}

/// A configuration that has been loaded, and what there is to say about it.
struct Said {
    loaded: Loaded,
    /// Lines about files that are no usable plugins.
    refused: String,
    diagnostics: Diagnostics,
}

impl Said {
    /// Shows it on standard error. Dovecot's log process would take each line for an error
    /// that has no level.
    fn show(&self) {
        if host_log::Style::of_process() != host_log::Style::Dovecot {
            let color = stderr().is_terminal();
            write_err(format_args!("{}{}", self.refused, self.diagnostics.render(color)));
            return;
        }
        self.refused.lines().for_each(|line| log::warn!("{line}"));
        for (severity, text) in self.diagnostics.rendered(false) {
            let level = match severity {
                Severity::Error => log::Level::Error,
                Severity::Warning => log::Level::Warn,
                Severity::Note => log::Level::Info,
            };
            text.lines().for_each(|line| log::log!(level, "{line}"));
        }
    }
}

fn load_silently(
    paths: &[PathBuf],
    surroundings: Surroundings<'_>,
    purpose: Purpose,
    inherited: &Inherited,
    build: &mut Rebuild<'_>,
) -> Said {
    let parsed = config::parse(paths, surroundings).with_sockets(inherited.offers());
    let plugins = parsed.plugins();
    let pins: Pins =
        plugins.pins.iter().map(|pin| (pin.name.value.clone(), pin.sha256.value.clone())).collect();
    let mut registry = registry(&plugins, &parsed.plugin_names(), &pins, purpose.placement());
    let inputs_required = matches!(purpose, Purpose::Run | Purpose::RunBriefly);
    let load = |registry: &Registry| {
        parsed.load(Checks { schemas: registry, filter: &check_filter, inputs_required })
    };
    let mut loaded = load(&registry);
    if loaded.plugin_missed && !registry.is_whole() {
        registry.load_rest(&pins, purpose.placement());
        loaded = load(&registry);
    }
    let mut pipeline = None;
    if !matches!(purpose, Purpose::Print | Purpose::Convert)
        && let Some(config) = loaded.config.as_ref().or(loaded.sound.as_ref())
    {
        match build(config, &registry) {
            Ok(built) => pipeline = Some(built),
            Err(errors) => {
                let errors = errors.iter();
                loaded
                    .diagnostics
                    .extend(errors.map(|error| Diagnostic::error(error.place, error.to_string())));
            }
        }
    }
    let mut diagnostics = loaded.diagnostics;
    let ignored = loaded.ignored.iter().map(|one| ignored(one, diagnostics.sources())).collect();
    diagnostics.extend(refused_directories(&plugins, &registry));
    let config = loaded.config.filter(|_| !diagnostics.has_errors());
    Said {
        refused: refused_files(&registry, &plugins),
        loaded: Loaded {
            pipeline: pipeline.filter(|_| config.is_some()),
            config,
            ignored,
            errors: count(&diagnostics, Severity::Error),
            warnings: count(&diagnostics, Severity::Warning),
            registry,
        },
        diagnostics,
    }
}

fn ignored(one: &Ignored, sources: &Sources) -> [String; 3] {
    let (line, _) = sources.line_and_column(one.place);
    let place = format!("{}:{line}", sources.path(one.place.file).display());
    [place, one.name.clone(), one.reason.text()]
}

fn count(diagnostics: &Diagnostics, severity: Severity) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}

/// What is wrong with the directories that the configuration names.
fn refused_directories(plugins: &Plugins, registry: &Registry) -> Vec<Diagnostic> {
    let refused = registry.refused().iter().filter_map(|(path, reason)| {
        let directory = plugins.directories.iter().find(|known| known.value == *path)?;
        let message = format!("plugin_dir {} {reason}", path.display());
        Some(Diagnostic::warning(directory.place, message))
    });
    refused.collect()
}

/// Shows the files that are no usable plugins, a line each.
fn refused_files(registry: &Registry, plugins: &Plugins) -> String {
    let is_placed = |path: &PathBuf| plugins.directories.iter().any(|known| known.value == *path);
    let refused = registry.refused().iter().filter(|(path, _)| !is_placed(path));
    refused
        .map(|(path, reason)| format!("warning: plugin refused: {} {reason}\n", path.display()))
        .collect()
}

/// The plugins that a configuration names, and pins.
fn registry(plugins: &Plugins, named: &[String], pins: &Pins, placement: Placement) -> Registry {
    let own = plugins.directories.iter().map(|directory| directory.value.clone());
    let directories: Vec<PathBuf> = own.chain(default_directories()).collect();
    let names = named.iter().chain(pins.keys()).map(String::as_str);
    Registry::find(&directories, &names.collect::<Vec<_>>(), pins, placement)
}

/// Shows everything that was refused, a line each.
pub(super) fn show_refused(registry: &Registry) {
    write_err(format_args!("{}", refused_files(registry, &Plugins::default())));
}
