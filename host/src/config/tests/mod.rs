//! The configuration as a whole: texts in, settings or messages out.

mod assumed;
mod conf_d;
mod converted;
mod dovecot;
mod errors;
mod language;
mod random;
mod typed;

use std::path::PathBuf;

use serde_json::{Value, json};

use super::files::Memory;
use super::{Checks, Config, Loaded, Parsed, Schemas, Surroundings};
use super::{check_filter, effective, parse};

/// The plugins that these tests pretend to have.
struct Plugins(Vec<(&'static str, Value)>, Vec<(&'static str, Value)>);

impl Schemas for Plugins {
    fn driver(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, schema)| schema)
    }

    fn format(&self, name: &str) -> Option<&Value> {
        self.1.iter().find(|(known, _)| *known == name).map(|(_, schema)| schema)
    }

    fn driver_names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }

    fn format_names(&self) -> Vec<&str> {
        self.1.iter().map(|(name, _)| *name).collect()
    }
}

fn plugins() -> Plugins {
    let nothing = json!({"type": "object", "properties": {}});
    let times = json!({"type": "object", "properties": {
        "time_format": {"description": "How times are written.", "default": "rfc3339", "oneOf": [
            {"const": "rfc3339", "description": "2019-06-19T10:38:25.422744Z"},
            {"const": "unix", "description": "1560940705.422744"},
        ]},
    }});
    let log = json!({"properties": {
        "log_target": {"enum": ["auto", "syslog", "journal", "stderr"], "default": "auto"},
        "log_syslog_socket": {"type": "string", "default": "/dev/log"},
        "log_journal_socket": {"type": "string", "default": "/run/systemd/journal/socket"},
        "log_format": {"enum": ["line", "rfc5424"], "default": "line"},
        "log_facility": {"enum": ["mail", "local0"], "default": "mail"},
        "log_severity": {"enum": ["info", "event"], "default": "info"},
        "log_app_name": {"type": "string", "default": "fantail"},
        "log_fields": {"type": "array", "items": {"type": "string"}},
    }});
    let file = json!({"properties": {
        "file_path": {"type": "string"},
        "file_create_directories": {"type": "boolean", "default": false},
        "file_max_open": {"type": "integer", "default": 128, "minimum": 1, "maximum": 65_536},
        "file_rotate_size": {"type": "integer", "format": "bytes", "default": 0},
        "file_rotate_interval": {"type": "integer", "format": "milliseconds", "default": 0},
        "file_rotate_keep": {"type": "integer", "default": 0},
        "file_rotate_compress": {"enum": ["none", "gzip"], "default": "none"},
        "file_fsync": {"enum": ["never", "batch", "interval"], "default": "never"},
        "file_fsync_interval": {"type": "integer", "format": "milliseconds", "default": 1000},
    }, "required": ["file_path"]});
    let unix = json!({"properties": {
        "unix_path": {"type": "string"},
        "unix_connect_timeout": {"type": "integer", "format": "milliseconds", "default": 250,
            "maximum": 3_600_000, "x-aliases": ["transport_timeout"]},
        "unix_write_timeout": {"type": "integer", "format": "milliseconds", "default": 1000},
        "unix_socket_type": {"enum": ["stream", "datagram"], "default": "stream"},
    }, "required": ["unix_path"]});
    Plugins(
        vec![
            ("drop", nothing.clone()),
            ("log", log),
            ("file", file),
            ("unix", unix),
            ("http-post", http_post()),
        ],
        vec![("none", nothing), ("json", times.clone()), ("tab-text", times)],
    )
}

