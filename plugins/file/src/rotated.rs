//! The names of rotated files: `NAME.20261121T120000Z`, `NAME.20261121T120000Z-1` for a second
//! one in that second, and `NAME.20261121T120000Z.gz` when it is compressed.

use std::{
    ffi::OsString,
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use fantail_sdk::Timestamp;
use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};

/// Files that are rotated in the same second: more is a mistake.
const NUMBER_MAX: u32 = 9999;

const SUFFIX: &[u8] = b".gz";

/// A rotated file. The order is that of age, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rotated {
    stamp: [u8; STAMP],
    number: u32,
    /// Whether it is compressed.
    pub(crate) compressed: bool,
    /// Its name in its directory.
    pub(crate) name: OsString,
}

/// The length of `20261121T120000Z`.
const STAMP: usize = 16;

impl Rotated {
    /// A name, if it is one that a file called `base` gets.
    fn of(base: &[u8], name: &[u8]) -> Option<Self> {
        let (stamp, number, compressed) = split(name.strip_prefix(base)?)?;
        Some(Rotated { stamp, number, compressed, name: OsString::from_vec(name.to_vec()) })
    }

    /// Whether both are the same file, compressed or not.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.stamp, self.number) == (other.stamp, other.number)
    }
}

/// What is behind the name of a rotated file: `.STAMP`, a number, `.gz`.
fn split(rest: &[u8]) -> Option<([u8; STAMP], u32, bool)> {
    let plain = rest.strip_suffix(SUFFIX).unwrap_or(rest);
    let (stamp, more) = plain.strip_prefix(b".")?.split_first_chunk::<STAMP>()?;
    let is_stamp = stamp.iter().enumerate().all(|(at, byte)| match at {
        8 => *byte == b'T',
        15 => *byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    let number = match more {
        [] => Some(0),
        [b'-', b'1'..=b'9', ..] => {
            std::str::from_utf8(&more[1..]).ok()?.parse().ok().filter(|number| *number < u32::MAX)
        }
        _ => None,
    };
    number.filter(|_| is_stamp).map(|number| (*stamp, number, plain.len() < rest.len()))
}

/// Whether a path ends like that of a rotated file.
pub(crate) fn is_name(path: &[u8]) -> bool {
    let dots = path.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    dots.rev().take(2).any(|(at, _)| split(&path[at..]).is_some())
}

/// Whether a name is that of a rotated file of one that is called `base`.
pub(crate) fn is_of(base: &[u8], name: &[u8]) -> bool {
    Rotated::of(base, name).is_some()
}

/// The rotated files of `path`, the oldest first.
pub(crate) fn all(path: &Path) -> io::Result<Vec<Rotated>> {
    let base = path.file_name().unwrap_or_default().as_bytes();
    let mut found = Vec::new();
    for entry in directory(path).read_dir()? {
        found.extend(Rotated::of(base, entry?.file_name().as_bytes()));
    }
    found.sort();
    Ok(found)
}

/// The directory of a file.
pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Gives the file at `path` the name of one that was rotated at `now`; no file that is there is
/// ever replaced.
pub(crate) fn move_away(path: &Path, now: Timestamp) -> Result<(), Errno> {
    let mut stamp: String =
        now.to_string().chars().filter(|c| !"-:".contains(*c)).take(15).collect();
    stamp.push('Z');
    // Behind the last one, and not at the first free number: that may be of one that was removed
    // for its age.
    let others = all(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let of_now = others.iter().filter(|other| other.stamp == *stamp.as_bytes());
    let first = of_now.map(|other| other.number + 1).max().unwrap_or(0);
    for number in first..=NUMBER_MAX.max(first) {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{stamp}"));
        if number > 0 {
            name.push(format!("-{number}"));
        }
        match rename_new(path, &PathBuf::from(name)) {
            Err(Errno::EXIST) => {}
            done => return done,
        }
    }
    Err(Errno::EXIST)
}

/// Renames a file, unless there is one of the new name.
fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system has this.
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::link(from, to)?;
            rustix::fs::unlink(from)
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use fantail_sdk::Timestamp;

    use super::{all, is_name, move_away};

    #[test]
    fn only_names_of_rotated_files_are_such() {
        let check = |name: &str, expected: bool| {
            assert_eq!(is_name(name.as_bytes()), expected, "{name}");
        };
        check("/d/out.20261121T120000Z", true);
        check("out.20261121T120000Z-1", true);
        check("out.20261121T120000Z-12.gz", true);
        check(".20261121T120000Z", true);
        check("out.20261121T120000Z-0", false);
        check("out.20261121T120000Z-x", false);
        check("out.20261121T120000Z.xz", false);
        check("out.20261121t120000Z", false);
        check("out.20261121T120000", false);
        check("20261121T120000Z", false);
        check("", false);
    }

    #[test]
    fn rotated_files_get_names_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        fs::write(dir.path().join("out.20261120T170509Z-1.gz"), "there before").unwrap();
        fs::write(dir.path().join("out.2.20261120T170509Z"), "of another").unwrap();
        for content in ["one", "two", "three"] {
            fs::write(&path, content).unwrap();
            move_away(&path, Timestamp::from_micros(1_795_194_309_422_744)).unwrap();
        }
        let files = all(&path).unwrap();
        let names: Vec<_> = files.iter().map(|one| one.name.to_str().unwrap()).collect();
        let start = "out.20261120T170509Z";
        let expected = ["-1.gz", "-2", "-3", "-4"].map(|end| format!("{start}{end}"));
        assert_eq!(names, expected);
        assert_eq!(fs::read_to_string(dir.path().join(&expected[3])).unwrap(), "three");
        assert_eq!(fs::read_to_string(dir.path().join(&expected[0])).unwrap(), "there before");
        assert!(!path.exists());
    }
}
