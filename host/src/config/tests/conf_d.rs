//! The files in conf.d, against the table of settings.
//!
//! In these files `# Text` explains, and `#name = value` is a setting that is
//! not set.

use std::path::{Path, PathBuf};

use super::super::files::Memory;
use super::super::schema::properties;
use super::super::table::{BlockKind, SETTINGS};
use super::super::tree::{BlockId, Tree};
use super::super::{Schemas, Surroundings, parse};
use super::{load_files, load_parsed, messages, plugins};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf.d")
}

fn files() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 5, "{}", directory().display());
    files
}

/// The text with everything in effect that is commented out.
fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let is_setting = |rest: &&str| rest.starts_with(|c: char| !c.is_whitespace());
        match line.trim_start().strip_prefix('#').filter(is_setting) {
            Some(setting) => setting,
            None => line,
        }
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn each_file_is_valid_and_so_are_all_together() {
    let sound = |paths: &[PathBuf], expected: &[&str]| {
        let loaded = load_parsed(parse(paths, Surroundings::MACHINE));
        assert_eq!(messages(&loaded), expected, "{paths:?}");
    };
    sound(&[directory()], &[]);
    sound(&[directory(), directory().join("90-local.conf.example")], &[]);
    for (path, _) in files() {
        let loaded = load_parsed(parse(&[path.into()], Surroundings::MACHINE));
        assert!(!loaded.diagnostics.has_errors(), "{}", loaded.diagnostics.render(false));
    }
}

#[test]
fn what_is_commented_out_is_valid_as_well() {
    let files: Vec<(String, String)> =
        files().into_iter().map(|(path, text)| (path, uncommented(&text))).collect();
    let all: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    let paths: Vec<&str> = all.iter().map(|(path, _)| *path).collect();
    let mut files = Memory::new(&all);
    files.0.insert("/etc/fantail/proxy-password".into(), b"secret".to_vec());
    let loaded = load_files(&files, &paths);
    assert!(!loaded.diagnostics.has_errors(), "{}", loaded.diagnostics.render(false));
}

#[test]
fn every_setting_is_shown_with_its_default() {
    let mut shown = Vec::new();
    for (path, text) in files() {
        let files = Memory::new(&[("a", &uncommented(&text))]);
        let surroundings = Surroundings { files: &files, environment: &|_| None };
        let parsed = parse(&["a".into()], surroundings);
        assert!(parsed.read.diagnostics.is_empty(), "{path}");
        collect(&parsed.read.tree, Tree::TOP, BlockKind::Top, &mut shown);
    }
    let mut wanted: Vec<(BlockKind, String, String)> = SETTINGS
        .iter()
        .map(|setting| (setting.block, setting.name.to_owned(), setting.default.to_owned()))
        .collect();
    let plugins = plugins();
    for name in plugins.driver_names() {
        let properties = properties(plugins.driver(name).unwrap()).into_iter();
        for property in properties.filter(|property| !property.name.starts_with("test_")) {
            let default =
                property.default.map_or(String::new(), |value| property.kind.print(value));
            wanted.push((BlockKind::Exporter, property.name.to_owned(), default));
        }
    }
    for (block, name, default) in wanted {
        let mut values = shown.iter().filter(|(kind, found, _)| *kind == block && *found == name);
        let found = if default.is_empty() {
            values.next().is_some()
        } else {
            values.any(|(.., value)| *value == default)
        };
        assert!(found, "conf.d does not show `{name} = {default}` in a {block:?} block");
    }
}

/// Collects kind of block, name and value of all settings in a block.
fn collect(
    tree: &Tree,
    id: BlockId,
    kind: BlockKind,
    shown: &mut Vec<(BlockKind, String, String)>,
) {
    for setting in &tree.block(id).settings {
        let name = kind.short_name(setting.key.as_str()).to_owned();
        shown.push((kind, name, setting.value.written().as_str().to_owned()));
    }
    for (id, block) in tree.children(id) {
        if block.kind.as_str() == "http_post_headers" {
            shown.push((kind, block.kind.as_str().to_owned(), String::new()));
            continue;
        }
        let kind = match block.kind.as_str() {
            "input" => BlockKind::Input,
            "event_exporter" => BlockKind::Exporter,
            "metric" => BlockKind::Metric,
            "group_by" => BlockKind::GroupBy,
            "method" => BlockKind::Method,
            "plugin" => BlockKind::Plugin,
            "service" => BlockKind::Top,
            "listener" => BlockKind::Listener,
            "unix_listener" => BlockKind::UnixListener,
            "inet_listener" => BlockKind::InetListener,
            other => panic!("conf.d has an unknown block {other}"),
        };
        collect(tree, id, kind, shown);
    }
}
