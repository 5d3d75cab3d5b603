//! Rules of the repository that no compiler and no lint checks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use fantail_integration_tests::repository;
use serde_json::Value;

/// Every file of the repository, by its path from the root: what builds leave
/// behind and hidden directories are no part of it.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![repository().canonicalize().unwrap()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let ignored = ["target", "artifacts", "corpus"].contains(&name.as_str());
            match entry.file_type().unwrap().is_dir() {
                true if ignored || name.starts_with('.') => {}
                true => directories.push(entry.path()),
                false => found.push(relative(&entry.path())),
            }
        }
    }
    found.sort();
    assert!(found.len() > 50);
    found
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix(repository().canonicalize().unwrap()).unwrap().to_owned()
}

fn sources() -> Vec<(PathBuf, String)> {
    let sources = files().into_iter();
    let sources =
        sources.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources
        .map(|path| (path.clone(), fs::read_to_string(repository().join(path)).unwrap()))
        .collect()
}

/// Requires that nothing was found.
#[track_caller]
fn none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn only_known_directories_stand_at_the_top() {
    let known = ["host", "sdk", "plugins", "conf.d", "docs", "integration-tests", "target"];
    let mut unknown = Vec::new();
    for entry in fs::read_dir(repository()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_dir = entry.file_type().unwrap().is_dir();
        let allowed = if is_dir {
            known.contains(&name.as_str())
        } else {
            // Prose, licences, and the files of tools.
            [".md", ".toml", ".lock"].iter().any(|end| name.ends_with(end))
                || name.starts_with("LICENSE")
        };
        if !allowed && !name.starts_with('.') {
            unknown.push(name);
        }
    }
    none("nothing else may stand at the top", &unknown);
}

#[test]
fn nothing_is_left_to_do() {
    // Not spelled out, or this file would find itself.
    let marks = ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "X".repeat(3) + ":"];
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (at, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{}: {line}", path.display(), at + 1));
            }
        }
    }
    none("what is left to do stands in an issue", &found);
}

/// Where unsafe code may stand, and why.
const UNSAFE: &[(&str, &str)] = &[
    ("sdk/src/abi/", "the boundary's one side"),
    ("sdk/src/export.rs", "the exported symbol's name"),
    ("host/src/plugin/", "the boundary's other side"),
    ("integration-tests/plugins-src/", "libraries that are no good plugins"),
];

#[test]
fn unsafe_code_stands_at_the_plugin_boundary_only() {
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for (path, text) in sources() {
        let allowed =
            UNSAFE.iter().find(|(place, _)| path.starts_with(place.trim_end_matches('/')));
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            let is_word = |word: &str| word == "unsafe";
            let words = code
                .split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '"');
            if words.into_iter().any(is_word) {
                match allowed {
                    Some((place, _)) => drop(used.insert(*place)),
                    None => found.push(format!("{}:{}: {line}", path.display(), at + 1)),
                }
            }
        }
    }
    none("outside of the plugin boundary", &found);
    let unused = UNSAFE.iter().map(|(place, _)| (*place).to_owned());
    let unused: Vec<_> = unused.filter(|place| !used.contains(place.as_str())).collect();
    none("places that need no exception", &unused);
}

/// What a room that only decides must not name: what does IO, waits, or knows a
/// room behind it on an event's way.
const BEYOND_DECIDING: &[&str] = &[
    "std::fs",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
    "TcpStream",
    "UnixStream",
    "rustix::",
    "crate::cli",
    "crate::driver",
    "crate::input",
    "crate::pipeline",
    "crate::plugin",
    "crate::queue",
];

#[test]
fn rooms_that_decide_do_no_io() {
    let rooms = ["event", "filter", "decode", "config", "route.rs", "statistics"];
    // The configuration's files are read in one place.
    let exceptions = ["host/src/config/files.rs"].map(Path::new);
    let mut found = Vec::new();
    let mut seen = 0;
    for (path, text) in sources() {
        let is_room = rooms.iter().any(|room| path.starts_with(Path::new("host/src").join(room)));
        let is_tests = path.ends_with("tests.rs") || path.iter().any(|part| part == "tests");
        if !is_room || is_tests || exceptions.contains(&path.as_path()) {
            continue;
        }
        seen += 1;
        // The tests at a file's foot may do what they like.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (at, line) in code.lines().enumerate() {
            if BEYOND_DECIDING.iter().any(|beyond| line.contains(beyond)) {
                found.push(format!("{}:{}: {line}", path.display(), at + 1));
            }
        }
    }
    assert!(seen > 40, "only {seen} files: has a room moved?");
    none("rooms that decide do no IO and look at no clock", &found);
}

#[test]
fn no_file_is_too_long() {
    const LINES_MAX: usize = 600;
    let mut found = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        let head = text.lines().take_while(|line| line.starts_with("//!"));
        let reason = head.into_iter().any(|line| line.contains("long because"));
        if lines > LINES_MAX && !reason {
            found.push(format!("{}: {lines} lines", path.display()));
        }
    }
    none("longer than 600 lines, and the head does not say `long because`", &found);
}

