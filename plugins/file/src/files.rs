//! The open files, the longest unused of which gives way to another one.

use std::{
    collections::HashMap,
    fs::{DirBuilder, File},
    io,
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use fantail_sdk::{Timestamp, log};
use rustix::io::Errno;

use crate::{
    appender::{Appended, Appender, OpenError, Seen},
    keeper::Keeper,
    rotated,
};

/// How files are handled, from the settings.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// How many may be open, at least 1.
    pub(crate) open_max: usize,
    /// Whether directories are made that are not there.
    pub(crate) creates_directories: bool,
    /// The size that a file does not pass, in bytes, if there is one.
    pub(crate) rotate_size: Option<u64>,
    /// The length of the periods, in seconds, that each have a file of their own.
    pub(crate) rotate_interval: Option<i64>,
    /// When what was written is brought to the disk.
    pub(crate) sync: Sync,
}

/// When what was written is brought to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// When the system does it.
    Never,
    /// Before it counts as delivered.
    Batch,
    /// From time to time.
    Interval,
}

/// Open files by their paths.
pub(crate) struct Files {
    policy: Policy,
    keeper: Keeper,
    open: HashMap<Box<[u8]>, Opened>,
    /// How often a file was used: the clock of `Opened::used`.
    uses: u64,
}

struct Opened {
    appender: Appender,
    used: u64,
    /// The period that its lines are of.
    period: i64,
    /// The second in which it was last seen to be at its path.
    seen_at: i64,
    /// Before this second it is not rotated, since that failed.
    not_before: i64,
}

/// Why lines are not in a file.
#[derive(Debug)]
pub(crate) struct Failure {
    /// For the log.
    pub(crate) reason: String,
    /// Whether it is the path that is wrong, and not the system as a whole.
    pub(crate) is_of_the_path: bool,
}

/// What a file means that could not be brought to the disk.
pub(crate) const MAY_BE_LOST: &str = "lines that counted as delivered may be lost";

/// The pause after a rotation that failed, in seconds.
const ROTATION_PAUSE: i64 = 10;

impl Files {
    pub(crate) fn new(policy: Policy, keeper: Keeper) -> Self {
        Files { policy, keeper, open: HashMap::new(), uses: 0 }
    }

    /// Appends lines to the file at `path`; `ends` are their ends in `lines`. Says how many are
    /// in the file whole, and why not all.
    pub(crate) fn append(
        &mut self,
        path: &Path,
        lines: &[u8],
        ends: impl Iterator<Item = usize>,
        now: Timestamp,
    ) -> (usize, Result<(), Failure>) {
        let appended = self.prepare(path, lines.len() as u64, now).map(|opened| {
            let Appended { lines, result } = opened.appender.append(lines, ends);
            (lines, result.map_err(|errno| Failure::new("write to", path, io::Error::from(errno))))
        });
        let (count, result) = match appended {
            Ok(appended) => appended,
            Err(failure) => return (0, Err(failure)),
        };
        match self.policy.sync {
            Sync::Batch => match self.sync_file(path) {
                Ok(()) => (count, result),
                // What is not on the disk is written again, and may then be there twice.
                Err(failure) => (0, Err(failure)),
            },
            Sync::Never | Sync::Interval => (count, result),
        }
    }

    /// Opens the file now, if it is not open.
    pub(crate) fn open(&mut self, path: &Path, now: Timestamp) -> Result<(), Failure> {
        self.opened(path, now).map(|_| ())
    }

    /// The file, ready for so many bytes.
    fn prepare(&mut self, path: &Path, len: u64, now: Timestamp) -> Result<&mut Opened, Failure> {
        let is_rotated = self.policy.rotate_size.is_some() || self.policy.rotate_interval.is_some();
        let second = now.seconds();
        let wrong = |errno| Failure::new("write to", path, io::Error::from(errno));
        let opened = self.opened(path, now)?;
        // One that is rotated here is not moved away by others, so that they can be followed.
        let mut lost = is_rotated && opened.seen_at != second && !opened.appender.is_at(path);
        opened.seen_at = second;
        let mut seen = opened.appender.look().map_err(wrong)?;
        lost |= matches!(seen, Seen::Gone);
        if lost {
            self.close(path);
            seen = self.opened(path, now)?.appender.look().map_err(wrong)?;
        }
        match seen {
            Seen::File { size } if size > 0 && is_rotated && self.is_due(path, size + len, now) => {
                self.rotate(path, now);
                let opened = self.opened(path, now)?;
                opened.appender.look().map_err(wrong)?;
                Ok(opened)
            }
            Seen::File { .. } => self.opened(path, now),
            // Removed twice in a moment: the next attempt may be luckier.
            Seen::Gone => Err(wrong(Errno::STALE)),
        }
    }

    fn is_due(&self, path: &Path, size: u64, now: Timestamp) -> bool {
        let Some(opened) = self.open.get(path.as_os_str().as_bytes()) else { return false };
        let is_large = self.policy.rotate_size.is_some_and(|max| size > max);
        let is_old = opened.period != self.policy.period(now.seconds());
        (is_large || is_old) && now.seconds() >= opened.not_before
    }

