//! `event_exporter` blocks to typed exporters.
//!
//! A setting of such a block is the host's, or the driver's, or the format's.
//! Names of Dovecot 2.3 are read as well: `transport`, `transport_args` and
//! `transport_timeout` through aliases, `format_args = time-unix` as
//! `time_format = unix`.

use std::path::Path;

use serde_json::Value;

use super::diagnostic::Diagnostic;
use super::ignored::{Ignored, Reason};
use super::reader::{Reader, Section, short};
use super::schema::{Property, PropertyKind, Schemas, Settings, properties};
use super::settings::{ExporterConfig, QueueFull, QueueKind, SettingPlaces};
use super::source::{Place, Placed};
use super::table::{BlockKind, Kind};
use super::text::Text;
use super::tree::{Block, BlockId, Tree};
use super::value;

/// Settings of 2.3 that every exporter may have; a driver without arguments
/// takes no notice of them. With each, what `doveconf` prints if nobody has set it.
const LEGACY: &[(&str, &[&str])] =
    &[("transport_args", &[""]), ("transport_timeout", &["250 ms", "250 msecs"])];

/// What Dovecot's HTTP and TLS clients can be told, and so an exporter in a
/// configuration of Dovecot's. What no plugin takes of it is not an error.
const DOVECOT_CLIENT: &[(&str, &[&str])] = &[
    (
        "http_client_",
        &[
            "auto_redirect",
            "auto_retry",
            "base_dir",
            "connect_backoff_max_time",
            "connect_backoff_time",
            "connect_timeout",
            "delete_request_max_attempts",
            "delete_request_timeout",
            "dns_ttl",
            "max_auto_retry_delay",
            "max_connect_attempts",
            "max_idle_time",
            "max_parallel_connections",
            "max_pipelined_requests",
            "proxy_password",
            "proxy_socket_path",
            "proxy_ssl_tunnel",
            "proxy_url",
            "proxy_username",
            "rawlog_dir",
            "read_request_max_attempts",
            "read_request_timeout",
            "request_absolute_timeout",
            "request_max_attempts",
            "request_max_redirects",
            "request_timeout",
            "response_hdr_max_field_size",
            "response_hdr_max_fields",
            "response_hdr_max_size",
            "socket_recv_buffer_size",
            "socket_send_buffer_size",
            "soft_connect_timeout",
            "user_agent",
            "write_request_max_attempts",
            "write_request_timeout",
        ],
    ),
    (
        "ssl_",
        &[
            "cipher_list",
            "cipher_suites",
            "client_ca_dir",
            "client_ca_file",
            "client_cert_file",
            "client_key_file",
            "client_key_password",
            "client_require_valid_cert",
            "crypto_device",
            "curve_list",
            "min_protocol",
            "options",
            "peer_certificate_fingerprint_hash",
        ],
    ),
];

/// Whether this is a setting of Dovecot's HTTP or TLS clients.
pub(super) fn is_dovecot_client(name: &str) -> bool {
    DOVECOT_CLIENT
        .iter()
        .any(|(prefix, names)| name.strip_prefix(prefix).is_some_and(|rest| names.contains(&rest)))
}

/// Whether this is a setting that every exporter of 2.3 may have.
pub(super) fn is_legacy(name: &str) -> bool {
    LEGACY.iter().any(|(known, _)| *known == name)
}

/// Where the times of events are written, by the name of Dovecot 2.4.
const TIME_FORMAT: &str = "time_format";

