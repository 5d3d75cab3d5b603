//! A test's own directory, and the files that tests share.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{build_dir, wait_for};

/// An input of a configuration: lines, at `$DIR/in.sock`.
pub const IN: &str = "
input in {
  driver = unix
  path = $DIR/in.sock
}
";

/// The end of a configuration: every named event, as a line of JSON in `$DIR/out`.
pub const OUT: &str = "event_exporter out {
  driver = file
  file_path = $DIR/out
  format = json
}
metric all {
  filter = event=*
  exporter = out
}
";

/// A directory that is gone when the test has ended.
#[derive(Debug)]
pub struct Workdir {
    dir: TempDir,
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A file or directory in `integration-tests/data`.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

impl Workdir {
    /// A new, empty directory. Its path is short, as paths of sockets must be.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("fantail-").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Workdir { dir }
    }

    /// The path of `name` in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The text with each `$DIR` replaced by the directory's path, and each `$BUILD`
    /// by that of the directory with the bundled plugins.
    pub fn fill_in(&self, text: &str) -> String {
        let text = text.replace("$DIR", &self.dir.path().display().to_string());
        text.replace("$BUILD", &build_dir().display().to_string())
    }

    /// Writes a configuration, `$DIR` filled in, and returns its path.
    pub fn config(&self, name: &str, text: &str) -> PathBuf {
        self.write(name, self.fill_in(text))
    }

    /// A file's content.
    pub fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A file's lines; none if there is no file.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let content = fs::read(self.path(name)).unwrap_or_default();
        let text = String::from_utf8(content).expect("the file is UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    /// Those of a file's lines that are whole: somebody may be writing the last one.
    pub fn whole_lines(&self, name: &str) -> Vec<String> {
        let mut content = fs::read(self.path(name)).unwrap_or_default();
        content.truncate(content.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1));
        let text = String::from_utf8(content).expect("the file is UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the file has so many whole lines, and returns them.
    pub fn wait_for_lines(&self, name: &str, count: usize) -> Vec<String> {
        wait_for(&format!("{count} lines in {name}"), || {
            Some(self.whole_lines(name)).filter(|lines| lines.len() >= count)
        })
    }
}

impl Default for Workdir {
    fn default() -> Self {
        Self::new()
    }
}
