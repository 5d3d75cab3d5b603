//! The plugins of a host, by name.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use fantail_sdk::abi::{DriverTableRef, FormatTableRef};
use serde_json::Value;

use super::{Library, Placement, Refusal, library::trust};
use crate::config::Schemas;

/// SHA-256 digests, in hexadecimal, that the configuration pins, by the plugin's name. A file that
/// is called as the plugin is compared before anything of it runs; a file with
/// another name, which only then tells whose it is, before anything of it is used.
pub type Pins = HashMap<String, String>;

/// The plugins that were found, and the files that were refused.
#[derive(Clone, Default)]
pub struct Registry {
    libraries: Vec<Library>,
    refused: Vec<(PathBuf, String)>,
    /// All files that end in `.so`: the directories in their order, each by name.
    files: Vec<PathBuf>,
    /// The files that were loaded, refused, or are the same as another.
    done: HashSet<PathBuf>,
}

impl Registry {
    /// Loads every file that ends in `.so` from the directories, in their order
    /// and within each by name. Other files are passed over; a library that
    /// can't be used is refused, with the reason, and harms nothing else.
    pub fn scan(directories: &[PathBuf], pins: &Pins, placement: Placement) -> Self {
        let mut registry = Self::look_into(directories);
        registry.load_rest(pins, placement);
        registry
    }

    /// Loads the plugins of these names, and of other files nothing, if there are
    /// files that are called so: `libfantail_NAME.so` or `NAME.so`, where a `_` may
    /// stand for a `-`. If for some name there is none, whose file may be called
    /// anything, all the other files are loaded as well.
    pub fn find(
        directories: &[PathBuf],
        names: &[&str],
        pins: &Pins,
        placement: Placement,
    ) -> Self {
        let mut registry = Self::look_into(directories);
        for path in registry.files.clone() {
            if names.iter().any(|name| is_called(&path, name)) {
                registry.add_called_so(&path, pins, placement);
            }
        }
        if !names.iter().all(|name| registry.knows(name)) {
            registry.load_rest(pins, placement);
        }
        registry
    }

    /// Loads every file that was passed over so far. What was found first stays first.
    pub fn load_rest(&mut self, pins: &Pins, placement: Placement) {
        for path in self.files.clone() {
            if !self.done.contains(&path) {
                self.add(&path, pins, placement);
            }
        }
    }

    /// Whether no file was passed over.
    pub fn is_whole(&self) -> bool {
        self.files.iter().all(|path| self.done.contains(path))
    }

    fn look_into(directories: &[PathBuf]) -> Self {
        let mut registry = Registry::default();
        for directory in directories {
            match libraries_in(directory) {
                Ok(paths) => {
                    let new = |path: &PathBuf| !registry.files.contains(path);
                    let paths: Vec<PathBuf> = paths.into_iter().filter(new).collect();
                    registry.files.extend(paths);
                }
                Err(refusal) => registry.refuse(directory, &refusal),
            }
        }
        registry
    }

    /// Adds a file that is called as a plugin that is wanted. If there is a plugin
    /// of that name already, nothing of the file is run.
    fn add_called_so(&mut self, path: &Path, pins: &Pins, placement: Placement) {
        let Some(first) = self.libraries.iter().find(|first| is_called(path, &first.name)) else {
            return self.add(path, pins, placement);
        };
        let refusal = match Library::digest(path) {
            Ok(sha256) => first.duplicate(&sha256),
            Err(refusal) => Some(refusal),
        };
        self.done.insert(path.to_owned());
        if let Some(refusal) = refusal {
            self.refuse(path, &refusal);
        }
    }