/// The settings of `http-post`, and some that a plugin might have.
fn http_post() -> Value {
    json!({"properties": {
        "http_post_url": {"type": "string", "x-aliases": ["transport_args"]},
        "http_client_request_absolute_timeout": {"type": "integer", "format": "milliseconds",
            "default": 250, "minimum": 1, "x-aliases": ["transport_timeout"], "x-global": true},
        "http_client_max_parallel_connections": {"type": "integer", "default": 4, "minimum": 1,
            "maximum": 64, "x-global": true},
        "http_post_batch": {"default": "none", "oneOf": [{"const": "none"}, {"const": "ndjson"},
            {"const": "json-array"}, {"const": "lines"}]},
        "http_post_batch_max_events": {"type": "integer", "default": 1000},
        "http_post_batch_max_size": {"type": "integer", "format": "bytes", "default": 1 << 20},
        "http_post_compression": {"default": "none", "enum": ["none", "gzip", "zstd"]},
        "http_post_relay": {"type": "boolean", "default": false},
        "http_post_headers": {"type": "object", "additionalProperties": {"type": "string"},
            "default": {}, "writeOnly": true},
        "http_post_username": {"type": "string", "default": ""},
        "http_post_password": {"type": "string", "default": "", "writeOnly": true},
        "http_post_password_file": {"type": "string", "default": ""},
        "http_post_bearer_token_file": {"type": "string", "default": ""},
        "http_client_request_timeout": {"type": "integer", "format": "milliseconds",
            "default": 60_000, "minimum": 1, "x-global": true},
        "http_client_connect_timeout": {"type": "integer", "format": "milliseconds",
            "default": 0, "x-global": true},
        "http_client_max_idle_time": {"type": "integer", "format": "milliseconds",
            "default": 4000, "x-global": true},
        "http_client_request_max_attempts": {"type": "integer", "default": 0},
        "http_client_connect_backoff_time": {"type": "integer", "format": "milliseconds",
            "default": 0, "x-global": true},
        "http_client_connect_backoff_max_time": {"type": "integer", "format": "milliseconds",
            "default": 60_000, "x-global": true},
        "http_client_max_auto_retry_delay": {"type": "integer", "format": "milliseconds",
            "default": 600_000, "x-global": true},
        "http_client_request_max_redirects": {"type": "integer", "default": 0, "x-global": true},
        "http_client_auto_redirect": {"type": "boolean", "default": true, "x-global": true},
        "http_client_user_agent": {"type": "string", "default": "", "x-global": true},
        "http_client_proxy_url": {"type": "string", "default": "", "x-global": true},
        "http_client_proxy_username": {"type": "string", "default": "", "x-global": true},
        "ssl_client_ca_file": {"type": "string", "default": "", "x-global": true},
        "ssl_client_cert_file": {"type": "string", "default": "", "x-global": true},
        "ssl_client_key_file": {"type": "string", "default": "", "x-global": true},
        "ssl_client_require_valid_cert": {"type": "boolean", "default": true, "x-global": true},
        "test_size": {"anyOf": [{"type": "integer", "format": "bytes"}, {"type": "null"}],
            "default": null},
        "http_client_proxy_password": {"type": ["string", "null"], "writeOnly": true},
        "test_file": {"type": "string", "format": "path-to-create", "default": ""},
        "test_directories": {"type": "boolean", "x-creates-directories": true},
        "test_words": {"type": "array", "items": {"type": "string"}},
        "test_pairs": {"type": "object", "additionalProperties": {"type": "string"}},
    }, "required": ["http_post_url"]})
}

fn environment(name: &str) -> Option<String> {
    (name == "NAME").then(|| "from the environment".to_owned())
}

fn load_files(files: &Memory, paths: &[&str]) -> Loaded {
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    load_parsed(parse(&paths, Surroundings { files, environment: &environment }))
}

fn load_parsed(parsed: Parsed<'_>) -> Loaded {
    let plugins = plugins();
    parsed.load(Checks { schemas: &plugins, filter: &check_filter, inputs_required: false })
}

fn load(text: &str) -> Loaded {
    load_files(&Memory::new(&[("a.conf", text)]), &["a.conf"])
}

/// Loads what has no errors, and sees to it that its effective text says the
/// same.
fn good(text: &str) -> Config {
    let loaded = load(text);
    let shown = loaded.diagnostics.render(false);
    let config = loaded.config.unwrap_or_else(|| panic!("{text}\n{shown}"));
    let printed = effective(&config, &plugins());
    let again = load(&printed);
    let shown = again.diagnostics.render(false);
    assert_eq!(again.config.as_ref(), Some(&config), "{printed}\n{shown}");
    assert_eq!(effective(&config, &plugins()), printed);
    config
}

/// The messages about a text, one a line: `error 3:5: message`.
fn messages(loaded: &Loaded) -> Vec<String> {
    let sources = loaded.diagnostics.sources();
    loaded
        .diagnostics
        .iter()
        .map(|diagnostic| {
            let place = diagnostic.place.map_or(String::new(), |place| {
                let (line, column) = sources.line_and_column(place);
                let text = &sources.text(place.file)[place.start..place.end];
                format!(" {line}:{column} [{text}]")
            });
            format!("{}{place}: {}", diagnostic.severity, diagnostic.message)
        })
        .collect()
}

/// What is ignored, one a line: `line name: what it is`.
fn ignored(loaded: &Loaded) -> Vec<String> {
    let shown = loaded.diagnostics.render(false);
    assert!(!loaded.diagnostics.has_errors(), "{shown}");
    let told = shown.matches("ignored (`fantail check -v` names them)").count();
    assert_eq!(told, usize::from(!loaded.ignored.is_empty()), "{shown}");
    let ignored = loaded.ignored.iter().map(|one| {
        let (line, _) = loaded.diagnostics.sources().line_and_column(one.place);
        format!("{line} {}: {}", one.name, one.reason.text())
    });
    ignored.collect()
}
