//! The plugins of a host, by name.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use fantail_sdk::abi::{DriverTableRef, FormatTableRef};
use serde_json::Value;

use super::{Library, Placement, Refusal, library::trust};
use crate::config::Schemas;

/// SHA-256 digests, in hexadecimal, that the configuration pins, by the plugin's name or by its
/// file's name without `.so`. A digest by file name is compared before anything of
/// the file runs; one by plugin name, which only the plugin itself can tell,
/// before anything of it is used.
pub type Pins = HashMap<String, String>;

/// The plugins that were found, and the files that were refused.
#[derive(Clone, Default)]
pub struct Registry {
    libraries: Vec<Library>,
    refused: Vec<(PathBuf, String)>,
}

impl Registry {
    /// Loads every file that ends in `.so` from the directories, in their order
    /// and within each by name. Other files are passed over; a library that
    /// can't be used is refused, with the reason, and harms nothing else.
    pub fn scan(directories: &[PathBuf], pins: &Pins, placement: Placement) -> Self {
        let mut registry = Registry::default();
        for directory in directories {
            match libraries_in(directory) {
                Ok(paths) => paths.iter().for_each(|path| registry.add(path, pins, placement)),
                Err(refusal) => registry.refuse(directory, &refusal),
            }
        }
        registry
    }

    fn add(&mut self, path: &Path, pins: &Pins, placement: Placement) {
        if self.libraries.iter().any(|library| library.path == path) {
            return;
        }
        let file_pin = path.file_stem().and_then(|stem| pins.get(&*stem.to_string_lossy()));
        let library = match Library::load(path, file_pin.map(String::as_str), placement) {
            Ok(library) => library,
            Err(refusal) => return self.refuse(path, &refusal),
        };
        if let Some(first) = self.libraries.iter().find(|first| first.name == library.name) {
            // The same file again, by a link or in a second directory, is no mistake.
            if first.sha256 != library.sha256 {
                let first = first.path.display().to_string();
                self.refuse(path, &Refusal::Duplicate(library.name, first));
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
