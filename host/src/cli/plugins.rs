//! `fantail plugins`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;

use super::{
    PluginArgs,
    console::{errln, outln},
    load::show_refused,
};
use crate::{
    config::schema::{Property, PropertyKind, properties},
    exit_code::Exit,
    plugin::{Library, Pins, Placement, Registry, default_directories},
};

#[derive(Debug, Subcommand)]
pub(super) enum PluginsCommand {
    /// List the plugins that are found.
    List(PluginArgs),
    /// Show a plugin's settings, with their types, defaults and meaning.
    Show {
        /// The plugin's name.
        name: String,
        #[command(flatten)]
        places: PluginArgs,
    },
}

/// Lists plugins, or shows one.
pub(super) fn plugins(command: &PluginsCommand) -> Exit {
    match command {
        PluginsCommand::List(places) => list(&scan(places)),
        PluginsCommand::Show { name, places } => show(&scan(places), name),
    }
}

/// The plugins in the given directories, and in the built-in ones.
pub(super) fn scan(places: &PluginArgs) -> Registry {
    let own = places.plugin_dir.iter().cloned();
    let directories: Vec<PathBuf> = own.chain(default_directories()).collect();
    let registry = Registry::scan(&directories, &Pins::default(), Placement::InPlace);
    show_refused(&registry);
    registry
}

fn list(registry: &Registry) -> Exit {
    outln!("{:<12} {:<7} {:<8} {:<6} DESCRIPTION", "NAME", "KIND", "VERSION", "SDK");
    for library in registry.libraries() {
        let Library { name, version, sdk_version, description, .. } = library;
        outln!("{name:<12} {:<7} {version:<8} {sdk_version:<6} {description}", kind(library));
        outln!("{:<12} {}", "", library.path.display());
    }
    Exit::Success
}

fn kind(library: &Library) -> &'static str {
    match (&library.format, &library.driver) {
        (Some(_), Some(_)) => "both",
        (Some(_), None) => "format",
        (None, Some(_)) => "driver",
        (None, None) => "nothing",
    }
}

fn show(registry: &Registry, name: &str) -> Exit {
    let Some(library) = registry.library(name) else {
        let known: Vec<_> =
            registry.libraries().iter().map(|library| format!("`{}`", library.name)).collect();
        if known.is_empty() {
            errln!("error: there is no plugin `{name}`, nor any other");
        } else {
            errln!("error: there is no plugin `{name}`; there are: {}", known.join(", "));
        }
        return Exit::Config;
    };
    outln!("{} {}: {}", library.name, library.version, library.description);
    outln!("file    {}", library.path.display());
    outln!("sha256  {}", library.sha256);
    outln!("sdk     {}", library.sdk_version);
    for (kind, schema) in [
        ("format", &library.format.as_ref().map(|(_, schema)| schema)),
        ("driver", &library.driver.as_ref().map(|(_, schema)| schema)),
    ] {
        if let Some(schema) = schema {
            outln!("");
            show_settings(kind, schema);
        }
    }
    Exit::Success
}

fn show_settings(kind: &str, schema: &Value) {
    let properties = properties(schema);
    if properties.is_empty() {
        outln!("The {kind} has no settings.");
        return;
    }
    outln!("Settings of the {kind}:");
    for property in &properties {
        let default = match (&property.default, property.required) {
            (_, true) => "required".to_owned(),
            (Some(default), false) => format!("default {}", written(default, &property.kind)),
            (None, false) => "no default".to_owned(),
        };
        outln!("\n  {} = {}   ({default})", property.name, value_hint(property));
        for line in wrapped(property.description, 72) {
            outln!("      {line}");
        }
        if !property.aliases.is_empty() {
            outln!("      Also written: {}", property.aliases.join(", "));
        }
    }
}

/// What can be written as the value.
fn value_hint(property: &Property<'_>) -> String {
    match &property.kind {
        PropertyKind::Text => "TEXT".into(),
        PropertyKind::Choice(words) => words.join(" | "),
        PropertyKind::Boolean => "yes | no".into(),
        PropertyKind::Integer(..) => "NUMBER".into(),
        PropertyKind::Milliseconds(..) => "TIME, as 250 ms or 5 min".into(),
        PropertyKind::Bytes(..) => "SIZE, as 64k or 32 MiB".into(),
        PropertyKind::List => "WORD ...".into(),
        PropertyKind::Map => "NAME=VALUE ..., or a block { NAME = VALUE }".into(),
    }
}

/// A default, as it would be written in a configuration.
fn written(value: &Value, kind: &PropertyKind<'_>) -> String {
    match (value, kind) {
        (Value::Null, _) => "none".into(),
        (Value::String(text), _) if text.is_empty() => "empty".into(),
        (Value::String(text), _) => text.clone(),
        (Value::Object(pairs), _) if pairs.is_empty() => "empty".into(),
        (Value::Bool(yes), _) => if *yes { "yes" } else { "no" }.into(),
        (Value::Number(number), PropertyKind::Milliseconds(..)) => format!("{number} ms"),
        (Value::Number(number), PropertyKind::Bytes(..)) => format!("{number} B"),
        (other, _) => other.to_string(),
    }
}

/// The text in lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("invariant: there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
