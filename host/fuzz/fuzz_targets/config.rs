//! Any text either is a configuration, which says the same after it has been
//! printed, or is refused with errors that can be shown.

#![no_main]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use fantail::config::{Checks, Files, Schemas, Surroundings, check_filter, effective, parse};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// One file, which every name leads to.
struct OneFile<'a>(&'a [u8]);

impl Files for OneFile<'_> {
    fn read(&self, _: &Path, _: u64) -> io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }

    fn is_dir(&self, _: &Path) -> bool {
        false
    }

    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        Ok(vec![pattern.into()])
    }
}

/// Plugins of every name, with a setting of every type.
struct Any;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    json!({"properties": {
        "file_path": {"type": "string", "x-aliases": ["transport_args"]},
        "timeout": {"type": "integer", "format": "milliseconds", "default": 250},
        "size": {"type": ["integer", "null"], "format": "bytes", "x-global": true},
        "count": {"type": "integer", "minimum": -5, "maximum": 5},
        "redirect": {"type": "boolean", "default": true},
        "headers": {"type": "array", "items": {"type": "string"}},
        "time_format": {"enum": ["rfc3339", "unix"], "default": "rfc3339"},
    }, "required": ["file_path"]})
});

impl Schemas for Any {
    fn driver(&self, _: &str) -> Option<&Value> {
        Some(&SCHEMA)
    }

    fn format(&self, _: &str) -> Option<&Value> {
        Some(&SCHEMA)
    }

    fn driver_names(&self) -> Vec<&str> {
        vec!["file"]
    }

    fn format_names(&self) -> Vec<&str> {
        vec!["json"]
    }
}

fuzz_target!(|bytes: &[u8]| {
    let checks = Checks { schemas: &Any, filter: &check_filter, inputs_required: false };
    let load = |bytes: &[u8]| {
        let files = OneFile(bytes);
        parse(&["a".into()], Surroundings { files: &files, environment: &|_| None }).load(checks)
    };
    let loaded = load(bytes);
    assert_eq!(loaded.config.is_none(), loaded.diagnostics.has_errors());
    let _ = loaded.diagnostics.render(false);
    if let Some(config) = loaded.config {
        let printed = effective(&config, &Any);
        let again = load(printed.as_bytes());
        assert_eq!(again.config, Some(config), "{printed}\n{}", again.diagnostics.render(false));
    }
});
