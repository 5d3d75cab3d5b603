//! The configuration: from files to typed settings.
//!
//! 1. [`files`], `include`: paths to texts, with limits on both.
//! 2. `lexer`, `parser`: texts to a [`Tree`] of blocks and settings. Parsing
//!    never stops; every value remembers where each of its bytes stands.
//!    `assumed` adds what a Dovecot configuration means without saying it, and
//!    `groups` puts what settings groups say where it counts.
//! 3. `variables`: values as they are used.
//! 4. `reader`, with the [`table`] of the host's settings and the [`schema`]s of
//!    the plugins': blocks to the typed [`Config`].
//! 5. `check`: what only the whole can tell.
//! 6. [`effective`]: and back to text; `converted`: to the text of a newer Dovecot.
//!
//! [`added`] is another way to a metric: from the arguments of a command.
//!
//! The language is Dovecot's, of 2.3 and of 2.4. All errors are reported at
//! once, each with its place. Nothing here touches the network, or opens
//! anything for writing.

pub mod added;
pub mod diagnostic;
pub mod files;
pub mod group_by;
pub mod ignored;
pub mod schema;
pub mod settings;
pub mod source;
pub mod table;
pub mod text;
pub mod tree;

mod assumed;
mod check;
mod converted;
mod dovecot;
mod effective;
mod exporters;
mod filter_check;
mod groups;
mod include;
mod inherited;
mod inputs;
mod lexer;
mod listeners;
mod metrics;
mod old_filter;
mod parser;
mod reader;
mod value;
mod variables;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::PathBuf;

pub use converted::Converted;
pub use diagnostic::{Diagnostic, Diagnostics, Severity, counted};
pub use effective::effective;
pub use files::{Disk, Files};
pub use filter_check::{FilterCheck, FilterProblem, check_filter};
pub use group_by::GroupBy;
pub use ignored::Ignored;
pub use schema::Schemas;
pub use settings::{
    Config, ExporterConfig, InputConfig, ListenerConfig, MetricConfig, PluginPin, Plugins,
};
pub use source::{Place, Placed, Sources};
pub use tree::Tree;
pub use variables::Environment;

use crate::inherited::Offer;
use include::Read;
use reader::{Reader, Section};
use settings::LogLevel;
use table::BlockKind;
use variables::Variables;

/// What a configuration sees of the machine.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Its files.
    pub files: &'a dyn Files,
    /// Its environment variables.
    pub environment: &'a Environment<'a>,
}

/// What a configuration is checked against.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// The plugins that exist.
    pub schemas: &'a dyn Schemas,
    /// The filter language.
    pub filter: &'a FilterCheck<'a>,
    /// Whether a configuration without inputs is an error: it is when it is
    /// about to be run.
    pub inputs_required: bool,
}

/// A configuration that has been read, and not yet understood.
pub struct Parsed<'a> {
    surroundings: Surroundings<'a>,
    read: Read,
    /// Sockets that were opened for us.
    offers: Vec<Offer>,
}

/// A configuration that has been understood, or not.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; `None` when there are errors.
    pub config: Option<Config>,
    /// When there are errors: the inputs and exporters that have none, so that those
    /// who make them can say what is wrong with them, too.
    pub sound: Option<Config>,
    /// Errors, warnings and notes.
    pub diagnostics: Diagnostics,
    /// What means nothing here, in the order of the files. One of the notes counts it.
    pub ignored: Vec<Ignored>,
    /// Whether a name is unknown that a plugin might know, or be: if there are
    /// plugins that `schemas` lacked, it is worth asking again with all of them.
    pub plugin_missed: bool,
}

/// Loads files and directories from the disk, in order, as one configuration.
pub fn load(paths: &[PathBuf], checks: Checks<'_>) -> Loaded {
    parse(paths, Surroundings::MACHINE).load(checks)
}

/// Reads files and directories, in order, as one configuration.
///
/// This is half of [`load`], for those who first have to know where plugins
/// are, and then which settings they have.
pub fn parse<'a>(paths: &[PathBuf], surroundings: Surroundings<'a>) -> Parsed<'a> {
    Parsed { surroundings, read: include::read(paths, surroundings.files), offers: Vec::new() }
}

impl Surroundings<'static> {
    /// The disk, and the environment of the process.
    pub const MACHINE: Self = Surroundings { files: &Disk, environment: &machine_environment };
}