#[test]
fn every_source_begins_with_what_it_is() {
    // The tests of a room that are too long for its foot say the same as the room.
    let is_tests = |path: &Path| path.ends_with("tests.rs") || path.ends_with("tests/mod.rs");
    let found = sources().into_iter().filter(|(path, text)| {
        !is_tests(path) && !text.starts_with("//!") && !text.starts_with("#![doc = include_str!")
    });
    let found: Vec<_> = found.map(|(path, _)| path.display().to_string()).collect();
    none("no comment at the head", &found);
}

#[test]
fn scripts_can_be_executed() {
    for script in [".ci/run", "integration-tests/run", "integration-tests/bench/run"] {
        let mode = fs::metadata(repository().join(script)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script}");
    }
}

/// What Cargo says of the packages that are built for Linux.
fn metadata() -> Value {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version", "1", "--locked", "--offline"]);
    cargo.args(["--all-features", "--filter-platform", "x86_64-unknown-linux-gnu"]);
    let done = cargo.current_dir(repository()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

#[test]
fn packages_depend_in_one_direction() {
    let metadata = metadata();
    let members = list(&metadata, "workspace_members");
    let own: BTreeMap<&str, &Value> = list(&metadata, "packages")
        .iter()
        .filter(|package| members.contains(&package["id"]))
        .map(|package| (text(package, "name"), package))
        .collect();
    let mut found = Vec::new();
    let mut plugins = 0;
    for (name, package) in &own {
        let is_plugin = text(package, "manifest_path").contains("/plugins/");
        plugins += usize::from(is_plugin);
        for dependency in list(package, "dependencies") {
            let on = text(dependency, "name");
            let in_tests = dependency["kind"] == "dev";
            let may = match *name {
                "fantail-sdk" => false,
                // The host finds plugins by path and name when it runs.
                "fantail" => on == "fantail-sdk",
                "fantail-integration-tests" => in_tests || on == "fantail-sdk",
                _ if is_plugin => {
                    on == "fantail-sdk" || in_tests && on == "fantail-integration-tests"
                }
                _ => false,
            };
            if own.contains_key(on) && !may {
                found.push(format!("{name} depends on {on}"));
            }
        }
    }
    assert_eq!(plugins, 8);
    none("plugins -> sdk <- host", &found);
}

/// The quoted texts of `deny.toml` in the list that begins with `start`.
fn denied(start: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("deny.toml")).unwrap();
    let (_, list) = text.split_once(start).expect("deny.toml has the list");
    let (list, _) = list.split_once("\n]").expect("the list ends");
    let lines = list.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.filter_map(|line| Some(line.split('"').nth(1)?.to_owned())).collect()
}

#[test]
fn every_licence_is_one_that_we_accept() {
    let accepted = denied("\nallow = [");
    let excepted = denied("\nexceptions = [");
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for package in list(&metadata(), "packages") {
        let name = text(package, "name");
        let Some(licence) = package["license"].as_str() else {
            found.push(format!("{name}: no licence"));
            continue;
        };
        let licence = licence.replace('/', " OR ");
        let known = |word: &str| accepted.iter().any(|accepted| accepted == word);
        used.extend(licence.split([' ', '(', ')']).filter(|word| known(word)).map(str::to_owned));
        // Of an AND of ORs each part needs one that we accept. (That is the only
        // shape there is; another one would have to be read by hand.)
        let alternatives = |part: &str| {
            let part = part.trim_matches([' ', '(', ')']);
            part.split(" OR ").any(|word| known(word.trim_matches([' ', '(', ')'])))
        };
        let excepted = excepted.iter().any(|excepted| excepted == name);
        if !excepted && !licence.split(" AND ").all(alternatives) {
            found.push(format!("{name}: {licence}"));
        }
    }
    none("licences that deny.toml does not allow", &found);
    let unused: Vec<_> = accepted.into_iter().filter(|licence| !used.contains(licence)).collect();
    none("licences in deny.toml that nothing has", &unused);
}

#[test]
fn no_crate_is_there_in_two_versions_without_a_reason() {
    let excepted = denied("\nskip = [");
    let metadata = metadata();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in list(&metadata, "packages") {
        versions.entry(text(package, "name")).or_default().insert(text(package, "version"));
    }
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let mut is_excepted = |version: &&&str| {
            excepted.iter().any(|one| {
                let (excepted, major) = one.split_once('@').unwrap_or((one, ""));
                let of_major = version.split('.').zip(major.split('.')).all(|(a, b)| a == b);
                let fits = excepted == *name && (major.is_empty() || of_major);
                if fits {
                    used.insert(one.clone());
                }
                fits
            })
        };
        let left = versions.iter().filter(|version| !is_excepted(version)).count();
        if left > 1 {
            found.push(format!("{name}: {versions:?}"));
        }
    }
    none("in several versions, and not in deny.toml", &found);
    let unused: Vec<_> = excepted.into_iter().filter(|one| !used.contains(one)).collect();
    none("exceptions in deny.toml that nothing needs", &unused);
}
