//! What a configuration of Dovecot 2.3 says about statistics, in the syntax of 2.4.
//!
//! Exporters and metrics are written anew from what was understood of them, so read again
//! they mean the same. The blocks `service stats` are rewritten setting by setting. What
//! can't be carried over becomes a comment where it stood, and a note.

use std::fmt::Write as _;

use super::dovecot::is_stats;
use super::effective::{include, method_settings, print_words, quoted_name};
use super::exporters::{is_dovecot_client, is_legacy};
use super::schema::{Schemas, properties};
use super::settings::{Config, ExporterConfig, MetricConfig};
use super::source::{Place, Sources};
use super::table::BlockKind;
use super::tree::{Block, BlockId, Setting, Tree, Value};
use super::value::print_text;
use super::variables::Variables;

/// A converted configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// The text for Dovecot 2.4.
    pub text: String,
    /// What has to be told besides, one a line, with its place. Each is a comment
    /// in the text as well.
    pub notes: Vec<String>,
}

/// Fields that have another name since 2.4.
/// A name that is a new one as well comes behind the one that it was before.
const RENAMED: &[(&str, &str)] = &[
    ("bytes_in", "net_in_bytes"),
    ("bytes_out", "net_out_bytes"),
    ("passdb", "passdb_driver"),
    ("passdb_name", "passdb"),
    ("userdb", "userdb_driver"),
    ("userdb_name", "userdb"),
];

/// The settings that Dovecot's own drivers have, besides those of its HTTP and TLS clients.
const DRIVERS: &[&str] = &["file_path", "http_post_url", "unix_connect_timeout", "unix_path"];

/// Settings of a service in 2.3: the name in 2.4 (empty: there is none), and what
/// `doveconf` prints if nobody has set it.
const SERVICE: &[(&str, &str, &str)] = &[
    ("chroot", "chroot", ""),
    ("client_limit", "client_limit", "0"),
    ("drop_priv_before_exec", "drop_priv_before_exec", "no"),
    ("executable", "executable", "stats"),
    ("extra_groups", "extra_groups", ""),
    ("group", "group", ""),
    ("idle_kill", "idle_kill_interval", "4294967295 secs"),
    ("privileged_group", "privileged_group", ""),
    ("process_limit", "process_limit", "1"),
    ("process_min_avail", "process_min_avail", "0"),
    ("protocol", "", ""),
    ("service_count", "restart_request_count", "0"),
    ("type", "", ""),
    ("user", "user", "$default_internal_user"),
    ("vsz_limit", "vsz_limit", "18446744073709551615 B"),
];

/// The listeners that are there without being written, with what `doveconf` of 2.3 prints
/// of them.
const LISTENERS: &[(&str, &[(&str, &str)])] = &[
    ("login/stats-writer", &[("mode", "0600"), ("user", "$default_login_user")]),
    ("stats-reader", &[("mode", "0600")]),
    ("stats-writer", &[("mode", "0660"), ("group", "$default_internal_group")]),
];

struct Writer<'a> {
    tree: &'a Tree,
    sources: &'a Sources,
    variables: &'a Variables<'a>,
    rename: bool,
    done: Converted,
}

/// Writes `config`, which was read from `tree`, for Dovecot 2.4. `rename` gives fields the
/// names that they have there.
pub(super) fn converted(
    config: &Config,
    schemas: &dyn Schemas,
    tree: &Tree,
    sources: &Sources,
    variables: &Variables<'_>,
    rename: bool,
) -> Converted {
    let mut writer = Writer { tree, sources, variables, rename, done: Converted::default() };
    writer.server();
    for (id, block) in tree.children(Tree::TOP) {
        let name = block.name.as_ref().map_or("", |name| name.as_str());
        match block.kind.as_str() {
            "event_exporter" => {
                let found = config.exporters.iter().find(|one| one.name.value == name);
                found.into_iter().for_each(|one| writer.exporter(one, block, schemas));
            }
            "metric" => {
                let found = config.metrics.iter().find(|one| one.name.value == name);
                found.into_iter().for_each(|one| writer.metric(one, block));
            }
            _ if is_stats(block) => writer.service(id, block),
            _ => {}
        }
    }
    writer.done
}