/// Reads one `event_exporter` block; `None` when it cannot be one.
pub(super) fn read(
    reader: &mut Reader<'_>,
    id: BlockId,
    schemas: &dyn Schemas,
) -> Option<ExporterConfig> {
    let section = Section { id, kind: BlockKind::Exporter };
    let name = reader.name(section);
    let driver = reader.text(section, "driver")?;
    let format = reader.text(section, "format");
    if format.is_none() {
        reader.missing(section, "format");
    }
    let driver_schema = schemas.driver(&driver.value);
    if driver_schema.is_none() {
        unknown_plugin(reader, "driver", &driver, &schemas.driver_names());
    }
    let format_schema = format.as_ref().and_then(|format| {
        let schema = schemas.format(&format.value);
        if schema.is_none() {
            unknown_plugin(reader, "format", format, &schemas.format_names());
        }
        schema
    });
    let queue = queue(reader, section);
    let (Some(driver_schema), Some(format_schema)) = (driver_schema, format_schema) else {
        settings_of_known(reader, section, [driver_schema, format_schema]);
        return None;
    };
    let driver_properties = properties(driver_schema);
    let format_properties = properties(format_schema);
    refuse_unknown(reader, section, &driver_properties, &format_properties);
    let (driver_settings, mut places) = plugin_settings(reader, section, &driver_properties);
    let (mut format_settings, more) = plugin_settings(reader, section, &format_properties);
    places.extend(more);
    time_format(reader, section, &format_properties, &mut format_settings);
    let retry_min_pause = reader.duration(section, "retry_min_pause");
    let retry_max_pause = reader.duration(section, "retry_max_pause");
    if retry_min_pause.value > retry_max_pause.value {
        let message = "the shortest pause is longer than the longest";
        reader.error(retry_min_pause.place, message, "see retry_max_pause");
    }
    let (queue_max_size, batch_max_size) =
        (reader.size(section, "queue_max_size"), reader.size(section, "batch_max_size"));
    if batch_max_size > queue_max_size {
        let place = reader.block(section).place();
        let message =
            format!("{} has batches larger than its queue", reader.block(section).title());
        reader.error(place, message, "see batch_max_size and queue_max_size");
    }
    Some(ExporterConfig {
        name,
        driver,
        format: format?,
        driver_settings,
        format_settings,
        places: SettingPlaces(places),
        queue: queue?,
        queue_max_size,
        spool_max_size: reader.size(section, "spool_max_size"),
        queue_full: match reader.choice(section, "queue_full")?.value {
            0 => QueueFull::Block,
            1 => QueueFull::DropNewest,
            _ => QueueFull::DropOldest,
        },
        batch_max_size,
        batch_max_events: reader.count(section, "batch_max_events") as u64,
        batch_timeout: reader.duration(section, "batch_timeout").value,
        retry_min_pause: retry_min_pause.value,
        retry_max_pause: retry_max_pause.value,
        retry_max_attempts: reader.count(section, "retry_max_attempts") as u32,
        retry_max_age: reader.duration(section, "retry_max_age").value,
        breaker_failures: reader.count(section, "breaker_failures") as u32,
        dead_letters: reader.choice(section, "dead_letters")?.value == 1,
        dead_letters_max_size: reader.size(section, "dead_letters_max_size"),
    })
}

/// The plugins that one `event_exporter` block names.
pub(super) fn plugin_names(reader: &mut Reader<'_>, id: BlockId) -> Vec<Placed<String>> {
    let section = Section { id, kind: BlockKind::Exporter };
    let names = ["driver", "format"].map(|name| reader.text(section, name));
    names.into_iter().flatten().collect()
}

/// Checks what can be checked when a plugin is unknown: the settings of the one
/// that is known, and slips. Other settings may be the unknown plugin's.
fn settings_of_known(reader: &mut Reader<'_>, section: Section, schemas: [Option<&Value>; 2]) {
    let known: Vec<Property<'_>> = schemas.into_iter().flatten().flat_map(properties).collect();
    plugin_settings(reader, section, &known);
    let names: Vec<&str> = known.iter().map(|property| property.name).collect();
    let host = BlockKind::Exporter.settings().map(|setting| setting.name);
    let near: Vec<&str> = host.chain(names.iter().copied()).collect();
    let may_be = |name: &str| {
        known.iter().any(|property| property.is_called(name))
            || is_legacy(name)
            || matches!(name, TIME_FORMAT | "format_args")
            || is_dovecot_client(name)
            || value::nearest(name, near.iter().copied()).is_none()
    };
    reader.refuse_unknown(section, "", may_be, &names);
}

fn queue(reader: &mut Reader<'_>, section: Section) -> Option<QueueKind> {
    Some(match reader.choice(section, "queue")?.value {
        0 => QueueKind::Memory,
        1 => QueueKind::Spill,
        _ => QueueKind::Durable,
    })
}

fn unknown_plugin(reader: &mut Reader<'_>, what: &str, name: &Placed<String>, known: &[&str]) {
    let mut problem = Diagnostic::error(name.place, format!("unknown {what} `{}`", name.value));
    if let Some(near) = value::nearest(&name.value, known.iter().copied()) {
        problem = problem.label(format!("did you mean `{near}`?"));
    }
    let mut known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    known.sort_unstable();
    reader.diagnostics.push(problem.help(match known.is_empty() {
        true => format!("no {what} plugin was found in any plugin directory"),
        false => format!("the {what}s that exist: {}", known.join(", ")),
    }));
    reader.plugin_missed = true;
}