    fn add(&mut self, path: &Path, pins: &Pins, placement: Placement) {
        self.done.insert(path.to_owned());
        let file_pin = pins.iter().find(|(name, _)| is_called(path, name));
        let file_pin = file_pin.map(|(_, sha256)| sha256.as_str());
        let library = match Library::load(path, file_pin, placement) {
            Ok(library) => library,
            Err(refusal) => return self.refuse(path, &refusal),
        };
        if let Some(first) = self.libraries.iter().find(|first| first.name == library.name) {
            if let Some(refusal) = first.duplicate(&library.sha256) {
                self.refuse(path, &refusal);
            }
            return;
        }
        if let Some(pin) = pins.get(&library.name)
            && !pin.eq_ignore_ascii_case(&library.sha256)
        {
            return self.refuse(path, &Refusal::WrongDigest(pin.clone(), library.sha256));
        }
        self.libraries.push(library);
    }

    fn refuse(&mut self, path: &Path, refusal: &Refusal) {
        self.refused.push((path.to_owned(), refusal.to_string()));
    }

    /// The plugins, in the order in which they were found.
    pub fn libraries(&self) -> &[Library] {
        &self.libraries
    }

    /// The files that were refused, each with the reason: a clause whose subject
    /// is the path.
    pub fn refused(&self) -> &[(PathBuf, String)] {
        &self.refused
    }

    /// The plugin of that name.
    pub fn library(&self, name: &str) -> Option<&Library> {
        self.libraries.iter().find(|library| library.name == name)
    }

    /// The functions of the format of that name.
    pub fn format_table(&self, name: &str) -> Option<FormatTableRef> {
        self.library(name)?.format.as_ref().map(|(table, _)| *table)
    }

    /// The functions of the driver of that name.
    pub fn driver_table(&self, name: &str) -> Option<DriverTableRef> {
        self.library(name)?.driver.as_ref().map(|(table, _)| *table)
    }
}

impl Schemas for Registry {
    fn driver(&self, name: &str) -> Option<&Value> {
        self.library(name)?.driver.as_ref().map(|(_, schema)| schema)
    }

    fn format(&self, name: &str) -> Option<&Value> {
        self.library(name)?.format.as_ref().map(|(_, schema)| schema)
    }

    fn driver_names(&self) -> Vec<&str> {
        let drivers = self.libraries.iter().filter(|library| library.driver.is_some());
        drivers.map(|library| library.name.as_str()).collect()
    }

    fn format_names(&self) -> Vec<&str> {
        let formats = self.libraries.iter().filter(|library| library.format.is_some());
        formats.map(|library| library.name.as_str()).collect()
    }

    fn knows(&self, name: &str) -> bool {
        self.library(name).is_some() || self.files.iter().any(|path| is_called(path, name))
    }
}

/// Whether a library's file is called as the plugin of this name should be: by its
/// package's name, which Cargo writes with `_`, or as the plugin itself.
fn is_called(path: &Path, name: &str) -> bool {
    let Some(stem) = path.file_stem().and_then(OsStr::to_str) else { return false };
    let same = |stem: &str| stem.replace('_', "-") == name.replace('_', "-");
    same(stem) || stem.strip_prefix("libfantail_").is_some_and(same)
}

/// The libraries in a directory, by name.
fn libraries_in(directory: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let mut paths = Vec::new();
    trust(&fs::metadata(directory).map_err(Refusal::Unreadable)?)?;
    for entry in fs::read_dir(directory).map_err(Refusal::Unreadable)? {
        let path = entry.map_err(Refusal::Unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "so") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Where plugins are looked for besides what the configuration says: in
/// `../lib/fantail/plugins` beside the command's directory (so `/usr/bin/fantail`
/// has `/usr/lib/fantail/plugins`), and in the command's own directory, where a
/// build leaves the bundled ones. Only those that exist.
pub fn default_directories() -> Vec<PathBuf> {
    let Ok(command) = std::env::current_exe() else { return Vec::new() };
    let Some(own) = command.parent() else { return Vec::new() };
    let installed = own.parent().map(|prefix| prefix.join("lib/fantail/plugins"));
    installed.into_iter().chain([own.to_owned()]).filter(|path| path.is_dir()).collect()
}
