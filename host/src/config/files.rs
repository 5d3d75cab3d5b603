//! Reading files: the only room of the configuration that touches the disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

/// What the configuration wants from a file system; tests give it one in
/// memory. Nothing is ever opened for writing.
pub trait Files {
    /// The content of a file, at most `bytes_max` of it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read; `FileTooLarge` when it is larger.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>>;

    /// Whether the path names a directory.
    fn is_dir(&self, path: &Path) -> bool;

    /// The files that a pattern with `*`, `?` and `[...]` matches, sorted. A
    /// wildcard matches neither `/` nor a leading dot.
    ///
    /// # Errors
    ///
    /// When the pattern is not one, or a directory cannot be read.
    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>>;
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

const MATCH: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

impl Files for Disk {
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > bytes_max {
            return Err(too_large(bytes_max));
        }
        Ok(content)
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let found = glob::glob_with(pattern, MATCH).map_err(bad_pattern)?;
        found.map(|path| path.map_err(io::Error::from)).collect()
    }
}

/// The pattern of a directory's configuration files.
pub(super) fn directory_pattern(directory: &Path) -> String {
    format!("{}/*.conf", Pattern::escape(&directory.to_string_lossy()))
}

/// What [`Files::read`] reports of a file beyond the limit.
fn too_large(bytes_max: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {bytes_max} bytes"))
}

fn bad_pattern(error: glob::PatternError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("not a pattern: {error}"))
}

/// Files that exist only in memory.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(pub(super) std::collections::BTreeMap<PathBuf, Vec<u8>>);

#[cfg(test)]
impl Memory {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        Memory(files.iter().map(|(path, text)| (path.into(), text.as_bytes().to_vec())).collect())
    }
}

#[cfg(test)]
impl Files for Memory {
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let content =
            self.0.get(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?.clone();
        if content.len() as u64 > bytes_max { Err(too_large(bytes_max)) } else { Ok(content) }
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file != path && file.starts_with(path))
    }

    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let pattern = Pattern::new(pattern).map_err(bad_pattern)?;
        Ok(self.0.keys().filter(|path| pattern.matches_path_with(path, MATCH)).cloned().collect())
    }
}