fn refuse_unknown(
    reader: &mut Reader<'_>,
    section: Section,
    driver: &[Property<'_>],
    format: &[Property<'_>],
) {
    let all = || driver.iter().chain(format);
    let is_plugins = |name: &str| all().any(|property| property.is_called(name));
    let is_known = |name: &str| {
        is_plugins(name)
            || is_legacy(name)
            || matches!(name, TIME_FORMAT | "format_args")
            || is_dovecot_client(name)
    };
    for setting in &reader.block(section).settings {
        let name = section.kind.short_name(setting.key.as_str());
        if is_dovecot_client(name) && !is_plugins(name) {
            let place = setting.key.place();
            reader.ignored.push(Ignored::new(Reason::Client, name, place));
        }
    }
    refuse_blocks(reader, section, all());
    let names: Vec<&str> = all().map(|property| property.name).collect();
    let before = reader.diagnostics.len();
    reader.refuse_unknown(section, "", is_known, &names);
    reader.plugin_missed |= reader.diagnostics.len() > before;
    for (name, default) in LEGACY {
        let used = all().any(|property| property.is_called(name));
        if let Some((_, setting)) = reader.find(section, |key| key == *name).filter(|_| !used) {
            let place = setting.key.place();
            if default.contains(&setting.value.written().as_str()) {
                reader.ignored.push(Ignored::new(Reason::Argument, *name, place));
                continue;
            }
            reader.diagnostics.push(Diagnostic::warning(
                place,
                format!("the driver of {} takes no `{name}`", reader.block(section).title()),
            ));
        }
    }
}

/// The values of a plugin's settings, defaults included, and where they were written.
fn plugin_settings(
    reader: &mut Reader<'_>,
    section: Section,
    properties: &[Property<'_>],
) -> (Settings, Vec<(String, Place)>) {
    let (mut settings, mut places) = (Settings::new(), Vec::new());
    let mut created = Vec::new();
    for property in properties {
        let top = Section { id: Tree::TOP, kind: BlockKind::Top };
        let found = reader
            .find(section, |key| property.is_called(key))
            .or_else(|| reader.find(top, |key| property.name == key).filter(|_| property.global));
        let text = found.map(|(block, setting)| {
            let text = reader.variables.value(block, setting, &mut reader.diagnostics);
            reader.variables.globals(text, &mut reader.diagnostics)
        });
        // As in Dovecot, an empty value is none.
        let text = text.filter(|text| !text.as_str().is_empty());
        let mut value = text.as_ref().and_then(|text| property_value(reader, property, text));
        if property.kind == PropertyKind::Map {
            let order = found.map_or(0, |(_, setting)| setting.order);
            if let Some((pairs, place)) = map_of_block(reader, section, property, order, &value) {
                value = Some(pairs);
                places.push((property.name.to_owned(), place));
            }
        }
        if let Some(text) = &text {
            // An error message is no place for a password.
            let place = if property.secret { text.place().head() } else { text.place() };
            places.push((property.name.to_owned(), place));
            if property.creates {
                created.push(text.clone());
            }
        }
        match value.or_else(|| property.default.cloned()) {
            Some(value) => {
                settings.insert(property.name.to_owned(), value);
            }
            None if property.required && text.is_none() => missing(reader, section, property),
            None => {}
        }
    }
    let is_on = |property: &Property<'_>| settings.get(property.name) == Some(&Value::Bool(true));
    if !properties.iter().any(|property| property.creates_directories && is_on(property)) {
        created.iter().for_each(|path| directory_exists(reader, path));
    }
    (settings, places)
}

/// The texts of a setting that is a block, and where it stands: added to those of the flat
/// form, when they were written after that. An empty text takes a name out, as anywhere.
fn map_of_block(
    reader: &mut Reader<'_>,
    section: Section,
    property: &Property<'_>,
    order: usize,
    flat: &Option<Value>,
) -> Option<(Value, Place)> {
    let is_map = |block: &Block| {
        block.name.is_none() && property.is_called(section.kind.short_name(block.kind.as_str()))
    };
    let (id, block) = reader.tree.children(section.id).find(|(_, block)| is_map(block))?;
    let mut pairs = flat.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    for setting in block.settings.iter().filter(|setting| setting.order > order) {
        let text = reader.variables.value(id, setting, &mut reader.diagnostics);
        match text.as_str() {
            "" => pairs.remove(setting.key.as_str()),
            text => pairs.insert(setting.key.as_str().to_owned(), Value::from(text)),
        };
    }
    Some((Value::Object(pairs), block.place()))
}

/// Refuses blocks in the place of settings that are none.
fn refuse_blocks<'a>(
    reader: &mut Reader<'_>,
    section: Section,
    properties: impl Iterator<Item = &'a Property<'a>> + Clone,
) {
    for (id, block) in reader.tree.children(section.id) {
        let name = section.kind.short_name(block.kind.as_str());
        let Some(property) = properties.clone().find(|property| property.is_called(name)) else {
            continue;
        };
        let inner = reader.tree.children(id).next();
        let (place, message) = match (&property.kind, &block.name, inner) {
            (PropertyKind::Map, None, None) => continue,
            (PropertyKind::Map, Some(_), _) => {
                (block.place(), format!("the block `{name}` has no name"))
            }
            (PropertyKind::Map, None, Some((_, inner))) => {
                (inner.kind.place(), format!("the block `{name}` has no blocks"))
            }
            _ => (block.kind.place(), format!("`{name}` is a setting, not a block")),
        };
        reader.error(place, message, format!("{}: {}", property.name, property.description));
    }
}

/// Warns of a file that could not be made. It is no error: the directory may be
/// there when the host runs.
fn directory_exists(reader: &mut Reader<'_>, path: &Text) {
    // What is behind a variable of an event is not known now.
    let known = path.as_str().find("%{").map_or(path.as_str(), |at| &path.as_str()[..=at]);
    let directory = match Path::new(known).parent() {
        Some(directory) if directory.as_os_str().is_empty() => Path::new("."),
        Some(directory) => directory,
        None => return,
    };
    if !reader.variables.is_dir(directory) {
        let message = format!("there is no directory {}", directory.display());
        reader.diagnostics.push(Diagnostic::warning(path.place(), message).help(
            "it must exist when the host runs, and let the host's user make files; \
             until it does, events wait in the queue",
        ));
    }
}

fn missing(reader: &mut Reader<'_>, section: Section, property: &Property<'_>) {
    let message = format!("{} has no `{}`", reader.block(section).title(), property.name);
    let description = property.description.replace('\n', " ");
    let help = format!("{}: {description}", property.name);
    reader.absent(section, property.name, message, help);
}

fn property_value(reader: &mut Reader<'_>, property: &Property<'_>, text: &Text) -> Option<Value> {
    match property.kind.read(text.as_str()) {
        Ok(value) => Some(value),
        // An error message is no place for a password.
        Err(wrong) if property.secret => {
            reader.error(text.place().head(), format!("`{}` {wrong}", property.name), "");
            None
        }
        Err(wrong) => {
            let mut problem = Diagnostic::error(text.place(), format!("`{}` {wrong}", short(text)));
            if let PropertyKind::Choice(words) = &property.kind
                && let Some(near) = value::nearest(text.as_str(), words.iter().copied())
            {
                problem = problem.label(format!("did you mean `{near}`?"));
            }
            reader.diagnostics.push(problem);
            None
        }
    }
}

/// `format_args` of 2.3, and a `time_format` for a format that writes none.
fn time_format(
    reader: &mut Reader<'_>,
    section: Section,
    properties: &[Property<'_>],
    settings: &mut Settings,
) {
    let property = properties.iter().find(|property| property.is_called(TIME_FORMAT));
    let modern = reader.find(section, |key| key == TIME_FORMAT);
    if let (None, Some((_, setting))) = (property, modern) {
        let message = format!("the format of {} writes no times", reader.block(section).title());
        reader.diagnostics.push(Diagnostic::warning(setting.key.place(), message));
    }
    let Some((block, setting)) = reader.find(section, |key| key == "format_args") else { return };
    let text = reader.variables.value(block, setting, &mut reader.diagnostics);
    for range in value::words(text.as_str()) {
        let word = text.part(range);
        let Some(time) = word.as_str().strip_prefix("time-") else {
            let known = Kind::Choice(&["time-rfc3339", "time-unix"]);
            reader.wrong(&word, "is no format argument", known);
            continue;
        };
        let Some(property) = property else { continue };
        let time = word.part(word.as_str().len() - time.len()..word.as_str().len());
        let newer = modern.is_some_and(|(_, modern)| modern.order > setting.order);
        match property_value(reader, property, &time) {
            Some(value) if !newer => {
                settings.insert(property.name.to_owned(), value);
            }
            Some(_) | None => {}
        }
    }
}