impl Writer<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        let indent = "  ".repeat(depth);
        writeln!(self.done.text, "{indent}{text}").expect("invariant: a String takes everything");
    }

    fn assign(&mut self, depth: usize, name: &str, value: &str) {
        // Dovecot's values have one line.
        let value = value.replace(['\n', '\r'], " ");
        let value = if value.is_empty() { String::new() } else { print_text(&value) };
        self.line(depth, format!("{name} = {value}").trim_end());
    }

    fn open(&mut self, depth: usize, kind: &str, name: &str) {
        if depth == 0 && !self.done.text.is_empty() {
            self.done.text.push('\n');
        }
        self.line(depth, &format!("{kind} {} {{", quoted_name(name)));
    }

    /// Tells something in a comment and in a note.
    fn note(&mut self, depth: usize, place: Place, text: &str) {
        self.line(depth, &format!("# {text}"));
        let (line, _) = self.sources.line_and_column(place);
        let path = self.sources.path(place.file).display();
        self.done.notes.push(format!("{path}:{line}: {text}"));
    }

    /// The setting of the stats process's own HTTP server.
    fn server(&mut self) {
        let settings = &self.tree.block(Tree::TOP).settings;
        let found =
            settings.iter().rev().find(|setting| setting.key.as_str() == "stats_http_rawlog_dir");
        let Some(found) = found else { return };
        let directory = self.variables.value(Tree::TOP, found, &mut Vec::new());
        if !directory.as_str().is_empty() {
            self.line(0, "stats_server {");
            self.assign(1, "http_server_rawlog_dir", directory.as_str());
            self.line(0, "}");
        }
    }

    fn exporter(&mut self, config: &ExporterConfig, block: &Block, schemas: &dyn Schemas) {
        self.open(0, "event_exporter", &config.name.value);
        let (driver, format) = (&config.driver.value, &config.format.value);
        self.assign(1, "driver", driver);
        self.assign(1, "format", format);
        if let Some(time) = config.format_settings.get("time_format").and_then(|time| time.as_str())
        {
            self.assign(1, "time_format", time);
        }
        let properties = schemas.driver(driver).map(properties).unwrap_or_default();
        for property in &properties {
            let places = &config.places.0;
            let Some((_, place)) = places.iter().find(|(name, _)| name == property.name) else {
                continue;
            };
            let Some(value) = config.driver_settings.get(property.name) else { continue };
            if DRIVERS.contains(&property.name) || is_dovecot_client(property.name) {
                let value = property.kind.print(value);
                self.assign(1, property.name, &value);
                self.tell_variables(*place, &value);
            } else {
                self.tell_own(property.name, *place);
            }
        }
        for setting in &block.settings {
            let name = BlockKind::Exporter.short_name(setting.key.as_str());
            let place = setting.key.place();
            let is_plugins = properties.iter().any(|property| property.is_called(name));
            let host = BlockKind::Exporter.setting(name).map(|entry| entry.name);
            if is_legacy(name) && !is_plugins && !setting.value.written().as_str().is_empty() {
                self.note(1, place, &format!("`{name}` says nothing to the driver `{driver}`"));
            } else if host.is_some_and(|name| name != "driver" && name != "format") {
                self.tell_own(name, place);
            }
        }
        self.line(0, "}");
    }

    fn tell_own(&mut self, name: &str, place: Place) {
        self.note(1, place, &format!("`{name}` is Fantail's own: Dovecot does not know it"));
    }

    fn tell_variables(&mut self, place: Place, value: &str) {
        if value.contains("%{") {
            self.note(1, place, "`%{` begins a variable in 2.4: write `%%{` if it is none");
        }
    }

    fn metric(&mut self, config: &MetricConfig, block: &Block) {
        self.open(0, "metric", &config.name.value);
        if !config.description.is_empty() {
            self.assign(1, "description", &config.description);
        }
        let filter = match self.rename {
            true => renamed_keys(&config.filter.value),
            false => config.filter.value.clone(),
        };
        self.assign(1, "filter", &filter);
        self.tell_variables(config.filter.place, &filter);
        let fields: Vec<&str> =
            config.fields.iter().map(|field| self.renamed(&field.value)).collect();
        if !fields.is_empty() {
            self.assign(1, "fields", &print_words(&fields));
        }
        for level in &config.group_by {
            self.open(1, "group_by", self.renamed(&level.field.value));
            let (method, settings) = method_settings(&level.method);
            self.open(2, "method", method);
            for (name, value) in settings {
                // What a method has without saying it.
                if (name, value.as_str()) != ("modifier", "%{value}") {
                    self.assign(3, name, &value);
                }
            }
            self.line(2, "}");
            self.line(1, "}");
        }
        if let Some(exporter) = &config.exporter {
            self.assign(1, "exporter", &exporter.value);
        }
        let is_include = |setting: &Setting| {
            BlockKind::Metric.short_name(setting.key.as_str()) == "exporter_include"
        };
        if block.settings.iter().any(is_include) {
            self.assign(1, "exporter_include", &print_words(&include(config.exporter_include)));
        }
        self.tell_names(config);
        self.line(0, "}");
    }

    /// Tells of names that events of 2.4 do not have.
    fn tell_names(&mut self, config: &MetricConfig) {
        for (old, new) in RENAMED {
            let is_field = config.fields.iter().any(|field| field.value == *old);
            let is_group = config.group_by.iter().any(|level| level.field.value == *old);
            let filter = &config.filter.value;
            let is_key = renamed_key(filter, old, new) != *filter;
            if !self.rename && (is_field || is_group || is_key) {
                let text = format!("events of 2.4 call `{old}` `{new}` (--rename-fields)");
                self.note(1, config.filter.place, &text);
            }
        }
        let is_service = |name: &str| name == "service";
        if config.fields.iter().any(|field| is_service(&field.value))
            || config.group_by.iter().any(|level| is_service(&level.field.value))
            || renamed_key(&config.filter.value, "service", "") != config.filter.value
        {
            let text = "in events of 2.4's auth processes `service` is called `protocol`";
            self.note(1, config.filter.place, text);
        }
    }

    fn renamed<'b>(&self, name: &'b str) -> &'b str {
        let new = RENAMED.iter().find(|(old, _)| self.rename && *old == name);
        new.map_or(name, |(_, new)| new)
    }

    fn service(&mut self, id: BlockId, block: &Block) {
        let start = self.done.text.len();
        self.open(0, "service", "stats");
        let inside = self.done.text.len();
        for setting in &block.settings {
            let name = setting.key.as_str();
            let known = SERVICE.iter().find(|(old, new, _)| *old == name || *new == name);
            let value = self.modern(id, setting);
            match known {
                Some((_, _, default)) if is_same(setting, default) => {}
                Some((_, "", _)) | None => {
                    let text = format!("`{name} = {value}` has no counterpart");
                    self.note(1, setting.key.place(), &text);
                }
                Some((_, "restart_request_count", _)) if value == "0" => {}
                Some((_, new, _)) => self.line(1, &format!("{new} = {value}")),
            }
        }
        for (listener, inner) in self.tree.children(id) {
            let name = inner.name.as_ref().map_or("", |name| name.as_str());
            match inner.kind.as_str() {
                "unix_listener" => self.unix_listener(listener, inner, name),
                "inet_listener" => self.inet_listener(listener, inner, name),
                kind => {
                    let text = format!("the {kind} `{name}` has no counterpart");
                    self.note(1, inner.place(), &text);
                }
            }
        }
        if self.done.text.len() == inside {
            self.done.text.truncate(start);
        } else {
            self.line(0, "}");
        }
    }

    fn unix_listener(&mut self, id: BlockId, block: &Block, name: &str) {
        let defaults = LISTENERS.iter().find(|(known, _)| *known == name).map(|(_, all)| *all);
        let is_default = |setting: &Setting| {
            let all = defaults.unwrap_or_default().iter();
            let found = all.clone().find(|(key, _)| *key == setting.key.as_str());
            is_same(setting, found.map_or("", |(_, default)| *default))
        };
        if defaults.is_some() && block.settings.iter().all(is_default) {
            return;
        }
        self.open(1, "unix_listener", name);
        let has_type = block.settings.iter().any(|setting| setting.key.as_str() == "type");
        if defaults.is_none() && !has_type {
            // What the name said in 2.3 has to be said.
            let ends = |file: &str| std::path::Path::new(name).ends_with(file);
            let kind = [("stats-writer", "writer"), ("stats-reader", "reader")];
            if let Some((_, kind)) = kind.iter().find(|(file, _)| ends(file)) {
                self.assign(2, "type", kind);
            }
        }
        for setting in block.settings.iter().filter(|setting| !is_default(setting)) {
            let value = self.modern(id, setting);
            self.line(2, &format!("{} = {value}", setting.key.as_str()));
        }
        self.line(1, "}");
    }

    fn inet_listener(&mut self, id: BlockId, block: &Block, name: &str) {
        self.open(1, "inet_listener", if name.is_empty() { "http" } else { name });
        let has_type = block.settings.iter().any(|setting| setting.key.as_str() == "type");
        if name != "http" && name.rsplit('-').next() == Some("http") && !has_type {
            self.assign(2, "type", "http");
        }
        for setting in &block.settings {
            let value = self.modern(id, setting);
            let key = match setting.key.as_str() {
                "address" => "listen",
                key => key,
            };
            let says_nothing = value.is_empty()
                || value == "no" && matches!(key, "haproxy" | "reuse_port" | "ssl");
            if !says_nothing {
                self.line(2, &format!("{key} = {value}"));
            }
        }
        self.line(1, "}");
    }

    /// A value as it is written, with variables in the form of 2.4.
    fn modern(&self, id: BlockId, setting: &Setting) -> String {
        let Value::WithVariables(text) = &setting.value else {
            let value = self.variables.value(id, setting, &mut Vec::new());
            let value = value.as_str();
            return if value.is_empty() { String::new() } else { print_text(value) };
        };
        let words = text.as_str().split(' ').map(|word| match word.strip_prefix('$') {
            Some(name) if !name.contains(':') => format!("$SET:{name}"),
            _ => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Whether a setting says what it would be without being written; nothing at all is that, too.
fn is_same(setting: &Setting, default: &str) -> bool {
    let written = setting.value.written().as_str();
    written.is_empty() || written == default || written.replace("$SET:", "$") == default
}

/// A filter with the keys of 2.4.
fn renamed_keys(filter: &str) -> String {
    let all = RENAMED.iter();
    all.fold(filter.to_owned(), |filter, (old, new)| renamed_key(&filter, old, new))
}

/// A filter with one key renamed: the word, quoted or not, where an operator follows.
fn renamed_key(filter: &str, old: &str, new: &str) -> String {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_:.*?/%-".contains(&byte);
    let (mut text, mut at) = (String::new(), 0);
    while let Some(start) = filter[at..].find(old).map(|found| at + found) {
        let end = start + old.len();
        let before = filter[..start].bytes().next_back();
        let behind = filter[end..].trim_start_matches('"').trim_start().bytes().next();
        let is_key = !before.is_some_and(is_word)
            && !filter[end..].bytes().next().is_some_and(is_word)
            && behind.is_some_and(|byte| b"=<>".contains(&byte));
        text.push_str(&filter[at..start]);
        text.push_str(if is_key { new } else { old });
        at = end;
    }
    text.push_str(&filter[at..]);
    text
}