fn machine_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Parsed<'_> {
    /// Makes inputs and listeners of these sockets, unless the configuration has some for
    /// them.
    pub fn with_sockets(self, offers: Vec<Offer>) -> Self {
        Parsed { offers, ..self }
    }

    /// Where plugins come from. What is wrong about it is reported by
    /// [`Parsed::load`].
    pub fn plugins(&self) -> Plugins {
        plugins(&mut self.reader())
    }

    /// The sockets on which a host with this configuration can be read, and what is
    /// wrong with the configuration as far as it had to be looked at.
    pub fn reader_sockets(&self) -> (Vec<PathBuf>, Diagnostics) {
        let mut reader = self.reader();
        let (mut inputs, mut found) = (Vec::new(), Vec::new());
        for (id, block) in self.read.tree.children(Tree::TOP) {
            match block.kind.as_str() {
                "listener" => found.extend(listeners::read(&mut reader, id)),
                "service" if block.name.as_ref().is_some_and(|name| name.as_str() == "stats") => {
                    dovecot::listeners(&mut reader, id, &mut inputs, &mut found);
                }
                _ => {}
            }
        }
        let sockets = found.into_iter().filter_map(|listener| match listener.driver {
            settings::ListenerDriver::StatsReader { socket } => Some(socket.path.value),
            settings::ListenerDriver::Http { .. } => None,
        });
        let mut diagnostics = self.read.diagnostics.clone();
        diagnostics.extend(reader.take_diagnostics());
        (sockets.collect(), Diagnostics::new(diagnostics, self.read.sources.clone()))
    }

    /// Where what outlives a host with this configuration is kept, and what is wrong with the
    /// configuration as far as it had to be looked at; `None` when it could not be read.
    pub fn state_dir(&self) -> (Option<PathBuf>, Diagnostics) {
        let mut reader = self.reader();
        let found = reader.path(Section { id: Tree::TOP, kind: BlockKind::Top }, "state_dir");
        let mut diagnostics = self.read.diagnostics.clone();
        diagnostics.extend(reader.take_diagnostics());
        let diagnostics = Diagnostics::new(diagnostics, self.read.sources.clone());
        let found = found.filter(|_| !diagnostics.has_errors());
        (found.map(|found| found.value), diagnostics)
    }

    /// The plugins that exporters name.
    pub fn plugin_names(&self) -> Vec<String> {
        let mut reader = self.reader();
        let exporters = self.read.tree.children(Tree::TOP);
        let exporters = exporters.filter(|(_, block)| block.kind.as_str() == "event_exporter");
        let names = exporters.flat_map(|(id, _)| exporters::plugin_names(&mut reader, id));
        names.map(|name| name.value).collect()
    }

    /// Understands and checks everything.
    pub fn load(&self, checks: Checks<'_>) -> Loaded {
        let mut diagnostics = self.read.diagnostics.clone();
        let mut reader = self.reader();
        let config = self.config(&mut reader, checks);
        diagnostics.extend(reader.take_diagnostics());
        let plugin_missed = reader.plugin_missed;
        let mut ignored = self.read.ignored.clone();
        ignored.append(&mut reader.ignored);
        ignored.sort_by_key(|one| (self.read.sources.order(one.place.file), one.place.start));
        ignored.dedup();
        let note = |text| Diagnostic::nowhere(Severity::Note, text);
        diagnostics.extend(ignored::summary(&ignored).map(note));
        if let Some((config, _)) = &config {
            diagnostics.extend(check::check(config, &self.read.tree, checks.inputs_required));
        }
        let diagnostics = Diagnostics::new(diagnostics, self.read.sources.clone());
        let (config, sound) = match config {
            Some((config, sound)) if diagnostics.has_errors() => (None, Some(sound.of(config))),
            Some((config, _)) => (Some(config), None),
            None => (None, None),
        };
        Loaded { config, sound, diagnostics, ignored, plugin_missed }
    }

    /// What this says about statistics, in the syntax of Dovecot 2.4; `config` is what was
    /// understood of it. `rename` gives fields the names that they have there.
    pub fn converted(&self, config: &Config, schemas: &dyn Schemas, rename: bool) -> Converted {
        let Surroundings { files, environment } = self.surroundings;
        let Read { tree, sources, .. } = &self.read;
        let variables = Variables::new(tree, sources, files, environment);
        converted::converted(config, schemas, tree, sources, &variables, rename)
    }

    fn reader(&self) -> Reader<'_> {
        let Surroundings { files, environment } = self.surroundings;
        let Read { tree, sources, .. } = &self.read;
        Reader::new(tree, Variables::new(tree, sources, files, environment))
    }

    /// Everything that could be understood, and which parts of it have no errors.
    fn config(&self, reader: &mut Reader<'_>, checks: Checks<'_>) -> Option<(Config, Sound)> {
        let mut sound = Sound::default();
        let top = Section { id: Tree::TOP, kind: BlockKind::Top };
        dovecot::survey(reader, &self.read.sources, &|name, any| {
            is_of_plugin(checks.schemas, name, any)
        });
        let (mut inputs, mut exporters, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
        let mut listeners = Vec::new();
        for (id, block) in reader.tree.children(Tree::TOP) {
            let before = reader.diagnostics.len();
            let mut found = vec![block.place()];
            match block.kind.as_str() {
                "input" => {
                    inputs.extend(inputs::read(reader, id).map(|input| (block.order, input)))
                }
                "event_exporter" => exporters.extend(exporters::read(reader, id, checks.schemas)),
                "metric" => metrics.push(metrics::read(reader, id, checks.filter)),
                "listener" => listeners.extend(listeners::read(reader, id)),
                "service" if block.name.as_ref().is_some_and(|name| name.as_str() == "stats") => {
                    let (old_inputs, old_listeners) = (inputs.len(), listeners.len());
                    dovecot::listeners(reader, id, &mut inputs, &mut listeners);
                    found.extend(inputs[old_inputs..].iter().map(|(_, input)| input.name.place));
                    found.extend(listeners[old_listeners..].iter().map(|one| one.name.place));
                }
                _ => {}
            }
            if !reader.has_errors_since(before) {
                sound.0.extend(found);
            }
        }
        inherited::add(reader, &self.offers, &mut inputs, &mut listeners);
        // A service's listeners may stand before and behind input blocks.
        inputs.sort_by_key(|(order, _)| *order);
        let plugins = plugins(reader);
        pinned_exist(reader, &plugins.pins, checks.schemas);
        let config = Config {
            hostname: reader.text(top, "hostname"),
            workers: reader.count(top, "workers"),
            plugins,
            shutdown_timeout: reader.duration(top, "shutdown_timeout").value,
            log_level: match reader.choice(top, "log_level")?.value {
                0 => LogLevel::Error,
                1 => LogLevel::Warning,
                2 => LogLevel::Info,
                _ => LogLevel::Debug,
            },
            unnamed_events: reader.choice(top, "unnamed_events")?.value == 0,
            state_dir: reader.path(top, "state_dir")?,
            inputs: inputs.into_iter().map(|(_, input)| input).collect(),
            listeners,
            exporters,
            metrics,
        };
        Some((config, sound))
    }
}