    /// Moves the file away and opens a new one. Should that fail, the old one goes on.
    fn rotate(&mut self, path: &Path, now: Timestamp) {
        let synced = match self.policy.sync {
            Sync::Never => Ok(()),
            Sync::Batch | Sync::Interval => self.sync_file(path),
        };
        let moved = synced.and_then(|()| {
            rotated::move_away(path, now)
                .map_err(|errno| Failure::new("rotate", path, io::Error::from(errno)))
        });
        match moved {
            Ok(()) => {
                self.close(path);
                if self.policy.sync != Sync::Never {
                    sync_directory(rotated::directory(path), path);
                }
                self.keeper.look_after(path);
            }
            Err(failure) => {
                log::warn!("{}; it goes on growing", failure.reason);
                if let Some(opened) = self.open.get_mut(path.as_os_str().as_bytes()) {
                    opened.not_before = now.seconds() + ROTATION_PAUSE;
                }
            }
        }
    }

    fn opened(&mut self, path: &Path, now: Timestamp) -> Result<&mut Opened, Failure> {
        let key = path.as_os_str().as_bytes();
        self.uses += 1;
        if !self.open.contains_key(key) {
            self.make_room();
            let appender = self.open_new(path)?;
            // What is in it already was written when it was last changed.
            let begun = appender.modified().unwrap_or(now.seconds()).min(now.seconds());
            let opened = Opened {
                period: self.policy.period(begun),
                appender,
                used: 0,
                seen_at: now.seconds(),
                not_before: i64::MIN,
            };
            self.open.insert(key.into(), opened);
            // What an earlier run has left behind.
            self.keeper.look_after(path);
        }
        let opened = self.open.get_mut(key).expect("invariant: opened above");
        opened.used = self.uses;
        Ok(opened)
    }

    fn open_new(&mut self, path: &Path) -> Result<Appender, Failure> {
        let is_new = self.policy.sync != Sync::Never && path.symlink_metadata().is_err();
        let mut opened = Appender::open(path);
        if matches!(opened, Err(OpenError::NoDirectory)) && self.policy.creates_directories {
            let directory = rotated::directory(path);
            create_directories(directory, self.policy.sync != Sync::Never)
                .map_err(|error| Failure::new("make the directory of", path, error))?;
            opened = Appender::open(path);
        }
        if opened.is_ok() && is_new {
            sync_directory(rotated::directory(path), path);
        }
        opened.map_err(|error| Failure {
            reason: format!("can't open {}: {error}", path.display()),
            is_of_the_path: error.is_of_the_path(),
        })
    }

    /// Closes files until there is room for one more.
    fn make_room(&mut self) {
        while self.open.len() >= self.policy.open_max {
            let oldest = self.open.iter().min_by_key(|(_, opened)| opened.used);
            let Some((key, _)) = oldest else { return };
            let path = path_of(key);
            if let Err(failure) = self.sync_file(&path) {
                log::error!("{}; {MAY_BE_LOST}", failure.reason);
            }
            self.close(&path);
        }
    }

    fn close(&mut self, path: &Path) {
        self.open.remove(path.as_os_str().as_bytes());
    }

    fn sync_file(&mut self, path: &Path) -> Result<(), Failure> {
        let Some(opened) = self.open.get_mut(path.as_os_str().as_bytes()) else { return Ok(()) };
        let synced = match self.policy.sync {
            Sync::Never => Ok(()),
            Sync::Batch | Sync::Interval => opened.appender.sync(),
        };
        synced.map_err(|errno| Failure::new("sync", path, io::Error::from(errno)))
    }

    /// Brings what was written to the disk, unless that is never done.
    pub(crate) fn sync(&mut self) -> Result<(), Failure> {
        let paths: Vec<PathBuf> = self.open.keys().map(|key| path_of(key)).collect();
        paths.iter().map(|path| self.sync_file(path)).fold(Ok(()), Result::and)
    }

    /// Closes all files; they are opened anew when lines come for them.
    pub(crate) fn close_all(&mut self) -> Result<(), Failure> {
        let synced = self.sync();
        self.open.clear();
        synced
    }
}

impl Policy {
    /// The period that a second is in.
    fn period(&self, second: i64) -> i64 {
        self.rotate_interval.map_or(0, |interval| second.div_euclid(interval))
    }
}

impl Failure {
    fn new(what: &str, path: &Path, error: io::Error) -> Self {
        let is_of_the_path = matches!(
            Errno::from_io_error(&error),
            Some(Errno::ACCESS | Errno::PERM | Errno::NOTDIR | Errno::NAMETOOLONG)
        );
        Failure { reason: format!("can't {what} {}: {error}", path.display()), is_of_the_path }
    }
}

/// Makes a directory and those above it, each with mode 0700.
fn create_directories(directory: &Path, syncs: bool) -> io::Result<()> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|one| !one.as_os_str().is_empty() && !one.exists())
        .collect();
    for one in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(one) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ if syncs => sync_directory(rotated::directory(one), one),
            _ => {}
        }
    }
    Ok(())
}

/// Brings the names in a directory to the disk, where the file system can.
fn sync_directory(directory: &Path, of: &Path) {
    if let Err(error) = File::open(directory).and_then(|directory| directory.sync_all()) {
        log::warn!("can't sync the directory of {}: {error}", of.display());
    }
}

fn path_of(key: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(key))
}