/// The places of the blocks in which there was no error.
#[derive(Default)]
struct Sound(HashSet<Place>);

impl Sound {
    /// The inputs, listeners and exporters of `config` that are among these blocks.
    fn of(&self, mut config: Config) -> Config {
        config.inputs.retain(|input| self.0.contains(&input.name.place));
        config.listeners.retain(|listener| self.0.contains(&listener.name.place));
        config.exporters.retain(|exporter| self.0.contains(&exporter.name.place));
        config.metrics.clear();
        config
    }
}

/// Whether some plugin has a setting of this name: any, or only one that may
/// stand outside of exporters.
fn is_of_plugin(schemas: &dyn Schemas, name: &str, any: bool) -> bool {
    let drivers = schemas.driver_names().into_iter().filter_map(|plugin| schemas.driver(plugin));
    let formats = schemas.format_names().into_iter().filter_map(|plugin| schemas.format(plugin));
    drivers.chain(formats).flat_map(schema::properties).any(|property| {
        if any { property.is_called(name) } else { property.global && property.name == name }
    })
}

/// Reports pins of plugins that do not exist: a digest that nothing is compared
/// with protects nobody.
fn pinned_exist(reader: &mut Reader<'_>, pins: &[PluginPin], schemas: &dyn Schemas) {
    for PluginPin { name, .. } in pins.iter().filter(|pin| !schemas.knows(&pin.name.value)) {
        let message = format!("there is no plugin `{}` to be pinned", name.value);
        let mut problem = Diagnostic::error(name.place, message);
        let known = [schemas.driver_names(), schemas.format_names()].concat();
        if let Some(near) = value::nearest(&name.value, known) {
            problem = problem.label(format!("did you mean `{near}`?"));
        }
        reader.diagnostics.push(problem);
        reader.plugin_missed = true;
    }
}

/// Reads `plugin_dir` and the `plugin NAME { }` blocks.
fn plugins(reader: &mut Reader<'_>) -> Plugins {
    let top = Section { id: Tree::TOP, kind: BlockKind::Top };
    let directories = reader.list(top, "plugin_dir").into_iter();
    let directories = directories.map(|path| Placed::new(path.value.into(), path.place)).collect();
    let mut pins = Vec::new();
    for (id, block) in reader.tree.children(Tree::TOP) {
        // Without a name it is a block of Dovecot 2.3.
        if block.kind.as_str() != "plugin" || block.name.is_none() {
            continue;
        }
        let section = Section { id, kind: BlockKind::Plugin };
        let name = reader.name(section);
        reader.refuse_unknown(section, "", |_| false, &[]);
        let Some(text) = reader.written(section, "sha256") else {
            reader.missing(section, "sha256");
            continue;
        };
        let sha256 = text.as_str().to_ascii_lowercase();
        if sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            pins.push(PluginPin { name, sha256: Placed::new(sha256, text.place()) });
        } else {
            reader.error(
                text.place(),
                format!("`{}` is no SHA-256", reader::short(&text)),
                "64 hexadecimal digits, as `sha256sum FILE` prints them",
            );
        }
    }
    Plugins { directories, pins }
}
